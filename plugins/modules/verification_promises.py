#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the Ansible action of this name: read and check the promise files of a release."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: verification_promises
short_description: Read and check the promises of the migrations of a release
description:
  - Reads the promise files of a release. Fails with all errors in them at once, with file and key.
  - Runs on the controller as an action, without a process of its own. Changes nothing.
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  directory:
    description: Folder of the promise files. A release without this folder has no promises.
    type: path
    required: true
  migrations_directory:
    description: Folder of the release's migrations. Each promise file has the name of a migration.
    type: path
    required: true
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Read and check the promises
  physioflow.database.verification_promises:
    directory: "{{ release_directory }}/verify"
    migrations_directory: "{{ release_directory }}/migrations"
  run_once: true
"""

RETURN = r"""
promises:
  description:
    - The C(version) of each file, and its content as JSON in C(text).
    - A text, because Ansible would otherwise search thousands of values for templates at each use.
  returned: success
  type: list
  elements: dict
"""
