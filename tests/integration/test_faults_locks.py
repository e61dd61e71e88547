"""Locks: an application that holds a table, two runs at once, a pooler in between."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.status.findings import migrations, running
from ansible_collections.physioflow.database.plugins.module_utils.status.look import look_at_database
from ansible_collections.physioflow.database.plugins.module_utils.status.screen import screen

from tests.fuzz.driver import Outcome
from tests.integration import pooler
from tests.integration.oracle import MIDDLE, SECRET, Case
from tests.local import Local

QUICKLY = {"lock_timeout": "200ms", "lock_retry_pause": "10ms"}
HOLD = f"SELECT count(*), '{SECRET}' FROM rooms"  # its text must never be shown
# The last statement of a run that waits for another one.
POLLS = (
    "EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE "
    "'SELECT pg_try_advisory_lock(%')"
)
NAMED = r"pid {pid}, user postgres, application clinic, idle in transaction for \d+ s, in a transaction for \d+ s"


@pytest.mark.fault(32)
def test_who_holds_the_lock_is_named_when_the_run_gives_up_and_is_waited_for(case: Case) -> None:
    case.begin()
    case.write("002_beds", "ALTER TABLE rooms ADD COLUMN beds int;")
    driver = case.driver()
    with case.session() as application:
        application.execute(HOLD)
        outcome = driver.deploy(**QUICKLY, lock_retries=1)
        named = f"Blocked by: {NAMED.format(pid=application.info.backend_pid)}, holds AccessShareLock on rooms"
        assert re.search(rf"{named}.*\nAttempt 2 of 2 begins in", outcome.said), outcome
        driver.before_retry = application.rollback
        assert driver.deploy(**QUICKLY, lock_retries=50) == Outcome(sent=2, failed=1)
    case.survives(
        outcome,
        r"002_beds\.sql:5: \[55P03\] canceling statement due to lock timeout",
        rf"{named}.*\n.*Next: run the same command again when they have ended",
        r"002_beds\.sql not applied\. The failed file left no changes\.",
    )


@pytest.mark.fault(32)
def test_who_holds_the_lock_is_ended_only_where_that_is_wanted(case: Case) -> None:
    case.write("002_beds", "CREATE TABLE beds (id int CONSTRAINT beds_pkey PRIMARY KEY);")
    case.begin()
    case.write("003_rooms", "ALTER TABLE rooms ADD COLUMN note text;")
    case.write("004_beds", "ALTER TABLE beds ADD COLUMN note text;")
    with case.session("reader") as reader, case.session() as application, case.session("desk") as desk:
        reader.execute("SELECT count(*) FROM canary")  # holds a lock as well, but none that is in the way
        application.execute(HOLD)
        desk.execute("SELECT FROM beds")
        quickly = {f"migrations_{name}": value for name, value in QUICKLY.items()}
        result = case.run(**quickly, migrations_lock_retries=2, migrations_terminate_blockers=True)
        reader.execute("SELECT 1")
        reader.rollback()
        named = f"Blocked by: {NAMED.format(pid=application.info.backend_pid)}, holds AccessShareLock on rooms"
        application.close()
        desk.close()
    assert result.status == 0, result.output
    words = " ".join(result.output.split())
    assert re.search(rf"{named}.*Attempt 2 of 3.*Attempt 3 of 3", words), words
    for name in ("clinic", "desk"):
        assert re.search(rf"Lock +TERMINATED: pid \d+, user postgres, application {name}", result.output), result.output
    assert "2 applied now" in words
    assert "application reader" not in words
    assert SECRET not in words
    case.stands()


@pytest.mark.fault(6)
def test_two_runs_at_once_are_as_good_as_one_and_one_that_waits_in_vain_says_for_whom(case: Case) -> None:
    """The second is run by a playbook."""
    case.begin()
    case.write("002_beds", f"ALTER TABLE rooms ADD COLUMN beds int;\n{MIDDLE}")
    case.write("003_floors", "CREATE TABLE floors (id int CONSTRAINT floors_pkey PRIMARY KEY);")
    with case.stopped_in_the_middle():
        first = case.apply_meanwhile()
        pid = case.wait_until_at("002_beds")
        refused = case.apply(run_lock_wait="1s").refused
        assert re.search(
            rf"Nothing was changed .*: another run holds the lock of the migrations: pid {pid}, user postgres, "
            r"application physioflow 002_beds, from 127\.0\.0\.1/32, since \d{4}-.*\. This run waited .* "
            r"Next: wait until it ends",
            " ".join(refused.split()),
        ), refused
        assert case.history() == "apply 001"
        second = case.start()
        case.wait_until(POLLS, "the second run waits")
    assert first.result().ok, first.result()
    result = second.result()
    assert result.status == 0, result.output
    assert re.search(r"0 applied now in 0 ms, 3 before", result.output), result.output
    assert re.search(r"Waited [\d.]+ s for another run", result.output), result.output
    assert case.history() == "apply 001, apply 002, apply 003"
    case.is_at_its_end()


@pytest.mark.fault(7)
def test_a_run_that_waits_is_not_in_the_way_of_an_index_made_concurrently(case: Case) -> None:
    case.begin()
    case.write("002_names", "CREATE INDEX CONCURRENTLY idx_names ON rooms (name);", more="-- Transactional: no")
    with case.session() as application:
        application.execute("INSERT INTO rooms VALUES (1, 'a')")  # the index waits for the end of this
        first = case.apply_meanwhile()
        case.wait_until_at("002_names", "virtualxid")
        with case.session() as watching:
            watching.autocommit = True
            seen = look_at_database(watching.cursor()) | {"plan": {"pending": ["002 names"], "problems": []}}
        second = case.apply_meanwhile()
        case.wait_until(POLLS, "the second run waits")
        application.commit()
    assert first.result().ok, first.result()
    assert second.result() == Outcome(), second.result()
    told = " ".join(" ".join(screen("It", [*migrations(seen, {}), *running(seen, {})])).split())
    for pattern in (
        r"^It: all is well Migrations 1 applied, the newest 001 rooms at ",
        r"Running 002_names for \d+ s \(pid \d+\)",
        r"create index concurrently on rooms: waiting for writers before build, \d+ %",
        r"waits for pid \d+, user postgres, application clinic, idle in transaction for \d+ s",
    ):
        assert re.search(pattern, told), told
    assert case.history() == "apply 001, start 002, apply 002"
    case.stands()


@pytest.mark.fault(68)
def test_a_pooler_in_transaction_mode_is_refused(local: Local, case: Case, tmp_path: Path) -> None:
    case.begin()
    case.write("002_beds", "ALTER TABLE rooms ADD COLUMN beds int;")
    with pooler.running(local, tmp_path) as pgbouncer:
        outcome = case.driver(port=pgbouncer.variables["postgresql_managed_port"]).deploy()
        case.stands()
        result = local.play("deploy.yml", **case.variables, **pgbouncer.variables)
    assert result.status != 0
    for output in (outcome.refused, result.output):
        words = " ".join(output.split())
        assert "A connection pooler in transaction mode (such as PgBouncer) is between" in words, words
        assert "Nothing was changed." in words
    case.stands()
    case.converges()
