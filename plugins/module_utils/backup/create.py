# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes a backup: dump and figures come from one snapshot, and it is published only after it was read back in full."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from ..database.objects import OBJECTS
from .archive import contents_problem, read_contents
from .database import (
    CONTENTS,
    DATABASE,
    MIGRATIONS_LOCK,
    SERVER,
    Session,
    history_of,
    holds_data,
    key_of,
    measure,
    place_of,
    share_migrations_lock,
    tables_named,
)
from .errors import BackupError, os_words
from .keeping import copy_missing, prune
from .large_objects import measure_large_objects, permit, refuse_unreadable
from .manifest import CATALOG, DUMP, FORMAT, GLOBALS, new_id, utc_now, write_manifest
from .programs import Programs, check_ended, programs
from .settings import Request, Settings
from .store import PARTIAL, Store, sha256_of, size_text, sync_files

CLOCKS_MAY_DIFFER = 300  # seconds between this host and the server
# Values of CONTENTS that the manifest holds unchanged.
DESCRIBED = ("places", "partitioned", "indexes", "foreign_keys", "views", "statistics", "extensions", "roles")


def create(settings: Settings, request: Request) -> dict[str, Any]:
    """Take a backup; then copy it off the host, and remove those that no rule keeps.

    `problems` of the result are sentences about failures after the backup was published.

    Raises:
        BackupError: why there is no new backup. Existing backups are unchanged.
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
    """Take a backup, and return its manifest; a failed backup leaves nothing behind.

    Args:
        settings: the settings of the backups.
        request: the requested backup.
        store: the store for it.
        lock: file descriptor of the store's lock.
    """
    with ExitStack() as stack:
        tools = stack.enter_context(programs(settings.bin_dir, settings.connection))
        if settings.role:
            with Session(tools.conninfo(settings.database)) as giver:
                permit(giver, settings.role)
        session = stack.enter_context(Session(tools.conninfo(settings.database), settings.role))
        began = time.monotonic()
        database = session.json(DATABASE)
        server = session.row(SERVER)
        _check_clock(float(server.pop("clock")))
        backups = store.backups()
        if not request.tables:
            store.check_space(database["size"], backups)
        share_migrations_lock(session, settings.lock_wait)
        if not request.tables:
            refuse_unreadable(session)
        # As for pg_dump: a table lock that is never released makes the whole backup fail, not only the dump.
        session.execute(f"SET lock_timeout = '{int(settings.lock_wait * 1000)}ms'")
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        found = session.json(CONTENTS)
        if request.only_with_data and not holds_data(session, found["tables"]):
            return None
        tables, options = found["tables"], []
        if request.tables:
            keys, tables = tables_named(request.tables, found, "the database has no table {}. Correct backup_tables.")
            # As requested: for a partitioned table all partitions, for a partition only itself.
            options = [f"--table-and-children={place_of(key, found)}" for key in keys]
        migrations = history_of(session)

        started, folder = _make_folder(store)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)  # until it has its final name
        plan = _plan(settings, tools, database["size"])
        options += [f"--{name}={value}" for name, value in plan.items()]
        with _dumping(settings, tools, session, [*options, f"--file={folder / DUMP}"], lock):
            tables = measure([session], tables, settings.proof)
            large_objects = None if request.tables else measure_large_objects(session)
        if not request.tables:
            _write_catalog(session, folder / CATALOG)
        session.execute("COMMIT")
        # The snapshot is dumped; the database may change from here on.
        session.execute(f"SELECT pg_advisory_unlock_shared({MIGRATIONS_LOCK})")
        dumped = time.monotonic()
        _dump_globals(settings, tools, folder / GLOBALS)
        sync_files(folder)

        contents = read_contents(tools, folder / DUMP)
        # With the values of the dump: sequences are not part of a snapshot, so their values cannot be compared.
        sequences = {
            key: {**found["sequences"].get(key, {"table": None}), "last_value": value, "is_called": called}
            for key, (value, called) in contents.sequences.items()
        }
        if problem := contents_problem(contents, tables, sequences):
            raise BackupError(f"the dump, read back, differs from the database: {problem}")
        tools.run("pg_restore", "--schema-only", "--file=-", folder / DUMP)
        finished = time.monotonic()
        manifest = {
            **{name: found[name] for name in DESCRIBED},
            "format": FORMAT,
            "id": folder.name.removesuffix(PARTIAL),
            "number": 1 + max((backup.number for backup in backups), default=0),
            "status": "verified",
            "scope": [key_of(table) for table in tables] if request.tables else "database",
            "database": database,
            "server": server,
            "tools": {"pg_dump": tools.version("pg_dump")},
            "migrations": migrations,
            "dump": {"compression": plan["compress"], **{name: plan[name] for name in ("format", "jobs")}},
            "files": sha256_of(folder),
            "proof": settings.proof if isinstance(settings.proof, str) else list(settings.proof),
            "tables": tables,
            "sequences": sequences,
            "large_objects": large_objects,
            "hashed_by": "names of columns",
            "started_at": started.isoformat(),
            "finished_at": utc_now().isoformat(),
            "seconds": {
                "dump": round(dumped - began, 2),
                "read_back": round(finished - dumped, 2),
                "total": round(finished - began, 2),
            },
            "why": request.why,
            "operator": request.operator or getpass.getuser(),
            "host": socket.gethostname(),
            "off_host": None,
            "drills": [],
        }
        write_manifest(folder, manifest)
        store.publish(folder)
        return manifest


def _check_clock(server: float) -> None:
    difference = time.time() - server
    if abs(difference) > CLOCKS_MAY_DIFFER:
        raise BackupError(
            f"the clocks of this host and of the server differ by {difference:.0f} s, and a backup is named by its "
            "time. Set the clock."
        )


def _make_folder(store: Store) -> tuple[datetime, Path]:
    """Create the folder under an unused name; the second backup in one second waits for the next second."""
    while (store.directory / new_id(store.database, started := utc_now())).exists():
        time.sleep(0.1)
    return started, store.make_partial(new_id(store.database, started))


@contextmanager
def _dumping(settings: Settings, tools: Programs, session: Session, options: list[str], lock: int) -> Iterator[None]:
    """Run pg_dump in the snapshot of the session, in parallel to the block."""
    options = [*options, f"--snapshot={session.row('SELECT pg_export_snapshot() AS id')['id']}"]
    options.append(f"--lock-wait-timeout={int(settings.lock_wait * 1000)}")
    if settings.role:
        options.append(f"--role={settings.role}")
    # It inherits the lock: if we are killed, the next run does not begin before pg_dump has ended, too.
    dump = tools.start("pg_dump", *options, tools.conninfo(settings.database), pass_fds=(lock,), umask=0o077)
    try:
        yield
    except BaseException:
        dump.kill()
        raise
    finally:
        _, err = dump.communicate()
    check_ended("pg_dump", dump.returncode, err)


def _plan(settings: Settings, tools: Programs, size: int) -> dict[str, Any]:
    """Return pg_dump's format, compress and jobs for a database of a size in bytes."""
    kind = settings.format
    if kind == "auto":
        kind = "directory" if size >= settings.parallel_above else "custom"
    compression = settings.compression
    if compression == "auto":
        compression = "zstd:3" if tools.compresses_with("zstd") else "gzip:1"
    elif not tools.compresses_with(compression.partition(":")[0]):
        raise BackupError(f"pg_dump in {settings.bin_dir} was built without {compression}. Set auto or gzip:1.")
    jobs = settings.jobs or max(1, min(4, (os.cpu_count() or 1) // 2))
    return {"format": kind, "compress": compression, "jobs": jobs if kind == "directory" else 1}


def _write_catalog(session: Session, path: Path) -> None:
    """Write the catalog objects, which a restore must reproduce."""
    objects = [list(row.values()) for row in session.rows(OBJECTS)]
    text = json.dumps(sorted(objects), ensure_ascii=False, indent=0)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)


def _dump_globals(settings: Settings, tools: Programs, path: Path) -> None:
    options = ["--globals-only", f"--file={path}", f"--database={settings.database}"]
    if not settings.globals_passwords:
        options.append("--no-role-passwords")
        if settings.role:
            options.append(f"--role={settings.role}")
    tools.run("pg_dumpall", *options, f"--dbname={tools.conninfo(settings.database)}", umask=0o077)


def _what_is_there(store: Store) -> str:
    whole = [backup.id for backup in store.backups() if backup.whole]
    there = (
        f"The existing backups are unchanged; the newest verified one is {whole[-1]}."
        if whole
        else "There is no verified backup yet."
    )
    return f"{there} Remove the cause and run the same command again."


def summary(manifest: dict[str, Any]) -> str:
    """Return one line about a new backup."""
    size = sum(entry["size"] for entry in manifest["files"].values())
    rows = sum(table["rows"] for table in manifest["tables"])
    return (
        f"{manifest['id']}, verified: {rows} rows in {len(manifest['tables'])} tables read back, {size_text(size)}, "
        f"{manifest['seconds']['total']:.1f} s"
    )
