#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the Ansible action of this name: refuse what an inventory must not ask of a server."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_input
short_description: Refuse what an inventory must not ask of a server
description:
  - Runs on the controller as an action, before a host is touched, without a process of its own. Only reads.
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
"""

RETURN = r"""
alternative_names:
  description: The names and addresses as community.crypto writes them, for instance DNS:db1.example.
  type: list
  elements: str
  returned: success
"""
