"""How the witness asks the server: by psql on the host, and by psycopg over the network."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

_LOGIN = """import psycopg, sys
with psycopg.connect(sys.argv[1]) as session:
    print(*session.execute('SELECT current_user').fetchone())
"""


@pytest.fixture
def psql(host: Host) -> Callable[[str], str]:
    def ask(sql: str) -> str:
        return str(host.check_output("runuser -u postgres -- psql -XAtq -d physioflow -c %s", sql))

    return ask


@pytest.fixture
def login(host: Host) -> Callable[..., CommandResult]:
    """Log in over TCP. By psycopg: the psql of the packages repackaged for tests has no TLS."""
    password = (Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "passwords/emr_app").read_text().strip()

    def run(more: str, user: str = "emr_app") -> CommandResult:
        place = f"hostaddr=127.0.0.1 dbname=physioflow user={user} {more}"
        return host.run("env PGPASSWORD=%s python3 -c %s %s", password, _LOGIN, place)

    return run


@pytest.fixture(scope="module")
def version(host: Host) -> str:
    return str(host.check_output("pg_lsclusters -h")).split()[0]
