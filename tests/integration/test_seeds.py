"""playbooks/seed.yml: invented patients that look like patients, and the reference data again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests import apart
from tests.apart import changed_of, said_of
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
    "a discharge compares with the beginning, by the names of the guide and the scores of the patient": (
        "SELECT count(DISTINCT m.name) = 8, min(improvement_percent) >= 0, max(improvement_percent) > 20,"
        " bool_or(m.mcid_met), bool_and(m.mcid_met),"
        " bool_and(m.mcid_met = s.mcid_met AND m.baseline_score = s.baseline_score),"
        " bool_and(CASE WHEN m.name IN ('LEFS', 'PSFS', 'FIM') THEN m.discharge_score >= m.baseline_score"
        " ELSE m.discharge_score <= m.baseline_score END),"
        " bool_and(m.improvement_percent = round(abs(1 - m.discharge_score / m.baseline_score) * 100, 1))"
        " FROM discharge_plans AS d CROSS JOIN jsonb_to_recordset(baseline_comparison -> 'measures') AS m (name text,"
        " baseline_score numeric, discharge_score numeric, improvement_percent numeric, mcid_met boolean)"
        " JOIN LATERAL (SELECT * FROM outcome_measures AS o WHERE o.patient_id = d.patient_id"
        " AND o.measure_type = m.name AND measurement_date <= actual_discharge_date"
        " ORDER BY measurement_date DESC LIMIT 1) AS s ON s.current_score = m.discharge_score",
        "t|t|t|t|f|t|t|t",
    ),
    "every discharge has measures, trends and home exercises by the names of the guide": (
        "SELECT bool_and(baseline_comparison ? 'measures' AND outcome_trending ?& ARRAY['measures', 'pain_levels']"
        " AND jsonb_path_exists(hep_exercises, '$[*]') AND NOT jsonb_path_exists(hep_exercises,"
        " '$[*] ? (!exists(@.name) || !exists(@.name_vi) || !(@.sets > 0) || !(@.reps > 0) || !exists(@.frequency))')"
        " AND NOT jsonb_path_exists(baseline_comparison, '$.measures[*] ? (!exists(@.name) || !exists(@.baseline_score)"
        " || !exists(@.discharge_score) || !exists(@.improvement_percent) || !exists(@.mcid_met))'))"
        " FROM discharge_plans",
        "t",
    ),
    "goals and contacts have the names of the guide and of the comments": (
        "SELECT (SELECT bool_and(short_term_goals -> 0 ?& ARRAY['type', 'description', 'description_vi',"
        " 'target_timeframe_weeks']) FROM treatment_plans),"
        " (SELECT bool_and(emergency_contact ?& ARRAY['name', 'relation', 'phone']) FROM patients)",
        "t|t",
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


PRODUCTION = """ALTER DATABASE "{0}" SET "physioflow.environment" = 'production'"""  # as a deploy marks it


@pytest.fixture(scope="module")
def seeded(local: Local) -> Iterator[Local]:
    """A server with a database that holds the invented patients."""
    copied(local, DATABASE)
    result = local.play("playbooks/seed.yml", database_name=DATABASE)
    assert (result.status, result.changed) == (0, 1), result.output
    assert "Added 200 invented patients with their records, to 0 existing ones" in result.output
    yield local
    dropped(local, DATABASE)


def copied(local: Local, *names: str) -> None:
    """Make copies of the deployed database."""
    for name in names:
        local.psql(f'CREATE DATABASE "{name}" OWNER emr TEMPLATE physioflow', "postgres", role="postgres")


def dropped(local: Local, *names: str) -> None:
    """Drop databases."""
    for name in names:
        local.psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', "postgres", role="postgres")


@pytest.mark.parametrize("what", TRUE_OF_ALL)
def test_the_invented_rows_are_plausible(seeded: Local, what: str) -> None:
    query, expected = TRUE_OF_ALL[what]
    assert seeded.psql(query, DATABASE) == expected


def test_again_changes_nothing_a_larger_scale_adds_what_is_missing_and_the_reference_data_comes_back(
    seeded: Local, tmp_path: Path
) -> None:
    reference: dict[str, Any] = {"seed_set": "reference"}
    hosts: dict[str, dict[str, Any]] = {
        "again": {"database_name": DATABASE},
        "edited": {"database_name": "seeded_edited"} | reference,
        "production": {"database_name": "seeded_production"} | reference,
    }
    with ExitStack() as stack:
        for name in ("seeded_edited", "seeded_production"):
            stack.callback(dropped, seeded, name)
            copied(seeded, name)
        seeded.psql("DELETE FROM pt_service_codes WHERE code = 'PT301'", "seeded_edited")
        seeded.psql("UPDATE pt_service_codes SET unit_price = 1 WHERE code = 'PT201'", "seeded_edited")
        seeded.psql(PRODUCTION.format("seeded_production"), "postgres", role="postgres")
        before = seeded.psql(ROWS, DATABASE)
        first = apart.play(seeded, tmp_path / "first", "playbooks/seed.yml", hosts)
        assert {host: changed_of(first, host) for host in hosts} == {"again": 0, "edited": 1, "production": 0}
        done = seeded.run_psql("-f", str(FILE), database=DATABASE)  # by hand, as the guide has it
        assert done.returncode == 0, done.stderr
        assert seeded.psql(ROWS, DATABASE) == before

        shown = seeded.play("playbooks/seed.yml", "--check", database_name=DATABASE, seed_scale=2)
        assert "Would add 200 invented patients with their records, to 200 existing ones" in shown.output
        assert seeded.psql(ROWS, DATABASE) == before

        del hosts["production"]
        hosts["again"]["seed_scale"] = 2
        second = apart.play(seeded, tmp_path / "second", "playbooks/seed.yml", hosts)
        assert {host: changed_of(second, host) for host in hosts} == {"again": 1, "edited": 0}
        assert seeded.psql("SELECT count(*), count(DISTINCT mrn) FROM patients", DATABASE) == "400|400"
        kept = "SELECT count(*), min(unit_price) FROM pt_service_codes"
        assert seeded.psql(kept, "seeded_edited") == "8|1.00", "an edited row stays"


# host: (what is done to its copy of the deployed database, its variables, the words that refuse it with | between)
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "failing": (
        "DELETE FROM pt_service_codes; DELETE FROM vietnamese_medical_terms",
        {"seed_set": "reference"},
        "migrations/012_seed_pt_service_codes.sql failed: division by zero|"
        "The files before it were applied; this one was rolled back.",
    ),
    "marked": (PRODUCTION, {}, "The database seeded_marked is marked as production"),
    "undeployed": (
        "DROP TABLE pt_service_codes CASCADE",
        {},
        "The database seeded_undeployed cannot be seeded: relation|Next: ansible-playbook deploy.yml",
    ),
    "nothing": ("", {"seed_scale": 0}, "seed_scale is 0; it must be a whole number from 1 to 99999"),
}


def test_what_cannot_be_seeded_is_refused_and_nothing_of_it_is_kept(
    local: Local, release: Path, tmp_path: Path
) -> None:
    with (release / "migrations/012_seed_pt_service_codes.sql").open("a") as file:
        file.write("SELECT 1 / 0;\n")
    names = {host: f"seeded_{host}" for host in REFUSED}
    with ExitStack() as stack:
        for host, name in names.items():
            stack.callback(dropped, local, name)
            copied(local, name)
            if sql := REFUSED[host][0]:
                local.psql(sql.format(name), name, role="postgres")
        hosts = {host: {"database_name": names[host]} | variables for host, (_, variables, _) in REFUSED.items()}
        result = apart.play(local, tmp_path / "play", "playbooks/seed.yml", hosts, release_directory=str(release))
        for host, (_, _, words) in REFUSED.items():
            for sentence in words.split("|"):
                assert sentence in said_of(result, host), f"{host}: {sentence}\n{result.output}"
            assert local.psql("SELECT count(*) FROM organizations", names[host]) == "0"
        assert result.changed == 0
        assert "INSERT INTO" not in result.output
        counts = "SELECT (SELECT count(*) FROM pt_service_codes), (SELECT count(*) FROM vietnamese_medical_terms)"
        assert local.psql(counts, names["failing"]) == "0|0"
        by_hand = local.run_psql("-v", "ON_ERROR_STOP=0", "-f", str(FILE), database=names["marked"])
        assert "is marked as production: invented patients do not belong there" in by_hand.stderr
        assert local.psql("SELECT count(*) FROM organizations", names["marked"]) == "0"


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
