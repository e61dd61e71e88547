"""What the other files here share: the error with a reason, programs, the cache folder and processes left running."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "physioflow-database" / "hosts"
SECONDS = 60  # what starts on this machine is there by then, or hangs


class HostsError(Exception):
    """Why there can be no hosts on this machine, in one sentence with what to do."""


class Process(NamedTuple):
    """A process that outlives the command that started it. Its start time tells it from a later one of its id."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Process:
        """Remember a process that runs."""
        return cls(pid, _start_time(pid))

    @property
    def alive(self) -> bool:
        """Whether it is still this process, and still runs."""
        return bool(self.started) and _start_time(self.pid) == self.started

    def end(self) -> None:
        """Ask it to end, and wait until it has."""
        if self.alive:
            os.kill(self.pid, signal.SIGTERM)
            wait(lambda: not self.alive, f"process {self.pid} does not end")


def _start_time(pid: int) -> str:
    # The 22nd field, counted behind the name, which may hold spaces. A zombie has ended.
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


def start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process of its own session, so that an interrupted test run does not take it along half-way."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )


def wait(condition: Callable[[], bool], complaint: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise HostsError(f"{complaint} (waited {SECONDS} s)")
        time.sleep(0.1)


def run(*command: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a program and return what it printed; what it said is the reason where it fails."""
    done = subprocess.run(
        command,
        env=os.environ | (env or {}),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise HostsError(f"{command[0]} failed: {' / '.join((done.stderr or done.stdout).splitlines()[-3:])}")
    return done.stdout


def need(program: str, *packages: str) -> None:
    """Install the packages of a program that is missing, where we are root on Debian."""
    if shutil.which(program):
        return
    if os.geteuid() != 0 or not is_debian():
        raise HostsError(f"{program} is missing, and it is installed here only by root on Debian; install it")
    apt = {"DEBIAN_FRONTEND": "noninteractive"}
    options = ["-o", "DPkg::Lock::Timeout=300", "--quiet", "--yes", "--no-install-recommends"]
    with locked("apt"):  # apt itself does not wait for another one that updates
        if shutil.which(program):
            return
        run("apt-get", "update", "--quiet", env=apt)
        # A release has only some of them: Debian 12 has no docker-cli, and apt-cache ends badly for what it does not
        # know.
        known = [name for name in packages if f"{name}:\n" in run("apt-cache", "policy", name, env=apt)]
        run("apt-get", "install", *options, *known, env=apt)


def is_debian() -> bool:
    """Whether this machine is Debian itself: its kin name the packages otherwise."""
    release = Path("/etc/os-release")
    return release.exists() and bool(re.search(r'^ID="?debian"?$', release.read_text(encoding="utf-8"), re.MULTILINE))


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold other runs on this machine off while something shared is made."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f".lock-{name}").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
