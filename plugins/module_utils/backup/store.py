# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The folder of the backups: its content, its lock, and the publication of a backup.

A backup is written under a name that ends in .partial. After it was read back, a rename gives it its final name. The
next run removes leftovers of a killed run, under the lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from .errors import BackupError
from .manifest import DUMP, FILE, ID, claimed_number, read_manifest, sync_folder, utc_now
from .owner import give
from .settings import LATEST, Settings

PARTIAL = ".partial"
FETCHED = ".fetched-"  # prefix of a folder for a copy from off the host; its user holds a lock on it
LOCK = ".lock"
CHUNK = 1 << 20
KILO = 1000
MOST_SPACE = 1.25  # a dump may be larger than the last one by this factor


@dataclass(frozen=True)
class Backup:
    """A finished backup.

    Attributes:
        folder: its folder.
        manifest: its manifest; empty where it cannot be read.
        damage: why the manifest cannot be read; empty where it can.
    """

    folder: Path
    manifest: dict[str, Any] = field(default_factory=dict)
    damage: str = ""

    @property
    def id(self) -> str:
        """Name of the backup."""
        return self.folder.name

    @property
    def whole(self) -> bool:
        """Whether it holds the whole database and was verified."""
        return not self.damage and self.manifest["status"] == "verified" and self.manifest["scope"] == "database"

    @property
    def number(self) -> int:
        """Its sequence number among the backups, which does not depend on the clock."""
        return int(self.manifest.get("number", 0))

    @property
    def finished(self) -> datetime:
        """The time of its completion (UTC)."""
        return datetime.fromisoformat(self.manifest["finished_at"])

    @property
    def has_files(self) -> bool:
        """Whether the dump is on this host, not only its manifest."""
        return bool((self.folder / DUMP).exists())

    @property
    def size(self) -> int:
        """The size of its files in bytes."""
        return sum(int(entry["size"]) for entry in self.manifest.get("files", {}).values())


class Store:
    """The backups of one database in a folder."""

    def __init__(self, settings: Settings) -> None:
        """See the class."""
        self.directory = settings.directory
        self.database = settings.database

    def check(self) -> None:
        """Refuse a folder to which no backup can be written.

        Raises:
            BackupError: with the path, its kind or owner, and the current user.
        """
        path = self.directory
        remedy = "No backup was made. Mount or create the folder, or correct backup_directory."
        if path.is_symlink():
            raise BackupError(f"{path} is a symbolic link to {path.readlink()}: name the folder itself. {remedy}")
        if not path.exists():
            raise BackupError(f"The folder of the backups, {path}, does not exist. {remedy}")
        if not path.is_dir():
            raise BackupError(f"The folder of the backups, {path}, is a file. {remedy}")
        # Not os.access: it grants root the write access that a read-only file system refuses.
        probe = path / f".probe-{os.getpid()}"
        try:
            probe.touch(mode=0o600, exist_ok=False)
            probe.unlink()
        except OSError as error:
            owner = path.stat()
            raise BackupError(
                f"The folder of the backups, {path}, cannot be written to by the user id {os.geteuid()}: "
                f"{error.strerror} (owner {owner.st_uid}, mode {owner.st_mode & 0o7777:04o}). {remedy}"
            ) from error

    @contextmanager
    def locked(self, action: str) -> Iterator[int]:
        """Hold the lock of the folder; yield its descriptor, which a program that may outlive us must inherit.

        Raises:
            BackupError: where another process holds it, with the holder and the time.
        """
        with (self.directory / LOCK).open("a+", encoding="utf-8") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                stream.seek(0)
                holder = stream.read().strip() or "an unknown process"
                raise BackupError(
                    f"Another run works on the backups in {self.directory}: {holder}. Nothing was changed. Wait "
                    "until it ends and run the same command again."
                ) from error
            stream.truncate(0)
            stream.write(f"{action}, pid {os.getpid()}, since {utc_now():%Y-%m-%d %H:%M:%S} UTC\n")
            stream.flush()
            os.fchmod(stream.fileno(), 0o600)
            give(stream.fileno(), self.directory)
            yield stream.fileno()

    @contextmanager
    def in_use(self, backup: Backup) -> Iterator[None]:
        """Protect a backup from removal while it is read; several readers are possible."""
        descriptor = os.open(backup.folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    def backups(self) -> list[Backup]:
        """Return all finished backups of the database, damaged ones first, then in the order of their creation."""
        found = []
        for path in sorted(self.directory.iterdir() if self.directory.is_dir() else ()):
            match = ID.fullmatch(path.name)
            if not match or match["database"] != self.database or path.is_symlink() or not path.is_dir():
                continue
            try:
                found.append(Backup(path, read_manifest(path)))
            except BackupError as error:
                found.append(Backup(path, damage=str(error)))
        return sorted(found, key=lambda backup: (backup.number, backup.id))

    def find(self, name: str) -> Backup:
        """Return a backup by its id; `latest` is the newest verified one of the whole database."""
        backups = self.backups()
        if name == LATEST:
            whole = [backup for backup in backups if backup.whole]
            if not whole:
                raise BackupError(
                    f"There is no verified backup of the whole database {self.database} in {self.directory}."
                    + (f" The existing backups are damaged or of single tables: {_names(backups)}." if backups else "")
                )
            return whole[-1]
        for backup in backups:
            if backup.id == name:
                if backup.damage:
                    raise BackupError(f"The backup {name} cannot be used: {backup.damage}.")
                return backup
        raise BackupError(
            f"There is no backup {name} of {self.database} in {self.directory}. There are: {_names(backups) or 'none'}."
        )

    def newer_damaged(self, number: int) -> list[Backup]:
        """Return the damaged backups that are, or may be, newer than a number."""
        known = [backup.id for backup in self.backups() if not backup.damage and backup.number <= number]
        return [
            backup
            for backup in self.backups()
            if backup.damage and (claimed_number(backup.folder) > number or backup.id > max(known, default=""))
        ]

    def remove_partials(self) -> list[str]:
        """Remove the leftovers of killed runs; the caller must hold the lock."""
        removed = []
        for path in self.directory.glob(f"*{PARTIAL}"):
            if ID.fullmatch(path.name.removesuffix(PARTIAL)) and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
                removed.append(path.name)
        for path in self.directory.glob(f"{FETCHED}*"):
            with alone_in(path) as unused:
                if unused:
                    shutil.rmtree(path)
                    removed.append(path.name)
        return removed

    def make_partial(self, name: str) -> Path:
        """Create the folder to which a backup is written."""
        folder = self.directory / f"{name}{PARTIAL}"
        folder.mkdir(mode=0o700)
        return Path(folder)

    def publish(self, partial: Path) -> Path:
        """Give a backup its final name, in a way that survives a power failure."""
        folder = partial.with_name(partial.name.removesuffix(PARTIAL))
        partial.rename(folder)
        sync_folder(self.directory)
        return folder

    def remove(self, backup: Backup) -> bool:
        """Remove a backup unless a process reads it; return whether it was removed.

        The folder is renamed first, so that a partly removed backup never counts as a backup.
        """
        with alone_in(backup.folder) as unused:
            if unused:
                partial = backup.folder.with_name(f"{backup.id}{PARTIAL}")
                backup.folder.rename(partial)
                sync_folder(self.directory)
                shutil.rmtree(partial)
        return unused

    def check_space(self, database_size: int, backups: list[Backup]) -> None:
        """Refuse a backup whose dump will probably not fit.

        Args:
            database_size: size of the database in bytes.
            backups: the existing backups; the last whole one is a better estimate than the database's size.
        """
        last = next((backup for backup in reversed(backups) if backup.whole and backup.size), None)
        needed = int(last.size * MOST_SPACE) if last else database_size
        free = shutil.disk_usage(self.directory).free
        if free < needed:
            by = f"the last one, {last.id}, has {size_text(last.size)}" if last else "that is the database's size"
            raise BackupError(
                f"{self.directory} has {size_text(free)} free, and a backup may need {size_text(needed)} ({by}). "
                "Free space there, or lower backup_keep."
            )


@contextmanager
def alone_in(folder: Path) -> Iterator[bool]:
    """Tell whether no other process uses a folder, and keep it so during the block.

    A lock ends with its process, so no stale lock can remain.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        alone = True
    except BlockingIOError:
        alone = False
    try:
        yield alone
    finally:
        os.close(descriptor)


def sha256_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of every file of a backup but its manifest, by its path in the folder."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise BackupError(f"{path} is neither a file nor a folder and does not belong to the backup")
        if path.is_file() and not path.name.startswith((FILE, f".{FILE}-")):  # the latter is of a killed writer
            total = hashlib.sha256()
            with path.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    total.update(chunk)
                files[str(path.relative_to(folder))] = {
                    "size": os.fstat(stream.fileno()).st_size,
                    "sha256": total.hexdigest(),
                }
    return files


def sync_files(folder: Path) -> None:
    """Sync the files of a backup, so that they survive a power failure."""
    for path in (folder, *folder.rglob("*")):
        sync_folder(path)  # fsync also works on files


def size_text(size: float) -> str:
    """Return a size in bytes as readable text."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < KILO:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= KILO
    return f"{size:.1f} TB"


def _names(backups: list[Backup]) -> str:
    return ", ".join(backup.id for backup in backups)
