# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The manifest of a backup: its contents and their proof, as a JSON file with its own checksum."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .errors import BackupError
from .owner import give

FILE = "manifest.json"
DUMP = "database.dump"  # a file in the custom format, a folder in the directory format
GLOBALS = "globals.sql"
CATALOG = "catalog.json"  # kind, name and definition of every object; a backup of an earlier release has none
FORMAT = 1
ID = re.compile(r"(?P<database>[a-z_][a-z0-9_]{0,62})_backup_(?P<time>\d{8}_\d{6})")
_REQUIRED = ("id", "number", "status", "database", "tables", "files", "dump", "finished_at", "checksum")


def new_id(database: str, now: datetime) -> str:
    """Return the name of a backup that begins at a time (UTC)."""
    return f"{database}_backup_{now:%Y%m%d_%H%M%S}"


def utc_now() -> datetime:
    """Return the time, in UTC and whole seconds."""
    return datetime.now(timezone.utc).replace(microsecond=0)  # noqa: UP017 - Ubuntu 22.04 has Python 3.10


def checksum(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest's content without its own checksum."""
    content = {key: value for key, value in manifest.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a backup.

    Raises:
        BackupError: where it is missing or differs from the written one.
    """
    path = folder / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BackupError(f"{path} is missing: the backup {folder.name} is incomplete") from error
    except (OSError, ValueError) as error:
        raise BackupError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is damaged'}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or any(key not in found for key in _REQUIRED):
        raise BackupError(f"{path} is not a manifest of format {FORMAT}")
    if found["checksum"] != checksum(found):
        raise BackupError(f"{path} was changed after it was written: its checksum differs")
    if found["id"] != folder.name.removesuffix(".partial"):
        raise BackupError(f"{path} is the manifest of {found['id']}, not of {folder.name}")
    return found


def claimed_number(folder: Path) -> int:
    """Return the number that a damaged manifest still holds; 0 where it holds none."""
    try:
        return int(json.loads((folder / FILE).read_text(encoding="utf-8"))["number"])
    except (OSError, ValueError, TypeError, KeyError):
        return 0


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of a backup atomically, owned by the owner of the folder."""
    content = dict(manifest)
    content["checksum"] = checksum(content)
    descriptor, name = tempfile.mkstemp(prefix=f".{FILE}-", dir=folder)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=1, sort_keys=True, ensure_ascii=False)
            stream.write("\n")
            stream.flush()
            give(descriptor, folder)
            os.fsync(descriptor)
        Path(name).replace(folder / FILE)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(folder)


def update_manifest(folder: Path, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> dict[str, Any]:
    """Change fields of the current manifest, one writer at a time, and return it.

    Args:
        folder: the backup.
        change: returns the changed fields from the current manifest.
    """
    while read_manifest(folder):
        with (folder / FILE).open(encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if os.fstat(stream.fileno()).st_ino != (folder / FILE).stat().st_ino:
                continue  # replaced while we waited
            manifest = read_manifest(folder)
            manifest |= change(manifest)
            write_manifest(folder, manifest)
            return manifest
    raise AssertionError  # a manifest is never empty


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that its names survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
