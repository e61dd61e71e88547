#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: read the state of a database and judge it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_status
short_description: Read the state of a database, its backups and its host, and judge it
description:
  - Reads the figures of a database with two statements, the manifests of its backups, and how full the disks are.
    Reports what is in order, what needs attention, what has failed, and the next command.
  - Only reads, waits for no table lock, and shows no query text.
extends_documentation_fragment:
  - physioflow.database.attributes
  - physioflow.database.connection
options:
  database:
    description: Name of the database.
    type: str
    required: true
  host:
    description: Name of the host in the output.
    type: str
    required: true
  bin_dir:
    description: Folder of the PostgreSQL programs.
    type: path
    default: /usr/bin
  backup_directory:
    description: Folder of the backups.
    type: path
    required: true
  plan:
    description: What M(physioflow.database.migration_plan) found. Without it, pending migrations are unknown.
    type: dict
  drift:
    description: Differences between the schema and its migrations. Left out where they were not compared.
    type: list
    elements: str
  limits:
    description: Thresholds for warnings and failures.
    type: dict
    required: true
  tables:
    description: Number of tables to show.
    type: int
    default: 10
  details:
    description: Also read the details that only M(physioflow.database.report_page) shows.
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
  description: The output for the user.
  returned: success
  type: list
  elements: str
level:
  description: The worst level, C(ok), C(warn) or C(fail).
  returned: success
  type: str
verdict:
  description: A sentence about the failures, with the next command; empty where nothing failed.
  returned: success
  type: str
findings:
  description: Subject, level, text and next command of each finding.
  returned: success
  type: list
  elements: dict
facts:
  description: The figures behind the findings.
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
    """Return the parts of a plan that the output needs; without a history, that includes the untracked tables."""
    foreign = given.get("untracked_tables") or 0
    strange = [f"{foreign} tables and no history: the migrations were not applied by a deploy"] if foreign else []
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
        module.fail_json(msg=f"{error}. Nothing was read. Correct it in the inventory's group_vars.")
    look = partial(look_at_database, details=params["details"])
    seen = look_in_session(module, name, "physioflow-status", look, "read")
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
