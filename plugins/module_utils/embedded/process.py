# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs and processes: runs programs as the server's user, finds the server that runs on a data folder."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .files import EmbeddedError

# No PG* variable of the user may direct a program to another server; English messages can be searched.
_PLAIN = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": "/"}


class Result(NamedTuple):
    """The result of a program."""

    ok: bool  # its exit status is 0
    text: str  # its standard output and standard error


def run(
    command: Sequence[str | Path],
    user: pwd.struct_passwd | None = None,
    *,
    text: str = "",
    seconds: float = 120,
    cwd: Path = Path("/"),
    env: Mapping[str, str] = _PLAIN,
) -> Result:
    """Run a program.

    Args:
        command: program and arguments, never a secret.
        user: user to run it as, or None for our own. Only root may give another one.
        text: its standard input.
        seconds: time limit; after that an EmbeddedError is raised.
        cwd: the folder it runs in.
        env: its environment.
    """
    other: dict[str, Any] = {}
    if user and user.pw_uid != os.geteuid():
        groups = os.getgrouplist(user.pw_name, user.pw_gid)
        other = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": groups}
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            [os.fspath(part) for part in command],
            input=text.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
            timeout=seconds,
            check=False,
            **other,
        )
    except subprocess.TimeoutExpired as error:
        name = Path(command[0]).name
        raise EmbeddedError(f"{name} did not end within {seconds:.0f} s and was stopped; run again.") from error
    return Result(done.returncode == 0, done.stdout.decode("utf-8", "replace").strip())


def server_user(data: Path, name: str) -> pwd.struct_passwd | None:
    """Return the user that the server runs under, None where it does not exist yet.

    That is the current user; as root it is the owner of the data folder, or the named system user.
    """
    if os.geteuid():
        return pwd.getpwuid(os.geteuid())
    try:
        owner = data.stat().st_uid if data.exists() else 0
        return pwd.getpwuid(owner) if owner else pwd.getpwnam(name)
    except KeyError:
        return None


def make_user(name: str) -> None:
    """Create a system user without login; another run may do the same at the same time."""
    options = ["--system", "--user-group", "--no-create-home", "--home-dir=/nonexistent", "--shell=/usr/sbin/nologin"]
    done = run(["useradd", *options, "--comment=PhysioFlow embedded PostgreSQL", name])
    try:
        pwd.getpwnam(name)
    except KeyError as error:
        raise EmbeddedError(
            f"PostgreSQL refuses to run as root and its system user {name} could not be created ({done.text}); nothing "
            "was changed; create that user by hand, or run as an ordinary user."
        ) from error


def running_server(data: Path) -> int | None:
    """Return the TCP port of the server that runs on a data folder, None where none does.

    The process id in postmaster.pid alone proves nothing: after a crash or a restart of the machine it may belong to
    another program.
    """
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        pid, port = int(lines[0]), int(lines[3])
    except (OSError, ValueError, IndexError):
        return None
    return port if works_in(pid, data) else None


def works_in(pid: int, folder: Path) -> bool:
    """Tell whether a folder is the working directory of a process, as the data folder is for every server process.

    Without /proc (macOS), any living process counts.
    """
    try:
        if Path("/proc/self").exists():
            return Path(f"/proc/{pid}/cwd").readlink() == folder.resolve()
        os.kill(pid, 0)
    except OSError:
        return False  # it has ended, or belongs to another user
    return True


def await_end(data: Path, seconds: float) -> bool:
    """Wait until no process works in a data folder; the processes of a killed server end soon by themselves.

    Returns whether none does; also True without /proc.
    """
    end = time.monotonic() + seconds
    while any(works_in(int(process.name), data) for process in Path("/proc").glob("[0-9]*")):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True
