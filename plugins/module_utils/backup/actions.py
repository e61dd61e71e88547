# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The actions on backups, for the module `backup` and for the command that the timers run.

Every action returns `changed`, the output `lines`, `warnings`, and its results.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from .archive import verify
from .create import create
from .database import Session
from .drill import SUPERUSER, drill
from .errors import BackupError, os_words
from .keeping import prune
from .large_objects import permit
from .manifest import utc_now
from .owner import become, owner_of
from .programs import programs
from .restic import obtained, snapshots
from .restorable import warnings
from .restore import copy, drop_copy, drop_old, restore
from .settings import AUTO, DISK, LATEST, OFF_HOST, Request, Settings, read_request, read_settings
from .store import Backup, Store, size_text
from .tables import restore_tables

Result = dict[str, Any]
IN_DAYS_FROM = 48  # hours


def gate(settings: Settings, request: Request) -> Result:
    """Take the backup without which no migration is applied."""
    if request.check_mode:
        return {
            "changed": False,
            "taken": False,
            "id": "",
            "lines": [],
            "reason": "",
            "summary": "would be taken first",
        }
    try:
        done = create(settings, replace(request, only_with_data=True))
    except BackupError as error:
        raise BackupError(
            f"{error}\nThe database was not changed: it needs a backup first. To continue without one: "
            "-e backup_before_migration=false; the history records it."
        ) from error
    # The backup exists and is verified; later failures are no reason to stop.
    return {**done, "reason": "", "warnings": done.get("problems", []), "problems": []}


def list_backups(settings: Settings, request: Request) -> Result:
    """List the backups, and with `off_host` also the copies."""
    now = utc_now()
    backups = [described(backup, now) for backup in Store(settings).backups()]
    copies = snapshots(settings) if request.off_host and settings.restic.repository else []
    here = {entry["id"] for entry in backups}
    lines = table(backups)
    lines += [
        f"{entry['id']}  only off this host, copied {entry['at'][:19]}" for entry in copies if entry["id"] not in here
    ]
    return {"changed": False, "backups": backups, "copies": copies, "lines": lines}


def verify_backup(settings: Settings, request: Request) -> Result:
    """Read a backup in full and compare it with its manifest; nothing is restored."""
    with obtained(settings, request) as backup, programs(settings.bin_dir, settings.connection) as tools:
        verify(tools, backup, decode=True)
    rows = sum(entry["rows"] for entry in backup.manifest["tables"])
    return {
        "changed": False,
        "lines": [f"{backup.id} is intact: all checksums match, {rows} rows read back"],
    }


def restorable(settings: Settings, request: Request) -> Result:
    """Let the role that dumps read large objects, and warn about objects that PostgreSQL could not restore.

    The connection is that of a superuser, or of the owner.
    """
    with (
        programs(settings.bin_dir, settings.connection) as tools,
        Session(tools.conninfo(settings.database)) as session,
    ):
        if request.role and not request.check_mode:
            permit(session, request.role)
        found = warnings(session, settings.database) if request.warn else []
    return {"changed": False, "lines": [], "warnings": found}


def prune_backups(settings: Settings, request: Request) -> Result:
    """Remove the backups that no rule keeps."""
    if request.check_mode:
        return {"changed": False, "lines": []}
    store = Store(settings)
    store.check()
    with store.locked("removing old backups"):
        store.remove_partials()
        removed, problem = prune(settings, store)
    lines = [f"removed: {name}" for name in removed] or ["Every backup is kept by a rule of backup_keep."]
    return {"changed": bool(removed), "removed": removed, "lines": lines, "warnings": [problem] if problem else []}


ACTIONS: dict[str, Callable[[Settings, Request], Result]] = {
    "create": create,
    "gate": gate,
    "list": list_backups,
    "verify": verify_backup,
    "restore": restore,
    "restore_tables": restore_tables,
    "drill": drill,
    "copy": copy,
    "drop_copy": drop_copy,
    "prune": prune_backups,
    "restorable": restorable,
    "drop_old": drop_old,
}


def perform(
    action: str, settings: Mapping[str, Any], request: Mapping[str, Any], *, check_mode: bool = False
) -> Result:
    """Run an action.

    Args:
        action: a key of ACTIONS.
        settings: the settings, as in the timer's settings.json.
        request: attributes of Request by name.
        check_mode: change nothing.

    Raises:
        BackupError: why it failed, with the state and the remedy.
    """
    try:
        asked = read_request(request, check_mode=check_mode)
        return {"warnings": [], **ACTIONS[action](read_settings(settings), asked)}
    except OSError as error:
        raise BackupError(f"{os_words(error)}. Remove the cause and run the same command again.") from error


def described(backup: Backup, now: datetime) -> dict[str, Any]:
    """Return the data of a backup for a list."""
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
    """Return an age as readable text."""
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.0f} h" if hours < IN_DAYS_FROM else f"{hours / 24:.0f} days"


def main() -> int:
    """Run the action of the command line, for a timer of the host."""
    parser = argparse.ArgumentParser(prog="physioflow.pyz backup", description="Backups of the PhysioFlow database.")
    parser.add_argument("action", choices=["create", "list", "verify", "drill", "prune", "permit"])
    parser.add_argument("--settings", type=Path, default=Path("/etc/physioflow-backup/settings.json"))
    parser.add_argument("--backup", default=LATEST, help="id of a backup (default: the newest verified one)")
    parser.add_argument("--source", choices=[AUTO, DISK, OFF_HOST], default=AUTO)
    parser.add_argument("--why", default="by hand")
    arguments = parser.parse_args()
    os.umask(0o077)
    try:
        settings = json.loads(arguments.settings.read_text(encoding="utf-8"))
        if arguments.action == "permit":  # as root, before the timer's backup: root logs in as superuser by peer
            role = settings["connection"]["user"]
            settings["connection"] = {**settings["connection"], "user": SUPERUSER}
            perform("restorable", settings, {"role": role, "warn": False})
            return 0
        if owner := owner_of(Path(settings["directory"])):  # root runs it manually
            become(owner)
        request = {"backup": arguments.backup, "source": arguments.source, "why": arguments.why, "server": "own"}
        done = perform(arguments.action, settings, request)
    except (BackupError, OSError, ValueError) as error:
        print(f"physioflow-backup {arguments.action} failed: {error}", file=sys.stderr)
        return 1
    print("\n".join(done["lines"]))
    problems = [*done["warnings"], *done.get("problems", [])]
    if problems:
        print("\n".join(problems), file=sys.stderr)
    return 1 if problems else 0
