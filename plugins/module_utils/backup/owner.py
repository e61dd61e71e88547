# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""File ownership: a restore runs as root, and gives all files in the store to the user who takes the backups."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def become(user: pwd.struct_passwd) -> None:
    """Switch this process to another user permanently."""
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ.update({"USER": user.pw_name, "LOGNAME": user.pw_name, "HOME": user.pw_dir})
    os.chdir("/")


def owner_of(folder: Path) -> pwd.struct_passwd | None:
    """Return the owner of a folder where we are root and it belongs to another user; None otherwise."""
    if os.geteuid() != 0 or not folder.exists() or not folder.stat().st_uid:
        return None
    try:
        return pwd.getpwuid(folder.stat().st_uid)
    except KeyError:  # a volume of another host
        return None


def give(target: Path | int, folder: Path) -> None:
    """Change the owner of a file or an open descriptor to the owner of a folder."""
    found = folder.stat()
    if os.geteuid() == 0 and found.st_uid:
        os.chown(target, found.st_uid, found.st_gid)
