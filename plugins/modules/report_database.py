#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: read what was done to a database."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: report_database
short_description: Read the history of a database, the rows of each year, its backups and drills
description:
  - Only reads, waits for no lock of a table, and returns no row of a table and no text of a query.
extends_documentation_fragment:
  - physioflow.database.attributes
  - physioflow.database.connection
options:
  database:
    description: Name of the database.
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
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Read what was done
  physioflow.database.report_database:
    connection: "{{ postgresql_connection }}"
    database: physioflow
    backup_directory: /var/backups/physioflow
"""

RETURN = r"""
acts:
  description: The history of migrations, the oldest first.
  returned: success
  type: list
  elements: dict
years:
  description: Rows and bytes of each partition of the tables that are partitioned by date.
  returned: success
  type: list
  elements: dict
waiting:
  description: How many sessions wait for a lock.
  returned: success
  type: int
open:
  description: How many transactions are open.
  returned: success
  type: int
backups:
  description: The backups on the host, the oldest first.
  returned: success
  type: list
  elements: dict
drills:
  description: What the backups' manifests say of their drills.
  returned: success
  type: list
  elements: dict
problem:
  description: Why the backups could not be looked for; empty where they could.
  returned: success
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.report.look import look_at_backups, look_at_database
from ansible_collections.physioflow.database.plugins.module_utils.server import (
    connection_argument_spec,
    look_in_session,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **connection_argument_spec(),
            "database": {"type": "str", "required": True},
            "bin_dir": {"type": "path", "default": "/usr/bin"},
            "backup_directory": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    name = params["database"]
    seen = look_in_session(module, name, "physioflow-report", look_at_database, "read")
    backups = look_at_backups(name, Path(params["backup_directory"]), Path(params["bin_dir"]))
    module.exit_json(changed=False, **seen, **backups)


if __name__ == "__main__":
    main()
