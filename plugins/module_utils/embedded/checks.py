# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Refuses input that does not work for an embedded server: names, the folder, data of another version, the port."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .files import MARKER, EmbeddedError, nearest_existing, read_text, short_hash
from .settings import HOST

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_AUTOMATIC = range(20000, 32000)
"""Below the ports that Linux (32768) and macOS (49152) hand out for outgoing connections."""
_LISTENING = "0A"


def check_input(params: Mapping[str, Any]) -> None:
    """Refuse the first invalid parameter of the module, by the name of its variable."""
    check_path(params["directory"], "postgresql_embedded_directory")
    check_path(params["root_directory"], "postgresql_embedded_root_directory")
    check_port(params["port"])
    check_name(params["database"], "postgresql_embedded_database")
    if params["role"]:
        check_name(params["role"], "postgresql_embedded_role")


def check_path(path: str, variable: str) -> None:
    """Refuse the value of a variable that is no absolute folder name, or that PostgreSQL's programs cannot handle.

    pg_ctl puts the name between double quotes on a shell command line, and libpq reads it from one line.
    """
    remedy = f"nothing was changed; set {variable} to another folder."
    if not path.startswith("/"):
        raise EmbeddedError(f"The folder {path!r} is not an absolute path; {remedy}")
    if bad := sorted({char for char in path if char in "\"$`\\'" or not char.isprintable()}):
        named = " ".join(map(repr, bad))
        raise EmbeddedError(f"The folder {path!r} holds {named}, which PostgreSQL's programs misread; {remedy}")


def check_name(name: str, variable: str) -> None:
    """Refuse the value of a variable that is not the plain name of a role or database."""
    if not _NAME.fullmatch(name):
        raise EmbeddedError(
            f"The name {name!r} is invalid: a name has 1 to 63 of the characters a-z, 0-9 and _, the first not "
            f"a digit; nothing was changed; correct {variable}."
        )


def check_folder(directory: Path) -> None:
    """Refuse a folder that is not writable, holds other files without our marker, or belongs to another user."""
    remedy = "nothing was changed; set postgresql_embedded_directory to another folder"
    found = nearest_existing(directory)
    if not found.is_dir():
        raise EmbeddedError(f"{found} is not a folder, so {directory} cannot hold the embedded server; {remedy}.")
    if not os.access(found, os.R_OK | os.W_OK | os.X_OK):
        raise EmbeddedError(
            f"The folder {found} cannot be written by this user (uid {os.geteuid()}), so {directory} cannot hold "
            f"the embedded server; {remedy}, or change the folder's owner."
        )
    names = sorted(entry.name for entry in directory.iterdir()) if found == directory else []
    foreign = [name for name in names if not name.startswith(MARKER)]
    if MARKER not in names and foreign:
        raise EmbeddedError(
            f"The folder {directory} is not empty and was not created by this role (it holds {foreign[0]!r}); "
            f"{remedy}, or empty it."
        )
    if MARKER in names and (owner := (directory / MARKER).stat().st_uid) != os.geteuid():
        raise EmbeddedError(
            f"The embedded server in {directory} belongs to the user with uid {owner}, and this run has the uid "
            f"{os.geteuid()}; {remedy}, or run as that user."
        )


def check_data(data: Path, major: int) -> bool:
    """Tell whether there is a data folder, and refuse a damaged one or one of another major version.

    Old data are never overwritten.
    """
    if not data.exists():
        return False
    try:
        version = (data / "PG_VERSION").read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        version = ""
    if not re.fullmatch(r"[0-9.]{1,8}", version):
        raise EmbeddedError(
            f"{data} is not a complete PostgreSQL data folder (its PG_VERSION cannot be read); nothing was changed; "
            "restore it from a backup, or move it away to start with an empty server."
        )
    if version != str(major):
        raise EmbeddedError(
            f"{data} belongs to PostgreSQL {version}, and this release needs {major}; nothing was changed; set "
            "postgresql_embedded_directory to a new folder and restore a backup there."
        )
    return True


def check_port(port: int) -> None:
    """Refuse a port that an ordinary user cannot listen on; 0 means none yet."""
    if port and port not in range(1024, 65536):
        raise EmbeddedError(
            f"Port {port} cannot be used: an embedded server listens on 1024 to 65535; nothing was changed; "
            "set postgresql_embedded_port to such a port, or to 0 for a free port."
        )


def port_is_taken(port: int) -> bool:
    """Tell whether a server could not listen on a port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # like PostgreSQL
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.errno in (errno.EADDRINUSE, errno.EACCES)
    return False


def pick_port(directory: Path) -> int:
    """Choose a free port: the same one for the same folder, unless it is taken."""
    start = int(short_hash(str(directory)), 16) % len(_AUTOMATIC)
    candidates: list[int] = [*_AUTOMATIC[start:], *_AUTOMATIC[:start]]
    return next(port for port in candidates if not port_is_taken(port))


def check_port_is_free(port: int) -> None:
    """Refuse a port on which another program listens; name that program."""
    if port_is_taken(port):
        raise EmbeddedError(
            f"Port {port} is taken by {port_holder(port)}, so the embedded server cannot listen there; nothing was "
            "changed; stop that program, or set postgresql_embedded_port to a free port."
        )


def port_holder(port: int) -> str:
    """Return the program that listens on a port, such as "postgres (process 4711)", where the system shows it."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        rows = [row.split() for row in read_text(Path("/proc/net", table)).splitlines()]
        sockets |= {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == _LISTENING}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it belongs to another user, or has ended
            if any(str(descriptor.readlink()) in sockets for descriptor in (process / "fd").iterdir()):
                return f"{read_text(process / 'comm').strip() or 'a program'} (process {process.name})"
    return "a program of another user"
