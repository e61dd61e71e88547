"""How the figures of a database are judged, and what a person reads of them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.status.findings import (
    Finding,
    age_text,
    covered_until,
    described,
    findings,
    verdict,
    worst,
)
from ansible_collections.physioflow.database.plugins.module_utils.status.limits import read_limits
from ansible_collections.physioflow.database.plugins.module_utils.status.screen import WIDTH, screen

LIMITS: dict[str, Any] = {
    "minimum_version": "16.15",
    "build_warn_days": 120,
    "backup_warn_hours": 26,
    "backup_fail_hours": 50,
    "drill_warn_days": 8,
    "drill_fail_days": 15,
    "partition_fail_days": 31,
    "connections_warn_percent": 80,
    "connections_fail_percent": 95,
    "transaction_warn_minutes": 15,
    "lock_warn_seconds": 30,
    "cache_warn_percent": 90,
    "disk_warn_percent": 80,
    "disk_fail_percent": 95,
    "index_unused_megabytes": 10,
    "scan_rows": 10000,
    "replication_warn_megabytes": 100,
}
FIGURES: dict[str, Any] = {
    "now": "2026-11-26T12:00:00+00:00",
    "version": "16.15",
    "up": 300_000,
    "standby": False,
    "sees_sessions": True,
    "connections": [{"of": "server", "used": 10, "most": 97}, {"of": "role emr_app", "used": 6, "most": 60}],
    "transactions": None,
    "locks": None,
    "runs": None,
    "database": {"bytes": 5e9, "hit": 990_000, "read": 10_000, "checksum_failures": 0, "transaction_ids": 1000},
    "tables": [{"name": "patients", "rows": 50_000, "bytes": 2e9, "seq_scan": 3, "idx_scan": 900}],
    "indexes": [{"name": "idx_a", "scans": 5, "bytes": 2e8}],
    "invalid": None,
    "collations": None,
    "partitions": {"outcome_measures": [["2026-01-01", "2027-01-01"], ["2027-01-01", "2028-01-01"]]},
    "archiver": {"archived": "2026-11-26T09:59:00+00:00", "failed": "2026-11-26T09:00:00+00:00"},
    "replicas": None,
    "slots": None,
}
BACKUPS: dict[str, Any] = {
    "directory": "/backups",
    "count": 3,
    "newest": {"id": "emr_backup_3", "at": "2026-11-26T02:00:00+00:00", "size": 1e9, "off_host": None},
    "damaged": [],
    "drill": {"backup": "emr_backup_2", "at": "2026-11-24T02:00:00+00:00", "ok": True},
    "proven": "2026-11-24T02:00:00+00:00",
    "problem": "",
}
HISTORY = {"applied": 15, "newest": {"version": "015", "name": "rules", "at": "2026-02-11 10:00:00"}, "in_doubt": None}
FACTS: dict[str, Any] = {
    "figures": FIGURES,
    "history": HISTORY,
    "plan": {"pending": [], "problems": []},
    "drift": None,
    "backups": BACKUPS,
    "disks": [{"folder": "/data", "bytes": 100e9, "free": 50e9}],
    "built": "2026-11-13T00:00:00+00:00",
}
RUN: dict[str, Any] = {
    "pid": 7,
    "application": "physioflow 016_big_index",
    "state": "active",
    "age": 42,
    "blockers": None,
    "progress": None,
}


def judged(limits: dict[str, Any] | None = None, **facts: Any) -> list[Finding]:
    found: list[Finding] = findings(FACTS | facts, LIMITS | (limits or {}))
    return found


def figures(**changed: Any) -> dict[str, Any]:
    return {"figures": FIGURES | changed}


def backups(**changed: Any) -> dict[str, Any]:
    return {"backups": BACKUPS | changed}


def wrong(found: list[Finding]) -> list[tuple[str, str]]:
    return [(entry.matter, entry.level) for entry in found if entry.level != "ok"]


def test_where_all_is_well_each_matter_has_one_line() -> None:
    found = judged()
    assert worst(found) == "ok"
    lines = screen("Database emr", found)
    assert lines[0] == "Database emr: all is well"
    assert "     Running        nothing" in lines
    assert "     Migrations     15 applied, the newest 015 rules at 2026-02-11 10:00:00 UTC" in lines
    matters = [line[5:20].strip() for line in lines[1:] if line[5:20].strip()]
    assert matters == list(dict.fromkeys(matters))


DATABASE = FIGURES["database"]
OLD = {**BACKUPS["newest"], "at": "2026-11-25T02:00:00+00:00"}
SESSION = {"pid": 9, "user": "emr_app", "application": "clinic", "state": "idle in transaction", "age": 901}
WAITER = {"pid": 8, "user": "emr_app", "application": "", "relation": "visits", "age": 31, "blockers": [9]}


RESTORED: dict[str, Any] = {
    "at": "2026-11-26T02:00:00+00:00",
    "ok": True,
    "moment": "random",
    "backup": "20261122-010000F",
    "seconds": 12.3,
}
WRONG: list[tuple[dict[str, Any], str, str, str]] = [
    (figures(version="16.14"), "Server", "warn", "16.14, up 3 days"),
    (figures(version="16.9"), "Server", "warn", "below 16.15"),
    ({"built": "2026-07-01T00:00:00+00:00"}, "Server", "warn", "built 2026-07-01"),
    (figures(database=DATABASE | {"checksum_failures": 1}), "Server", "fail", "1 page read with a wrong checksum"),
    (figures(database=DATABASE | {"transaction_ids": 600_000_000}), "Server", "warn", "600 million"),
    ({"plan": {"pending": ["016 beds"], "problems": []}}, "Migrations", "warn", "1 pending: 016 beds"),
    ({"plan": {"pending": [], "problems": ["003 was edited."]}}, "Migrations", "fail", "003 was edited."),
    ({"history": HISTORY | {"in_doubt": ["016_big_index.sql"]}}, "In doubt", "fail", "016_big_index.sql started"),
    ({"drift": ["index idx_a is missing"]}, "Drift", "fail", "1 difference between"),
    (backups(newest=OLD), "Backup", "warn", "the newest verified 34 h ago"),
    (backups(newest=OLD | {"at": "2026-11-24T02:00:00+00:00"}), "Backup", "fail", "2 days ago"),
    (backups(newest=None), "Backup", "fail", "none of the whole database in /backups"),
    (backups(problem="Permission denied (/backups)"), "Backup", "fail", "Permission denied (/backups)"),
    (backups(damaged=["emr_backup_4"]), "Backup", "fail", "emr_backup_4"),
    (backups(drill=BACKUPS["drill"] | {"ok": False}), "Drill", "fail", "the last successful one 2 days ago"),
    (backups(drill=None, proven=None), "Drill", "warn", "no backup has been restored yet"),
    (backups(proven="2026-11-16T02:00:00+00:00"), "Drill", "warn", "10 days ago"),
    (backups(proven="2026-11-01T02:00:00+00:00"), "Drill", "fail", "25 days ago"),
    (
        figures(partitions={"outcome_measures": [["2026-01-01", "2027-01-01"]]}),
        "Partitions",
        "warn",
        "the partition of 2027 is missing",
    ),
    (
        figures(partitions={"outcome_measures": [["2026-01-01", "2026-12-22"]]}),
        "Partitions",
        "fail",
        "until 2026-12-21, 25 days from now",
    ),
    (
        figures(partitions={"outcome_measures": [["2027-01-01", "2028-01-01"]]}),
        "Partitions",
        "fail",
        "rows of today are rejected",
    ),
    ({"disks": [{"folder": "/data", "bytes": 100e9, "free": 19e9}]}, "Disk", "warn", "/data: 81 % full, 19.0 GB"),
    ({"disks": [{"folder": "/data", "bytes": 100e9, "free": 4e9}]}, "Disk", "fail", "96 % full"),
    (
        figures(connections=[FIGURES["connections"][0], {"of": "role emr_app", "used": 58, "most": 60}]),
        "Connections",
        "fail",
        "10 of 97; the fullest is role emr_app, 58 of 60",
    ),
    (figures(transactions=[SESSION]), "Transactions", "warn", "pid 9, user emr_app, application clinic, idle in"),
    (figures(transactions=[SESSION | {"pid": None, "state": "prepared"}]), "Transactions", "warn", "prepared"),
    (figures(locks=[WAITER]), "Locks", "warn", "application (none), waits for visits for 31 s, held by pid 9"),
    (figures(database=DATABASE | {"read": 200_000}), "Cache", "warn", "83.2 %"),
    (
        figures(collations=[{"kind": "DATABASE", "name": "clinic", "recorded": "2.36", "actual": "2.41"}]),
        "Indexes",
        "fail",
        "of the database clinic had version 2.36 when its indexes were built and has 2.41 now",
    ),
    (
        figures(collations=[{"kind": "COLLATION", "name": "vi", "recorded": "1", "actual": "2"}]),
        "Indexes",
        "fail",
        "the collation vi had version 1",
    ),
    (
        figures(invalid=["idx_half"]),
        "Indexes",
        "warn",
        "invalid (no query uses them, but they slow down writes): idx_half",
    ),
    (figures(indexes=[{"name": "idx_a", "scans": 0, "bytes": 1e7}]), "Indexes", "warn", "10.0 MB not used"),
    (
        figures(tables=[FIGURES["tables"][0] | {"seq_scan": 901}]),
        "Indexes",
        "warn",
        "patients, about 50,000 rows: 901 sequential scans, 900 index scans",
    ),
    (
        figures(replicas=[{"name": "b", "state": "streaming", "lag": 101_000_000}]),
        "Replication",
        "warn",
        "b streaming, 101.0 MB behind",
    ),
    (
        figures(slots=[{"name": "s", "active": False, "kept": 1e9}]),
        "Replication",
        "warn",
        "the slot s has no reader",
    ),
    ({"restored": [RESTORED | {"at": "2026-11-17T12:00:00+00:00"}]}, "Archive", "warn", "random moment was restored"),
    (
        {"restored": [RESTORED, {"at": RESTORED["at"], "ok": False, "why": "x"}]},
        "Archive",
        "fail",
        "the drill of point",
    ),
    (
        figures(archiver={"archived": "2026-11-26T09:00:00+00:00", "failed": "2026-11-26T09:00:01+00:00"}),
        "Archive",
        "fail",
        "archiving WAL fails, and fills the disk; the last segment was archived 3 h ago",
    ),
]


@pytest.mark.parametrize(("facts", "matter", "level", "words"), WRONG)
def test_each_matter_is_judged_and_says_what_comes_next(
    facts: dict[str, Any], matter: str, level: str, words: str
) -> None:
    found = judged(**facts)
    assert (matter, level) in wrong(found)
    entry = next(entry for entry in found if (entry.matter, entry.level) == (matter, level))
    assert words in entry.text
    assert entry.next
    assert worst(found) == level
    assert verdict(found) == (f"{matter.lower()} failed. Next: {entry.next}" if level == "fail" else "")
    assert all(len(line) <= WIDTH for line in screen("x", found))


def test_how_far_a_drill_came_is_said_also_after_one_of_a_random_moment() -> None:
    found = findings(FACTS | {"restored": [RESTORED | {"behind": 12}, RESTORED | {"behind": None}]}, LIMITS)
    assert "the newest moment was 12 s behind the server at the last drill" in [finding.text for finding in found]


def test_a_limit_of_0_is_off() -> None:
    off = LIMITS | dict.fromkeys(LIMITS, 0) | {"minimum_version": ""}
    bad = judged(
        off,
        built="2020-01-01T00:00:00+00:00",
        **backups(newest=OLD, drill=None, proven=None),
        disks=[{"folder": "/data", "bytes": 100e9, "free": 1}],
        **figures(
            version="16.1",
            transactions=[SESSION],
            locks=[WAITER],
            database=DATABASE | {"read": 10**9},
            tables=[FIGURES["tables"][0] | {"seq_scan": 901}],
            indexes=[{"name": "idx_a", "scans": 0, "bytes": 1e9}],
        ),
    )
    assert wrong(bad) == []


def test_a_run_is_shown_with_its_progress_and_whom_it_waits_for() -> None:
    progress = {"command": "create index concurrently", "relation": "visits", "phase": "building", "percent": 37.4}
    blocker = {"pid": 9, "user": "emr_app", "application": "", "state": "idle in transaction", "age": 30}
    lines = screen("x", judged(**figures(runs=[RUN | {"progress": [progress], "blockers": [blocker]}])))
    at = lines.index("     Running        016_big_index for 42 s (pid 7)")
    assert lines[at + 1 : at + 4] == [
        "                    create index concurrently on visits: building, 37 %",
        "                    waits for pid 9, user emr_app, application (none), idle in transaction",
        "                    for 30 s",
    ]


def test_what_a_run_is_at_is_neither_in_doubt_nor_late() -> None:
    plan = {"pending": ["016 big_index"], "problems": ["016 is in doubt"]}
    history = HISTORY | {"in_doubt": ["016_big_index.sql"]}
    assert wrong(judged(history=history, plan=plan, **figures(runs=[RUN]))) == []
    assert [matter for matter, _ in wrong(judged(history=history, plan=plan))] == [
        "Migrations",
        "In doubt",
        "Migrations",
    ]


def test_a_gap_between_partitions_ends_what_is_covered() -> None:
    days = [["2026-01-01", "2027-01-01"], ["2028-01-01", "2029-01-01"]]
    assert covered_until(days, date(2026, 5, 1)) == date(2027, 1, 1)
    assert covered_until(days, date(2027, 5, 1)) is None
    assert covered_until(days, date(2028, 1, 1)) == date(2029, 1, 1)


def test_ages_are_said_as_a_person_says_them() -> None:
    assert [age_text(seconds) for seconds in (0, 119, 120, 7200, 172_800)] == ["0 s", "119 s", "2 min", "2 h", "2 days"]


@pytest.mark.parametrize("bad", [{"scan_rows": "many"}, {"scan_rows": -1}, {"scan_rows": "nan"}, {"speed": 1}])
def test_a_limit_that_cannot_be_meant_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        read_limits(LIMITS | bad)


def test_the_data_of_a_finding_is_what_the_screen_says() -> None:
    assert described([Finding("Drill", "fail", "text", "next", ("more",))]) == [
        {"matter": "Drill", "level": "fail", "text": "text", "next": "next"}
    ]
