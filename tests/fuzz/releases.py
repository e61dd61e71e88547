"""A strategy for releases: folders with files of several tools, with a fault in one of them, and what goes wrong besides."""

# ruff: noqa: E501 - statements are read more easily in one line

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.fuzz import text

HOOK = 777  # the advisory lock at which a file stops, so that its session can be ended there
STOP = f"SELECT pg_advisory_lock_shared({HOOK}), pg_advisory_unlock_shared({HOOK})"
# Every file begins with a look at what the session holds: of the files before it, nothing.
LOOKS = {
    "prepared": "(SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'p\\_%')",
    "cursors": "(SELECT count(*) FROM pg_cursors WHERE name LIKE 'c\\_%')",
    "channels": "(SELECT count(*) FROM pg_listening_channels())",
    "locks": "(SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND objid < 100)",
    "temp": "(SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema())",
    "path": "current_setting('search_path')",
    "work_mem": "current_setting('work_mem')",
    "isolation": "current_setting('transaction_isolation')",
    "default isolation": "current_setting('default_transaction_isolation')",
    "read only": "current_setting('default_transaction_read_only')",
    "deferrable": "current_setting('default_transaction_deferrable')",
    "replication role": "current_setting('session_replication_role')",
    "strings": "current_setting('standard_conforming_strings')",
    "date": "date '2024-02-01'",
    "interval": "interval '36 hours'",
    "zone": "timestamptz '2024-02-01 00:00Z'",
    "float": "0.1::float8 + 0.2::float8",
    "bytes": "'\\x00ff'::bytea",
    "user": "current_user",
    "session user": "session_user",
    "own": "coalesce(nullif(current_setting('fuzz.own', true), ''), 'none')",
    "checks": "current_setting('check_function_bodies')",
    "row security": "current_setting('row_security')",
    "timeout": "current_setting('statement_timeout')",
    "null": "current_setting('transform_null_equals')",
}
LOOK = "CREATE FUNCTION look(text) RETURNS void LANGUAGE sql AS $look$ INSERT INTO public.seen VALUES {} $look$".format(
    ", ".join(f"($1, '{what}', ({value})::text)" for what, value in LOOKS.items())
)
SETTINGS = (
    "SET work_mem = '5MB'",
    "SET LOCAL work_mem = '6MB'",
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET datestyle = 'German'",
    "SET intervalstyle = 'iso_8601'",
    "SET TIME ZONE 'Asia/Ho_Chi_Minh'",
    "SET extra_float_digits = -3",
    "SET bytea_output = 'escape'",
    "SET standard_conforming_strings = off",
    "SET check_function_bodies = off",
    "SET row_security = off",
    "SET statement_timeout = '60s'",
    "SET transform_null_equals = on",
    "SELECT set_config('fuzz.own', 'here', false)",
    "SET fuzz.own = 'there'",
    "RESET ALL",
    "RESET work_mem",
    "SET search_path = pg_catalog, public",
    "SELECT set_config('search_path', '\"$user\", public, pg_temp', false)",
    "SET LOCAL search_path = public",
)
SESSIONS = (
    "PREPARE p_{n} (int) AS SELECT $1",
    "PREPARE p_one AS SELECT 1",
    "DEALLOCATE ALL",
    "DECLARE c_{n} CURSOR WITH HOLD FOR SELECT generate_series(1, 9)",
    "DECLARE c_one CURSOR FOR SELECT 1",
    "LISTEN fuzz_channel",
    "NOTIFY fuzz_channel, 'word'",
    "UNLISTEN *",
    "SELECT pg_advisory_lock({n})",
    "SELECT pg_try_advisory_lock_shared({n})",
    "SELECT pg_advisory_xact_lock({n})",
    "SELECT pg_advisory_unlock_all()",
    "DISCARD TEMP",
    "DISCARD PLANS",
    "DISCARD SEQUENCES",
    "SET CONSTRAINTS ALL DEFERRED",
    "SET CONSTRAINTS ALL IMMEDIATE",
)
TEMPS = (
    "CREATE TEMP TABLE pick AS SELECT {n} AS id",
    "CREATE TEMP TABLE pick_{n} ON COMMIT DROP AS SELECT {n} AS id",
    "CREATE TEMPORARY TABLE {table} (id int, note text, n int)",
    "CREATE TEMP TABLE {table} ON COMMIT DROP AS SELECT * FROM {table}",
    "CREATE TEMP VIEW peek AS SELECT * FROM seen",
    "CREATE TEMP SEQUENCE {table}",
    "CREATE FUNCTION pg_temp.helper() RETURNS int LANGUAGE sql AS 'SELECT {n}'",
)
OBJECTS = (
    "CREATE FUNCTION f_{n}() RETURNS int LANGUAGE plpgsql AS $f$\nBEGIN\n  -- it's; a comment\n  RETURN 1; /* $$ */\nEND $f$",
    "CREATE OR REPLACE FUNCTION f_one() RETURNS text LANGUAGE sql AS $$ SELECT 'a; b' -- {n}\n$$",
    "CREATE FUNCTION g_{n}(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a; SELECT a + {n}; END",
    "CREATE PROCEDURE d_{n}() LANGUAGE sql BEGIN ATOMIC INSERT INTO seen VALUES ('d', 'called', '{n}'); END; CALL d_{n}()",
    "DO $do$ BEGIN FOR i IN 1..2 LOOP INSERT INTO seen VALUES ('{file}', 'do', i); END LOOP; END $do$",
    "DO LANGUAGE plpgsql 'BEGIN PERFORM 1; END'",
    "CREATE VIEW v_{n} AS SELECT * FROM {table} WHERE id > {n}",
    "CREATE OR REPLACE VIEW v_one AS SELECT id FROM {table}",
    "CREATE MATERIALIZED VIEW m_{n} AS SELECT count(*) AS number FROM {table}",
    "CREATE TRIGGER t_{n} BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE RULE r_{n} AS ON DELETE TO {table} WHERE old.id > 90 DO ALSO (INSERT INTO seen VALUES ('r', 'deleted', old.id);"
    " INSERT INTO seen VALUES ('r', 'too', ''))",
    "CREATE INDEX i_{n} ON {table} (note)",
    "CREATE TYPE e_{n} AS ENUM ('a', 'it''s')",
    "CREATE DOMAIN n_{n} AS int CHECK (VALUE <> {n})",
    "CREATE SEQUENCE s_{n}",
    "INSERT INTO seen SELECT '{file}', 'next', nextval('s_one')",
    "INSERT INTO seen SELECT '{file}', 'both', nextval('s_one') + currval('s_one') + lastval()",
    "SELECT setval('s_one', {n}00)",
    "COMMENT ON TABLE {table} IS {literal}",
    "GRANT SELECT ON {table} TO emr_readonly",
    "ALTER TABLE {table} ADD COLUMN c_{n} text DEFAULT {literal}",
    "ALTER TABLE {table} ADD CONSTRAINT k_{n} CHECK (n < {n}0000)",
    "ALTER TABLE {table} ALTER COLUMN n SET DEFAULT {n}",
    "ALTER TABLE {table} DISABLE TRIGGER USER",
    "CREATE TABLE copy_{n} AS TABLE {table}",
    "CREATE TABLE l_{n} (LIKE {table} INCLUDING ALL)",
    "CREATE SCHEMA w_{n} CREATE TABLE inner_{n} (id int) CREATE VIEW outer_{n} AS SELECT id FROM inner_{n}",
    "CREATE TABLE part_{n} (id int) PARTITION BY RANGE (id); CREATE TABLE part_{n}_a PARTITION OF part_{n} DEFAULT",
)
ROWS = (
    "INSERT INTO {table} (id, note) VALUES ((SELECT coalesce(max(id), 0) + 1 FROM {table}), {literal})",
    "INSERT INTO {table} (id, note, n) SELECT i, {literal}, {n} FROM generate_series(100{n}, 100{n}) AS i ON CONFLICT DO NOTHING",
    "UPDATE {table} SET note = {literal}, n = n + {n} WHERE id % 2 = 0",
    "DELETE FROM {table} WHERE n = {n}",
    "WITH gone AS (DELETE FROM {table} WHERE id = {n} RETURNING *) INSERT INTO seen SELECT '{file}', 'gone', id FROM gone",
    "MERGE INTO {table} AS t USING (VALUES ({n})) AS s (id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = 0"
    " WHEN NOT MATCHED THEN INSERT (id, note) VALUES (s.id, 'merged')",
    "TRUNCATE {table}",
    "SELECT * FROM {table} ORDER BY id",
    "TABLE {table}",
    "VALUES (1), (2)",
    "LOCK TABLE {table} IN SHARE MODE",
    "EXPLAIN SELECT * FROM {table}",
    "ANALYZE {table}",
    "SHOW work_mem",
    "INSERT INTO seen SELECT '{file}', 'rows', count(*) FROM {table}",
    "INSERT INTO seen VALUES ('{file}', 'path', current_setting('search_path'))",
    "INSERT INTO seen VALUES ('{file}', 'text', {literal})",
    "INSERT INTO late (id, of) VALUES ({n}, {n}) ON CONFLICT DO NOTHING",
    "INSERT INTO later VALUES ({n}) ON CONFLICT DO NOTHING; INSERT INTO late (of) VALUES ({n})",
)
# Statements that fail in any session that begins anew.
FAULTS = (
    "SELECT 1 / 0",
    "INSERT INTO seen SELECT 'x', 'y', 1 / (id - id) FROM late RIGHT JOIN (VALUES (1)) AS one (id) USING (id)",
    "INSERT INTO later VALUES (0)",  # is there: a unique violation
    "SELECT * FROM nowhere",
    "INSERT INTO late (of) VALUES (-1)",  # deferred: it fails at the end
    "EXECUTE p_nobody",
    # Left by a file before, they would be there.
    "EXECUTE p_one",
    "INSERT INTO seen SELECT '', 'helper', pg_temp.helper()",
    "INSERT INTO seen SELECT '', 'pick', id FROM pick",
    "FETCH c_one",
    "SELECT * FROM peek",
    "FETCH c_nobody",
    "SELECT currval('s_one')",
    "SELECT lastval()",
    "SELECT pg_temp.nobody()",
    "DO $$ BEGIN RAISE EXCEPTION 'no; ''way'' %', 1; END $$",
    "DO $$ BEGIN ASSERT false, 'not so'; END $$",
    "CREATE TABLE seen (id int)",
    "ALTER TABLE seen DROP COLUMN nothing",
    "SELECT 'x'::int",
    "SET work_mem = 'much'",
    "DEALLOCATE p_nobody",
    "INSERT INTO late (id) VALUES (0), (0)",
)
BASE = (
    "CREATE TABLE seen (file text, what text, value text)",
    LOOK,
    "CREATE TABLE later (id int PRIMARY KEY)",
    "CREATE TABLE late (id int, of int REFERENCES later (id) DEFERRABLE INITIALLY DEFERRED)",
    "CREATE UNIQUE INDEX late_id ON late (id)",
    "CREATE SEQUENCE s_one",
    "CREATE TYPE kind AS ENUM ('first')",
    "INSERT INTO later VALUES (0)",
    "CREATE TABLE visits (id int PRIMARY KEY, note text, n int DEFAULT 0)",
    "INSERT INTO visits (id, note) SELECT i, 'note ' || i FROM generate_series(1, 10) AS i",
    "CREATE INDEX visits_n ON visits (n)",
)
ALONE = (
    "CREATE INDEX CONCURRENTLY a_{n} ON visits (note)",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS b_{n} ON visits (n, id) WHERE n > {n}",
    "DROP INDEX CONCURRENTLY IF EXISTS visits_n",
    "REINDEX TABLE CONCURRENTLY visits",
    "REINDEX INDEX CONCURRENTLY visits_pkey",
    "VACUUM visits",
    "VACUUM (ANALYZE)",
    "ALTER TYPE kind ADD VALUE 'v{n}'",
    "ALTER TYPE kind ADD VALUE IF NOT EXISTS 'w{n}' BEFORE 'first'",
)
ALONE_FAULTS = (
    "CREATE UNIQUE INDEX CONCURRENTLY u_{n} ON visits ((1))",
    "CREATE INDEX CONCURRENTLY u_{n} ON nowhere (id)",
    "CREATE INDEX CONCURRENTLY u_{n} ON visits (nothing)",
    "DROP INDEX CONCURRENTLY nowhere_idx",
    "ALTER TYPE kind ADD VALUE 'first'",
    "VACUUM nowhere",
)


@dataclass(frozen=True)
class File:
    """One migration. `body` is its statements as written; that of `fault`, by its number, is gone once corrected."""

    name: str
    head: str
    statements: tuple[str, ...]
    ends: tuple[str, ...]
    transactional: bool = True
    fault: int | None = None
    line_end: str = "\n"
    bom: bool = False
    tail: str = ""

    def sql(self, corrected: bool = False, begin: int = 0) -> str:
        """Return the text, from a statement on."""
        pairs = list(zip(self.statements, self.ends, strict=True))
        kept = [pair for n, pair in enumerate(pairs) if n >= begin and not (corrected and n == self.fault)]
        return self.head + "".join(statement + end for statement, end in kept) + self.tail

    def data(self, corrected: bool = False) -> bytes:
        """Return the file as it lies on disk."""
        written = self.sql(corrected).replace("\n", self.line_end).encode()
        return (b"\xef\xbb\xbf" if self.bom else b"") + written


@dataclass(frozen=True, repr=False)
class Release:
    """A release, and what happens while it is deployed.

    Attributes:
        files: the versioned migrations, in order.
        repeatable: those after them.
        others: further files of the folder that a deploy does not run (ways back).
        locked: number of the file that meets a lock of somebody else on `visits`; None is none.
        patience: how many attempts of it fail before that session ends.
        killed: number of the file in whose middle the session is ended; it holds STOP.
        gone: number of the script before which the controller is gone.
    """

    files: tuple[File, ...]
    repeatable: tuple[File, ...] = ()
    others: dict[str, str] = field(default_factory=dict)
    locked: int | None = None
    patience: int = 1
    killed: int | None = None
    gone: int | None = None

    @property
    def plan(self) -> tuple[File, ...]:
        """All files in the order in which they are applied."""
        return self.files + self.repeatable

    def write(self, folder: Path, corrected: bool = False) -> None:
        """Write the folder; a second time with the faults corrected."""
        target = folder / "migrations"
        target.mkdir(parents=True, exist_ok=True)
        for file in self.plan:
            (target / file.name).write_bytes(file.data(corrected))
        for name, body in self.others.items():
            (target / name).write_text(body)

    def __repr__(self) -> str:
        """Show it as a person wants to read it."""
        events = {name: getattr(self, name) for name in ("locked", "patience", "killed", "gone")}
        shown = [
            f"{file.name} (fault {file.fault}, ends {file.line_end!r}, bom {file.bom}):\n{file.sql()!r}"
            for file in self.plan[1:]
        ]
        return "\n".join([str({k: v for k, v in events.items() if v is not None}), *shown])


@dataclass
class _Draft:
    """What is drawn so far."""

    draw: Any
    tables: list[str] = field(default_factory=lambda: ["visits"])
    number: int = 0

    def fill(self, template: str, file: str) -> str:
        """Fill a template; where a statement is made of two, the second is left as it is."""
        self.number += 1
        values = {"n": str(self.number), "file": file, "table": "", "literal": ""}
        if "{table}" in template:
            values["table"] = self.draw(st.sampled_from(self.tables))
        if "{literal}" in template:
            values["literal"] = self.draw(st.sampled_from(text.LITERALS))
        return re.sub(r"\{(n|file|table|literal)\}", lambda match: values[match[1]], template)

    def dress(self, statement: str) -> str:
        """Put comments and white space where it has its first space, and before it."""
        if self.draw(st.integers(0, 3)):
            return statement
        first, _, rest = statement.partition(" ")
        return str(self.draw(text.gaps)) + (first + self.draw(text.between) + rest if rest else statement)

    def end(self) -> str:
        """Return what a statement ends with."""
        return str(
            self.draw(st.sampled_from([";\n", ";\n", ";\n", "; ", ";", "\n;\r", " /* end */;\n", "; -- end\n", ";\r"]))
        )


@st.composite
def releases(draw: Any, most: int = 7) -> Release:
    """Draw a release."""
    draft = _Draft(draw)
    number = draw(st.integers(1, most))
    fault = draw(st.one_of(st.none(), st.integers(0, number - 1)))
    event = draw(st.sampled_from(["", "", "", "locked", "killed", "gone"]))
    at = draw(st.integers(1, number)) if event else 0
    files = [_base(draw)]
    others: dict[str, str] = {}
    version = 1
    for n in range(number):
        version += draw(st.sampled_from([1, 1, 1, 9]))
        faulty = n == fault
        write = _alone if draw(st.integers(0, 3)) == 0 else _ordinary
        made = write(draft, version, faulty)
        if made.name.endswith(".up.sql") and draw(st.booleans()):
            others[made.name.replace(".up.", ".down.")] = "DROP TABLE IF EXISTS nothing;\n"
        elif made.name.startswith("V") and draw(st.integers(0, 3)) == 0:
            others["U" + made.name[1:]] = "DELETE FROM seen;\n"
        if event == "killed" and n + 1 == at and made.transactional:
            place = draw(st.integers(0, len(made.statements)))
            made = replace(
                made,
                statements=(*made.statements[:place], STOP, *made.statements[place:]),
                ends=(*made.ends[:place], ";\n", *made.ends[place:]),
                fault=made.fault + (place <= made.fault) if made.fault is not None else None,
            )
        elif event == "killed" and n + 1 == at:
            event = ""
        if event == "locked" and n + 1 == at and made.transactional:
            made = replace(
                made,
                statements=("ALTER TABLE public.visits ALTER COLUMN n SET NOT NULL", *made.statements),
                ends=(";\n", *made.ends),
                fault=made.fault + 1 if made.fault is not None else None,
            )
        files.append(made)
    repeatable: tuple[File, ...] = ()
    if draw(st.integers(0, 3)) == 0:
        body = draft.dress("CREATE OR REPLACE VIEW repeated AS SELECT file FROM seen")
        repeatable = (File("R__repeated.sql", "", (*_looks("R"), body), (";\n", ";\n")),)
    return Release(
        tuple(files),
        repeatable,
        others,
        locked=at if event == "locked" else None,
        patience=draw(st.sampled_from([1, 1, 2, 9])) if event == "locked" else 1,
        killed=at if event == "killed" else None,
        gone=at if event == "gone" else None,
    )


def _looks(file: str) -> tuple[str, ...]:
    """Return the statement that notes what the session holds."""
    return (f"SELECT public.look('{file}')",)


def _name(draft: _Draft, version: int, transactional: bool) -> tuple[str, str]:
    """Return name and header of a file, by the rules of one tool."""
    draw = draft.draw
    tool = draw(st.sampled_from(["ours", "ours", "migrate", "flyway"]))
    mark = "" if transactional else "-- Transactional: no\n"
    if tool == "ours":
        depends = draw(st.sampled_from(["none", "001"]))
        stem = f"{version:03d}_part_{version}"
        return f"{stem}.sql", f"-- Migration: {stem}\n-- Description: x\n-- Depends on: {depends}\n{mark}"
    if tool == "migrate":
        return f"{version:06d}_part-{version}.up.sql", mark
    return f"V{version}__part_{version}.sql", mark


def _base(draw: Any) -> File:
    statements = BASE
    line_end = draw(st.sampled_from(["\n", "\r\n"]))
    return File(
        "001_base.sql",
        "-- Migration: 001_base\n-- Description: x\n-- Depends on: none\n",
        statements,
        (";\n",) * len(statements),
        line_end=line_end,
    )


def _ordinary(draft: _Draft, version: int, faulty: bool) -> File:
    draw = draft.draw
    name, head = _name(draft, version, True)
    statements = list(_looks(str(version)))
    kinds = draw(st.lists(st.sampled_from([ROWS, ROWS, OBJECTS, OBJECTS, SETTINGS, SESSIONS, TEMPS, ()]), max_size=6))
    for kind in kinds:
        if kind:
            statements.append(draft.fill(draw(st.sampled_from(kind)), str(version)))
            continue
        left = [each for each in text.NAMES if each not in draft.tables]
        if left:
            table = draw(st.sampled_from(left))
            statements.append(f"CREATE TABLE {table} (id int PRIMARY KEY, note text, n int DEFAULT 0)")
            draft.tables.append(table)
    fault = None
    if faulty:
        fault = draw(st.integers(1, len(statements)))
        statements.insert(fault, draw(st.sampled_from(FAULTS)))
    dressed = [draft.dress(statement) for statement in statements]
    ends = [draft.end() for _ in statements]
    if draw(st.integers(0, 5)) == 0:
        place = draw(st.integers(0, len(ends) - 1))
        ends[place] = ";\n" + draw(text.switched_off)
    tail = draw(st.one_of(st.just(""), text.gaps))
    return File(
        name,
        head,
        tuple(dressed),
        tuple(ends),
        fault=fault,
        line_end=draw(st.sampled_from(["\n", "\n", "\r\n"])),
        bom=draw(st.integers(0, 7)) == 0,
        tail=tail,
    )


def _alone(draft: _Draft, version: int, faulty: bool) -> File:
    draw = draft.draw
    name, head = _name(draft, version, False)
    picked = draw(st.lists(st.sampled_from(ALONE), min_size=0 if faulty else 1, max_size=2))
    statements = [draft.fill(each, str(version)) for each in picked]
    fault = None
    if faulty:
        fault = draw(st.integers(0, len(statements)))
        statements.insert(fault, draft.fill(draw(st.sampled_from(ALONE_FAULTS)), str(version)))
    if len(statements) == 1 and faulty:  # corrected, it would be empty
        statements.append(draft.fill(ALONE[0], str(version)))
    return File(
        name,
        head,
        tuple(draft.dress(statement) for statement in statements),
        tuple(draft.end() for _ in statements),
        transactional=False,
        fault=fault,
    )
