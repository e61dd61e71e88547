"""A session, a server or a controller that ends in the middle, and statements that fail while they run."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time

import psycopg
import pytest

from tests.integration.oracle import MIDDLE, SECRET, Case

TABLE = "CREATE TABLE beds (id int CONSTRAINT beds_pkey PRIMARY KEY);"


@pytest.mark.fault(1)
@pytest.mark.fault(2)
@pytest.mark.fault(4)
def test_whatever_ends_the_session_in_the_middle_leaves_nothing_behind(case: Case) -> None:
    """Each run is the one that goes on, without a manual step, after the one before it was ended.

    The one whose server crashes is run by a playbook.
    """
    case.begin()
    case.psql("ALTER SYSTEM RESET fsync", role="postgres")  # the tests of backups switch it off
    case.psql("SELECT pg_reload_conf()", role="postgres")
    case.wait_until("current_setting('fsync') = 'on'", "what is written stays")
    case.write("002_beds", f"{TABLE}\n{MIDDLE}\nCREATE INDEX idx_beds ON beds (id);")
    with case.stopped_in_the_middle() as hook:
        meanwhile = case.apply_meanwhile()
        pid = case.wait_until_at("002_beds")
        case.psql(f"SELECT pg_terminate_backend({pid})", role="postgres")
        ended = meanwhile.result()
        assert not ended.ok
        words = " ".join(ended.output.split())
        assert "release/migrations/002_beds.sql: [57P01] terminating connection due to administrator command" in words
        assert "002_beds.sql not applied. The failed file left no changes. Next: run the same command again" in words
        case.stands(ours=(hook.info.backend_pid,))

        process = case.apply_in_a_process()
        pid = case.wait_until_at("002_beds")
        process.kill()
        case.wait_until(f"NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})", "the server ends the session")
        case.stands(ours=(hook.info.backend_pid,))

        run = case.start()
        os.kill(case.wait_until_at("002_beds"), signal.SIGKILL)  # the server restarts and recovers, all sessions end
        crashed = run.result()
        with contextlib.suppress(psycopg.OperationalError):
            hook.close()
    assert SECRET not in ended.output
    case.survives(
        crashed,
        r"release/migrations/002_beds\.sql: .*(server closed the connection|terminating connection)",
        r"002_beds\.sql not applied\. The failed file left no changes\.",
    )


@pytest.mark.fault(28)
@pytest.mark.fault(29)
@pytest.mark.fault(33)
def test_a_statement_that_fails_while_it_runs_leaves_nothing_behind(case: Case) -> None:
    """The one that hangs is run by a playbook."""
    case.begin()

    def write(sql: str) -> None:
        case.write("002_beds", f"{TABLE}\nDO $$ BEGIN EXECUTE '{sql}'; END $$;")

    for sql, pattern in {
        "COMMIT": r"002_beds\.sql:6: \[0A000\] EXECUTE of transaction commands is not implemented",
        "VACUUM": r"002_beds\.sql:6: \[25001\] .*header line `-- Transactional: no`",
    }.items():
        write(sql)
        failure = " ".join(case.apply().failure.split())
        assert re.search(pattern, failure), failure
        assert "The failed file left no changes." in failure
        case.stands()
    write("SELECT pg_sleep(1000000)")
    result = case.run(migrations_statement_timeout="300ms")
    assert case.history() == "apply 001"
    case.write("002_beds", TABLE)
    case.survives(
        result,
        r"002_beds\.sql:6: \[57014\] canceling statement due to statement timeout",
        r"The failed file left no changes\.",
    )
    assert case.history() == "apply 001, apply 002"


@pytest.mark.fault(67)
def test_a_server_without_a_free_connection_says_so(case: Case) -> None:
    case.begin()
    case.write("002_beds", TABLE)
    with contextlib.ExitStack() as sessions:
        with contextlib.suppress(psycopg.OperationalError):
            for _ in range(1000):
                sessions.enter_context(case.session())
        result = case.run()
    assert re.search(
        r"cannot be reached: .*too many clients already.* Next: all connections of the server are in use",
        " ".join(result.output.split()),
    ), result.output
    case.survives(result)


@pytest.mark.fault(56)
def test_a_file_of_20_megabytes_is_applied_in_bounded_memory(case: Case) -> None:
    case.begin()
    rows = ", ".join(f"({n}, 'a note that is long enough to fill a line of the file')" for n in range(1000))
    inserts = "\n".join(f"INSERT INTO big (id, note) VALUES {rows};" for _ in range(300))
    path = case.write("002_big", f"CREATE TABLE big (id int, note text);\n{inserts}")
    assert path.stat().st_size > 19_000_000
    begun = time.monotonic()
    run = case.start()
    peak = 0
    while run.process.poll() is None:
        peak = max(peak, run.memory())
        time.sleep(0.1)  # a sample, not a wait
    result = run.result()
    assert result.status == 0, result.output
    assert "a note that is" not in result.output
    assert case.psql("SELECT count(*) FROM big") == "300000"
    assert peak < 1_000_000_000, f"{peak} bytes"
    print(f"{path.stat().st_size} bytes in {time.monotonic() - begun:.1f} s, at most {peak} bytes of memory")
    assert case.history() == "apply 001, apply 002"
