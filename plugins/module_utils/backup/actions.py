# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be asked of the backups, for the module `backup` and for the command that the timers run.

Every act returns `changed`, the `lines` that a person is shown, `warnings`, and what it found out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from .archive import verify
from .create import Request as CreateRequest
from .create import create, summary
from .database import Session
from .drill import SUPERUSER, drill
from .errors import BackupError, os_words
from .keeping import prune
from .large_objects import permit
from .manifest import utc_now
from .owner import become, owner_of
from .programs import programs
from .restic import snapshots
from .restorable import warnings as restorable_warnings
from .restore import Request as RestoreRequest
from .restore import check, copy, drop_copy, drop_old, restore
from .settings import Settings, read_settings
from .source import AUTO, obtained
from .store import LATEST, Backup, Store, size_text
from .tables import Request as TablesRequest
from .tables import report, restore_tables

Result = dict[str, Any]
IN_DAYS_FROM = 48  # hours


def act_create(settings: Settings, request: Mapping[str, Any], check_mode: bool) -> Result:
    """Take a backup."""
    if check_mode:
        return {"changed": True, "lines": [f"A backup of {settings.database} would be taken."]}
    created = create(
        settings,
        CreateRequest(
            why=request.get("why") or "by hand",
            tables=tuple(request.get("tables") or ()),
            only_with_data=bool(request.get("only_with_data")),
            operator=request.get("operator") or "",
        ),
    )
    if created.manifest is None:
        return {"changed": False, "taken": False, "id": "", "summary": "none needed: no table has a row", "lines": []}
    told = summary(created.manifest)
    lines = [told, *(f"removed, as no rule of backup_keep keeps it: {name}" for name in created.removed)]
    return {
        "changed": True,
        "taken": True,
        "id": created.manifest["id"],
        "summary": told,
        "lines": lines,
        "removed": created.removed,
        "problems": created.problems,
    }


def act_gate(settings: Settings, request: Mapping[str, Any], check_mode: bool) -> Result:
    """Take the backup without which no migration is applied; `reason` is what the history says where there is none."""
    if not request.get("wanted", True):
        return {
            "changed": False,
            "taken": False,
            "id": "",
            "reason": "no backup was taken before: backup_before_migration=false",
            "summary": "NONE, because backup_before_migration is false: what is lost now cannot be brought back",
            "lines": [],
        }
    if check_mode:
        return {
            "changed": False,
            "taken": False,
            "id": "",
            "reason": "",
            "summary": "would be taken first",
            "lines": [],
        }
    try:
        done = act_create(settings, {**request, "only_with_data": True}, check_mode)
    except BackupError as error:
        raise BackupError(
            f"{error}\nWithout a backup nothing is changed in the database, and nothing was. If it has to be without "
            "one: -e backup_before_migration=false, which the history records."
        ) from error
    # It is there and verified: what failed after that is no reason to stop.
    return {**done, "reason": "", "warnings": done.get("problems", []), "problems": []}


def act_list(settings: Settings, request: Mapping[str, Any], check_mode: bool) -> Result:
    """Show the backups, and with `off_host` the copies too."""
    del check_mode
    now = utc_now()
    store = Store(settings)
    backups = [described(backup, now) for backup in store.backups()]
    copies = snapshots(settings) if request.get("off_host") and settings.restic.repository else []
    here = {entry["id"] for entry in backups}
    lines = table(backups)
    lines += [
        f"{entry['id']}  only off this host, copied {entry['at'][:19]}" for entry in copies if entry["id"] not in here
    ]
    return {"changed": False, "backups": backups, "copies": copies, "lines": lines}


def act_verify(settings: Settings, request: Mapping[str, Any], check_mode: bool) -> Result:
    """Read a backup in full and compare it with its manifest; nothing is restored."""
    del check_mode
    with obtained(settings, request.get("backup") or LATEST, request.get("source") or AUTO) as backup:
        with programs(settings.bin_dir, settings.connection) as tools:
            verify(tools, backup, decode=True)
        rows = sum(entry["rows"] for entry in backup.manifest["tables"])
        told = f"{backup.id} is whole: every file is as it was written, {rows} rows read back"
        return {"changed": False, "id": backup.id, "lines": [told]}


def act_restore(settings: Settings, request: Mapping[str, Any], check_mode: bool) -> Result:
    """Restore a whole backup, into a new database or in place of the live one."""
    wanted = RestoreRequest(
        backup=request.get("backup") or LATEST,
        database=request["database"],
        in_place=bool(request.get("in_place")),
        source=request.get("source") or AUTO,
    )
    if check_mode:
        name = check(settings, wanted)
        return {"changed": True, "lines": [f"{name} would be restored into {wanted.database}."]}
    done = restore(settings, wanted)
    seconds = done["seconds"]
    lines = [
        f"{done['backup']} is restored into {done['database']}: {done['rows']} rows in {done['tables']} tables are "
        f"what the manifest says; {seconds['total']:.1f} s ({seconds['verify']:.1f} to verify the backup before)"
    ]
    if done["old"]:
        lines.append(
            f"What was there is kept as {done['old']}. When nobody needs it: -e restore_drop_old=true drops it"
        )
    damaged = [backup.id for backup in Store(settings).backups() if backup.damage]
    warnings = [f"damaged backups are not taken for the latest: {', '.join(damaged)}"] if damaged else []
    return {"changed": True, "lines": lines, **done, "warnings": done["warnings"] + warnings}


def act_restore_tables(settings: Settings, request: Mapping[str, Any], check_mode: bool) -> Result:
    """Restore single tables into the live database."""
    wanted = TablesRequest(
        backup=request.get("backup") or LATEST,
        tables=tuple(request["tables"]),
        existing_rows=request.get("existing_rows") or "refuse",
        source=request.get("source") or AUTO,
    )
    done = restore_tables(settings, wanted, check_mode=check_mode)
    lines = [
        f"From {done['backup']} into {done['database']}, {done['seconds']['total']:.1f} s:",
        *report(done["tables"]),
    ]
    if check_mode:
        lines[0] = f"Would be restored from {done['backup']} into {done['database']}, tried and rolled back:"
    return {"changed": True, "lines": lines, **done}


def act_drill(settings: Settings, request: Mapping[str, Any], check_mode: bool) -> Result:
    """Prove a backup by restoring it where it hurts nobody."""
    if check_mode:
        return {"changed": False, "lines": ["A drill would be made."]}
    name = request.get("backup") or LATEST
    done = drill(settings, name, request.get("source") or AUTO, own_server=request.get("server") == "own")
    told = (
        f"{done['backup']} is proven: restored, {done['rows']} rows in {done['tables']} tables counted and "
        f"{done['hashed']} tables hashed, all equal; {done['seconds']:.1f} s"
    )
    # The newest one may be damaged, and latest passes that by: not to be taken for a good result.
    damaged = Store(settings).newer_damaged(done["number"]) if name == LATEST else []
    problems = [f"{backup.id} is newer and cannot be used: {backup.damage}." for backup in damaged]
    if problems:
        problems.append("Take a new backup (ansible-playbook playbooks/backup.yml), and find out who changed that one.")
    return {"changed": True, "lines": [told], "problems": problems, **done}


def act_copy(settings: Settings, request: Mapping[str, Any], check_mode: bool) -> Result:
    """Restore a backup into a database for a rehearsal."""
    if check_mode:
        return {"changed": False, "lines": []}
    done = copy(settings, RestoreRequest(backup=request["backup"], database=request["database"]))
    return {"changed": False, "lines": [f"{done['backup']} is copied to {done['database']}"], **done}


def act_drop_copy(settings: Settings, request: Mapping[str, Any], check_mode: bool) -> Result:
    """Drop the database of a rehearsal."""
    if not check_mode:
        drop_copy(settings, request["database"])
    return {"changed": False, "lines": []}


def act_restorable(settings: Settings, request: Mapping[str, Any], check_mode: bool) -> Result:
    """Let the role that dumps read large objects, and warn of what PostgreSQL could not restore.

    The connection is that of a superuser, or of the owner.
    """
    role = request.get("role") or ""
    with (
        programs(settings.bin_dir, settings.connection) as tools,
        Session(tools.conninfo(settings.database)) as session,
    ):
        if role and not check_mode:
            permit(session, role)
        found = restorable_warnings(session, settings.database) if request.get("warn", True) else []
    return {"changed": False, "lines": [], "warnings": found}


def act_prune(settings: Settings, request: Mapping[str, Any], check_mode: bool) -> Result:
    """Remove the backups that no rule keeps."""
    del request
    if check_mode:
        return {"changed": False, "lines": []}
    store = Store(settings)
    store.check()
    with store.locked("removing old backups"):
        store.remove_partials()
        removed, problem = prune(settings, store)
    lines = [f"removed: {name}" for name in removed] or ["Every backup is kept by a rule of backup_keep."]
    return {"changed": bool(removed), "removed": removed, "lines": lines, "warnings": [problem] if problem else []}


def act_drop_old(settings: Settings, request: Mapping[str, Any], check_mode: bool) -> Result:
    """Drop the databases that restores in place have kept."""
    del request
    names = drop_old(settings, check_mode=check_mode)
    word = "would be dropped" if check_mode else "dropped"
    lines = [f"{word}: {name}" for name in names] or ["There is no database that a restore in place has kept."]
    return {"changed": bool(names), "dropped": names, "lines": lines}


ACTS: dict[str, Callable[[Settings, Mapping[str, Any], bool], Result]] = {
    "create": act_create,
    "gate": act_gate,
    "list": act_list,
    "verify": act_verify,
    "restore": act_restore,
    "restore_tables": act_restore_tables,
    "drill": act_drill,
    "copy": act_copy,
    "drop_copy": act_drop_copy,
    "prune": act_prune,
    "restorable": act_restorable,
    "drop_old": act_drop_old,
}


def perform(act: str, settings: Mapping[str, Any], request: Mapping[str, Any], *, check_mode: bool = False) -> Result:
    """Do an act.

    Args:
        act: a key of ACTS.
        settings: as the timer's settings.json has them.
        request: what the act needs to know.
        check_mode: change nothing.

    Raises:
        BackupError: why it failed, in which state everything is, what to do.
    """
    try:
        return {"warnings": [], **ACTS[act](read_settings(settings), request, check_mode)}
    except OSError as error:
        raise BackupError(f"{os_words(error)}. Remove the cause and run the same command again.") from error


def described(backup: Backup, now: datetime) -> dict[str, Any]:
    """Return what a list says of a backup."""
    if backup.damage:
        return {"id": backup.id, "damage": backup.damage}
    manifest = backup.manifest
    drills = [record for record in manifest["drills"] if record["ok"]]
    return {
        "id": backup.id,
        "finished_at": manifest["finished_at"],
        "age_hours": round((now - backup.finished).total_seconds() / 3600, 1),
        "size": backup.size,
        "scope": manifest["scope"] if isinstance(manifest["scope"], str) else ", ".join(manifest["scope"]),
        "version": manifest["migrations"]["version"],
        "why": manifest["why"],
        "verified": manifest["status"] == "verified",
        "drilled": drills[-1]["at"] if drills else "",
        "off_host": (manifest["off_host"] or {}).get("at", ""),
        "here": backup.has_files,
    }


def table(backups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a list."""
    if not backups:
        return ["There is no backup yet."]
    width = max(len(entry["id"]) for entry in backups)
    lines = [f"{'backup':{width}}  {'age':>8}  {'size':>8}  {'at':>4}  verified  drilled     off host    of"]
    for entry in backups:
        if "damage" in entry:
            lines.append(f"{entry['id']:{width}}  DAMAGED: {entry['damage']}")
            continue
        place = "" if entry["here"] else " (only off this host)"
        lines.append(
            f"{entry['id']:{width}}  {age_text(entry['age_hours']):>8}  {size_text(entry['size']):>8}  "
            f"{entry['version'] or '-':>4}  {'yes' if entry['verified'] else 'NO':8}  "
            f"{entry['drilled'][:10] or '-':10}  {entry['off_host'][:10] or '-':10}  {entry['scope']}{place}"
        )
    return lines


def age_text(hours: float) -> str:
    """Return an age as a person reads it."""
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.0f} h" if hours < IN_DAYS_FROM else f"{hours / 24:.0f} days"


def main() -> int:
    """Do what the command line says: what a timer of the host runs."""
    parser = argparse.ArgumentParser(prog="physioflow.pyz backup", description="Backups of the PhysioFlow database.")
    parser.add_argument("act", choices=["create", "list", "verify", "drill", "prune", "permit"])
    parser.add_argument("--settings", type=Path, default=Path("/etc/physioflow-backup/settings.json"))
    parser.add_argument("--backup", default=LATEST, help="id of a backup (default: the newest verified one)")
    parser.add_argument("--source", choices=["auto", "disk", "off_host"], default=AUTO)
    parser.add_argument("--why", default="by hand")
    arguments = parser.parse_args()
    os.umask(0o077)
    try:
        settings = json.loads(arguments.settings.read_text(encoding="utf-8"))
        if arguments.act == "permit":  # by root, before the timer's backup: peer lets it in as the superuser
            role = settings["connection"]["user"]
            settings["connection"] = {**settings["connection"], "user": SUPERUSER}
            perform("restorable", settings, {"role": role, "warn": False})
            return 0
        if owner := owner_of(Path(settings["directory"])):  # a person who is root
            become(owner)
        request = {"backup": arguments.backup, "source": arguments.source, "why": arguments.why, "server": "own"}
        done = perform(arguments.act, settings, request)
    except (BackupError, OSError, ValueError) as error:
        print(f"physioflow-backup {arguments.act} failed: {error}", file=sys.stderr)
        return 1
    print("\n".join(done["lines"]))
    problems = [*done["warnings"], *done.get("problems", [])]
    if problems:
        print("\n".join(problems), file=sys.stderr)
    return 1 if problems else 0
