"""The drill of point-in-time recovery: which moment it takes, with which settings, and what it writes down."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.backup.errors import BackupError
from ansible_collections.physioflow.database.plugins.module_utils.backup.programs import Programs
from ansible_collections.physioflow.database.plugins.module_utils.pitr import drill as drilling
from ansible_collections.physioflow.database.plugins.module_utils.pitr.drill import (
    KEPT,
    drill,
    read_drills,
    restore_and_check,
    seconds_behind,
    sentence,
    server_settings,
    target_of,
)
from ansible_collections.physioflow.database.plugins.module_utils.pitr.repository import (
    Backup,
    Repository,
    Span,
    lsn_number,
)

SEGMENT = 16 << 20
# Of pg_controldata 16.
CONTROL = """\
Latest checkpoint's REDO location:    0/3000028
wal_level setting:                    replica
max_connections setting:              100
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           5
max_locks_per_xact setting:           64
track_commit_timestamp setting:       off
"""


def backup(label: str, stop: int, last: int) -> Backup:
    return Backup(
        label=label, kind="full", stop=stop, timeline=3, first=last, last=last, lsn=last * SEGMENT + 300, size=1
    )


def test_a_random_moment_is_after_its_backup_and_before_the_last_segment() -> None:
    older, newer = backup("A", 100, 1), backup("B", 200, 7)
    span = Span(timeline=3, since=100, to=900, last=9, newest=True, backups=(older, newer))
    assert target_of("newest", span, SEGMENT, random.Random(1)) == ("B", ["--type=default"])
    labels = set()
    for seed in range(50):
        label, options = target_of("random", span, SEGMENT, random.Random(seed))
        labels.add(label)
        lsn = lsn_number(options[1].removeprefix("--target="))
        assert {"A": older, "B": newer}[label].lsn <= lsn < 9 * SEGMENT
        assert (options[0], *options[2:]) == ("--type=lsn", "--target-timeline=3", "--target-action=promote")
    assert labels == {"A", "B"}
    only = Span(timeline=3, since=200, to=200, last=7, newest=True, backups=(newer,))
    assert target_of("random", only, SEGMENT, random.Random(1)) == (
        "B",
        ["--type=immediate", "--target-action=promote"],
    )


def test_the_temporary_server_is_as_large_as_the_primary_and_has_no_network() -> None:
    lines = server_settings(CONTROL, Path("/tmp/s")).splitlines()
    assert "listen_addresses = ''" in lines
    assert lines[-5:] == [
        "max_connections = 100",
        "max_worker_processes = 8",
        "max_wal_senders = 10",
        "max_prepared_transactions = 5",
        "max_locks_per_transaction = 64",
    ]


def test_what_the_restored_cluster_lacks_is_told_by_its_transactions() -> None:
    began = datetime(2026, 11, 26, 2, 5, tzinfo=UTC)
    state = {"next": "800", "reached": "2026-11-26T02:00:00+00:00"}
    assert seconds_behind(began, 800, state) == 0, "nothing was committed since"
    assert seconds_behind(began, 801, state) == 300
    assert seconds_behind(began, 801, state | {"reached": None}) is None
    assert seconds_behind(began, None, state) is None


def test_wal_that_is_missing_before_the_newest_fails_the_drill(monkeypatch: pytest.MonkeyPatch) -> None:
    """pgBackRest drops WAL above pitr_wal_queue_max and tells the server that all is well."""
    dropped = Repository((backup("A", 100, 1),), {(3, 1): 100, (3, 2): 200, (3, 4): 400}, {})
    monkeypatch.setattr(drilling, "read_repository", lambda *_: dropped)
    with pytest.raises(BackupError, match="WAL is missing after 000000030000000000000002: no backup reaches"):
        restore_and_check("x", Programs(Path("/nowhere"), {}), Path("/nowhere"), "newest", 1)


def test_each_drill_is_written_down_also_one_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drills = tmp_path / "drills.json"
    assert read_drills(drills) == []
    done: dict[str, Any] = {
        "backup": "A",
        "reached": "2026-11-26T02:00:00+00:00",
        "behind": 12,
        "seconds": 3.5,
        "checked": ["amcheck"],
    }
    monkeypatch.setattr(drilling, "restore_and_check", lambda *_: done)
    record = drill("x", tmp_path, tmp_path, "newest", 1, drills=drills)
    assert read_drills(drills) == [record]
    assert sentence(record) == (
        "A was restored to the newest moment, up to the transaction of 2026-11-26T02:00:00+00:00, 12 s behind the "
        "live server, in 3.5 s; amcheck found no damage."
    )

    def fails(*_: object) -> None:
        raise BackupError("pgbackrest failed: checksum error.")

    monkeypatch.setattr(drilling, "restore_and_check", fails)
    failed = drill("x", tmp_path, tmp_path, "random", 1, drills=drills)
    assert sentence(failed) == ("The drill failed: pgbackrest failed: checksum error. The live server was not touched.")
    for _ in range(KEPT):
        drill("x", tmp_path, tmp_path, "random", 1, drills=drills)
    kept = json.loads(drills.read_text())
    assert len(kept) == KEPT
    assert not any(entry["ok"] for entry in kept)
    assert drills.stat().st_mode & 0o777 == 0o644
