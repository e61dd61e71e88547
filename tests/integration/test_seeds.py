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
from tests.apart import changed_of, failed_in, said_of
from tests.bench.queries import QUERIES, plan_of, scans, values_of
from tests.integration.test_inventories import inventory_of, refused, run
from tests.local import ROOT, Local

FILE = ROOT / "files/seeds/development_data.sql"
DATABASE = "seeded"

# Days are those of the clinics.
TODAY = "(now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date"
# Codes of provinces on BHYT cards, with those that were merged in 2025.
PROVINCES = (
    "01 02 04 06 08 10 11 12 14 15 17 19 20 22 24 25 26 27 30 31 33 34 35 36 37 38 40 42 44 45 46"
    " 48 49 51 52 54 56 58 60 62 64 66 67 68 70 72 74 75 77 79 80 82 83 84 86 87 89 91 92 93 94 95 96"
)
COURSE = """
        treatment_plans AS t JOIN patients AS p ON p.id = t.patient_id CROSS JOIN LATERAL
        (SELECT substring(diagnosis_description
        FROM '[(](.*)[)]') AS icd10, extract(year FROM age(start_date, date_of_birth)) AS age) AS course
"""
# Each counts rows that no clinic has, or kinds of rows that are missing, in a database of invented patients: 0 of all.
WRONG = {
    # People and their cards
    "plan, session or score before birth": """
        SELECT count(*) FROM patients JOIN (
            SELECT patient_id, min(start_date) AS first FROM treatment_plans GROUP BY 1
            UNION ALL SELECT patient_id, min(session_date) FROM treatment_sessions GROUP BY 1
            UNION ALL SELECT patient_id, min(measurement_date) FROM outcome_measures GROUP BY 1
        ) AS records ON patient_id = id WHERE date_of_birth >= first
    """,
    "diagnosis at an age that does not have it": f"""
        SELECT count(*) FROM {COURSE} LEFT JOIN
        (VALUES ('R62.0', 0, 5), ('F82', 1, 9), ('G80.1', 0, 17), ('M41.1', 10, 17), ('S52.5', 5, 90), ('S93.4',
        10, 60), ('S83.5', 14, 50), ('M54.2', 16, 90), ('M54.5', 16, 90), ('M77.1', 25, 65), ('M75.1', 35, 90),
        ('M17.1', 45, 95), ('I63.9', 40, 95)) AS known (code, age_from, age_to)
        ON code = icd10 AND age BETWEEN age_from AND age_to WHERE code IS NULL
    """,
    "card at an age that does not get it": f"""
        SELECT count(*) FROM insurance_info AS i JOIN patients AS p ON p.id = patient_id JOIN
        (VALUES ('TE1', 0, 5), ('TE2', 0, 16), ('TE3', 6, 22), ('HS4', 6, 18), ('SV4', 17, 26), ('DN1', 18, 62),
        ('DN2', 18, 62), ('HC1', 18, 62), ('HC4', 18, 62), ('HC2', 55, 99), ('TX1', 55, 99), ('CB1', 55, 99)) AS
        known (prefix, age_from, age_to)
        ON prefix = bhyt_prefix_code
        WHERE extract(year FROM age({TODAY}, date_of_birth)) NOT BETWEEN age_from AND age_to
    """,
    "prefix that nobody has": """
        SELECT count(*) FROM (SELECT jsonb_array_elements_text(prefix_codes) FROM bhyt_validation_rules UNION
        SELECT unnest(ARRAY['HS4', 'SV4']) EXCEPT SELECT bhyt_prefix_code FROM insurance_info) AS p
    """,
    "prefix with one diagnosis": """
        SELECT count(*) FROM (SELECT FROM insurance_info JOIN treatment_plans USING (patient_id)
        WHERE bhyt_prefix_code IS NOT NULL GROUP BY bhyt_prefix_code
        HAVING count(DISTINCT diagnosis_description) < 2) AS p
    """,
    "card that is not what its prefix says": """
        SELECT count(*) FROM insurance_info, validate_bhyt_card(bhyt_card_number) AS v
        WHERE bhyt_card_number IS NOT NULL AND (left(bhyt_card_number, 3) <> bhyt_prefix_code
        OR bhyt_coverage_percent + bhyt_copay_rate <> 100 OR coverage_percentage <> bhyt_coverage_percent
        OR bhyt_coverage_percent <> coalesce(v.coverage_percent, 80)
        OR v.is_valid = (bhyt_prefix_code IN ('HS4', 'SV4')))
    """,
    "card of a province that does not exist": f"""
        SELECT count(*) FROM insurance_info
        WHERE substr(bhyt_card_number, 4, 2) <> ALL (string_to_array('{PROVINCES}', ' '))
    """,
    "card of two patients": """
        SELECT count(*) FROM (SELECT FROM insurance_info WHERE bhyt_card_number IS NOT NULL
        GROUP BY bhyt_card_number HAVING count(*) > 1) AS shared
    """,
    "patient with two insurances, or a visit outside their days": """
        SELECT count(*) FROM (SELECT FROM insurance_info GROUP BY patient_id HAVING count(*) > 1 UNION ALL
        SELECT FROM insurance_info JOIN treatment_sessions USING (patient_id) WHERE session_date < valid_from
        OR session_date > valid_to) AS several
    """,
    "name with and without diacritics that is not the same, or not NFC": """
        SELECT count(*) FROM (SELECT first_name, last_name, first_name_vi, last_name_vi FROM patients UNION ALL
        SELECT first_name, last_name, first_name_vi, last_name_vi FROM users) AS name
        WHERE (first_name = initcap(vietnamese_unaccent(first_name_vi))
        AND last_name = initcap(vietnamese_unaccent(last_name_vi)) AND first_name_vi IS NFC NORMALIZED
        AND last_name_vi IS NFC NORMALIZED) IS NOT TRUE
    """,
    "contact that lacks a key, or a child's that is no parent": f"""
        SELECT count(*) FROM patients WHERE NOT emergency_contact ?& ARRAY['name', 'relation', 'phone']
        OR emergency_contact ->> 'relation' <> 'parent' AND age({TODAY}, date_of_birth) < '18 years'
    """,
    # Days and appointments
    "future that has happened": """
        SELECT count(*) FROM (SELECT payment_date FROM payments UNION ALL SELECT therapist_signature_at
        FROM treatment_sessions UNION ALL SELECT completed_at FROM visit_checklists UNION ALL
        SELECT therapist_signature_at FROM discharge_summaries UNION ALL SELECT patient_consent_at
        FROM treatment_plans) AS time (it) WHERE it > now()
    """,
    "future day that has happened": f"""
        SELECT count(*) FROM (SELECT session_date FROM treatment_sessions UNION ALL SELECT measurement_date
        FROM outcome_measures UNION ALL SELECT invoice_date FROM invoices UNION ALL SELECT start_date
        FROM treatment_plans UNION ALL SELECT actual_discharge_date FROM discharge_plans UNION ALL
        SELECT actual_end_date FROM patient_protocols) AS day (it) WHERE it > {TODAY}
    """,
    "appointment to come that is not made, or past that still is": f"""
        SELECT count(*) FROM appointments
        WHERE (appointment_date >= {TODAY}) <> (status IN ('scheduled', 'confirmed'))
    """,
    "appointment to come that is missing": f"""
        SELECT count(*) FROM treatment_plans AS t WHERE status = 'active' AND NOT EXISTS (SELECT
        FROM appointments WHERE treatment_plan_id = t.id AND appointment_date >= {TODAY})
    """,
    "appointments of a therapist at one time": """
        SELECT count(*) FROM appointments AS a JOIN appointments AS b USING (therapist_id, appointment_date)
        WHERE a.id < b.id AND a.start_time < b.end_time AND b.start_time < a.end_time
    """,
    "visit on a Sunday, or before or after hours": """
        SELECT count(*) FROM appointments WHERE extract(isodow FROM appointment_date) = 7
        OR start_time < '07:00' OR end_time > '17:30' OR end_time <= start_time
    """,
    "therapist of another clinic": """
        SELECT count(*) FROM (SELECT therapist_id, clinic_id FROM appointments UNION ALL
        SELECT therapist_id, clinic_id FROM treatment_sessions UNION ALL SELECT therapist_id, clinic_id
        FROM treatment_plans UNION ALL SELECT assessed_by, clinic_id FROM outcome_measures AS m
        JOIN patients AS p ON p.id = patient_id) AS row JOIN users AS u ON u.id = therapist_id
        WHERE u.clinic_id <> row.clinic_id OR role <> 'therapist'
    """,
    "session that is not its appointment": """
        SELECT count(*) FROM treatment_sessions AS s FULL JOIN (SELECT * FROM appointments
        WHERE status = 'completed') AS a ON a.id = s.appointment_id WHERE (a.patient_id = s.patient_id
        AND a.therapist_id = s.therapist_id AND a.treatment_plan_id = s.treatment_plan_id
        AND a.appointment_date = s.session_date) IS NOT TRUE
    """,
    # Plans and protocols
    "number of sessions that is not theirs": """
        SELECT count(*) FROM (SELECT id, sessions_completed, total_sessions_planned FROM treatment_plans
        UNION ALL SELECT treatment_plan_id, sessions_completed, 99 FROM patient_protocols) AS plan
        WHERE sessions_completed <> (SELECT count(*) FROM treatment_sessions AS s
        WHERE treatment_plan_id = plan.id AND status = 'completed')
        OR sessions_completed > total_sessions_planned
    """,
    "session outside its plan": """
        SELECT count(*) FROM treatment_sessions AS s JOIN treatment_plans AS t ON t.id = treatment_plan_id
        WHERE session_date < start_date OR session_date > end_date
    """,
    "state of plans that is missing or too frequent": """
        SELECT count(*) FROM
        (VALUES ('active', 40, 70), ('on_hold', 1, 15), ('completed', 20, 50), ('discontinued', 1, 15)) AS may
        (status, least_percent, most_percent)
        WHERE (SELECT 100.0 * count(*) FILTER (WHERE t.status::text = may.status) / count(*)
        FROM treatment_plans AS t) NOT BETWEEN least_percent AND most_percent
    """,
    "most patients were not there in the last three months": f"""
        SELECT count(*) FROM (SELECT FROM patients HAVING count(*) FILTER (WHERE EXISTS (SELECT
        FROM treatment_sessions WHERE patient_id = patients.id
        AND session_date > {TODAY} - 92)) * 3 < 2 * count(*)) AS few
    """,
    "end of a plan without a discharge, or otherwise": """
        SELECT count(*) FROM treatment_plans AS t LEFT JOIN discharge_plans AS d ON d.treatment_plan_id = t.id
        LEFT JOIN discharge_summaries AS s ON s.discharge_plan_id = d.id WHERE (CASE
        WHEN t.status IN ('completed', 'discontinued') THEN actual_discharge_date = end_date
        AND d.status = 'completed' AND s.id IS NOT NULL ELSE d.id IS NULL AND end_date IS NULL END) IS NOT TRUE
    """,
    "goal or exercise of a plan that lacks a key": """
        SELECT count(*) FROM treatment_plans WHERE NOT jsonb_path_exists(short_term_goals, '$[*]')
        OR NOT jsonb_path_exists(long_term_goals, '$[*]')
        OR jsonb_path_exists(short_term_goals || long_term_goals, '$[*] ? (!exists(@.type) ||
        !exists(@.description) || !exists(@.description_vi) || !exists(@.target_timeframe_weeks))')
        OR jsonb_path_exists(home_exercise_program, '$[*] ? (!exists(@.name))')
    """,
    "protocol that is not of the diagnosis, or that is missing": f"""
        SELECT count(*) FROM {COURSE} LEFT JOIN patient_protocols AS pp ON treatment_plan_id = t.id FULL JOIN
        (SELECT id, unnest(applicable_diagnoses) AS code FROM clinical_protocols) AS c ON code = icd10
        WHERE t.id IS NOT NULL AND protocol_id IS DISTINCT FROM c.id
    """,
    "protocol that nobody follows": """
        SELECT count(*) FROM clinical_protocols WHERE id NOT IN (SELECT protocol_id FROM patient_protocols)
    """,
    "protocol of children for somebody older": """
        SELECT count(*) FROM patient_protocols AS pp JOIN clinical_protocols AS c ON c.id = protocol_id
        JOIN patients AS p ON p.id = patient_id
        WHERE (category = 'pediatric') <> (age(pp.start_date, date_of_birth) < '10 years')
    """,
    "phase that is not of the week": f"""
        SELECT count(*) FROM patient_protocols AS pp JOIN clinical_protocols AS c ON c.id = protocol_id
        CROSS JOIN LATERAL
        (SELECT (coalesce(actual_end_date, {TODAY}) - start_date) / 7 AS week, (progression_criteria ->
        'phase_transitions' -> 0 ->> 'typical_week')::int AS second, (progression_criteria ->
        'phase_transitions' -> 1 ->> 'typical_week')::int AS third) AS weeks
        WHERE (CASE current_phase WHEN 'initial' THEN week < second WHEN 'intermediate' THEN week >= second
        WHEN 'advanced' THEN week >= third END) IS NOT TRUE
    """,
    "phase that nobody is in": """
        SELECT count(*) FROM unnest(ARRAY['initial', 'intermediate', 'advanced']) AS phase WHERE phase NOT IN
        (SELECT current_phase FROM patient_protocols WHERE progress_status = 'active')
    """,
    # Scores
    "score off its scale": """
        SELECT count(*) FROM outcome_measures AS m JOIN outcome_measures_library AS l ON l.id = library_id
        WHERE NOT (least(baseline_score, current_score, target_score) >= scale_min
        AND greatest(baseline_score, current_score, target_score) <= scale_max)
        OR m.measure_type <> l.measure_type
    """,
    "target that is not better than the baseline": """
        SELECT count(*) FROM outcome_measures WHERE CASE
        WHEN measure_type IN ('LEFS', 'PSFS', 'FIM') THEN target_score <= baseline_score
        ELSE target_score >= baseline_score END
    """,
    "measure that nobody has": """
        SELECT count(*) FROM outcome_measures_library WHERE id NOT IN (SELECT library_id FROM outcome_measures)
    """,
    "series that does not begin with its baseline": """
        SELECT count(*) FROM
        (SELECT DISTINCT ON (patient_id, measure_type) baseline_score - current_score AS change
        FROM outcome_measures ORDER BY patient_id, measure_type, measurement_date) AS first WHERE change <> 0
    """,
    "measure that does not get better in most": """
        SELECT count(*) FROM (SELECT FROM outcome_measures WHERE current_score <> baseline_score
        GROUP BY measure_type HAVING count(DISTINCT patient_id) < 2 * count(DISTINCT patient_id) FILTER (WHERE CASE
        WHEN measure_type IN ('LEFS', 'PSFS', 'FIM') THEN current_score < baseline_score
        ELSE current_score > baseline_score END)) AS measures
    """,
    "nobody gets worse, stays, or crosses the MCID": f"""
        SELECT count(*) FROM (SELECT count(*) FILTER (WHERE current_score > baseline_score
        AND mcid_met) AS worse, count(*) FILTER (WHERE current_score = baseline_score) AS same, count(*) FILTER
        (WHERE current_score < baseline_score
        AND mcid_met) AS better, count(*) AS of_all FROM outcome_measures WHERE measure_type = 'VAS'
        AND measurement_date < {TODAY} - 20) AS n, unnest(ARRAY[worse, same, better]) AS many
        WHERE many * 200 < of_all
    """,
    "score without a session, before the discharge": """
        SELECT count(*) FROM outcome_measures AS m LEFT JOIN treatment_sessions AS s
        ON s.id = treatment_session_id AND s.patient_id = m.patient_id AND session_date = measurement_date
        LEFT JOIN discharge_plans AS d ON d.patient_id = m.patient_id
        AND actual_discharge_date < measurement_date WHERE s.id IS NULL AND (d.id IS NULL
        OR treatment_session_id IS NOT NULL)
    """,
    "pain that a small child tells, or that is not the score": """
        SELECT count(*) FROM treatment_sessions AS s JOIN patients AS p ON p.id = patient_id
        LEFT JOIN outcome_measures AS m ON m.treatment_session_id = s.id AND measure_type = 'VAS'
        WHERE (pain_level_pre IS NOT NULL OR m.id IS NOT NULL) AND age(session_date, date_of_birth) < '6 years'
        OR abs(current_score - pain_level_pre) > 0.5 OR pain_level_post > pain_level_pre
    """,
    # Discharges
    "discharge that lacks a key of the guide": """
        SELECT count(*) FROM discharge_plans WHERE NOT (jsonb_path_exists(baseline_comparison, '$.measures[*]')
        AND outcome_trending ?& ARRAY['measures', 'pain_levels'] AND jsonb_path_exists(hep_exercises, '$[*]'))
        OR jsonb_path_exists(hep_exercises, '$[*] ? (!exists(@.name) || !exists(@.name_vi) || !(@.sets > 0) ||
        !(@.reps > 0) || !exists(@.frequency))')
        OR jsonb_path_exists(baseline_comparison, '$.measures[*] ? (!exists(@.name) || !exists(@.baseline_score)
        || !exists(@.discharge_score) || !exists(@.improvement_percent) || !exists(@.mcid_met))')
    """,
    "comparison that is not of the scores": """
        SELECT count(*) FROM discharge_plans AS d
        CROSS JOIN jsonb_to_recordset(baseline_comparison -> 'measures') AS m (name text, baseline_score
        numeric, discharge_score numeric, improvement_percent numeric, mcid_met boolean)
        LEFT JOIN LATERAL (SELECT * FROM outcome_measures AS o WHERE o.patient_id = d.patient_id
        AND o.measure_type = m.name AND measurement_date <= actual_discharge_date
        ORDER BY measurement_date DESC LIMIT 1) AS s ON true WHERE (m.mcid_met = s.mcid_met
        AND m.baseline_score = s.baseline_score AND m.discharge_score = s.current_score
        AND m.improvement_percent = round((s.current_score - s.baseline_score) * CASE
        WHEN m.name IN ('LEFS', 'PSFS', 'FIM') THEN 100 ELSE -100 END / s.baseline_score, 1)) IS NOT TRUE
    """,
    "reason that is not of the scores": """
        SELECT count(*) FROM discharge_plans CROSS JOIN LATERAL (SELECT bool_and(mcid_met
        AND improvement_percent > 0) AS all_met, bool_or(mcid_met AND improvement_percent > 0) AS one_met
        FROM jsonb_to_recordset(baseline_comparison -> 'measures') AS m (improvement_percent numeric, mcid_met
        boolean)) AS measures
        WHERE (CASE discharge_reason WHEN 'goals_met' THEN all_met WHEN 'goals_partially_met' THEN one_met
        AND NOT all_met WHEN 'transferred' THEN NOT one_met AND referral_info IS NOT NULL
        ELSE discharge_reason IN ('patient_request', 'non_compliance') END) IS NOT TRUE
    """,
    "summary that lacks words or keys": """
        SELECT count(*) FROM discharge_summaries WHERE (summary_text > '' AND summary_text_vi > ''
        AND recommendations_vi > '' AND jsonb_path_exists(goals_status, '$[*]')
        AND NOT jsonb_path_exists(goals_status, '$[*] ? (!exists(@.goal) || !exists(@.goal_vi) ||
        !exists(@.status))')) IS NOT TRUE
    """,
    # Money
    "invoice that does not add up": """
        SELECT count(*) FROM invoices AS i LEFT JOIN insurance_info USING (patient_id) CROSS JOIN LATERAL
        (SELECT sum(total_price) AS total, sum(insurance_covered_amount) AS covered FROM invoice_line_items
        WHERE invoice_id = i.id) AS lines WHERE (total_amount = insurance_amount + i.copay_amount
        AND total_amount = total AND insurance_amount = covered
        AND insurance_amount = total * coalesce(bhyt_coverage_percent, 0) / 100) IS NOT TRUE
    """,
    "balance that is not of the payments": """
        SELECT count(*) FROM invoices AS i CROSS JOIN LATERAL
        (SELECT coalesce(sum(amount), 0) AS paid, coalesce(sum(amount) FILTER (WHERE payment_method = 'bhyt'),
        0) AS insured
        FROM payments WHERE invoice_id = i.id) AS payments WHERE balance_due <> total_amount - paid
        OR insured <> insurance_amount OR status <> CASE WHEN balance_due = 0 THEN 'paid'
        WHEN paid = 0 THEN 'pending' ELSE 'partially_paid' END
    """,
    "invoice that is not of its session": """
        SELECT count(*) FROM treatment_sessions AS s FULL JOIN invoices AS i ON treatment_session_id = s.id
        WHERE (i.patient_id = s.patient_id AND invoice_date = session_date AND (SELECT array_agg(code::text
        ORDER BY sort_order) FROM invoice_line_items JOIN pt_service_codes AS c ON c.id = service_code_id
        WHERE invoice_id = i.id) = billing_codes) IS NOT TRUE
    """,
    "payment before its invoice": """
        SELECT count(*) FROM payments AS p JOIN invoices AS i ON i.id = invoice_id
        WHERE (payment_date AT TIME ZONE 'Asia/Ho_Chi_Minh')::date < invoice_date OR amount <= 0
    """,
    "state of invoices, or way to pay, that is missing": """
        SELECT count(*) FROM
        (SELECT unnest(ARRAY['paid', 'partially_paid', 'pending', 'cash', 'card', 'bank_transfer', 'momo',
        'zalopay', 'vnpay', 'bhyt'])
        EXCEPT (SELECT status FROM invoices UNION SELECT payment_method FROM payments)) AS kinds
    """,
    "receipt number twice in a clinic, or missing": """
        SELECT count(*) FROM (SELECT FROM payments WHERE payment_method <> 'bhyt'
        GROUP BY clinic_id, receipt_number HAVING count(*) > 1 OR receipt_number IS NULL) AS receipts
    """,
    "checklists that are missing": """
        SELECT count(*) FROM (VALUES (EXISTS (SELECT FROM visit_checklists)), (EXISTS (SELECT
        FROM visit_checklist_responses))) AS checklists (are_there) WHERE NOT are_there
    """,
}

ROWS = (
    "SELECT (SELECT count(*) FROM patients), (SELECT count(*) FROM outcome_measures),"
    " (SELECT count(*) FROM payments), (SELECT md5(string_agg(p::text, '' ORDER BY id)) FROM patients AS p)"
)


@pytest.fixture(scope="module")
def seeded(local: Local) -> Iterator[Local]:
    """A server with a database that holds the invented patients; made by hand, as the guide has it."""
    local.create_database(DATABASE, "physioflow")
    seed(local, DATABASE)
    yield local
    local.drop_database(DATABASE)


def seed(local: Local, database: str, scale: int = 1) -> None:
    done = local.run_psql("-c", f"SET jit = off; SET seed.scale = {scale}", "-f", str(FILE), database=database)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("scale", [1, 20])
def test_the_invented_rows_are_those_of_a_clinic(seeded: Local, database: str, scale: int) -> None:
    seeded.create_database(database, DATABASE)
    before = seeded.psql(ROWS, database)
    seed(seeded, database, scale)
    assert (seeded.psql(ROWS, database) == before) is (scale == 1), "again changes nothing"
    found = {what: seeded.psql(sql, database) for what, sql in WRONG.items()}
    assert {what: rows for what, rows in found.items() if rows != "0"} == {}


PRODUCTION = """ALTER DATABASE "{0}" SET "physioflow.environment" = 'production'"""  # as a deploy marks it
REFERENCE: dict[str, Any] = {"seed_set": "reference"}
FRACTURE = "SELECT icd10_code FROM vietnamese_medical_terms WHERE term_en = 'Fracture'"
FAILING = """
DELETE FROM pt_service_codes; DELETE FROM bhyt_insured_groups; DELETE FROM bhyt_benefit_levels;
DELETE FROM vietnamese_medical_terms WHERE term_en = 'Fracture';
CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM 1 / 0; END';
CREATE TRIGGER fails BEFORE INSERT ON bhyt_insured_groups FOR EACH ROW EXECUTE FUNCTION fails()
"""
EDITED = """
DELETE FROM pt_service_codes WHERE code = 'PT301'; UPDATE pt_service_codes SET unit_price = 1 WHERE code = 'PT201';
DELETE FROM vietnamese_medical_terms WHERE term_en = 'Fracture'; DELETE FROM bhyt_benefit_levels
"""
ADDED = "Added 200 invented patients with their records, to {} existing ones"
# host: (the database that its own is a copy of, what is done to the copy, its variables, the number of changed tasks,
# or -1 where it is refused, and the words about it with | between)
HOSTS: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    "new": ("physioflow", "", {}, 1, ADDED.format(0)),
    "again": (DATABASE, "", {}, 0, "Added nothing: all invented patients of this scale exist"),
    "larger": (DATABASE, "", {"seed_scale": 2}, 1, ADDED.format(200)),
    "edited": ("physioflow", EDITED, REFERENCE, 1, ""),
    "production": ("physioflow", PRODUCTION, REFERENCE, 0, ""),
    "failing": (
        "physioflow",
        FAILING,
        REFERENCE,
        -1,
        "migrations/047_seed_bhyt_benefits.sql failed: division by zero|"
        "The files before it were applied; this one was rolled back.",
    ),
    "marked": ("physioflow", PRODUCTION, {}, -1, "The database seeded_marked is marked as production"),
    "undeployed": (
        "physioflow",
        "DROP TABLE pt_service_codes CASCADE",
        {},
        -1,
        "The database seeded_undeployed cannot be seeded: relation|Next: ansible-playbook deploy.yml",
    ),
    "nothing": (
        "physioflow",
        "",
        {"seed_scale": 0},
        -1,
        "seed_scale is 0; it must be a whole number from 1 to 99999",
    ),
}


def test_each_database_gets_what_it_lacks_and_what_cannot_be_seeded_is_refused(seeded: Local, tmp_path: Path) -> None:
    def ask(host: str, sql: str) -> str:
        return seeded.psql(sql, f"seeded_{host}", role="postgres")

    with ExitStack() as stack:
        for host, (template, sql, _, _, _) in HOSTS.items():
            stack.callback(seeded.drop_database, f"seeded_{host}")
            seeded.create_database(f"seeded_{host}", template)
            if sql:
                ask(host, sql.format(f"seeded_{host}"))
        before = seeded.psql(ROWS, DATABASE)
        shown = seeded.play("playbooks/seed.yml", "--check", database_name="seeded_larger", seed_scale=2)
        assert "Would add 200 invented patients with their records, to 200 existing ones" in shown.output
        assert ask("larger", ROWS) == before

        hosts = {host: {"database_name": f"seeded_{host}"} | given for host, (_, _, given, _, _) in HOSTS.items()}
        result = apart.play(seeded, tmp_path / "play", "playbooks/seed.yml", hosts)
        for host, (_, _, _, changed, words) in HOSTS.items():
            for sentence in words.split("|"):
                assert sentence in said_of(result, host), f"{host}: {sentence}\n{result.output}"
            if changed < 0:
                assert failed_in(result, host), host
                assert ask(host, "SELECT count(*) FROM organizations") == "0"
            else:
                assert changed_of(result, host) == changed, host
        assert result.changed == 3
        assert "INSERT INTO" not in result.output

        patients = "SELECT count(*), count(DISTINCT mrn) FROM patients"
        assert [ask(host, patients) for host in ("new", "larger")] == ["200|200", "400|400"]
        assert ask("again", ROWS) == before
        kept = "SELECT count(*), min(unit_price) FROM pt_service_codes"
        assert ask("edited", kept) == "8|1.00", "an edited row stays"
        assert ask("edited", FRACTURE) == "T14.2", "a row that comes back is corrected as before"
        levels = "SELECT (SELECT count(*) FROM bhyt_benefit_levels), (SELECT count(*) FROM bhyt_insured_groups) > 0"
        assert ask("edited", levels) == "5|t"
        assert ask("failing", "SELECT count(*) FROM pt_service_codes") == "8", "of a file before"
        assert ask("failing", levels) == "0|f"
        assert ask("failing", FRACTURE) not in ("", "T14.2"), "the files after it were not sent"
        by_hand = seeded.run_psql("-v", "ON_ERROR_STOP=0", "-f", str(FILE), database="seeded_marked")
        assert "is marked as production: invented patients do not belong there" in by_hand.stderr
        assert ask("marked", "SELECT count(*) FROM organizations") == "0"


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
