#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the Ansible action of this name: read and check the promise files of a release."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: verification_promises
short_description: Read and check what the migrations of a release promise
description:
  - Reads the promise files of a release and refuses, all at once and with file and key, whatever is wrong with them.
  - Runs on the controller as an action, without a process of its own; touches nothing.
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  directory:
    description: Folder of the promise files. A release without it promises nothing.
    type: path
    required: true
  migrations_directory:
    description: Folder of the release's migrations; each promise file is named like one of them.
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
    - A text, because Ansible would otherwise look through thousands of values for templates each time they are used.
  returned: success
  type: list
  elements: dict
"""
