"""A database with rows and a folder for its backups: for the tests of the role backup.

Most of them run the Python of the role as the module and the timers do, without the four seconds of a playbook.
`python -m tests.backups FILE` does the same in a process of its own, which a test can kill.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import psycopg
import pytest

from tests.local import ROOT, SECONDS, Local

CANARY = "Canary-Nguyễn-Thị-Bí-Mật"  # stands in rows, and never in any output
RESTIC_PASSWORD = "restic canary 'x' $y"
EMPTY = "physioflow"  # of the session's server: deployed, without patients
FILLED = "backup_filled"
FEW = "backup_few"  # with the same rows, and no table but theirs: quick to dump and to restore

# Everything that is read back by text: lines that look like pg_restore's own, quotes, names that need quoting.
ODD_TABLES = r"""
CREATE TABLE "Odd, (Name) ""x"" y" (
    id int GENERATED ALWAYS AS IDENTITY CONSTRAINT odd_pkey PRIMARY KEY,
    "a,b" text, "c (d)" text, twice int GENERATED ALWAYS AS (id * 2) STORED
);
INSERT INTO "Odd, (Name) ""x"" y" ("a,b", "c (d)") VALUES
    ('COPY public.patients (id) FROM stdin;', E'\\.'), (E'a\n\\.\nb', E'\\N'), (NULL, ''),
    ('SELECT pg_catalog.setval(''public.odd'', 1, true);', E'tab\tđ🏥\r\\');
CREATE TABLE tickets (
    id serial CONSTRAINT tickets_pkey PRIMARY KEY,
    code text NOT NULL CONSTRAINT tickets_code_key UNIQUE,
    before_id int CONSTRAINT tickets_before_id_fkey REFERENCES tickets (id),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER trg_tickets_updated_at BEFORE UPDATE ON tickets
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
COMMENT ON TABLE tickets IS 'Numbers drawn by who waits';
COMMENT ON COLUMN tickets.code IS 'Shown on the screen';
COMMENT ON INDEX tickets_code_key IS 'One of each';
COMMENT ON TRIGGER trg_tickets_updated_at ON tickets IS 'Time of the edit';
COMMENT ON SEQUENCE tickets_id_seq IS 'Counts';
CREATE STATISTICS tickets_numbers ON id, before_id FROM tickets;
GRANT SELECT (code) ON tickets TO emr_readonly;
INSERT INTO tickets (code, before_id) SELECT 'T' || n, nullif(n - 1, 0) FROM generate_series(1, 20) AS n;
CREATE TABLE keyless (word text, number numeric);
INSERT INTO keyless SELECT 'w' || n, n / 3.0 FROM generate_series(1, 10) AS n;
INSERT INTO keyless SELECT * FROM keyless WHERE word = 'w1';
CREATE TABLE secluded (id int CONSTRAINT secluded_pkey PRIMARY KEY, note text);
INSERT INTO secluded SELECT n, 'n' FROM generate_series(1, 5) AS n;
ALTER TABLE secluded ENABLE ROW LEVEL SECURITY;
ALTER TABLE secluded FORCE ROW LEVEL SECURITY;
CREATE POLICY secluded_nobody ON secluded USING (false);
"""
ROWS = f"""
INSERT INTO organizations (name) VALUES ('org');
INSERT INTO clinics (organization_id, name) SELECT id, 'clinic' FROM organizations;
INSERT INTO users (clinic_id, email, first_name, last_name, role)
    SELECT id, 'a@example.invalid', 'a', 'b', 'therapist' FROM clinics;
INSERT INTO patients (clinic_id, mrn, first_name, last_name, last_name_vi, date_of_birth, gender, created_by)
    SELECT clinics.id, 'M' || n, 'first' || n, '{CANARY}', 'Đặng', date '1950-01-01' + n, 'other', users.id
    FROM clinics, users, generate_series(1, 1000) AS n;
INSERT INTO insurance_info (patient_id, provider, policy_number, valid_from, bhyt_card_number)
    SELECT id, 'bhyt', 'P' || mrn, '2025-01-01', 'DN' || lpad(substr(mrn, 2), 13, '0') FROM patients;
INSERT INTO outcome_measures (patient_id, measure_type, measurement_date, baseline_score, current_score, mcid_threshold)
    SELECT id, 'VAS', date '2024-01-01' + (substr(mrn, 2)::int * 2), 8, 3, 2 FROM patients;
{ODD_TABLES}
"""

WITHOUT_OTHERS = """
DO $$
DECLARE place regclass;
BEGIN
    FOR place IN SELECT oid FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
        AND relnamespace = 'public'::regnamespace AND relname NOT IN ('organizations', 'clinics', 'users', 'patients',
            'insurance_info', 'outcome_measures', 'outcome_measures_library')
    LOOP
        EXECUTE format('DROP TABLE %s CASCADE', place);
    END LOOP;
END $$;
"""


@dataclass
class Clinic:
    """A database with invented rows, and a folder for its backups."""

    local: Local
    name: str
    folder: Path
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def connection(self) -> dict[str, str]:
        """How the superuser reaches the server, by libpq's keywords."""
        return self.local.connection

    def settings(self, **more: Any) -> dict[str, Any]:
        """Return the settings of its backups."""
        return {
            "database": self.name,
            "directory": str(self.folder),
            "bin_dir": str(self.local.server / "bin"),
            "connection": self.connection,
            "role": "emr_backup",
            "lock_wait": 60,
            **self.more,
            **more,
        }

    def act(
        self, act: str, /, *, check_mode: bool = False, settings: dict[str, Any] | None = None, **request: Any
    ) -> Any:
        """Do an act as the module does; where root runs the tests, a drill's own server is run by another user."""
        from ansible_collections.physioflow.database.plugins.module_utils.backup.actions import perform  # noqa: PLC0415 - known only since the import above

        given = self.settings(**(settings or {}))
        if os.geteuid() == 0 and request.get("server") == "own":
            from ansible_collections.physioflow.database.plugins.module_utils.backup.errors import BackupError  # noqa: PLC0415
            from ansible_collections.physioflow.database.plugins.modules.backup import perform_as  # noqa: PLC0415

            owner = pwd.getpwnam("physioflow")
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, owner.pw_uid, owner.pw_gid)
            done = perform_as(owner, act, given, request)
            if "error" in done:
                raise BackupError(done["error"])
            return done
        return perform(act, given, request, check_mode=check_mode)

    def backup(self, **request: Any) -> str:
        """Take a backup and return its id."""
        done = self.act("create", **request)
        assert not done["problems"], done["problems"]
        return str(done["id"])

    def sql(self, sql: str, database: str = "", role: str = "postgres") -> str:
        """Run SQL as the superuser."""
        return self.local.psql(sql, database or self.name, role=role)

    def fingerprint(self, database: str = "") -> dict[str, str]:
        """Return number and MD5 of the rows of every table: another way than the role's own."""
        tables = self.sql(
            "SELECT quote_ident(n.nspname) || '.' || quote_ident(relname) FROM pg_class AS c "
            "JOIN pg_namespace AS n ON n.oid = relnamespace WHERE relkind = 'r' "
            "AND nspname !~ '^pg_|^information_schema$' ORDER BY 1",
            database,
        ).splitlines()
        query = " UNION ALL ".join(
            f"SELECT {_literal(name)}, count(*), md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))) "
            f"FROM ONLY {name} AS t"
            for name in tables
        )
        rows = (line.partition("|") for line in self.sql(query, database).splitlines())
        return {name: rest for name, _, rest in rows}

    def manifest(self, backup: str) -> dict[str, Any]:
        """Return the manifest of a backup."""
        found: dict[str, Any] = json.loads((self.folder / backup / "manifest.json").read_text())
        return found

    def reseal(self, backup: str, change: Callable[[dict[str, Any]], object] = lambda _: None) -> None:
        """Change a manifest, and the checksums with it: what a forger does who knows the code."""
        from ansible_collections.physioflow.database.plugins.module_utils.backup.manifest import write_manifest  # noqa: PLC0415
        from ansible_collections.physioflow.database.plugins.module_utils.backup.store import sha256_of  # noqa: PLC0415

        manifest = self.manifest(backup)
        manifest["files"] = sha256_of(self.folder / backup)
        change(manifest)
        write_manifest(self.folder / backup, manifest)

    def names(self) -> list[str]:
        """Return what lies in the folder, without its lock."""
        return sorted(path.name for path in self.folder.iterdir() if path.name not in (".lock", ".restic-cache"))

    def start(self, act: str, how: str = "perform", **request: Any) -> subprocess.Popen[str]:
        """Start an act in a process of its own; with `perform_as` that waits for a child which acts, as the module."""
        job = self.folder.parent / "job.json"
        job.write_text(json.dumps({"act": act, "how": how, "settings": self.settings(), "request": request}))
        return subprocess.Popen(
            [sys.executable, "-m", "tests.backups", str(job)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @contextmanager
    def held(self, table: str = "patients", database: str = "") -> Iterator[psycopg.Connection[Any]]:
        """Hold a table so that whoever reads it waits."""
        with self.connect(database) as holder:
            holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield holder
            holder.rollback()

    def connect(self, database: str = "", **options: Any) -> psycopg.Connection[Any]:
        """Open a connection as the superuser."""
        settings: dict[str, Any] = {**self.connection, "dbname": database or self.name, **options}
        return psycopg.connect(**settings)

    def waiters(self, number: int = 1) -> None:
        """Wait until so many sessions wait for a lock in this database."""
        self.until(
            f"SELECT count(*) >= {number} FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            f"AND datname LIKE '{self.name}%'",
            "t",
        )

    def until(self, query: str, wanted: str = "") -> str:
        """Wait until a query gives what is wanted, or anything, and return that."""
        found = ""

        def holds() -> bool:
            nonlocal found
            found = self.sql(query, "postgres")
            return found == wanted if wanted else bool(found)

        wait(holds, f"{query} gives {found!r}")
        return found

    def databases(self) -> list[str]:
        """Return the databases that have to do with this one."""
        return [name for name in self.local.databases() if name.startswith(self.name)]

    def kept_in_order(self) -> None:
        """Assert what has to be true after every fault: nothing half, nothing locked, nobody left."""
        assert not [name for name in self.names() if not name.startswith(f"{self.name}_backup_") or "partial" in name]
        assert not [name for name in self.databases() if name.endswith("_restoring")]
        self.until(
            "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' "
            f"AND datname LIKE '{self.name}%'",
            "0",
        )
        assert self.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "postgres") == "0"


def make_filled(local: Local) -> None:
    """Make the databases that those of the tests are copies of."""
    # A test makes and drops databases by the dozen; nobody pulls the plug.
    local.psql("ALTER SYSTEM SET fsync = off", "postgres", role="postgres")
    local.psql("SELECT pg_reload_conf()", "postgres", role="postgres")
    for name, sql in ((FILLED, ROWS), (FEW, WITHOUT_OTHERS + ROWS)):
        local.drop_database(name)
        local.create_database(name, EMPTY)
        local.psql(sql, name)


def make_clinic(local: Local, name: str, folder: Path, template: str = FILLED) -> Clinic:
    """Make a database with rows, owner and privileges as a deploy leaves them."""
    local.create_database(name, template)
    local.psql(
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC; "
        f"GRANT CONNECT ON DATABASE {name} TO emr_app, emr_readonly, emr_backup; "
        f"COMMENT ON DATABASE {name} IS 'a clinic''s'; ALTER DATABASE {name} SET work_mem = '5MB'",
        "postgres",
        role="postgres",
    )
    folder.mkdir(mode=0o700)
    return Clinic(local, name, folder)


def drop_clinic(clinic: Clinic) -> None:
    """Drop it and all that was made of it."""
    for name in clinic.databases():
        clinic.local.drop_database(name)
    shutil.rmtree(clinic.folder, ignore_errors=True)


def wait(condition: Callable[[], bool], complaint: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + SECONDS / 5
    while not condition():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.02)


def descendants(pid: int) -> dict[str, int]:
    """Return the processes below one, by name."""
    parents, names = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, _, rest = path.read_text().partition("(")[2].rpartition(")")
            parents[int(path.parent.name)] = int(rest.split()[1])
            names[int(path.parent.name)] = name
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {names[child]: child for child in found - {pid}}


def give_up(reason: str) -> NoReturn:
    """End a test that this machine cannot run; where CI is set that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Put a file system in memory over a folder."""
    if os.geteuid() != 0:
        give_up("only root can mount")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join(["mode=0700", *options]), "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        give_up(f"mounting is not permitted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def kill(process: subprocess.Popen[str]) -> str:
    """Kill a process as the kernel does when memory is short, and return what it had said."""
    process.send_signal(signal.SIGKILL)
    return process.communicate()[0]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def main() -> int:
    """Do the act that a file describes."""
    from ansible_collections.physioflow.database.plugins.module_utils.backup.actions import perform  # noqa: PLC0415
    from ansible_collections.physioflow.database.plugins.module_utils.backup.errors import BackupError  # noqa: PLC0415
    from ansible_collections.physioflow.database.plugins.modules.backup import perform_as  # noqa: PLC0415

    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        act = partial(perform_as, None) if job["how"] == "perform_as" else perform
        print(json.dumps(act(job["act"], job["settings"], job["request"])))
    except BackupError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
