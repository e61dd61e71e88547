# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the state of a Debian or Ubuntu host: system, memory, ports, locks and programs. Changes nothing."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_LISTENING = "0A"
DPKG_JOURNAL = Path("/var/lib/dpkg/updates")
_PROXY = ("http_proxy", "https_proxy", "no_proxy")
APT_LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
)


class Done(NamedTuple):
    """The result of a program."""

    ok: bool
    out: str
    err: str


def run(command: Sequence[str], user: str | None = None, text: str = "", seconds: float = 120) -> Done:
    """Run a program, as another user if one is given.

    Messages are in English, because they are searched for words. Of our environment, only the proxy is passed on.
    """
    other: dict[str, Any] = {}
    if user:
        entry = pwd.getpwnam(user)
        groups = os.getgrouplist(user, entry.pw_gid)
        other = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            command,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            cwd="/",
            env={"PATH": path, "LC_ALL": "C.UTF-8"} | {name: os.environ[name] for name in _PROXY if name in os.environ},
            timeout=seconds,
            check=False,
            **other,
        )
    except FileNotFoundError:
        return Done(False, "", f"there is no program {command[0]}")
    except subprocess.TimeoutExpired:
        return Done(False, "", f"{command[0]} did not end within {seconds:.0f} s")
    return Done(done.returncode == 0, done.stdout.strip(), done.stderr.strip())


def read(path: str | Path) -> str:
    """Return the text of a file, empty where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def os_release(text: str) -> dict[str, str]:
    """Return the entries of /etc/os-release."""
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in text.splitlines()) if value}


def memory(meminfo: str) -> int:
    """Return the total memory from /proc/meminfo in MB."""
    found = re.search(r"MemTotal:\s+(\d+) kB", meminfo)
    return int(found[1]) // 1024 if found else 1024


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def listening(table: str, port: int) -> dict[str, int]:
    """Return the sockets of /proc/net/tcp or tcp6 that listen on a port: their inodes and owners."""
    inodes = {}
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:  # noqa: PLR2004
            inodes[fields[9]] = int(fields[7])
    return inodes


def port_holder(port: int) -> str:
    """Return the program that listens on a port, empty where the port is free."""
    sockets = listening(read("/proc/net/tcp"), port) | listening(read("/proc/net/tcp6"), port)
    if not sockets:
        return ""
    wanted = {f"socket:[{inode}]" for inode in sockets}
    for pid, links in _open_files():
        if wanted.intersection(links):
            return process_name(pid)
    # Root in a container may not read the processes of other users.
    return f"a process of the user with id {next(iter(sockets.values()))}"


def _open_files() -> Iterator[tuple[int, set[str]]]:
    for process in Path("/proc").glob("[0-9]*"):
        links = set()
        try:
            for link in (process / "fd").iterdir():
                links.add(os.readlink(link))  # noqa: PTH115 - socket:[1] is no path
        except OSError:  # it has just ended
            continue
        yield int(process.name), links


def lock_holder() -> int | None:
    """Return the process that holds one of the locks of apt and dpkg."""
    numbers = set()
    for path in APT_LOCKS:
        try:
            numbers.add(Path(path).stat().st_ino)
        except OSError:
            continue
    return lock_pid(read("/proc/locks"), numbers)


def lock_pid(locks: str, inodes: set[int]) -> int | None:
    """Return the process of /proc/locks that holds a lock on one of the inodes."""
    for line in locks.splitlines():
        fields = line.split()
        if "->" not in fields and int(fields[5].rpartition(":")[2]) in inodes:
            return int(fields[4])
    return None


def unfinished_packages() -> str:
    """Return the unfinished work of dpkg; empty where every package is complete.

    The journal of a killed dpkg counts, too: `dpkg --audit` does not read it, and apt refuses to work while it exists.
    The journal of a running dpkg does not count, because the run waits for it.
    """
    if lock_holder() is None and any(path.name.isdigit() for path in DPKG_JOURNAL.iterdir()):
        return "dpkg was interrupted in the middle of its work."
    return run(["dpkg", "--audit"]).out


def running_port(data: Path) -> int | None:
    """Return the port of the server that runs on a data folder, None where none does."""
    lines = read(data / "postmaster.pid").splitlines()
    # After a crash, the process id may belong to another program.
    if len(lines) > 3 and read(f"/proc/{lines[0].strip()}/comm").strip() == "postgres":  # noqa: PLR2004
        return int(lines[3])
    return None


def process_name(pid: int) -> str:
    """Return the id and the command line of a process."""
    words = read(f"/proc/{pid}/cmdline").replace("\0", " ").strip() or read(f"/proc/{pid}/comm").strip()
    return f"pid {pid} ({words[:80] or 'ended'})"
