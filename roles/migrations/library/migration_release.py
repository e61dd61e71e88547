#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: read and check a release folder."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: migration_release
short_description: Read and check the migrations of a release
description:
  - Reads C(migrations/) and C(rollbacks/) of a release folder and refuses, all at once and with file and line,
    whatever would fail or silently go wrong on a database.
  - Refuses variables of the command that no role knows, with the name that was probably meant. Warns of those of the
    inventory that are nearly called as one of ours.
  - Runs on the controller; touches nothing.
options:
  directory:
    description: Folder of the release. Left out, only the variables are looked at.
    type: path
  header_required:
    description:
      - Whether files named C(NNN_name.sql) have to begin with our header. Files named as other tools name theirs never
        have to.
    type: bool
    default: true
  variables:
    description: Names of all variables of the hosts.
    type: list
    elements: str
    default: []
  extra_variables:
    description: Names of those that were given with -e.
    type: list
    elements: str
    default: []
  roles:
    description: Folder of the roles, whose C(meta/argument_specs.yml) declare the variables there are.
    type: path
    required: true
  shared_variables:
    description: Names of further variables that there are.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
author:
  - PhysioFlow contributors
"""

EXAMPLES = r"""
- name: Read and check the release
  migration_release:
    directory: "{{ release_directory }}"
    roles: "{{ role_path | dirname }}"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
migrations:
  description:
    - The migrations in the order in which they are applied, without their SQL, as JSON.
    - A text, because Ansible would otherwise look through every value for templates each time they are used.
  returned: success
  type: str
repeatable:
  description: The repeatable files in the order in which they are applied, as JSON.
  returned: success
  type: str
release:
  description: First 12 hex digits of the checksum of the catalog.
  returned: success
  type: str
"""

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.migration_catalog import Catalog, read_catalog
from ansible.module_utils.migration_rollback import read_sets
from ansible.module_utils.migration_variables import declared_variables, resembling_variables, unknown_variables


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path"},
            "header_required": {"type": "bool", "default": True},
            "variables": {"type": "list", "elements": "str", "default": []},
            "extra_variables": {"type": "list", "elements": "str", "default": []},
            "roles": {"type": "path", "required": True},
            "shared_variables": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    catalog = Catalog()
    if module.params["directory"]:
        release = Path(module.params["directory"])
        if not release.is_dir():
            module.fail_json(
                msg=f"There is no release folder {release}. Nothing was touched. Correct release_directory."
            )
        catalog = read_catalog(release, module.params["header_required"])
    problems = [str(finding) for finding in catalog.findings]
    if module.params["directory"]:
        problems += read_sets(release)[1]
    known = module.params["shared_variables"] + declared_variables(Path(module.params["roles"]))
    extra = module.params["extra_variables"]
    problems += unknown_variables(extra, known)
    if problems:
        module.fail_json(
            msg="\n".join(
                [
                    "The release or the inventory is refused; no host was touched.",
                    *(f"  {problem}" for problem in problems),
                    "Correct it and run the same command again.",
                ]
            )
        )
    for warning in catalog.warnings:
        module.warn(warning)
    for note in resembling_variables(set(module.params["variables"]) - set(extra), known):
        module.warn(note)
    for migration in [*catalog.migrations, *catalog.repeatable]:
        for note in migration.notes:
            module.warn(f"{migration.file} {note}.")
    module.exit_json(
        changed=False,
        migrations=json.dumps([migration.as_dict() for migration in catalog.migrations]),
        repeatable=json.dumps([file.as_dict() for file in catalog.repeatable]),
        release=catalog.release,
    )


if __name__ == "__main__":
    main()
