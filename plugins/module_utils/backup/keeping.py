# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What happens to backups once they are there: copied off the host, stripped of a plain dump, removed.

All of it under the lock of the store.
"""

from __future__ import annotations

import shutil

from .archive import check_files
from .errors import BackupError, DamagedError
from .manifest import FILE, update_manifest, utc_now
from .restic import copy, ensure, fetched, forget, shown
from .retention import clock_problem, to_remove
from .settings import Settings
from .store import Backup, Store, alone_in


def copy_missing(settings: Settings, store: Store) -> list[str]:
    """Copy every backup that has no copy off the host yet; return what went wrong."""
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
            except DamagedError as error:  # the others have to go all the same
                problems.append(f"{backup.id} was not copied off the host, as it is damaged: {error}.")
        forget(settings, settings.keep)
    except BackupError as error:
        here = "plain, as its copy is not proven" if settings.restic.only else "and verified"
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
            if unused:  # else the next run does it
                strip(settings, backup)


def strip(settings: Settings, backup: Backup) -> None:
    """Remove a plain dump whose copy was fetched back and found to be the same; its manifest stays."""
    with fetched(settings, backup.manifest["off_host"]["snapshot"]) as folder:
        try:
            check_files(folder, backup.manifest["files"])
        except BackupError as error:
            place = shown(settings.restic.repository)
            raise BackupError(f"the copy of {backup.id} at {place} is not the backup: {error}") from error
    for path in backup.folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != FILE:
            path.unlink()


def prune(settings: Settings, store: Store) -> tuple[list[str], str]:
    """Remove the backups that no rule keeps; return their ids, and why none was removed where the clock is wrong."""
    backups = store.backups()
    if problem := clock_problem(backups, utc_now()):
        return [], f"Nothing was removed: {problem}."
    return [backup.id for backup in to_remove(backups, settings.keep) if store.remove(backup)], ""
