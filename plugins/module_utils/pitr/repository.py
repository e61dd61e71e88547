# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what pgBackRest says of its repository: the backups, the spans of time that can be reached, and the gaps.

A point in time can be reached if a backup was complete before it, and every WAL segment from the beginning of that
backup to the point is in the repository. `pgbackrest info` names only the first and the last segment, so the segments
are listed. No function does I/O of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# Timeline, log and segment, each of eight hexadecimal digits (PostgreSQL: XLogFileName). `.partial` is not complete.
SEGMENT = re.compile(r"(?:.*/)?([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})-[0-9a-f]{40}(?:\.\w+)?")
SEGMENT_BYTES = 16 << 20  # of our clusters, PostgreSQL's default
LOG_BYTES = 1 << 32  # of WAL in one log number
SHOWN = "%Y-%m-%d %H:%M:%S"


class RefusedError(Exception):
    """The point in time cannot be reached; the text says why and what can be."""


@dataclass(frozen=True)
class Backup:
    """A backup in the repository.

    Attributes:
        label: pgBackRest's name of it.
        kind: full, diff or incr.
        stop: when it was complete, in seconds since 1970.
        first, last: numbers of the WAL segments that it needs.
        lsn: of its end.
        size: bytes of the database.
    """

    label: str
    kind: str
    stop: int
    first: int
    last: int
    lsn: int
    size: int


@dataclass(frozen=True)
class Span:
    """A span of time of which every moment can be reached.

    Attributes:
        since, to: in seconds since 1970; the latter is when its last WAL arrived.
        last: number of the last segment.
        backups: the backups in it, the oldest first.
    """

    since: int
    to: int
    last: int
    backups: tuple[Backup, ...]


def segment_number(name: str, segment_bytes: int) -> int | None:
    """Return the place of a WAL segment in the log, the same on each timeline; None if it is not a complete segment."""
    match = SEGMENT.fullmatch(name)
    return _number(match[2] + match[3], segment_bytes) if match else None


def _number(name: str, segment_bytes: int) -> int:
    return int(name[-16:-8], 16) * (LOG_BYTES // segment_bytes) + int(name[-8:], 16)


def lsn_number(text: str) -> int:
    """Return an LSN like `0/3000028` as a number."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def lsn_text(number: int) -> str:
    """Return a number as an LSN."""
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def read_backups(stanza: Mapping[str, Any], segment_bytes: int) -> list[Backup]:
    """Return the backups of a stanza that ended without an error, the oldest first.

    Args:
        stanza: an entry of `pgbackrest info --output=json`.
        segment_bytes: size of a WAL segment.
    """
    return [
        Backup(
            label=each["label"],
            kind=each["type"],
            stop=each["timestamp"]["stop"],
            first=_number(each["archive"]["start"], segment_bytes),
            last=_number(each["archive"]["stop"], segment_bytes),
            lsn=lsn_number(each["lsn"]["stop"]),
            size=each["info"]["size"],
        )
        for each in stanza.get("backup", [])
        if not each.get("error")
    ]


def read_segments(listing: Mapping[str, Any], segment_bytes: int) -> dict[int, int]:
    """Return when each segment arrived (seconds since 1970), by its number.

    Args:
        listing: result of `pgbackrest repo-ls --recurse --output=json` of the archive.
        segment_bytes: size of a WAL segment.
    """
    found: dict[int, int] = {}
    for name, entry in listing.items():
        number = segment_number(name, segment_bytes)
        if number is not None:
            found[number] = max(found.get(number, 0), entry["time"])
    return found


def read_repository(ask: Callable[..., str], stanza: str) -> tuple[list[Backup], dict[int, int]]:
    """Return the backups in the repository, and when each WAL segment arrived, by its number.

    Args:
        ask: runs pgBackRest with a command and its arguments, and returns what it prints.
        stanza: pgBackRest's name of the cluster.
    """
    backups: list[Backup] = []
    segments: dict[int, int] = {}
    for found in json.loads(ask("info", "--output=json")):
        backups += read_backups(found, SEGMENT_BYTES)
        for archive in found.get("archive", []):
            listed = ask("repo-ls", "--recurse", "--output=json", f"archive/{stanza}/{archive['id']}")
            segments |= read_segments(json.loads(listed), SEGMENT_BYTES)
    return backups, segments


def gaps(segments: Collection[int]) -> list[tuple[int, int]]:
    """Return the first and the last number of each gap between the segments."""
    ordered = sorted(segments)
    return [(before + 1, after - 1) for before, after in pairwise(ordered) if after > before + 1]


def spans(backups: Iterable[Backup], segments: Mapping[int, int]) -> list[Span]:
    """Return the spans of time that can be reached, the oldest first; a backup without its own WAL is in none."""
    missing = gaps(segments)
    found: dict[int, list[Backup]] = {}
    for backup in backups:
        if backup.first not in segments or any(backup.first <= start <= backup.last for start, _ in missing):
            continue
        end = min((start - 1 for start, _ in missing if start > backup.last), default=max(segments))
        if end >= backup.last:
            found.setdefault(end, []).append(backup)
    return [
        Span(min(each.stop for each in group), max(segments[end], group[-1].stop), end, tuple(group))
        for end, group in sorted(found.items())
    ]


def zone(name: str) -> tzinfo:
    """Return a time zone; refuse an unknown one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise RefusedError(
            f"The time zone {name} is unknown; pitr_timezone is a name like Asia/Ho_Chi_Minh."
        ) from error


def moment(text: str, where: tzinfo) -> datetime:
    """Return the moment that a user typed, in a time zone unless the text has its own."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise RefusedError(f"pitr_to is {text!r}; it is a time like '2026-02-11 10:30'.") from error
    return found if found.tzinfo else found.replace(tzinfo=where)


def shown(seconds: float, where: tzinfo) -> str:
    """Return a moment as a user reads it."""
    return datetime.fromtimestamp(seconds, where).strftime(SHOWN)


def reach(found: Sequence[Span], where: tzinfo) -> str:
    """Return the spans in a sentence."""
    if not found:
        return "No moment can be reached: there is no complete backup with its WAL."
    words = [f"{shown(span.since, where)} to {shown(span.to, where)}" for span in found]
    return f"It can be reached: {', '.join(words)} ({where})."


def backup_for_time(when: float, found: Sequence[Span], now: float, where: tzinfo) -> Backup:
    """Return the newest backup from which a moment can be reached.

    Args:
        when: the moment, in seconds since 1970.
        found: the spans.
        now: the clock of the host. WAL that was not archived yet counts, because the restore archives it first.
        where: time zone of the message.

    Raises:
        RefusedError: where the moment cannot be reached.
    """
    if when > now:
        raise RefusedError(f"{shown(when, where)} is in the future. {reach(found, where)}")
    for span in reversed(found):
        end = now if span is found[-1] else span.to
        usable = [backup for backup in span.backups if backup.stop <= when]
        if usable and when <= end:
            return max(usable, key=lambda backup: backup.stop)
    raise RefusedError(f"{shown(when, where)} cannot be reached. {reach(found, where)}")


def backup_for_lsn(lsn: str, found: Sequence[Span], where: tzinfo) -> Backup:
    """Return the newest backup from which a place in the log can be reached."""
    if not re.fullmatch(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}", lsn):
        raise RefusedError(f"pitr_lsn is {lsn!r}; an LSN is like 0/3000028.")
    usable = [backup for span in found for backup in span.backups if backup.lsn <= lsn_number(lsn)]
    if not usable:
        raise RefusedError(f"The LSN {lsn} is before the first backup. {reach(found, where)}")
    return max(usable, key=lambda backup: backup.lsn)


def listing(backups: Sequence[Backup], segments: Mapping[int, int], found: Sequence[Span], where: tzinfo) -> list[str]:
    """Return the lines of `-e pitr_list=true`."""
    lines = [f"{'backup':<36} {'complete':<19}  {'database':>10}"]
    lines += [
        f"{each.label:<36} {shown(each.stop, where)}  {each.size / 1_000_000:>7.1f} MB"
        + ("" if any(each in span.backups for span in found) else "  its WAL is missing: it cannot be restored")
        for each in backups
    ]
    lines += [
        f"WAL missing: {end - start + 1} segment{'s' * (end > start)} after {shown(segments[start - 1], where)}"
        for start, end in gaps(segments)
    ]
    return [*lines, reach(found, where)]
