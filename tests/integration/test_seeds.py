"""playbooks/seed.yml: invented patients that look like patients, and the reference data again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.bench.queries import QUERIES, plan_of, scans, values_of
from tests.integration.test_inventories import inventory_of, refused, run
from tests.local import ROOT, Local

FILE = ROOT / "files/seeds/development_data.sql"
DATABASE = "seeded"

# Each returns what stands beside it in a database with 200 invented patients.
TRUE_OF_ALL = {
    "patients": ("SELECT count(*) FROM patients", "200"),
    "every prefix of a card is there, and every card is valid": (
        "SELECT count(DISTINCT bhyt_prefix_code), bool_and(v.is_valid),"
        " bool_and(v.coverage_percent = bhyt_coverage_percent)"
        " FROM insurance_info, validate_bhyt_card(bhyt_card_number) AS v WHERE bhyt_card_number IS NOT NULL",
        "21|t|t",
    ),
    "cards of children are those of children": (
        "SELECT max(extract(year FROM age(date_of_birth)))::int < 6 FROM patients AS p"
        " JOIN insurance_info AS i ON i.patient_id = p.id WHERE bhyt_prefix_code = 'TE1'",
        "t",
    ),
    "series cross the MCID, and some do not": (
        "SELECT bool_or(crosses), bool_and(crosses) FROM (SELECT bool_or(mcid_met) AS crosses FROM outcome_measures"
        " GROUP BY patient_id, measure_type) AS series",
        "t|f",
    ),
    "every measure": (
        "SELECT count(DISTINCT library_id) = (SELECT count(*) FROM outcome_measures_library) FROM outcome_measures",
        "t",
    ),
    "scores lie on their scale": (
        "SELECT count(*) FROM outcome_measures AS m JOIN outcome_measures_library AS l ON l.id = m.library_id"
        " WHERE NOT (current_score BETWEEN scale_min AND scale_max AND baseline_score BETWEEN scale_min AND scale_max)",
        "0",
    ),
    "every way to pay": (
        "SELECT string_agg(DISTINCT payment_method, ' ' ORDER BY payment_method) FROM payments",
        "bank_transfer bhyt card cash momo vnpay zalopay",
    ),
    "invoices add up": (
        "SELECT count(*) FROM invoices AS i WHERE total_amount <> insurance_amount + copay_amount"
        " OR total_amount <> (SELECT sum(total_price) FROM invoice_line_items WHERE invoice_id = i.id)"
        " OR balance_due <> copay_amount - (SELECT coalesce(sum(amount), 0) FROM payments"
        " WHERE invoice_id = i.id AND payment_method <> 'bhyt')",
        "0",
    ),
    "some invoices are open": ("SELECT count(*) > 10 FROM invoices WHERE balance_due > 0", "t"),
    "appointments are to come, and nobody is in two places": (
        "SELECT bool_or(appointment_date > current_date) FROM appointments",
        "t",
    ),
    "names are written with and without diacritics": (
        "SELECT bool_and(last_name = initcap(vietnamese_unaccent(last_name_vi)) AND last_name_vi IS NFC NORMALIZED"
        " AND first_name_vi IS NFC NORMALIZED) FROM patients",
        "t",
    ),
    "a discharge compares with the beginning": (
        "SELECT bool_and(baseline_comparison -> 'VAS' ? 'mcid_met') FROM discharge_plans",
        "t",
    ),
    "no table of the release but templates' is empty": (
        "SELECT string_agg(t, ' ') FROM unnest(ARRAY['organizations', 'clinics', 'users', 'treatment_plans',"
        " 'treatment_sessions', 'visit_checklists', 'visit_checklist_responses', 'patient_protocols',"
        " 'discharge_summaries', 'invoice_line_items']) AS t"
        " WHERE (xpath('//n/text()', query_to_xml('SELECT count(*) AS n FROM ' || t, false, true, '')))[1]::text = '0'",
        "",
    ),
}

ROWS = (
    "SELECT (SELECT count(*) FROM patients), (SELECT count(*) FROM outcome_measures),"
    " (SELECT count(*) FROM payments), (SELECT md5(string_agg(p::text, '' ORDER BY id)) FROM patients AS p)"
)


@pytest.fixture(scope="module")
def seeded(local: Local) -> Iterator[Local]:
    """A server with a database that holds the invented patients."""
    local.deploy(database_name=DATABASE)
    result = local.play("playbooks/seed.yml", database_name=DATABASE)
    assert (result.status, result.changed) == (0, 1), result.output
    assert "Added 200 invented patients with their records, to 0 that were there" in result.output
    yield local
    local.psql(f"DROP DATABASE {DATABASE} WITH (FORCE)", "postgres", role="postgres")


@pytest.mark.parametrize("what", TRUE_OF_ALL)
def test_the_invented_rows_are_plausible(seeded: Local, what: str) -> None:
    query, expected = TRUE_OF_ALL[what]
    assert seeded.psql(query, DATABASE) == expected


def test_again_changes_nothing_and_a_larger_scale_adds_what_is_missing(seeded: Local) -> None:
    before = seeded.psql(ROWS, DATABASE)
    assert seeded.play("playbooks/seed.yml", database_name=DATABASE).changed == 0
    done = seeded.run_psql("-f", str(FILE), database=DATABASE)  # by hand, as the guide has it
    assert done.returncode == 0, done.stderr
    assert seeded.psql(ROWS, DATABASE) == before
    shown = seeded.play("playbooks/seed.yml", "--check", database_name=DATABASE, seed_scale=2)
    assert "Would add 200 invented patients with their records, to 200 that were there" in shown.output
    assert seeded.psql(ROWS, DATABASE) == before
    assert seeded.play("playbooks/seed.yml", database_name=DATABASE, seed_scale=2).changed == 1
    assert seeded.psql("SELECT count(*), count(DISTINCT mrn) FROM patients", DATABASE) == "400|400"
    first = "SELECT count(*) FROM (SELECT FROM patients ORDER BY mrn LIMIT 200) AS p"
    assert seeded.psql(first, DATABASE) == "200"


def test_a_row_of_the_reference_data_comes_back_and_an_edited_one_stays(seeded: Local) -> None:
    seeded.psql("DELETE FROM pt_service_codes WHERE code = 'PT301'", DATABASE)
    seeded.psql("UPDATE pt_service_codes SET unit_price = 1 WHERE code = 'PT201'", DATABASE)
    result = seeded.play("playbooks/seed.yml", database_name=DATABASE, seed_set="reference")
    assert (result.status, result.changed) == (0, 1), result.output
    assert seeded.play("playbooks/seed.yml", database_name=DATABASE, seed_set="reference").changed == 0
    assert seeded.psql("SELECT count(*), min(unit_price) FROM pt_service_codes", DATABASE) == "8|1.00"


def test_a_database_that_is_marked_as_production_is_refused(seeded: Local, database: str) -> None:
    assert seeded.deploy(database_name=database, database_environment="production").changed
    assert seeded.deploy(database_name=database, database_environment="production").changed == 0
    result = seeded.play("playbooks/seed.yml", database_name=database)
    refused(result, f"The database {database} is marked as production")
    by_hand = seeded.run_psql("-v", "ON_ERROR_STOP=0", "-f", str(FILE), database=database)
    assert "is marked as production: invented patients do not belong there" in by_hand.stderr
    assert seeded.psql("SELECT count(*) FROM organizations", database) == "0"
    assert seeded.play("playbooks/seed.yml", database_name=database, seed_set="reference").status == 0


def test_a_database_without_the_release_is_refused(seeded: Local, database: str) -> None:
    seeded.deploy(database_name=database, migrations_target="004")
    result = seeded.play("playbooks/seed.yml", database_name=database)
    refused(result, f"The database {database} cannot be seeded: relation")
    refused(result, "Next: ansible-playbook deploy.yml")


def test_a_scale_that_is_none_is_refused(seeded: Local) -> None:
    result = seeded.play("playbooks/seed.yml", database_name=DATABASE, seed_scale=0)
    refused(result, "seed_scale is 0; it is a whole number from 1 to 99999")


def test_the_inventory_production_is_refused_before_its_host_is_asked_for(tmp_path: Path) -> None:
    result = run("ansible-playbook", "-i", inventory_of("production", tmp_path), "playbooks/seed.yml")
    refused(result, "db1.production.invalid is in the group production: invented patients do not belong there.")


@pytest.mark.parametrize("name", QUERIES)
def test_an_index_serves_every_query_of_the_bench(seeded: Local, name: str) -> None:
    """With few rows reading them all is cheaper; so PostgreSQL is asked for the way that it has beside that."""
    query = QUERIES[name]
    port = seeded.psql("SHOW port", "postgres", role="postgres")
    place = f"host=127.0.0.1 port={port} dbname={DATABASE} user=emr_app"
    with psycopg.connect(place, password=seeded.password("emr_app"), autocommit=True, row_factory=dict_row) as session:
        session.execute("SET enable_seqscan = off")
        value = values_of(session, query)[0]
        assert session.execute(query.text.encode(), value).fetchall(), "it finds something"
        ways = scans(plan_of(session, query, value))
    assert ways
    assert not {table for table, way in ways.items() if way == "Seq Scan"}
