# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Retention of backups: copies them off the host, removes plain dumps, and removes old backups.

All of it needs the lock of the store. A pure function selects the backups to remove: by the order of their numbers,
never by the current time.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from .archive import check_files
from .errors import BackupError, DamagedError
from .manifest import FILE, update_manifest, utc_now
from .restic import copy, ensure, fetched, forget, shown
from .settings import Settings
from .store import Backup, Store, alone_in

_PERIODS: dict[str, Callable[[datetime], object]] = {
    "daily": lambda time: time.date(),
    "weekly": lambda time: time.isocalendar()[:2],
    "monthly": lambda time: (time.year, time.month),
}


def copy_missing(settings: Settings, store: Store) -> list[str]:
    """Copy every backup that has no copy off the host yet; return the problems."""
    if not settings.restic.repository:
        return []
    problems = []
    try:
        ensure(settings)
        for backup in store.backups():
            if backup.damage or not backup.has_files:
                continue
            try:
                _copy_one(settings, backup)
            except DamagedError as error:  # the others must still be copied
                problems.append(f"{backup.id} was not copied off the host, as it is damaged: {error}.")
        forget(settings, settings.keep)
    except BackupError as error:
        here = "unencrypted, because its copy is not verified" if settings.restic.only else "and verified"
        problems.append(f"The backup is on this host, {here}; its copy off the host failed: {error}")
    return problems


def _copy_one(settings: Settings, backup: Backup) -> None:
    place = shown(settings.restic.repository)
    if (backup.manifest["off_host"] or {}).get("repository") != place:
        check_files(backup.folder, backup.manifest["files"])
        copied = copy(settings, backup)
        backup.manifest.update(update_manifest(backup.folder, lambda _: {"off_host": copied}))
    if settings.restic.only:
        with alone_in(backup.folder) as unused:
            if unused:  # otherwise the next run does it
                strip(settings, backup)


def strip(settings: Settings, backup: Backup) -> None:
    """Remove a plain dump whose copy was fetched and found equal; its manifest stays."""
    with fetched(settings, backup.manifest["off_host"]["snapshot"]) as folder:
        try:
            check_files(folder, backup.manifest["files"])
        except BackupError as error:
            place = shown(settings.restic.repository)
            raise BackupError(f"the copy of {backup.id} at {place} differs from the backup: {error}") from error
    for path in backup.folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != FILE:
            path.unlink()


def prune(settings: Settings, store: Store) -> tuple[list[str], str]:
    """Remove the backups that no rule keeps; return their ids, and the reason if a wrong clock prevents removal."""
    backups = store.backups()
    if problem := clock_problem(backups, utc_now()):
        return [], f"Nothing was removed: {problem}."
    return [backup.id for backup in to_remove(backups, settings.keep) if store.remove(backup)], ""


def to_remove(backups: Sequence[Backup], keep: Mapping[str, int]) -> list[Backup]:
    """Return the backups that no rule keeps.

    The rules count backups and periods with a backup, like restic, so a clock that jumped ahead makes no backup old:
    `days` counts back from the newest backup, and only keeps more. The newest verified backup always stays. Damaged
    backups are never counted or removed, because a person must inspect them.

    Args:
        backups: the backups of one database.
        keep: last, days, daily, weekly, monthly; 0 or missing keeps nothing by that rule. Empty keeps everything.
    """
    if not keep:
        return []
    going: list[Backup] = []
    for whole in (True, False):
        chain = [b for b in backups if not b.damage and b.manifest["status"] == "verified" and b.whole is whole]
        going += _of_chain(sorted(chain, key=lambda backup: backup.number, reverse=True), keep)
    return going


def _of_chain(newest_first: list[Backup], keep: Mapping[str, int]) -> list[Backup]:
    if not newest_first:
        return []
    kept = {backup.id for backup in newest_first[: max(1, keep.get("last", 0))]}
    since = newest_first[0].finished - timedelta(days=keep.get("days", 0))
    if keep.get("days", 0):
        kept |= {backup.id for backup in newest_first if backup.finished >= since}
    for rule, period_of in _PERIODS.items():
        periods: set[object] = set()
        for backup in newest_first:
            period = period_of(backup.finished)
            if period not in periods and len(periods) < keep.get(rule, 0):
                periods.add(period)
                kept.add(backup.id)
    return [backup for backup in newest_first if backup.id not in kept]


def clock_problem(backups: Sequence[Backup], now: datetime) -> str:
    """Return why the clock cannot be trusted for removing backups; empty where it can."""
    ahead = [backup for backup in backups if not backup.damage and backup.finished > now + timedelta(minutes=5)]
    if not ahead:
        return ""
    return (
        f"{ahead[-1].id} was finished at {ahead[-1].finished:%Y-%m-%d %H:%M} UTC, and this host's clock says "
        f"{now:%Y-%m-%d %H:%M}: one of them is wrong, so no backup was removed"
    )
