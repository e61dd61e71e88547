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
  - Puts the role's own code, its settings and the units of systemd in place, in one run where ten tasks would be
    needed, and starts or stops the timers.
options:
  user:
    description: User of the host who takes the backups.
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
  code:
    description: Its files, by their path in that folder.
    type: dict
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
    details: The settings hold secrets and are not shown.
author:
  - PhysioFlow contributors
"""

EXAMPLES = r"""
- name: Put program, settings and timers in place
  backup_host:
    user: emr_backup
    directory: /var/backups/physioflow
    program: /usr/local/lib/physioflow-backup
    code: {physioflow-backup: "#!/usr/bin/python3"}
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
"""

import json
import os
import pwd
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

UNITS = Path("/etc/systemd/system")


@dataclass(frozen=True)
class File:
    """A file that is to be there; group None is root's."""

    path: Path
    text: str
    mode: int
    group: int = 0
    secret: bool = False

    def differs(self) -> bool:
        """Whether it is not as it is to be."""
        try:
            found = self.path.stat()
            return self.path.read_text(encoding="utf-8") != self.text or (
                found.st_mode & 0o7777,
                found.st_uid,
                found.st_gid,
            ) != (self.mode, 0, self.group)
        except FileNotFoundError:
            return True

    def write(self) -> None:
        """Write it whole or not at all."""
        descriptor, name = tempfile.mkstemp(prefix=".physioflow-", dir=self.path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(self.text)
            os.fchown(descriptor, 0, self.group)
            os.fchmod(descriptor, self.mode)
            os.fsync(descriptor)
        Path(name).replace(self.path)


def wanted_files(params: dict[str, Any], group: int) -> list[File]:
    """Return the files that are to be there."""
    program, configuration = Path(params["program"]), Path(params["configuration"])
    settings = {**params["settings"], "restic": params["restic"]}
    return [
        *(
            File(program / name, f"{text.rstrip()}\n" if text else "", 0o755 if "." not in name else 0o644)
            for name, text in params["code"].items()
        ),
        # The restic password is in it: for the user who takes the backups, who must not change it.
        File(
            configuration / "settings.json", json.dumps(settings, indent=1, sort_keys=True) + "\n", 0o640, group, True
        ),
        *(File(UNITS / name, f"{text.rstrip()}\n", 0o644) for name, text in params["units"].items()),
    ]


def make_folders(module: AnsibleModule, files: list[File], user: pwd.struct_passwd) -> list[str]:
    """Make the folders that are missing, and give those of the backups to their user; return what was done."""
    params = module.params
    repository = params["restic"].get("repository") or ""
    private = [Path(params["directory"]), *([Path(repository)] if repository.startswith("/") else [])]
    done = []
    for path in private:
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            module.fail_json(msg=f"{path} is no folder. No timer was changed. Correct backup_directory.")
        found = path.stat() if path.exists() else None
        if found and (found.st_uid, found.st_mode & 0o7777) == (user.pw_uid, 0o700):
            continue
        done.append(f"make {path} the private folder of {user.pw_name}")
        if not module.check_mode:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.chown(path, user.pw_uid, user.pw_gid)
            path.chmod(0o700)
    if not module.check_mode:
        for path in sorted({file.path.parent for file in files}):
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
    return done


def remove_old_code(module: AnsibleModule, files: list[File]) -> list[str]:
    """Remove code that an earlier release of the role had."""
    wanted = {file.path for file in files}
    old = [path for path in Path(module.params["program"]).rglob("*.py") if path not in wanted]
    for path in [] if module.check_mode else old:
        path.unlink()
    return [f"remove {path}" for path in old]


def set_timers(module: AnsibleModule, reload: bool) -> list[str]:
    """Start or stop the timers, now and at the start of the host; return what was done."""

    def systemctl(*arguments: str) -> str:
        status, out, err = module.run_command(["systemctl", *arguments])
        if status not in (0, 1, 3, 4) or (status and arguments[0] not in ("is-enabled", "is-active")):
            module.fail_json(msg=f"systemctl {' '.join(arguments)} failed: {err.strip()}. Look at it on the host.")
        return str(out.strip())

    done = []
    if reload and not module.check_mode:
        systemctl("daemon-reload")
    for name, wanted in module.params["timers"].items():
        state = (systemctl("is-enabled", name), systemctl("is-active", name))
        if state == (("enabled", "active") if wanted else ("disabled", "inactive")):
            continue
        if not wanted and state[0] in ("not-found", ""):
            continue
        done.append(f"{'start' if wanted else 'stop'} {name}")
        if not module.check_mode:
            systemctl("enable" if wanted else "disable", "--now", name)
    return done


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "user": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "program": {"type": "path", "required": True},
            "code": {"type": "dict", "required": True},
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
    try:
        user = pwd.getpwnam(module.params["user"])
    except KeyError:
        if module.check_mode:  # the task before would have made it
            module.exit_json(changed=True, actions=["all"])
        module.fail_json(msg=f"The host has no user {module.params['user']}. No timer was changed.")
    files = wanted_files(module.params, user.pw_gid)
    changed = [file for file in files if file.differs()]
    diff = [
        {
            "before_header": str(file.path),
            "after_header": str(file.path),
            "before": file.path.read_text(encoding="utf-8") if file.path.exists() else "",
            "after": file.text,
        }
        for file in changed
        if not file.secret
    ]
    try:
        done = make_folders(module, files, user)
        done += remove_old_code(module, files)
        for file in changed:
            done.append(f"write {file.path}")
            if not module.check_mode:
                file.write()
        done += set_timers(module, reload=any(file.path.parent == UNITS for file in changed))
    except OSError as error:
        module.fail_json(
            msg=f"{error.filename} cannot be written: {error.strerror}. Run again after its cause is gone."
        )
    module.exit_json(changed=bool(done), actions=done, diff=diff)


if __name__ == "__main__":
    main()
