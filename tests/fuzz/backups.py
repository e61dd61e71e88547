"""Backs a generated database up, restores and drills it, and compares by PostgreSQL's own programs."""

from __future__ import annotations

import difflib
import re
import shutil
from pathlib import Path

import psycopg

from tests.backups import Clinic, drop_clinic
from tests.fuzz.oracle import DifferenceError, Told
from tests.fuzz.server import Server

NAME, NEW, AGAIN = "fuzz_clinic", "fuzz_clinic_new", "fuzz_clinic_again"
# Columns may come in another order (inheritance, attached partitions): rows are compared by name.
ROWS = """
SELECT format('%%I.%%I', n.nspname, c.relname), format('SELECT string_agg(to_jsonb(t)::text, chr(10) ORDER BY '
    'to_jsonb(t)::text COLLATE "C") FROM ONLY %%I.%%I AS t', n.nspname, c.relname)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE (c.relkind = 'r' OR c.relkind = 'm' AND c.relispopulated) AND n.nspname !~ '^pg_(toast|catalog|temp)|^information'
ORDER BY 1
"""


def check(server: Server, statements: tuple[str, ...], folder: Path, told: Told) -> None:
    """Make the database, back it up, restore it into a new one, drill it; compare source and copy.

    Raises:
        DifferenceError: where they differ, or something fails that PostgreSQL's programs can do.
    """
    from ansible_collections.physioflow.database.plugins.module_utils.backup.errors import BackupError  # noqa: PLC0415 - known by an import of tests.backups

    shutil.rmtree(folder / "backups", ignore_errors=True)
    (folder / "backups").mkdir(mode=0o700)
    clinic = Clinic(server.local, NAME, folder / "backups")
    for name in (NAME, NEW):
        server.drop(name)
    server.admin.execute(f"CREATE DATABASE {NAME} OWNER emr TEMPLATE template0".encode())
    server.admin.execute(f"GRANT CONNECT ON DATABASE {NAME} TO emr_backup".encode())
    try:
        with server.connect(NAME) as connection:
            connection.execute("SET role = emr")
            for statement in statements:
                try:
                    connection.execute(statement.encode())
                except psycopg.Error as error:
                    told.note(f"statement left out: {error.sqlstate}")
        source = _again(server, NAME, folder)
        try:
            clinic.backup()
            clinic.act("restore", database=NEW)
            drilled = clinic.act("drill", server="live")
        except BackupError as error:
            if source is None:
                told.note("not restorable by PostgreSQL either")
                return
            raise DifferenceError(f"PostgreSQL restores it, ours does not: {error}") from error
        if source is None:
            raise DifferenceError("PostgreSQL does not restore it, and ours says nothing")
        if "passed the drill" not in drilled["lines"][0]:
            raise DifferenceError(f"the drill says {drilled}")
        told.note("backup restored and drilled")
        _equal("rows", _rows(server, NAME), _rows(server, NEW))
        _equal("catalogs after a second restore", source, _again(server, NEW, folder) or "")
    finally:
        drop_clinic(clinic)
        server.drop(AGAIN)


def _again(server: Server, database: str, folder: Path) -> str | None:
    """Return the schema of what pg_restore makes of pg_dump's dump; None where it cannot."""
    dump = folder / "again.dump"
    server.drop(AGAIN)
    server.admin.execute(f"CREATE DATABASE {AGAIN} OWNER emr TEMPLATE template0".encode())
    done = server.program("pg_dump", "--format=custom", f"--file={dump}", "-d", database)
    assert done.returncode == 0, done.stderr
    done = server.program("pg_restore", "--exit-on-error", f"--dbname={AGAIN}", str(dump))
    if done.returncode:
        return None
    done = server.program("pg_dump", "-s", "-d", AGAIN)
    assert done.returncode == 0, done.stderr
    kept = "\n".join(line for line in done.stdout.splitlines() if not re.match(r"\\(un)?restrict ", line))
    return "\n".join(sorted(re.split(r"\n(?=-- Name: )", kept)))  # attached partitions come in another order


def _rows(server: Server, database: str) -> str:
    with server.connect(database) as connection:
        connection.execute("SET extra_float_digits = 3")
        tables = connection.execute(ROWS.replace("%%", "%")).fetchall()
        return "\n".join(f"{name}: {connection.execute(query).fetchall()[0][0]}" for name, query in tables)


def _equal(what: str, source: str, copy: str) -> None:
    if source != copy:
        diff = difflib.unified_diff(source.splitlines(), copy.splitlines(), "source", "copy", lineterm="", n=1)
        raise DifferenceError(f"{what} differ\n" + "\n".join(diff)[:4000])
