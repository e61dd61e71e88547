# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Says which repeatable files (views, functions) are to be applied again.

Pure functions on plain data.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def due(repeatable: Sequence[Row], repeated: Sequence[Row]) -> list[Row]:
    """Return the repeatable files to apply, in order.

    A file is due when its content is another than the one applied last, and when one that it depends on is due:
    whatever that one drops and makes anew may have taken this one with it.

    Args:
        repeatable: entries of the catalog, in their order.
        repeated: the newest history row of each repeatable file.
    """
    applied = {row["name"]: row["sha256"] for row in repeated}
    names: set[str] = set()
    chosen = []
    for entry in repeatable:
        if applied.get(entry["name"]) != entry["sha256"] or names & set(entry["depends"]):
            names.add(entry["name"])
            chosen.append(entry)
    return chosen


def in_order(depends: Mapping[str, Sequence[str]]) -> list[str]:
    """Return names so that each comes after those it depends on, otherwise by name; those on a circle are left out.

    Args:
        depends: what each name depends on; names that are no key do not count.
    """
    left = {name: {other for other in others if other in depends} for name, others in depends.items()}
    followers: dict[str, list[str]] = {name: [] for name in depends}
    for name, others in left.items():
        for other in others:
            followers[other].append(name)
    ready = sorted(name for name, others in left.items() if not others)
    order: list[str] = []
    while ready:
        order.append(heapq.heappop(ready))
        for name in followers[order[-1]]:
            left[name].discard(order[-1])
            if not left[name]:
                heapq.heappush(ready, name)
    return order
