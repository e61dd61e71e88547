#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: compare files, folders and timers of a host with the wanted state."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_files_info
short_description: Compare files, folders and timers of a host with the wanted state
description:
  - Replaces a dozen tasks that would each find nothing to do. Those tasks run only where this module reports a
    difference.
  - Refuses, before anything is changed, a calendar time that systemd cannot parse and a folder that cannot be made
    private to the user.
  - Only reads.
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  user:
    description: System user that the timers run as.
    type: str
    required: true
  user_required:
    description: Refuse a host that does not have the user.
    type: bool
    default: false
  files:
    description: Files of root.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Path of the file.
        type: path
        required: true
      sha256:
        description: SHA-256 of its content.
        type: str
        required: true
      mode:
        description: Mode of the file. With 0640 its group is that of the user, otherwise that of root.
        type: str
        default: "0644"
  private_directories:
    description: Folders that only the user can access.
    type: list
    elements: path
    default: []
  directories:
    description: Folders that must exist, whatever their owner.
    type: list
    elements: path
    default: []
  absent:
    description: Files of earlier releases that must not exist.
    type: list
    elements: path
    default: []
  timers:
    description: Whether each timer runs, by the name of its unit.
    type: dict
    required: true
  calendars:
    description: Calendar times of the timers (systemd.time), by the name of their variable.
    type: dict
    default: {}
  programs:
    description: Programs that must be installed.
    type: list
    elements: str
    default: []
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Look what the timers of the host lack
  physioflow.database.host_files_info:
    user: emr_backup
    files: [{path: /etc/systemd/system/physioflow-backup.timer, sha256: 6e340b9cffb37a98}]
    timers: {physioflow-backup.timer: true}
"""

RETURN = r"""
differing:
  description: Files, folders, timers and programs, and the user, where they differ from the wanted state.
  type: list
  elements: str
  returned: success
group:
  description: Primary group of the user; the user's name where the user does not exist yet.
  type: str
  returned: success
"""

import grp
import hashlib
import os
import pwd
import shutil
import stat
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

GROUP_READS = 0o640
MAY_BE_THERE = {"lost+found"}  # in a new volume
UNTOUCHED = "No timer was changed."


def file_differs(wanted: dict[str, str], gid: int | None) -> bool:
    """Return whether a file is missing, or differs in content, mode, owner or group.

    Args:
        wanted: an entry of the option `files`.
        gid: primary group of the user.
    """
    path, mode = Path(wanted["path"]), int(wanted["mode"], 8)
    if not path.is_file():
        return True
    found = path.lstat()
    return (found.st_mode, found.st_uid, found.st_gid) != (
        stat.S_IFREG | mode,
        0,
        gid if mode == GROUP_READS else 0,
    ) or hashlib.sha256(path.read_bytes()).hexdigest() != wanted["sha256"]


def private_differs(path: Path, uid: int | None) -> bool:
    """Return whether a folder is missing, or not private to a user."""
    return not path.is_dir() or (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) != (uid, 0o700)


def folder_problem(path: Path, user: str, uid: int | None) -> str:
    """Return why a folder cannot be made private to a user; empty where it can."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        return f"{path} is {'a symbolic link' if path.is_symlink() else 'a file'}, but must be a folder."
    if path.exists() and path.stat().st_uid != uid and {entry.name for entry in path.iterdir()} - MAY_BE_THERE:
        return (
            f"{path} belongs to the user id {path.stat().st_uid} and is not empty, so it was not made private to "
            f"{user}. Name a folder only for backups, or chown -R {user}: {path}."
        )
    return ""


def timers_differing(module: AnsibleModule) -> list[str]:
    """Return the timers that are wrongly running, or wrongly not started with the host."""
    timers = module.params["timers"]
    out = module.run_command(["systemctl", "show", "--property=UnitFileState,ActiveState", *timers])[1]
    runs = {"UnitFileState=enabled", "ActiveState=active"}
    found = [runs.intersection(lines.split()) for lines in out.split("\n\n")]
    return [name for name, state in zip(timers, found, strict=True) if state != (runs if timers[name] else set())]


def main() -> None:
    """Run the module."""
    paths = {"type": "list", "elements": "path", "default": []}
    module = AnsibleModule(
        argument_spec={
            "user": {"type": "str", "required": True},
            "user_required": {"type": "bool", "default": False},
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    # A reader of the log could test guesses of a secret against the hash of its file.
                    "sha256": {"type": "str", "required": True, "no_log": True},
                    "mode": {"type": "str", "default": "0644"},
                },
            },
            "private_directories": paths,
            "directories": paths,
            "absent": paths,
            "timers": {"type": "dict", "required": True},
            "calendars": {"type": "dict", "default": {}},
            "programs": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    params: dict[str, Any] = module.params
    name = params["user"]
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        user = None
        if params["user_required"] and not module.check_mode:
            module.fail_json(
                msg=f"The host has no user {name}. Next: ansible-playbook deploy.yml creates it. {UNTOUCHED}"
            )
    uid, gid = (user.pw_uid, user.pw_gid) if user else (None, None)
    differing = [
        *([] if user else [name]),
        *(each for each in params["private_directories"] if private_differs(Path(each), uid)),
        *(each for each in params["directories"] if not Path(each).is_dir()),
        *(each["path"] for each in params["files"] if file_differs(each, gid)),
        *(each for each in params["absent"] if os.path.lexists(each)),
        *(each for each in params["programs"] if not shutil.which(each)),
        *timers_differing(module),
    ]
    problems = [folder_problem(Path(each), name, uid) for each in params["private_directories"]]
    for variable, value in params["calendars"].items() if differing else ():
        if value and module.run_command(["systemd-analyze", "calendar", value])[0]:
            problems.append(f"{value!r} is not a systemd calendar time: correct {variable}.")
    if any(problems):
        module.fail_json(msg=" ".join([*filter(None, problems), UNTOUCHED]))
    module.exit_json(changed=False, differing=differing, group=grp.getgrgid(user.pw_gid).gr_name if user else name)


if __name__ == "__main__":
    main()
