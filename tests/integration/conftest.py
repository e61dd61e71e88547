"""A real embedded server for the tests of the playbooks.

The tests run what a user runs: ansible-playbook in the root of the project, inventory `local`. One server serves the
whole session (with make test: one for each worker); a test that changes a database has one of its own on it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import (
    undo,
)
from tests.backups import FILLED, Clinic, drop_clinic, give_up, make_clinic, make_filled
from tests.hosts.system import HostsError, need
from tests.integration.oracle import Case
from tests.local import ROOT, Local


def place() -> Local:
    """Return where a server can be: reachable also where the tests run as root and the server does not."""
    path = Path(tempfile.mkdtemp(prefix="physioflow-test-"))
    path.chmod(0o755)
    return Local(path)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for one server."""
    server = place()
    with undo.afterwards(server.remove):
        yield server.folder


@pytest.fixture(scope="session")
def local() -> Iterator[Local]:
    """The server of the session, with the release deployed into database physioflow."""
    server = place()
    with undo.afterwards(server.remove):
        server.deploy()
        yield server


@pytest.fixture(scope="session")
def guide(local: Local) -> str:
    """A database at the guide's last migration, for copies."""
    name = "test_guide"
    local.create_database(name, "template0")
    local.psql('CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION pg_trgm', name, role="postgres")
    outcome = Case(local, name, ROOT / "files").apply(target="015")
    assert outcome.ok, outcome
    return name


@pytest.fixture
def database(local: Local, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a database for one test; it is not made yet, and is gone afterwards."""
    name = re.sub(r"\W+", "_", f"test_{request.node.name}".lower())[:60].rstrip("_")
    yield name
    local.drop_database(name)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A copy of the release that a test may spoil."""
    return Path(shutil.copytree(ROOT / "files", tmp_path / "files"))


@pytest.fixture
def case(local: Local, database: str, tmp_path: Path) -> Case:
    """A database and a release of its own for one fault."""
    return Case.make(local, database, tmp_path / "release")


@pytest.fixture(scope="session")
def _filled(local: Local) -> Local:
    """The server of the session with databases full of invented rows, which those of `clinic` are copies of."""
    make_filled(local)
    return local


@pytest.fixture
def clinic(_filled: Local, database: str, request: pytest.FixtureRequest) -> Iterator[Clinic]:
    """A database with rows, and a folder for its backups; a module says in COPY_OF where few tables do."""
    path = Path(tempfile.mkdtemp(prefix="physioflow-backups-"))
    path.chmod(0o755)
    template = getattr(request.module, "COPY_OF", FILLED)
    made = make_clinic(_filled, database.removeprefix("test_")[:38], path / "backups", template)
    yield made
    drop_clinic(made)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def restic_program() -> None:
    """The program that copies backups off the host."""
    try:
        need("restic", "restic")
    except HostsError as error:
        give_up(f"no restic for copies off the host: {error}")
