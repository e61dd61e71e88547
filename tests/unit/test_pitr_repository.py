"""What can be reached from a repository of pgBackRest: its own JSON, and what may be missing in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.pitr.repository import (
    Backup,
    RefusedError,
    Repository,
    Timeline,
    backup_for_lsn,
    backup_for_time,
    gaps,
    listing,
    lsn_number,
    lsn_text,
    moment,
    read_backups,
    read_history,
    read_repository,
    read_segments,
    segment_name,
    segment_of,
    spans,
    zone,
)

SEGMENT = 16 << 20
HANOI = zone("Asia/Ho_Chi_Minh")
# As pgbackrest 2.55 answered: of info, and of repo-ls of the archive.
STANZA: dict[str, Any] = {
    "archive": [{"database": {"id": 1}, "id": "16-1"}],
    "db": [{"id": 1}],
    "backup": [
        {
            "database": {"id": 1},
            "archive": {"start": "000000010000000000000005", "stop": "000000010000000000000005"},
            "error": False,
            "info": {"delta": 36236205, "size": 36236205},
            "label": "20261130-185239F",
            "lsn": {"start": "0/5000028", "stop": "0/5000138"},
            "timestamp": {"start": 1796064759, "stop": 1796064766},
            "type": "full",
        }
    ],
}
LISTING = {
    ".": {"type": "path"},
    "0000000100000000": {"type": "path"},
    **{
        f"0000000100000000/00000001000000000000000{n}-{'ab12' * 10}.zst": {"type": "file", "time": 1796064700 + n}
        for n in (4, 5, 6, 8)
    },
    "0000000100000000/000000010000000000000005.00000028.backup": {"type": "file", "time": 1},
    f"0000000200000000/000000020000000000000009-{'ab12' * 10}.zst": {"type": "file", "time": 1796064790},
    f"0000000200000000/00000002000000000000000A.partial-{'ab12' * 10}": {"type": "file", "time": 2},
    "00000002.history": {"type": "file", "time": 3},
}


# As PostgreSQL 16 writes it.
HISTORY = "1\t0/9000158\tbefore 2026-12-01 01:57:01+07\n"


def backup(label: str, stop: int, first: int, last: int, timeline: int = 1) -> Backup:
    return Backup(
        label=label, kind="full", stop=stop, timeline=timeline, first=first, last=last, lsn=last * SEGMENT, size=1
    )


def repository(*backups: Backup, segments: dict[int, int]) -> Repository:
    """Return a repository with the segments of the first timeline."""
    return Repository(backups, {(1, number): at for number, at in segments.items()}, {})


def test_the_repository_is_read_without_what_belongs_to_a_cluster_before_an_upgrade() -> None:
    former = {"database": {"id": 1}, "id": "15-1"}
    stanza = STANZA | {
        "archive": [former, {"database": {"id": 2}, "id": "16-2"}],
        "db": [{"id": 1}, {"id": 2}],
        "backup": [STANZA["backup"][0], STANZA["backup"][0] | {"database": {"id": 2}, "label": "later"}],
    }
    answers = {
        ("info", "--output=json"): json.dumps([stanza]),
        ("repo-ls", "--recurse", "--output=json", "archive/clinic/16-2"): json.dumps(LISTING),
        ("repo-get", "archive/clinic/16-2/00000002.history"): HISTORY,
    }
    found = read_repository(lambda *arguments: answers[arguments], "clinic")
    assert [each.label for each in found.backups] == ["later"]
    assert found.segments == {
        **{(1, n): 1796064700 + n for n in (4, 5, 6, 8)},
        (2, 9): 1796064790,
    }
    assert found.timelines == {2: Timeline(since=3, parents=((1, 0x9000158),))}


def test_a_backup_that_failed_is_none() -> None:
    (found,) = read_backups(STANZA, 1, SEGMENT)
    assert (found.timeline, found.first, found.last, found.stop, found.lsn) == (1, 5, 5, 1796064766, 0x5000138)
    failed: dict[str, Any] = {"backup": [STANZA["backup"][0] | {"error": True}]}
    assert read_backups(failed, 1, SEGMENT) == []
    assert read_segments({"x": {"type": "file"}}, SEGMENT) == {}


def test_the_last_segment_of_a_log_is_followed_by_the_first_of_the_next() -> None:
    for size, last in ((16 << 20, "FF"), (64 << 20, "3F"), (1 << 30, "03")):
        end = segment_of(f"0000000100000001000000{last}-{'ab12' * 10}", size)
        following = segment_of(f"000000010000000200000000-{'ab12' * 10}", size)
        assert end is not None
        assert following == (1, end[1] + 1)
    for name in ("0000000100000001000000FF", "0000000A0000000200000000"):
        assert segment_name(*(segment_of(f"{name}-{'ab12' * 10}", SEGMENT) or (0, 0))) == name


def test_a_missing_segment_ends_a_span() -> None:
    segments = {n: 100 * n for n in (1, 2, 3, 5, 6)}
    assert gaps(segments) == [(4, 4)]
    first, second = backup("A", 150, 1, 2), backup("B", 550, 5, 6)
    found = spans(repository(first, second, segments=segments))
    assert [(span.since, span.to, span.backups) for span in found] == [(150, 300, (first,)), (550, 600, (second,))]


def test_a_backup_without_its_own_segments_is_in_no_span() -> None:
    segments = {n: n for n in (1, 2, 4, 5)}
    lost = repository(backup("A", 3, 2, 4), backup("B", 3, 3, 4), backup("C", 9, 7, 7), segments=segments)
    assert spans(lost) == []
    assert spans(repository(segments={})) == []
    said = listing(lost, spans(lost), UTC)
    assert sum("cannot be restored" in line for line in said) == 3
    assert "WAL missing: 1 segment after 1970-01-01 00:00:02" in said
    assert said[-1] == "No moment can be reached: there is no complete backup with its WAL."


def test_the_newest_backup_before_the_moment_is_chosen() -> None:
    segments = {n: 100 * n for n in range(1, 8)}
    older, newer = backup("A", 150, 1, 1), backup("B", 450, 4, 4)
    found = spans(repository(older, newer, segments=segments))
    assert backup_for_time(449, found, 1000, HANOI)[0] is older
    assert backup_for_time(450, found, 1000, HANOI)[0] is newer
    assert backup_for_time(999, found, 1000, HANOI)[0] is newer  # the WAL of now is archived first
    assert backup_for_lsn("0/4000000", found, HANOI)[0] is newer
    assert backup_for_lsn("0/3FFFFFF", found, HANOI)[0] is older
    with pytest.raises(RefusedError, match="cannot be reached"):
        backup_for_lsn("0/FFFFFF", found, HANOI)


def forked() -> Repository:
    """A cluster that went on to the segment 6, and at 750 was replaced by its own past, left in the segment 4."""
    segments = {(1, n): 100 * n for n in range(1, 7)} | {(2, n): 400 + 100 * n for n in range(4, 8)}
    backups = (backup("A", 150, 1, 1), backup("B", 550, 5, 5), backup("C", 960, 6, 6, timeline=2))
    return Repository(backups, segments, {2: Timeline(since=750, parents=((1, 4 * SEGMENT + 300),))})


def test_a_moment_belongs_to_the_timeline_that_was_live_then() -> None:
    found = spans(forked())
    first, second = found
    assert (first.timeline, first.since, first.to, first.last) == (1, 150, 600, 6)
    assert (second.timeline, second.since, second.to, second.last) == (2, 750, 1100, 7)
    # B is of what was left: it cannot become the second timeline.
    assert [each.label for each in second.backups] == ["A", "C"]
    for when, label, timeline in ((500, "A", 1), (590, "B", 1), (800, "A", 2), (970, "C", 2), (1500, "C", 2)):
        chosen, span = backup_for_time(when, found, 2000, UTC)
        assert (chosen.label, span.timeline) == (label, timeline)
    with pytest.raises(RefusedError, match="cannot be reached"):
        backup_for_time(700, found, 2000, UTC)


def test_a_timeline_without_wal_of_its_own_is_reached_through_the_former() -> None:
    whole = forked()
    fresh = Repository(
        whole.backups[:2], {key: at for key, at in whole.segments.items() if key[0] == 1}, whole.timelines
    )
    found = spans(fresh)
    assert [(span.timeline, span.since, span.to) for span in found] == [(1, 150, 600), (2, 750, 750)]
    assert backup_for_time(800, found, 900, UTC)[0].label == "A"
    assert [span.newest for span in found] == [False, True]
    # A gap before the fork: only the first timeline, and only up to there.
    holey = Repository(whole.backups[:1], {k: at for k, at in whole.segments.items() if k[1] != 3}, whole.timelines)
    assert [(span.timeline, span.since, span.to) for span in spans(holey)] == [(1, 150, 200)]


def test_what_comes_after_a_gap_cannot_be_reached_before_the_next_backup() -> None:
    segments = {n: 100 * n for n in (1, 2, 3, 5, 6)}
    found = spans(repository(backup("A", 150, 1, 1), segments=segments))
    assert [(span.to, span.newest) for span in found] == [(300, False)]
    assert backup_for_time(300.9, found, 700, UTC)[0].label == "A", "arrived in this second"
    with pytest.raises(RefusedError, match="cannot be reached"):
        backup_for_time(650, found, 700, UTC)
    with pytest.raises(RefusedError, match="cannot be reached"):
        backup_for_lsn("0/6000000", found, UTC)


def test_a_timeline_whose_history_is_missing_begins_with_its_own_backup() -> None:
    whole = forked()
    found = spans(Repository(whole.backups, whole.segments, {}))
    assert [(span.timeline, [each.label for each in span.backups]) for span in found] == [(1, ["A", "B"]), (2, ["C"])]
    assert read_history("", 5).parents == ()


@pytest.mark.parametrize(
    ("when", "why"),
    [(149, "cannot be reached"), (350, "cannot be reached"), (1001, "is in the future")],
)
def test_a_moment_outside_is_refused_with_the_spans(when: int, why: str) -> None:
    segments = {n: 100 * n for n in (1, 2, 3, 5, 6)}
    found = spans(repository(backup("A", 150, 1, 2), backup("B", 550, 5, 6), segments=segments))
    with pytest.raises(RefusedError, match=why) as refused:
        backup_for_time(when, found, 1000, UTC)
    assert "1970-01-01 00:02:30 to 1970-01-01 00:05:00, 1970-01-01 00:09:10 to 1970-01-01 00:10:00 (UTC)." in str(
        refused.value
    )


def test_what_was_typed_is_a_moment_of_the_time_zone() -> None:
    wanted = datetime(2026, 2, 11, 3, 30, tzinfo=UTC)
    for typed in ("2026-02-11 10:30", "2026-02-11T10:30:00", "2026-02-11 03:30+00:00"):
        assert moment(typed, HANOI) == wanted
    for call in (lambda: moment("yesterday", HANOI), lambda: zone("Asia/Hanoy"), lambda: zone("../etc/passwd")):
        with pytest.raises(RefusedError):
            call()
    for lsn in ("5000028", "0/xyz", ""):
        with pytest.raises(RefusedError, match="an LSN is like"):
            backup_for_lsn(lsn, [], HANOI)
    assert lsn_number("1/0") == 1 << 32
    assert [lsn_text(lsn_number(text)) for text in ("0/0", "1/A0", "FF/3000028")] == ["0/0", "1/A0", "FF/3000028"]
