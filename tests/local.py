"""The means to run a playbook as a user does, and to look at the database that it made: for tests and bench."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
TASK = r"^TASK \[(?:physioflow\.database\.)?(.*?)\]"
# The release by version, as far as it goes today; what is about the guide's own fifteen says 015.
VERSIONS = [path.name.partition("_")[0] for path in sorted((ROOT / "files/migrations").glob("*.sql"))]
SECONDS = 300  # a playbook that takes longer hangs


def release_up_to(version: str, folder: Path) -> Path:
    """Copy the release without what comes after a version: for a test that applies it often and means no file of it."""
    release = Path(shutil.copytree(ROOT / "files", folder / "files"))
    for path in release.glob("*/[0-9]*"):
        if path.name.partition("_")[0] > version:
            path.unlink()
    (release / "rollback_sets.yml").unlink()  # it names them
    return release


def known_files(*, new: bool = True) -> list[str]:
    """Return the files of the checkout that git knows or, if `new`, would take in, by path; a link is one."""
    command = ["git", "ls-files", "-z", "--cached", *(["--others", "--exclude-standard"] if new else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0")[:-1] if os.path.lexists(ROOT / name)]


@dataclass(frozen=True)
class Result:
    """What a playbook printed and how it ended."""

    status: int
    output: str

    @property
    def changed(self) -> int:
        """Number of changed tasks over all hosts; none where no play began."""
        assert "PLAY RECAP" in self.output or "PLAY [" not in self.output, f"cut off\n{self.output}"
        return sum(int(number) for number in re.findall(r"\bchanged=(\d+)", self.output))

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks that were run and shown, without the collection before that of the role."""
        return re.findall(rf"{TASK} \**$", self.output, re.MULTILINE)


class Running:
    """A playbook that runs while the test goes on."""

    def __init__(self, command: list[str]) -> None:
        """Start it."""
        self.printed = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it lives as long as this object
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            # Otherwise the name of a task is printed when it ends, as it may yet be skipped.
            env=environment() | {"PYTHONUNBUFFERED": "1", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "true"},
            stdin=subprocess.DEVNULL,
            stdout=self.printed,
            stderr=subprocess.STDOUT,
        )

    @property
    def output(self) -> str:
        """What it printed so far."""
        self.printed.flush()
        return os.pread(self.printed.fileno(), 10_000_000, 0).decode()

    def wait_for_output(self, words: str) -> None:
        """Wait until it prints some words; fails where it ends without them."""
        until(lambda: words in self.output or self.process.poll() is not None, f"the playbook prints {words}")
        assert words in self.output, self.output

    def kill(self) -> None:
        """End it and all that it started at once, as a power cut of the controller would."""
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def memory(self) -> int:
        """Bytes that it and all that it started hold in memory."""
        listed = ",".join(map(str, [self.process.pid, *descendants(self.process.pid)]))
        done = subprocess.run(["ps", "-o", "rss=", "-p", listed], capture_output=True, text=True, check=False)
        return sum(1024 * int(number) for number in done.stdout.split())

    def result(self) -> Result:
        """Wait for its end."""
        self.process.wait(SECONDS)
        return Result(self.process.returncode, self.output)


def descendants(pid: int) -> list[int]:
    """Return the children of a process and theirs; Ansible's workers are in sessions of their own."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    processes = [[int(number) for number in line.split()] for line in listed.splitlines()]
    found = [pid]
    for parent in found:  # grows while it is walked
        found += [child for child, of in processes if of == parent]
    return found[1:]


def command_of(pid: int) -> str:
    """Return the command line of a process, empty where there is none."""
    return subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()


def until(condition: Callable[[], object], what: str, every: float = 0.1) -> None:
    """Wait until a condition is true, and look every so many seconds: what is waited for needs the processor, too."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(every)


def run_to_end(command: list[str], seconds: float) -> Result:
    """Run a command in the root of the project as a person does, with nobody at the keyboard."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    return Result(done.returncode, done.stdout)


@dataclass(frozen=True)
class Local:
    """An inventory `local` with its own folder, and so its own server and passwords."""

    folder: Path
    variables: dict[str, Any] = field(default_factory=dict)

    def play(self, playbook: str = "deploy.yml", *options: str, **variables: Any) -> Result:
        """Run a playbook with the inventory local; `variables` are extra variables."""
        return run_to_end(self._command(playbook, options, variables), SECONDS)

    def _command(self, playbook: str, options: tuple[str, ...], variables: dict[str, Any]) -> list[str]:
        # Without the second a deploy of another database_name would point the service of psql there: a change.
        extra = {"local_directory": str(self.folder), "postgresql_embedded_database": "physioflow"}
        extra |= self.variables | variables
        return [str(BIN / "ansible-playbook"), playbook, "-e", json.dumps(extra), *options]

    def start(self, playbook: str = "deploy.yml", *options: str, **variables: Any) -> Running:
        """Start a playbook as `play` does, and leave it running."""
        return Running(self._command(playbook, options, variables))

    def deploy(self, *options: str, **variables: Any) -> Result:
        """Run the main job, which has to succeed."""
        result = self.play("deploy.yml", *options, **variables)
        assert result.status == 0, result.output
        return result

    def psql(self, sql: str, database: str = "physioflow", user: str = "postgres", role: str = "emr") -> str:
        """Run SQL with the psql that the role brought, and return what it printed (unaligned, rows only)."""
        done = self.run_psql("-c", sql, database=database, user=user, role=role)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def create_database(self, name: str, template: str = "template1") -> None:
        """Create a database of the owner emr: empty, or a copy of another."""
        self.psql(f'CREATE DATABASE "{name}" OWNER emr TEMPLATE "{template}"', "postgres", role="postgres")

    def drop_database(self, name: str) -> None:
        """Drop a database, if there is one; who is connected loses it."""
        self.psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', "postgres", role="postgres")

    def run_psql(
        self, *arguments: str, database: str = "physioflow", user: str = "postgres", role: str = "emr"
    ) -> subprocess.CompletedProcess[str]:
        """Run psql with arguments; `user` other than postgres logs in with its own password."""
        env = self.environment()
        settings = f"-c role={role}"
        if user != "postgres":
            env |= {"PGPASSWORD": self.password(user)}
            settings = ""
        conninfo = self.conninfo(database, user=user, options=settings)
        return self.run_program("psql", "-X", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", conninfo, *arguments, env=env)

    @staticmethod
    def conninfo(database: str, **settings: str) -> str:
        """Return a connection string; what it says wins over the service file."""
        return " ".join(["service=physioflow", f"dbname={database}", *(f"{k}='{v}'" for k, v in settings.items())])

    def environment(self) -> dict[str, str]:
        """Return the environment in which psql finds this server."""
        return environment() | {"PGSERVICEFILE": str(self.server / "pg_service.conf")}

    def run_program(
        self, program: str, *arguments: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the programs that the role brought."""
        return subprocess.run(
            [self.server / "bin" / program, *arguments],
            env=env or self.environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def catalogs(self, database: str) -> str:
        """Return the schema of a database as pg_dump writes it, without its random line."""
        done = self.run_program("pg_dump", "--schema-only", self.conninfo(database, options=""))
        assert done.returncode == 0, done.stderr
        return "\n".join(line for line in done.stdout.splitlines() if not re.match(r"\\(un)?restrict ", line))

    def password(self, user: str) -> str:
        """Return the password that the inventory made for a role."""
        return (self.folder / "passwords" / user).read_text().strip()

    @property
    def connection(self) -> dict[str, Any]:
        """How the superuser reaches the server, by libpq's keywords."""
        host, port, _, user, password = (self.server / "pgpass").read_text().strip().split(":", 4)
        return {"host": host, "port": port, "user": user, "password": password}

    @property
    def server(self) -> Path:
        """Folder of the embedded server."""
        return self.folder / "postgresql"

    @property
    def pidfile(self) -> Path:
        """File that is there while the server runs."""
        return self.server / "server/data/postmaster.pid"

    @property
    def postmaster(self) -> int:
        """Process id of the server that runs."""
        return int(self.pidfile.read_text().split()[0])

    def stop_server(self) -> None:
        """End the server as its administrator would (SIGINT is PostgreSQL's fast shutdown), and wait for its end."""
        os.kill(self.postmaster, signal.SIGINT)
        until(lambda: not self.pidfile.exists(), "the server stops")

    def remove(self) -> None:
        """End the server, where one runs, and remove its folder; a second time does nothing.

        Without playbooks/destroy.yml, which has a test of its own and costs seconds.
        """
        if self.pidfile.exists() and str(self.pidfile.parent) in command_of(self.postmaster):
            self.stop_server()
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def databases(self) -> list[str]:
        """Return the names of all databases."""
        return self.psql("SELECT datname FROM pg_database ORDER BY 1", "postgres", role="postgres").splitlines()


def environment() -> dict[str, str]:
    """Return the environment of a person: without what pytest or CI may have set for Ansible, PostgreSQL and Python."""
    others = ("ANSIBLE_", "PG", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return kept | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}
