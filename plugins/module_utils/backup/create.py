# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes a backup: dump and figures from one snapshot, read back in full, and only then there."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..database.objects import OBJECTS
from .archive import contents_problem, read_contents
from .database import (
    CONTENTS,
    DATABASE,
    SERVER,
    Session,
    history_of,
    holds_data,
    key_of,
    key_of_name,
    let_migrations_go_on,
    measure,
    place_of,
    share_migrations_lock,
)
from .errors import BackupError, os_words
from .keeping import copy_missing, prune
from .large_objects import measure_large_objects, permit, refuse_unreadable
from .manifest import CATALOG, DUMP, FORMAT, GLOBALS, new_id, utc_now, write_manifest
from .programs import Programs, check_ended, programs
from .settings import Request, Settings
from .store import Store, sha256_of, size_text, sync_files

CLOCKS_MAY_DIFFER = 300  # seconds between this host and the server


def create(settings: Settings, request: Request) -> dict[str, Any]:
    """Take a backup; then copy it off the host, and remove those that no rule keeps.

    `problems` of the result is what went wrong after the backup was there: sentences.

    Raises:
        BackupError: why there is no new backup. Those that were there are untouched.
    """
    if request.check_mode:
        return {"changed": True, "lines": [f"A backup of {settings.database} would be taken."]}
    store = Store(settings)
    store.check()
    with store.locked(f"a backup of {settings.database} ({request.why})") as lock:
        store.remove_partials()
        try:
            manifest = _take(settings, request, store, lock)
        except (BackupError, OSError) as error:
            words = os_words(error) if isinstance(error, OSError) else str(error)
            raise BackupError(f"No backup was made of {settings.database}: {words}\n{_what_is_there(store)}") from error
        if manifest is None:
            return {
                "changed": False,
                "taken": False,
                "id": "",
                "summary": "none needed: no table has a row",
                "lines": [],
            }
        problems = copy_missing(settings, store)
        removed, problem = prune(settings, store)
    told = summary(manifest)
    return {
        "changed": True,
        "taken": True,
        "id": manifest["id"],
        "summary": told,
        "lines": [told, *(f"removed, as no rule of backup_keep keeps it: {name}" for name in removed)],
        "removed": removed,
        "problems": problems + ([problem] if problem else []),
    }


def _take(settings: Settings, request: Request, store: Store, lock: int) -> dict[str, Any] | None:
    """Take a backup; one that fails leaves nothing behind."""
    with ExitStack() as stack:
        tools = stack.enter_context(programs(settings.bin_dir, settings.connection))
        if settings.role:
            with Session(tools.conninfo(settings.database)) as giver:
                permit(giver, settings.role)
        session = stack.enter_context(Session(tools.conninfo(settings.database), settings.role))
        taken = _Taking(settings, request, store, tools, session, lock)
        try:
            return taken.run()
        finally:
            if taken.folder and taken.folder.exists():
                shutil.rmtree(taken.folder, ignore_errors=True)


def _what_is_there(store: Store) -> str:
    whole = [backup for backup in store.backups() if backup.whole]
    if not whole:
        return "There is no verified backup yet. Remove the cause and run the same command again."
    return (
        f"The backups that were there are untouched; the newest verified one is {whole[-1].id}. Remove the cause and "
        "run the same command again."
    )


@dataclass
class _Taking:
    """One backup while it is taken."""

    settings: Settings
    request: Request
    store: Store
    tools: Programs
    session: Session
    lock: int  # descriptor of the lock of the store
    folder: Path | None = None  # as long as it has no name of its own
    named: list[str] = field(default_factory=list)  # of the tables that are asked for, the identifiers

    def run(self) -> dict[str, Any] | None:
        """Take it."""
        began = time.monotonic()
        settings, session = self.settings, self.session
        database = session.json(DATABASE)
        server = session.row(SERVER)
        self._check_clock(float(server["clock"]))
        backups = self.store.backups()
        if not self.request.tables:
            self.store.check_space(database["size"], backups)
        share_migrations_lock(session, settings.lock_wait)
        if not self.request.tables:
            refuse_unreadable(session)
        # As pg_dump: an application that locks a table for ever ends the backup, and not only its dump.
        session.execute(f"SET lock_timeout = '{int(settings.lock_wait * 1000)}ms'")
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        found = session.json(CONTENTS)
        if self.request.only_with_data and not holds_data(session, found["tables"]):
            return None
        tables = self._chosen(found)
        migrations = history_of(session)

        started, name, self.folder = self._make_folder()
        plan = self._plan(database["size"])
        dump = self._start_dump(self.folder, plan)
        try:
            tables = measure(session, tables, settings.proof)
            large_objects = None if self.request.tables else measure_large_objects(session)
        except BaseException:
            dump.kill()
            raise
        finally:
            _, err = dump.communicate()
        check_ended("pg_dump", dump.returncode, err)
        if not self.request.tables:
            self._write_catalog(self.folder)
        session.execute("COMMIT")
        let_migrations_go_on(session)
        dumped = time.monotonic()
        self._dump_globals(self.folder)
        sync_files(self.folder)

        contents = read_contents(self.tools, self.folder / DUMP)
        sequences = self._sequences(found["sequences"], contents.sequences)
        if problem := contents_problem(contents, tables, sequences):
            raise BackupError(f"the dump, read back, is not what was in the database: {problem}")
        self.tools.run("pg_restore", "--schema-only", "--file=-", self.folder / DUMP)
        finished = time.monotonic()
        manifest = {
            "format": FORMAT,
            "id": name,
            "number": 1 + max((backup.number for backup in backups), default=0),
            "status": "verified",
            "scope": [key_of(table) for table in tables] if self.request.tables else "database",
            "database": database,
            "server": {"version": server["version"], "version_num": server["version_num"]},
            "tools": {"pg_dump": self.tools.version("pg_dump")},
            "migrations": migrations,
            "dump": plan,
            "files": sha256_of(self.folder),
            "proof": settings.proof if isinstance(settings.proof, str) else list(settings.proof),
            "tables": tables,
            "places": found["places"],
            "partitioned": found["partitioned"],
            "indexes": found["indexes"],
            "foreign_keys": found["foreign_keys"],
            "statistics": found["statistics"],
            "sequences": sequences,
            "large_objects": large_objects,
            "extensions": found["extensions"],
            "roles": found["roles"],
            "hashed_by": "names of columns",
            "started_at": started.isoformat(),
            "finished_at": utc_now().isoformat(),
            "seconds": {
                "dump": round(dumped - began, 2),
                "read_back": round(finished - dumped, 2),
                "total": round(finished - began, 2),
            },
            "why": self.request.why,
            "operator": self.request.operator or getpass.getuser(),
            "host": socket.gethostname(),
            "off_host": None,
            "drills": [],
        }
        write_manifest(self.folder, manifest)
        self.store.publish(self.folder)
        return manifest

    def _check_clock(self, server: float) -> None:
        difference = time.time() - server
        if abs(difference) > CLOCKS_MAY_DIFFER:
            raise BackupError(
                f"the clocks of this host and of the server differ by {difference:.0f} s, and a backup is named by "
                "its time. Set the clock."
            )

    def _chosen(self, found: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the tables to back up."""
        names = self.request.tables
        if not names:
            return list(found["tables"])
        known = {key_of(table) for table in found["tables"]} | set(found["partitioned"])
        missing = [name for name in names if not key_of_name(name, known)]
        if missing:
            raise BackupError(f"there is no table {', '.join(missing)} in it. Correct backup_tables.")
        self.named = [place_of(str(key_of_name(name, known)), found) for name in names]
        keys = {key_of_name(name, known) for name in names}
        return [table for table in found["tables"] if keys & {key_of(table), table["root"]}]

    def _make_folder(self) -> tuple[Any, str, Path]:
        """Make the folder under a name that no backup has: two in one second wait for the next one."""
        while True:
            started = utc_now()
            name = new_id(self.settings.database, started)
            if not (self.store.directory / name).exists():
                return started, name, self.store.make_partial(name)
            time.sleep(0.1)

    def _plan(self, size: int) -> dict[str, Any]:
        """Return format, compression and jobs."""
        settings = self.settings
        kind = settings.format
        if kind == "auto":
            kind = "directory" if size >= settings.parallel_above else "custom"
        compression = settings.compression
        if compression == "auto":
            compression = "zstd:3" if self.tools.compresses_with("zstd") else "gzip:1"
        elif not self.tools.compresses_with(compression.partition(":")[0]):
            raise BackupError(f"pg_dump in {settings.bin_dir} was built without {compression}. Set auto or gzip:1.")
        jobs = settings.jobs or max(1, min(4, (os.cpu_count() or 1) // 2))
        return {"format": kind, "compression": compression, "jobs": jobs if kind == "directory" else 1}

    def _start_dump(self, folder: Path, plan: dict[str, Any]) -> Any:
        """Start pg_dump in the snapshot of the session; return its subprocess.Popen."""
        snapshot = self.session.row("SELECT pg_export_snapshot() AS id")["id"]
        options = [
            f"--format={plan['format']}",
            f"--compress={plan['compression']}",
            f"--jobs={plan['jobs']}",
            f"--snapshot={snapshot}",
            f"--file={folder / DUMP}",
            f"--lock-wait-timeout={int(self.settings.lock_wait * 1000)}",
        ]
        if self.settings.role:
            options.append(f"--role={self.settings.role}")
        if self.request.tables:
            # As they were named: of a partitioned table all partitions, of a partition itself.
            options += [f"--table-and-children={place}" for place in self.named]
        # It inherits the lock: should we be killed, the next run does not begin before pg_dump has ended too.
        return self.tools.start(
            "pg_dump", *options, self.tools.conninfo(self.settings.database), pass_fds=(self.lock,), umask=0o077
        )

    def _write_catalog(self, folder: Path) -> None:
        """Write down what the catalogs hold: what a restore has to bring back."""
        objects = [list(row.values()) for row in self.session.rows(OBJECTS)]
        text = json.dumps(sorted(objects), ensure_ascii=False, indent=0)
        path = folder / CATALOG
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(text)

    def _dump_globals(self, folder: Path) -> None:
        options = ["--globals-only", f"--file={folder / GLOBALS}", f"--database={self.settings.database}"]
        if not self.settings.globals_passwords:
            options.append("--no-role-passwords")
            if self.settings.role:
                options.append(f"--role={self.settings.role}")
        self.tools.run("pg_dumpall", *options, f"--dbname={self.tools.conninfo(self.settings.database)}", umask=0o077)

    def _sequences(
        self, found: dict[str, dict[str, Any]], dumped: dict[str, tuple[int, bool]]
    ) -> dict[str, dict[str, Any]]:
        """Return the sequences with the values of the dump: they belong to no snapshot, so none can be compared."""
        return {
            key: {**found.get(key, {"table": None}), "last_value": value, "is_called": called}
            for key, (value, called) in dumped.items()
        }


def summary(manifest: dict[str, Any]) -> str:
    """Return one line about a backup that was just taken."""
    size = sum(entry["size"] for entry in manifest["files"].values())
    rows = sum(table["rows"] for table in manifest["tables"])
    return (
        f"{manifest['id']}, verified: {rows} rows in {len(manifest['tables'])} tables read back, {size_text(size)}, "
        f"{manifest['seconds']['total']:.1f} s"
    )
