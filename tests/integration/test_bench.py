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
    bench.measure(local, scratch, rounds=1, many=2, applied=20, small=True)
    said = capsys.readouterr().out
    assert said.count("(median of 1 rounds") == 2
    assert "  Module runs of deploy.yml: 2\n" in said
    assert "  CPU s of 20 applied files: " in said
    for way in (
        "empty play",
        "one psql session",
        "psql a file (the guide's loop)",
        "ours, role migrations from check to history",
        "deploy.yml",
        "deploy.yml, 20 applied files",
    ):
        assert said.count(f"  {way}  ") == 1, said


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
