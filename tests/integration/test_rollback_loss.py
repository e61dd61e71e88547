"""What a rollback would lose is found by trying it: also what nobody could read in its SQL."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import Migration, own_statements
from ansible_collections.physioflow.database.plugins.module_utils.migrations.failure import read_loss
from ansible_collections.physioflow.database.plugins.module_utils.migrations.script import Run, Script, quote

from tests import undo
from tests.local import ROOT, Local

ROLE = ROOT / "roles/migrations/files"
RUN = Run("r1", "0aee8018-f1e7-4540-bb7f-3ba39587919a", "lan", "desk", act="rollback", applied_versions=("001",))
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


@pytest.fixture(scope="module")
def small(local: Local) -> Iterator[str]:
    """A database with a few tables, and a history in which 001 stands; no test changes it."""
    database = "test_rollback_loss"
    local.create_database(database)
    assert local.run_psql("-f", str(ROLE / "history.sql"), database=database, role="postgres").returncode == 0
    local.psql(
        "INSERT INTO migrations.history (act, version, name, sha256, sha256_raw, release, run_id, operator, "
        "controller, started_at, duration_ms) VALUES ('apply', '001', 'x', repeat('0', 64), repeat('1', 64), 'r', "
        "gen_random_uuid(), 'o', 'c', now(), 0)",
        database,
        role="postgres",
    )
    local.psql(TABLES, database)
    with undo.afterwards(local.drop_database, database):
        yield database


@pytest.fixture
def own(local: Local, small: str, database: str) -> str:
    """A copy of it for a test that changes it."""
    local.create_database(database, small)
    return database


def count(*files: str) -> str:
    script = Script(ROLE, RUN, "emr")
    return "\n".join([*script.begin(history=False), *script.count([(FILE, own_statements(sql)) for sql in files])])


def rollback(sql: str, run: Run = RUN) -> str:
    script = Script(ROLE, run, "emr")
    return "\n".join([*script.begin(history=False), *script.rollback([(FILE, own_statements(sql))])])


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
        "ALTER TABLE child DROP CONSTRAINT child_parent_id_fkey; ALTER TABLE parent DROP COLUMN doubled;"
        "ALTER TABLE parent ALTER COLUMN id TYPE text USING left(id::text, 1);",
        [loss("parent", 5, "values of id are lost")],
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
    before = content(local, small)
    done = send(local, small, tmp_path, count(sql))
    assert read_loss(done.stderr, RUN.run_id) == expected, done.stderr
    assert content(local, small) == before


def test_values_of_a_column_count_where_they_are_not_the_default(local: Local, own: str, tmp_path: Path) -> None:
    local.psql("UPDATE parent SET note = 'edited' WHERE id = 1; UPDATE parent SET data = '{}' WHERE id < 3", own)
    sql = "ALTER TABLE parent DROP COLUMN note, DROP COLUMN data;"
    done = send(local, own, tmp_path, count(sql))
    assert read_loss(done.stderr, RUN.run_id) == [loss("parent", 2, "values of note, data are lost")]


@pytest.mark.parametrize("sql", ["DROP TABLE child;", "DELETE FROM child WHERE id = 7;", "TRUNCATE child;"])
def test_rows_that_came_after_the_counting_are_not_lost(local: Local, own: str, tmp_path: Path, sql: str) -> None:
    """The act counts again, under its locks, before it loses what was not there when it was planned."""
    script = rollback(sql)
    before = content(local, own)
    refused = send(local, own, tmp_path, script)
    assert refused.returncode != 0
    assert [entry["table"] for entry in read_loss(refused.stderr, RUN.run_id) or []] == ["child"]
    assert content(local, own) == before
    local.psql("DELETE FROM child", own)
    assert send(local, own, tmp_path, script).returncode == 0
    assert local.psql("SELECT array_agg(act ORDER BY id) FROM migrations.history", own, role="postgres") == (
        "{apply,rollback}"
    )


def test_what_another_run_changed_stops_it(local: Local, small: str, tmp_path: Path) -> None:
    run = Run("r1", RUN.run_id, "lan", "desk", act="rollback", applied_versions=("001", "002"))
    refused = send(local, small, tmp_path, rollback("SELECT 1;", run))
    assert "another run changed the applied migrations since this run was planned" in refused.stderr


KEPT = (
    "SET search_path = ''; CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT id FROM public.{0}; DROP TABLE public.{0};"
)


def test_each_file_that_is_counted_has_a_session_like_a_new_one(local: Local, small: str, tmp_path: Path) -> None:
    done = send(local, small, tmp_path, count(KEPT.format("child"), KEPT.format("parent"), "SELECT 1 FROM years;"))
    found = [loss("child", 7, "the table is dropped"), loss("parent", 5, "the table is dropped")]
    assert read_loss(done.stderr, RUN.run_id) == found, done.stderr


def globals_of(local: Local) -> list[str]:
    done = local.run_program(
        "pg_dumpall", "--globals-only", "--no-role-passwords", "-d", local.conninfo("postgres", options="")
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if "restrict" not in line]


def test_what_speaks_of_a_role_that_was_left_out_is_left_out_too(local: Local, small: str, tmp_path: Path) -> None:
    before = globals_of(local)
    makes = "CREATE ROLE left_out; GRANT SELECT ON child TO left_out; ALTER TABLE years OWNER TO left_out;"
    done = send(local, small, tmp_path, count(makes, "DROP TABLE child; REVOKE SELECT ON parent FROM left_out;"))
    assert read_loss(done.stderr, RUN.run_id) == [loss("child", 7, "the table is dropped")]
    misspelt = send(local, small, tmp_path, count("GRANT SELECT ON child TO nobody_made_it;"))
    assert "nobody_made_it" in misspelt.stderr.partition("does not exist")[0]
    assert globals_of(local) == before


def test_what_speaks_of_a_role_that_a_rollback_makes_is_left_out_of_its_trial_alone(
    local: Local, own: str, tmp_path: Path
) -> None:
    makes = rollback("RESET ROLE; CREATE ROLE made_on_the_way; GRANT SELECT ON child TO made_on_the_way;")
    try:
        done = send(local, own, tmp_path, makes)
        assert done.returncode == 0, done.stderr
        assert local.psql("SELECT has_table_privilege('made_on_the_way', 'child', 'SELECT')", own) == "t"
    finally:
        local.psql("REVOKE SELECT ON child FROM made_on_the_way", own, role="postgres")
        local.psql("DROP ROLE IF EXISTS made_on_the_way", "postgres", role="postgres")


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER ROLE emr SET work_mem = '8MB'",
        "GRANT CONNECT ON DATABASE postgres TO emr_app",
        "COMMENT ON ROLE emr IS 'x'",
        "CREATE ROLE made_in_a_copy",
    ],
)
def test_what_is_only_tried_reaches_nothing_outside_of_the_database(
    local: Local, small: str, tmp_path: Path, sql: str
) -> None:
    before = globals_of(local)
    hidden = f"CREATE TABLE made (n int); DO $$ BEGIN EXECUTE {quote(f'RESET ROLE; {sql}')}; END $$;"
    done = send(local, small, tmp_path, count(hidden))
    assert "which all databases of the server share, and this is a copy" in done.stderr, done.stderr
    assert globals_of(local) == before
