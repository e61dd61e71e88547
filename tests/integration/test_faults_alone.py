"""Files without transaction: interrupted, failed half way, and what the next run does about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.alone import describe
from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import split_file
from ansible_collections.physioflow.database.plugins.module_utils.migrations.doubt import look_at, sentences
from psycopg.rows import dict_row

from tests.integration.oracle import MIDDLE, SECRET, Case

ALONE = "-- Transactional: no"


@pytest.mark.fault(31)
@pytest.mark.fault(30)
def test_a_file_that_is_killed_between_its_statements_goes_on_where_it_stopped(case: Case) -> None:
    case.write("002_beds", "CREATE TABLE beds (id int CONSTRAINT beds_pkey PRIMARY KEY, name text);")
    case.begin()
    case.write(
        "003_names",
        "CREATE INDEX CONCURRENTLY idx_rooms ON rooms (name);\nCREATE INDEX CONCURRENTLY idx_beds ON beds (name);",
        more=ALONE,
    )
    with case.session() as application:
        application.execute("INSERT INTO beds VALUES (1, 'a')")  # the second index waits for the end of this
        process = case.apply_in_a_process()
        pid = case.wait_until_at("003_names", "virtualxid")
        process.kill()
        # Nobody but the server itself ends the orphaned session.
        case.wait_until(f"NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})", "the server ends the session")
    assert case.history() == "apply 001, apply 002, start 003"
    case.stands(invalid="idx_beds")
    again = case.apply()
    assert again.ok, again
    assert "003_names.sql is in doubt: it runs without a transaction, started at" in again.said
    assert "line 6 was executed and is not sent again" in again.said
    words = "line 7 left the INVALID index public.idx_beds behind: the next run drops it and creates it again"
    assert words in again.said
    assert "(by hand: DROP INDEX CONCURRENTLY public.idx_beds)" in again.said
    case.is_at_its_end()


@pytest.mark.fault(31)
@pytest.mark.fault(30)
@pytest.mark.fault(4)
def test_what_cannot_be_told_is_decided_by_a_person_and_an_index_that_fails_half_way_is_made_again(case: Case) -> None:
    """The run that is killed and the one with the decision, in which the index fails, are run by playbooks."""
    case.begin()
    case.psql(f"INSERT INTO rooms VALUES (1, '{SECRET}'), (2, '{SECRET}')")
    case.write("002_hook", MIDDLE, more=ALONE)
    case.write("003_names", "CREATE UNIQUE INDEX CONCURRENTLY idx_names ON rooms (name);", more=ALONE)
    with case.stopped_in_the_middle():
        run = case.start()
        pid = case.wait_until_at("002_hook")
        run.kill()
        case.wait_until(f"NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})", "the server ends the session")
    words = " ".join(case.apply().refused.split())
    assert "002_hook.sql is in doubt" in words
    assert "-e migrations_resolve=002:retry sends the statement again" in words
    assert case.history() == "apply 001, start 002"
    case.stands()
    decided = case.run(migrations_resolve="002:applied")
    assert case.history() == "apply 001, start 002, start 002, apply 002, start 003"
    words = " ".join(decided.output.split())
    assert "release/migrations/003_names.sql:6: could not create unique index" in words
    assert "line 6 left the INVALID index public.idx_names behind" in words
    case.psql("DELETE FROM rooms WHERE id = 2")  # the cause; what the failure left behind is the run's own business
    case.survives(decided, r"003_names\.sql is in doubt: it runs without a transaction", invalid="idx_names")


PARTED = """
CREATE TABLE parted (id int, name text) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE INDEX parted_name ON parted (name);
"""
REINDEXED = {
    "TABLE CONCURRENTLY rooms": "rooms",
    "INDEX CONCURRENTLY rooms_pkey": "rooms",
    "INDEX CONCURRENTLY parted_name": "parted_1",
    "SCHEMA CONCURRENTLY public": "rooms",
    "DATABASE CONCURRENTLY": "rooms",
}


def test_what_a_reindex_leaves_is_dropped_also_of_toast_tables_and_partitions(case: Case) -> None:
    case.write("002_parted", PARTED)
    case.begin()
    for version, (what, table) in enumerate(REINDEXED.items(), start=3):
        case.write(f"{version:03}_reindex", f"REINDEX {what};", more=ALONE)
        with case.session() as application:
            application.execute(f"INSERT INTO {table} VALUES (1, 'a')")
            outcome = case.apply(lock_timeout="200ms", lock_retries=0)
            assert "_ccnew behind" in outcome.failure, what
            assert ("INVALID index pg_toast.pg_toast_" in outcome.failure) == ("INDEX" not in what), what
            application.rollback()
        outcome = case.apply()
        assert outcome.ok, outcome
    case.is_at_its_end()


def test_what_only_a_superuser_can_drop_is_named_and_does_not_stand_in_the_way(
    case: Case, cursor: psycopg.Cursor[dict[str, Any]]
) -> None:
    cursor.execute("SET ROLE emr; CREATE TABLE a (b text)")
    sql = "REINDEX TABLE CONCURRENTLY a"
    with case.session() as application:
        application.execute("LOCK TABLE a IN ROW EXCLUSIVE MODE")
        cursor.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            cursor.execute(sql)
    [answer] = look_at(cursor, [describe(statement.node, statement.line) for statement in split_file(sql)])
    assert answer.state == "again"
    assert answer.drop == ()
    [index] = answer.stay
    assert f"a superuser drops the rest: DROP INDEX CONCURRENTLY {index}" in sentences([answer])[0]
    cursor.execute("RESET ROLE")
    cursor.execute(f"DROP INDEX CONCURRENTLY {index}")


@pytest.fixture
def cursor(case: Case) -> Iterator[psycopg.Cursor[dict[str, Any]]]:
    """A session in autocommit in an empty database."""
    with case.session() as session:
        session.autocommit = True
        yield session.cursor(row_factory=dict_row)


THERE = """
CREATE TABLE a (b text, c int);
CREATE INDEX plain ON a (b);
CREATE UNIQUE INDEX clever ON a (lower(b) DESC) INCLUDE (c) WHERE c > 1 AND b LIKE '%x';
CREATE TABLE other (b text);
CREATE INDEX elsewhere ON other (b);
CREATE TYPE colour AS ENUM ('red');
INSERT INTO a VALUES ('x', 1), ('x', 2);
"""


STATES = {
    "CREATE INDEX CONCURRENTLY plain ON a (b)": "done",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS plain ON public.a USING btree (b)": "done",
    "CREATE INDEX CONCURRENTLY plain ON a (c)": "open",
    "CREATE UNIQUE INDEX CONCURRENTLY plain ON a (b)": "open",
    "CREATE UNIQUE INDEX CONCURRENTLY clever ON a (lower(b) DESC) INCLUDE (c) WHERE c > 1 AND b LIKE '%x'": "done",
    "CREATE UNIQUE INDEX CONCURRENTLY clever ON a (lower(b) DESC) INCLUDE (c) WHERE c > 2": "open",
    "CREATE INDEX CONCURRENTLY elsewhere ON a (b)": "open",
    "CREATE INDEX CONCURRENTLY missing ON a (b)": "to do",
    "CREATE INDEX CONCURRENTLY missing ON missing (b)": "to do",
    "CREATE UNIQUE INDEX CONCURRENTLY broken ON a (b)": "again",
    "DROP INDEX CONCURRENTLY plain": "to do",
    "DROP INDEX CONCURRENTLY IF EXISTS missing": "done",
    "DROP INDEX CONCURRENTLY plain; CREATE INDEX CONCURRENTLY plain ON a (b)": "done",
    "CREATE INDEX CONCURRENTLY missing ON a (b); ALTER TYPE colour ADD VALUE 'red'": "to do",
    "ALTER TYPE colour ADD VALUE 'red'": "done",
    "ALTER TYPE colour ADD VALUE 'blue'": "to do",
    "VACUUM a": "to do",
    "REINDEX TABLE CONCURRENTLY a": "to do",
    "INSERT INTO a VALUES ('y', 1)": "open",
}


def test_the_catalogs_tell_how_far_a_file_came(cursor: psycopg.Cursor[dict[str, Any]]) -> None:
    cursor.execute(THERE)
    with pytest.raises(psycopg.errors.UniqueViolation):
        cursor.execute("CREATE UNIQUE INDEX CONCURRENTLY broken ON a (b)")
    for sql, state in STATES.items():
        answers = look_at(cursor, [describe(statement.node, statement.line) for statement in split_file(sql)])
        assert {answer.state for answer in answers} == {state}, sql
        assert answers[0].drop == (("public.broken",) if state == "again" else ()), sql
        assert re.search(r"SELECT pg_get_indexdef|read the statement", answers[0].look) is None or state == "open", sql
    cursor.execute("SELECT count(*) AS tables FROM pg_class WHERE relname = 'physioflow_probe'")
    assert cursor.fetchall() == [{"tables": 0}]
