"""What can be reached from a repository of pgBackRest: its own JSON, and what may be missing in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.pitr.repository import (
    Backup,
    RefusedError,
    backup_for_lsn,
    backup_for_time,
    gaps,
    listing,
    lsn_number,
    lsn_text,
    moment,
    read_backups,
    read_segments,
    segment_number,
    spans,
    zone,
)

SEGMENT = 16 << 20
HANOI = zone("Asia/Ho_Chi_Minh")
# As pgbackrest 2.55 answered: of info, and of repo-ls of the archive.
STANZA = {
    "backup": [
        {
            "archive": {"start": "000000010000000000000005", "stop": "000000010000000000000005"},
            "error": False,
            "info": {"delta": 36236205, "size": 36236205},
            "label": "20261130-185239F",
            "lsn": {"start": "0/5000028", "stop": "0/5000138"},
            "timestamp": {"start": 1796064759, "stop": 1796064766},
            "type": "full",
        }
    ]
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


def backup(label: str, stop: int, first: int, last: int) -> Backup:
    return Backup(label=label, kind="full", stop=stop, first=first, last=last, lsn=last * SEGMENT, size=1)


def test_a_backup_and_complete_segments_of_each_timeline_are_read() -> None:
    (found,) = read_backups(STANZA, SEGMENT)
    assert (found.first, found.last, found.stop, found.lsn) == (5, 5, 1796064766, 0x5000138)
    assert read_segments(LISTING, SEGMENT) == {
        **{n: 1796064700 + n for n in (4, 5, 6, 8)},
        9: 1796064790,
    }
    failed: dict[str, Any] = {"backup": [STANZA["backup"][0] | {"error": True}]}
    assert read_backups(failed, SEGMENT) == []


def test_the_last_segment_of_a_log_is_followed_by_the_first_of_the_next() -> None:
    for size, last in ((16 << 20, "FF"), (64 << 20, "3F"), (1 << 30, "03")):
        end = segment_number(f"0000000100000001000000{last}-{'ab12' * 10}", size)
        following = segment_number(f"000000010000000200000000-{'ab12' * 10}", size)
        assert end is not None
        assert following == end + 1


def test_a_missing_segment_ends_a_span() -> None:
    segments = {n: 100 * n for n in (1, 2, 3, 5, 6)}
    assert gaps(segments) == [(4, 4)]
    first, second = backup("A", 150, 1, 2), backup("B", 550, 5, 6)
    found = spans([first, second], segments)
    assert [(span.since, span.to, span.backups) for span in found] == [(150, 300, (first,)), (550, 600, (second,))]


def test_a_backup_without_its_own_segments_is_in_no_span() -> None:
    segments = {n: n for n in (1, 2, 4, 5)}
    lost = [backup("A", 3, 2, 4), backup("B", 3, 3, 4), backup("C", 9, 7, 7)]
    assert spans(lost, segments) == []
    assert spans([], {}) == []
    said = listing(lost, segments, [], UTC)
    assert sum("cannot be restored" in line for line in said) == 3
    assert "WAL missing: 1 segment after 1970-01-01 00:00:02" in said
    assert said[-1] == "No moment can be reached: there is no complete backup with its WAL."


def test_the_newest_backup_before_the_moment_is_chosen() -> None:
    segments = {n: 100 * n for n in range(1, 8)}
    older, newer = backup("A", 150, 1, 1), backup("B", 450, 4, 4)
    found = spans([older, newer], segments)
    assert backup_for_time(449, found, 1000, HANOI) is older
    assert backup_for_time(450, found, 1000, HANOI) is newer
    assert backup_for_time(999, found, 1000, HANOI) is newer  # the WAL of now is archived first
    assert backup_for_lsn("0/4000000", found, HANOI) is newer
    assert backup_for_lsn("0/3FFFFFF", found, HANOI) is older


@pytest.mark.parametrize(
    ("when", "why"),
    [(149, "cannot be reached"), (350, "cannot be reached"), (1001, "is in the future")],
)
def test_a_moment_outside_is_refused_with_the_spans(when: int, why: str) -> None:
    segments = {n: 100 * n for n in (1, 2, 3, 5, 6)}
    found = spans([backup("A", 150, 1, 2), backup("B", 550, 5, 6)], segments)
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
