#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the Ansible action of this name: read and check a release folder."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: migration_release
short_description: Read and check the migrations of a release
description:
  - Reads C(migrations/) and C(rollbacks/) of a release folder and refuses, all at once and with file and line,
    whatever would fail or silently go wrong on a database.
  - Refuses variables given with -e that no role knows, with the name that was probably meant. Warns of those of the
    inventory that are nearly called as one of ours.
  - Runs on the controller as an action, without a process of its own; touches nothing.
extends_documentation_fragment:
  - physioflow.database.attributes
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
  roles:
    description: Folder of the roles, whose C(meta/argument_specs.yml) declare the variables there are.
    type: path
    required: true
  shared_variables:
    description: Names of further variables that there are.
    type: list
    elements: str
    default: []
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Read and check the release
  physioflow.database.migration_release:
    directory: "{{ release_directory }}"
    roles: "{{ role_path | dirname }}"
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
