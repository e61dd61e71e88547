"""Locks: an application that holds a table, two runs at once, a pooler in between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.oracle import MIDDLE, SECRET, Case
from tests.integration.pooler import Pooler, running
from tests.local import Local

QUICKLY = {"migrations_lock_timeout": "200ms", "migrations_lock_retry_pause": "10ms"}
HOLD = f"SELECT count(*), '{SECRET}' FROM rooms"  # its text must never be shown
# The last statement of a run that waits for another one.
POLLS = (
    "EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE "
    "'SELECT pg_try_advisory_lock(%')"
)
NAMED = r"pid {pid}, user postgres, application clinic, idle in transaction for \d+ s, in a transaction for \d+ s"


@pytest.mark.fault(32)
def test_who_holds_the_lock_is_named_while_the_run_waits_and_when_it_gives_up(case: Case) -> None:
    case.begin()
    case.write("002_beds", "ALTER TABLE rooms ADD COLUMN beds int;")
    with case.session() as application:
        application.execute(HOLD)
        result = case.run(**QUICKLY, migrations_lock_retries=1)
        named = NAMED.format(pid=application.info.backend_pid)
        assert re.search(rf"Blocked by: {named}, holds AccessShareLock on rooms", result.output), result.output
        assert "Attempt 2 of 2 begins in" in result.output
    case.survives(
        result,
        r"002_beds\.sql:5: \[55P03\] canceling statement due to lock timeout",
        rf"Blocked by: {named}.*\n.*Next: run the same command again when they have ended",
        r"002_beds\.sql not applied\. The failed file left no changes\.",
    )


@pytest.mark.fault(32)
def test_a_lock_that_is_given_back_is_waited_for(case: Case) -> None:
    case.begin()
    case.write("002_beds", "ALTER TABLE rooms ADD COLUMN beds int;")
    case.write("003_floors", "CREATE TABLE floors (id int CONSTRAINT floors_pkey PRIMARY KEY);")
    with case.session() as application:
        application.execute(HOLD)
        run = case.start(**QUICKLY, migrations_lock_retries=50)
        run.wait_for_output("Attempt 2 of 51 begins in")
    result = run.result()
    assert result.status == 0, result.output
    assert re.search(r"2 applied now in \d+ ms, 1 before", result.output), result.output
    assert SECRET not in result.output
    case.stands()


@pytest.mark.fault(32)
def test_who_holds_the_lock_is_ended_only_where_that_is_wanted(case: Case) -> None:
    case.begin()
    case.write("002_beds", "ALTER TABLE rooms ADD COLUMN beds int;")
    with case.session("reader") as reader, case.session() as application:
        reader.execute("SELECT count(*) FROM canary")  # holds a lock as well, but none that is in the way
        application.execute(HOLD)
        result = case.run(**QUICKLY, migrations_terminate_blockers=True)
        reader.execute("SELECT 1")
        reader.rollback()
        application.close()
    assert result.status == 0, result.output
    assert re.search(r"Lock +TERMINATED: pid \d+, user postgres, application clinic", result.output), result.output
    assert "application reader" not in result.output
    assert SECRET not in result.output
    case.stands()


@pytest.mark.fault(6)
def test_two_runs_at_once_are_as_good_as_one_and_one_that_waits_in_vain_says_for_whom(case: Case) -> None:
    case.begin()
    case.write("002_beds", f"ALTER TABLE rooms ADD COLUMN beds int;\n{MIDDLE}")
    case.write("003_floors", "CREATE TABLE floors (id int CONSTRAINT floors_pkey PRIMARY KEY);")
    with case.stopped_in_the_middle():
        first = case.start()
        pid = case.wait_until_at("002_beds")
        in_vain = case.run(migrations_run_lock_wait="1s")
        assert in_vain.status != 0
        assert re.search(
            rf"Nothing was changed .*: another run holds the lock of the migrations: pid {pid}, user postgres, "
            r"application physioflow 002_beds, from 127\.0\.0\.1/32, since \d{4}-.*\. This run waited .* "
            r"Next: wait until it ends",
            " ".join(in_vain.output.split()),
        ), in_vain.output
        assert case.history() == "apply 001"
        second = case.start()
        case.wait_until(POLLS, "the second run waits")
    results = [first.result(), second.result()]
    assert [result.status for result in results] == [0, 0], results
    assert "2 applied now" in results[0].output
    assert re.search(r"0 applied now in 0 ms, 3 before", results[1].output), results[1].output
    assert re.search(r"Waited [\d.]+ s for another run", results[1].output), results[1].output
    assert case.history() == "apply 001, apply 002, apply 003"
    case.is_at_its_end()


@pytest.mark.fault(7)
def test_a_run_that_waits_is_not_in_the_way_of_an_index_made_concurrently(case: Case) -> None:
    case.begin()
    case.write("002_names", "CREATE INDEX CONCURRENTLY idx_names ON rooms (name);", more="-- Transactional: no")
    with case.session() as application:
        application.execute("INSERT INTO rooms VALUES (1, 'a')")  # the index waits for the end of this
        first = case.start()
        case.wait_until_at("002_names", "virtualxid")
        status = case.local.play("playbooks/status.yml", **case.variables)
        second = case.start()
        case.wait_until(POLLS, "the second run waits")
        application.commit()
    results = [first.result(), second.result()]
    assert [result.status for result in results] == [0, 0], results
    assert "0 applied now in 0 ms, 2 before" in results[1].output
    assert (status.status, status.changed) == (0, 0), status.output
    told = " ".join(status.output.split())
    for pattern in (
        r"Migrations 1 applied, the newest 001 rooms at ",
        r"Running 002_names for \d+ s \(pid \d+\)",
        r"create index concurrently on rooms: waiting for writers before build, \d+ %",
        r"waits for pid \d+, user postgres, application clinic, idle in transaction for \d+ s",
    ):
        assert re.search(pattern, told), status.output
    assert "UTC: all is well" in told
    assert "In doubt" not in status.output
    assert case.history() == "apply 001, start 002, apply 002"
    case.stands()


@pytest.fixture
def pgbouncer(local: Local, tmp_path: Path) -> Iterator[Pooler]:
    """PgBouncer in transaction mode before the server of the session."""
    with running(local, tmp_path) as pooler:
        yield pooler


@pytest.mark.fault(68)
def test_a_pooler_in_transaction_mode_is_refused(case: Case, pgbouncer: Pooler) -> None:
    case.begin()
    case.write("002_beds", "ALTER TABLE rooms ADD COLUMN beds int;")
    for playbook in ("playbooks/migrate.yml", "deploy.yml"):
        result = case.local.play(playbook, **case.variables, **pgbouncer.variables)
        assert result.status != 0
        words = " ".join(result.output.split())
        assert "A connection pooler in transaction mode (such as PgBouncer) is between" in words, result.output
        assert "Nothing was changed." in words
        case.stands()
    case.converges()
