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
  restic:
    description: The repository for copies off the host; see M(backup_act).
    type: dict
    required: true
    suboptions:
      repository:
        description: As restic's option C(--repo) takes it; empty for none.
        type: str
        default: ""
      password:
        description: Password of the repository.
        type: str
        default: ""
      environment:
        description: Variables that the kind of repository needs.
        type: dict
        default: {}
      only:
        description: Let no plain dump stay on the host.
        type: bool
        default: false
  units:
    description: Units of systemd, by name.
    type: dict
    required: true
  timers:
    description: Whether each timer runs, by the name of its unit.
    type: dict
    required: true
attributes:
  check_mode:
    support: full
  diff_mode:
    support: partial
    details: The settings hold secrets and are not shown; of the program only the names of its files are.
author:
  - PhysioFlow contributors
"""

EXAMPLES = r"""
- name: Put user, program, settings and timers in place
  backup_host:
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
import json
import os
import pkgutil
import pwd
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ansible.module_utils
import ansible.module_utils.backup_acts  # with all that it imports: what the timers run
from ansible.module_utils.basic import AnsibleModule

UNITS = Path("/etc/systemd/system")
COMMAND = "physioflow-backup"
PACKAGE = Path("ansible/module_utils")
MAY_BE_THERE = {"lost+found"}  # in a volume that was just made


class Account(NamedTuple):
    """The user who takes the backups; ids of 0 until it is made."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class File:
    """A file of root that is to be there."""

    path: Path
    text: str
    mode: int
    group: int = 0
    shown: bool = False  # in a diff

    def differs(self) -> bool:
        """Whether it is not as it is to be."""
        try:
            found = self.path.lstat()
            return self.path.read_bytes() != self.text.encode() or (
                found.st_mode & 0o7777,
                found.st_uid,
                found.st_gid,
            ) != (self.mode, 0, self.group)
        except FileNotFoundError:
            return True

    def write(self) -> None:
        """Write it whole or not at all."""
        descriptor, name = tempfile.mkstemp(prefix=".physioflow-", dir=self.path.parent)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(self.text.encode())
            os.fchown(descriptor, 0, self.group)
            os.fchmod(descriptor, self.mode)
            stream.flush()
            os.fsync(descriptor)
        Path(name).replace(self.path)


def own_code() -> dict[str, str]:
    """Return the role's Python by the names of its modules, as it came with this one."""
    code = {}
    for entry in pkgutil.iter_modules(ansible.module_utils.__path__):
        if entry.name.startswith("backup_"):
            spec = entry.module_finder.find_spec(f"ansible.module_utils.{entry.name}")  # type: ignore[call-arg]
            code[entry.name] = str(spec.loader.get_source(spec.name))  # type: ignore[union-attr]
    return code


def wanted_files(params: dict[str, Any], group: int) -> list[File]:
    """Return the files that are to be there."""
    program, configuration = Path(params["program"]), Path(params["configuration"])
    settings = {**params["settings"], "restic": params["restic"]}
    package = program / PACKAGE
    return [
        File(package.parent / "__init__.py", "", 0o644),
        File(package / "__init__.py", "", 0o644),
        *(File(package / f"{name}.py", text, 0o644) for name, text in own_code().items()),
        File(program / COMMAND, _ended(params["command"]), 0o755),
        # The restic password is in it: for the user who takes the backups, who must not change it.
        File(configuration / "settings.json", _ended(json.dumps(settings, indent=1, sort_keys=True)), 0o640, group),
        *(File(UNITS / name, _ended(text), 0o644, shown=True) for name, text in params["units"].items()),
    ]


def _ended(text: str) -> str:
    return f"{text.rstrip()}\n"


class Host:
    """The host while it is brought to what it is to be; check mode only tells."""

    def __init__(self, module: AnsibleModule) -> None:
        """See the class."""
        self.module = module
        self.params: dict[str, Any] = module.params
        self.done: list[str] = []
        self.diff: list[dict[str, str]] = []

    def note(self, action: str) -> bool:
        """Remember an action; tells whether it is to be done."""
        self.done.append(action)
        return not self.module.check_mode

    def fail(self, why: str) -> None:
        """End the run."""
        self.module.fail_json(msg=f"{why} No timer was changed.", actions=self.done)

    def bring_about(self) -> None:
        """Do it all."""
        account = self.make_user()
        files = wanted_files(self.params, account.gid)
        changed = [file for file in files if file.differs()]
        units = [file for file in changed if file.path.parent == UNITS]
        for file in units:
            self.check_calendar(file.text)
        self.make_folders(account)
        self.remove_old_code(files)
        for file in changed:
            self.write(file)
        if units and not self.module.check_mode:
            self.systemctl("daemon-reload")
        self.set_timers()

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

    def check_calendar(self, text: str) -> None:
        """Refuse a time that systemd does not understand."""
        for value in re.findall(r"^OnCalendar=(.*)$", text, re.MULTILINE):
            if self.module.run_command(["systemd-analyze", "calendar", value])[0]:
                self.fail(f"{value!r} is no time that systemd understands: correct backup_timer, backup_drill_timer.")

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

    def remove_old_code(self, files: list[File]) -> None:
        """Remove code that an earlier release of the role had."""
        wanted = {file.path for file in files}
        for path in sorted(Path(self.params["program"]).rglob("*.py")):
            if path not in wanted and self.note(f"remove {path}"):
                path.unlink()

    def write(self, file: File) -> None:
        """Write a file."""
        if file.shown:
            self.diff.append(
                {
                    "before_header": str(file.path),
                    "after_header": str(file.path),
                    "before": file.path.read_text(encoding="utf-8", errors="replace") if file.path.exists() else "",
                    "after": file.text,
                }
            )
        if self.note(f"write {file.path}"):
            file.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            file.write()

    def set_timers(self) -> None:
        """Start or stop the timers, now and at the start of the host."""
        for name, wanted in self.params["timers"].items():
            state = {}
            for verb in ("is-enabled", "is-active"):
                state[verb] = self.module.run_command(["systemctl", verb, name])[1].strip()
            if wanted and state != {"is-enabled": "enabled", "is-active": "active"} and self.note(f"start {name}"):
                self.systemctl("enable", "--now", name)
            if (
                not wanted
                and (state["is-enabled"] == "enabled" or state["is-active"] == "active")
                and self.note(f"stop {name}")
            ):
                self.systemctl("disable", "--now", name)

    def systemctl(self, *arguments: str) -> None:
        """Run systemctl."""
        self.run("systemctl", *arguments)

    def run(self, *command: str) -> None:
        """Run a program that has to end well."""
        status, out, err = self.module.run_command(list(command))
        if status:
            self.module.fail_json(msg=f"{' '.join(command)} failed: {(err or out).strip()}", actions=self.done)


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
            "restic": {
                "type": "dict",
                "required": True,
                "options": {
                    "repository": {"type": "str", "default": ""},
                    "password": {"type": "str", "default": "", "no_log": True},
                    "environment": {"type": "dict", "default": {}, "no_log": True},
                    "only": {"type": "bool", "default": False},
                },
            },
            "units": {"type": "dict", "required": True},
            "timers": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    host = Host(module)
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
