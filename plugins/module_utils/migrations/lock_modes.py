# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lock modes of PostgreSQL and which of them do not go together: for the controller and for the host alike.

Which statement takes which of them is known to `migration_locks`, which needs a parser and so the controller.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class Mode(IntEnum):
    """A mode of a lock on a relation, by PostgreSQL's own number; the greater, the stronger."""

    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    @property
    def sql(self) -> str:
        """Return its name in LOCK TABLE and in the documentation."""
        return self.name.replace("_", " ")

    @property
    def in_pg_locks(self) -> str:
        """Return its name in pg_locks.mode."""
        return f"{self.sql.title().replace(' ', '')}Lock"

    @property
    def blocks(self) -> str:
        """Return what an application cannot do meanwhile."""
        waits = [words for mode, words in APPLICATION.items() if mode in CONFLICTS[self]]
        return " and ".join(word for word in waits if word != "locking rows" or "reading" not in waits) or "nothing"


# PostgreSQL's table of conflicts (chapter 13.3.1 of its documentation).
CONFLICTS = {
    Mode.ACCESS_SHARE: frozenset(Mode(n) for n in (8,)),
    Mode.ROW_SHARE: frozenset(Mode(n) for n in (7, 8)),
    Mode.ROW_EXCLUSIVE: frozenset(Mode(n) for n in (5, 6, 7, 8)),
    Mode.SHARE_UPDATE_EXCLUSIVE: frozenset(Mode(n) for n in (4, 5, 6, 7, 8)),
    Mode.SHARE: frozenset(Mode(n) for n in (3, 4, 6, 7, 8)),
    Mode.SHARE_ROW_EXCLUSIVE: frozenset(Mode(n) for n in (3, 4, 5, 6, 7, 8)),
    Mode.EXCLUSIVE: frozenset(Mode(n) for n in (2, 3, 4, 5, 6, 7, 8)),
    Mode.ACCESS_EXCLUSIVE: frozenset(Mode),
}
# What an application does, by the lock that it takes: SELECT; INSERT, UPDATE, DELETE; SELECT FOR UPDATE or SHARE.
APPLICATION = {
    Mode.ACCESS_SHARE: "reading",
    Mode.ROW_EXCLUSIVE: "writing",
    Mode.ROW_SHARE: "locking rows",
}
BY_NAME = {mode.in_pg_locks: mode for mode in Mode}


def waits_for(need: Mapping[str, Any]) -> frozenset[Mode]:
    """Return the modes that a statement waits for until nobody else holds them.

    Args:
        need: a lock of the statement as `migration_locks` describes it. `mode` is the mode that is taken; `waits`,
            where it is there, is one more that is waited for as if it were taken: CREATE INDEX CONCURRENTLY takes
            SHARE UPDATE EXCLUSIVE, and waits for the end of all whom SHARE would wait for.
    """
    return frozenset().union(*(CONFLICTS[BY_NAME[need[key]]] for key in ("mode", "waits") if need.get(key)))
