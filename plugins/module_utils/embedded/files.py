# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files and folders: replaced in one step, removed, locked. Also the error that every part raises."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARKER = ".physioflow-embedded.json"
"""The file that makes a folder ours; half-made files of a killed run begin with this name too."""


class EmbeddedError(Exception):
    """An error that ends the module; its text is the whole message for the user."""


def write_file(path: Path, text: str, mode: int = 0o644, owner: pwd.struct_passwd | None = None) -> None:
    """Replace a file atomically, with its final mode from the beginning."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=MARKER, delete=False) as stream:
        if owner:
            os.fchown(stream.fileno(), owner.pw_uid, owner.pw_gid)
        os.fchmod(stream.fileno(), mode)
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    Path(stream.name).replace(path)


def read_text(path: Path) -> str:
    """Return a text file's content, empty where there is no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def make_link(path: Path, target: str) -> None:
    """Point a symbolic link at a target atomically, also where it pointed elsewhere."""
    fresh = path.with_name(f"{MARKER}.link")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(path)


def link_is(path: Path, target: str) -> bool:
    """Tell whether a path is a symbolic link to exactly this target."""
    return path.is_symlink() and str(path.readlink()) == target


def remove(path: Path) -> None:
    """Remove a file, a link (not its target) or a folder with its content, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def nearest_existing(path: Path) -> Path:
    """Return the path itself or the first folder above it that exists."""
    return next(step for step in (path, *path.parents) if os.path.lexists(step))


def short_hash(text: str) -> str:
    """Return the first 12 hexadecimal digits of a text's SHA-256, for a folder's name."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


@contextmanager
def locked(folder: Path, seconds: float = 300) -> Iterator[None]:
    """Lock an existing folder against a concurrent run; the lock ends with this process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    end = time.monotonic() + seconds
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > end:
                    raise EmbeddedError(
                        f"Another run has used {folder} for more than {seconds:.0f} s; nothing was changed; "
                        "wait until it ends, or end it, then run again."
                    ) from error
            time.sleep(0.2)
        yield
    finally:
        os.close(descriptor)
