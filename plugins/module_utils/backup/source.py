# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a backup comes from that is to be read: the folder on this host, or the copy off it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import BackupError
from .manifest import read_manifest
from .owner import give
from .restic import fetch, snapshot_of
from .settings import DISK, LATEST, OFF_HOST, Request, Settings
from .store import FETCHED, Backup, Store, alone_in


@contextmanager
def obtained(settings: Settings, request: Request) -> Iterator[Backup]:
    """Provide the backup that is asked for, with all of its files, for as long as the block lasts.

    Raises:
        BackupError: where it is in neither place, or damaged.
    """
    name, source = request.backup, request.source
    store = Store(settings)
    here: Backup | None = None
    if source != OFF_HOST:
        try:
            here = store.find(name)
        except BackupError:
            if source == DISK or not settings.restic.repository:
                raise
    # Files that are gone although there is no copy were taken by somebody: verifying says which.
    if here and (source == DISK or here.has_files or not here.manifest["off_host"]):
        with store.in_use(here):
            yield here
        return
    if not settings.restic.repository:
        raise BackupError(f"There is no repository off the host (backup_restic_repository), so {name} cannot be there.")
    wanted = here.id if here else name
    with fetched(settings, snapshot_of(settings, None if wanted == LATEST else wanted)) as folder:
        yield Backup(folder, read_manifest(folder))


@contextmanager
def fetched(settings: Settings, snapshot: str) -> Iterator[Path]:
    """Provide a copy from off the host in a folder that is gone when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix=FETCHED, dir=settings.directory))
    give(folder, settings.directory)
    with alone_in(folder):
        try:
            yield fetch(settings, snapshot, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
