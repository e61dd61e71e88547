# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restores a whole backup into a separate database, compares it with the manifest, and only then renames it.

Until the last step, the restore works in a database of its own (NAME_restoring). A killed restore leaves the other
databases unchanged, and the next restore removes its leftovers.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from ..database.objects import NOT_DUMPED, differing, objects_of
from ..database.objects import OBJECTS as CATALOG_OBJECTS
from ..sql import identifier, literal
from .archive import schema_sha256, verify
from .database import CONTENTS, DATABASE, OBJECTS, SERVER, Session, key_of, measure, place_of
from .errors import BackupError, ServerError, UnrestorableError
from .large_objects import measure_large_objects
from .manifest import CATALOG, DUMP, utc_now
from .programs import Programs, programs
from .restic import obtained
from .restorable import explanation
from .settings import NAME, Request, Settings
from .store import Backup, Store, size_text

MARK = "physioflow-backup:"  # prefix of the comment of a database that we may drop
COPY = f"{MARK} a copy for a rehearsal"  # the whole comment of a copy
MAINTENANCE = "postgres"
SWAP_TRIES = 20
IN_USE = "55006"  # object_in_use
MOST_DIFFERENCES = 20
# Other roles may not see it.
DATA_DIRECTORY = """
SELECT CASE WHEN rolsuper THEN current_setting('data_directory') END AS place FROM pg_roles WHERE rolname = current_user
"""
# Settings that are lists of names (GUC_LIST_QUOTE): the server stores them with quotes; pg_dump has the same list.
LISTS = ("local_preload_libraries", "search_path", "session_preload_libraries", "temp_tablespaces")
_ELEMENT = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",]+?))\s*(?:,|$)')
NO_CATALOG = (
    "{backup} was made by an earlier release of PhysioFlow Database and has no list of its objects: tables, rows, "
    "sequences and extensions are as they were; definitions could not be compared"
)


def restore(settings: Settings, request: Request) -> dict[str, Any]:
    """Restore a whole backup, into a new database or in place of the live one, and return the result.

    Raises:
        BackupError: why the restore failed. The database to be replaced is unchanged.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        notes: list[str] = []
        try:
            backup, tools, server = ready(settings, request, stack)
            if request.check_mode:
                return {"changed": True, "lines": [f"{backup.id} would be restored into {request.database}."]}
            verified = time.monotonic()
            restored = stack.enter_context(beside(server, tools, backup, settings, name=request.database, notes=notes))
            set_access(server, restored, backup.manifest["database"])
            old = take_place(server, tools, restored, request, backup.id)
            set_comment(server, request.database, backup.manifest["database"]["comment"])
        except BackupError as error:
            raise BackupError(f"{error}\nNo database was changed.") from error
    lines = [
        f"{backup.id} was restored into {request.database}: "
        f"{sum(table['rows'] for table in backup.manifest['tables'])} rows in {len(backup.manifest['tables'])} tables "
        f"match the manifest; {time.monotonic() - began:.1f} s "
        f"({verified - began:.1f} of them to verify the backup first)"
    ]
    if old:
        lines.append(f"The former database is kept as {old}. To drop it later: -e restore_drop_old=true")
    if damaged := [other.id for other in Store(settings).backups() if other.damage]:
        notes.append(f"damaged backups were skipped: {', '.join(damaged)}")
    return {"changed": True, "lines": lines, "warnings": notes, "backup": backup.id, "old": old}


def copy(settings: Settings, request: Request) -> dict[str, Any]:
    """Restore a backup into a separate database that `drop_copy` drops.

    Leftovers of an earlier copy of that name are dropped first.
    """
    if request.check_mode:
        return {"changed": False, "lines": []}
    began = time.monotonic()
    drop_copy(settings, request)
    with ExitStack() as stack:
        backup, tools, server = ready(settings, request, stack)
        restored = stack.enter_context(beside(server, tools, backup, settings, name=request.database, notes=[]))
        server.execute(f"COMMENT ON DATABASE {identifier(restored)} IS {literal(COPY)}")
        take_place(server, tools, restored, request, backup.id)
    lines = [f"{backup.id} is copied to {request.database}"]
    return {"changed": False, "lines": lines, "seconds": round(time.monotonic() - began, 2)}


def drop_copy(settings: Settings, request: Request) -> dict[str, Any]:
    """Drop the database of a rehearsal if it is a copy made by `copy`."""
    database = request.database
    ours = (
        f"SELECT 1 AS found FROM pg_database WHERE datname = {literal(database)} "
        f"AND shobj_description(oid, 'pg_database') = {literal(COPY)}"
    )
    if not request.check_mode:
        with programs(settings.bin_dir, settings.connection) as tools, Session(tools.conninfo(MAINTENANCE)) as server:
            if server.rows(ours):
                server.execute(f"DROP DATABASE {identifier(database)} WITH (FORCE)")
    return {"changed": False, "lines": []}


def ready(settings: Settings, request: Request, stack: ExitStack) -> tuple[Backup, Programs, Session]:
    """Find the backup, verify it, and refuse a restore that would fail; the stack closes all resources."""
    if not NAME.fullmatch(request.database) or request.database == MAINTENANCE:
        raise BackupError(f"{request.database!r} is not a name for a restored database. Correct restore_database.")
    backup = stack.enter_context(obtained(settings, request))
    if not backup.whole:
        raise BackupError(
            f"{backup.id} holds only {', '.join(backup.manifest['scope'])}. Restore these into the live database: "
            "-e restore_in_place=true with restore_tables."
        )
    tools = stack.enter_context(programs(settings.bin_dir, settings.connection))
    verify(tools, backup)
    server = stack.enter_context(Session(tools.conninfo(MAINTENANCE)))
    check_server(server, backup)
    check_target(server, tools, request)
    return backup, tools, server


def check_server(server: Session, backup: Backup) -> None:
    """Refuse a server that the backup cannot be restored to, before anything is created there."""
    manifest = backup.manifest
    found = server.row(SERVER)
    problems = []
    if found["version_num"] // 10000 < manifest["server"]["version_num"] // 10000:
        problems.append(
            f"the server is PostgreSQL {found['version']}, and the backup comes from {manifest['server']['version']}: "
            "an older server cannot restore it"
        )
    if server.row("SELECT pg_is_in_recovery() AS standby")["standby"]:
        problems.append("the server is a standby")
    there = {row["rolname"] for row in server.rows("SELECT rolname FROM pg_roles")}
    if missing := [name for name in manifest["roles"] if name not in there]:
        problems.append(
            f"the server has no role {', '.join(missing)}, which has objects or privileges in the backup. Create it: "
            "ansible-playbook deploy.yml, or globals.sql of the backup"
        )
    available = {row["name"] for row in server.rows("SELECT name FROM pg_available_extensions")}
    if missing := [name for name in manifest["extensions"] if name not in available]:
        problems.append(f"the extension {', '.join(missing)} is not available on the server: install its package there")
    if problems:
        raise BackupError(f"{backup.id} cannot be restored here: {'; '.join(problems)}.")


def check_space(server: Session, tools: Programs, manifest: Mapping[str, Any]) -> None:
    """Refuse a server on this host whose disk lacks the space for another database of that size."""
    if not tools.connection.get("host", "/").startswith(("/", "127.", "localhost")):
        return
    place = server.row(DATA_DIRECTORY)["place"]
    try:
        free = shutil.disk_usage(place).free if place else None
    except OSError:  # another user's
        free = None
    needed = int(manifest["database"]["size"])
    if free is not None and free < needed:
        raise BackupError(
            f"{place} has {size_text(free)} free, and the restored database needs {size_text(needed)}. "
            "Free space on that disk."
        )


def check_target(server: Session, tools: Programs, request: Request) -> None:
    """Refuse an existing database that must not be replaced, unless it is empty."""
    if request.in_place or not exists(server, request.database):
        return
    if number := objects_in(tools, request.database):
        raise BackupError(
            f"The database {request.database} exists and holds {number} tables and other objects. A backup is "
            "restored into a new database. Choose another name (-e restore_database=NAME), or drop that one, or "
            "replace the live database with -e restore_in_place=true."
        )


@contextmanager
def beside(
    server: Session, tools: Programs, backup: Backup, settings: Settings, *, name: str, notes: list[str]
) -> Iterator[str]:
    """Restore a backup into a database of its own, which is dropped at the end of the block unless it was renamed.

    Args:
        server: session on the maintenance database, with CREATEDB.
        tools: the programs, and the connection to the server.
        backup: whole and verified.
        settings: for the number of jobs.
        name: final name of the database; its temporary name is derived from it.
        notes: list to which skipped comparisons are added.

    Yields:
        The name of the database, after it was found equal to the manifest.
    """
    scratch = f"{name[:53]}_restoring"
    if not server.row(f"SELECT pg_try_advisory_lock(hashtextextended({literal(scratch)}, 0)) AS got")["got"]:
        raise BackupError(f"Another restore into {name} is running. Wait until it ends.")
    try:
        drop_leftover(server, tools, scratch)
        check_space(server, tools, backup.manifest)
        with _scratch(server, scratch):
            jobs = settings.restore_jobs or os.cpu_count() or 1
            try:
                fill(server, tools, backup, scratch, jobs)
            except BackupError as error:
                # Parallel jobs of pg_restore that attach partitions and create keys may deadlock.
                if "deadlock detected" not in str(error) or jobs == 1:
                    raise
                server.execute(f"DROP DATABASE {identifier(scratch)} WITH (FORCE)")
                fill(server, tools, backup, scratch, 1)
            with ExitStack() as stack:
                sessions = [stack.enter_context(Session(tools.conninfo(scratch))) for _ in range(jobs)]
                differences = compare(sessions, tools, backup, scratch, notes)
                if differences:
                    shown = differences[:MOST_DIFFERENCES]
                    more = [f"and {len(differences) - len(shown)} more"] if len(differences) > len(shown) else []
                    raise BackupError(
                        f"The restored {backup.id} does not match its manifest: {'; '.join(shown + more)}."
                    )
                sessions[0].execute("ANALYZE")
            yield scratch
    finally:
        with suppress(BackupError):  # the lock ends with the session anyway
            server.execute(f"SELECT pg_advisory_unlock(hashtextextended({literal(scratch)}, 0))")


def fill(server: Session, tools: Programs, backup: Backup, name: str, jobs: int) -> None:
    """Create a database and load a backup into it."""
    make_database(server, name, backup.manifest["database"])
    # Before the rows: money, text search and functions depend on them, as with pg_dump --create.
    set_settings(server, name, backup.manifest["database"]["settings"])
    catalog = catalog_of(backup)
    if catalog and ("schema", "public") not in catalog:  # it had none; pg_dump does not record that
        with Session(tools.conninfo(name)) as session:
            session.execute("DROP SCHEMA IF EXISTS public")
    load(tools, backup.folder / DUMP, name, jobs)


@contextmanager
def _scratch(server: Session, name: str) -> Iterator[None]:
    """Drop a database at the end of the block; report an error of the block, not the resulting loss of the server."""
    drop = f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)"
    try:
        yield
    except BaseException:
        with suppress(BackupError):
            server.execute(drop)
        raise
    server.execute(drop)


def exists(server: Session, database: str) -> bool:
    """Tell whether a database exists."""
    return bool(server.rows(f"SELECT 1 AS found FROM pg_database WHERE datname = {literal(database)}"))


def drop_leftover(server: Session, tools: Programs, scratch: str) -> None:
    """Drop the leftover database of a killed restore if it is ours: marked as such, or still empty."""
    comments = server.rows(
        f"SELECT shobj_description(oid, 'pg_database') AS words FROM pg_database WHERE datname = {literal(scratch)}"
    )
    if not comments:
        return
    if not (comments[0]["words"] or "").startswith(MARK) and objects_in(tools, scratch):
        raise BackupError(
            f"The database {scratch} was not created by a restore, but a restore needs its name. Rename or drop it."
        )
    server.execute(f"DROP DATABASE {identifier(scratch)} WITH (FORCE)")


def objects_in(tools: Programs, database: str) -> int:
    """Return the number of objects that would be lost with a database."""
    with Session(tools.conninfo(database)) as session:
        return int(session.row(OBJECTS)["n"])


def make_database(server: Session, name: str, wanted: Mapping[str, Any]) -> None:
    """Create an empty database like that of the backup, to which only its owner may connect yet."""
    provider = f"LOCALE_PROVIDER icu ICU_LOCALE {literal(wanted['icu'])}" if wanted.get("icu") else ""
    if wanted.get("icu_rules"):
        provider += f" ICU_RULES {literal(wanted['icu_rules'])}"
    server.execute(
        f"CREATE DATABASE {identifier(name)} OWNER {identifier(wanted['owner'])} TEMPLATE template0 "
        f"ENCODING {literal(wanted['encoding'])} LC_COLLATE {literal(wanted['collate'])} "
        f"LC_CTYPE {literal(wanted['ctype'])} {provider}"
    )
    server.execute(f"COMMENT ON DATABASE {identifier(name)} IS {literal(f'{MARK} a restore in progress')}")
    server.execute(f"REVOKE ALL ON DATABASE {identifier(name)} FROM PUBLIC")


def load(tools: Programs, dump: Path, database: str, jobs: int) -> None:
    """Run pg_restore until its first error, and explain an error that is a limitation of PostgreSQL."""
    with Session(tools.conninfo(database)) as session:
        may = session.row("SELECT has_parameter_privilege('session_replication_role', 'SET') AS replicate")["replicate"]
    # Settings of the database could make pg_restore fail.
    options = "-c default_transaction_read_only=off" + (" -c session_replication_role=origin" if may else "")
    conninfo = tools.conninfo(database, options=tools.connection.get("options") or options)
    try:
        tools.run("pg_restore", "--exit-on-error", f"--jobs={jobs}", f"--dbname={conninfo}", dump)
    except BackupError as error:
        why = ""
        with suppress(BackupError), Session(tools.conninfo(database)) as session:
            why = explanation(session)
        raise (UnrestorableError if why else BackupError)(f"{error}.{why}") from error


def catalog_of(backup: Backup) -> dict[tuple[str, str], str] | None:
    """Return the objects of a backup by kind and name; None where its release did not record them."""
    if CATALOG not in backup.manifest["files"]:
        return None
    found = json.loads((backup.folder / CATALOG).read_text(encoding="utf-8"))
    return {(kind, name): definition for kind, name, definition in found}


def compare(sessions: Sequence[Session], tools: Programs, backup: Backup, database: str, notes: list[str]) -> list[str]:
    """Return the differences between a database and a backup: names and numbers, never rows."""
    session, manifest = sessions[0], backup.manifest
    found = session.json(CONTENTS)
    differences = compare_tables(sessions, found["tables"], manifest)
    for key, wanted in manifest["sequences"].items():
        if key not in found["sequences"]:
            differences.append(f"the sequence {key} is missing")
            continue
        place = place_of(key, found)
        value = session.row(f"SELECT last_value, is_called FROM {place}")
        if (value["last_value"], value["is_called"]) != (wanted["last_value"], wanted["is_called"]):
            differences.append(f"the sequence {key} is at {value['last_value']}, expected {wanted['last_value']}")
    differences += [
        f"the extension {name} is missing" for name in sorted(set(manifest["extensions"]) - set(found["extensions"]))
    ]
    large, there = manifest.get("large_objects"), measure_large_objects(session)
    if large and there and large != there:
        differences.append(f"{there['objects']} of {large['objects']} large objects exist, or their contents differ")
    wanted_objects = catalog_of(backup)
    if wanted_objects is None:
        # The text of pg_dump may change after a restore, so a difference proves nothing.
        schema = tools.run("pg_dump", "--schema-only", tools.conninfo(database))
        if schema_sha256(schema) != manifest.get("schema_sha256"):
            notes.append(NO_CATALOG.format(backup=backup.id))
        return differences
    return differences + compare_objects(session, wanted_objects)


def compare_objects(session: Session, wanted: Mapping[tuple[str, str], str]) -> list[str]:
    """Return the missing, additional and differing objects of a restored database."""
    found = objects_of(session.rows(CATALOG_OBJECTS))
    words = []
    for key in differing(session, found, wanted):
        kind, name = key
        if kind not in NOT_DUMPED:
            what = "is missing" if key not in found else "is not in the backup" if key not in wanted else "differs"
            words.append(f"{kind} {name} {what}")
    session.pin()
    return words


def compare_tables(sessions: Sequence[Session], there: list[dict[str, Any]], manifest: Mapping[str, Any]) -> list[str]:
    """Return the differences in tables, their numbers of rows, and their hashes where the manifest has them."""
    wanted = {key_of(table): table for table in manifest["tables"]}
    names = {key_of(table) for table in there}
    differences = [f"{key} is missing" for key in wanted if key not in names]
    differences += [f"{key} is not in the backup" for key in sorted(names - set(wanted))]
    hashed = [key for key, table in wanted.items() if table["hash"] is not None]
    by_name = "hashed_by" in manifest
    chosen = [table for table in there if key_of(table) in wanted]
    for table in measure(sessions, chosen, hashed, by_name=by_name):
        key = key_of(table)
        if table["rows"] != wanted[key]["rows"]:
            differences.append(f"{key} has {table['rows']} rows, expected {wanted[key]['rows']}")
        elif table["hash"] != wanted[key]["hash"]:
            differences.append(f"the {table['rows']} rows of {key} differ")
    return differences


def set_settings(server: Session, name: str, wanted: Sequence[Mapping[str, Any]]) -> None:
    """Give a restored database the settings of the dumped one, including those of roles in it."""
    place = identifier(name)
    for entry in wanted:
        setting, _, value = entry["setting"].partition("=")
        whose = f"ROLE {identifier(entry['role'])} IN DATABASE {place}" if entry["role"] else f"DATABASE {place}"
        # A name with a dot has two parts.
        variable = ".".join(identifier(part) for part in setting.split("."))
        if setting in LISTS and not value:  # an empty list has no elements to quote
            server.execute(
                f"BEGIN; SELECT set_config({literal(setting)}, '', true); ALTER {whose} SET {variable} FROM CURRENT; "
                "COMMIT"
            )
            continue
        words = elements_of(value) if setting in LISTS else [value]
        server.execute(f"ALTER {whose} SET {variable} = {', '.join(map(literal, words))}")


def elements_of(value: str) -> list[str]:
    """Return the elements of a list of names in the server's notation."""
    return [quoted.replace('""', '"') or plain for quoted, plain in _ELEMENT.findall(value)]


def set_access(server: Session, name: str, wanted: Mapping[str, Any]) -> None:
    """Give a restored database the privileges and the connection limit of the dumped one, and check them."""
    place = identifier(name)
    if wanted["acl"] is None:  # without grants or revokes: PostgreSQL's default
        server.execute(f"GRANT CONNECT, TEMPORARY ON DATABASE {place} TO PUBLIC")
    for entry in wanted["acl"] or []:
        grantee = "PUBLIC" if entry["grantee"] is None else identifier(entry["grantee"])
        option = " WITH GRANT OPTION" if entry["grantable"] else ""
        server.execute(f"GRANT {entry['privilege']} ON DATABASE {place} TO {grantee}{option}")
    if wanted["connection_limit"] != -1:
        server.execute(f"ALTER DATABASE {place} CONNECTION LIMIT {int(wanted['connection_limit'])}")
    found = server.json(DATABASE.replace("current_database()", literal(name)))
    others = [
        word
        for word in ("owner", "encoding", "collate", "ctype", "icu", "icu_rules", "connection_limit")
        if word in wanted and found[word] != wanted[word]
    ]
    others += [
        f"{entry['setting'].partition('=')[0]} of {entry['role'] or 'all roles'}"
        for entry in wanted["settings"]
        if entry not in found["settings"]
    ]
    if others:
        raise BackupError(f"The restored database differs in its {', '.join(others)}.")


def set_comment(server: Session, name: str, comment: str | None) -> None:
    """Give a restored database the comment of the dumped one, as the last step; until then it has ours."""
    server.execute(f"COMMENT ON DATABASE {identifier(name)} IS {literal(comment) if comment else 'NULL'}")


def take_place(server: Session, tools: Programs, restored: str, request: Request, backup: str) -> str:
    """Rename a restored database; return the new name of the one it replaces, empty where there was none.

    In place, both renames are in one transaction, so a database of that name always exists.
    """
    target = identifier(request.database)
    rename = f"ALTER DATABASE {identifier(restored)} RENAME TO {target}"
    if not exists(server, request.database):
        server.execute(rename)
        return ""
    if not request.in_place:
        check_target(server, tools, request)  # still empty?
        server.execute(f"DROP DATABASE {target}")
        server.execute(rename)
        return ""
    now = utc_now()
    old = f"{request.database[:39]}_before_{now:%Y%m%d_%H%M%S}"
    words = f"{MARK} replaced by {backup} at {now:%Y-%m-%d %H:%M:%S} UTC"
    sessions = f"FROM pg_stat_activity WHERE datname = {literal(request.database)} AND pid <> pg_backend_pid()"
    swap = (
        f"BEGIN; SELECT pg_terminate_backend(pid) {sessions};"
        f"ALTER DATABASE {target} RENAME TO {identifier(old)};"
        f"COMMENT ON DATABASE {identifier(old)} IS {literal(words)}; {rename}; COMMIT"
    )
    for attempt in range(1, SWAP_TRIES + 1):
        try:
            server.execute(swap)
            return old
        except ServerError as error:
            server.execute("ROLLBACK")
            # A session connected between the two statements, or has not ended yet.
            if error.state != IN_USE or attempt == SWAP_TRIES:
                who = ", ".join(
                    f"{row['usename']} ({row['n']})"
                    for row in server.rows(f"SELECT usename, count(*) AS n {sessions} GROUP BY 1")
                )
                raise BackupError(
                    f"The database {request.database} could not be replaced: {error}"
                    + (f". Connected: {who}; stop the application and run the same command again" if who else "")
                ) from error
    raise AssertionError  # the last attempt returns or raises


def drop_old(settings: Settings, request: Request) -> dict[str, Any]:
    """Drop the replaced databases that restores in place have kept."""
    with programs(settings.bin_dir, settings.connection) as tools, Session(tools.conninfo(MAINTENANCE)) as server:
        names = [row["datname"] for row in server.rows(old_databases(settings.database))]
        for name in [] if request.check_mode else names:
            server.execute(f"DROP DATABASE {identifier(name)} WITH (FORCE)")
    word = "would be dropped" if request.check_mode else "dropped"
    lines = [f"{word}: {name}" for name in names] or ["There is no database kept by a restore in place."]
    return {"changed": bool(names), "dropped": names, "lines": lines}


def old_databases(database: str) -> str:
    """Return the query for the replaced databases that restores in place have kept."""
    pattern = f"^{database[:39]}_before_[0-9]{{8}}_[0-9]{{6}}$"
    words = f"{MARK} replaced by {database}_backup_"  # long names are truncated, this text is not
    return (
        "SELECT datname FROM pg_database "
        f"WHERE datname ~ {literal(pattern)} AND starts_with(shobj_description(oid, 'pg_database'), {literal(words)}) "
        "ORDER BY 1"
    )
