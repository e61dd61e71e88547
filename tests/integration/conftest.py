"""A real embedded server for the tests of the playbooks.

The tests run what a user runs: ansible-playbook in the root of the project, inventory `local`. One server serves the
whole session; a test that changes a database has one of its own on it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import role_python  # noqa: F401 - importing it makes the Python of the roles known
from tests.integration.oracle import Case
from tests.local import ROOT, Local


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for one server, reachable also where the tests run as root and the server does not."""
    path = Path(tempfile.mkdtemp(prefix="physioflow-test-"))
    path.chmod(0o755)
    yield path
    Local(path).play("playbooks/destroy.yml", destroy_confirmed=True)
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def local() -> Iterator[Local]:
    """The server of the session, with the release deployed into database physioflow."""
    path = Path(tempfile.mkdtemp(prefix="physioflow-test-"))
    path.chmod(0o755)
    server = Local(path)
    try:
        server.deploy()
        yield server
    finally:
        destroyed = server.play("playbooks/destroy.yml", destroy_confirmed=True)
        shutil.rmtree(path)
    assert destroyed.status == 0, destroyed.output


@pytest.fixture
def database(local: Local, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a database for one test; it is not made yet, and is gone afterwards."""
    name = re.sub(r"\W+", "_", f"test_{request.node.name}".lower())[:60].rstrip("_")
    yield name
    local.psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', "postgres", role="postgres")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A copy of the release that a test may spoil."""
    return Path(shutil.copytree(ROOT / "files", tmp_path / "files"))


@pytest.fixture
def case(local: Local, database: str, tmp_path: Path) -> Case:
    """A database and a release of its own for one fault."""
    return Case.make(local, database, tmp_path / "release")
