"""Which failures are worth another attempt, and when it begins."""

from __future__ import annotations

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.failure import Failure
from ansible_collections.physioflow.database.plugins.module_utils.migrations.retry import (
    pause_before,
    read_duration,
    waited_in_vain,
    waits_for_application,
    waits_for_run,
)

HELD = "another run holds the lock of the migrations: pid 7"
OVERTAKEN = "another run has applied it since this run was planned"


@pytest.mark.parametrize(
    ("sqlstate", "message", "application", "run"),
    [
        ("55P03", "canceling statement due to lock timeout", True, False),
        ("40P01", "deadlock detected", True, False),
        ("40001", "could not serialize access", True, False),
        ("55P03", HELD, False, True),
        ("55000", OVERTAKEN, False, True),
        ("57014", "canceling statement due to statement timeout", False, False),
        ("23505", "duplicate key value violates unique constraint", False, False),
        ("42P01", "relation does not exist", False, False),
        (None, "connection refused", False, False),
    ],
)
def test_only_what_passes_by_itself_is_tried_again(
    sqlstate: str | None, message: str, application: bool, run: bool
) -> None:
    failure = Failure(message, sqlstate)
    assert (waits_for_application(failure), waits_for_run(failure)) == (application, run)


def test_a_serialization_failure_has_nobody_in_the_way() -> None:
    failures = [Failure("words", "55P03"), Failure("words", "40P01"), Failure("words", "40001"), Failure(HELD, "55P03")]
    assert [waited_in_vain(failure) for failure in failures] == [True, True, False, False]


def test_pauses_grow_and_are_never_quite_the_same() -> None:
    longest = [pause_before(attempt, 2.0, 2.0, lambda _, most: most) for attempt in (2, 3, 4, 5, 6)]
    shortest = [pause_before(attempt, 2.0, 2.0, lambda least, _: least) for attempt in (2, 3, 4, 5, 6)]
    assert longest == [2.5, 5.0, 10.0, 20.0, 40.0]
    assert shortest == [1.5, 3.0, 6.0, 12.0, 24.0]
    assert len({pause_before(2, 2.0) for _ in range(20)}) > 1


@pytest.mark.parametrize(
    ("text", "seconds"), [("2s", 2), ("500ms", 0.5), ("1min", 60), ("1 h", 3600), ("3", 3), ("0.5s", 0.5)]
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert read_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "-1s", "2 days"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration like 500ms, 2s or 1min"):
        read_duration(text)
