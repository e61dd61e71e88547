# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the migrations that a database without history holds, by their promised objects and seeded rows."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from .check import NO_TABLE, Check, in_parts, singular
from .promise import BY_TABLE

# Objects that prove a migration. Extensions, collations and schemas may exist without it.
SURVEYED = ("types", "tables", "functions", *BY_TABLE, "seeds")
ABSENT = ("nothing of that name", "no such column", "missing", NO_TABLE)
MOST_NAMES = 8  # of one file in a sentence


@dataclass
class Holding:
    """The objects of one migration in a database."""

    version: str
    name: str
    there: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether all objects exist."""
        return not self.missing and not self.other

    @property
    def absent(self) -> bool:
        """Whether no object exists."""
        return bool(self.missing) and not self.there and not self.other

    def __str__(self) -> str:
        """Return the sentence for a partly applied migration."""
        return f"{self.name} is partly applied. {in_parts(self.there, self.missing, self.other, MOST_NAMES)}"


def corrections(documents: Iterable[Mapping[str, Any]]) -> frozenset[tuple[str, str]]:
    """Return file and table of the seeds that correct rows of earlier files.

    The keys of these rows exist before the file, so only their values prove it.
    """
    return frozenset((document["file"], table) for document in documents for table in _corrected(document))


def _corrected(document: Mapping[str, Any]) -> set[str]:
    """Return the tables of which a file corrects rows."""
    return {entry["table"] for entry in (document.get("withdraws") or {}).get("seeds") or ()}


def survey(checks: Iterable[Check], documents: Iterable[Mapping[str, Any]]) -> list[Holding]:
    """Return the existing objects of each migration that has promises to check.

    Args:
        checks: comparisons of promises of the kinds in `SURVEYED`.
        documents: the promise files with their `version`, `name` and `file`.
    """
    by_file: dict[str, list[Check]] = defaultdict(list)
    for check in checks:
        by_file[check.file].append(check)
    holdings = []
    for document in sorted(documents, key=lambda one: _key(one["version"])):
        if document["file"] in by_file:
            holding = Holding(document["version"], document["name"])
            for label, state in _labels(by_file[document["file"]], _corrected(document)):
                {"there": holding.there, "missing": holding.missing}.get(state, holding.other).append(label)
            holdings.append(holding)
    return holdings


def verdict(holdings: Sequence[Holding], baseline: str, tables: int, database: str) -> list[str]:
    """Return the lines of a refusal: the content of the database and the remedy; none where it may be adopted.

    Args:
        holdings: the existing objects of each migration, in order of version.
        baseline: the version that the user gave for the database; empty where none was given.
        tables: number of tables in schema public.
        database: name of the database.
    """
    whole = [*takewhile(lambda holding: holding.whole, holdings)]
    at = whole[-1].version if whole else ""
    rest = [holding for holding in holdings[len(whole) :] if not holding.absent]
    if baseline and not rest and all(one.whole == (_key(one.version) <= _key(baseline)) for one in holdings):
        return []
    holds = f"{tables} tables in schema public and no history of migrations"
    lines = [f"The database {database} has {holds}; this run applied no migration."]
    if whole:
        lines.append(f"  {_span(whole)} {'are' if len(whole) > 1 else 'is'} fully applied.")
    lines += [f"  {holding}" if not holding.whole else f"  {holding.name} is fully applied." for holding in rest]
    absent = [holding for holding in holdings if holding.absent]
    if absent and (whole or rest):
        lines.append(f"  {_span(absent)} {'are' if len(absent) > 1 else 'is'} not applied.")
    lines.append(f"Next: {_advice(at, baseline, rest, database, bool(holdings))}")
    return lines


def _key(version: str) -> list[int]:
    """Return the sort key of a version; versions of other tools have dots."""
    return [int(part) for part in re.findall(r"\d+", version)]


def _advice(at: str, baseline: str, rest: Sequence[Holding], database: str, promised: bool) -> str:
    """Return the remedy for a database without a history."""
    other_ways = (
        "or restore a backup that has its history (ansible-playbook playbooks/restore.yml), or deploy into another "
        "database (-e database_name=...)."
    )
    if rest:
        names = ", ".join(f"{holding.name}.sql" for holding in rest)
        return (
            f"bring {database} to one version by hand: complete {names}, or roll it back with psql and the file of "
            f"that name in rollbacks; then run the same command again; {other_ways}"
        )
    if not promised:
        return (
            f"the release has no promises in verify/, so its applied files are unknown. Adopt {database} with "
            "-e migrations_baseline=VERSION, the last applied one: every definition is compared with a scratch "
            f"database at that version, and the listed differences show the actual version; {other_ways}"
        )
    if not at:
        return f"it was not created by this release: {other_ways.removeprefix('or ')}"
    wrong = f"it is not at {baseline}: " if baseline else ""
    return f"{wrong}adopt it with -e migrations_baseline={at}, which compares every definition first; {other_ways}"


def _labels(checks: Sequence[Check], corrected: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the names of objects with their state; a table stands for all its parts.

    Corrected rows prove the correction together only: somebody may have corrected one of them by hand before.
    """
    own_tables = {check.what for check in checks if check.kind == "tables"}
    seeds: dict[str, Counter[bool]] = defaultdict(Counter)
    for check in checks:
        state = "there" if check.ok else "missing" if check.before or check.found in ABSENT else "other"
        if check.kind == "seeds":
            if check.needs and check.needs in own_tables:
                continue
            seeds[check.what.partition(" ")[0]][state == "there"] += 1
            continue
        table = check.what.partition(".")[0] if check.kind == "columns" else check.what.rpartition(" on ")[2]
        if check.kind in BY_TABLE and table in own_tables and (check.ok or check.needs):
            continue
        yield f"{singular(check.kind)} {check.what}", state
    for table, found in seeds.items():
        if found[False] and table in corrected:
            del found[True]
        if found[True]:
            yield f"{found[True]} seeded rows of {table}", "there"
        if found[False]:
            yield f"{'seeded rows' if not found[True] else f'{found[False]} seeded rows'} of {table}", "missing"


def _span(holdings: Sequence[Holding]) -> str:
    """Return `001`, or `001 to 009`."""
    first, last = holdings[0].version, holdings[-1].version
    return first if first == last else f"{first} to {last}"
