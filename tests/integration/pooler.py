"""PgBouncer in transaction mode before a server, for the test that it is recognised."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.local import Local, until

SETTINGS = """
[databases]
* = host=127.0.0.1 port={server} user=postgres password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
ignore_startup_parameters = options, extra_float_digits
"""
NOBODY = 65534  # PgBouncer does not run as root


@dataclass(frozen=True)
class Pooler:
    """A running pooler."""

    variables: dict[str, Any]


def program() -> str:
    """Return the program, installed where tests run as root on Debian; skips, in CI fails, without it."""
    if shutil.which("pgbouncer") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "--yes", "--no-install-recommends", "pgbouncer"]):
            subprocess.run(["apt-get", "-q", *command], env=environment, capture_output=True, check=False)
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        reason = "needs pgbouncer: apt-get install pgbouncer"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def running(local: Local, folder: Path) -> Iterator[Pooler]:
    """Run PgBouncer in transaction mode before the server of a test."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    password = local.connection["password"]
    server = int(local.psql("SHOW port", "postgres", role="postgres"))
    with tempfile.NamedTemporaryFile("w", suffix=".ini") as settings, (folder / "pgbouncer.log").open("wb") as log:
        settings.write(SETTINGS.format(server=server, password=password, port=port))
        settings.flush()
        if os.geteuid() == 0:
            os.chown(settings.name, NOBODY, NOBODY)
        pgbouncer = subprocess.Popen(
            [program(), settings.name],
            stdout=log,
            stderr=log,
            user=NOBODY if os.geteuid() == 0 else None,
        )
        try:
            until(lambda: answers(port) or pgbouncer.poll() is not None, "pgbouncer listens")
            assert pgbouncer.poll() is None, (folder / "pgbouncer.log").read_text()
            yield Pooler(
                {
                    "postgresql_provider": "managed",
                    "postgresql_managed_host": "127.0.0.1",
                    "postgresql_managed_port": port,
                    "postgresql_managed_user": "postgres",
                    "postgresql_managed_password": {"__ansible_unsafe": password},
                    "postgresql_managed_sslmode": "disable",
                    "database_passwords": {
                        role: local.password(f"emr{suffix}")
                        for role, suffix in {
                            "owner": "",
                            "app": "_app",
                            "readonly": "_readonly",
                            "backup": "_backup",
                        }.items()
                    },
                }
            )
        finally:
            pgbouncer.terminate()
            pgbouncer.wait()


def answers(port: int) -> bool:
    """Tell whether something listens on a port."""
    with closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
