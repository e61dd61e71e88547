"""Repeatable files: applied after the versions whenever their content changed, in order, each with its history row."""

from __future__ import annotations

import re
from pathlib import Path

from tests.fuzz.driver import Outcome
from tests.integration.oracle import HISTORY, Case

HEAD = "-- Repeatable: {name}\n-- Description: test\n-- Depends on: {depends}\n"
# The history as releases before this one made it.
FORMAT_1 = """
COMMENT ON SCHEMA migrations IS 'PhysioFlow Database: history of migrations, format 1';
ALTER TABLE migrations.history
    DROP CONSTRAINT chk_history_act,
    DROP CONSTRAINT chk_history_version,
    ADD CONSTRAINT chk_history_act CHECK (act IN ('apply', 'start', 'rollback', 'baseline', 'accept')),
    ADD CONSTRAINT chk_history_version CHECK (version ~ '^[0-9]{3,}$');
"""


def write(case: Case, name: str, body: str, depends: str = "none") -> Path:
    path = case.release / "repeatable" / f"{name}.sql"
    path.parent.mkdir(exist_ok=True)
    path.write_text(HEAD.format(name=name, depends=depends) + body)
    return path


def test_repeatable_files_follow_their_content(case: Case) -> None:
    case.begin()
    case.psql(FORMAT_1, role="postgres")
    case.psql("INSERT INTO rooms VALUES (1, 'a'), (2, 'b')")
    write(case, "a_names", "CREATE OR REPLACE VIEW a_names AS SELECT name FROM z_rooms;\n", depends="z_rooms")
    rooms = write(
        case, "z_rooms", "DROP VIEW IF EXISTS z_rooms CASCADE;\nCREATE VIEW z_rooms AS SELECT * FROM rooms;\n"
    )
    checked = case.run("--check", "--diff")
    assert checked.status == 0, checked.output
    assert "Repeatable     z_rooms, a_names to be applied again" in checked.output
    assert "+CREATE VIEW z_rooms AS SELECT * FROM rooms;" in checked.output
    assert case.history() == "apply 001"

    first = case.run()
    assert first.status == 0, first.output
    assert re.search(r"Repeatable +2 applied now in \d+ ms\n +R +z_rooms +[\d.]+ ms\n +R +a_names ", first.output)
    assert "0 applied now in 0 ms, 1 before" in first.output
    assert case.psql("SELECT string_agg(name, '' ORDER BY name) FROM a_names") == "ab"
    assert case.history() == "apply 001, repeat R, repeat R"
    assert case.apply() == Outcome()

    rooms.write_text(rooms.read_text().replace("FROM rooms", "FROM rooms WHERE id = 1"))
    write(case, "broken", "SELECT 1;\nCREATE OR REPLACE VIEW broken AS SELECT nothing FROM rooms;\n")
    case.write("002_beds", "ALTER TABLE rooms ADD COLUMN beds int;")
    failed = case.apply()
    words = " ".join(failed.failure.split())
    assert 'release/repeatable/broken.sql:5: [42703] column "nothing" does not exist' in words
    assert "002_beds.sql applied and recorded by this run; broken.sql to a_names.sql (3) not applied" in words
    (case.release / "repeatable/broken.sql").unlink()
    again = case.apply()
    assert again.ok, again
    assert case.psql("SELECT string_agg(name, '' ORDER BY name) FROM a_names") == "a"
    assert case.psql(HISTORY.replace("version", "name"), role="postgres").endswith(
        "repeat z_rooms, repeat a_names, apply beds, repeat z_rooms, repeat a_names"
    )
    assert case.psql("SELECT count(*), count(DISTINCT version) FROM migrations.applied", role="postgres") == "2|2"
