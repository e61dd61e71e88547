#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: report what a deploy would do."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: migration_report
short_description: Report the state of each migration, and the locks of the pending ones
description:
  - Runs on the controller. Changes nothing.
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  directory:
    description: Folder of the release.
    type: path
    required: true
  migrations:
    description: The catalog of the release, as M(physioflow.database.migration_release) returns it.
    type: json
    required: true
  plan:
    description: What M(physioflow.database.migration_plan) returned.
    type: dict
    required: true
  sql:
    description: Return the SQL of the pending files.
    type: bool
    default: false
  squawk_config:
    description: Configuration file of squawk, if any.
    type: path
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Say what a deploy would do
  physioflow.database.migration_report:
    directory: "{{ release_directory }}"
    migrations: "{{ migrations_release.migrations }}"
    plan: "{{ migrations_plan }}"
  delegate_to: localhost
"""

RETURN = r"""
migrations:
  description: A row for each migration, with C(version), C(name), C(state), C(depends) and C(since).
  returned: success
  type: list
  elements: dict
locks:
  description: The strongest lock of the run on each table that exists before the run.
  returned: success
  type: list
  elements: dict
unknown_locks:
  description: Places of statements whose text does not tell their locks.
  returned: success
  type: list
  elements: dict
outside:
  description: The statements whose effect leaves the database, with C(file), C(line) and C(what).
  returned: success
  type: list
  elements: dict
squawk:
  description: C(state), a sentence that is empty where squawk ran, and C(findings).
  returned: success
  type: dict
sql:
  description: The SQL of the pending files by name.
  returned: success
  type: dict
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import read_text, split_file
from ansible_collections.physioflow.database.plugins.module_utils.migrations.locks import run_locks
from ansible_collections.physioflow.database.plugins.module_utils.migrations.report import read_squawk, states


def run_squawk(module: AnsibleModule, files: dict[str, str]) -> dict[str, Any]:
    """Run squawk over the pending files, where it is installed on the controller."""
    program = shutil.which("squawk") or shutil.which("squawk", path=str(Path(sys.executable).parent))
    if program is None:
        return {"state": "not installed on the controller (pip install squawk-cli)", "findings": []}
    if not files:
        return {"state": "", "findings": []}
    config = module.params["squawk_config"]
    options = ["--config", config] if config and Path(config).is_file() else ["--pg-version", "16.0"]
    _, output, error = module.run_command([program, "--reporter", "json", *options, *files])
    try:
        return {"state": "", "findings": read_squawk(output, files)}
    except (ValueError, KeyError, TypeError):
        words = " ".join((error or output).split())[:200]
        return {"state": f"could not be run: {words}", "findings": []}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "migrations": {"type": "json", "required": True},
            "plan": {"type": "dict", "required": True},
            "sql": {"type": "bool", "default": False},
            "squawk_config": {"type": "path"},
        },
        supports_check_mode=True,
    )
    plan = module.params["plan"]
    parent = Path(module.params["directory"]).parent
    texts = [(entry["file"], read_text(parent / entry["file"], entry["file"]).text) for entry in plan["pending"]]
    locks, unknown = run_locks((file, split_file(text)) for file, text in texts)
    module.exit_json(
        changed=False,
        migrations=states(
            json.loads(module.params["migrations"]),
            json.loads(plan["applied"]),
            plan["pending"],
            in_doubt=plan["in_doubt"],
            rolled_back=plan["rolled_back"],
        ),
        locks=locks,
        unknown_locks=unknown,
        outside=[{"file": entry["file"], **place} for entry in plan["pending"] for place in entry.get("outside", ())],
        squawk=run_squawk(module, {str(parent / file): file for file, _ in texts}),
        sql=dict(texts) if module.params["sql"] else {},
    )


if __name__ == "__main__":
    main()
