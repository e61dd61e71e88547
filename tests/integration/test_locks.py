"""The locks that are read from a statement's text are those that the server takes, and those whom it waits for.

The oracle is pg_locks: each statement runs in a transaction that is taken back. For those that cannot, and for all that
wait for more than they take, a second session holds each mode in turn, and it is seen whether the statement waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.blockers import find_blockers
from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import _needs_no_transaction
from ansible_collections.physioflow.database.plugins.module_utils.migrations.locks import (
    _RULES,
    CHILDREN,
    CONFLICTS,
    PARTITIONS,
    Mode,
    Reader,
    is_unreadable,
)
from pglast import ast, enums, parser
from psycopg.rows import dict_row

from tests.integration.oracle import Case
from tests.local import Local

TABLES = """
    CREATE TABLE a (id int PRIMARY KEY, b int, x int NOT NULL, note text, CONSTRAINT chk CHECK (b > 0) NOT VALID);
    CREATE TABLE c (id int CONSTRAINT c_pkey PRIMARY KEY, a_id int CONSTRAINT c_fk REFERENCES a (id) DEFERRABLE,
                    w int, g int GENERATED ALWAYS AS IDENTITY);
    ALTER TABLE c ADD CONSTRAINT c_nv FOREIGN KEY (w) REFERENCES a (id) NOT VALID;
    CREATE TABLE d (id int NOT NULL, y int, z int GENERATED ALWAYS AS (y + 1) STORED);
    CREATE UNIQUE INDEX d_i ON d (id);
    CREATE TABLE p (id int, y int) PARTITION BY LIST (y);
    CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
    CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
    CREATE TABLE p9 (id int, y int);
    CREATE INDEX p_i ON p (id);
    CREATE INDEX p_k ON ONLY p (y);
    CREATE INDEX p1_k ON p1 (y);
    CREATE TABLE g (id int);
    CREATE TABLE h () INHERITS (g);
    CREATE TABLE k (id int);
    CREATE SEQUENCE s;
    CREATE SEQUENCE so OWNED BY k.id;
    CREATE VIEW v AS SELECT id, b FROM a;
    CREATE MATERIALIZED VIEW m AS SELECT id FROM a;
    CREATE UNIQUE INDEX m_i ON m (id);
    CREATE TYPE ct AS (q int, r text);
    CREATE TABLE ty OF ct;
    CREATE TABLE ty2 (q int, r text);
    CREATE TYPE cu AS (q int);
    CREATE TABLE u (id int, cu cu);
    CREATE DOMAIN dom AS int CONSTRAINT dom_c CHECK (VALUE > 0);
    CREATE TABLE e (id dom);
    CREATE STATISTICS st ON id, b FROM a;
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();
    CREATE TRIGGER pt BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION f();
    CREATE INDEX i ON a (b);
    CREATE RULE r AS ON UPDATE TO d DO ALSO SELECT 1;
    CREATE POLICY pol ON a USING (true);
    CREATE PUBLICATION pub FOR TABLE d;
    CREATE FOREIGN DATA WRAPPER fw;
    CREATE SERVER srv FOREIGN DATA WRAPPER fw;
    CREATE FOREIGN TABLE ft (x int) SERVER srv;
    CREATE SCHEMA "S a";
    CREATE TABLE "S a"."T b" (id int);
    CREATE SCHEMA other;
    CREATE TABLE other.k (id int);
"""
BY_NAME = {mode.in_pg_locks: mode for mode in Mode}
S, SRX, SUX, AX = Mode.SHARE, Mode.SHARE_ROW_EXCLUSIVE, Mode.SHARE_UPDATE_EXCLUSIVE, Mode.ACCESS_EXCLUSIVE
AS, RS, RX = Mode.ACCESS_SHARE, Mode.ROW_SHARE, Mode.ROW_EXCLUSIVE
# Statements of which the text says all.
STATEMENTS = """
ALTER TABLE a ADD COLUMN z int
ALTER TABLE a ADD COLUMN z int REFERENCES c (id)
ALTER TABLE IF EXISTS k ADD COLUMN x int
ALTER TABLE "S a"."T b" ADD COLUMN x int
ALTER TABLE a ALTER COLUMN b SET DEFAULT 1
ALTER TABLE a ALTER COLUMN x DROP NOT NULL
ALTER TABLE a ALTER COLUMN b SET NOT NULL
ALTER TABLE d ALTER COLUMN z DROP EXPRESSION
ALTER TABLE a ALTER COLUMN b SET STATISTICS 10
ALTER TABLE a ALTER COLUMN b SET (n_distinct = 5)
ALTER TABLE a ALTER COLUMN b RESET (n_distinct)
ALTER TABLE a ALTER COLUMN note SET STORAGE EXTERNAL
ALTER TABLE a ALTER COLUMN note SET COMPRESSION pglz
ALTER TABLE a DROP COLUMN note
ALTER TABLE a ADD CONSTRAINT un UNIQUE (b)
ALTER TABLE d ADD PRIMARY KEY (id)
ALTER TABLE d ADD CONSTRAINT dpk PRIMARY KEY USING INDEX d_i
ALTER TABLE a ADD CONSTRAINT ex EXCLUDE USING btree (b WITH =)
ALTER TABLE a ADD CHECK (b > 1) NOT VALID
ALTER TABLE d ADD CONSTRAINT fk FOREIGN KEY (y) REFERENCES a (id)
ALTER TABLE d ADD CONSTRAINT fk FOREIGN KEY (y) REFERENCES a (id) NOT VALID
ALTER TABLE p ADD CONSTRAINT fk FOREIGN KEY (y) REFERENCES a (id)
ALTER TABLE c ALTER CONSTRAINT c_fk NOT DEFERRABLE
ALTER TABLE a VALIDATE CONSTRAINT chk
ALTER TABLE a VALIDATE CONSTRAINT chk, ALTER b SET STATISTICS 4
ALTER TABLE a VALIDATE CONSTRAINT chk, ALTER b SET NOT NULL
ALTER TABLE a DROP CONSTRAINT chk
ALTER TABLE ty2 ALTER COLUMN q TYPE bigint USING q + 1
ALTER FOREIGN TABLE ft ALTER COLUMN x OPTIONS (ADD q 'x')
ALTER FOREIGN TABLE ft OPTIONS (ADD q 'x')
ALTER FOREIGN TABLE ft ADD COLUMN y int
ALTER TABLE d OWNER TO emr
ALTER TABLE d CLUSTER ON d_i
ALTER TABLE a SET WITHOUT CLUSTER
ALTER TABLE ty2 SET UNLOGGED
ALTER TABLE ty2 SET LOGGED
ALTER TABLE a SET WITHOUT OIDS
ALTER TABLE a SET ACCESS METHOD heap
ALTER TABLE a SET TABLESPACE pg_default
ALTER TABLE a DISABLE TRIGGER t
ALTER TABLE a ENABLE ALWAYS TRIGGER t
ALTER TABLE a ENABLE REPLICA TRIGGER t
ALTER TABLE a ENABLE TRIGGER t
ALTER TABLE a ENABLE TRIGGER ALL
ALTER TABLE c DISABLE TRIGGER ALL
ALTER TABLE a ENABLE TRIGGER USER
ALTER TABLE a DISABLE TRIGGER USER
ALTER TABLE p DISABLE TRIGGER pt
ALTER TABLE ONLY p DISABLE TRIGGER pt
ALTER TABLE d DISABLE RULE r
ALTER TABLE d ENABLE RULE r
ALTER TABLE d ENABLE ALWAYS RULE r
ALTER TABLE d ENABLE REPLICA RULE r
ALTER TABLE k INHERIT g
ALTER TABLE h NO INHERIT g
ALTER TABLE ty2 OF ct
ALTER TABLE ty NOT OF
ALTER TABLE d REPLICA IDENTITY USING INDEX d_i
ALTER TABLE a ENABLE ROW LEVEL SECURITY
ALTER TABLE a DISABLE ROW LEVEL SECURITY
ALTER TABLE a FORCE ROW LEVEL SECURITY
ALTER TABLE a NO FORCE ROW LEVEL SECURITY
ALTER TABLE p ATTACH PARTITION p9 FOR VALUES IN (9)
ALTER TABLE p DETACH PARTITION p1
ALTER TABLE d ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY
ALTER TABLE a SET (fillfactor = 70)
ALTER TABLE a SET (toast.autovacuum_enabled = false, log_autovacuum_min_duration = 5)
ALTER TABLE a SET (toast_tuple_target = 128, parallel_workers = 2)
ALTER TABLE a SET (vacuum_index_cleanup = off, vacuum_truncate = off)
ALTER TABLE a SET (user_catalog_table = true, fillfactor = 70)
ALTER TABLE a RESET (fillfactor)
ALTER TABLE a RESET (user_catalog_table)
ALTER INDEX i SET (fillfactor = 70, deduplicate_items = off)
ALTER INDEX i RESET (fillfactor)
ALTER INDEX i SET TABLESPACE pg_default
ALTER INDEX p_k ATTACH PARTITION p1_k
ALTER VIEW v SET (security_barrier)
ALTER VIEW v SET (security_invoker)
ALTER VIEW v RESET (check_option)
ALTER VIEW v ALTER COLUMN b SET DEFAULT 1
ALTER VIEW v OWNER TO emr
ALTER MATERIALIZED VIEW m SET (fillfactor = 70)
ALTER MATERIALIZED VIEW m CLUSTER ON m_i
ALTER SEQUENCE s OWNER TO emr
ALTER SEQUENCE s SET UNLOGGED
ALTER SEQUENCE s RESTART
ALTER SEQUENCE s OWNED BY a.b
ALTER SEQUENCE so OWNED BY NONE
ALTER TABLE p ADD COLUMN z int
ALTER TABLE g ADD COLUMN z int
ALTER TABLE ONLY p ALTER COLUMN y SET STATISTICS 3
ALTER TABLE p ALTER COLUMN y SET STATISTICS 3
ALTER TABLE p ALTER COLUMN id SET NOT NULL
ALTER TABLE p ALTER COLUMN id SET DEFAULT 1
ALTER TABLE p OWNER TO emr
ALTER TABLE p ADD CHECK (y > 0)
ALTER TABLE p DROP COLUMN id
ALTER TABLE p RENAME COLUMN id TO id2
ALTER TABLE p RENAME TO pp
ALTER TABLE g RENAME COLUMN id TO id2
ALTER TABLE a RENAME CONSTRAINT chk TO chk2
ALTER TABLE i RENAME TO i9
ALTER INDEX i RENAME TO i9
ALTER VIEW v RENAME TO v2
ALTER VIEW v RENAME COLUMN b TO bb
ALTER MATERIALIZED VIEW m RENAME TO m2
ALTER SEQUENCE s RENAME TO s2
ALTER TRIGGER t ON a RENAME TO t2
ALTER TRIGGER pt ON p RENAME TO t2
ALTER POLICY pol ON a RENAME TO pol2
ALTER RULE r ON d RENAME TO r2
ALTER TYPE ct RENAME TO ct2
ALTER TYPE cu ADD ATTRIBUTE zz int
ALTER TYPE cu DROP ATTRIBUTE q
ALTER DOMAIN dom SET DEFAULT 2
ALTER DOMAIN dom ADD CHECK (VALUE > 1) NOT VALID
ALTER TABLE d SET SCHEMA other
ALTER VIEW v SET SCHEMA other
ALTER SEQUENCE s SET SCHEMA other
ALTER FUNCTION f() SET SCHEMA other
ALTER POLICY pol ON a USING (EXISTS (SELECT FROM k))
ALTER STATISTICS st SET STATISTICS 10
ALTER PUBLICATION pub ADD TABLE a WHERE (b > 1)
ALTER PUBLICATION pub DROP TABLE d
ALTER EXTENSION plpgsql ADD TABLE k
ALTER INDEX i DEPENDS ON EXTENSION plpgsql
ALTER TRIGGER t ON a DEPENDS ON EXTENSION plpgsql
COMMENT ON TABLE a IS 'x'
COMMENT ON COLUMN a.b IS 'x'
COMMENT ON COLUMN v.b IS 'x'
COMMENT ON CONSTRAINT chk ON a IS 'x'
COMMENT ON TRIGGER t ON a IS 'x'
COMMENT ON POLICY pol ON a IS 'x'
COMMENT ON RULE r ON d IS 'x'
COMMENT ON INDEX i IS 'x'
COMMENT ON VIEW v IS 'x'
COMMENT ON MATERIALIZED VIEW m IS 'x'
COMMENT ON SEQUENCE s IS 'x'
COMMENT ON FOREIGN TABLE ft IS 'x'
COMMENT ON STATISTICS st IS 'x'
COMMENT ON FUNCTION f() IS 'x'
COMMENT ON CONSTRAINT dom_c ON DOMAIN dom IS 'x'
CREATE INDEX j ON a (note)
CREATE INDEX j ON p (y)
CREATE INDEX j ON ONLY p (y)
CREATE INDEX j ON g (id)
CREATE INDEX IF NOT EXISTS i ON a (b)
CREATE POLICY y ON a USING (EXISTS (SELECT FROM k WHERE k.id = a.id))
CREATE STATISTICS s2 ON id, b FROM a
CREATE TRIGGER n BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION f()
CREATE TRIGGER n BEFORE UPDATE ON p FOR EACH ROW EXECUTE FUNCTION f()
CREATE TRIGGER n BEFORE UPDATE ON p EXECUTE FUNCTION f()
CREATE CONSTRAINT TRIGGER n AFTER UPDATE ON a FROM c FOR EACH ROW EXECUTE FUNCTION f()
CREATE RULE r2 AS ON INSERT TO d DO ALSO INSERT INTO k SELECT id FROM a
CREATE TABLE n (id int PRIMARY KEY, o int REFERENCES n (id), FOREIGN KEY (o) REFERENCES a (id))
CREATE TABLE n (id int REFERENCES a)
CREATE TABLE n () INHERITS (g)
CREATE TABLE n PARTITION OF p FOR VALUES IN (3)
CREATE TABLE n PARTITION OF p DEFAULT
CREATE TABLE n (LIKE a INCLUDING ALL)
CREATE TABLE n OF ct
CREATE TABLE n AS WITH a AS (SELECT id FROM a) SELECT id FROM a
CREATE TEMPORARY TABLE n AS SELECT id FROM a
CREATE FOREIGN TABLE n PARTITION OF p FOR VALUES IN (4) SERVER srv
CREATE VIEW n AS SELECT id FROM a FOR UPDATE
CREATE OR REPLACE VIEW v AS SELECT id, w AS b FROM c
CREATE MATERIALIZED VIEW n AS SELECT id FROM a
CREATE SEQUENCE n OWNED BY a.b
CREATE PUBLICATION pub2 FOR TABLE a, p
CREATE PUBLICATION pub2 FOR ALL TABLES
CREATE SCHEMA n CREATE TABLE nt (id int REFERENCES public.a) CREATE VIEW nv AS SELECT nt.id FROM nt, public.k
CREATE FUNCTION n() RETURNS void LANGUAGE sql AS 'INSERT INTO k SELECT id FROM a; TRUNCATE c'
CREATE FUNCTION n() RETURNS void BEGIN ATOMIC INSERT INTO k SELECT id FROM a; END
CREATE FUNCTION n() RETURNS bigint LANGUAGE sql RETURN (SELECT count(*) FROM a)
CREATE FUNCTION n() RETURNS SETOF a LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT * FROM k; END'
DELETE FROM a USING k WHERE k.id = a.id
DELETE FROM a WHERE id IN (SELECT id FROM k)
INSERT INTO c (id) WITH q AS (SELECT id FROM a) SELECT id FROM q
INSERT INTO k SELECT id FROM a ON CONFLICT DO NOTHING
INSERT INTO k SELECT id FROM "S a"."T b"
UPDATE a SET b = (SELECT max(id) FROM k)
UPDATE a SET b = k.id FROM k
WITH q AS (DELETE FROM k RETURNING id) INSERT INTO d (id) SELECT id FROM q
WITH q AS (UPDATE a SET b = 1 RETURNING id) SELECT * FROM q JOIN k USING (id)
WITH k AS (SELECT 1 AS id) DELETE FROM k USING k AS kk
MERGE INTO c USING a ON c.id = a.id WHEN MATCHED THEN DELETE
MERGE INTO k USING (SELECT id FROM a) q ON k.id = q.id WHEN NOT MATCHED THEN INSERT VALUES (q.id)
SELECT (SELECT max(id) FROM k) FROM a
SELECT id FROM a FOR UPDATE
SELECT id FROM a FOR KEY SHARE
SELECT a.id FROM a, k FOR SHARE
SELECT a.id FROM a AS q JOIN k USING (id) JOIN a ON true FOR UPDATE OF q
SELECT q.id FROM (SELECT id FROM a) q, k FOR UPDATE
SELECT q.id FROM (SELECT id FROM a) q, k FOR UPDATE OF k
WITH q AS (SELECT id FROM a) SELECT * FROM q, k FOR UPDATE
SELECT id FROM k WHERE id IN (SELECT id FROM a FOR UPDATE)
(SELECT id FROM a) UNION (SELECT id FROM k)
WITH RECURSIVE k AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM k WHERE id < 3) SELECT * FROM k
WITH k AS (SELECT id FROM k) SELECT * FROM k
WITH x1 AS (SELECT 1), x2 AS (SELECT * FROM x1) SELECT * FROM x2
DECLARE cursor CURSOR FOR SELECT id FROM a
EXPLAIN UPDATE a SET b = 1
PREPARE prepared AS UPDATE a SET b = 1
LOCK TABLE a, k IN SHARE MODE
LOCK TABLE a IN ROW SHARE MODE
LOCK TABLE p
LOCK TABLE ONLY p IN EXCLUSIVE MODE
TRUNCATE k, d
TRUNCATE p
TRUNCATE ONLY g
COPY k FROM PROGRAM 'echo 1'
COPY a TO '/dev/null'
COPY (SELECT id FROM a) TO '/dev/null'
DROP TABLE p
DROP TABLE IF EXISTS d
DROP VIEW v
DROP MATERIALIZED VIEW m
DROP SEQUENCE s
DROP INDEX i
DROP INDEX p_i
DROP TRIGGER t ON a
DROP TRIGGER pt ON p
DROP POLICY pol ON a
DROP RULE r ON d
DROP FOREIGN TABLE ft
DROP PUBLICATION pub
REFRESH MATERIALIZED VIEW m WITH NO DATA
REINDEX TABLE a
REINDEX INDEX i
CLUSTER d USING d_i
ANALYZE a (b)
ANALYZE p
GRANT SELECT (b) ON a TO emr
GRANT SELECT ON ALL TABLES IN SCHEMA public TO emr
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO emr
""".strip().splitlines()
# Those that lock more than they name; that is not known, and nobody is ended because of it.
MORE = {
    "ALTER TABLE c DROP COLUMN a_id": {"a": AX},
    "ALTER TABLE c DROP CONSTRAINT c_fk": {"a": AX},
    "ALTER TABLE c VALIDATE CONSTRAINT c_nv": {"a": RS},
    "ALTER TABLE c ALTER COLUMN g SET START 5": {"c_g_seq": SRX},
    "ALTER TABLE c ALTER COLUMN g DROP IDENTITY": {"c_g_seq": AX},
    "ALTER TABLE k OWNER TO emr": {"so": AX},
    "ALTER TABLE k SET SCHEMA information_schema": {"so": AX},
    "ALTER TABLE p ADD CONSTRAINT pu UNIQUE (id, y)": {"p1": S, "p2": S},
    "ALTER PUBLICATION pub SET TABLE a": {"d": SUX},
    "ALTER TYPE ct RENAME ATTRIBUTE q TO qq CASCADE": {"ty": AX},
    "ALTER TYPE ct ADD ATTRIBUTE zz int CASCADE": {"ty": AX},
    "ALTER DOMAIN dom SET NOT NULL": {"e": S},
    "ALTER DOMAIN dom ADD CHECK (VALUE > 1)": {"e": S},
    "ALTER DOMAIN dom VALIDATE CONSTRAINT dom_c": {"e": S},
    "DELETE FROM p": {"p1": RX, "p2": RX},
    "DELETE FROM g": {"h": RX},
    "INSERT INTO p VALUES (1, 1)": {"p1": RX},
    "UPDATE p SET id = 2 WHERE y = 1": {"p1": RX},
    "UPDATE v SET b = 2": {"a": RX},
    "SELECT id FROM v FOR UPDATE": {"a": RS},
    "SELECT id FROM p": {"p1": AS, "p2": AS},
    "SELECT nextval('s')": {"s": RX},
    "LOCK TABLE v IN SHARE MODE": {"a": S},
    "TRUNCATE a CASCADE": {"c": AX},
    "TRUNCATE c RESTART IDENTITY": {"c_g_seq": AX},
    "DROP TABLE c": {"a": AX, "c_g_seq": AX},
    "DROP TABLE p1": {"p": AX},
    "DROP TABLE g CASCADE": {"h": AX},
    "DROP STATISTICS st": {"a": SUX},
    "DROP TYPE cu CASCADE": {"u": AX},
    "DROP DOMAIN dom CASCADE": {"e": AX},
    "DROP FUNCTION f() CASCADE": {"a": AX, "p": AX, "p1": AX, "p2": AX},
    'DROP SCHEMA "S a" CASCADE': {'"S a"."T b"': AX},
    "REFRESH MATERIALIZED VIEW m": {"a": AS},
    "REFRESH MATERIALIZED VIEW CONCURRENTLY m": {"a": AS},
    "ANALYZE g": {"h": AS},
    "DO 'BEGIN PERFORM 1 FROM a; END'": {"a": AS},
}
# Those of which it is said that their locks cannot be read.
SAID = ("CASCADE", "ALTER DOMAIN", "DROP STATISTICS", "DO ")
# Kinds of ALTER TABLE that no statement is parsed to, and those that run elsewhere in this file.
NOT_PARSED = {
    *("AddColumnToView", "CookedColumnDefault", "CheckNotNull", "AddIndex", "ReAddIndex", "ReAddConstraint"),
    *("ReAddDomainConstraint", "AddIndexConstraint", "ReAddComment", "ReplaceRelOptions", "ReAddStatistics"),
    "DetachPartitionFinalize",
}
RELATIONS = """
    SELECT c.oid::regclass::text AS name, c.oid, c.relkind::text AS kind, i.indrelid::regclass::text AS table,
           c.relispartition AS is_partition,
           ARRAY(SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = c.oid) AS children
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
    WHERE n.nspname IN ('public', 'other', 'S a') AND c.relkind <> 'c'
"""
LOCKED = "SELECT relation, mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted"


@dataclass
class Tables:
    """A database with relations of every kind."""

    case: Case
    session: psycopg.Connection[Any]
    relations: dict[str, dict[str, Any]] = field(default_factory=dict)

    def look(self) -> None:
        """Read what relations there are."""
        self.relations = {row.pop("name"): row for row in self.session.cursor(row_factory=dict_row).execute(RELATIONS)}
        self.session.rollback()

    def taken(self, statement: str) -> dict[str, Mode]:
        """Return the strongest lock that a statement takes on each relation; the statement is taken back."""
        names = {row["oid"]: name for name, row in self.relations.items()}
        try:
            self.session.execute(statement)
            rows = self.session.execute(LOCKED).fetchall()
        finally:
            self.session.rollback()
        found: dict[str, Mode] = {}
        for oid, mode in rows:
            if oid in names:
                found[names[oid]] = max(BY_NAME[mode], found.get(names[oid], AS))
        return found

    def read(self, statement: str) -> dict[str, Mode]:
        """Return what its text says that a statement locks."""
        found: dict[str, Mode] = {}

        def add(name: str, mode: Mode, reach: str) -> None:
            found[name] = max(mode, found.get(name, AS))
            for child in self.relations[name]["children"] if reach else ():
                if reach == CHILDREN or (reach == PARTITIONS and self.relations[child]["is_partition"]):
                    add(child, mode, reach)

        for lock in Reader().locks(parsed(statement)):
            name = str(lock).removeprefix("the table of index ")
            add(self.relations[name]["table"] if lock.of_index else name, lock.mode, lock.reach)
        return found


def parsed(statement: str) -> Any:
    """Return the parse tree of a statement."""
    return parser.parse_sql(statement)[0].stmt


@pytest.fixture(scope="module")
def tables(local: Local) -> Iterator[Tables]:
    """A database with relations of every kind, on which every statement is taken back."""
    case = Case(local, "test_locks", Path())
    local.psql("CREATE DATABASE test_locks", "postgres", role="postgres")
    case.psql(TABLES, role="postgres")
    with case.session() as session:
        made = Tables(case, session)
        made.look()
        yield made
    local.drop_database("test_locks")


@pytest.mark.parametrize("statement", [*STATEMENTS, *MORE])
def test_the_locks_are_those_that_the_server_takes(tables: Tables, statement: str) -> None:
    read, taken = tables.read(statement), tables.taken(statement)
    indexes = {name for name, row in tables.relations.items() if row["kind"] in "iI"}  # those that the text names
    assert read | MORE.get(statement, {}) == {n: mode for n, mode in taken.items() if n not in indexes or n in read}
    assert is_unreadable(parsed(statement)) == any(words in statement for words in SAID if statement in MORE)


def test_the_statements_are_of_every_kind_that_is_known() -> None:
    nodes = [parsed(statement) for statement in (*STATEMENTS, *MORE, *WAITING)]
    assert set(_RULES) - {type(node) for node in nodes} == {ast.SecLabelStmt}, "it needs a provider of labels"
    alters = {command.subtype for node in nodes if isinstance(node, ast.AlterTableStmt) for command in node.cmds}
    left = {kind.name.removeprefix("AT_") for kind in set(enums.AlterTableType) - alters}
    assert left == NOT_PARSED


# Statements with whom they wait for, and on which table that is tried: those that wait for more than they take, those
# that cannot run in a transaction, and those that once were thought to wait for others than they do.
WAITING = {
    "CREATE INDEX CONCURRENTLY n ON w (id)": "w",
    "DROP INDEX CONCURRENTLY wi": "w",
    "REINDEX TABLE CONCURRENTLY w": "w",
    "REINDEX INDEX CONCURRENTLY wi": "w",
    "ALTER TABLE wp DETACH PARTITION wp1 CONCURRENTLY": "wp, wp1",
    "VACUUM w": "w",
    "VACUUM (FULL off, ANALYZE) w": "w",
    "VACUUM FULL w": "w",
    "REINDEX TABLE w": "w",
    "REINDEX INDEX wi": "w",
    "DROP INDEX wi": "w",
    "ALTER INDEX wi RENAME TO n": "w",
    "ALTER INDEX wi SET (fillfactor = 70)": "w",
    "CREATE INDEX n ON wp (id)": "wp, wp1",
    "ALTER TABLE wp OWNER TO emr": "wp, wp1",
    "ALTER TABLE w DISABLE TRIGGER USER": "w",
    "ALTER TABLE w ALTER COLUMN id SET (n_distinct = 5)": "w",
    "CREATE POLICY n ON w USING (true)": "w",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY wm": "wm",
    "COMMENT ON TABLE wp IS 'x'": "wp, wp1",
    "ALTER TABLE wr DROP CONSTRAINT wr_id_fkey": "wu, wr",
    "DROP TABLE wr": "wu, wr",
}
WAITED_FOR = """
    DROP MATERIALIZED VIEW IF EXISTS wm;
    DROP TABLE IF EXISTS w, wp, wp1, wr, wu CASCADE;
    CREATE TABLE w (id int);
    CREATE INDEX wi ON w (id);
    CREATE MATERIALIZED VIEW wm AS SELECT 1 AS id;
    CREATE UNIQUE INDEX wmi ON wm (id);
    CREATE TABLE wp (id int, y int) PARTITION BY LIST (y);
    CREATE TABLE wp1 PARTITION OF wp FOR VALUES IN (1);
    CREATE TABLE wu (id int PRIMARY KEY);
    CREATE TABLE wr (id int REFERENCES wu);
"""


@pytest.mark.parametrize("statement", WAITING)
def test_who_is_in_the_way_is_who_is_waited_for(tables: Tables, statement: str) -> None:
    needs = Reader().needs(parsed(statement))
    alone = _needs_no_transaction(parsed(statement))
    with tables.case.session("run") as run, tables.case.session("holder") as holder:
        run.autocommit = alone  # otherwise the statement is taken back
        run.execute(f"SET lock_timeout = '{60 if alone else 20}ms'")
        seen: list[tuple[str, str, bool, bool, int]] = []
        for table in WAITING[statement].split(", "):
            for mode in Mode:
                if alone or not seen:
                    run.execute(WAITED_FOR)
                    run.commit()
                if table == "wm":  # LOCK TABLE takes no materialized view; these do
                    locks = {AS: "SELECT FROM wm", AX: "ALTER MATERIALIZED VIEW wm OWNER TO emr"}
                    if mode not in locks:
                        continue
                    holder.execute(locks[mode])
                else:
                    holder.execute(f"LOCK TABLE ONLY {table} IN {mode.sql} MODE")
                try:
                    run.execute(statement)
                    waited = False
                except psycopg.errors.LockNotAvailable:
                    waited = True
                run.rollback()
                found = find_blockers(run.cursor(row_factory=dict_row), needs)
                run.rollback()
                holder.rollback()
                certain = [blocker.pid for blocker in found if blocker.certain]
                seen.append((table, mode.sql, waited, certain == [holder.info.backend_pid], len(certain)))
        assert [(*one[:2], one[3]) for one in seen] == [one[:3] for one in seen]


def test_what_is_left_of_a_detach_is_finished_under_the_locks_that_are_read(tables: Tables) -> None:
    with tables.case.session("run") as run, tables.case.session("holder") as holder:
        run.autocommit = True
        run.execute(WAITED_FOR)
        holder.execute("LOCK TABLE wp IN ACCESS SHARE MODE")
        run.execute("SET lock_timeout = '60ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            run.execute("ALTER TABLE wp DETACH PARTITION wp1 CONCURRENTLY")
    tables.look()
    finalize = "ALTER TABLE wp DETACH PARTITION wp1 FINALIZE"
    assert tables.read(finalize) == {"wp": SUX, "wp1": AX} == tables.taken(finalize)


def test_a_snapshot_is_in_the_way_only_of_those_who_wait_for_it(tables: Tables) -> None:
    with tables.case.session("run") as run, tables.case.session("reader") as reader:
        run.autocommit = True
        run.execute("SET lock_timeout = '60ms'")
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT id FROM k")
        for statement, waits in {
            "CREATE INDEX CONCURRENTLY n ON d (id)": True,
            "REINDEX INDEX CONCURRENTLY n": True,
            "DROP INDEX CONCURRENTLY n": False,
            "VACUUM d": False,
        }.items():
            try:
                run.execute(statement)
                waited = False
            except psycopg.errors.LockNotAvailable:
                waited = True
            found = find_blockers(run.cursor(row_factory=dict_row), Reader().needs(parsed(statement)))
            assert (waited, [blocker.held for blocker in found]) == (waits, ["an older snapshot"] * waits), statement


@pytest.mark.parametrize(
    ("before", "statement", "named"),
    [
        ("SET search_path = other", "ALTER TABLE k ADD COLUMN x int", "may be the blocker: it holds"),
        ("SELECT set_config('search_path', 'other', true)", "ALTER TABLE k ADD COLUMN x int", "may be the blocker"),
        ("SET search_path = other", "ALTER TABLE public.k ADD COLUMN x int", "holds AccessShareLock on k"),
        ("SET work_mem = '1MB'", "ALTER TABLE k ADD COLUMN x int", "holds AccessShareLock on k"),
        ("CREATE TEMPORARY TABLE k (id int)", "ALTER TABLE k ADD COLUMN x int", ""),
        ("SELECT 1", "ALTER TABLE k SET (somebodys_option = 1)", "may be the blocker: it holds"),
        ("SELECT 1", "ALTER TABLE k DISABLE TRIGGER USER", ""),
        ("SELECT 1", "WITH k AS (SELECT 1) SELECT * FROM k", ""),
    ],
)
def test_nobody_is_certainly_in_the_way_where_the_text_does_not_tell(
    tables: Tables, before: str, statement: str, named: str
) -> None:
    reader = Reader()
    reader.needs(parsed(before))
    needs = reader.needs(parsed(statement))
    with tables.case.session("reader") as application, tables.case.session() as finder:
        application.execute("SELECT id FROM public.k")
        found = find_blockers(finder.cursor(row_factory=dict_row), needs)
    assert [named in str(blocker) for blocker in found] == [True] * bool(named)
    assert [blocker.certain for blocker in found] == [named.startswith("holds")] * bool(named)


def test_the_modes_go_together_as_on_the_server(tables: Tables) -> None:
    with tables.case.session() as one, tables.case.session() as other:
        for held in Mode:
            one.execute(f"LOCK TABLE k IN {held.sql} MODE")
            waited = set()
            for wanted in Mode:
                try:
                    other.execute(f"LOCK TABLE k IN {wanted.sql} MODE NOWAIT")
                except psycopg.errors.LockNotAvailable:
                    waited.add(wanted)
                other.rollback()
            assert waited == CONFLICTS[held]
            blocks = []
            for words, statement in {
                "reads": "SELECT id FROM k",
                "writes": "UPDATE k SET id = 1",
                "row locks": "SELECT id FROM k FOR UPDATE",
            }.items():
                try:
                    other.execute("SET lock_timeout = '20ms'")
                    other.execute(statement)
                except psycopg.errors.LockNotAvailable:
                    blocks.append(words)
                other.rollback()
            assert held.blocks == " and ".join(w for w in blocks if w != "row locks" or "reads" not in blocks) or (
                held.blocks == "nothing" and not blocks
            )
            one.rollback()
