#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: explain why apt failed."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_apt_failure
short_description: Explain why apt failed
description:
  - Always fails, with the cause, the state of the host and the next step.
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  error:
    description: The message of the failed task.
    type: str
    required: true
  repository:
    description: Address of the PostgreSQL repository; empty for that of the distribution.
    type: str
    default: ""
  proxy:
    description: Proxy of apt; empty for none.
    type: str
    default: ""
  lock_timeout:
    description: Seconds that apt waited for its lock.
    type: int
    required: true
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Explain the failure
  physioflow.database.postgresql_apt_failure:
    error: "{{ ansible_failed_result.msg }}"
    lock_timeout: 120
"""

RETURN = r"""#"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.system.apt import explain
from ansible_collections.physioflow.database.plugins.module_utils.system.look import (
    lock_holder,
    process_name,
    run,
    unfinished_packages,
)

UPDATE_FAILED = "Failed to update apt cache"
UPDATE_OPTIONS = ("-qq", "-o", "APT::Update::Error-Mode=any", "-o", "Acquire::Retries=0", "-o", "DPkg::Lock::Timeout=5")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "error": {"type": "str", "required": True},
            "repository": {"type": "str", "default": ""},
            "proxy": {"type": "str", "default": ""},
            "lock_timeout": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    message = module.params["error"]
    holder = lock_holder()
    if UPDATE_FAILED in message:  # python-apt does not tell Ansible's module the cause
        message += f" {run(['apt-get', 'update', *UPDATE_OPTIONS]).err}"
    module.fail_json(
        msg=explain(
            message,
            repository=module.params["repository"],
            proxy=module.params["proxy"],
            holder=process_name(holder) if holder else "",
            unfinished=unfinished_packages(),
            waited=module.params["lock_timeout"],
        )
    )


if __name__ == "__main__":
    main()
