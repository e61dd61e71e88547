"""Which statements cannot run in a transaction is known before as the server knows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import (
    NEVER_IN_TRANSACTION,
    _needs_no_transaction,
)
from pglast import parser

from tests.integration.oracle import Case
from tests.local import Local

DATABASE = "test_without_transaction"
MADE = """
    CREATE TABLE a (id int);
    CREATE INDEX i ON a (id);
    CREATE TABLE p (id int) PARTITION BY LIST (id);
    CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
    CREATE INDEX pi ON p (id);
    CREATE MATERIALIZED VIEW m AS SELECT 1 AS x;
    CREATE UNIQUE INDEX mi ON m (x);
    CREATE TYPE e AS ENUM ('x');
    CREATE SUBSCRIPTION test_none CONNECTION '' PUBLICATION n WITH (connect = false, slot_name = NONE);
    CREATE SUBSCRIPTION test_slot CONNECTION '' PUBLICATION n WITH (connect = false);
"""
REFUSED = [
    "ALTER DATABASE {0} SET TABLESPACE pg_default",
    "ALTER SUBSCRIPTION test_slot ADD PUBLICATION n2",
    "ALTER SUBSCRIPTION test_slot REFRESH PUBLICATION WITH (copy_data = false)",
    "ALTER SUBSCRIPTION test_slot SET PUBLICATION n2 WITH (copy_data = off)",
    "ALTER SYSTEM RESET work_mem",
    "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY",
    "CLUSTER",
    "CREATE DATABASE test_nowhere",
    "CREATE INDEX CONCURRENTLY n ON a (id)",
    "CREATE SUBSCRIPTION test_n CONNECTION '' PUBLICATION n",
    "CREATE TABLESPACE test_nowhere LOCATION '/nowhere'",
    "DISCARD ALL",
    "DROP DATABASE IF EXISTS test_nowhere",
    "DROP INDEX CONCURRENTLY i",
    "DROP TABLESPACE IF EXISTS test_nowhere",
    "REINDEX (CONCURRENTLY) INDEX i",
    "REINDEX DATABASE",
    "REINDEX SCHEMA public",
    "REINDEX SYSTEM",
    "REINDEX TABLE CONCURRENTLY a",
    "VACUUM (FULL, ANALYZE) a",
    "VACUUM",
]
# Refused because of what is there: the server says so, and the message of the failure names the header line.
LEFT_TO_THE_SERVER = ["CLUSTER p USING pi", "DROP SUBSCRIPTION test_slot", "REINDEX INDEX pi", "REINDEX TABLE p"]
ALLOWED = [
    "ALTER DATABASE {0} CONNECTION LIMIT 5",
    "ALTER DATABASE {0} SET work_mem = '5MB'",
    "ALTER SUBSCRIPTION test_slot ADD PUBLICATION n2 WITH (refresh = off)",
    "ALTER SUBSCRIPTION test_slot DISABLE",
    "ALTER SUBSCRIPTION test_slot SET PUBLICATION n2 WITH (refresh = false)",
    "ALTER TABLE p DETACH PARTITION p1",
    "ALTER TYPE e ADD VALUE 'y'",
    "ANALYZE a",
    "CLUSTER a USING i",
    "CREATE SUBSCRIPTION test_n CONNECTION '' PUBLICATION n WITH (connect = false)",
    "DISCARD PLANS",
    "DROP INDEX i",
    "DROP SUBSCRIPTION test_none",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
    "REINDEX (CONCURRENTLY off) TABLE a",
    "REINDEX INDEX i",
]


@pytest.fixture(scope="module")
def session(local: Local) -> Iterator[psycopg.Connection[Any]]:
    """A session in a database with what the statements name."""
    local.psql(f"CREATE DATABASE {DATABASE}", "postgres", role="postgres")
    case = Case(local, DATABASE, Path())
    try:
        case.psql(MADE, role="postgres")
        with case.session() as made:
            yield made
        for name in ("test_none", "test_slot"):
            case.psql(f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)", role="postgres")
            case.psql(f"DROP SUBSCRIPTION {name}", role="postgres")
    finally:
        local.drop_database(DATABASE)


@pytest.mark.parametrize("statement", [*REFUSED, *LEFT_TO_THE_SERVER, *ALLOWED])
def test_a_statement_that_cannot_run_in_a_transaction_is_known(
    session: psycopg.Connection[Any], statement: str
) -> None:
    sql = statement.format(DATABASE)
    try:
        session.execute("ALTER SUBSCRIPTION test_slot ENABLE")  # a disabled one is refused for another reason
        session.execute(sql)
        refused = False
    except psycopg.errors.ActiveSqlTransaction:
        refused = True
    finally:
        session.rollback()
    assert refused == (statement not in ALLOWED)
    assert _needs_no_transaction(parser.parse_sql(sql)[0].stmt) == (statement in REFUSED)


def test_each_kind_that_is_known_was_tried() -> None:
    tried = {type(parser.parse_sql(statement.format(DATABASE))[0].stmt) for statement in REFUSED}
    assert tried == set(NEVER_IN_TRANSACTION)
