"""playbooks/partitions.yml: this year and five more have their partition, and nothing in the way is lost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from tests import apart
from tests.apart import changed_of, failed_in, said_of
from tests.local import ROOT, Local, Result

PLAYBOOK = "playbooks/partitions.yml"
THIS_YEAR = datetime.now(ZoneInfo("Asia/Ho_Chi_Minh")).year
LAST = THIS_YEAR + 5
YEARS = (
    "SELECT string_agg(right(relname, 4), ' ' ORDER BY relname) FROM pg_inherits JOIN pg_class ON oid = inhrelid"
    " WHERE inhparent = 'outcome_measures'::regclass AND relname ~ '^outcome_measures_[0-9]+$'"
)


A_TABLE = f"CREATE TABLE outcome_measures_{THIS_YEAR} AS SELECT 1 AS n"
IN_THE_WAY = f'relation "outcome_measures_{THIS_YEAR}" already exists and is not a partition of outcome_measures'
# A copy of the deployed database for each host, of which most lack this year and the next: what is done to it, its
# variables, and the words that refuse it.
HOSTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "missing": ("", {}, ""),
    "ahead": ("", {"partitions_years_ahead": 9}, ""),
    "busy": ("", {}, ""),
    "taken": (A_TABLE, {}, IN_THE_WAY),
    "rest": (
        "CREATE TABLE rest PARTITION OF outcome_measures DEFAULT; INSERT INTO organizations (name) VALUES ('x');"
        "INSERT INTO clinics (organization_id, name) SELECT id, 'x' FROM organizations;"
        "INSERT INTO patients (clinic_id, mrn, first_name, last_name, date_of_birth, gender)"
        " SELECT id, '1', 'x', 'y', '1980-01-01', 'other' FROM clinics;"
        "INSERT INTO outcome_measures (patient_id, measure_type, measurement_date)"
        f" SELECT id, 'VAS', '{THIS_YEAR + 1}-03-01' FROM patients",
        {},
        f"the default partition rest contains 1 rows of {THIS_YEAR + 1}",
    ),
    "other": (
        "DROP TABLE outcome_measures CASCADE",
        {},
        "The database partitions_other has no partitioned table outcome_measures",
    ),
}
WHOLE = ("ahead", "other")  # nothing is dropped there beforehand
MISSING = ", ".join(str(year) for year in (THIS_YEAR, THIS_YEAR + 1, *range(2031, LAST + 1)))


@dataclass(frozen=True)
class Played:
    """What the playbook said of all hosts: in check mode, when it made what is missing, and once more."""

    local: Local
    shown: Result
    made: Result
    again: Result


def database_of(host: str) -> str:
    return f"partitions_{host}"


@pytest.fixture(scope="module")
def played(local: Local, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The databases after three runs; in the last the default partition of one is empty."""
    hosts = {host: {"database_name": database_of(host)} | variables for host, (_, variables, _) in HOSTS.items()}
    with ExitStack() as stack:
        for host, (sql, _, _) in HOSTS.items():
            name = database_of(host)
            stack.callback(local.drop_database, name)
            local.create_database(name, "physioflow")
            for year in () if host in WHOLE else (THIS_YEAR, THIS_YEAR + 1):
                local.psql(f"DROP TABLE outcome_measures_{year}", name)
            if sql:
                local.psql(sql, name)

        def play(which: Iterable[str], *options: str) -> Result:
            folder = tmp_path_factory.mktemp("partitions") / "play"
            return apart.play(local, folder, PLAYBOOK, {host: hosts[host] for host in which}, *options)

        shown = play(["missing"], "--check")
        port = local.psql("SHOW port", "postgres", role="postgres")
        place = f"host=127.0.0.1 port={port} dbname={database_of('busy')} user=emr_app"
        with psycopg.connect(place, password=local.password("emr_app")) as session:
            session.execute("SELECT count(*) FROM outcome_measures")  # its lock lasts until the transaction ends
            session.execute("LOCK TABLE outcome_measures_2024 IN ROW EXCLUSIVE MODE")
            made = play(hosts)
            held = "SELECT count(*) FROM pg_locks WHERE mode = 'RowExclusiveLock' AND relation = {0}::regclass"
            assert local.psql(held.format("'outcome_measures_2024'"), database_of("busy"), role="postgres") == "1"
        local.psql("DELETE FROM rest", database_of("rest"))
        yield Played(local, shown, made, play(["missing", "rest"]))


def test_missing_years_are_made_as_the_release_makes_them(played: Played) -> None:
    local, years = played.local, database_of("missing")
    assert f"Would create the partitions of outcome_measures for {MISSING}" in said_of(played.shown, "missing")
    assert changed_of(played.made, "missing") == 1
    assert f"Created the partitions of outcome_measures for {MISSING}" in said_of(played.made, "missing")
    assert local.psql(YEARS, years) == " ".join(map(str, range(2024, LAST + 1)))
    assert changed_of(played.again, "missing") == 0
    assert "Created nothing: outcome_measures has a partition for each year" in said_of(played.again, "missing")
    was = local.catalogs("physioflow")
    now = local.catalogs(years).replace(" (kept ahead)", "")
    of_a_year = re.compile(rf"^.*outcome_measures_{THIS_YEAR}\b.*$", re.MULTILINE)
    assert sorted(of_a_year.findall(now)) == sorted(of_a_year.findall(was)) != []
    write = (
        f"INSERT INTO outcome_measures (patient_id, measure_type, measurement_date) SELECT id, 'VAS', '{LAST}-12-31'"
    )
    assert local.run_psql("-c", f"{write} FROM patients", database=years, user="emr_app").returncode == 0


def test_they_are_no_drift_and_the_release_stays_verified(played: Played) -> None:
    local, database = played.local, database_of("ahead")
    assert changed_of(played.made, "ahead") == 1
    assert local.psql(YEARS, database).endswith(f" {THIS_YEAR + 9}")
    assert local.play("playbooks/verify.yml", database_name=database).status == 0
    drift = local.play("playbooks/plan.yml", database_name=database, plan_schema_drift=True)
    assert drift.status == 0, drift.output


def test_reading_and_writing_go_on_meanwhile(played: Played) -> None:
    assert changed_of(played.made, "busy") == 1
    assert played.local.psql(YEARS, database_of("busy")) == " ".join(map(str, range(2024, LAST + 1)))


def test_what_is_in_the_way_is_refused_and_kept(played: Played) -> None:
    refused = {host: words for host, (_, _, words) in HOSTS.items() if words}
    assert len(refused) == 3
    for host, words in refused.items():
        assert failed_in(played.made, host), host
        assert words in said_of(played.made, host), f"{host}\n{played.made.output}"
    local, taken = played.local, database_of("taken")
    file = ROOT / "roles/partitions/files/partitions.sql"
    by_hand = local.run_psql("-c", "SET partitions.years_ahead = 5", "-f", str(file), database=taken)
    assert IN_THE_WAY in by_hand.stderr
    assert "docs/partitions.md" in by_hand.stderr
    assert local.psql(f"SELECT n FROM outcome_measures_{THIS_YEAR}", taken) == "1"
    assert str(THIS_YEAR + 1) not in local.psql(YEARS, taken)


def test_a_default_partition_without_rows_of_the_year_is_not_in_the_way(played: Played) -> None:
    assert changed_of(played.again, "rest") == 1
    assert str(THIS_YEAR + 1) in played.local.psql(YEARS, database_of("rest"))
