#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: ask for a certificate where a host needs one."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_request
short_description: Make the key of a server, and ask for a certificate where one is needed
description:
  - The key never leaves the host. Needs cryptography on the host.
options:
  folder:
    description: Folder of server.key, server.crt and ca.crt.
    type: path
    required: true
  names:
    description: Names and addresses of the host.
    type: list
    elements: str
    required: true
  ca:
    description: PEM of the CA of the controller; empty where it has none.
    type: str
    default: ""
  days_before:
    description: Days before its end that a certificate is renewed.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
author:
  - PhysioFlow contributors
"""

EXAMPLES = r"""
- name: Ask for a certificate
  postgresql_request:
    folder: /etc/postgresql/16/main
    names: [db1.example]
"""

RETURN = r"""
request:
  description: The request, empty where none is needed.
  type: str
  returned: success
reason:
  description: Why a certificate is needed.
  type: str
  returned: success
known_ca:
  description: Whether the host has been given a CA before.
  type: bool
  returned: success
"""

import os
import pwd
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.postgresql_look import read
from ansible.module_utils.postgresql_tls import new_key, new_request, renewal_reason, utc_now


def write_key(path: Path, text: str) -> None:
    """Write a key that only the server reads, whole or not at all."""
    owner = pwd.getpwnam("postgres")
    descriptor, name = tempfile.mkstemp(prefix=".physioflow-", dir=path.parent)  # 0600
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchown(descriptor, owner.pw_uid, owner.pw_gid)
        os.fsync(descriptor)
    Path(name).replace(path)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "ca": {"type": "str", "default": ""},
            "days_before": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["folder"])
    names = module.params["names"]
    key = read(folder / "server.key")
    known = read(folder / "ca.crt")
    reason = renewal_reason(
        read(folder / "server.crt"),
        key,
        module.params["ca"] or known,
        names=names,
        now=utc_now(),
        days_before=module.params["days_before"],
    )
    made = bool(reason) and not key
    if made:
        key = new_key()
        if not module.check_mode:
            write_key(folder / "server.key", key)
    module.exit_json(
        changed=made, reason=reason, request=new_request(key, names) if reason else "", known_ca=bool(known)
    )


if __name__ == "__main__":
    main()
