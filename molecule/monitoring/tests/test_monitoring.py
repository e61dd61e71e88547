"""Metrics of a host: what node-exporter and Prometheus would read, and who reads it."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from testinfra.host import Host

T = TypeVar("T")
FOLDER = "/var/lib/prometheus/node-exporter"
MIGRATIONS = len([*(Path(__file__).resolve().parents[3] / "files/migrations").glob("*.sql")])
FILE = f"{FOLDER}/physioflow.prom"
PSQL = "runuser -u postgres -- psql -XAtq -d physioflow -c %s"


def figures(host: Host) -> dict[str, float]:
    """Return the file as it is now."""
    lines = host.file(FILE).content_string.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def wait(read: Callable[[], T], condition: Callable[[T], object]) -> T:
    """Read again until a condition holds."""
    deadline = time.monotonic() + 60
    while not condition(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


def until(host: Host, condition: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """Wait for what the timer writes next."""
    return wait(lambda: figures(host), condition)


def test_the_status_screen_sees_what_root_sees(host: Host) -> None:
    seen = json.loads((Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "status.json").read_text())
    name = host.check_output("hostname")
    facts = seen["hosts"][name]["facts"]
    assert (facts["history"]["applied"], facts["plan"], facts["backups"]["problem"]) == (
        MIGRATIONS,
        {"pending": [], "problems": []},
        "",
    )
    assert facts["built"][:4] == host.check_output("date -r /usr/lib/postgresql/16/bin/postgres +%Y")
    assert [disk["folder"] for disk in facts["disks"]] == ["/var/lib/postgresql/16/main"]
    assert {entry["matter"] for entry in seen["hosts"][name]["findings"]} >= {"Server", "Backup", "Partitions", "Locks"}


@pytest.fixture
def timer(host: Host) -> str:
    assert host.service("physioflow-status.timer").is_running
    assert host.service("physioflow-status.timer").is_enabled
    return "physioflow-status"


def test_the_file_is_whole_and_everybody_may_read_it(host: Host, timer: str) -> None:
    file = host.file(FILE)
    assert (file.user, file.mode) == ("root", 0o644)
    found = figures(host)
    assert found["physioflow_up"] == 1
    assert (found["physioflow_migrations_applied"], found["physioflow_migrations_pending"]) == (MIGRATIONS, 0)
    assert found['physioflow_table_rows{table="outcome_measures_library"}'] == 8
    assert "physioflow_transaction_oldest_seconds" in found  # so it sees the sessions of others
    assert timer in host.check_output("systemctl list-timers --all")


@pytest.mark.usefixtures("timer")
def test_a_backup_and_a_long_transaction_are_seen_by_the_next_run(host: Host) -> None:
    host.check_output("systemctl start physioflow-backup.service")
    now = float(host.check_output("date +%s"))
    until(host, lambda found: found["physioflow_backup_last_success_timestamp_seconds"] > now - 300)
    host.check_output(
        "systemd-run --quiet --unit=sleeper --uid=postgres psql -XAtq -d physioflow -c 'BEGIN; SELECT pg_sleep(300)'"
    )
    until(host, lambda found: found["physioflow_transaction_oldest_seconds"] > 2)
    host.check_output("systemctl stop sleeper")
    until(host, lambda found: found["physioflow_transaction_oldest_seconds"] < 2)


@pytest.mark.usefixtures("timer")
def test_a_server_that_is_down_is_a_figure_and_not_a_silence(host: Host) -> None:
    host.check_output("systemctl stop postgresql@16-main")
    try:
        down = until(host, lambda found: found["physioflow_up"] == 0)
    finally:
        host.check_output("systemctl start postgresql@16-main")
    assert "physioflow_backups" in down
    assert "physioflow_migrations_applied" not in down
    until(host, lambda found: found["physioflow_up"] == 1)


@pytest.mark.control("S8")
def test_whom_it_runs_as_and_what_that_may_do(host: Host) -> None:
    shown = host.check_output("systemctl show physioflow-status.service -p User -p ProtectSystem -p NoNewPrivileges")
    assert set(shown.splitlines()) == {"User=emr_backup", "ProtectSystem=strict", "NoNewPrivileges=yes"}
    settings = host.file("/etc/physioflow-status/settings.json")
    assert (settings.user, settings.group, settings.mode) == ("root", "emr_backup", 0o640)
    members = (
        "SELECT roleid::regrole || ' ' || member::regrole FROM pg_auth_members "
        "WHERE member::regrole::text IN ('emr_backup', 'prometheus') ORDER BY roleid::regrole::text"
    )
    assert host.check_output(PSQL, members).splitlines() == [
        "pg_monitor prometheus",
        "pg_read_all_data emr_backup",
        "pg_read_all_stats emr_backup",
    ]
    reads = "SELECT has_table_privilege('prometheus', oid, 'SELECT') FROM pg_class WHERE relname = 'patients'"
    assert host.check_output(PSQL, reads) == "f"


@pytest.mark.control("S13")
def test_the_exporter_comes_in_by_the_socket_and_listens_at_home(host: Host) -> None:
    assert host.check_output("ss -Hltn sport = :9187 | awk '{print $4}'") in ("127.0.0.1:9187", "[::1]:9187")
    read = (
        "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://localhost:9187/metrics\").read().decode())'"
    )
    # The first connection after a restart of the server may be one that the restart had ended.
    text = wait(lambda: str(host.check_output(read)), lambda text: "\npg_up 1\n" in text)
    assert re.search(r'^pg_stat_database_xact_commit\{.*datname="physioflow".*\} [1-9]', text, re.MULTILINE)
    assert host.check_output(PSQL, "SELECT rolconnlimit, rolsuper FROM pg_roles WHERE rolname = 'prometheus'") == "3|f"
