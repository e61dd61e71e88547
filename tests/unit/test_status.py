"""What a person reads of a database and of the runs on it."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.status_report import report

HISTORY = {"applied": 15, "newest": {"version": "015", "name": "rules", "at": "2026-02-11 10:00:00+00"}}
RUN: dict[str, Any] = {
    "pid": 7,
    "application": "physioflow 016_big_index",
    "state": "active",
    "wait": None,
    "age": 42,
    "blockers": None,
    "progress": None,
}


def test_where_nothing_runs_that_is_said() -> None:
    assert report("emr", HISTORY, []) == [
        "Database       emr",
        "Migrations     15 applied, the newest 015 rules at 2026-02-11 10:00:00+00",
        "Running        nothing",
    ]
    assert report("emr", None, [])[1] == "Migrations     no history"
    assert report("emr", {"applied": 0, "newest": None}, [])[1] == "Migrations     0 applied"


def test_a_run_is_shown_with_its_progress_and_whom_it_waits_for() -> None:
    progress = {
        "command": "create index concurrently",
        "relation": "visits",
        "phase": "building index",
        "percent": 37.4,
    }
    blocker = {"pid": 9, "user": "emr_app", "application": "", "state": "idle in transaction", "age": 30}
    lines = report("emr", HISTORY, [RUN | {"progress": [progress], "blockers": [blocker]}])
    assert lines[2:] == [
        "Running        016_big_index for 42 s (pid 7)",
        "               create index concurrently on visits: building index, 37 %",
        "               waits for pid 9, user emr_app, application (none), idle in transaction for 30 s",
    ]


def test_a_file_that_runs_is_not_in_doubt() -> None:
    history = HISTORY | {"in_doubt": ["016_big_index.sql"]}
    assert not any("In doubt" in line for line in report("emr", history, [RUN]))
    assert "In doubt       016_big_index.sql began and did not end" in report("emr", history, [])[2]
