#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: sign a server's request by the private CA of the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_sign
short_description: Sign the request of a server by the private CA of the controller
description:
  - Makes the CA where there is none and the host has not been given one before. Runs on the controller.
options:
  folder:
    description: Folder of ca.crt and ca.key.
    type: path
    required: true
  request:
    description: PEM of the request.
    type: str
    required: true
  reason:
    description: Why the host asks.
    type: str
    default: ""
  known_ca:
    description: Whether the host has a CA already; then none is made.
    type: bool
    default: false
  days:
    description: Days that the certificate is valid.
    type: int
    default: 365
attributes:
  check_mode:
    support: full
author:
  - PhysioFlow contributors
"""

EXAMPLES = r"""
- name: Sign it
  postgresql_sign:
    folder: inventories/production/tls
    request: "{{ asked.request }}"
  delegate_to: localhost
"""

RETURN = r"""
certificate:
  description: PEM of the certificate; empty in check mode.
  type: str
  returned: success
ca:
  description: PEM of the CA.
  type: str
  returned: success
"""

import fcntl
import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.postgresql_look import read
from ansible.module_utils.postgresql_tls import new_authority, sign, utc_now


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "request": {"type": "str", "required": True},
            "reason": {"type": "str", "default": ""},
            "known_ca": {"type": "bool", "default": False},
            "days": {"type": "int", "default": 365},
        },
        supports_check_mode=True,
    )
    params = module.params
    folder = Path(params["folder"])
    if params["known_ca"] and not read(folder / "ca.key"):
        module.fail_json(
            msg=f"The host needs a new certificate ({params['reason']}), and the key of its CA is not here: "
            f"{folder}/ca.key. Nothing was changed; clients know the old CA, so no other one is made. Copy ca.crt and "
            "ca.key from the controller that made them. Where they are lost: rm ca.crt in the cluster's folder in "
            "/etc/postgresql on the host, run again, and give the new ca.crt to all clients."
        )
    if module.check_mode:
        module.exit_json(changed=True, certificate="", ca=read(folder / "ca.crt"))
    os.umask(0o077)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the forks of one run: one CA for all hosts
        if not read(folder / "ca.key"):
            ca, key = new_authority("PhysioFlow database CA", utc_now())
            (folder / "ca.key.new").write_text(key, encoding="utf-8")
            (folder / "ca.crt").write_text(ca, encoding="utf-8")
            (folder / "ca.crt").chmod(0o644)
            (folder / "ca.key.new").replace(folder / "ca.key")
        ca = read(folder / "ca.crt")
        certificate = sign(params["request"], ca, read(folder / "ca.key"), utc_now(), params["days"])
    module.exit_json(changed=True, certificate=certificate, ca=ca)


if __name__ == "__main__":
    main()
