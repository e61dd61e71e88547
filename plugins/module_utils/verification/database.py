# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks promises in a live database, in one read-only transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

from ansible_collections.community.postgresql.plugins.module_utils.postgres import pg_cursor_args

from ..database.objects import MIGRATED, PIN
from .check import (
    Catalog,
    Check,
    check_catalog,
    check_error,
    check_examples,
    check_history,
    check_plan,
    check_query,
    check_seeds,
    counted,
    example_rows,
    expression_of,
    failure_sentences,
    missing_in,
    render_table,
    seed_totals,
)
from .promise import DEFINED, Promise
from .sql import HISTORY, batch_sql, begin_sql, catalog_sql, examples_sql, plan_sql, query_sql, seeds_sql

# SQLSTATE classes whose messages repeat values: data exceptions, integrity violations, a function's own words.
MESSAGES_WITH_VALUES = ("22", "23", "P0")


class VerificationError(Exception):
    """Why a database cannot be verified: one sentence."""


class QueryError(Exception):
    """A failed statement; the text gives the cause without values of rows."""


class Database:
    """The one connection with its one read-only transaction."""

    def __init__(self, connection: Any, name: str, statement_timeout: str) -> None:
        """Begin.

        Args:
            connection: a session in autocommit.
            name: name of the database, for the errors.
            statement_timeout: time limit of one check, as an interval of PostgreSQL.

        Raises:
            VerificationError: where the server refuses.
        """
        self.connection = connection
        self.name = name
        self.cursor = connection.cursor(**pg_cursor_args)
        self.execute_or_fail(begin_sql(statement_timeout))

    def execute(self, sql: str, hidden: tuple[str, ...] = MESSAGES_WITH_VALUES) -> None:
        """Run statements; raises QueryError, without the message for the SQLSTATE classes in `hidden`."""
        try:
            self.cursor.execute(sql)
            if hasattr(self.connection, "pgconn"):  # psycopg 3 is at the first result, psycopg2 at the last
                while self.cursor.nextset():
                    pass
        except Exception as error:  # psycopg's and psycopg2's errors share no other ancestor
            state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
            words = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
            if state.startswith(hidden):
                raise QueryError(f"an error (SQLSTATE {state})") from None
            raise QueryError(f"an error ({words}, SQLSTATE {state})" if state else f"an error ({words})") from None

    def execute_or_fail(self, sql: str) -> None:
        """Run our own statements, which read no table; raises VerificationError."""
        try:
            self.execute(sql, hidden=())
        except QueryError as error:
            raise VerificationError(
                f"The database {self.name} cannot be verified: the server answers with {error}."
            ) from error

    def json(self, sql: str) -> Any:
        """Return the single JSON value of a query."""
        self.execute(sql)
        return as_json(dict(self.cursor.fetchone()).popitem()[1])

    def guarded_json(self, sql: str) -> Any:
        """Return the same as `json`, but keep the transaction usable after an error."""
        self.execute("SAVEPOINT guard")
        try:
            return self.json(sql)
        finally:
            self.execute("ROLLBACK TO SAVEPOINT guard; RELEASE SAVEPOINT guard")

    def batch(self, queries: list[str]) -> list[Any]:
        """Return the result of each query, or its QueryError; run them together, or one by one if one fails."""
        if not queries:
            return []
        self.execute("SAVEPOINT batch")
        try:
            self.execute(batch_sql(queries))
            rows = sorted((dict(row) for row in self.cursor.fetchall()), key=lambda row: row["n"])
            return [as_json(row["j"]) for row in rows]
        except QueryError:
            self.execute("ROLLBACK TO SAVEPOINT batch")
        results: list[Any] = []
        for query in queries:
            try:
                results.append(self.guarded_json(f"SELECT ({query})::text AS j"))
            except QueryError as error:
                results.append(error)
        return results

    def objects(self) -> list[tuple[str, str, str]]:
        """Return kind, name and definition of every object."""
        self.execute_or_fail(f"SAVEPOINT look; {PIN.replace('SET ', 'SET LOCAL ')}")
        self.execute_or_fail(MIGRATED)
        found = [(row["kind"], row["name"], row["definition"] or "") for row in map(dict, self.cursor.fetchall())]
        self.execute_or_fail("ROLLBACK TO SAVEPOINT look; RELEASE SAVEPOINT look")
        return found

    def plan(self, entry: dict[str, Any]) -> Any:
        """Return the plan of a query; raises QueryError."""
        try:
            self.execute(plan_sql(entry))
            plan = dict(self.cursor.fetchone()).popitem()[1]
            return json.loads(plan) if isinstance(plan, str) else plan
        finally:
            self.execute("ROLLBACK TO SAVEPOINT plan; RELEASE SAVEPOINT plan")

    def end(self) -> None:
        """Roll back."""
        self.execute("ROLLBACK")


def as_json(text: str | None) -> Any:
    """Return the value of a JSON text with exact numbers."""
    return None if text is None else json.loads(text, parse_float=Decimal, object_pairs_hook=as_object)


def as_object(pairs: list[tuple[str, Any]]) -> dict[Any, Any]:
    """Return a JSON object that keeps all columns of one name, as in SELECT 1, 2."""
    made = dict(pairs)
    return made if len(made) == len(pairs) else dict(enumerate(value for _, value in pairs))


def as_rows(text: Any) -> list[list[Any]]:
    """Return rows from JSON objects as lists."""
    return [list(row.values()) for row in text or ()]


def verify(
    database: Database,
    promises: Sequence[Promise],
    history: Sequence[str] | None,
    fresh: bool = False,
    corrections: Collection[tuple[str, str]] = (),
) -> list[Check]:
    """Compare everything, and end the transaction.

    Args:
        database: the database.
        promises: the promises of the applied migrations.
        history: the exact versions expected in migrations.applied; None to skip the history.
        fresh: whether only the migrations wrote to the database.
        corrections: file and table of seeds whose values are compared also where it is not fresh.

    Raises:
        VerificationError: where nothing can be verified.
        QueryError: where the connection is lost meanwhile.
    """
    tables = {promise.table for promise in promises if promise.table}
    schemas = {"public", *(table.partition(".")[0] for table in tables if "." in table)}
    schemas |= {promise.key[0] for promise in promises if promise.kind == "schemas"}
    database.execute_or_fail(catalog_sql(schemas))
    names = as_json(dict(database.cursor.fetchone()).popitem()[1])
    defined = any(promise.kind in DEFINED and promise.data is not None for promise in promises)
    catalog = Catalog(names, database.objects() if defined else ())
    checks: list[Check] = []
    if history is not None:
        applied = None
        if catalog.has_history:
            try:
                applied = database.guarded_json(HISTORY) or []
            except QueryError as error:
                raise VerificationError(f"The history of {database.name} cannot be read: {error}.") from error
        checks += check_history(history, applied)
    checks += check_catalog(promises, catalog)
    checks += check_data(database, promises, catalog, fresh, corrections)
    for promise in promises:
        if promise.kind == "plans":
            try:
                checks += check_plan(promise, database.plan(promise.data))
            except QueryError as error:
                checks.append(check_error(promise, str(error)))
    database.end()
    return checks


def check_data(
    database: Database,
    promises: Sequence[Promise],
    catalog: Catalog,
    fresh: bool,
    corrections: Collection[tuple[str, str]],
) -> list[Check]:
    """Compare the promises that need queries of their own: seeds, examples and queries, in one batch."""
    totals = seed_totals(promises) if fresh else {}
    checks: list[Check] = []
    queries: dict[Promise, str] = {}
    for promise in promises:
        if promise.kind == "queries":
            if fresh or not promise.data.get("only_fresh"):
                queries[promise] = query_sql(promise.data["sql"])
        elif promise.kind not in ("seeds", "constraint_examples", "generated_examples"):
            continue
        elif reason := missing_in(promise, catalog):
            checks.append(check_error(promise, reason))
        elif promise.kind == "seeds":
            queries[promise] = seeds_sql(promise.data, fresh, (promise.file, promise.key[0]) in corrections)
        elif expression := expression_of(promise, catalog):
            columns = catalog.columns[promise.data["table"]]
            queries[promise] = examples_sql(expression, columns, example_rows(promise))
    for promise, found in zip(queries, database.batch(list(queries.values())), strict=True):
        if isinstance(found, QueryError):
            checks.append(check_error(promise, str(found)))
        elif promise.kind == "queries":
            checks.append(check_query(promise, as_rows(found)))
        elif promise.kind == "seeds":
            checks += check_seeds(promise, found, totals.get(promise.key))
        else:
            checks += check_examples(promise, found)
    return checks


def outcome(checks: Sequence[Check], migrations: int, show_table: bool = False) -> dict[str, Any]:
    """Return the result of the module `database_verification`.

    Args:
        checks: the comparisons.
        migrations: number of migrations, for the summary.
        show_table: whether to return the table also where a promise is broken.
    """
    failures = failure_sentences(checks)
    result: dict[str, Any] = {"changed": False, "ok": not failures, "checks": len(checks), "failures": failures}
    result["files"] = counted(checks)
    if show_table or not failures:
        result["table"] = render_table(checks)
    if not failures:
        of = f"{migrations} migration{'s' * (migrations != 1)}"
        result["summary"] = f"{len(checks)} check{'s' * (len(checks) != 1)} of {of} hold"
    return result
