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
  - Reads C(migrations/) and C(rollbacks/) of a release folder. Refuses whatever would fail or silently go wrong on a
    database, and lists all of it at once, with file and line.
  - Refuses variables given with -e that no role knows, and proposes the most similar name. Warns about inventory
    variables whose name resembles one of ours.
  - Runs on the controller as an action, without a process of its own. Changes nothing.
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  directory:
    description: Folder of the release. Without it, only the variables are checked.
    type: path
  header_required:
    description:
      - Whether files named C(NNN_name.sql) must begin with our header. Files with the names of other tools never need
        it.
    type: bool
    default: true
  variables:
    description: Names of all variables of the hosts.
    type: list
    elements: str
    default: []
  roles:
    description: Folder of the roles, whose C(meta/argument_specs.yml) declare the known variables.
    type: path
    required: true
  shared_variables:
    description: Names of further known variables.
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
    - A text, because Ansible would otherwise search every value for templates at each use.
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
