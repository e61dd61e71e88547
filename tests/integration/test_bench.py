"""A small run of `make bench`: it measures, and what it measures is what a user runs, so it breaks with that."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import backups, bench, queries, upgrade
from tests.local import ROOT, Local, until


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that the user of the server may read, too."""
    folder = Path(tempfile.mkdtemp(prefix="physioflow-bench-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_the_deploy_is_measured(local: Local, scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without dbmate, which is downloaded."""
    measured = bench.Bench(local, scratch)
    release = bench.generate(scratch / "release", 2)
    psql = {"one": measured.psql_session, "loop": measured.psql_loop}
    ways = psql | {"none": measured.empty, "ours": measured.ours_role}
    median = bench.compare("Two files", ways, release, 1, ("one",))
    assert all(cost.wall > 0 for cost in median.values())
    said = capsys.readouterr().out
    assert "Two files (median of 1 rounds" in said
    assert all(said.count(f"  {way}  ") == 1 for way in ways), said
    with measured.applied(release) as variables:
        history = "SELECT count(*) FROM migrations.applied"
        assert local.psql(history, variables["database_name"], role="postgres") == "2"
    assert measured.module_runs() == 2, "nothing is to do"


def test_backups_are_measured(local: Local, scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        backups.measure(local, scratch, rounds=1, megabytes=1)
    finally:
        local.drop_database("clinic")
    said = capsys.readouterr().out
    assert "ours: dump, hash, read back" in said
    assert "ours: verify, restore, compare, analyze" in said


def test_queries_and_applications_are_measured(local: Local, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    local.create_database(database, "physioflow")
    assert local.run_psql("-f", str(ROOT / "files/seeds/development_data.sql"), database=database).returncode == 0
    queries.measure_all(local, database)
    said = capsys.readouterr().out
    assert [name for name in queries.QUERIES if name not in said] == []
    with upgrade.Application(local, database) as application:
        until(lambda: application.statements > 100, "the application works")
    assert "statements, the longest" in str(application)
    assert "FAILED" not in str(application)
