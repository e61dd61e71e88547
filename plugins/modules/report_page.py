#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: write the report of a database as one HTML page."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: report_page
short_description: Write the report of a database as one HTML page
description:
  - Runs on the controller. The page needs no other file, no network and no script.
  - A page holds its time of creation, so every run changes it.
requirements: [pygal, jinja2]
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  file:
    description: Path of the page. Its folder is created. Only the user who runs Ansible can read both.
    type: path
    required: true
  templates:
    description: Folder of the template.
    type: path
    required: true
  host:
    description: Name of the host on the page.
    type: str
    required: true
  language:
    description: Language in which the page opens.
    type: str
    choices: [vi, en]
    default: vi
  timezone:
    description: Time zone of the times on the page, as a name of the tz database.
    type: str
    default: Asia/Ho_Chi_Minh
  status:
    description: What M(physioflow.database.database_status) returned with C(details).
    type: dict
    required: true
  verification:
    description: What M(physioflow.database.database_verification) returned.
    type: dict
    required: true
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Write the page
  physioflow.database.report_page:
    file: /home/me/report/db1.html
    templates: "{{ role_path }}/templates"
    host: db1
    status: "{{ status_result }}"
    verification: "{{ verification_result }}"
  delegate_to: localhost
"""

RETURN = r"""
file:
  description: Path of the page.
  returned: success
  type: str
lines:
  description: The output for the user.
  returned: success
  type: list
  elements: str
"""

import os
import sys
import tempfile
from pathlib import Path
from zoneinfo import ZoneInfo

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.report.charts import MISSING
from ansible_collections.physioflow.database.plugins.module_utils.report.page import render


def write(module: AnsibleModule, path: Path, page: str) -> None:
    """Write a page atomically."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    module.add_cleanup_file(name)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(page)
    Path(name).replace(path)  # keeps its mode 0600, which atomic_move would widen


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "file": {"type": "path", "required": True},
            "templates": {"type": "path", "required": True},
            "host": {"type": "str", "required": True},
            "language": {"type": "str", "choices": ["vi", "en"], "default": "vi"},
            "timezone": {"type": "str", "default": "Asia/Ho_Chi_Minh"},
            "status": {"type": "dict", "required": True},
            "verification": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
        no_log=True,  # no secret, but too long for the controller's system log
    )
    params = module.params
    if MISSING:
        module.fail_json(
            msg=f"The charts of the report need pygal, which {sys.executable} on the controller lacks. No page was "
            f"written. Next: {sys.executable} -m pip install --require-hashes -r requirements.txt"
        )
    try:
        timezone = ZoneInfo(params["timezone"])
    except (ValueError, OSError, KeyError):
        module.fail_json(
            msg=f"report_timezone is {params['timezone']}, which this controller does not know. No page was written. "
            "Set a name of the tz database, for example Asia/Ho_Chi_Minh."
        )
    path = Path(params["file"])
    page = render(
        Path(params["templates"]),
        timezone=timezone,
        **{name: params[name] for name in ("host", "language", "status", "verification")},
    )
    told = f"The report of {params['host']}: {path.as_uri()}"
    if module.check_mode:
        module.exit_json(changed=True, file=str(path), lines=[f"{told} would be written."])
    try:
        write(module, path, page)
    except OSError as error:
        module.fail_json(
            msg=f"{path} cannot be written: {error.strerror}. Set another folder: -e report_directory=FOLDER"
        )
    module.exit_json(changed=True, file=str(path), lines=[told])


if __name__ == "__main__":
    main()
