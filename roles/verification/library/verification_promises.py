#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: read and check the promise files of a release."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: verification_promises
short_description: Read and check what the migrations of a release promise
description:
  - Reads the promise files of a release and refuses, all at once and with file and key, whatever is wrong with them.
  - Runs on the controller; touches nothing.
options:
  directory:
    description: Folder of the promise files. A release without it promises nothing.
    type: path
    required: true
  migrations_directory:
    description: Folder of the release's migrations; each promise file is named like one of them.
    type: path
    required: true
attributes:
  check_mode:
    support: full
author:
  - PhysioFlow contributors
"""

EXAMPLES = r"""
- name: Read and check the promises
  verification_promises:
    directory: "{{ release_directory }}/verify"
    migrations_directory: "{{ release_directory }}/migrations"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
promises:
  description:
    - The C(version) of each file, and its content as JSON in C(text).
    - A text, because Ansible would otherwise look through thousands of values for templates each time they are used.
  returned: success
  type: list
  elements: dict
"""

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.verification_release import read_promises


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "migrations_directory": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    migrations = [path.stem for path in Path(module.params["migrations_directory"]).glob("*.sql")]
    promises = read_promises(Path(module.params["directory"]), migrations)
    if promises.problems:
        module.fail_json(
            msg="\n".join(
                [
                    "The promises of the release are refused; no host was touched.",
                    *(f"  {problem}" for problem in promises.problems),
                    "Correct them and run the same command again.",
                ]
            )
        )
    texts = [{"version": each["version"], "text": json.dumps(each)} for each in promises.documents]
    module.exit_json(changed=False, promises=texts)


if __name__ == "__main__":
    main()
