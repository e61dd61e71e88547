# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the state of a database and the folders of its host, for the status screen and the metrics."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..backup.errors import os_words
from ..backup.settings import Settings
from ..backup.store import Backup, Store
from ..pitr.drill import read_drills
from .queries import ACTS, DETAILS, FIGURES, HISTORY

Facts = dict[str, Any]
PACKAGES = Path("/usr")
NEWEST = ("id", "at", "size", "off_host")  # the data of a backup on the screen


def look_at_database(cursor: Any, *, details: bool = False) -> Facts:
    """Return {figures, history}; with `details` also {acts, years, waiting, open} of the report.

    Timeouts limit the wait for a lock and the time of a statement, so that the caller does not wait for long.

    Args:
        cursor: of a connection in autocommit mode, whose rows are tuples or dictionaries.
        details: also read the whole history, and the rows of each partition by day.
    """

    def ask(query: str) -> Any:
        cursor.execute(query)
        row = cursor.fetchone()
        return json.loads(row["j"] if isinstance(row, dict) else row[0])

    cursor.execute("SET lock_timeout = '5s'")
    cursor.execute("SET statement_timeout = '60s'")
    figures = ask(FIGURES)
    seen = {"figures": figures, "history": ask(HISTORY) if figures["has_history"] else None}
    if details:
        seen["details"] = ask(DETAILS) | {"acts": ask(ACTS) if figures["has_history"] else []}
    return seen


def look_at_host(database: str, backup_directory: Path, bin_dir: Path, data_directory: str | None) -> Facts:
    """Return the facts of the host about backups, disks and the server's programs."""
    folders = [*([Path(data_directory)] if data_directory else []), backup_directory]
    return {
        "backups": look_at_backups(database, backup_directory, bin_dir),
        "disks": look_at_disks(folders),
        "built": _built(bin_dir / "postgres"),
        "restored": read_drills(),
    }


def look_at_backups(database: str, directory: Path, bin_dir: Path) -> Facts:
    """Return the number of backups, the newest verified one of the whole database, and the last drill.

    Returns:
        {directory, count, newest: {id, at, size, off_host} or None, damaged: ids of damaged ones that are newer,
        drill: {backup, at, ok} or None, proven: time of the last successful drill or None, problem, and for the
        report `all` backups and all `drills`, the oldest first}. Times are ISO 8601 in UTC.
    """
    store = Store(Settings(database=database, directory=directory, bin_dir=bin_dir))
    problem, backups, damaged = "", [], []
    newest: Backup | None = None
    try:
        backups = store.backups()
        newest = next((backup for backup in reversed(backups) if backup.whole), None)
        damaged = store.newer_damaged(newest.number if newest else 0)
    except OSError as error:
        problem = os_words(error)
    drills = sorted(
        (
            {"backup": backup.id, "at": record["at"], "ok": record["ok"], "seconds": record.get("seconds")}
            for backup in backups
            for record in backup.manifest.get("drills", [])
        ),
        key=lambda record: record["at"],
    )
    last = {key: drills[-1][key] for key in ("backup", "at", "ok")} if drills else None
    return {
        "directory": str(directory),
        "count": len(backups),
        "newest": {key: value for key, value in _described(newest).items() if key in NEWEST} if newest else None,
        "damaged": [backup.id for backup in damaged],
        "drill": last,
        "proven": max((record["at"] for record in drills if record["ok"]), default=None),
        "problem": problem,
        "all": [_described(backup) for backup in backups],
        "drills": drills,
    }


def _described(backup: Backup) -> Facts:
    manifest = backup.manifest
    if backup.damage:
        return {"id": backup.id, "damaged": True}
    return {
        "id": backup.id,
        "damaged": False,
        "at": manifest["finished_at"],
        "size": backup.size,
        "whole": manifest["scope"] == "database",
        "verified": manifest["status"] == "verified",
        "off_host": (manifest["off_host"] or {}).get("at"),
    }


def look_at_disks(folders: Iterable[Path]) -> list[Facts]:
    """Return size and free space (bytes) of each file system with one of the folders, once; folders may be missing."""
    found: dict[int, Facts] = {}
    for folder in folders:
        try:
            device, space = folder.stat().st_dev, os.statvfs(folder)
        except OSError:
            continue
        found.setdefault(
            device,
            {
                "folder": str(folder),
                "bytes": space.f_blocks * space.f_frsize,
                "free": space.f_bavail * space.f_frsize,
            },
        )
    return list(found.values())


def _built(program: Path) -> str | None:
    """Return when the server of a package was built: only a package preserves the time of the file."""
    try:
        seconds = program.stat().st_mtime
    except OSError:
        return None
    built = datetime.fromtimestamp(seconds, timezone.utc)  # noqa: UP017 - Ubuntu 22.04 has Python 3.10
    return built.isoformat(timespec="seconds") if PACKAGES in program.parents else None
