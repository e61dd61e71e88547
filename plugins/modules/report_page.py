#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: write a page of what was read."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: report_page
short_description: Write one HTML page of what was read of a database
description:
  - Runs on the controller. The page needs no other file, no network and no script.
  - A page says when it was made, so that every run writes another one.
requirements: [pygal, jinja2]
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  file:
    description: The page. Its folder is made; both are for the person alone who runs Ansible.
    type: path
    required: true
  templates:
    description: Folder of the template.
    type: path
    required: true
  host:
    description: How the host is called on the page.
    type: str
    required: true
  language:
    description: What the page opens with.
    type: str
    choices: [vi, en]
    default: vi
  timezone:
    description: In which the page gives times, as the tz database names it.
    type: str
    default: Asia/Ho_Chi_Minh
  status:
    description: What M(physioflow.database.database_status) returned.
    type: dict
    required: true
  found:
    description: What M(physioflow.database.report_database) returned.
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
    found: "{{ report_found }}"
    verification: "{{ verification_result }}"
  delegate_to: localhost
"""

RETURN = r"""
file:
  description: The page.
  returned: success
  type: str
lines:
  description: What to show.
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
    """Put a page in its place, whole or not at all."""
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
            "found": {"type": "dict", "required": True},
            "verification": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
        no_log=True,  # what it is given is no secret, but too long for the controller's system log
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
            "Give a name of the tz database, as Asia/Ho_Chi_Minh."
        )
    path = Path(params["file"])
    page = render(
        Path(params["templates"]),
        timezone=timezone,
        **{name: params[name] for name in ("host", "language", "status", "found", "verification")},
    )
    told = f"The report of {params['host']}: {path.as_uri()}"
    if module.check_mode:
        module.exit_json(changed=True, file=str(path), lines=[f"{told} would be written."])
    try:
        write(module, path, page)
    except OSError as error:
        module.fail_json(
            msg=f"{path} cannot be written: {error.strerror}. Give another folder: -e report_directory=FOLDER"
        )
    module.exit_json(changed=True, file=str(path), lines=[told])


if __name__ == "__main__":
    main()
