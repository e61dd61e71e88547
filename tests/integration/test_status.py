"""The status screen and the metrics: each figure is changed on purpose, and the change is seen.

Most tests look as the module and the timer of a host do, without the eight seconds of a playbook.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from ansible_collections.physioflow.database.plugins.module_utils.status.findings import Finding, findings
from ansible_collections.physioflow.database.plugins.module_utils.status.limits import read_limits
from ansible_collections.physioflow.database.plugins.module_utils.status.look import (
    look_at_backups,
    look_at_database,
    look_at_disks,
)
from ansible_collections.physioflow.database.plugins.module_utils.status.program import text_of
from ansible_collections.physioflow.database.plugins.module_utils.status.screen import screen

from tests import apart
from tests.apart import answers_of, changed_of, failed_in, failure_of, said_of
from tests.backups import CANARY, Clinic
from tests.integration.oracle import Case
from tests.local import ROOT, VERSIONS, until

LIMITS = yaml.safe_load((ROOT / "roles/status/vars/main.yml").read_text())["__status_usual_limits"] | {
    "minimum_version": "16.1"
}


class Watch:
    """Looks at one database as the module does."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic = clinic

    def facts(self, *, details: bool = False) -> dict[str, Any]:
        with self.clinic.connect(autocommit=True, application_name="physioflow-status") as connection:
            seen = look_at_database(connection.cursor(), details=details)
        return {
            "database": self.clinic.name,
            **seen,
            "backups": look_at_backups(self.clinic.name, self.clinic.folder, self.clinic.local.server / "bin"),
            "disks": look_at_disks([self.clinic.folder]),
        }

    def wrong(self, **limits: Any) -> dict[str, Finding]:
        """Return what is not well, by its matter."""
        found = findings(self.facts(), read_limits(LIMITS | limits))
        told = "\n".join(screen("x", found))
        assert CANARY not in told
        return {entry.matter: entry for entry in found if entry.level != "ok"}


@pytest.fixture
def watch(clinic: Clinic) -> Watch:
    return Watch(clinic)


@contextmanager
def session(clinic: Clinic, sql: str, **options: Any) -> Iterator[psycopg.Connection[Any]]:
    """A session of an application, in a transaction after a statement."""
    with clinic.connect(application_name="clinic", **options) as connection:
        connection.execute(sql)
        yield connection
        connection.rollback()


def test_backups_and_drills_are_seen_with_their_age(watch: Watch) -> None:
    clinic = watch.clinic
    assert {watch.wrong()[matter].level for matter in ("Backup",)} == {"fail"}
    backup = clinic.backup()
    wrong = watch.wrong()
    assert "Backup" not in wrong
    assert (wrong["Drill"].level, wrong["Drill"].text) == ("warn", "no backup has been restored yet")
    clinic.act("drill", server="live")
    assert not {"Backup", "Drill"} & set(watch.wrong())

    def older(hours: float, of: str) -> Callable[[dict[str, Any]], None]:
        def change(manifest: dict[str, Any]) -> None:
            place, key = (manifest, "finished_at") if of == "backup" else (manifest["drills"][-1], "at")
            place[key] = (datetime.fromisoformat(place[key]) - timedelta(hours=hours)).isoformat()

        return change

    for hours, level in ((27, "warn"), (24, "fail")):
        clinic.reseal(backup, older(hours, "backup"))
        found = watch.wrong()["Backup"]
        assert (found.level, found.next.split(";")[0]) == (level, "ansible-playbook playbooks/backup.yml")
    for days, level in ((9, "warn"), (7, "fail")):
        clinic.reseal(backup, older(days * 24, "drill"))
        assert watch.wrong()["Drill"].level == level


def test_a_drill_that_failed_and_a_damaged_backup_are_seen(watch: Watch) -> None:
    clinic = watch.clinic
    backup = clinic.backup()
    clinic.act("drill", server="live")
    clinic.reseal(backup, lambda manifest: manifest["tables"][0].update(rows=4711))
    with pytest.raises(Exception, match="The drill failed"):
        clinic.act("drill", server="live")
    found = watch.wrong()["Drill"]
    assert found.level == "fail"
    assert re.fullmatch(rf"of {backup} failed at .*; the last successful one \d+ s ago", found.text)
    assert found.next == "ansible-playbook playbooks/drill.yml"
    newer = clinic.folder / f"{clinic.name}_backup_20991231_235959"
    newer.mkdir()
    (newer / "manifest.json").write_text("{")
    assert newer.name in watch.wrong()["Backup"].text


def test_a_missing_partition_is_seen_before_it_is_needed(watch: Watch) -> None:
    clinic = watch.clinic
    assert "Partitions" not in watch.wrong()
    year = datetime.fromisoformat(watch.facts()["figures"]["now"]).year
    clinic.sql(f"ALTER TABLE outcome_measures DETACH PARTITION outcome_measures_{year + 1}")
    found = watch.wrong(partition_fail_days=0)["Partitions"]
    assert (found.level, found.next) == ("warn", "ansible-playbook playbooks/partitions.yml")
    assert found.text == f"outcome_measures takes rows until {year}-12-31: the partition of {year + 1} is missing"
    assert watch.wrong(partition_fail_days=400)["Partitions"].level == "fail"
    clinic.sql(f"ALTER TABLE outcome_measures DETACH PARTITION outcome_measures_{year}")
    assert "rows of today are rejected" in watch.wrong()["Partitions"].text


def test_long_transactions_and_locks_are_seen_and_no_text_of_a_query(watch: Watch) -> None:
    clinic = watch.clinic
    watched = {"transaction_warn_minutes": 0.0001, "lock_warn_seconds": 0.0001}
    assert not {"Transactions", "Locks"} & set(watch.wrong(**watched))
    update = f"UPDATE patients SET mrn = mrn WHERE last_name_vi <> '{CANARY}'"
    with session(clinic, update) as holder, session(clinic, "SELECT 1") as waiter:
        waiter.pgconn.send_query(f"LOCK TABLE patients IN EXCLUSIVE MODE -- {CANARY}".encode())  # and go on
        clinic.waiters()
        until(lambda: {"Transactions", "Locks"} <= set(watch.wrong(**watched)), "both are seen")
        wrong = watch.wrong(**watched)
        assert CANARY not in json.dumps(watch.facts(), ensure_ascii=False)
        assert "application clinic" in wrong["Transactions"].text
        pid = holder.info.backend_pid
        assert re.search(rf"waits for patients for \d+ s, held by pid {pid}", wrong["Locks"].text)
        assert not {"Transactions", "Locks"} & set(watch.wrong())
        holder.rollback()
        while waiter.pgconn.get_result():  # until it has nothing more to say
            pass
    until(lambda: not {"Transactions", "Locks"} & set(watch.wrong(**watched)), "both have ended")


def test_the_fullest_place_of_connections_is_named(watch: Watch) -> None:
    clinic = watch.clinic
    assert "Connections" not in watch.wrong()
    clinic.sql(f"ALTER DATABASE {clinic.name} CONNECTION LIMIT 3", "postgres")
    with session(clinic, "SELECT 1"), session(clinic, "SELECT 1"), session(clinic, "SELECT 1"):
        found = watch.wrong()["Connections"]
    assert found.level == "fail"
    assert f"the fullest is database {clinic.name}, 3 of 3" in found.text


def test_rows_sizes_and_the_use_of_indexes_are_seen(watch: Watch) -> None:
    clinic = watch.clinic
    clinic.sql("CREATE TABLE heaps (id int CONSTRAINT heaps_pkey PRIMARY KEY, word text)")

    def rows() -> int:
        return next(int(table["rows"]) for table in watch.facts()["figures"]["tables"] if table["name"] == "heaps")

    assert rows() == 0
    clinic.sql("INSERT INTO heaps SELECT n, 'w' || n FROM generate_series(1, 20000) AS n")
    clinic.sql("CREATE INDEX idx_heaps_word ON heaps (word)")
    clinic.sql("ANALYZE heaps")
    until(lambda: rows() == 20000, "the rows are counted")
    unused = watch.wrong(index_unused_megabytes=0.1, scan_rows=0)["Indexes"]
    assert "idx_heaps_word" in unused.text
    clinic.sql("SELECT count(*) FROM heaps WHERE id > 0 AND word LIKE '%x'")

    def full() -> str:
        found = watch.wrong(index_unused_megabytes=0).get("Indexes")
        return found.text if found else ""

    until(full, "the table that is read in full is seen")
    assert re.fullmatch(r"heaps, about 20,000 rows: \d+ sequential scans, \d+ index scans", full())
    clinic.sql("SET enable_seqscan = off; SELECT word FROM heaps WHERE word = 'w7'")
    until(lambda: "idx_heaps_word" not in str(watch.wrong(index_unused_megabytes=0.1, scan_rows=0)), "it has been used")
    table = watch.facts()["figures"]["tables"][0]
    assert (table["name"], table["bytes"] > 1_000_000) == ("heaps", True)
    assert len([entry for entry in watch.facts()["figures"]["tables"] if "outcome_measures_2" in entry["name"]]) == 0


def test_an_index_that_was_made_by_half_is_seen(watch: Watch) -> None:
    clinic = watch.clinic
    assert "Indexes" not in watch.wrong()
    with pytest.raises(psycopg.errors.UniqueViolation), clinic.connect(autocommit=True) as connection:
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY idx_half ON patients (gender)")
    assert "idx_half" in watch.wrong()["Indexes"].text


def test_the_figures_are_read_while_a_migration_holds_a_table(watch: Watch) -> None:
    with watch.clinic.held("patients"):
        facts = watch.facts()
    assert "patients" in {table["name"] for table in facts["figures"]["tables"]}


def test_cache_disk_size_and_slots_are_figures_of_this_database(watch: Watch) -> None:
    clinic = watch.clinic
    before = watch.facts()["figures"]
    clinic.sql("SELECT count(*) FROM patients")
    until(lambda: watch.facts()["figures"]["database"]["hit"] > before["database"]["hit"], "blocks are counted")
    clinic.sql("CREATE TABLE more AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
    grown = watch.facts()["figures"]["database"]["bytes"] - before["database"]["bytes"]
    assert grown > 4_000_000
    assert "Disk" in watch.wrong(disk_warn_percent=0.0001)
    assert "Cache" not in watch.wrong()
    assert before["up"] > 0


def metrics(watch: Watch, **settings: Any) -> tuple[dict[str, float], str]:
    """Return what the timer of a host would write, and what it would say."""
    clinic = watch.clinic
    text, problem = text_of(
        {
            "database": clinic.name,
            "backup_directory": str(clinic.folder),
            "bin_dir": str(clinic.local.server / "bin"),
            "connection": clinic.connection,
            "limits": LIMITS,
            "release": VERSIONS,
            **settings,
        }
    )
    assert CANARY not in text
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in lines}, problem


@pytest.mark.fault(69)
def test_indexes_that_another_version_of_a_collation_built_are_told(watch: Watch) -> None:
    """As after a move to another Debian, whose recorded version is written here; PostgreSQL itself warns as well."""
    clinic = watch.clinic
    clinic.sql("CREATE COLLATION vi (PROVIDER = icu, LOCALE = 'vi')", role="emr")
    clinic.sql("CREATE INDEX idx_patients_vi ON patients (last_name COLLATE vi)", role="emr")
    assert "Indexes" not in watch.wrong()
    clinic.sql("UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'vi'", role="postgres")
    warned = clinic.local.run_psql(
        "-c", "SELECT count(DISTINCT last_name COLLATE vi) FROM patients", database=clinic.name
    )
    assert 'collation "vi" has version mismatch' in warned.stderr
    found = watch.wrong()["Indexes"]
    assert (found.level, "the collation vi had version 1.0 when its indexes were built" in found.text) == ("fail", True)
    act = found.next.partition("then ")[2]
    assert act == "ALTER COLLATION vi REFRESH VERSION"
    clinic.sql(f"REINDEX INDEX idx_patients_vi; {act}", role="emr")
    assert "Indexes" not in watch.wrong()


def test_the_metrics_change_with_what_they_measure(watch: Watch) -> None:
    clinic = watch.clinic
    before, problem = metrics(watch)
    assert (before["physioflow_up"], problem) == (1, "")
    assert (before["physioflow_migrations_pending"], before["physioflow_backups"]) == (0, 0)
    assert before["physioflow_backup_last_success_timestamp_seconds"] == 0
    later, _ = metrics(watch, release=[*VERSIONS, "901", "902"])
    assert later["physioflow_migrations_pending"] == 2

    began = datetime.now().timestamp()
    clinic.backup()
    clinic.sql("ALTER TABLE outcome_measures DETACH PARTITION outcome_measures_2030")
    with session(clinic, "SELECT 1"), session(clinic, "SELECT 1"):
        after, _ = metrics(watch)
    assert after["physioflow_backup_last_success_timestamp_seconds"] >= began - 1
    assert after["physioflow_backup_size_bytes"] > 1000
    assert after['physioflow_check{check="backup"}'] < before['physioflow_check{check="backup"}'] == 2
    place = 'physioflow_connections{of="server",name=""}'
    assert after[place] >= before[place] + 2
    end = 'physioflow_partition_end_timestamp_seconds{table="outcome_measures"}'
    assert before[end] - after[end] == 365 * 86400
    assert after["physioflow_transaction_oldest_seconds"] >= 0


def test_a_server_that_is_down_is_a_metric(watch: Watch) -> None:
    found, problem = metrics(watch, connection=watch.clinic.connection | {"port": "1"})
    assert found["physioflow_up"] == 0
    assert "physioflow_backups" in found
    assert "The server cannot be reached" in problem
    assert watch.clinic.connection["password"] not in problem


# The whole playbook


def test_the_screen_the_end_and_the_json_of_the_playbook_and_what_to_do_where_nothing_is_deployed(
    case: Case, tmp_path: Path
) -> None:
    """`local` lacks a migration of the release; `drifted` was changed by hand, too."""
    assert case.apply().ok
    case.write("901_beds", "CREATE TABLE beds (id int);")
    drifted = f"{case.database[:53]}_drifted"
    hosts: dict[str, dict[str, Any]] = {
        "local": {"database_name": case.database, "status_fail": False},
        "nobody": {"database_name": "not_there"},
        "drifted": {"database_name": drifted, "status_format": "json", "status_drift": True},
    }
    # A limit by its former name, which counts where status_limits does not name it.
    never = {"backup_warn_hours": 0, "drill_warn_days": 0, "drill_fail_days": 0, "minimum_version": ""}
    given: dict[str, Any] = {"status_limits": never, "status_backup_fail_hours": 1}
    file = tmp_path / "status.json"
    given |= {"status_file": str(file), "release_directory": str(case.release)}
    case.local.create_database(drifted, case.database)
    try:
        case.local.psql("CREATE TABLE by_hand (id int)", drifted)
        result = apart.play(case.local, tmp_path / "play", "playbooks/status.yml", hosts, **given)
    finally:
        case.local.drop_database(drifted)
    assert changed_of(result, "local") == 1  # the file
    assert failed_in(result, "nobody"), "nothing is deployed there"
    assert "Next: ansible-playbook deploy.yml" in said_of(result, "nobody")
    told = " ".join(result.output.split())
    assert re.search(rf"Database {case.database} on local, .*? UTC: 1 FAIL, 1 WARN ", told)
    assert re.search(r"WARN Migrations 1 applied, the newest 001 .*?; 1 pending: 901 beds next: ansible-", told)
    [shown] = [text for _, text in answers_of(result, "local") if "    Database " in text]
    lines = shown[shown.index("    Database ") :].splitlines()
    assert len(lines) > 15
    assert max(map(len, lines)) <= 100
    written = json.loads(file.read_text())["hosts"]
    assert (written["local"]["level"], written["local"]["facts"]["plan"]["pending"]) == ("fail", ["901 beds"])

    told = failure_of(result, "drifted")
    assert f"{drifted} on drifted: drift, backup failed. Next: ansible-playbook playbooks/plan.yml" in told
    written_out = re.search(r"^( +)\{\n.*?^\1\}$", result.output, re.DOTALL | re.MULTILINE)
    assert written_out
    data = json.loads(written_out[0])
    assert (data["host"], data["level"]) == ("drifted", "fail")
    assert any("by_hand" in line for line in data["facts"]["drift"])
