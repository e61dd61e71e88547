"""playbooks/partitions.yml: this year and five more have their partition, and nothing in the way is lost."""

from __future__ import annotations

import re
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from tests import apart
from tests.apart import changed_of, failed_in, said_of
from tests.backups import Clinic
from tests.fuzz.driver import run_module
from tests.integration.test_promises import verify
from tests.local import ROOT, Local

PLAYBOOK = "playbooks/partitions.yml"
THIS_YEAR = datetime.now(ZoneInfo("Asia/Ho_Chi_Minh")).year
LAST = THIS_YEAR + 5
YEARS = (
    "SELECT string_agg(right(relname, 4), ' ' ORDER BY relname) FROM pg_inherits JOIN pg_class ON oid = inhrelid"
    " WHERE inhparent = 'outcome_measures'::regclass AND relname ~ '^outcome_measures_[0-9]+$'"
)
IN_THE_WAY = f'relation "outcome_measures_{THIS_YEAR}" already exists and is not a partition of outcome_measures'
FILE = ROOT / "roles/partitions/files/partitions.sql"
DROPPED = f"DROP TABLE outcome_measures_{THIS_YEAR}; DROP TABLE outcome_measures_{THIS_YEAR + 1};"
MISSING = ", ".join(str(year) for year in (THIS_YEAR, THIS_YEAR + 1, *range(2031, LAST + 1)))
# What is done to the copy of the deployed database that each host has.
HOSTS = {
    "missing": DROPPED,
    "ahead": "",
    "taken": f"{DROPPED} CREATE TABLE outcome_measures_{THIS_YEAR} AS SELECT 1 AS n",
    "other": "DROP TABLE outcome_measures CASCADE",
}


def by_hand(local: Local, database: str) -> str:
    """Send the file, and return what the server said of it."""
    return local.run_psql("-c", "SET partitions.years_ahead = 5", "-f", str(FILE), database=database).stderr


def test_missing_years_are_made_while_others_read_and_write_and_what_is_in_the_way_is_kept(
    local: Local, tmp_path: Path
) -> None:
    names = {host: f"partitions_{host}" for host in (*HOSTS, "complete")}
    hosts: dict[str, dict[str, Any]] = {host: {"database_name": name} for host, name in names.items()}
    hosts["ahead"] |= {"partitions_years_ahead": 9}
    with ExitStack() as stack:
        for host, name in names.items():
            stack.callback(local.drop_database, name)
            local.create_database(name, "physioflow")
            if sql := HOSTS.get(host):
                local.psql(sql, name)
        assert by_hand(local, names["complete"]) == ""
        shown = local.play(PLAYBOOK, "--check", **hosts["missing"])
        assert f"Would create the partitions of outcome_measures for {MISSING}" in shown.output
        assert str(LAST) not in local.psql(YEARS, names["missing"])

        port = local.psql("SHOW port", "postgres", role="postgres")
        place = f"host=127.0.0.1 port={port} dbname={names['ahead']} user=emr_app"
        with psycopg.connect(place, password=local.password("emr_app")) as session:
            session.execute("SELECT count(*) FROM outcome_measures")  # its lock lasts until the transaction ends
            session.execute("LOCK TABLE outcome_measures_2024 IN ROW EXCLUSIVE MODE")
            made = apart.play(local, tmp_path / "play", PLAYBOOK, hosts)
            held = "SELECT count(*) FROM pg_locks WHERE mode = 'RowExclusiveLock' AND relation = {0}::regclass"
            assert local.psql(held.format("'outcome_measures_2024'"), names["ahead"], role="postgres") == "1"

        assert {host: changed_of(made, host) for host in ("missing", "ahead", "complete")} == {
            "missing": 1,
            "ahead": 1,
            "complete": 0,
        }
        assert f"Created the partitions of outcome_measures for {MISSING}" in said_of(made, "missing")
        assert "Created nothing: outcome_measures has a partition for each year" in said_of(made, "complete")
        is_as_the_release_makes_it(local, names["missing"])
        assert local.psql(YEARS, names["complete"]) == local.psql(YEARS, names["missing"])
        assert local.psql(YEARS, names["ahead"]) == " ".join(map(str, range(2024, THIS_YEAR + 10)))
        is_no_drift_and_verified(local, names["ahead"], tmp_path)

        for host, words in (("taken", IN_THE_WAY), ("other", "partitions_other has no partitioned table outcome_")):
            assert failed_in(made, host), host
            assert words in said_of(made, host), f"{host}\n{made.output}"
        assert local.psql(f"SELECT n FROM outcome_measures_{THIS_YEAR}", names["taken"]) == "1"
        assert str(THIS_YEAR + 1) not in local.psql(YEARS, names["taken"])


def is_as_the_release_makes_it(local: Local, database: str) -> None:
    assert local.psql(YEARS, database) == " ".join(map(str, range(2024, LAST + 1)))
    was = local.catalogs("physioflow")
    now = local.catalogs(database).replace(" (kept ahead)", "")
    of_a_year = re.compile(rf"^.*outcome_measures_{THIS_YEAR}\b.*$", re.MULTILINE)
    assert sorted(of_a_year.findall(now)) == sorted(of_a_year.findall(was)) != []
    write = (
        f"INSERT INTO outcome_measures (patient_id, measure_type, measurement_date) SELECT id, 'VAS', '{LAST}-12-31'"
    )
    assert local.run_psql("-c", f"{write} FROM patients", database=database, user="emr_app").returncode == 0


def is_no_drift_and_verified(local: Local, database: str, folder: Path) -> None:
    connection = {f"login_{name}": value for name, value in local.connection.items()}
    drift = run_module(
        "migration_scratch", connection=connection, database=database, scratch="physioflow", action="compare"
    )
    assert drift["lines"] == []
    verified = verify(Clinic(local, database, folder))
    assert verified["ok"], verified["failures"]


def test_rows_of_the_year_in_a_default_partition_are_in_the_way_and_others_are_not(local: Local, database: str) -> None:
    local.create_database(database, "physioflow")
    local.psql(
        f"{DROPPED} CREATE TABLE rest PARTITION OF outcome_measures DEFAULT;"
        "INSERT INTO organizations (name) VALUES ('x');"
        "INSERT INTO clinics (organization_id, name) SELECT id, 'x' FROM organizations;"
        "INSERT INTO patients (clinic_id, mrn, first_name, last_name, date_of_birth, gender)"
        " SELECT id, '1', 'x', 'y', '1980-01-01', 'other' FROM clinics;"
        "INSERT INTO outcome_measures (patient_id, measure_type, measurement_date)"
        f" SELECT id, 'VAS', '{THIS_YEAR + 1}-03-01' FROM patients",
        database,
    )
    before = local.psql(YEARS, database)
    said = by_hand(local, database)
    assert f"the default partition rest contains 1 rows of {THIS_YEAR + 1}" in said
    assert "docs/partitions.md" in said
    assert local.psql(YEARS, database) == before, "this year, which nothing is in the way of, is not made either"
    local.psql("DELETE FROM rest", database)
    assert by_hand(local, database) == ""
    assert local.psql(YEARS, database) == " ".join(map(str, range(2024, LAST + 1)))
