#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: the program, settings and timers with which a host backs itself up."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup_host
short_description: Let a host take and drill its backups by timers
description:
  - Puts user, program, settings and units of systemd in place, in one run where ten tasks would be needed, and starts
    or stops the timers. The program is the role's own Python, as Ansible sent it with this module.
extends_documentation_fragment:
  - physioflow.database.attributes
  - physioflow.database.restic
options:
  user:
    description: User of the host who takes the backups; made where it is missing.
    type: str
    required: true
  directory:
    description: Folder of the backups.
    type: path
    required: true
  program:
    description: Folder of the program.
    type: path
    required: true
  command:
    description: Text of the command in that folder that runs the role's Python.
    type: str
    required: true
  configuration:
    description: Folder of the settings.
    type: path
    required: true
  settings:
    description: The settings of the backups.
    type: dict
    required: true
  units:
    description: Units of systemd, by name.
    type: dict
    required: true
  timers:
    description: Whether each timer runs, by the name of its unit.
    type: dict
    required: true
attributes:
  diff_mode:
    support: partial
    details: The settings hold secrets and are not shown; of the program only the names of its files are.
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Put user, program, settings and timers in place
  physioflow.database.backup_host:
    user: emr_backup
    directory: /var/backups/physioflow
    program: /usr/local/lib/physioflow-backup
    command: "#!/usr/bin/python3"
    configuration: /etc/physioflow-backup
    settings: {database: physioflow}
    restic: {}
    units: {physioflow-backup.timer: "[Timer]"}
    timers: {physioflow-backup.timer: true}
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode.
  type: list
  elements: str
  returned: success
restic_missing:
  description: Whether there is a repository and no restic to reach it.
  type: bool
  returned: success
"""

import grp
import os
import pwd
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import ansible_collections.physioflow.database.plugins.module_utils.backup.actions  # noqa: F401 - with all that it imports: what the timers run
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.backup.settings import RESTIC_OPTIONS
from ansible_collections.physioflow.database.plugins.module_utils.system.host_program import (
    File,
    Host,
    json_text,
    program_files,
)

COMMAND = "physioflow-backup"
MAY_BE_THERE = {"lost+found"}  # in a volume that was just made


class Account(NamedTuple):
    """The user who takes the backups; ids of 0 until it is made."""

    name: str
    uid: int
    gid: int


def wanted_files(params: dict[str, Any], group: int) -> list[File]:
    """Return the files that are to be there."""
    settings = json_text({**params["settings"], "restic": params["restic"]})
    files: list[File] = program_files(
        Path(params["program"]),
        command=COMMAND,
        text=params["command"],
        # The restic password is in it: for the user who takes the backups, who must not change it.
        settings=File(Path(params["configuration"]) / "settings.json", settings, 0o640, group),
        units=params["units"],
    )
    return files


class BackupHost(Host):
    """The host of backups."""

    def bring_about(self) -> None:
        """Do it all."""
        account = self.make_user()
        files = wanted_files(self.params, account.gid)
        self.check_calendars(files, "backup_timer, backup_drill_timer")
        self.make_folders(account)
        self.put(Path(self.params["program"]), files, self.params["timers"])

    def make_user(self) -> Account:
        """Make the user, who logs in nowhere, where it is missing."""
        name = self.params["user"]
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            if not self.note(f"make the user {name}"):
                return Account(name, 0, 0)
            self.run(
                "useradd",
                "--system",
                *self._group(name),
                f"--home-dir={self.params['directory']}",
                "--no-create-home",
                "--shell=/usr/sbin/nologin",
                "--comment=PhysioFlow backups",
                name,
            )
            found = pwd.getpwnam(name)
        return Account(name, found.pw_uid, found.pw_gid)

    @staticmethod
    def _group(name: str) -> list[str]:
        try:
            grp.getgrnam(name)
        except KeyError:
            return ["--user-group"]
        return [f"--gid={name}"]

    def make_folders(self, account: Account) -> None:
        """Make the folder of the backups, and of a repository on this host, private to the user."""
        repository = (self.params["restic"]["repository"] or "").removeprefix("local:")
        for name in [self.params["directory"], *([repository] if repository.startswith("/") else [])]:
            path = Path(name)
            if path.is_symlink() or (path.exists() and not path.is_dir()):
                self.fail(f"{path} is {'a symbolic link' if path.is_symlink() else 'a file'}, and is to be a folder.")
            found = path.stat() if path.exists() else None
            if found and (found.st_uid, found.st_mode & 0o7777) == (account.uid, 0o700):
                continue
            if found and found.st_uid != account.uid and {entry.name for entry in path.iterdir()} - MAY_BE_THERE:
                owner = found.st_uid
                self.fail(
                    f"{path} belongs to the user id {owner} and is not empty, so it is not made private to "
                    f"{account.name}. Name a folder that is only for backups, or chown -R {account.name}: {path}."
                )
            if self.note(f"make {path} the private folder of {account.name}"):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.chown(path, account.uid, account.gid)
                path.chmod(0o700)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "user": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "program": {"type": "path", "required": True},
            "command": {"type": "str", "required": True},
            "configuration": {"type": "path", "required": True},
            "settings": {"type": "dict", "required": True},
            "restic": {"type": "dict", "default": {}, "options": RESTIC_OPTIONS},
            "units": {"type": "dict", "required": True},
            "timers": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    host = BackupHost(module)
    try:
        host.bring_about()
    except OSError as error:
        module.fail_json(
            msg=f"{error.filename} cannot be written: {error.strerror}. Remove the cause and run the same command "
            "again.",
            actions=host.done,
        )
    module.exit_json(
        changed=bool(host.done),
        actions=host.done,
        diff=host.diff,
        restic_missing=bool(module.params["restic"]["repository"]) and not shutil.which("restic"),
    )


if __name__ == "__main__":
    main()
