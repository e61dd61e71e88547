"""One server for all examples: databases by the dozen, what they hold, and psql as the other way to fill them."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.fuzz.releases import HOOK
from tests.local import Local, environment

# What ours adds to a database, and psql does not.
APART = ("migrations",)
# All ordinary tables, partitions and materialized views with their rows, which are few.
TABLES = """
SELECT format('%I.%I', n.nspname, c.relname), format('SELECT string_agg(t::text, chr(10) ORDER BY t::text COLLATE "C") '
    'FROM ONLY %I.%I AS t', n.nspname, c.relname)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_|^information_schema$'
  AND n.nspname <> ALL (%s) AND (c.relkind <> 'm' OR c.relispopulated)
ORDER BY 1
"""
SEQUENCES = (
    "SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences WHERE schemaname <> ALL (%s)"
)
LEFT = """
SELECT 'advisory lock' FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL SELECT 'temporary ' || relname FROM pg_class WHERE relpersistence = 't'
UNION ALL SELECT 'session ' || application_name || ' ' || state FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'
"""
INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1"
ENDED = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$'"
# As template1 has it.
PUBLIC = """
CREATE SCHEMA public AUTHORIZATION pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
COMMENT ON SCHEMA public IS 'standard public schema';
"""
PATIENCE = 10.0


@dataclass
class Server:
    """A running server and how its superuser reaches it."""

    local: Local
    admin: psycopg.Connection[Any]
    made: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, local: Local) -> Server:
        """Use an embedded server that the playbooks made."""
        server = cls(local, psycopg.connect(**local.connection, dbname="postgres", autocommit=True))
        # Thousands of databases are made and dropped; nobody pulls the plug.
        for setting in ("fsync", "full_page_writes"):
            server.admin.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        server.admin.execute("SELECT pg_reload_conf()")
        return server

    @property
    def connection(self) -> dict[str, Any]:
        """What postgresql_connection holds for this server."""
        found = self.local.connection
        return {
            "login_host": found["host"],
            "login_port": int(found["port"]),
            "login_user": found["user"],
            "login_password": found["password"],
        }

    def connect(self, database: str) -> psycopg.Connection[Any]:
        """Open a session of the superuser."""
        return psycopg.connect(**self.local.connection, dbname=database, autocommit=True)

    def empty(self, name: str) -> None:
        """Have an empty database, as a deploy finds it: to make one takes ten times as long as to empty one."""
        if name not in self.made:
            self.drop(name)
            self.admin.execute(sql.SQL("CREATE DATABASE {} OWNER emr").format(sql.Identifier(name)))
            self.made.add(name)
            return
        with self.connect(name) as connection:
            # Sessions that were ended may hold locks for a moment.
            connection.execute(ENDED)
            for (schema,) in connection.execute(SCHEMAS).fetchall():
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
            connection.execute(PUBLIC)

    def drop(self, name: str) -> None:
        """Drop a database with its sessions."""
        self.admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def program(self, name: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs as the superuser."""
        found = self.local.connection
        env = environment() | {
            "PGHOST": found["host"],
            "PGPORT": found["port"],
            "PGUSER": found["user"],
            "PGPASSWORD": found["password"],
            "PGCLIENTENCODING": "UTF8",
            **settings,
        }
        program = self.local.server / "bin" / name
        return subprocess.run([program, *arguments], env=env, capture_output=True, text=True, timeout=120, check=False)

    def psql(self, database: str, file: Path, *, whole: bool, lock_timeout: str = "0") -> str:
        """Send a file with psql as the owner in a new session; returns the SQLSTATE of its failure, or nothing.

        Args:
            database: where.
            file: what.
            whole: whether it is one transaction.
            lock_timeout: how long a statement waits for a lock.
        """
        one = ["-1"] if whole else []
        settings = f"-c role=emr -c lock_timeout={lock_timeout}"
        options = [
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-v",
            "VERBOSITY=sqlstate",
            "-d",
            database,
            *one,
            "-f",
            str(file),
        ]
        done = self.program("psql", *options, PGOPTIONS=settings)
        if done.returncode == 0:
            return ""
        states = re.findall(r"(?:ERROR|FATAL):  (\w{5})$", done.stderr, re.MULTILINE)
        assert states, done.stderr
        return str(states[-1])

    def holds(self, database: str) -> dict[str, str]:
        """Return what a database holds: the catalogs as pg_dump writes them, all rows, all sequences."""
        done = self.program("pg_dump", "-s", *(f"--exclude-schema={name}" for name in APART), "-d", database)
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if not re.match(r"\\(un)?restrict ", line)]
        found = {"catalogs": "\n".join(lines)}
        with self.connect(database) as connection:
            for name, query in connection.execute(TABLES.replace("%I", "%%I"), [list(APART)]).fetchall():
                row = connection.execute(query).fetchone()
                found[f"rows of {name}"] = str(row[0]) if row else ""
            for name, value in connection.execute(SEQUENCES.replace("%I", "%%I"), [list(APART)]).fetchall():
                found[f"sequence {name}"] = str(value)
        return found

    def history(self, database: str) -> tuple[list[str], str]:
        """Return the files that stand by the history, in the order of their acts, and all acts in words."""
        with self.connect(database) as connection:
            if not connection.execute("SELECT to_regclass('migrations.history') IS NOT NULL").fetchall()[0][0]:
                return [], ""
            acts = connection.execute("SELECT act, version, name FROM migrations.history ORDER BY id").fetchall()
        stands = [name if act == "repeat" else version for act, version, name in acts if act in ("apply", "repeat")]
        return stands, ", ".join(f"{act} {version}" for act, version, _ in acts)

    def left(self, database: str) -> list[str]:
        """Return what a run left behind that should be gone; sessions need a moment to end."""
        deadline = time.monotonic() + PATIENCE
        with self.connect(database) as connection:
            while found := [row[0] for row in connection.execute(LEFT).fetchall()]:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.005)
        return found

    def invalid(self, database: str) -> list[str]:
        """Return the indexes that are not valid."""
        with self.connect(database) as connection:
            return [row[0] for row in connection.execute(INVALID).fetchall()]

    @contextmanager
    def killing(self, database: str, really: bool = True) -> Iterator[None]:
        """End the first session that comes to the hook."""
        if not really:
            yield
            return
        done = threading.Event()
        with self.connect(database) as holder:
            holder.execute("SELECT pg_advisory_lock(%s)", [HOOK])
            thread = threading.Thread(target=_kill_waiting, args=(holder, done))
            thread.start()
            try:
                yield
            finally:
                done.set()
                thread.join()

    @contextmanager
    def locked(self, database: str, really: bool = True) -> Iterator[psycopg.Connection[Any]]:
        """Hold a lock as an application does that wrote a row and thinks."""
        with psycopg.connect(**self.local.connection, dbname=database) as holder:
            if really:
                holder.execute("LOCK TABLE public.visits IN ROW EXCLUSIVE MODE")
            yield holder
            holder.rollback()


def _kill_waiting(holder: psycopg.Connection[Any], done: threading.Event) -> None:
    waiting = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s "
        "AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    while not done.is_set() and not holder.execute(waiting, [HOOK]).fetchall():
        time.sleep(0.005)
