"""The locks that the plan expects are those that the server takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import role_python  # noqa: F401 - importing it makes the names known
from tests.local import Local

from ansible.module_utils.migration_expected_locks import MODES, run_locks  # isort: skip

TABLES = """
    CREATE TABLE a (id int PRIMARY KEY, b int, note text, CONSTRAINT chk CHECK (b > 0) NOT VALID);
    CREATE TABLE c (id int PRIMARY KEY, a_id int);
    CREATE TABLE p (id int, y int) PARTITION BY LIST (y);
    CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
    CREATE TABLE p9 (id int, y int);
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();
    CREATE INDEX i ON a (b);
    CREATE MATERIALIZED VIEW m AS SELECT id FROM a;
"""
# What is on the tables that are there; tables of the statement itself are left out.
STATEMENTS = [
    "ALTER TABLE a ADD COLUMN x int",
    "ALTER TABLE a ADD CONSTRAINT u UNIQUE (b)",
    "ALTER TABLE c ADD CONSTRAINT fk FOREIGN KEY (a_id) REFERENCES a (id)",
    "ALTER TABLE c ADD COLUMN d int REFERENCES a (id)",
    "ALTER TABLE a VALIDATE CONSTRAINT chk",
    "ALTER TABLE a ALTER COLUMN b SET STATISTICS 10",
    "ALTER TABLE a SET (fillfactor = 70)",
    "ALTER TABLE a DISABLE TRIGGER t",
    "ALTER TABLE p ATTACH PARTITION p9 FOR VALUES IN (9)",
    "ALTER TABLE p DETACH PARTITION p1",
    "ALTER TABLE a RENAME COLUMN note TO notes",
    "ALTER TABLE a RENAME TO aa",
    "ALTER TABLE a ENABLE ROW LEVEL SECURITY",
    "COMMENT ON TABLE a IS 'x'",
    "COMMENT ON COLUMN a.b IS 'x'",
    "CREATE INDEX j ON a (note)",
    "CREATE POLICY y ON a USING (true)",
    "CREATE STATISTICS s ON id, b FROM a",
    "CREATE TABLE n (id int REFERENCES a (id))",
    "CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2)",
    "CREATE TABLE n (LIKE a)",
    "CREATE TABLE n AS SELECT id FROM a",
    "CREATE TRIGGER u BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE VIEW v AS SELECT id FROM a",
    "DELETE FROM a USING c WHERE c.a_id = a.id",
    "DROP TABLE c",
    "DROP TRIGGER t ON a",
    "INSERT INTO c (id) WITH q AS (SELECT id FROM a) SELECT id FROM q",
    "LOCK TABLE a IN SHARE ROW EXCLUSIVE MODE",
    "MERGE INTO c USING a ON c.id = a.id WHEN MATCHED THEN DELETE",
    "REFRESH MATERIALIZED VIEW m",
    "REINDEX TABLE a",
    "SELECT id FROM a FOR UPDATE",
    "TRUNCATE a",
    "UPDATE a SET b = 2",
    "ANALYZE a",
]
LOCKED = """
    SELECT c.relname || ' '
           || upper(regexp_replace(regexp_replace(l.mode, 'Lock$', ''), '([a-z])([A-Z])', '\\1 \\2', 'g'))
    FROM pg_locks AS l JOIN before AS c ON c.oid = l.relation
    WHERE l.pid = pg_backend_pid()
"""
# The names before the statement: it may drop or rename a table.
BEFORE = """
    CREATE TEMPORARY TABLE before AS
    SELECT oid, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'm')
"""


@pytest.fixture(scope="module")
def tables(local: Local) -> Iterator[str]:
    """A database with some tables, on which every statement is taken back."""
    local.psql("CREATE DATABASE test_locks OWNER emr", "postgres", role="postgres")
    local.psql(TABLES, "test_locks")
    yield "test_locks"
    local.psql("DROP DATABASE test_locks WITH (FORCE)", "postgres", role="postgres")


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_lock_is_the_one_that_the_server_takes(local: Local, tables: str, statement: str) -> None:
    expected, unknown = run_locks([("x.sql", statement)])
    assert not unknown
    found = local.psql(f"{BEFORE}; BEGIN; {statement}; {LOCKED}; ROLLBACK", tables).splitlines()
    strongest: dict[str, str] = {}
    for line in found:
        table, _, mode = line.partition(" ")
        if mode not in MODES:
            continue
        if table not in strongest or MODES.index(mode) > MODES.index(strongest[table]):
            strongest[table] = mode
    if statement.startswith("REFRESH"):
        strongest.pop("a")  # what its query reads does not stand in the statement
    assert {one["table"]: one["lock"] for one in expected} == strongest
