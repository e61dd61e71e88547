#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: refuse what an inventory must not ask of a server, on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_input
short_description: Refuse what an inventory must not ask of a server
description:
  - Runs on the controller, before a host is touched. Only reads.
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  hba:
    description: Rules of pg_hba.conf, as the inventory has them.
    type: list
    elements: dict
    default: []
  peer_users:
    description: Roles that come in by the socket.
    type: list
    elements: str
    default: []
  listen_addresses:
    description: Addresses that the server listens on.
    type: list
    elements: str
    required: true
  settings:
    description: Server settings of the inventory.
    type: dict
    default: {}
  certificate:
    description: PEM of a certificate of the inventory, or empty.
    type: str
    default: ""
  key:
    description: PEM of its key.
    type: str
    default: ""
  key_file:
    description: Where on the controller the key comes from; refused where others can read it.
    type: path
  names:
    description: Names and addresses of the host.
    type: list
    elements: str
    required: true
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Refuse what a server must not be asked
  physioflow.database.postgresql_input:
    listen_addresses: [localhost]
    names: [db1.example]
  delegate_to: localhost
"""

RETURN = r"""
alternative_names:
  description: The names and addresses as community.crypto writes them, for instance DNS:db1.example.
  type: list
  elements: str
  returned: success
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.system.files import (
    hba_problems,
    listen_problems,
    setting_problems,
)
from ansible_collections.physioflow.database.plugins.module_utils.system.tls import (
    alternative_name,
    own_problems,
    utc_now,
)

OPEN = 0o077


def key_file_problems(path: str | None) -> list[str]:
    """Return a sentence where a key can be read by others than its owner."""
    if not path:
        return []
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        return [f"postgresql_tls_key_file cannot be read: {error.strerror}: {path}."]
    if mode & OPEN:
        return [f"The key {path} can be read by others ({mode & 0o777:04o}). Run: chmod 0600 {path}."]
    return []


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "hba": {"type": "list", "elements": "dict", "default": []},
            "peer_users": {"type": "list", "elements": "str", "default": []},
            "listen_addresses": {"type": "list", "elements": "str", "required": True},
            "settings": {"type": "dict", "default": {}},
            "certificate": {"type": "str", "default": ""},
            "key": {"type": "str", "default": "", "no_log": True},
            "key_file": {"type": "path", "no_log": False},
            "names": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    problems = [
        *setting_problems(params["settings"]),
        *listen_problems(params["listen_addresses"]),
        *hba_problems(params["hba"], params["peer_users"]),
        *key_file_problems(params["key_file"]),
        *own_problems(params["certificate"], params["key"], params["names"], utc_now()),
    ]
    if problems:
        module.fail_json(
            msg="\n".join([*problems, "Nothing was changed. Correct the inventory and run the same command again."])
        )
    module.exit_json(changed=False, alternative_names=sorted({alternative_name(name) for name in params["names"]}))


if __name__ == "__main__":
    main()
