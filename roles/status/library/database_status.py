#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: say what stands in a database and what runs on it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_status
short_description: Say what stands in a database and what runs on it
description:
  - Shows the newest migration, and of each run that is at work the file, the elapsed time, its progress and whom it
    waits for. Only reads; shows no text of a query.
options:
  connection:
    description: How to reach the server, with the options of C(community.postgresql.all). Left out where there is none.
    type: dict
  database:
    description: Name of the database.
    type: str
    required: true
attributes:
  check_mode:
    support: full
author:
  - PhysioFlow contributors
"""

EXAMPLES = r"""
- name: Look at the database
  database_status:
    connection: "{{ postgresql_connection }}"
    database: physioflow
"""

RETURN = r"""
lines:
  description: What to show.
  returned: success
  type: list
  elements: str
history:
  description: How many migrations stand, the newest of them, and the files in doubt; null where there is no history.
  returned: success
  type: dict
runs:
  description: The sessions of runs that are at work.
  returned: success
  type: list
  elements: dict
"""

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.status_report import HAS_HISTORY, HISTORY, RUNS, report
from ansible_collections.community.postgresql.plugins.module_utils.postgres import (
    connect_to_db,
    ensure_required_libs,
    get_conn_params,
    pg_cursor_args,
    postgres_common_argument_spec,
)

CONNECT = {"connect_timeout": 10, "application_name": "physioflow-status"}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "connection": {"type": "dict", "options": postgres_common_argument_spec()},
            "database": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    name = module.params["database"]
    if not module.params["connection"]:
        module.fail_json(msg=f"No server runs that could have the database {name}. Next: ansible-playbook deploy.yml")
    ensure_required_libs(module)
    parameters = CONNECT | get_conn_params(module, module.params["connection"] | {"login_db": name})
    connection, error = connect_to_db(module, parameters, autocommit=True, fail_on_conn=False)
    if connection is None:
        words = " ".join(str(error).split())
        module.fail_json(msg=f"The database {name} cannot be reached: {words} Next: ansible-playbook deploy.yml")
    cursor = connection.cursor(**pg_cursor_args)

    def ask(query: str) -> Any:
        cursor.execute(query)
        return json.loads(dict(cursor.fetchone())["j"] or "[]")

    history = ask(HISTORY) if ask(HAS_HISTORY) else None
    runs = ask(RUNS)
    connection.close()
    module.exit_json(changed=False, lines=report(name, history, runs), history=history, runs=runs)


if __name__ == "__main__":
    main()
