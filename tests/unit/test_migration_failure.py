"""What a person is told when a run fails: place, state, next step, and no row."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.failure import (
    Failure,
    explain,
    read_failure,
    without_values,
)

RUN = "11111111-1111-4111-8111-111111111111"
OTHER_RUN = "22222222-2222-4222-8222-222222222222"
FILES = ["files/migrations/001_a.sql", "files/migrations/002_b.sql", "files/migrations/003_c.sql"]
SCRIPT = "Cannot execute SQL 'INSERT INTO patients VALUES (''secret'');' None: "


def marker(run: str = RUN, **changes: Any) -> str:
    data = {"file": FILES[1], "line": 7, "sqlstate": "42P01", "message": 'relation "x" does not exist', "hint": ""}
    return f"migration-failure {run} {json.dumps(data | changes)}"


def test_the_place_is_read_from_the_marker_of_this_run() -> None:
    failure = read_failure(f"{marker(OTHER_RUN, line=1)}{SCRIPT}{marker()}\nCONTEXT: PL/pgSQL", RUN)
    assert str(failure) == f'{FILES[1]}:7: [42P01] relation "x" does not exist'


def test_a_hint_is_kept() -> None:
    assert str(read_failure(marker(hint="Try y."), RUN)).endswith("(hint: Try y.)")


def test_values_of_rows_are_left_out() -> None:
    message = 'invalid input syntax for type integer: "Nguyễn Văn A"'
    failure = read_failure(marker(sqlstate="22P02", message=message), RUN)
    assert failure.message == 'invalid input syntax for type integer: "…"'
    assert without_values('duplicate key value violates unique constraint "u"', "23505").endswith('"u"')


def test_the_marker_of_another_run_is_not_believed() -> None:
    assert read_failure(f"{SCRIPT}{marker(OTHER_RUN)}", RUN).file is None


def test_without_a_marker_only_the_words_after_the_script_count() -> None:
    failure = read_failure(f"{SCRIPT}connection already closed\nDETAIL: secret", RUN)
    assert (failure.file, failure.message) == (None, "connection already closed")
    assert read_failure("unable to connect to database: no route\nmore", RUN).message.endswith("no route")


@pytest.mark.parametrize("message", ["Cannot execute SQL 'SELECT secret'", "", "\n"])
def test_where_nothing_can_be_told_apart_nothing_is_shown(message: str) -> None:
    assert "secret" not in str(read_failure(message, RUN))


def test_a_statement_of_a_file_without_transaction_is_read_from_its_comment() -> None:
    place = json.dumps({"file": FILES[1], "line": 6, "needs": [{"relation": '"a*/"', "modes": ["ShareLock"]}]})
    sent = f"/* migration-statement {RUN} {place.replace('/', chr(92) + '/')} */ CREATE INDEX secret"
    words = "canceling statement due to lock timeout\nCONTEXT: secret"
    failure = read_failure(f"Cannot execute SQL '{sent}' None: {words}, query list: ['SELECT secret']", RUN)
    assert str(failure) == f"{FILES[1]}:6: [55P03] canceling statement due to lock timeout"
    assert failure.needs == ({"relation": '"a*/"', "modes": ["ShareLock"]},)


def tell(failure: Failure, **given: Any) -> str:
    none: dict[str, Any] = {"applied": set(), "theirs": set(), "in_doubt": set()}
    return str(explain(failure, planned=FILES, database="emr", **(none | given)))


def test_the_state_and_the_next_step_are_told() -> None:
    text = tell(Failure("wrong", "42601", FILES[1], 7), applied={FILES[0]})
    assert text.splitlines() == [
        f"{FILES[1]}:7: [42601] wrong",
        "Database emr: 001_a.sql applied and recorded by this run; 002_b.sql to 003_c.sql (2) not applied. "
        "The failed file left no changes.",
        f"Next: correct {FILES[1]} and run the same command again; it continues with the first missing file.",
    ]


def test_a_rollback_that_fails_in_its_trial_is_told_to_read_its_header() -> None:
    text = tell(Failure("wrong", "23503", FILES[0], 12), done="rolled back", counting=True)
    assert text.splitlines()[1:] == [
        "Database emr: nothing was changed. The rollback was tried in a transaction and reverted.",
        f"Next: read in the header of {FILES[0]} when it fails, remove the cause and run the same command again.",
    ]


def test_what_another_run_applied_is_not_claimed() -> None:
    text = tell(Failure("another run has applied it since this run was planned", "55000", FILES[0], 1), theirs={*FILES})
    assert "none applied and recorded by this run; 001_a.sql to 003_c.sql (3) applied by another run meanwhile" in text
    assert "Next: run the same command again; it continues from the current state." in text


def test_a_held_lock_asks_to_wait() -> None:
    text = tell(Failure("another run holds the lock of the migrations: pid 7, user x, application y"))
    assert "Next: wait until that run ends" in text


@pytest.mark.parametrize(
    ("terminating", "how"),
    [(False, "-e migrations_terminate_blockers=true;"), (True, "SELECT pg_terminate_backend(PID), as a session that")],
)
def test_a_lock_that_did_not_come_asks_for_the_session_that_holds_it(terminating: bool, how: str) -> None:
    text = str(
        explain(
            Failure("canceling statement due to lock timeout", "55P03", FILES[0], 1),
            planned=FILES,
            applied=set(),
            theirs=set(),
            in_doubt=set(),
            database="emr",
            terminating=terminating,
            findings=["Blocked by: pid 7."],
        )
    )
    assert "\nBlocked by: pid 7.\nNext: run the same command again when they have ended" in text
    assert f"terminate them with {how}" in text


def test_a_statement_that_needs_no_transaction_is_told_its_header_line() -> None:
    text = tell(Failure("VACUUM cannot be executed from a function", "25001", FILES[0], 1))
    assert "Next: put that statement into a file of its own with the header line `-- Transactional: no`" in text


def test_a_file_in_doubt_is_named() -> None:
    assert "002_b.sql is in doubt" in tell(Failure("killed", file=FILES[1], line=1), in_doubt={FILES[1]})
