"""Faults of a release and of its way back: edited, deleted and renamed files, rows in the way, a wrong rollback."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fuzz.driver import Outcome, run_module
from tests.integration.oracle import SECRET, Case
from tests.local import Local

ROLLBACK = "-- Rollback: {name}\n-- Description: test\n{body}\n"


@pytest.fixture
def case(local: Local, database: str, tmp_path: Path) -> Case:
    """Three migrations with their ways back, and canary rows."""
    case = Case.make(local, database, tmp_path / "release")
    case.write("002_beds", "CREATE TABLE beds (id int CONSTRAINT beds_pkey PRIMARY KEY);", depends="001")
    case.write(
        "003_bed_notes", "ALTER TABLE beds ADD COLUMN note text;\nCREATE INDEX idx_beds_note ON beds (note);", "002"
    )
    (case.release / "rollbacks").mkdir()
    write_back(case, "002_beds", "DROP TABLE beds;")
    write_back(case, "003_bed_notes", "ALTER TABLE beds DROP COLUMN note;")
    case.begin()
    return case


def write_back(case: Case, name: str, body: str) -> None:
    (case.release / "rollbacks" / f"{name}.sql").write_text(ROLLBACK.format(name=name, body=body))


def refused(outcome: Outcome, *patterns: str) -> None:
    assert not outcome.ok
    said = " ".join(outcome.output.split())
    for pattern in patterns:
        assert re.search(pattern, said), f"{pattern}\n{outcome.output}"
    assert SECRET not in outcome.output


@pytest.mark.fault(15, 16)
def test_applied_files_that_are_not_what_they_were(case: Case) -> None:
    files = case.release / "migrations"
    texts = {path: path.read_text() for path in files.iterdir()}
    history = case.history()
    (files / "001_rooms.sql").write_text(texts[files / "001_rooms.sql"] + " ")
    (files / "002_beds.sql").rename(files / "002_cots.sql")
    (files / "002_cots.sql").write_text(texts[files / "002_beds.sql"].replace("002_beds", "002_cots"))
    for path in case.release.glob("*/003_*"):
        path.unlink()
    (case.release / "rollbacks/002_beds.sql").unlink()
    refused(
        case.apply(),
        r"001_rooms\.sql was edited after it was applied: recorded SHA-256 [0-9a-f]{12}, the file's [0-9a-f]{12}\.",
        r"002_beds\.sql is applied and is now called \S+002_cots\.sql",
        r"003_bed_notes\.sql is applied, but missing in the release\. Bring the file back",
    )
    refused(case.roll_back(to="001"), "contradict each other", r"001_rooms\.sql was edited after it was applied")
    assert case.history() == history
    (files / "002_cots.sql").unlink()
    for path, text in texts.items():
        path.write_text(text)
    case.stands()
    case.converges()


@pytest.mark.fault(54)
def test_a_rollback_with_rows_in_its_way(case: Case) -> None:
    case.psql(f"INSERT INTO beds VALUES (1, '{SECRET}'), (2, NULL)")
    refused(
        case.roll_back(only="003"),
        r"beds 1 values of note are lost",
        r"Next: check these rows; if you can lose them, .* -e rollback_accept_data_loss=true",
    )
    case.is_at_its_end()
    consent = {"rollback_only": "003", "rollback_accept_data_loss": True, "backup_before_migration": True}
    done = case.local.play("playbooks/rollback.yml", **(case.variables | consent))
    assert done.status == 0, done.output
    assert SECRET not in done.output
    assert re.search(r"Backup +\w+_backup_\w+, verified", done.output), done.output
    case.stands()
    case.converges()


@pytest.mark.fault(55)
def test_a_wrong_rollback(case: Case) -> None:
    """One that fails leaves nothing behind, and one that forgets something is found by a comparison."""
    write_back(case, "003_bed_notes", "ALTER TABLE beds DROP COLUMN note;\nDROP TABLE nowhere;")
    place = r'release/rollbacks/003_bed_notes\.sql:4: \[42P01\] table "nowhere" does not exist'
    refused(case.roll_back(to="001"), place, r"nothing was changed", r"Next: ")
    case.stands()
    write_back(case, "003_bed_notes", "DROP INDEX idx_beds_note;")
    assert case.roll_back(only="003").ok
    clean = Case(case.local, f"{case.database[:50]}_clean", case.release)
    case.local.create_database(clean.database)
    assert clean.apply(target="002").ok
    common = {"connection": case.driver().connection, "database": case.database, "scratch": clean.database}
    found = run_module("migration_scratch", action="compare", **common)
    case.local.drop_database(clean.database)
    assert "column beds.note: not in the migrations" in found["lines"]
    case.psql("ALTER TABLE beds DROP COLUMN note")
    case.stands()
    case.converges()


def test_a_view_that_goes_with_a_rollback_comes_back_with_the_next_run(case: Case) -> None:
    """Its file did not change, and is due all the same."""
    folder = case.release / "repeatable"
    folder.mkdir()
    (folder / "bed_list.sql").write_text(
        "-- Repeatable: bed_list\n-- Description: test\n-- Depends on: none\n"
        "CREATE OR REPLACE VIEW bed_list AS SELECT id FROM beds;\n"
    )
    write_back(case, "002_beds", "DROP TABLE beds CASCADE;")
    assert case.apply().sent
    before = case.catalogs()
    assert case.roll_back(to="001").ok
    assert case.psql("SELECT to_regclass('bed_list') IS NULL") == "t"
    assert case.apply().ok
    assert case.catalogs() == before
    assert case.apply() == Outcome()
