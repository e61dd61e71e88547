"""Migrations 016 and on: what they refuse, what they find, and the rows that stand in their way.

Two databases with the same few rows: one of the whole release, one of the guide's fifteen, which takes what 016 and on
refuse. Every test is one transaction that is taken back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import own_statements

from tests.integration.test_sql_files import GUIDE as GUIDE_FILES
from tests.integration.test_sql_files import NAMES
from tests.local import ROOT, Local, until

MIGRATIONS = ROOT / "files/migrations"
RELEASE, GUIDE = "records_release", "records_guide"
KINDS = ["clinic", "user", "patient", "plan", "session", "appointment", "insurance", "invoice", "payment", "protocol"]
KINDS += ["template", "list"]


def uid(kind: str, number: int = 1) -> str:
    """Return the id of one of the rows below."""
    return f"'00000000-0000-4000-8000-0000000{KINDS.index(kind):02d}{number:03d}'"


CLINIC, OTHER_CLINIC = uid("clinic"), uid("clinic", 2)
THERAPIST, SECOND, ELSEWHERE = uid("user"), uid("user", 2), uid("user", 3)
PATIENT, NEIGHBOUR, ABROAD, NEW = (uid("patient", number) for number in (1, 2, 3, 4))
PLAN, SESSION, APPOINTMENT, INSURANCE = uid("plan"), uid("session"), uid("appointment"), uid("insurance")
INVOICE, PAYMENT, PROTOCOL, TEMPLATE, LIST = (
    uid(kind) for kind in ("invoice", "payment", "protocol", "template", "list")
)
ROWS = f"""
    INSERT INTO organizations (name) VALUES ('group');
    INSERT INTO clinics (id, organization_id, name)
    SELECT c.id::uuid, o.id, c.name
    FROM organizations AS o, (VALUES ({CLINIC}, 'a'), ({OTHER_CLINIC}, 'b')) AS c (id, name);
    INSERT INTO users (id, clinic_id, email, first_name, last_name, role) VALUES
        ({THERAPIST}, {CLINIC}, 'a@example.com', 'An', 'Le', 'therapist'),
        ({SECOND}, {CLINIC}, 'b@example.com', 'Binh', 'Le', 'therapist'),
        ({ELSEWHERE}, {OTHER_CLINIC}, 'c@example.com', 'Chi', 'Le', 'therapist');
    INSERT INTO patients (id, clinic_id, mrn, last_name, first_name, last_name_vi, first_name_vi, date_of_birth, gender)
    VALUES ({PATIENT}, {CLINIC}, '1', 'Nguyen', 'Thi Lan', 'Nguyễn', 'Thị Lan', '1970-01-01', 'female'),
           ({NEIGHBOUR}, {CLINIC}, '2', 'Dang', 'An', 'Đặng', 'Ân', '1980-01-01', 'male'),
           ({ABROAD}, {OTHER_CLINIC}, '3', 'Vu', 'Binh', NULL, NULL, '1990-01-01', 'male'),
           ({NEW}, {CLINIC}, '4', 'Duong', 'Anh', 'Dương', 'Ánh', '1990-01-01', 'female');
    INSERT INTO treatment_plans (id, patient_id, therapist_id, clinic_id, start_date)
    VALUES ({PLAN}, {PATIENT}, {THERAPIST}, {CLINIC}, '2026-01-05');
    INSERT INTO treatment_sessions (id, patient_id, treatment_plan_id, therapist_id, clinic_id, session_date,
                                    actual_start_time)
    VALUES ({SESSION}, {PATIENT}, {PLAN}, {THERAPIST}, {CLINIC}, '2026-01-05', '2026-01-05 08:00+07');
    INSERT INTO checklist_templates (id, name, template_type) VALUES ({TEMPLATE}, 'list', 'follow_up');
    INSERT INTO visit_checklists (id, template_id, template_version, patient_id, therapist_id, clinic_id)
    VALUES ({LIST}, {TEMPLATE}, 1, {PATIENT}, {THERAPIST}, {CLINIC});
    INSERT INTO appointments (id, clinic_id, patient_id, therapist_id, appointment_date, start_time, end_time,
                              duration_minutes)
    VALUES ({APPOINTMENT}, {CLINIC}, {PATIENT}, {THERAPIST}, '2031-01-06', '08:00', '08:45', 45);
    INSERT INTO insurance_info (id, patient_id, provider, policy_number, valid_from, is_primary, bhyt_card_number,
                                bhyt_prefix_code, bhyt_coverage_percent, bhyt_copay_rate)
    VALUES ({INSURANCE}, {PATIENT}, 'BHXH', '1', '2026-01-01', true, 'DN4010123456789', 'DN4', 80, 20);
    INSERT INTO invoices (id, clinic_id, patient_id, invoice_number) VALUES ({INVOICE}, {CLINIC}, {PATIENT}, '1');
    INSERT INTO invoice_line_items (invoice_id, description, unit_price, total_price) VALUES ({INVOICE}, 'x', 100, 100);
    INSERT INTO payments (id, invoice_id, clinic_id, amount, payment_method, receipt_number)
    VALUES ({PAYMENT}, {INVOICE}, {CLINIC}, 100, 'cash', 'R1');
    INSERT INTO patient_protocols (id, patient_id, protocol_id, therapist_id, clinic_id, start_date)
    SELECT {PROTOCOL}, {PATIENT}, id, {THERAPIST}, {CLINIC}, '2026-01-05'
    FROM clinical_protocols WHERE protocol_name = 'Post-Stroke Rehabilitation';
    INSERT INTO discharge_plans (patient_id, therapist_id, clinic_id) VALUES ({PATIENT}, {THERAPIST}, {CLINIC});
    INSERT INTO discharge_summaries (discharge_plan_id, patient_id, therapist_id)
    SELECT id, patient_id, therapist_id FROM discharge_plans;
    INSERT INTO outcome_measures (patient_id, library_id, measure_type, baseline_score, current_score, measurement_date,
                                  mcid_threshold, treatment_session_id)
    SELECT {PATIENT}, id, measure_type, 8, 3, '2026-01-05', mcid_threshold, {SESSION}
    FROM outcome_measures_library WHERE measure_type = 'VAS';
"""


@pytest.fixture(scope="module")
def databases(local: Local) -> Iterator[Local]:
    """The server with both databases."""
    local.create_database(RELEASE, "physioflow")
    local.create_database(GUIDE, "template0")
    try:
        local.psql('CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION pg_trgm', GUIDE, role="postgres")
        files = [option for name in GUIDE_FILES for option in ("-f", str(MIGRATIONS / name))]
        for name, options in ((RELEASE, []), (GUIDE, files)):
            done = local.run_psql(*options, "-c", ROWS, database=name)
            assert done.returncode == 0, done.stderr
        yield local
    finally:
        for name in (RELEASE, GUIDE):
            local.drop_database(name)


@contextmanager
def session(local: Local, database: str) -> Iterator[psycopg.Connection[Any]]:
    """Connect as the owner, whose transaction is taken back."""
    with psycopg.connect(**local.connection, dbname=database, options="-c role=emr") as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def records(databases: Local) -> Iterator[psycopg.Connection[Any]]:
    """The database of the release."""
    with session(databases, RELEASE) as connection:
        yield connection


@pytest.fixture
def before(databases: Local) -> Iterator[psycopg.Connection[Any]]:
    """The database of the guide's fifteen."""
    with session(databases, GUIDE) as connection:
        yield connection


def refused(connection: psycopg.Connection[Any], sql: str) -> psycopg.Error:
    """Run statements that must fail, with the checks of a COMMIT; what came before them stays."""
    with pytest.raises(psycopg.Error) as error, connection.transaction():
        connection.execute(sql.encode())
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return error.value


def accepted(connection: psycopg.Connection[Any], sql: str) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute(sql.encode())
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")


def rows(connection: psycopg.Connection[Any], sql: str) -> list[Any]:
    """Return the rows; those of a single column without their brackets."""
    found = connection.execute(sql.encode()).fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def book(number: int, start: str, end: str, **values: str) -> str:
    """Return the INSERT of an appointment."""
    values = {
        "id": uid("appointment", number),
        "clinic_id": CLINIC,
        "patient_id": NEIGHBOUR,
        "therapist_id": THERAPIST,
        "appointment_date": "'2031-01-06'",
        "start_time": f"'{start}'",
        "end_time": f"'{end}'",
        "duration_minutes": "30",
    } | values
    return f"INSERT INTO appointments ({', '.join(values)}) VALUES ({', '.join(values.values())});"


def insure(patient: str, **values: str) -> str:
    values = {"patient_id": patient, "provider": "'x'", "policy_number": "'x'", "valid_from": "'2026-01-01'"} | values
    return f"INSERT INTO insurance_info ({', '.join(values)}) VALUES ({', '.join(values.values())});"


def score(**values: str) -> str:
    values = {"patient_id": PATIENT, "measure_type": "'VAS'", "measurement_date": "'2026-02-01'"} | values
    return f"INSERT INTO outcome_measures ({', '.join(values)}) VALUES ({', '.join(values.values())});"


# Values that cannot be: the constraint, the migration that makes it, and a statement that the guide's fifteen accept.
VALUES: dict[str, tuple[str, str]] = {
    "chk_appointments_times": ("018", "UPDATE appointments SET end_time = start_time"),
    "chk_appointments_duration": ("018", "UPDATE appointments SET duration_minutes = 0"),
    "chk_insurance_coverage_range": ("018", "UPDATE insurance_info SET coverage_percentage = 101"),
    "chk_insurance_copay_amount": ("018", "UPDATE insurance_info SET copay_amount = -1"),
    "chk_insurance_valid_dates": ("018", "UPDATE insurance_info SET valid_to = '2025-12-31'"),
    "chk_insurance_verification_status": ("018", "UPDATE insurance_info SET verification_status = 'unknown'"),
    "chk_treatment_plans_dates": ("018", "UPDATE treatment_plans SET end_date = '2026-01-04'"),
    "chk_treatment_plans_frequency": ("018", "UPDATE treatment_plans SET frequency_per_week = 0"),
    "chk_treatment_plans_sessions": ("018", "UPDATE treatment_plans SET sessions_completed = -1"),
    "chk_treatment_sessions_times": ("018", "UPDATE treatment_sessions SET actual_end_time = '2026-01-05 07:59+07'"),
    "chk_treatment_sessions_duration": ("018", "UPDATE treatment_sessions SET duration_minutes = -1"),
    "chk_visit_checklists_progress": ("018", "UPDATE visit_checklists SET progress_percentage = 100.01"),
    "uq_insurance_active_primary": ("018", insure(PATIENT, is_primary="true")),
    "appointments_therapist_clinic_fkey": ("021", f"UPDATE appointments SET therapist_id = {ELSEWHERE}"),
    "trg_outcome_measures_scale": ("027", score(current_score="10.01")),
    "chk_service_codes_amounts": ("030", "UPDATE pt_service_codes SET unit_price = -1"),
    "chk_service_codes_bhyt_rate": ("030", "UPDATE pt_service_codes SET bhyt_reimbursement_rate = 101"),
    "chk_invoices_amounts": ("030", "UPDATE invoices SET total_amount = -1"),
    "chk_invoices_shares": ("030", "UPDATE invoices SET balance_due = -1"),
    "chk_invoices_bhyt_claim_status": ("030", "UPDATE invoices SET bhyt_claim_status = 'unknown'"),
    "chk_invoice_items_amounts": ("030", "UPDATE invoice_line_items SET quantity = 0"),
    "chk_invoice_items_insurance": ("030", "UPDATE invoice_line_items SET insurance_covered_amount = 101"),
    "chk_payments_amount": ("030", "UPDATE payments SET amount = -1"),
    "chk_payments_refund": ("030", "UPDATE payments SET refund_amount = 101"),
    "chk_payments_status": ("030", "UPDATE payments SET status = 'unknown'"),
    "uq_payments_receipt_number": (
        "030",
        "INSERT INTO payments (invoice_id, clinic_id, amount, payment_method, receipt_number) "
        f"VALUES ({INVOICE}, {CLINIC}, 1, 'cash', 'R1')",
    ),
    "chk_clinical_protocols_numbers": ("032", "UPDATE clinical_protocols SET duration_weeks = 0"),
    "chk_patient_protocols_numbers": ("032", "UPDATE patient_protocols SET sessions_completed = -1"),
    "chk_patient_protocols_dates": ("032", "UPDATE patient_protocols SET actual_end_date = '2026-01-04'"),
    "chk_patient_protocols_current_phase": ("032", "UPDATE patient_protocols SET current_phase = 'unknown'"),
    "chk_bhyt_prefix_of_card": ("034", "UPDATE insurance_info SET bhyt_prefix_code = 'DN1'"),
    "chk_bhyt_total": ("034", "UPDATE insurance_info SET bhyt_copay_rate = 10"),
    "trg_insurance_info_card_of_one_patient": ("036", insure(NEIGHBOUR, bhyt_card_number="'DN4010123456789'")),
    "outcome_measures_patient_id_fkey": ("040", score(patient_id="uuid_generate_v4()")),
    "outcome_measures_treatment_session_id_fkey": ("040", score(treatment_session_id="uuid_generate_v4()")),
}


@pytest.mark.parametrize("name", VALUES)
def test_what_cannot_be_is_refused(records: psycopg.Connection[Any], name: str) -> None:
    error = refused(records, VALUES[name][1])
    assert error.diag.constraint_name == name, error
    assert error.sqlstate in ("23514", "23505", "23503"), error


def test_each_check_of_the_release_has_its_case() -> None:
    made = "\n".join((MIGRATIONS / name).read_text() for name in NAMES if name not in GUIDE_FILES)
    checks = set(re.findall(r"ADD CONSTRAINT (chk_\w+)", made)) - {"chk_bhxh_number_format"}  # of a new column
    assert checks == {name for name in VALUES if name.startswith("chk_")}


def apply(connection: psycopg.Connection[Any], version: str) -> None:
    """Apply a migration, in the transaction."""
    [path] = MIGRATIONS.glob(f"{version}_*.sql")
    for statement in own_statements(path.read_text()):
        connection.execute(statement.text.encode())


def in_the_way(connection: psycopg.Connection[Any], version: str) -> psycopg.Error:
    """Apply a migration that must name the rows in its way; the statements of its hint find them."""
    with pytest.raises(psycopg.Error) as error, connection.transaction():
        apply(connection, version)
    number = re.search(r"\b([1-9]\d*) ", error.value.diag.message_primary or "")
    assert number, error.value
    hint = error.value.diag.message_hint or ""
    found = [rows(connection, sql) for sql in hint.partition("Find them: ")[2].split("; ")]
    assert found
    assert all(found)
    assert len(found[0]) == int(number[1]), hint
    return error.value


@pytest.mark.parametrize("name", VALUES)
def test_rows_in_the_way_are_named_before_anything_is_changed(before: psycopg.Connection[Any], name: str) -> None:
    version, sql = VALUES[name]
    before.execute(sql.encode())
    error = in_the_way(before, version)
    for secret in ("DN4010123456789", "Nguyễn", "unknown'", "R1"):
        assert secret not in f"{error.diag.message_primary}{(error.diag.message_hint or '').split('WHERE NOT')[0]}"


@pytest.mark.parametrize("version", sorted({version for version, _ in VALUES.values()} - {"021", "040"}))
def test_rows_that_may_be_are_in_nobodys_way(before: psycopg.Connection[Any], version: str) -> None:
    """021 and 040 need an index that is made outside of a transaction: the release itself was deployed to such rows."""
    apply(before, version)


# Records that outlive the row they belong to.
KEPT = {
    "patient with a plan": f"DELETE FROM patients WHERE id = {PATIENT}",
    "patient with an appointment": f"{book(9, '10:00', '10:30', patient_id=NEW)} DELETE FROM patients WHERE id = {NEW}",
    "patient with a score": f"{score(patient_id=NEW)} DELETE FROM patients WHERE id = {NEW}",
    "patient with a score of 2019": score(patient_id=NEW, measurement_date="'2019-05-05'")
    + f"DELETE FROM patients WHERE id = {NEW}",
    "plan with a session": f"DELETE FROM treatment_plans WHERE id = {PLAN}",
    "session with a score": f"DELETE FROM treatment_sessions WHERE id = {SESSION}",
    "discharge plan with a summary": "DELETE FROM discharge_plans",
    "clinic with appointments": f"DELETE FROM clinics WHERE id = {CLINIC}",
}


@pytest.mark.parametrize("name", KEPT)
def test_records_are_not_erased_by_a_cascade(records: psycopg.Connection[Any], name: str) -> None:
    assert refused(records, KEPT[name]).sqlstate in ("23001", "23503")


def test_a_patient_without_records_can_be_deleted(records: psycopg.Connection[Any]) -> None:
    accepted(records, f"{insure(NEW)} DELETE FROM patients WHERE id = {NEW}")


def test_no_foreign_key_erases_a_clinical_record(records: psycopg.Connection[Any]) -> None:
    """What still goes along: parts of one record, and what hangs on a clinic or an organization without records."""
    cascades = rows(
        records,
        "SELECT conrelid::regclass || ' with ' || confrelid::regclass FROM pg_constraint "
        "WHERE contype = 'f' AND confdeltype NOT IN ('a', 'r') AND connamespace = 'public'::regnamespace ORDER BY 1",
    )
    assert cascades == [
        "clinics with organizations",
        "insurance_info with patients",
        "invoice_line_items with invoices",
        "patients with clinics",
        "users with clinics",
        "visit_checklist_responses with visit_checklists",
    ]


# Appointments beside one from 08:00 to 08:45.
TOGETHER = {
    "touching": book(9, "08:45", "09:15"),
    "other therapist": book(9, "08:30", "09:00", therapist_id=SECOND),
    "other day": book(9, "08:30", "09:00", appointment_date="'2031-01-07'"),
    "cancelled": book(9, "08:30", "09:00", status="'cancelled'"),
    "rescheduled": book(9, "08:30", "09:00", status="'rescheduled'"),
    "patient who did not come": book(9, "08:30", "09:00", status="'no_show'"),
    "imported": book(9, "08:30", "09:00", reserves_time="NULL"),
    "group": book(8, "10:00", "11:00", appointment_type="'group_session'")
    + book(9, "10:00", "11:00", appointment_type="'group_session'", patient_id=NEW),
}
APART = {
    "overlap": book(9, "08:30", "09:00"),
    "within": book(9, "08:10", "08:20"),
    "in the past": book(8, "08:00", "09:00", appointment_date="'2020-01-06'")
    + book(9, "08:30", "09:30", appointment_date="'2020-01-06'"),
    "no longer cancelled": book(9, "08:30", "09:00", status="'cancelled'")
    + "UPDATE appointments SET status = 'confirmed'",
    "group and another": book(9, "08:30", "09:00", appointment_type="'group_session'"),
}


@pytest.mark.parametrize("name", TOGETHER)
def test_appointments_that_do_not_overlap_are_accepted(records: psycopg.Connection[Any], name: str) -> None:
    accepted(records, TOGETHER[name])


@pytest.mark.parametrize("name", APART)
def test_appointments_of_a_therapist_do_not_overlap(records: psycopg.Connection[Any], name: str) -> None:
    error = refused(records, APART[name])
    assert (error.sqlstate, error.diag.constraint_name) == ("23P01", "exc_appointments_therapist_time")


def test_scores_are_written_while_040_waits_for_patients(databases: Local, before: psycopg.Connection[Any]) -> None:
    """It holds nothing of the scores until it has all locks: an application cannot come into a deadlock with it."""
    score = (
        "INSERT INTO outcome_measures (patient_id, measure_type, measurement_date) VALUES"
        f" ({PATIENT}, 'VAS', '2024-05-01')"
    )
    with session(databases, GUIDE) as clinic, session(databases, GUIDE) as other, ThreadPoolExecutor() as pool:
        clinic.execute("LOCK TABLE patients IN ROW EXCLUSIVE MODE")
        waiting = pool.submit(apply, before, "040")
        try:
            waits = f"SELECT wait_event FROM pg_stat_activity WHERE pid = {before.info.backend_pid}"
            until(lambda: databases.psql(waits, GUIDE, role="postgres") == "relation", "040 waits for patients")
            other.execute("SET lock_timeout = '1s'")
            other.execute(score.encode())
            other.rollback()
        finally:
            clinic.rollback()
        waiting.result()


def test_appointments_to_come_that_overlap_are_named_and_past_ones_stay(before: psycopg.Connection[Any]) -> None:
    for version in ("018", "023"):
        before.execute((book(8, "08:30", "09:00") if version == "023" else "SELECT 1").encode())
        apply(before, version)
    error = in_the_way(before, "024")
    assert error.diag.message_primary == "1 pairs of appointments to come overlap"
    past = {"appointment_date": "'2020-01-06'", "reserves_time": "NULL"}
    before.execute(f"DELETE FROM appointments WHERE id = {uid('appointment', 8)}".encode())
    before.execute((book(6, "08:00", "09:00", **past) + book(7, "08:30", "09:30", **past)).encode())
    apply(before, "024")


def test_appointments_to_come_reserve_their_time_and_past_ones_do_not(databases: Local) -> None:
    """025 commits day by day: in a copy, where an appointment of a second day stands in the way and is moved then."""
    databases.create_database("records_days", GUIDE)
    try:
        with psycopg.connect(
            **databases.connection, dbname="records_days", options="-c role=emr", autocommit=True
        ) as connection:
            apply(connection, "018")
            apply(connection, "023")
            days = {"past": "'2020-01-06'", "later": "'2031-01-07'"}
            for number, day in enumerate(days.values(), 6):
                connection.execute(book(number, "08:00", "09:00", appointment_date=day, reserves_time="NULL").encode())
            apply(connection, "024")
            late = book(8, "08:30", "09:30", appointment_date=days["later"])
            connection.execute(late.encode())
            marks = "SELECT reserves_time FROM appointments ORDER BY appointment_date, id"
            with pytest.raises(psycopg.errors.ExclusionViolation):
                apply(connection, "025")
            assert rows(connection, marks) == [None, True, None, True], "the first day is through, and stays so"
            connection.execute(f"DELETE FROM appointments WHERE id = {uid('appointment', 8)}".encode())
            apply(connection, "025")
            assert rows(connection, marks) == [None, True, True]
    finally:
        databases.drop_database("records_days")


def test_a_card_may_be_renewed_and_belong_to_a_patient_elsewhere(records: psycopg.Connection[Any]) -> None:
    card = {"bhyt_card_number": "'DN4010123456789'"}
    accepted(records, insure(PATIENT, valid_from="'2027-01-01'", **card) + insure(ABROAD, **card))
    accepted(records, f"{insure(NEW, **card)} DELETE FROM insurance_info WHERE patient_id = {NEW}")
    accepted(records, f"UPDATE insurance_info SET patient_id = {NEW}")


def test_a_card_of_two_sessions_at_the_same_time_is_refused_to_the_later(databases: Local) -> None:
    sql = insure("{}", bhyt_card_number="'GD4010000000001'")
    with session(databases, RELEASE) as first, session(databases, RELEASE) as second:
        try:
            first.execute(sql.format(NEW).encode())
            second.execute(sql.format(NEIGHBOUR).encode())
            first.commit()
            with pytest.raises(
                psycopg.errors.UniqueViolation, match="another patient of the clinic has this BHYT card"
            ):
                second.commit()
        finally:
            first.execute("DELETE FROM insurance_info WHERE bhyt_card_number = 'GD4010000000001'")
            first.commit()


def test_scores_take_their_scale_from_the_library(records: psycopg.Connection[Any]) -> None:
    fim = "(SELECT id FROM outcome_measures_library WHERE measure_type = 'FIM')"
    assert "a score of FIM lies outside its scale, 18.00 to 126.00" in str(
        refused(records, score(library_id=fim, measure_type="'own words'", current_score="17"))
    )
    for name in ("baseline_score", "target_score"):
        assert "outside its scale" in str(refused(records, score(**{name: "-1"})))
    accepted(records, score(library_id=fim, measure_type="'own words'", current_score="18"))
    accepted(records, score(measure_type="'of the clinic'", current_score="999"))
    accepted(records, "UPDATE outcome_measures_library SET scale_max = 5; UPDATE outcome_measures SET notes = 'x'")


def test_scores_from_1990_on_can_be_imported(records: psycopg.Connection[Any]) -> None:
    days = ("1990-01-01", "2023-12-31", "2024-01-01")
    records.execute("".join(score(measurement_date=f"'{day}'") for day in days).encode())
    where = rows(records, "SELECT tableoid::regclass::text FROM outcome_measures ORDER BY measurement_date")
    assert where == [*["outcome_measures_before_2024"] * 2, "outcome_measures_2024", "outcome_measures_2026"]
    assert refused(records, score(measurement_date="'1989-12-31'")).sqlstate == "23514"


def test_today_is_the_day_of_vietnam(records: psycopg.Connection[Any]) -> None:
    """At 01:30 of the seventh in Vietnam it is still the sixth in UTC; a frozen clock shows it."""
    today = "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = '{}'::regclass AND adnum = "
    today += "(SELECT attnum FROM pg_attribute WHERE attrelid = adrelid AND attname = '{}')"
    for table, column in (
        ("invoices", "invoice_date"),
        ("patient_protocols", "assigned_date"),
        ("bhyt_validation_rules", "effective_from"),
    ):
        [expression] = rows(records, today.format(table, column))
        at = expression.replace("now()", "'2026-03-06 18:30:00+00'::timestamptz")
        for zone in ("UTC", "Asia/Ho_Chi_Minh", "America/Los_Angeles"):
            records.execute(f"SET LOCAL TimeZone = '{zone}'")
            assert rows(records, f"SELECT ({at})::text") == ["2026-03-07"]
    others = "SELECT adrelid::regclass FROM pg_attrdef WHERE pg_get_expr(adbin, adrelid) = 'CURRENT_DATE'"
    assert rows(records, others) == []


NAME = "patient_search_name(last_name, first_name, last_name_vi, first_name_vi)"


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("Nguyễn Thị Lan", ["1"]),
        ("nguyen thi lan", ["1"]),
        ("thị LAN", ["1"]),
        ("dang an", ["2"]),
        ("Vũ Bình", ["3"]),  # no Vietnamese name is known
        ("Lan Nguyen", []),  # another order
    ],
)
def test_a_patient_is_found_with_and_without_diacritics(
    records: psycopg.Connection[Any], typed: str, found: list[str]
) -> None:
    sql = f"SELECT mrn FROM patients WHERE {NAME} LIKE '%' || vietnamese_unaccent('{typed}') || '%' ORDER BY mrn"
    assert rows(records, sql) == found


def test_patients_are_listed_in_vietnamese_order(records: psycopg.Connection[Any]) -> None:
    order = 'ORDER BY last_name_vi COLLATE "vi-VN-x-icu", first_name_vi COLLATE "vi-VN-x-icu"'
    sql = f"SELECT last_name_vi FROM patients WHERE clinic_id = {CLINIC} {order}"
    assert rows(records, sql) == ["Dương", "Đặng", "Nguyễn"]
    assert rows(records, "SELECT last_name_vi FROM patients WHERE last_name_vi > '' ORDER BY 1") != ["Dương", "Đặng"]


# With many rows the planner takes these indexes by itself: nothing is switched off.
SEARCHES = {
    f"SELECT id FROM patients WHERE {NAME} LIKE '%' || vietnamese_unaccent('Họ 777 tên') || '%'": (
        "idx_patients_search_name_trgm"
    ),
    f'SELECT id FROM patients WHERE clinic_id = {CLINIC} ORDER BY last_name_vi COLLATE "vi-VN-x-icu", '
    'first_name_vi COLLATE "vi-VN-x-icu" LIMIT 50': "idx_patients_vietnamese_order",
    "SELECT term_en FROM vietnamese_medical_terms WHERE medical_term_search_text(term_en, term_vi, aliases_en, "
    "aliases_vi) LIKE '%' || vietnamese_unaccent('tên 777') || '%'": "idx_medical_terms_search_trgm",
    "SELECT id FROM insurance_info WHERE bhxh_number = '0000000777'": "idx_insurance_bhxh_number",
    f"SELECT id FROM appointments WHERE rescheduled_from_id = {APPOINTMENT}": "idx_appointments_rescheduled_from",
}


@pytest.fixture(scope="module")
def many(databases: Local) -> Iterator[psycopg.Connection[Any]]:
    """Many rows, which are taken back when the module is through."""
    with session(databases, RELEASE) as connection:
        connection.execute(
            f"""INSERT INTO patients (clinic_id, mrn, last_name, first_name, last_name_vi, first_name_vi, date_of_birth,
                                      gender)
                SELECT {CLINIC}, 'M' || n, 'Ho', n || ' ten', 'Họ', n || ' tên', '1980-01-01', 'other'
                FROM generate_series(1, 5000) AS n;
                INSERT INTO vietnamese_medical_terms (category, term_en, term_vi, aliases_vi)
                SELECT 'symptom', 'many ' || n, 'nhiều', ARRAY['Tên ' || n] FROM generate_series(1, 5000) AS n;
                INSERT INTO insurance_info (patient_id, provider, policy_number, valid_from, bhxh_number)
                SELECT id, 'x', mrn, '2026-01-01', lpad(substr(mrn, 2), 10, '0') FROM patients WHERE mrn LIKE 'M%';
                INSERT INTO appointments (clinic_id, patient_id, therapist_id, appointment_date, start_time, end_time,
                                          duration_minutes)
                SELECT {CLINIC}, {PATIENT}, {THERAPIST}, date '2032-01-01' + n, '08:00', '09:00', 60
                FROM generate_series(1, 5000) AS n;
                ANALYZE patients, vietnamese_medical_terms, insurance_info, appointments""".encode()
        )
        yield connection


@pytest.mark.parametrize("sql", SEARCHES, ids=SEARCHES.values())
def test_a_search_takes_its_index(many: psycopg.Connection[Any], sql: str) -> None:
    plan = "\n".join(rows(many, f"EXPLAIN {sql}"))
    assert SEARCHES[sql] in plan, plan
    assert "Seq Scan" not in plan
    if "777" in sql:
        assert len(rows(many, sql)) == 1


def test_foreign_keys_that_a_deletion_walks_have_an_index(records: psycopg.Connection[Any]) -> None:
    """All but those that name the author of a row: 020 says why."""
    without = rows(
        records,
        """SELECT k.conrelid::regclass || '.' || a.attname FROM pg_constraint AS k
        JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
        WHERE k.contype = 'f' AND k.conparentid = 0 AND k.connamespace = 'public'::regnamespace
          AND a.attname NOT IN ('created_by', 'updated_by')
          AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = k.conrelid AND i.indkey[0] = k.conkey[1]
                          AND i.indisvalid)""",
    )
    assert without == []


@pytest.mark.parametrize(
    ("typed", "found"),
    [("khớp háng", "Hip"), ("khop hang", "Hip"), ("Khung chậu", "Pelvis"), ("di cam", "Tingling"),
     ("xoa bóp", "Massage"), ("di dong khop", "Joint Mobilization"), ("mat-xa", "Massage"), ("KNEE", "Knee")],
)  # fmt: skip
def test_a_term_is_found_by_its_alias(records: psycopg.Connection[Any], typed: str, found: str) -> None:
    text = "medical_term_search_text(term_en, term_vi, aliases_en, aliases_vi)"
    sql = f"SELECT term_en FROM vietnamese_medical_terms WHERE {text} LIKE '%' || vietnamese_unaccent('{typed}') || '%'"
    assert rows(records, sql) == [found]


# Measure, baseline and score; progress, and points in the direction of the measure.
PROGRESS = (
    ("VAS", "8", "3", "improved", 5),
    ("VAS", "3", "8", "worsened", -5),
    ("VAS", "8", "7", "unchanged", 1),
    ("ODI", "40", "30", "improved", 10),
    ("NDI", "20", "30", "worsened", -10),
    ("DASH", "50", "40", "improved", 10),
    ("QuickDASH", "50", "40", "unchanged", 10),  # below its new MCID
    ("LEFS", "40", "49", "improved", 9),
    ("LEFS", "49", "40", "worsened", -9),
    ("PSFS", "4", "6", "improved", 2),
    ("FIM", "90", "68", "worsened", -22),
    ("VAS", "NULL", "3", None, None),
    ("own", "1", "9", None, None),
)


@pytest.mark.parametrize("by", ["id", "type"])
@pytest.mark.parametrize("case", PROGRESS)
def test_progress_has_a_direction(records: psycopg.Connection[Any], by: str, case: tuple[Any, ...]) -> None:
    measure, baseline, current, progress, improvement = case
    of_library = "(SELECT {} FROM outcome_measures_library WHERE measure_type = '" + measure + "')"
    values = {"library_id": of_library.format("id")} if by == "id" else {}
    sql = score(
        patient_id=NEW,
        measure_type=f"'{measure}'",
        baseline_score=baseline,
        current_score=current,
        mcid_threshold=of_library.format("mcid_threshold"),
        **values,
    )
    records.execute(sql.encode())
    [found] = rows(records, f"SELECT progress, improvement, mcid_met FROM outcome_progress WHERE patient_id = {NEW}")
    assert found[:2] == (progress, improvement)
    assert found[2] is (None if progress is None else progress != "unchanged")  # size alone, as before


CARDS: dict[str, tuple[Any, ...]] = {
    "DN4010123456789": ("card", "DN", "4", 80, 20, "01", "0123456789"),
    "GD4790123456789": ("card", "GD", "4", 80, 20, "79", "0123456789"),
    "HT3010123456789": ("card", "HT", "3", 95, 5, "01", "0123456789"),
    "HS4010123456789": ("card", "HS", "4", 80, 20, "01", "0123456789"),
    "KC2010123456789": ("card", "KC", "2", 100, 0, "01", "0123456789"),
    "HC4010123456789": ("card", "HC", "4", 80, 20, "01", "0123456789"),
    "CB2010123456789": ("card", "CB", "2", 100, 0, "01", "0123456789"),
    "TE1010123456789": ("card", "TE", "1", 100, 0, "01", "0123456789"),
    "QN5970123456789": ("card", "QN", "5", 100, 0, "97", "0123456789"),
    " dn 4 01 012.345-6789\n": ("card", "DN", "4", 80, 20, "01", "0123456789"),
    "0123456789": ("bhxh_number", None, None, None, None, None, "0123456789"),
    "01 2345 6789": ("bhxh_number", None, None, None, None, None, "0123456789"),
    "ZZ9010123456789": ("card", "ZZ", "9", None, None, "01", "0123456789"),
    "DN401012345678": ("unknown", *[None] * 6),
    "ĐN4010123456789": ("unknown", *[None] * 6),
    "012345678": ("unknown", *[None] * 6),
    "": ("unknown", *[None] * 6),
}
FIGURES = "kind, group_code, level_code, coverage_percent, copay_percent, province_code, bhxh_number"


@pytest.mark.parametrize("card", CARDS)
def test_a_card_is_read_as_people_type_it(records: psycopg.Connection[Any], card: str) -> None:
    [found] = rows(records, f"SELECT {FIGURES} FROM resolve_bhyt_card('{card}')")
    assert found == CARDS[card]
    [words] = rows(records, f"SELECT not_known, not_known_vi FROM resolve_bhyt_card('{card}')")
    assert all(words)


def test_a_card_says_what_it_does_not_tell(records: psycopg.Connection[Any]) -> None:
    def words(arguments: str) -> str:
        [said] = rows(records, f"SELECT not_known FROM resolve_bhyt_card({arguments})")
        return str(said)

    assert "The group ZZ is not known" in words("'ZZ9010123456789'")
    assert "The benefit level 9 is not known" in words("'ZZ9010123456789'")
    assert "Cards of the group DN usually have level 4." in words("'DN1010123456789'")
    assert "usually have" not in words("'DN4010123456789'")
    for part in ("referral", "small amounts", "co-payments of the year"):
        assert part in words("'DN4010123456789'")
    assert "paid up to a limit" in words("'KC2010123456789'")
    assert "does not tell group, benefit level, coverage and province" in words("'0123456789'")
    assert "Neither a card" in words("NULL")


def test_a_figure_counts_on_its_days_and_comes_from_the_tables(records: psycopg.Connection[Any]) -> None:
    def coverage(day: str) -> Any:
        return rows(records, f"SELECT coverage_percent FROM resolve_bhyt_card('GD4010123456789', {day})")[0]

    records.execute("UPDATE bhyt_benefit_levels SET valid_to = '2030-06-30' WHERE level_code = '4'")
    records.execute(
        "INSERT INTO bhyt_benefit_levels (level_code, coverage_percent, source, valid_from) "
        "VALUES ('4', 85, 'a law to come', '2030-07-01')"
    )
    days = ("'2015-11-15'", "'2015-11-16'", "NULL", "'2030-06-30'", "'2030-07-01'")
    assert [coverage(day) for day in days] == [None, 80, 80, 80, 85]
    near_poor = "SELECT not_known LIKE '%usually have level 2%' FROM resolve_bhyt_card('CN3010123456789', '{}')"
    assert rows(records, near_poor.format("2025-12-31")) == [False]
    assert rows(records, near_poor.format("2026-01-01")) == [True]


def test_the_function_of_the_guide_answers_as_before(records: psycopg.Connection[Any], before: Any) -> None:
    sql = """SELECT card, v.* FROM unnest(ARRAY[
        'HC4010123456789', 'CB2010123456789', 'DN1010123456789', 'TX2010123456789', 'DN4010123456789',
        'dn1010123456789', '0123456789', NULL]) AS card, validate_bhyt_card(card) AS v"""
    assert rows(records, sql) == rows(before, sql)
    source = "SELECT pg_get_functiondef('validate_bhyt_card(varchar)'::regprocedure)"
    assert rows(records, source) == rows(before, source)


COUNTS = """SELECT (SELECT count(*) FROM pt_service_codes), (SELECT count(*) FROM vietnamese_medical_terms),
    (SELECT count(*) FROM clinical_protocols), (SELECT count(*) FROM bhyt_validation_rules)"""
# What a clinic has edited, and the migration that would have corrected it.
EDITED = {
    "050": "UPDATE outcome_measures_library SET mcid_threshold = 14, measure_type_vi = 'x', description_vi = 'x'",
    "051": "UPDATE vietnamese_medical_terms SET icd10_code = 'Z99', aliases_vi = ARRAY['x']",
    "052": "UPDATE clinical_protocols SET applicable_diagnoses = ARRAY['Z99']",
    "053": "UPDATE bhyt_validation_rules SET rule_name_vi = 'x'",
}
CORRECTED = {
    "050": (
        "SELECT measure_type, measure_type_vi, description_vi, mcid_threshold FROM outcome_measures_library ORDER BY 1"
    ),
    "051": "SELECT term_en, category, icd10_code, aliases_vi FROM vietnamese_medical_terms ORDER BY 1, 2",
    "052": "SELECT protocol_name, applicable_diagnoses FROM clinical_protocols ORDER BY 1",
    "053": "SELECT rule_name, rule_name_vi, beneficiary_category_vi FROM bhyt_validation_rules ORDER BY 1",
}


@pytest.mark.parametrize("version", CORRECTED)
def test_reference_data_is_corrected_and_brought_back_where_nobody_edited_it(
    before: psycopg.Connection[Any], records: psycopg.Connection[Any], version: str
) -> None:
    if version == "050":
        apply(before, "049")
    [back] = (ROOT / "files/rollbacks").glob(f"{version}_*.sql")
    old = rows(before, CORRECTED[version])
    apply(before, version)
    new = rows(before, CORRECTED[version])
    assert new != old
    assert new == rows(records, CORRECTED[version])
    before.execute(back.read_bytes())
    assert rows(before, CORRECTED[version]) == old

    before.execute(EDITED[version].encode())
    edited = rows(before, CORRECTED[version])
    apply(before, version)
    assert rows(before, CORRECTED[version]) == edited
    before.execute(back.read_bytes())
    assert rows(before, CORRECTED[version]) == edited


def test_the_numbers_of_the_guide_stand(records: psycopg.Connection[Any]) -> None:
    assert rows(records, COUNTS) == [(8, 56, 5, 18)]


def test_icd_10_codes_are_of_the_edition_of_the_who(records: psycopg.Connection[Any]) -> None:
    codes = rows(
        records,
        "SELECT icd10_code FROM vietnamese_medical_terms WHERE icd10_code IS NOT NULL UNION "
        "SELECT unnest(applicable_diagnoses) FROM clinical_protocols",
    )
    assert len(codes) > 20
    assert [code for code in codes if not re.fullmatch(r"[A-Z]\d\d(\.\d)?", code)] == []


def test_every_new_object_has_a_comment(records: psycopg.Connection[Any], before: Any) -> None:
    """Of tables, views, functions, triggers, indexes by themselves, and constraints that refuse values."""
    sql = """
        SELECT c.oid::regclass::text FROM pg_class AS c
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'i', 'I')
          AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = c.oid)
          AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid)
          AND obj_description(c.oid, 'pg_class') IS NULL
        UNION ALL
        SELECT p.oid::regprocedure::text FROM pg_proc AS p
        WHERE pronamespace = 'public'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL
          AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')
        UNION ALL
        SELECT conname FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'x') AND conparentid = 0
          AND conrelid <> 0 AND obj_description(oid, 'pg_constraint') IS NULL
    """
    assert {*rows(records, sql)} - {*rows(before, sql)} == set()
