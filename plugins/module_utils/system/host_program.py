# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Puts a program of a role's own Python, its settings and its timers on a host: for modules that run there as root."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins import module_utils

UNITS = Path("/etc/systemd/system")


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


def own_code() -> dict[Path, str]:
    """Return the collection's own Python, as Ansible sent it with the module that asks, by its place under its name."""
    folder = Path(*module_utils.__name__.split("."))
    code = {parent / "__init__.py": "" for parent in [folder, *list(folder.parents)[:-1]]}
    for entry in pkgutil.walk_packages(module_utils.__path__, f"{module_utils.__name__}."):
        if not entry.name.startswith(__package__):  # which serves modules only, with Ansible's Python
            place = Path(*entry.name.split("."))
            spec = entry.module_finder.find_spec(entry.name)  # type: ignore[call-arg]
            source = str(spec.loader.get_source(spec.name))  # type: ignore[union-attr]
            code[place / "__init__.py" if entry.ispkg else place.with_suffix(".py")] = source
    return code


def program_files(program: Path, *, command: str, text: str, settings: File, units: dict[str, str]) -> list[File]:
    """Return the files of a program: its code under the collection's name, its command, its settings and its units.

    Args:
        program: folder of the program.
        command: name of the command in it.
        text: of the command.
        settings: the file of its settings.
        units: texts of units of systemd, by name.
    """
    return [
        *(File(program / place, code, 0o644) for place, code in own_code().items()),
        File(program / command, ended(text), 0o755),
        settings,
        *(File(UNITS / name, ended(unit), 0o644, shown=True) for name, unit in units.items()),
    ]


def json_text(settings: dict[str, Any]) -> str:
    """Return settings as the text of a file."""
    return ended(json.dumps(settings, indent=1, sort_keys=True))


def ended(text: str) -> str:
    """Return a text with one line end at its end."""
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

    def put(self, program: Path, files: Sequence[File], timers: dict[str, bool]) -> None:
        """Put a program in place, remove what an earlier release had, and start or stop its timers."""
        changed = [file for file in files if file.differs()]
        self.remove_old_code(program, files)
        for file in changed:
            self.write(file)
        if any(file.path.parent == UNITS for file in changed) and not self.module.check_mode:
            self.systemctl("daemon-reload")
        self.set_timers(timers)

    def check_calendars(self, files: Sequence[File], variables: str) -> None:
        """Refuse a time that systemd does not understand, before anything is changed.

        Args:
            files: units among them.
            variables: what to correct.
        """
        for file in files:
            for value in re.findall(r"^OnCalendar=(.*)$", file.text, re.MULTILINE) if file.differs() else ():
                if self.module.run_command(["systemd-analyze", "calendar", value])[0]:
                    self.fail(f"{value!r} is no time that systemd understands: correct {variables}.")

    def remove_old_code(self, program: Path, files: Sequence[File]) -> None:
        """Remove code that an earlier release of the role had."""
        wanted = {file.path for file in files}
        for path in sorted(program.rglob("*.py")):
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

    def set_timers(self, timers: dict[str, bool]) -> None:
        """Start or stop the timers, now and at the start of the host."""
        for name, wanted in timers.items():
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
