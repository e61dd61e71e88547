# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares the definitions of a database with those of a release in a scratch database, and reports the differences.

Ignores table rows, owners, privileges and settings of an administrator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .check import difference, in_parts, singular, what_of
from .definition import Key, canonical
from .promise import table_of

MISSING, MORE, OTHER = "missing", "not in the release", "other"
MOST_LINES = 40

Difference = dict[str, str]  # kind, name, state and, of OTHER, words


def differences(live: Mapping[Key, str], made: Mapping[Key, str]) -> list[Difference]:
    """Return the differences; a table on one side only stands for all its parts, too.

    Args:
        live: definitions of the database.
        made: definitions of the scratch database.
    """
    found = []
    for kind, key in sorted({*live, *made}):
        if kind == "comments" and what_of(kind, key).startswith("extension "):
            continue  # the role database creates extensions, also after an adoption
        ours, theirs = made.get((kind, key)), live.get((kind, key))
        if ours is None or theirs is None:
            table = ("tables", (table_of(kind, key) or "",))
            if (table in live) != (table in made):  # the table stands for its parts
                continue
            state = words = MISSING if theirs is None else MORE
        elif canonical(kind, ours) == canonical(kind, theirs):
            continue
        else:
            state, words = OTHER, "expected {}, found {}".format(*difference(kind, ours, theirs))
        name = f"{singular(kind)} {what_of(kind, key)}".removeprefix("object ")
        found.append({"name": name, "state": state, "words": words})
    return found


def halves(before: Sequence[Difference], after: Sequence[Difference]) -> tuple[list[str], list[str], list[str]]:
    """Return the existing, missing and differing objects of the next migration.

    Args:
        before: the differences from the scratch database.
        after: the differences after that migration was applied there too.
    """
    more = {one["name"] for one in before if one["state"] == MORE}
    known = {one["name"] for one in before}
    left = {one["name"]: one["state"] for one in after}
    there = [name for name in sorted(more) if name not in left]
    other = [name for name in sorted(more) if left.get(name) == OTHER]
    missing = [name for name, state in left.items() if name not in known and state in (MISSING, OTHER)]
    return there, missing, other


def refusal(
    database: str,
    version: str,
    found: Sequence[Difference],
    after: Sequence[Difference] | None = None,
    following: tuple[str, str] = ("", ""),
) -> list[str]:
    """Return the lines of a refusal to adopt a database; none where nothing differs.

    Args:
        database: name of the database.
        version: the version that the user gave for it.
        found: the differences.
        after: the remaining differences after the next migration was applied to the scratch database too.
        following: version and file name of that migration.
    """
    if not found:
        return []
    lines = [
        f"The database {database} does not match the release at {version}, so it was not adopted. Nothing was "
        f"changed. {len(found)} of its definitions differ from a scratch database at {version}:"
    ]
    there, missing, other = halves(found, after) if after is not None else ([], [], [])
    shown = [f"  {one['name']}: {one['words']}" for one in found if one["name"] not in (*there, *other)]
    lines += shown[:MOST_LINES] + ([f"  and {len(shown) - MOST_LINES} more"] if len(shown) > MOST_LINES else [])
    advice = f"make them equal by hand, or name the version that {database} is at (-e migrations_baseline=...)"
    if there or other:
        whole = not missing and not other
        lines.append(f"  {following[1]} is {'fully' if whole else 'partly'} applied. {in_parts(there, missing, other)}")
        if whole:
            advice = f"name the version that {database} is at: -e migrations_baseline={following[0]}"
        else:
            advice = f"complete {following[1]} by hand, or roll it back; or {advice}"
    lines.append(f"Next: {advice}. {word_of_an_operator()}")
    return lines


def word_of_an_operator() -> str:
    """Return the instruction for adopting a database without proof."""
    return (
        "To adopt it as it is, without this comparison (the history records the reason): "
        "-e migrations_baseline_unproven=true -e \"migrations_reason='...'\"."
    )
