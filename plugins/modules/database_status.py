#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: look at a database and judge what is seen."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_status
short_description: Look at a database, its backups and its host, and judge what is seen
description:
  - Reads the figures of a database with two statements, the manifests of its backups, and how full the disks are, and
    says what is well, what to look at, what has failed, and the next command.
  - Only reads, waits for no lock of a table, and shows no text of a query.
extends_documentation_fragment:
  - physioflow.database.attributes
  - physioflow.database.connection
options:
  database:
    description: Name of the database.
    type: str
    required: true
  host:
    description: How the host is called on the screen.
    type: str
    required: true
  bin_dir:
    description: Folder of PostgreSQL's programs.
    type: path
    default: /usr/bin
  backup_directory:
    description: Folder of the backups.
    type: path
    required: true
  plan:
    description: What M(physioflow.database.migration_plan) found. Left out, migrations that are pending are not known.
    type: dict
  drift:
    description: Differences between the schema and what its migrations made. Left out where nobody compared them.
    type: list
    elements: str
  limits:
    description: From where on something is to be looked at, or has failed.
    type: dict
    required: true
  tables:
    description: How many tables are shown.
    type: int
    default: 10
  details:
    description: Whether to read also what M(physioflow.database.report_page) shows beyond the status.
    type: bool
    default: false
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Look at the database
  physioflow.database.database_status:
    connection: "{{ postgresql_connection }}"
    database: physioflow
    host: "{{ inventory_hostname }}"
    backup_directory: /var/backups/physioflow
    limits: "{{ __status_limits }}"
"""

RETURN = r"""
lines:
  description: What to show.
  returned: success
  type: list
  elements: str
level:
  description: The worst level, C(ok), C(warn) or C(fail).
  returned: success
  type: str
verdict:
  description: A sentence about what has failed, with the next command; empty where nothing has.
  returned: success
  type: str
findings:
  description: Matter, level, text and next command of each finding.
  returned: success
  type: list
  elements: dict
facts:
  description: The figures that they were made of.
  returned: success
  type: dict
"""

from functools import partial
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.server import (
    connection_argument_spec,
    look_in_session,
)
from ansible_collections.physioflow.database.plugins.module_utils.status.findings import (
    described,
    findings,
    verdict,
    worst,
)
from ansible_collections.physioflow.database.plugins.module_utils.status.limits import read_limits
from ansible_collections.physioflow.database.plugins.module_utils.status.look import look_at_database, look_at_host
from ansible_collections.physioflow.database.plugins.module_utils.status.screen import screen

REPEATABLE = "R"


def plan_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return what the screen needs of a plan; a database without history has tables that nobody explains."""
    foreign = given.get("untracked_tables") or 0
    strange = [f"{foreign} tables and no history: the migrations were not made by a deploy"] if foreign else []
    return {
        "pending": [
            entry["name"] if entry["version"] == REPEATABLE else f"{entry['version']} {entry['name']}"
            for entry in given["pending"]
        ],
        "problems": [*strange, *given["problems"]],
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **connection_argument_spec(),
            "database": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "bin_dir": {"type": "path", "default": "/usr/bin"},
            "backup_directory": {"type": "path", "required": True},
            "plan": {"type": "dict"},
            "drift": {"type": "list", "elements": "str"},
            "limits": {"type": "dict", "required": True},
            "tables": {"type": "int", "default": 10},
            "details": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    name = params["database"]
    try:
        limits = read_limits(params["limits"])
    except ValueError as error:
        module.fail_json(msg=f"{error}. Nothing was looked at. Correct it in the inventory's group_vars.")
    look = partial(look_at_database, details=params["details"])
    seen = look_in_session(module, name, "physioflow-status", look, "looked at")
    facts = {
        "database": name,
        **seen,
        **look_at_host(
            name, Path(params["backup_directory"]), Path(params["bin_dir"]), seen["figures"]["data_directory"]
        ),
        "plan": plan_of(params["plan"]) if params["plan"] else None,
        "drift": params["drift"],
        "shown_tables": params["tables"],
    }
    if not params["details"]:
        del facts["backups"]["all"], facts["backups"]["drills"]
    found = findings(facts, limits)
    title = f"Database {name} on {params['host']}, {facts['figures']['now'][:16].replace('T', ' ')} UTC"
    module.exit_json(
        changed=False,
        lines=screen(title, found),
        level=worst(found),
        verdict=verdict(found),
        findings=described(found),
        facts=facts,
    )


if __name__ == "__main__":
    main()
