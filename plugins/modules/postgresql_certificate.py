#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: look whether a server needs a certificate of the private CA, and may have one."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_certificate
short_description: Look whether a server needs a certificate of the private CA
description:
  - Says why a certificate has to be made, so that the modules of community.crypto run only where one is needed.
  - Refuses to go on where the clients of the host would not know the CA that signs it.
  - Only reads. Needs cryptography on the host.
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  folder:
    description: Folder of server.key, server.crt and ca.crt on the host.
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
  ca_folder:
    description: Where it lies on the controller.
    type: str
    required: true
  can_sign:
    description: Whether the key of the CA lies there, too.
    type: bool
    required: true
  days_before:
    description: Days before its end that a certificate is renewed.
    type: int
    default: 30
attributes:
  diff_mode:
    support: full
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Look whether a certificate is needed
  physioflow.database.postgresql_certificate:
    folder: /etc/postgresql/16/main
    names: [db1.example]
    ca_folder: inventories/production/.tls
    can_sign: true
"""

RETURN = r"""
reason:
  description: Why a certificate is needed; empty where none is.
  type: str
  returned: success
elsewhere:
  description: Whether the host has been given a CA that this controller does not have.
  type: bool
  returned: success
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.system.look import read
from ansible_collections.physioflow.database.plugins.module_utils.system.tls import (
    ca_refusal,
    ends_within,
    renewal_reason,
    utc_now,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "ca": {"type": "str", "default": ""},
            "ca_folder": {"type": "str", "required": True},
            "can_sign": {"type": "bool", "required": True},
            "days_before": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    params = module.params
    folder = Path(params["folder"])
    known = read(folder / "ca.crt")
    ca = params["ca"] or known
    now = utc_now()
    reason = renewal_reason(
        read(folder / "server.crt"),
        read(folder / "server.key"),
        ca,
        names=params["names"],
        now=now,
        days_before=params["days_before"],
    )
    places = {"here": params["ca_folder"], "there": str(folder)}
    if refusal := ca_refusal(known, params["ca"], reason, can_sign=params["can_sign"], **places):
        module.fail_json(msg=refusal)
    if ends_within(ca, now, params["days_before"]):
        module.warn(
            f"The CA of {params['ca_folder']} is about to end, and no certificate outlives it: see Change the CA in "
            "docs/connect-an-application.md."
        )
    # Where it is needed, and nothing is done about it.
    preview = {"changed": bool(reason), "diff": {"prepared": f"A new server.crt, as {reason}\n" if reason else ""}}
    elsewhere = bool(known) and not params["ca"]
    module.exit_json(reason=reason, elsewhere=elsewhere, **(preview if module.check_mode else {"changed": False}))


if __name__ == "__main__":
    main()
