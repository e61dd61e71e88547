# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The TCP port of an embedded server: which are allowed, which is free, who has a taken one."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from pathlib import Path

from .files import EmbeddedError, read_text, short_hash

HOST = "127.0.0.1"
_AUTOMATIC = range(20000, 32000)
"""Below the ports that Linux (32768) and macOS (49152) hand out for outgoing connections."""
_LISTENING = "0A"


def check_port(port: int) -> None:
    """Refuse a port that an ordinary user cannot listen on; 0 is none yet."""
    if port and port not in range(1024, 65536):
        raise EmbeddedError(
            f"Port {port} cannot be used: an embedded server listens on 1024 to 65535; nothing was changed; "
            "set postgresql_embedded_port to such a port, or to 0 to have a free one chosen."
        )


def port_is_taken(port: int) -> bool:
    """Tell whether a server could not listen on a port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as PostgreSQL does
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
    """Refuse a port on which another program listens, by that program's name."""
    if port_is_taken(port):
        raise EmbeddedError(
            f"Port {port} is taken by {port_holder(port)}, so the embedded server cannot listen there; nothing was "
            "changed; stop that program, or set postgresql_embedded_port to a free port."
        )


def port_holder(port: int) -> str:
    """Name the program that listens on a port, such as "postgres (process 4711)", where the system shows it."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        rows = [row.split() for row in read_text(Path("/proc/net", table)).splitlines()]
        sockets |= {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == _LISTENING}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it is another user's, or has ended since
            if any(str(descriptor.readlink()) in sockets for descriptor in (process / "fd").iterdir()):
                return f"{read_text(process / 'comm').strip() or 'a program'} (process {process.name})"
    return "a program of another user"
