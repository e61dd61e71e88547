"""A host for a test: a container that is a bare Debian server under systemd, and how a test speaks to it."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests import undo
from tests.local import BIN, Result, Running, run_to_end

SECONDS = 900  # a playbook that takes longer hangs; the first one installs packages
DOCKER = [
    *("--cap-add", "SYS_ADMIN", "--cgroupns", "host"),
    *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
    *("--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp"),
    *("-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "-e", "container=docker"),
    *("-e", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"),
]


def docker(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


@dataclass(frozen=True)
class Host:
    """A container that is a bare Debian server."""

    name: str
    folder: Path
    variables: dict[str, Any] = field(default_factory=dict)
    connection: dict[str, Any] = field(default_factory=lambda: {"ansible_connection": "community.docker.docker"})

    def run(self, command: str, check: bool = True) -> str:
        """Run a command of the shell as root."""
        return docker("exec", self.name, "sh", "-c", command, check=check)

    def wait_for(self, command: str) -> None:
        """Wait until a command of the shell succeeds."""
        end = time.monotonic() + SECONDS
        while self.run(f"{command} && echo yes", check=False).split()[-1:] != ["yes"]:
            assert time.monotonic() < end, f"in vain: {command}"
            time.sleep(0.3)

    def wait_until_up(self) -> None:
        """Wait until systemd has started everything."""
        # systemd may not answer yet, and then it cannot be waited for.
        self.wait_for("systemctl is-system-running --wait | grep -qE 'running|degraded'")

    @contextmanager
    def background(self, program: str) -> Iterator[str]:
        """Run a Python program that takes something, and keep it there during the block; yields its process id."""
        stays = "import os, time\nopen('/run/program.pid', 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
        docker("exec", "-d", self.name, "/usr/bin/python3", "-c", program + stays)
        self.wait_for("test -s /run/program.pid")
        try:
            yield self.run("cat /run/program.pid")
        finally:
            self.run("kill $(cat /run/program.pid); rm /run/program.pid")

    def holding(self, statement: str) -> AbstractContextManager[str]:
        """Run a statement in a transaction of an application, and keep it open during the block."""
        return self.background(
            "import psycopg\n"
            "session = psycopg.connect('host=/var/run/postgresql user=postgres dbname=physioflow')\n"
            f"session.execute({statement!r})\n"
        )

    def sql(self, sql: str, database: str = "postgres", port: int = 5432) -> str:
        """Run SQL as the superuser."""
        return self.run(f'psql -h /var/run/postgresql -p {port} -U postgres -XAtc "{sql}" {database}')

    def fill(self, place: str, left: int) -> str:
        """Fill a file system but for some megabytes, and return the file that does."""
        self.run(f"fallocate -l $(( $(df --output=avail -k {place} | tail -1) - {left * 1024} ))K {place}/filler")
        return f"{place}/filler"

    def play(self, playbook: str, *options: str, **variables: Any) -> Result:
        """Run a playbook as a user does; `variables` are extra variables."""
        return run_to_end(self._command(playbook, options, variables), SECONDS)

    def start(self, playbook: str, *options: str, **variables: Any) -> Running:
        """Start a playbook as `play` does, and leave it running."""
        return Running(self._command(playbook, options, variables))

    def _command(self, playbook: str, options: tuple[str, ...], variables: dict[str, Any]) -> list[str]:
        given = self.connection | {"ansible_python_interpreter": "/usr/bin/python3"}
        inventory = self.folder / f"{self.name}.json"
        inventory.write_text(json.dumps({"database_servers": {"hosts": {self.name: given}}}))
        extra = ["-e", json.dumps(self.variables | variables), *options]
        return [str(BIN / "ansible-playbook"), playbook, "-i", str(inventory), *extra]

    def deploy(self, *options: str, **variables: Any) -> Result:
        """Run the main job."""
        return self.play("deploy.yml", *options, **variables)

    def state(self) -> str:
        """Return what a refused deploy must leave: since when the server runs, its files, settings and rules."""
        return self.run(
            "cat /etc/postgresql/16/main/conf.d/* /etc/postgresql/16/main/pg_*.conf /etc/postgresql/16/main/*.crt"
            " | sha256sum;"
            "systemctl show -p ActiveState -p MainPID postgresql@16-main; psql -h /var/run/postgresql -U postgres -XAtc"
            " 'select pg_postmaster_start_time(), (select count(*) from pg_hba_file_rules),"
            " (select md5(string_agg(name || setting, chr(10) order by name)) from pg_settings)'"
        )


def refused(result: Result, *words: str) -> None:
    said = " ".join(result.output.split())
    assert result.status != 0, result.output
    for each in words:
        assert each in said, result.output


@contextmanager
def made(folder: Path, variables: dict[str, str], release: str, *options: str) -> Iterator[Host]:
    """Start a host, and remove it."""
    settings = {
        "postgresql_provider": "system",
        "postgresql_memory": 512,
        **yaml.safe_load(Path(variables["PHYSIOFLOW_REPOSITORY"]).read_text()),
    }
    name = f"faults-{release}-{uuid.uuid4().hex[:8]}"
    image = variables[f"PHYSIOFLOW_DEBIAN_{release}"]
    with undo.afterwards(docker, "rm", "-f", "-v", name):
        docker("run", "-d", "--name", name, "--hostname", name, *DOCKER, *options, image, "/lib/systemd/systemd")
        host = Host(name, folder, settings)
        host.wait_until_up()
        yield host
