"""What a rollback would lose is found by trying it: also what nobody could read in its SQL."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import role_python  # noqa: F401 - importing it makes the names known
from tests.local import ROOT, Local

from ansible.module_utils.migration_catalog import Migration, own_statements  # isort: skip
from ansible.module_utils.migration_loss import read_loss  # isort: skip
from ansible.module_utils.migration_script import Limits, Run, write_count, write_rollback  # isort: skip

ROLE = ROOT / "roles/migrations/files"
FUNCTIONS = (ROLE / "session.sql").read_text() + (ROLE / "rollback.sql").read_text()
RUN = Run("r1", "0aee8018-f1e7-4540-bb7f-3ba39587919a", "lan", "desk", act="rollback", standing=("001",))
FILE = Migration("001", "x", "files/rollbacks/001_x.sql", "x", (), True, "0" * 64, "1" * 64)

TABLES = """
    CREATE TABLE parent (id int PRIMARY KEY, note text DEFAULT 'none', data json,
                         doubled int GENERATED ALWAYS AS (id * 2) STORED);
    CREATE TABLE child (id int PRIMARY KEY, parent_id int REFERENCES parent ON DELETE CASCADE);
    CREATE TABLE years (id int, year int) PARTITION BY LIST (year);
    CREATE TABLE years_1 PARTITION OF years FOR VALUES IN (1);
    CREATE TABLE years_2 PARTITION OF years FOR VALUES IN (2);
    INSERT INTO parent (id) SELECT generate_series(1, 5);
    INSERT INTO child SELECT generate_series(1, 7), 1;
    INSERT INTO years VALUES (1, 1), (2, 2), (3, 2);
"""


@pytest.fixture
def small(local: Local, database: str) -> Iterator[str]:
    """A database with a few tables, and a history in which 001 stands."""
    local.psql(f'CREATE DATABASE "{database}" OWNER emr', "postgres", role="postgres")
    assert local.run_psql("-f", str(ROLE / "history.sql"), database=database, role="postgres").returncode == 0
    local.psql(
        "INSERT INTO migrations.history (act, version, name, sha256, sha256_raw, release, run_id, operator, "
        "controller, started_at, duration_ms) VALUES ('apply', '001', 'x', repeat('0', 64), repeat('1', 64), 'r', "
        "gen_random_uuid(), 'o', 'c', now(), 0)",
        database,
        role="postgres",
    )
    local.psql(TABLES, database)
    yield database


def send(local: Local, database: str, tmp_path: Path, script: str) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "script.sql"
    path.write_text(script)
    return local.run_psql("-f", str(path), database=database, role="postgres")


def content(local: Local, database: str) -> str:
    done = local.run_program(
        "pg_dump", "--inserts", "--exclude-schema=migrations", local.conninfo(database, options="")
    )
    return "\n".join(line for line in done.stdout.splitlines() if "restrict" not in line)


def loss(table: str, rows: int, what: str) -> dict[str, Any]:
    return {"table": table, "rows": rows, "what": what}


CASES = {
    "dropped tables, a partitioned one as one": (
        "DROP TABLE child; DROP TABLE years;",
        [loss("child", 7, "the table is dropped"), loss("years", 3, "the table is dropped")],
    ),
    "rows that a foreign key takes along": (
        "DELETE FROM parent WHERE id <= 2;",
        [loss("child", 7, "rows are deleted"), loss("parent", 2, "rows are deleted")],
    ),
    "dynamic SQL": (
        "DO $$ BEGIN EXECUTE format('DROP TABLE %I', 'chi' || 'ld'); END $$;",
        [loss("child", 7, "the table is dropped")],
    ),
    "rows that are written over": (
        "UPDATE parent SET note = 'x' WHERE id > 3;",
        [loss("parent", 2, "rows are changed")],
    ),
    "rows that are replaced": (
        "DELETE FROM child; INSERT INTO child VALUES (1, 1);",
        [loss("child", 7, "rows are deleted")],
    ),
    "an emptied table that gets others": (
        "TRUNCATE child; INSERT INTO child VALUES (1, 1), (2, 1);",
        [loss("child", 7, "rows are deleted")],
    ),
    "values that are not the default": (
        "UPDATE parent SET note = 'edited' WHERE id = 1; ALTER TABLE parent DROP COLUMN note;",
        [loss("parent", 1, "rows are changed")],
    ),
    "a type that goes with its column": (
        "ALTER TABLE parent ALTER COLUMN id TYPE text USING left(id::text, 1);",
        [loss("parent", 5, "values of id go")],
    ),
    "nothing": (
        "ALTER TABLE parent DROP COLUMN note, DROP COLUMN data, DROP COLUMN doubled;"
        "CREATE INDEX i ON child (parent_id);"
        "ALTER TABLE child ADD COLUMN x uuid DEFAULT gen_random_uuid(); DELETE FROM child WHERE false;",
        [],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_loss_is_found_and_nothing_stays(local: Local, small: str, tmp_path: Path, case: str) -> None:
    sql, expected = CASES[case]
    if "type" in case:
        local.psql(
            "ALTER TABLE child DROP CONSTRAINT child_parent_id_fkey; ALTER TABLE parent DROP COLUMN doubled", small
        )
    before = content(local, small)
    script = write_count([(FILE, own_statements(sql))], RUN, Limits(), owner="emr", functions=FUNCTIONS)
    done = send(local, small, tmp_path, script)
    assert read_loss(done.stderr, RUN.run_id) == expected, done.stderr
    assert content(local, small) == before


def test_values_of_a_column_count_where_they_are_not_the_default(local: Local, small: str, tmp_path: Path) -> None:
    local.psql("UPDATE parent SET note = 'edited' WHERE id = 1; UPDATE parent SET data = '{}' WHERE id < 3", small)
    sql = "ALTER TABLE parent DROP COLUMN note, DROP COLUMN data;"
    script = write_count([(FILE, own_statements(sql))], RUN, Limits(), owner="emr", functions=FUNCTIONS)
    done = send(local, small, tmp_path, script)
    assert read_loss(done.stderr, RUN.run_id) == [loss("parent", 2, "values of note, data go")]


@pytest.mark.parametrize("sql", ["DROP TABLE child;", "DELETE FROM child WHERE id = 7;", "TRUNCATE child;"])
def test_rows_that_came_after_the_counting_are_not_lost(local: Local, small: str, tmp_path: Path, sql: str) -> None:
    """The act counts again, under its locks, before it loses what was not there when it was planned."""
    script = write_rollback([(FILE, own_statements(sql))], RUN, Limits(), owner="emr", functions=FUNCTIONS)
    before = content(local, small)
    refused = send(local, small, tmp_path, script)
    assert refused.returncode != 0
    assert [entry["table"] for entry in read_loss(refused.stderr, RUN.run_id) or []] == ["child"]
    assert content(local, small) == before
    local.psql("DELETE FROM child", small)
    assert send(local, small, tmp_path, script).returncode == 0
    assert local.psql("SELECT array_agg(act ORDER BY id) FROM migrations.history", small, role="postgres") == (
        "{apply,rollback}"
    )


def test_what_another_run_changed_stops_it(local: Local, small: str, tmp_path: Path) -> None:
    run = Run("r1", RUN.run_id, "lan", "desk", act="rollback", standing=("001", "002"))
    script = write_rollback([(FILE, own_statements("SELECT 1;"))], run, Limits(), owner="emr", functions=FUNCTIONS)
    assert "another run changed what stands since this run was planned" in send(local, small, tmp_path, script).stderr
