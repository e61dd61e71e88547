# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The SQL that checks promises. It only reads; values are inserted as quoted literals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..sql import identifier, literal

# The catalog data of the given schemas, as one JSON object.
CATALOG = """
WITH space AS (
    SELECT oid, CASE nspname WHEN 'public' THEN '' ELSE nspname || '.' END AS prefix
    FROM pg_namespace WHERE nspname IN ({schemas})
), class AS (
    SELECT c.oid, c.relkind, space.prefix || c.relname AS name
    FROM pg_class AS c JOIN space ON space.oid = c.relnamespace
)
SELECT json_build_object(
    'extensions', (SELECT json_agg(extname) FROM pg_extension),
    'collations', (
        SELECT json_agg(DISTINCT collname) FROM pg_collation
        WHERE collencoding IN (-1, (SELECT encoding FROM pg_database WHERE datname = current_database()))
    ),
    'schemas', (SELECT json_agg(nspname) FROM pg_namespace),
    'types', (
        SELECT json_agg(format_type(t.oid, NULL)) FROM pg_type AS t JOIN space ON space.oid = t.typnamespace
        WHERE t.typelem = 0 AND (t.typrelid = 0 OR EXISTS (
            SELECT FROM pg_class AS c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
    ),
    'tables', (SELECT json_agg(name) FROM class WHERE relkind IN ('r', 'p', 'f')),
    'functions', (
        SELECT json_agg(p.oid::regprocedure::text) FROM pg_proc AS p JOIN space ON space.oid = p.pronamespace
    ),
    'columns', (
        SELECT json_agg(json_build_array(
            class.name, a.attname, format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attgenerated = 's' THEN pg_get_expr(d.adbin, d.adrelid) END) ORDER BY a.attnum)
        FROM class
        JOIN pg_attribute AS a ON a.attrelid = class.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE class.relkind IN ('r', 'p', 'f')
    ),
    'constraints', (
        SELECT json_agg(json_build_array(
            class.name, k.conname, k.convalidated, pg_get_expr(k.conbin, k.conrelid)))
        FROM pg_constraint AS k JOIN class ON class.oid = k.conrelid
    ),
    'indexes', (
        SELECT json_agg(json_build_array(class.name, c.relname, i.indisvalid AND i.indisready))
        FROM pg_index AS i JOIN class ON class.oid = i.indrelid JOIN pg_class AS c ON c.oid = i.indexrelid
    ),
    'triggers', (
        SELECT json_agg(json_build_array(class.name, t.tgname, t.tgenabled IN ('O', 'A')))
        FROM pg_trigger AS t JOIN class ON class.oid = t.tgrelid WHERE NOT t.tgisinternal
    ),
    'has_history', to_regclass('migrations.applied') IS NOT NULL
)::text
"""
HISTORY = "SELECT json_agg(version ORDER BY version)::text FROM migrations.applied"


def qualified(name: str) -> str:
    """Return a name, with or without schema, as an SQL identifier."""
    return identifier(*(name.split(".", 1) if "." in name else ["public", name]))


def begin_sql(statement_timeout: str) -> str:
    """Return the start of the only transaction, which is read-only whatever the SQL of a release calls."""
    return (
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL standard_conforming_strings = on; "
        f"SET LOCAL statement_timeout = {literal(statement_timeout)}; "
        f"SET LOCAL lock_timeout = {literal(statement_timeout)}; "
        "SET LOCAL search_path = public; SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL jit = off"
    )


def catalog_sql(schemas: Iterable[str]) -> str:
    """Return the query for the catalogs of some schemas."""
    return CATALOG.format(schemas=", ".join(map(literal, sorted(schemas))))


def seeds_sql(entry: Mapping[str, Any], fresh: bool, values_too: bool = False) -> str:
    """Return the query for seeded rows.

    Its result is an object: `count` of all rows where the database is fresh, and the positions (from 1) of the
    `missing` rows, of rows with an `empty` text that must not be empty, and of rows with `other` values. Only a fresh
    database is checked for the last, or where `values_too` is set: in a used one they may be edited.
    """
    table = qualified(entry["table"])
    where = entry.get("where") or "true"
    keys, values = entry["key"], entry.get("values") or []
    rows = [dict(zip([*keys, *values], row, strict=True)) for row in entry["rows"]]
    data = literal(json.dumps(rows, ensure_ascii=False))
    nullable = {name for name in keys if any(row[name] is None for row in rows)}

    def same(names: Iterable[str]) -> str:
        return " AND ".join(
            f"t.{identifier(name)} {'=' if name in keys and name not in nullable else 'IS NOT DISTINCT FROM'} "
            f"row.{identifier(name)}"
            for name in names
        )

    def there(names: Iterable[str], filled: Iterable[str] = ()) -> str:
        full = "".join(f" AND btrim(t.{identifier(name)}::text) <> ''" for name in filled)
        return f"EXISTS (SELECT FROM {table} AS t WHERE {same(names)}{full} AND (\n{where}\n))"

    def positions(condition: str) -> str:
        return (
            "(SELECT json_agg(row.ordinality ORDER BY row.ordinality) "  # noqa: S608 - quoted above
            f"FROM json_populate_recordset(NULL::{table}, {data}) WITH ORDINALITY AS row WHERE {condition})"
        )

    count = f"(SELECT count(*) FROM {table} AS t WHERE (\n{where}\n))"  # noqa: S608 - quoted above
    other = (
        positions(f"{there(keys)} AND NOT {there([*keys, *values])}") if values and (fresh or values_too) else "NULL"
    )
    filled = entry.get("filled") or ()
    empty = positions(f"{there(keys)} AND NOT {there(keys, filled)}")
    return (
        f"SELECT json_build_object('count', {count if fresh else 'NULL'}, 'empty', {empty if filled else 'NULL'}, "
        f"'missing', {positions(f'NOT {there(keys)}')}, 'other', {other})"
    )


def examples_sql(expression: str, types: Mapping[str, str], examples: Sequence[Mapping[str, Any]]) -> str:
    """Return the query that evaluates an expression of a table for example rows, without writing a row.

    Its result is an array of `valid` (whether each value fits the type of its column: a cast would truncate long texts)
    and `value`, the result of the expression. Columns without an example value are null.

    Args:
        expression: the expression of a constraint or generated column, as pg_get_expr() prints it.
        types: type of each column of the table.
        examples: values by column.
    """
    given = {name for example in examples for name in example}
    texts = [{name: value_text(value, types[name]) for name, value in example.items()} for example in examples]
    valid = " AND ".join(
        f"(example.value->>{literal(name)} IS NULL "
        f"OR pg_input_is_valid(example.value->>{literal(name)}, {literal(types[name])}))"
        for name in sorted(given)
    )
    columns = ", ".join(
        (
            f"CASE WHEN example.__valid THEN (example.value->>{literal(name)})::{kind} END AS {identifier(name)}"
            if name in given
            else f"NULL::{kind} AS {identifier(name)}"
        )
        for name, kind in types.items()
    )
    rows = literal(json.dumps(texts, ensure_ascii=False))
    return (
        # MATERIALIZED: the planner must not evaluate a cast before its value was checked.
        "WITH one AS MATERIALIZED ("  # noqa: S608 - quoted above
        f"SELECT value, ordinality FROM json_array_elements({rows}) WITH ORDINALITY), "
        f"example AS MATERIALIZED (SELECT value, ordinality, {valid} AS __valid FROM one AS example) "
        "SELECT json_agg(json_build_object('valid', __valid, 'value', "
        f"CASE WHEN __valid THEN to_json({expression}) END) ORDER BY __position) "
        f"FROM (SELECT example.__valid, example.ordinality AS __position, {columns} FROM example) AS given"
    )


def value_text(value: Any, kind: str) -> str | None:
    """Return a value as input text of its type."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and kind.endswith("[]"):
        items = (value_text(item, kind.removesuffix("[]")) for item in value)
        quoted = (
            "NULL" if item is None else '"' + item.replace("\\", r"\\").replace('"', r"\"") + '"' for item in items
        )
        return "{" + ",".join(quoted) + "}"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def query_sql(sql: str) -> str:
    """Return the query that returns all rows of a release's query as JSON."""
    return f"SELECT json_agg(row_to_json(q)) FROM (\n{sql}\n) AS q"  # noqa: S608 - parsed by the controller


def batch_sql(queries: Sequence[str]) -> str:
    """Return one query for the results of many, in rows of position and text."""
    return "\nUNION ALL\n".join(f"SELECT {number} AS n, ({query})::text AS j" for number, query in enumerate(queries))


def plan_sql(entry: Mapping[str, Any]) -> str:
    """Return the statements that show a plan; a rollback to the savepoint `plan` undoes their settings."""
    settings = "".join(
        f"SET LOCAL {name} = {'on' if value in (True, 'on') else 'off'}; "
        for name, value in (entry.get("settings") or {}).items()
    )
    return f"SAVEPOINT plan; {settings}EXPLAIN (FORMAT JSON)\n{entry['sql']}"
