"""playbooks/partitions.yml: this year and five more have their partition, and nothing in the way is lost."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import psycopg
import pytest

from tests.integration.test_inventories import refused
from tests.local import ROOT, Local, Result

PLAYBOOK = "playbooks/partitions.yml"
THIS_YEAR = datetime.now(ZoneInfo("Asia/Ho_Chi_Minh")).year
LAST = THIS_YEAR + 5
YEARS = (
    "SELECT string_agg(right(relname, 4), ' ' ORDER BY relname) FROM pg_inherits JOIN pg_class ON oid = inhrelid"
    " WHERE inhparent = 'outcome_measures'::regclass"
)


@pytest.fixture(scope="module")
def deployed(local: Local) -> Iterator[Local]:
    """A server with a database to copy: a copy takes a tenth of a deploy."""
    local.deploy(database_name="partitions_template")
    yield local
    local.psql("DROP DATABASE partitions_template WITH (FORCE)", "postgres", role="postgres")


@pytest.fixture
def years(deployed: Local, database: str) -> str:
    """The name of a database with the partitions of the release and none of this year and the next."""
    deployed.psql(f"CREATE DATABASE {database} TEMPLATE partitions_template OWNER emr", "postgres", role="postgres")
    for year in (THIS_YEAR, THIS_YEAR + 1):
        deployed.psql(f"DROP TABLE outcome_measures_{year}", database)
    return database


def play(local: Local, database: str, *options: str, **variables: object) -> Result:
    return local.play(PLAYBOOK, *options, database_name=database, **variables)


def test_missing_years_are_made_as_the_release_makes_them(deployed: Local, years: str) -> None:
    missing = ", ".join(str(year) for year in (THIS_YEAR, THIS_YEAR + 1, *range(2031, LAST + 1)))
    shown = play(deployed, years, "--check")
    assert f"Would make the partitions of outcome_measures for {missing}" in " ".join(shown.output.split())
    made = play(deployed, years)
    assert (made.status, made.changed) == (0, 1), made.output
    assert f"Made the partitions of outcome_measures for {missing}" in " ".join(made.output.split())
    assert deployed.psql(YEARS, years) == " ".join(map(str, range(2024, LAST + 1)))
    assert play(deployed, years).changed == 0
    was = deployed.catalogs("partitions_template")
    now = deployed.catalogs(years).replace(" (kept ahead)", "")
    of_a_year = re.compile(rf"^.*outcome_measures_{THIS_YEAR}\b.*$", re.MULTILINE)
    assert sorted(of_a_year.findall(now)) == sorted(of_a_year.findall(was))
    write = (
        f"INSERT INTO outcome_measures (patient_id, measure_type, measurement_date) SELECT id, 'VAS', '{LAST}-12-31'"
    )
    assert deployed.run_psql("-c", f"{write} FROM patients", database=years, user="emr_app").returncode == 0


def test_they_are_no_drift_and_the_release_stays_verified(deployed: Local, database: str) -> None:
    deployed.psql(f"CREATE DATABASE {database} TEMPLATE partitions_template OWNER emr", "postgres", role="postgres")
    assert play(deployed, database, partitions_years_ahead=9).changed == 1
    assert deployed.play("playbooks/verify.yml", database_name=database).status == 0
    drift = deployed.play("playbooks/plan.yml", database_name=database, plan_schema_drift=True)
    assert drift.status == 0, drift.output


def test_reading_and_writing_go_on_meanwhile(deployed: Local, years: str) -> None:
    port = deployed.psql("SHOW port", "postgres", role="postgres")
    place = f"host=127.0.0.1 port={port} dbname={years} user=emr_app"
    with psycopg.connect(place, password=deployed.password("emr_app")) as session:
        session.execute("SELECT count(*) FROM outcome_measures")  # its lock lasts until the transaction ends
        session.execute("LOCK TABLE outcome_measures_2024 IN ROW EXCLUSIVE MODE")
        result: list[Result] = []
        run = threading.Thread(target=lambda: result.append(play(deployed, years)))
        run.start()
        run.join()
    assert result[0].status == 0, result[0].output


@pytest.mark.parametrize("act", ["partitions", "by hand"])
def test_a_table_of_that_name_is_refused_and_kept(deployed: Local, years: str, act: str) -> None:
    deployed.psql(
        f"CREATE TABLE outcome_measures_{THIS_YEAR} AS SELECT 1 AS n; GRANT ALL ON outcome_measures_{THIS_YEAR} TO emr",
        years,
    )
    words = f'relation "outcome_measures_{THIS_YEAR}" already exists and is no partition of outcome_measures'
    if act == "partitions":
        refused(play(deployed, years), words)
    else:
        file = ROOT / "roles/partitions/files/partitions.sql"
        done = deployed.run_psql("-c", "SET partitions.years_ahead = 5", "-f", str(file), database=years)
        assert words in done.stderr
        assert "docs/partitions.md" in done.stderr
    assert deployed.psql(f"SELECT n FROM outcome_measures_{THIS_YEAR}", years) == "1"
    assert str(THIS_YEAR + 1) not in deployed.psql(YEARS, years)


def test_a_default_partition_with_rows_of_the_year_is_refused_and_an_empty_one_is_not(
    deployed: Local, years: str
) -> None:
    deployed.psql("CREATE TABLE rest PARTITION OF outcome_measures DEFAULT", years)
    row = (
        "INSERT INTO outcome_measures (patient_id, measure_type, measurement_date) VALUES (uuid_generate_v4(), 'VAS', "
    )
    deployed.psql(f"{row}'{THIS_YEAR + 1}-03-01')", years)
    refused(play(deployed, years), f"the default partition rest holds 1 rows of {THIS_YEAR + 1}")
    deployed.psql("DELETE FROM rest", years)
    assert play(deployed, years).status == 0


def test_a_database_without_the_table_is_told(deployed: Local, database: str) -> None:
    deployed.psql(f"CREATE DATABASE {database} OWNER emr", "postgres", role="postgres")
    refused(play(deployed, database), 'relation "outcome_measures" does not exist')
