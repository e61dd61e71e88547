# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what pgBackRest says of its repository: the backups, the spans of time that can be reached, and the gaps.

A point in time can be reached if a backup was complete before it, and every WAL segment from the beginning of that
backup to the point is in the repository. `pgbackrest info` names only the first and the last segment, so the segments
are listed. A restored cluster goes on in a new timeline, whose history file says where it left the former one; a moment
belongs to the newest timeline that had begun. No function does I/O of its own.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# Timeline, log and segment, each of eight hexadecimal digits (PostgreSQL: XLogFileName). `.partial` is not complete.
SEGMENT = re.compile(r"(?:.*/)?([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})-[0-9a-f]{40}(?:\.\w+)?")
HISTORY = re.compile(r"(?:.*/)?([0-9A-F]{8})\.history")
PARENT = re.compile(r"^\s*(\d+)\s+([0-9A-F]+/[0-9A-F]+)", re.MULTILINE)  # a line of a history file
SEGMENT_BYTES = 16 << 20  # of our clusters, PostgreSQL's default
LOG_BYTES = 1 << 32  # of WAL in one log number
# Warnings go to the standard output, where the answer is.
QUIET = ("--log-level-console=off", "--log-level-stderr=error", "--no-log-timestamp")
SHOWN = "%Y-%m-%d %H:%M:%S"

# Timeline and number of a segment, and when it arrived (seconds since 1970).
Segments = dict[tuple[int, int], int]


class RefusedError(Exception):
    """The point in time cannot be reached; the text says why and what can be."""


@dataclass(frozen=True)
class Backup:
    """A backup in the repository.

    Attributes:
        label: pgBackRest's name of it.
        kind: full, diff or incr.
        stop: when it was complete, in seconds since 1970.
        timeline: of its WAL.
        first, last: numbers of the WAL segments that it needs.
        lsn: of its end.
        size: bytes of the database.
    """

    label: str
    kind: str
    stop: int
    timeline: int
    first: int
    last: int
    lsn: int
    size: int


@dataclass(frozen=True)
class Timeline:
    """A timeline after the first one.

    Attributes:
        since: when its history file arrived, in seconds since 1970.
        parents: the timelines before it and the LSN at which each was left, the oldest first.
    """

    since: int
    parents: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Repository:
    """What is in the repository: the backups, the oldest first, the segments, and the timelines after the first."""

    backups: tuple[Backup, ...]
    segments: Segments
    timelines: Mapping[int, Timeline]


@dataclass(frozen=True)
class Span:
    """A span of time of which every moment can be reached.

    Attributes:
        timeline: to restore.
        since, to: in seconds since 1970; the latter is when its last WAL arrived.
        last: number of the last segment.
        newest: whether it goes on: what is archived next belongs to it.
        backups: the backups from which it can be reached, the oldest first.
    """

    timeline: int
    since: int
    to: int
    last: int
    newest: bool
    backups: tuple[Backup, ...]


def segment_of(name: str, segment_bytes: int) -> tuple[int, int] | None:
    """Return timeline and number of a WAL segment; None if it is not a complete segment."""
    match = SEGMENT.fullmatch(name)
    return (int(match[1], 16), _number(match[2] + match[3], segment_bytes)) if match else None


def _number(name: str, segment_bytes: int) -> int:
    return int(name[-16:-8], 16) * (LOG_BYTES // segment_bytes) + int(name[-8:], 16)


def segment_name(timeline: int, number: int) -> str:
    """Return the name of a segment as PostgreSQL has it."""
    logs = LOG_BYTES // SEGMENT_BYTES
    return f"{timeline:08X}{number // logs:08X}{number % logs:08X}"


def lsn_number(text: str) -> int:
    """Return an LSN like `0/3000028` as a number."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def lsn_text(number: int) -> str:
    """Return a number as an LSN."""
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def read_backups(stanza: Mapping[str, Any], cluster: int | None, segment_bytes: int) -> list[Backup]:
    """Return the backups of a cluster that ended without an error, the oldest first.

    Args:
        stanza: an entry of `pgbackrest info --output=json`.
        cluster: its number in the stanza.
        segment_bytes: size of a WAL segment.
    """
    return [
        Backup(
            label=each["label"],
            kind=each["type"],
            stop=each["timestamp"]["stop"],
            timeline=int(each["archive"]["start"][:8], 16),
            first=_number(each["archive"]["start"], segment_bytes),
            last=_number(each["archive"]["stop"], segment_bytes),
            lsn=lsn_number(each["lsn"]["stop"]),
            size=each["info"]["size"],
        )
        for each in stanza.get("backup", [])
        if not each.get("error") and each["database"]["id"] == cluster
    ]


def read_segments(listing: Mapping[str, Any], segment_bytes: int) -> Segments:
    """Return when each segment arrived.

    Args:
        listing: result of `pgbackrest repo-ls --recurse --output=json` of the archive.
        segment_bytes: size of a WAL segment.
    """
    found = {segment_of(name, segment_bytes): entry.get("time", 0) for name, entry in listing.items()}
    return {segment: at for segment, at in found.items() if segment}


def read_history(text: str, since: int) -> Timeline:
    """Return the timeline of a history file that arrived at a time."""
    return Timeline(since, tuple((int(parent), lsn_number(lsn)) for parent, lsn in PARENT.findall(text)))


def read_repository(ask: Callable[..., str], stanza: str) -> Repository:
    """Return what is in the repository.

    Args:
        ask: runs pgBackRest with a command and its arguments, and returns what it prints.
        stanza: pgBackRest's name of the cluster.
    """
    backups: list[Backup] = []
    segments: Segments = {}
    timelines: dict[int, Timeline] = {}
    for found in json.loads(ask("info", "--output=json")):
        # Of the cluster that it has now: a stanza keeps what it had before an upgrade to another major version.
        now = max((entry["id"] for entry in found.get("db", [])), default=None)
        backups += read_backups(found, now, SEGMENT_BYTES)
        for archive in found.get("archive", []):
            if archive["database"]["id"] != now:
                continue
            folder = f"archive/{stanza}/{archive['id']}"
            listed = json.loads(ask("repo-ls", "--recurse", "--output=json", folder))
            segments |= read_segments(listed, SEGMENT_BYTES)
            for name, entry in listed.items():
                if match := HISTORY.fullmatch(name):
                    text = ask("repo-get", f"{folder}/{name}")
                    timelines[int(match[1], 16)] = read_history(text, entry["time"])
    return Repository(tuple(backups), segments, timelines)


def gaps(numbers: Collection[int]) -> list[tuple[int, int]]:
    """Return the first and the last number of each gap between the segments."""
    ordered = sorted(numbers)
    return [(before + 1, after - 1) for before, after in pairwise(ordered) if after > before + 1]


def spans(found: Repository) -> list[Span]:
    """Return the spans of time that can be reached, the oldest first; a backup without its own WAL is in none."""
    known = sorted({timeline for timeline, _ in found.segments} | set(found.timelines))
    lives = {timeline: found.timelines.get(timeline, Timeline(0, ())) for timeline in known}
    ends = {timeline: lives[following].since for timeline, following in pairwise(known)}
    return [span for timeline in known for span in _spans_of(found, timeline, lives[timeline], ends.get(timeline))]


def _spans_of(found: Repository, timeline: int, life: Timeline, ended: int | None) -> list[Span]:
    """Return the spans of a timeline, from when it began to when the next one did."""
    left = dict(life.parents)
    arrived: dict[int, int] = {}
    for (of, number), at in sorted(found.segments.items()):
        # PostgreSQL takes the segment in which a timeline was left from the one that follows it.
        if of == timeline or (of in left and number <= left[of] // SEGMENT_BYTES):
            arrived[number] = at
    own = life.parents[-1][1] // SEGMENT_BYTES if life.parents else 0
    missing = gaps(arrived)
    groups: dict[int, list[Backup]] = {}
    for backup in found.backups:
        fits = backup.timeline == timeline or backup.lsn <= left.get(backup.timeline, -1)
        if not fits or backup.first not in arrived or any(backup.first <= start <= backup.last for start, _ in missing):
            continue
        end = min((start - 1 for start, _ in missing if start > backup.last), default=max(arrived))
        if end >= max(backup.last, own):
            groups.setdefault(end, []).append(backup)
    made = [
        Span(
            timeline,
            max(life.since, min(each.stop for each in group)),
            min(max(arrived[end], life.since, group[-1].stop), ended or sys.maxsize),
            end,
            ended is None and end == max(arrived),
            tuple(group),
        )
        for end, group in sorted(groups.items())
    ]
    return [span for span in made if span.since <= span.to]


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


def backup_for_time(when: float, found: Sequence[Span], now: float, where: tzinfo) -> tuple[Backup, Span]:
    """Return the newest backup from which a moment can be reached, and the span.

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
        end = now if span.newest else span.to
        usable = [backup for backup in span.backups if backup.stop <= when]
        # The times of segments are whole seconds.
        if usable and span.since <= when and int(when) <= end:
            return max(usable, key=lambda backup: backup.stop), span
    raise RefusedError(f"{shown(when, where)} cannot be reached. {reach(found, where)}")


def backup_for_lsn(lsn: str, found: Sequence[Span], where: tzinfo) -> tuple[Backup, Span]:
    """Return the newest backup from which a place in the log of the newest timeline can be reached, and the span.

    Raises:
        RefusedError: where it cannot be reached.
    """
    if not re.fullmatch(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}", lsn):
        raise RefusedError(f"pitr_lsn is {lsn!r}; an LSN is like 0/3000028.")
    for span in reversed(found):
        usable = [backup for backup in span.backups if backup.lsn <= lsn_number(lsn)]
        if usable and (span.newest or lsn_number(lsn) < (span.last + 1) * SEGMENT_BYTES):
            return max(usable, key=lambda backup: backup.lsn), span
    raise RefusedError(f"The LSN {lsn} cannot be reached. {reach(found, where)}")


def listing(found: Repository, reachable: Sequence[Span], where: tzinfo) -> list[str]:
    """Return the lines of `-e pitr_list=true`."""
    lines = [f"{'backup':<36} {'complete':<19}  {'database':>10}"]
    lines += [
        f"{each.label:<36} {shown(each.stop, where)}  {each.size / 1_000_000:>7.1f} MB"
        + ("" if any(each in span.backups for span in reachable) else "  its WAL is missing: it cannot be restored")
        for each in found.backups
    ]
    arrived = {number: at for (_, number), at in sorted(found.segments.items())}
    lines += [
        f"WAL missing: {end - start + 1} segment{'s' * (end > start)} after {shown(arrived[start - 1], where)}"
        for start, end in gaps(arrived)
    ]
    return [*lines, reach(reachable, where)]
