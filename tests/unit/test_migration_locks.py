"""Which relations a statement locks, and how strongly; tests/integration/test_locks.py asks a server."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import (
    own_statements,
    split_file,
)
from ansible_collections.physioflow.database.plugins.module_utils.migrations.locks import (
    _ALTERS,
    _LOCKS_NOTHING,
    _RULES,
    _UNREADABLE,
    CONFLICTS,
    Lock,
    Mode,
    Reader,
    run_locks,
)
from pglast import ast, enums

EXCLUSIVE, SHARE_ROW, SHARE, SHARE_UPDATE = (
    Mode.ACCESS_EXCLUSIVE,
    Mode.SHARE_ROW_EXCLUSIVE,
    Mode.SHARE,
    Mode.SHARE_UPDATE_EXCLUSIVE,
)
WRITE, READ = Mode.ROW_EXCLUSIVE, Mode.ACCESS_SHARE
# Nodes that are named like statements and are none that can be sent.
PARTS = (ast.PLAssignStmt, ast.RawStmt, ast.ReplicaIdentityStmt, ast.ReturnStmt, ast.SetOperationStmt)


def needs(sql: str) -> list[dict[str, Any]]:
    """Return the locks of the last statement of a file as they go to the host."""
    return list(own_statements(sql)[-1].needs)


def locks_of(sql: str) -> list[Lock]:
    """Return the locks of one statement."""
    return Reader().locks(split_file(sql)[0].node)


def words(*modes: Mode) -> list[str]:
    """Return the modes that conflict with some, as pg_locks names them."""
    return [mode.in_pg_locks for mode in Mode if any(mode in CONFLICTS[each] for each in modes)]


def table(sql: str) -> list[tuple[str, str]]:
    """Return what the plan says of a file."""
    return [(entry["table"], entry["lock"]) for entry in run_locks([("1.sql", split_file(sql))])[0]]


def test_every_kind_of_statement_and_of_alter_table_is_known() -> None:
    kinds = {getattr(ast, name) for name in dir(ast) if name.endswith("Stmt")}
    known = [*_RULES, *_LOCKS_NOTHING, *_UNREADABLE, *PARTS]
    assert set(known) == kinds
    assert len(known) == len(kinds), "one is in two lists"
    assert set(_ALTERS) == set(enums.AlterTableType)


@pytest.mark.parametrize(
    ("sql", "locks"),
    [
        ('ALTER TABLE s."A b" DROP COLUMN b', {'"s"."A b"': EXCLUSIVE}),
        ("ALTER TABLE a DISABLE TRIGGER t", {'"a"': SHARE_ROW}),
        ("ALTER TABLE a VALIDATE CONSTRAINT c, ALTER b SET NOT NULL", {'"a"': EXCLUSIVE}),
        ("ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES b (y)", {'"a"': SHARE_ROW, '"b"': SHARE_ROW}),
        ("ALTER TABLE a ATTACH PARTITION b DEFAULT", {'"a"': SHARE_UPDATE, '"b"': EXCLUSIVE}),
        ("CREATE TABLE a (x int REFERENCES b)", {'"b"': SHARE_ROW}),
        ("DROP TABLE a, s.b CASCADE", {'"a"': EXCLUSIVE, '"s"."b"': EXCLUSIVE}),
        ("COMMENT ON COLUMN s.a.b IS 'x'", {'"s"."a"': SHARE_UPDATE}),
        ("UPDATE a SET x = 1 FROM b", {'"a"': WRITE, '"b"': READ}),
        ("SELECT * FROM pg_class, information_schema.tables, pg_temp.t", {}),
        ("TRUNCATE pg_notes", {'"pg_notes"': EXCLUSIVE}),
        ("VACUUM (FULL off) a", {'"a"': SHARE_UPDATE}),
        ("VACUUM (FULL) a", {'"a"': EXCLUSIVE}),
        ("REINDEX (CONCURRENTLY off) TABLE a", {'"a"': SHARE}),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY a", {'"a"': Mode.EXCLUSIVE}),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'not SQL'", {}),
        ("SELECT 1", {}),
        ("DO $$ BEGIN END $$", {}),
    ],
)
def test_a_statement_says_what_it_locks(sql: str, locks: dict[str, Mode]) -> None:
    assert {lock.as_need()["relation"]: lock.mode for lock in locks_of(sql)} == locks
    assert {need["relation"]: need["modes"] for need in needs(sql)} == {name: words(locks[name]) for name in locks}


def test_what_is_taken_and_who_is_waited_for_are_kept_apart() -> None:
    [need] = needs("CREATE INDEX CONCURRENTLY i ON a (b)")
    assert need == {"relation": '"a"', "modes": words(SHARE, SHARE_UPDATE), "snapshots": True}
    index, its_table = locks_of("DROP INDEX CONCURRENTLY i")
    assert (index.mode, its_table.mode, its_table.of_index) == (EXCLUSIVE, SHARE_UPDATE, True)
    assert its_table.as_need()["modes"] == [mode.in_pg_locks for mode in Mode]
    assert table("CREATE INDEX CONCURRENTLY i ON a (b)") == [("a", "SHARE UPDATE EXCLUSIVE")]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE a (x int); ALTER TABLE public.a ADD y int",
        "CREATE TEMP TABLE IF NOT EXISTS a (x int); DROP TABLE a",
        "CREATE VIEW a AS SELECT 1; DROP VIEW a",
        "CREATE TABLE a AS SELECT 1; CREATE INDEX i ON a (x); DROP INDEX i",
        "SELECT 1 AS x INTO a; TRUNCATE a",
        "ALTER TABLE b RENAME TO a; ALTER TABLE a ADD y int",
        "ALTER TABLE b SET SCHEMA s; DROP TABLE s.b",
    ],
)
def test_what_a_file_makes_is_nobody_elses(sql: str) -> None:
    assert needs(sql) == []


def test_what_may_have_been_there_is_looked_at_and_not_announced() -> None:
    sql = "CREATE TABLE IF NOT EXISTS a (x int); ALTER TABLE a ADD y int"
    assert needs(sql) == [{"relation": '"a"', "modes": words(EXCLUSIVE), "reach": "children"}]
    assert table(sql) == []


def test_the_plan_goes_through_the_files_in_order() -> None:
    first = (
        'INSERT INTO a SELECT * FROM "B c"; CREATE TEMP TABLE t (x int); ALTER TABLE t ADD y int; SET search_path = s'
    )
    second = "DROP TABLE a; CREATE TABLE a (x int); ALTER TABLE t ADD y int; ALTER TABLE a ADD y int; DROP INDEX s.i"
    files = [("1.sql", split_file(first)), ("2.sql", split_file(second))]
    locks, unknown = run_locks(files)
    assert [(entry["table"], entry["lock"], entry["file"], entry["blocks"]) for entry in locks] == [
        ("a", "ACCESS EXCLUSIVE", "2.sql", "reads and writes"),
        ("t", "ACCESS EXCLUSIVE", "2.sql", "reads and writes"),
        ("the table of index s.i", "ACCESS EXCLUSIVE", "2.sql", "reads and writes"),
        ('"B c"', "ACCESS SHARE", "1.sql", "nothing"),
    ]
    assert unknown == []
