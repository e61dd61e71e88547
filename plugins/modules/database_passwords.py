#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: refuse passwords that are easy to guess."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_passwords
short_description: Refuse passwords that are easy to guess
description:
  - Runs on the controller, before any host is changed. Changes nothing. Its messages hold no password.
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  passwords:
    description: Passwords by purpose.
    type: dict
    required: true
  names:
    description: Names of the service, its roles and its database.
    type: list
    elements: str
    default: []
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Refuse weak passwords
  physioflow.database.database_passwords:
    passwords: "{{ database_passwords }}"
    names: [emr, physioflow]
  delegate_to: localhost
"""

RETURN = "# "

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.database.passwords import password_problems


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "passwords": {"type": "dict", "required": True, "no_log": True},
            "names": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    passwords = {purpose: str(password or "") for purpose, password in module.params["passwords"].items()}
    if problems := password_problems(passwords, module.params["names"]):
        # Ansible would mask no_log values that equal words of these sentences.
        module.no_log_values = set()
        module.fail_json(
            msg="\n".join(
                [
                    *problems,
                    "No host was touched. Create new ones (openssl rand -base64 24), put them into vault.yml with "
                    "ansible-vault edit, and run the same command again.",
                ]
            ),
            invocation="not shown",
        )
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
