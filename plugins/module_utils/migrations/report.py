# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reports the state of each migration, and reads the findings of squawk. Pure functions on plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .names import version_key

Row = Mapping[str, Any]


def states(
    catalog: Sequence[Row],
    applied: Sequence[Row],
    pending: Sequence[Row],
    *,
    in_doubt: Sequence[Row] = (),
    rolled_back: Sequence[Row] = (),
) -> list[dict[str, Any]]:
    """Return a row for each migration of the release and of the history, in the order in which they are applied.

    Args:
        catalog: entries of the release.
        applied: rows of the view migrations.applied.
        pending: entries that a deploy would apply.
        in_doubt: files without transaction whose beginning is recorded, but not their end.
        rolled_back: versions that were rolled back.

    Returns:
        `{version, name, state, depends, since}`. Any state but applied, pending, pending again and after the
        target is a contradiction.
    """
    entries = {entry["version"]: entry for entry in catalog}
    rows = {row["version"]: row for row in applied}
    waiting = {entry["version"] for entry in pending}
    doubtful = {row["version"] for row in in_doubt}
    back = {row["version"] for row in rolled_back}
    newest = max(map(version_key, rows), default=())

    def state(version: str) -> str:
        entry, row = entries.get(version), rows.get(version)
        if version in doubtful:
            return "in doubt"
        if row is not None:
            return _of_applied(row, entry)
        if version not in waiting:
            return "after the target"
        if version in back:
            return "pending again"
        return "late" if version_key(version) < newest else "pending"

    return [
        {
            "version": version,
            "name": (rows.get(version) or entries.get(version) or {"name": ""})["name"],
            "state": state(version),
            "depends": list(entries[version]["depends"]) if version in entries else [],
            "since": rows[version]["started_at"] if version in rows else "",
        }
        for version in sorted({*entries, *rows, *doubtful}, key=version_key)
    ]


def _of_applied(row: Row, entry: Row | None) -> str:
    if entry is None:
        return "missing"
    if entry["name"] != row["name"]:
        return "renamed"
    return "applied" if entry["sha256"] == row["sha256"] else "edited"


def read_squawk(output: str, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the findings of `squawk --reporter json`.

    Args:
        output: the output of squawk.
        names: the name of each path in messages.

    Raises:
        ValueError: where the output has another form.
    """
    return [
        {
            "file": names.get(one["file"], one["file"]),
            "line": one["line"] + 1,  # squawk counts from 0
            "rule": one["rule_name"],
            "message": one["message"],
            "help": one.get("help") or "",
        }
        for one in json.loads(output)
    ]
