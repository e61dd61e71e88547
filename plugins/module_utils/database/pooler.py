# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Detects a connection pooler in transaction mode between a client and the server.

Behind such a pooler, two statements of one client session may reach different server sessions. Locks and settings of a
run may then end up in the session of another client.
"""

from __future__ import annotations

import secrets
from typing import Any

SIGN = "SELECT set_config('physioflow.sign', %(sign)s, false), pg_backend_pid() AS pid"
LOOK = "SELECT current_setting('physioflow.sign', true) AS sign, pg_backend_pid() AS pid"
TURNS = "sffsfs"  # order of the checks; neither a pool of one nor a round-robin pool passes all of them
POOLED = (
    "A connection pooler in transaction mode (such as PgBouncer) is between this run and the server: two "
    "statements of one session reached different sessions of the server. Locks and settings would be lost. "
    "Set login_host and login_port of the connection to the server itself, or to a pool in session mode."
)


def is_pooled(first: Any, second: Any) -> bool:
    """Tell whether statements of two sessions reach sessions of the server other than their own.

    Args:
        first: cursor of one connection in autocommit.
        second: cursor of another one.
    """
    signs: dict[str, tuple[Any, str]] = {"f": (first, secrets.token_hex(8)), "s": (second, secrets.token_hex(8))}
    pids: dict[str, int] = {}
    for who, (cursor, sign) in signs.items():
        cursor.execute(SIGN, {"sign": sign})
        pids[who] = dict(cursor.fetchone())["pid"]
    for who in TURNS:
        cursor, sign = signs[who]
        cursor.execute(LOOK)
        found = dict(cursor.fetchone())
        if (found["sign"], found["pid"]) != (sign, pids[who]):
            return True
    return bool(pids["f"] == pids["s"])
