#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the Ansible action of this name: refuse forbidden server options of an inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_input
short_description: Refuse forbidden server options of an inventory
description:
  - Runs on the controller as an action, before a host is touched, without a process of its own. Only reads.
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  hba:
    description: Rules of pg_hba.conf from the inventory.
    type: list
    elements: dict
    default: []
  peer_users:
    description: Roles that log in over the socket.
    type: list
    elements: str
    default: []
  listen_addresses:
    description: Listen addresses of the server.
    type: list
    elements: str
    required: true
  settings:
    description: Server settings from the inventory.
    type: dict
    default: {}
  certificate:
    description: PEM of a certificate from the inventory, or empty.
    type: str
    default: ""
  key:
    description: PEM of its key.
    type: str
    default: ""
  key_file:
    description: File of the key on the controller; refused where other users can read it.
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
  description: The names and addresses in the notation of community.crypto, for instance DNS:db1.example.
  type: list
  elements: str
  returned: success
"""
