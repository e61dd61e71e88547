"""What must hold after every fault, whatever it was: the universal oracle.

A case is a database with canary rows in it and a small release of its own. `survives` looks, after the fault, at data,
history, catalogs, locks and words; then it applies the same release again, without any manual step, and once more.

Whatever is the same without a playbook is done by the modules of the role in this process (tests/fuzz/driver.py),
without the seconds of one: what comes before the fault and after it, and most faults themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import psycopg

from tests import apart
from tests.fuzz.driver import Driver, Outcome
from tests.local import SECONDS, Local, Result, Running, until

HEADER = "-- Migration: {name}\n-- Description: test\n-- Depends on: {depends}\n{more}\n{body}\n"
SECRET = "canary-4711"  # stands in rows and in queries; never in any output
CANARY = f"""
CREATE TABLE canary (id int CONSTRAINT canary_pkey PRIMARY KEY, note text);
INSERT INTO canary SELECT n, '{SECRET} ' || n FROM generate_series(1, 1000) AS n;
"""
CANARY_HASH = "SELECT count(*) || ' ' || md5(string_agg(t::text, '' ORDER BY id)) FROM canary AS t"
# Whatever a run must not leave behind.
LEFT_BEHIND = """
SELECT 'advisory lock of pid ' || pid FROM pg_locks WHERE locktype = 'advisory' AND database =
    (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> ALL ('{ours}')
UNION ALL SELECT 'invalid index ' || indexrelid::regclass FROM pg_index WHERE NOT indisvalid
UNION ALL SELECT 'session in transaction ' || pid || ' ' || application_name FROM pg_stat_activity
WHERE datname = current_database() AND state LIKE 'idle in transaction%' AND pid <> ALL ('{ours}')
"""
HOOK = 777  # the advisory lock that a test holds to stop a migration in its middle
MIDDLE = f"SELECT pg_advisory_lock_shared({HOOK}), pg_advisory_unlock_shared({HOOK});"
PATIENT = f"{SECONDS}s"  # as lock timeout: the hook that a test holds is a lock as well
HISTORY = "SELECT coalesce(string_agg(act || ' ' || version, ', ' ORDER BY id), '') FROM migrations.history"


def inventory_of(hosts: dict[str, dict[str, Any]], folder: Path) -> tuple[str, str]:
    """Write an inventory like `local` with hosts of these variables, and return the options that name it.

    Each has a folder for its backups beside it: one run at a time works on one.
    """
    listed = {host: {"backup_directory": str(folder.parent / f"backups-{host}")} | own for host, own in hosts.items()}
    return ("-i", str(apart.inventory(folder, listed)))


def said_of(result: Result, host: str) -> str:
    """Return all that a play said of one host, on its lines."""
    found = [text for _, text in apart.answers_of(result, host)]
    assert found, f"nothing is said of {host}\n{result.output}"
    return "\n".join(found)


@dataclass
class Case:
    """A database and a release for one fault."""

    local: Local
    database: str
    release: Path
    rows: str = ""

    @classmethod
    def make(cls, local: Local, database: str, folder: Path) -> Case:
        """Make the database, and a release of one migration."""
        local.create_database(database)
        (folder / "migrations").mkdir(parents=True, exist_ok=True)
        case = cls(local, database, folder)
        case.write("001_rooms", "CREATE TABLE rooms (id int CONSTRAINT rooms_pkey PRIMARY KEY, name text);")
        return case

    def write(self, name: str, body: str, depends: str = "none", more: str = "") -> Path:
        """Write a migration of the release."""
        path = self.release / "migrations" / f"{name}.sql"
        path.write_text(HEADER.format(name=name, body=body, depends=depends, more=f"{more}\n" if more else ""))
        return path

    def begin(self) -> None:
        """Apply what the release holds so far, and fill the canary table."""
        outcome = self.apply()
        assert outcome.ok, outcome
        assert outcome.sent, outcome
        self.psql(CANARY)
        self.rows = self.psql(CANARY_HASH)

    def apply(self, **variables: Any) -> Outcome:
        """Run the migrations without a playbook."""
        return self.driver().deploy(**variables)

    def apply_meanwhile(self) -> Future[Outcome]:
        """Run the migrations without a playbook while the test goes on."""
        pool = ThreadPoolExecutor(1)
        run = pool.submit(self.apply, lock_timeout=PATIENT)
        pool.shutdown(wait=False)
        return run

    def apply_in_a_process(self) -> ForkProcess:
        """Run the migrations without a playbook in a process that the test can kill."""
        process = get_context("fork").Process(target=self.apply, kwargs={"lock_timeout": PATIENT}, daemon=True)
        process.start()
        return process

    def roll_back(self, *, accept_data_loss: bool = False, **wish: str) -> Outcome:
        """Roll migrations back without a playbook."""
        return self.driver().roll_back(accept_data_loss=accept_data_loss, **wish)

    def driver(self, **login: Any) -> Driver:
        """Return what runs the modules; `login` is what is not as the superuser reaches the server."""
        found = self.local.connection | login
        connection = {f"login_{name}": int(value) if name == "port" else value for name, value in found.items()}
        return Driver(self.release, self.database, connection, self.release.parent)

    def run(self, *options: str, **variables: Any) -> Result:
        """Run the migrations."""
        return self.local.play("playbooks/migrate.yml", *options, **self.variables, **variables)

    def start(self) -> Running:
        """Start the migrations and leave them running."""
        return self.local.start("playbooks/migrate.yml", migrations_lock_timeout=PATIENT, **self.variables)

    @property
    def variables(self) -> dict[str, Any]:
        """Extra variables of every run; the backup before it has tests of its own."""
        return {
            "release_directory": str(self.release),
            "database_name": self.database,
            "backup_before_migration": False,
        }

    def psql(self, sql: str, role: str = "emr") -> str:
        """Run SQL in the database."""
        return self.local.psql(sql, self.database, role=role)

    def history(self) -> str:
        """Return the acts of the history in order."""
        return self.psql(HISTORY, role="postgres")

    @contextmanager
    def session(self, application: str = "clinic", database: str = "") -> Iterator[psycopg.Connection[Any]]:
        """Open a session of an application, in a transaction from its first statement on."""
        service = dict(
            line.split("=", 1)
            for line in (self.local.server / "pg_service.conf").read_text().splitlines()
            if "=" in line
        )
        with psycopg.connect(
            host=service["host"],
            port=service["port"],
            user=service["user"],
            passfile=service["passfile"],
            dbname=database or self.database,
            application_name=application,
        ) as connection:
            yield connection

    @contextmanager
    def stopped_in_the_middle(self) -> Iterator[psycopg.Connection[Any]]:
        """Hold the hook, so that a migration with `MIDDLE` in it stops there."""
        with self.session("hook") as hook:
            hook.execute("SELECT pg_advisory_lock(%s)", [HOOK])
            hook.commit()
            yield hook

    def wait_until(self, condition: str, what: str) -> None:
        """Wait until a query says true."""
        until(lambda: self.local.psql(f"SELECT {condition}", self.database, role="postgres") == "t", what)

    def wait_until_at(self, file: str, event: str = "advisory") -> int:
        """Wait until the run waits in a file; returns the pid of its session."""
        found = (
            f"FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'physioflow {file}' "
            f"AND wait_event = '{event}'"
        )
        self.wait_until(f"EXISTS (SELECT {found})", f"the run waits in {file}")
        return int(self.psql(f"SELECT pid {found}", role="postgres"))

    def catalogs(self, database: str = "") -> str:
        """Return the schema without what is not made by the migrations."""
        done = self.local.run_program(
            "pg_dump",
            "--schema-only",
            "--exclude-schema=migrations",
            "--exclude-table=canary",
            self.local.conninfo(database or self.database, options=""),
        )
        assert done.returncode == 0, done.stderr
        return "\n".join(line for line in done.stdout.splitlines() if not re.match(r"\\(un)?restrict ", line))

    def clean_catalogs(self, versions: list[str]) -> str:
        """Return what the catalogs are after these migrations, sent by psql into a new database."""
        scratch = f"{self.database[:50]}_clean"
        self.local.create_database(scratch)
        try:
            for version in versions:
                [path] = (self.release / "migrations").glob(f"{version}_*.sql")
                done = self.local.run_psql("-f", str(path), database=scratch)
                assert done.returncode == 0, done.stderr
            return self.catalogs(scratch)
        finally:
            self.local.drop_database(scratch)

    def stands(self, ours: tuple[int, ...] = (), invalid: str = "") -> None:
        """Check what must hold at any time: the data, and that a prefix of the release stands, neither more nor less.

        Args:
            ours: pids of sessions that the test itself holds open.
            invalid: the index that may be left invalid.
        """
        assert self.psql(CANARY_HASH) == self.rows
        names = sorted(path.name for path in (self.release / "migrations").glob("*.sql"))
        order = [name.partition("_")[0] for name in names]
        applied = self.psql("SELECT string_agg(version, ',' ORDER BY version) FROM migrations.applied", role="postgres")
        assert order[: len(applied.split(","))] == applied.split(",")
        if not invalid:
            assert self.catalogs() == self.clean_catalogs(applied.split(","))
        left = self.psql(LEFT_BEHIND.format(ours=set(ours) or "{}"), role="postgres")
        assert left == (f"invalid index {invalid}" if invalid else "")

    def survives(self, result: Result | Outcome, *words: str, invalid: str = "") -> None:
        """The oracle after a fault.

        Args:
            result: how the run with the fault ended.
            words: patterns that its failure must say.
            invalid: the index that the fault left invalid.
        """
        assert not (result.ok if isinstance(result, Outcome) else result.status == 0), result.output
        for pattern in (*words, r"Next: "):
            assert re.search(pattern, result.output), f"{pattern}\n{result.output}"
        assert SECRET not in result.output
        self.stands(invalid=invalid)
        self.converges()

    def converges(self) -> None:
        """Apply again without any manual step: it comes to its end; the next time there is nothing to do."""
        outcome = self.apply()
        assert outcome.ok, outcome
        self.is_at_its_end()

    def is_at_its_end(self) -> None:
        """Check that all of the release stands, and that another run has nothing to do."""
        self.stands()
        outcome = self.apply()
        assert outcome.ok, outcome
        assert outcome.sent == 0, outcome
