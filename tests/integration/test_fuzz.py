"""A few generated releases and databases, the same ones each time; `make fuzz` tries thousands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz import backups, oracle
from tests.fuzz.driver import Driver
from tests.fuzz.releases import File, Release, releases
from tests.fuzz.schemas import schemas
from tests.fuzz.server import Server
from tests.local import Local

TOLD = oracle.Told()


def seeded(number: int) -> settings:
    """Return settings for examples that are the same in every run; they are made small by `make fuzz`."""
    return settings(
        max_examples=number,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def server(local: Local) -> Iterator[Server]:
    made = Server.of(local)
    yield made
    for name in (oracle.OURS, oracle.THEIRS):
        made.drop(name)
    made.admin.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@seeded(8)
@given(release=releases(most=3))
def test_releases_come_out_as_with_psql(server: Server, folder: Path, release: Release) -> None:
    oracle.check(server, release, folder, TOLD)


@seeded(2)
@given(statements=schemas())
def test_databases_come_back(server: Server, folder: Path, statements: tuple[str, ...]) -> None:
    backups.check(server, statements, folder, TOLD)


def test_the_driver_does_what_the_playbook_does(server: Server, local: Local, tmp_path: Path, database: str) -> None:
    """All of the above is worth as much as this: the same acts, failure and state, then the same end."""
    release = Release(
        (
            _file(
                "V1__base.sql", "CREATE TABLE visits (id int PRIMARY KEY)", "CREATE TEMP TABLE pick AS SELECT 1 AS id"
            ),
            _file("V2__alone.sql", "CREATE INDEX CONCURRENTLY a ON visits (id)", transactional=False),
            _file("V3__fails.sql", "INSERT INTO visits SELECT 1", "INSERT INTO visits SELECT id FROM pick", fault=1),
            _file("V4__after.sql", "DROP TABLE visits"),
        )
    )
    release.write(tmp_path / "release")
    driver = Driver(tmp_path / "release", oracle.OURS, server.connection, tmp_path)
    server.empty(oracle.OURS)
    local.create_database(database)
    variables = {
        "release_directory": str(driver.release),
        "database_name": database,
        "backup_before_migration": False,
    }
    for corrected in (False, True):
        release.write(driver.release, corrected)
        outcome = driver.deploy()
        played = local.play("playbooks/migrate.yml", **variables)
        assert outcome.ok == (played.status == 0) == corrected, played.output
        assert server.history(database) == server.history(oracle.OURS)
        assert server.holds(database) == server.holds(oracle.OURS)
        assert corrected or outcome.failure.splitlines()[0].partition("migrations/")[2] in played.output


def _file(name: str, *statements: str, transactional: bool = True, fault: int | None = None) -> File:
    return File(name, "", statements, (";\n",) * len(statements), transactional, fault)
