# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads a database: its objects, the numbers of rows, and hashes of the rows that a restore must reproduce.

Rows are hashed as text, so all settings that affect the text are pinned. A sum of hashes does not depend on the order
of the rows, and so needs no sort.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import queue
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..sql import identifier, literal
from .errors import BackupError, ServerError
from .programs import without_pg_variables, without_values

driver: Any = None
for _name in ("psycopg", "psycopg2"):  # Ubuntu 22.04 has only psycopg2
    try:
        driver = importlib.import_module(_name)
        break
    except ImportError:
        continue

PINNED = {
    "client_encoding": "UTF8",
    "bytea_output": "hex",
    "DateStyle": "ISO, YMD",
    "extra_float_digits": "3",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "search_path": "pg_catalog",
    "lc_monetary": "C",
    "quote_all_identifiers": "off",
    "row_security": "off",  # an error instead of hidden rows
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
}
# The lock of roles/migrations/files/lock.sql: exclusive for a migration, shared for a dump.
MIGRATIONS_LOCK = "hashtextextended('migrations.history', 0)"

_PART = re.compile(r'"(?:[^"]|"")+"|[^".]+')
_QUALIFIED = re.compile(rf"(?:{_PART.pattern})(?:\.(?:{_PART.pattern}))?")

# Schemas and tables of extensions and of the server are not dumped.
_OURS = """n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (
    SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"""

CONTENTS = f"""
WITH class AS (
    SELECT c.oid, c.relkind, n.nspname AS schema, c.relname AS name, n.nspname || '.' || c.relname AS key
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE {_OURS}
)
SELECT json_build_object(
    'tables', (SELECT coalesce(json_agg(json_build_object(
            'schema', schema, 'name', name,
            'columns', (SELECT coalesce(json_agg(attname ORDER BY attname), '[]') FROM pg_attribute
                        WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped),
            'root', (SELECT key FROM class AS r WHERE r.oid = pg_partition_root(class.oid) AND r.oid <> class.oid)
        ) ORDER BY key), '[]') FROM class WHERE relkind = 'r'),
    -- Both names of a key: a schema's may hold a dot.
    'places', (SELECT coalesce(json_object_agg(key, json_build_array(schema, name)), '{{}}') FROM class
               WHERE relkind IN ('r', 'p', 'S')),
    'partitioned', (SELECT coalesce(json_agg(key ORDER BY key), '[]') FROM class WHERE relkind = 'p'),
    'indexes', (SELECT coalesce(json_object_agg(i.key, t.key), '{{}}')
                FROM pg_index JOIN class AS i ON i.oid = indexrelid JOIN class AS t ON t.oid = indrelid),
    'foreign_keys', (SELECT coalesce(json_agg(json_build_object(
            'name', conname, 'table', t.key, 'references', r.key) ORDER BY t.key, conname), '[]')
        FROM pg_constraint JOIN class AS t ON t.oid = conrelid JOIN class AS r ON r.oid = confrelid
        WHERE contype = 'f' AND conparentid = 0),
    -- The tables that a view reads, also by way of other views.
    'views', (SELECT coalesce(json_object_agg(v.key, (
            WITH RECURSIVE reads (oid) AS (
                SELECT v.oid
                UNION
                SELECT d.refobjid FROM reads JOIN pg_rewrite AS r ON r.ev_class = reads.oid
                JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                    AND d.refclassid = 'pg_class'::regclass)
            SELECT coalesce(json_agg(DISTINCT t.key), '[]') FROM reads JOIN class AS t ON t.oid = reads.oid
            WHERE t.relkind IN ('r', 'p'))), '{{}}')
        FROM class AS v WHERE v.relkind IN ('v', 'm')),
    'statistics', (SELECT coalesce(json_object_agg(nspname || '.' || stxname, key), '{{}}') FROM pg_statistic_ext
                   JOIN pg_namespace AS n ON n.oid = stxnamespace JOIN class ON class.oid = stxrelid),
    'sequences', (SELECT coalesce(json_object_agg(s.key, json_build_object('table', (
            SELECT t.key FROM pg_depend AS d JOIN class AS t ON t.oid = d.refobjid
            WHERE d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i')))), '{{}}')
        FROM class AS s WHERE s.relkind = 'S'),
    'extensions', (SELECT coalesce(json_object_agg(extname, extversion), '{{}}') FROM pg_extension),
    'roles', (SELECT coalesce(json_agg(DISTINCT pg_get_userbyid(role)), '[]') FROM (
            SELECT refobjid AS role FROM pg_shdepend
            WHERE refclassid = 'pg_authid'::regclass
              AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
              AND (dbid <> 0 OR classid = 'pg_database'::regclass AND objid = (
                  SELECT oid FROM pg_database WHERE datname = current_database()))
            UNION SELECT datdba FROM pg_database WHERE datname = current_database()
            UNION SELECT setrole FROM pg_db_role_setting JOIN pg_database AS own ON own.oid = setdatabase
                  WHERE datname = current_database()) AS named
        WHERE role >= 16384)
)::text AS j
"""

# Objects that would be lost with a database, without those of extensions.
OBJECTS = f"""
SELECT (SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE {_OURS})
     + (SELECT count(*) FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e'))
     + (SELECT count(*) FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND t.typtype IN ('e', 'd', 'r')
          AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_type'::regclass AND objid = t.oid AND deptype = 'e'))
     + (SELECT count(*) FROM pg_largeobject_metadata) AS n
"""

DATABASE = """
SELECT json_build_object(
    'name', datname, 'owner', pg_get_userbyid(datdba), 'encoding', pg_encoding_to_char(encoding),
    'collate', datcollate, 'ctype', datctype, 'icu', coalesce(  -- its name is another in each version
        to_jsonb(pg_database) ->> 'daticulocale', to_jsonb(pg_database) ->> 'datlocale'),
    'icu_rules', to_jsonb(pg_database) ->> 'daticurules',
    'connection_limit', datconnlimit,
    'size', pg_database_size(datname), 'comment', shobj_description(oid, 'pg_database'),
    'acl', CASE WHEN datacl IS NOT NULL THEN (SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(grantee) END,
            'privilege', privilege_type, 'grantable', is_grantable)
        ORDER BY grantee, privilege_type), '[]') FROM aclexplode(datacl) WHERE grantee <> datdba) END,
    'settings', (SELECT coalesce(json_agg(json_build_object(
            'role', CASE setrole WHEN 0 THEN NULL ELSE pg_get_userbyid(setrole) END, 'setting', setting)
        ORDER BY setrole, setting), '[]')
        FROM pg_db_role_setting, unnest(setconfig) AS setting WHERE setdatabase = pg_database.oid)
)::text AS j FROM pg_database WHERE datname = current_database()
"""

SERVER = """
SELECT split_part(current_setting('server_version'), ' ', 1) AS version,
       current_setting('server_version_num')::int AS version_num, extract(epoch FROM clock_timestamp()) AS clock
"""


class Session:
    """A connection in autocommit, with all settings pinned that affect the texts of rows."""

    def __init__(self, conninfo: str, role: str = "") -> None:
        """Connect.

        Args:
            conninfo: connection string without a password.
            role: role for SET ROLE after login; empty for none.
        """
        if driver is None:
            raise BackupError("The Python package psycopg is missing: install python3-psycopg on that host.")
        try:
            with without_pg_variables():
                self.connection = driver.connect(conninfo)
        except driver.Error as error:
            raise BackupError(f"The server cannot be reached: {' '.join(str(error).split())}") from error
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.pin()
        if role:
            self.execute(f"SET ROLE {identifier(role)}")

    def __enter__(self) -> Session:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.connection.close()

    def execute(self, sql: str) -> None:
        """Run SQL. Values are literals in it; it has no placeholders.

        Raises:
            BackupError: with the SQLSTATE and the first line of the server's message.
        """
        try:
            self.cursor.execute(sql)
        except driver.Error as error:
            raise _server_error(error) from error

    def pin(self) -> None:
        """Pin all settings that affect the texts of rows."""
        self.execute("".join(f"SET {name} = {literal(value)};" for name, value in PINNED.items()))

    def copy(self, sql: str, chunks: Iterator[bytes]) -> None:
        """Run a COPY FROM STDIN with data from pg_restore."""
        try:
            if hasattr(self.cursor, "copy_expert"):  # psycopg2
                self.cursor.copy_expert(sql, _Reader(chunks))
                return
            with self.cursor.copy(sql) as stream:
                for chunk in chunks:
                    stream.write(chunk)
        except driver.Error as error:
            raise _server_error(error) from error

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        self.execute(sql)
        names = [column[0] for column in self.cursor.description]
        return [dict(zip(names, row, strict=True)) for row in self.cursor.fetchall()]

    def row(self, sql: str) -> dict[str, Any]:
        """Return the only row of a query."""
        (found,) = self.rows(sql)
        return found

    def json(self, sql: str) -> Any:
        """Return the single JSON value of a query."""
        return json.loads(self.row(sql)["j"])


def _server_error(error: Exception) -> ServerError:
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "?????"
    words = getattr(getattr(error, "diag", None), "message_primary", None) or str(error).split("\n", 1)[0]
    return ServerError(state, without_values(words))


class _Reader:
    """A file object from which psycopg2 reads a COPY."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks
        self.buffer = b""

    def read(self, size: int) -> bytes:
        while len(self.buffer) < size and (chunk := next(self.chunks, b"")):
            self.buffer += chunk
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found


def key_of(table: Mapping[str, Any]) -> str:
    """Return schema.name of a table."""
    return f"{table['schema']}.{table['name']}"


def share_migrations_lock(session: Session, seconds: float) -> None:
    """Wait until no migration runs, by polling, and block the next one until the session ends."""
    end = time.monotonic() + seconds
    while not session.row(f"SELECT pg_try_advisory_lock_shared({MIGRATIONS_LOCK}) AS got")["got"]:
        if time.monotonic() > end:
            raise BackupError(f"A run of migrations has been active for more than {seconds:.0f} s. Wait until it ends.")
        time.sleep(0.1)


def measure(
    sessions: Sequence[Session],
    tables: Iterable[Mapping[str, Any]],
    hashed: str | Sequence[str],
    *,
    by_name: bool = True,
) -> list[dict[str, Any]]:
    """Count the rows of tables, and hash them.

    Args:
        sessions: each works on one table at a time; use a single one with a snapshot while others write.
        tables: entries with schema and name.
        hashed: `counts`, `hash`, or the names of the tables to hash.
        by_name: hash the columns in the order of their names, because a restored child table may have another order.
            Manifests of earlier releases hash the row with its columns in table order.

    Returns:
        The entries with `rows` and `hash`; `hash` is None where a table is only counted.
    """
    free: queue.SimpleQueue[Session] = queue.SimpleQueue()
    for session in sessions:
        free.put(session)

    def one(table: Mapping[str, Any]) -> dict[str, Any]:
        wanted = hashed == "hash" if isinstance(hashed, str) else is_named(table, hashed)
        row = f"ROW({', '.join(f't.{identifier(name)}' for name in table['columns'])})" if by_name else "t"
        total = f"sum(hashtextextended({row}::text, 0)::numeric)::text" if wanted else "NULL"
        place = identifier(table["schema"], table["name"])
        session = free.get()
        try:
            found = session.row(f"SELECT count(*) AS rows, {total} AS hash FROM ONLY {place} AS t")
        except ServerError as error:
            raise BackupError(f"the rows of {key_of(table)} cannot be read: {error}") from error
        finally:
            free.put(session)
        kept = {key: value for key, value in table.items() if key != "columns"}
        return {**kept, "rows": found["rows"], "hash": (found["hash"] or "0") if wanted else None}

    with ThreadPoolExecutor(len(sessions)) as pool:
        return list(pool.map(one, tables))


def place_of(key: str, contents: Mapping[str, Any]) -> str:
    """Return the SQL identifier for a key.

    Args:
        key: schema.name.
        contents: of a database, or a manifest; manifests of earlier releases do not separate schema and name.
    """
    return identifier(*(contents.get("places", {}).get(key) or key.split(".", 1)))


def key_of_name(name: str, known: Collection[str]) -> str | None:
    """Return the key (schema.name) of a table for a name from the user; None where there is no such table.

    Args:
        name: plain or quoted as in SQL; the schema public may be left out.
        known: keys of the existing tables.
    """
    parts = [quoted[1:-1].replace('""', '"') if quoted[0] == '"' else quoted for quoted in _PART.findall(name)]
    wanted = [name, f"public.{name}"]
    if '"' in name and _QUALIFIED.fullmatch(name):
        wanted += [".".join(parts if len(parts) > 1 else ["public", *parts])]
    return next((key for key in wanted if key in known), None)


def tables_named(
    names: Sequence[str], contents: Mapping[str, Any], refusal: str
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the keys of the named tables, and their table entries: for a partitioned table all partitions.

    Args:
        names: names in the form of `key_of_name`.
        contents: of a database, or a manifest.
        refusal: message of the BackupError where there are no such tables, with a placeholder for their names.
    """
    known = {key_of(table) for table in contents["tables"]} | set(contents["partitioned"])
    if unknown := [name for name in names if not key_of_name(name, known)]:
        raise BackupError(refusal.format(", ".join(unknown)))
    keys = [str(key_of_name(name, known)) for name in names]
    return keys, [table for table in contents["tables"] if {key_of(table), table["root"]} & set(keys)]


def is_named(table: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Tell whether a table or its partitioned root is among names in the form of `key_of_name`."""
    keys = {key_of(table), table["root"] or key_of(table)}
    return any(key_of_name(name, keys) for name in names)


def holds_data(session: Session, tables: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether any table outside the history of migrations has a row."""
    places = [identifier(t["schema"], t["name"]) for t in tables if t["schema"] != "migrations"]
    if not places:
        return False
    tests = " OR ".join(f"EXISTS (SELECT FROM {place})" for place in places)
    return bool(session.row(f"SELECT {tests} AS found")["found"])


def history_of(session: Session) -> dict[str, Any]:
    """Return the applied migrations: the last version, their number, and a hash of all of them."""
    if session.row("SELECT to_regclass('migrations.applied') IS NULL AS none")["none"]:
        return {"version": "", "applied": 0, "hash": ""}
    rows = session.rows("SELECT version, name, sha256 FROM migrations.applied ORDER BY version")
    text = "".join(f"{row['version']} {row['name']} {row['sha256']}\n" for row in rows)
    return {
        "version": rows[-1]["version"] if rows else "",
        "applied": len(rows),
        "hash": hashlib.sha256(text.encode()).hexdigest(),
    }
