#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: find the migrations of a rollback."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: migration_rollback
short_description: Return the migrations of a rollback, in their order
description:
  - Refuses migrations that are not applied, that others depend on or that have no rollback, with all reasons at once.
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
  applied:
    description: The applied versions.
    type: list
    elements: str
    required: true
  to:
    description: Roll back everything after this version; 000 for everything.
    type: str
    default: ""
  only:
    description: Roll back this version.
    type: str
    default: ""
  set:
    description: Roll back the applied versions of this set of the release.
    type: str
    default: ""
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Say what is to be rolled back
  physioflow.database.migration_rollback:
    directory: "{{ release_directory }}"
    migrations: "{{ migrations_release.migrations }}"
    applied: "{{ migrations_plan.applied | from_json | map(attribute='version') }}"
    to: "010"
  delegate_to: localhost
"""

RETURN = r"""
pending:
  description:
    - The rollbacks in the order of the run, in the form of catalog entries.
    - File, description and checksums are those of the rollback.
  returned: success
  type: list
  elements: dict
applied_versions:
  description: The currently applied versions.
  returned: success
  type: list
  elements: str
remaining_versions:
  description: The versions that remain applied after the rollback.
  returned: success
  type: list
  elements: str
has_history:
  description: Always true; a database without a history has nothing to roll back.
  returned: success
  type: bool
"""

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import (
    read_text,
    runs_alone,
)
from ansible_collections.physioflow.database.plugins.module_utils.migrations.parts import DOWN
from ansible_collections.physioflow.database.plugins.module_utils.migrations.rollback import (
    Rollback,
    plan_rollback,
    read_sets,
)
from ansible_collections.physioflow.database.plugins.module_utils.migrations.subsumed import subsumed


def read_steps(release: Path, rollback: Rollback) -> list[dict[str, Any]]:
    """Return the files of a rollback as entries of a plan, and add their errors to its problems."""
    steps: list[dict[str, Any]] = []
    texts: dict[str, str] = {}
    for entry in rollback.steps:
        if not entry["rollback"]:
            continue
        sql = read_text(release.parent / entry["rollback"], entry["rollback"], DOWN)
        if runs_alone(sql):
            rollback.problems.append(
                f"{sql.file} runs without a transaction, so it is not atomic with its history row. Write it "
                "without CONCURRENTLY."
            )
        texts[sql.file] = sql.text
        steps.append(
            {
                **entry,
                "file": sql.file,
                "description": sql.says("Description"),
                "sha256": sql.sha256,
                "sha256_raw": sql.sha256_raw,
                "transactional": True,
            }
        )
    needless = subsumed(texts)
    return [step | {"subsumed": step["file"] in needless} for step in steps]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "migrations": {"type": "json", "required": True},
            "applied": {"type": "list", "elements": "str", "required": True},
            "to": {"type": "str", "default": ""},
            "only": {"type": "str", "default": ""},
            "set": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    params = module.params
    release = Path(params["directory"])
    sets, _ = read_sets(release)
    rollback = plan_rollback(
        json.loads(params["migrations"]),
        params["applied"],
        to=params["to"],
        only=params["only"],
        named=params["set"],
        sets=sets,
    )
    steps = read_steps(release, rollback)
    if rollback.problems:
        lines = [
            "The rollback is refused; nothing was changed.",
            *(f"  {problem}" for problem in rollback.problems),
            "Correct it and run the command again.",
        ]
        module.fail_json(msg="\n".join(lines))
    going = {entry["version"] for entry in steps}
    module.exit_json(
        changed=False,
        pending=steps,
        applied_versions=params["applied"],
        remaining_versions=[version for version in params["applied"] if version not in going],
        has_history=True,
    )


if __name__ == "__main__":
    main()
