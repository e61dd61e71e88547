# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the repeatable files (views, functions) to apply again.

Pure functions on plain data.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def due(repeatable: Sequence[Row], repeated: Sequence[Row]) -> list[Row]:
    """Return the repeatable files to apply, in order.

    A file is due when its content differs from the last applied one, or when a file that it depends on is due: that
    file may drop and recreate its objects, and the drop may cascade to the objects of this file.

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
    """Return names sorted by dependencies, then by name; leave out names on a cycle.

    Args:
        depends: the dependencies of each name; dependencies that are no key are ignored.
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
