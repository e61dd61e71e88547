"""Row level security by clinic: two clinics in one database, and each sees its own rows and no others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.failure import read_loss

from tests.backups import Clinic
from tests.fuzz.driver import run_module
from tests.integration.test_rollback_loss import RUN, loss, rollback, send
from tests.integration.test_security import APP, BACKUP, OWNER, READONLY, connect
from tests.local import VERSIONS

pytestmark = pytest.mark.control("S14")

OTHER = "00000000-0000-0000-0000-00000000000b"  # the clinic beside the one of the fixture
# A patient with a measure, an invoice and its line, a service of its own and one that all share, for both clinics.
ROWS = f"""
DROP TABLE keyless; -- the release promises a primary key everywhere
INSERT INTO clinics (id, organization_id, name) SELECT '{OTHER}', id, 'other' FROM organizations;
INSERT INTO patients (clinic_id, mrn, first_name, last_name, date_of_birth, gender)
    VALUES ('{OTHER}', 'B1', 'x', 'x', '1980-01-01', 'female');
INSERT INTO outcome_measures (patient_id, measure_type, measurement_date)
    SELECT id, 'VAS', '2026-01-01' FROM patients WHERE mrn = 'B1';
INSERT INTO invoices (clinic_id, patient_id, invoice_number) SELECT clinic_id, id, mrn FROM patients;
INSERT INTO invoice_line_items (invoice_id, description, unit_price, total_price) SELECT id, 'x', 1, 1 FROM invoices;
INSERT INTO pt_service_codes (clinic_id, code, service_name, service_name_vi, category, unit_price)
    VALUES ('{OTHER}', 'OWN', 'own', 'own', 'x', 1);
REVOKE UPDATE ON organizations FROM {APP}; -- what a migration decided is not given back by switching off
CREATE VIEW everybody AS SELECT * FROM patients;
CREATE FUNCTION how_many() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    RETURN (SELECT count(*) FROM patients);
"""
COUNTS = """
SELECT (SELECT count(*) FROM patients), (SELECT count(*) FROM outcome_measures), (SELECT count(*) FROM invoices),
       (SELECT count(*) FROM invoice_line_items), (SELECT count(*) FROM outcome_measures_2026),
       (SELECT count(*) FROM everybody), how_many()
"""
ALL = (1001, 1001, 1001, 1001, 183, 1001, 1001)
OF_OTHER = (1, 1, 1, 1, 1, 1, 1)
NONE = (0, 0, 0, 0, 0, 0, 0)
POLICIES = """
SELECT count(*) FILTER (WHERE relrowsecurity AND relforcerowsecurity), count(*) FILTER (WHERE EXISTS (
    SELECT FROM pg_policy WHERE polrelid = c.oid AND polname LIKE 'physioflow%')) FROM pg_class AS c
"""


# What would reach patients of another clinic past the policies, and the words that refuse it.
ABOVE = {
    "DELETE FROM clinics WHERE name = 'clinic'": "permission denied",
    "DELETE FROM organizations": "permission denied",
    "UPDATE clinics SET name = 'mine'": "permission denied",
    "UPDATE organizations SET name = 'mine'": "permission denied",
    "INSERT INTO clinics (organization_id, name) SELECT id, 'new' FROM organizations": "permission denied",
    "INSERT INTO organizations (name) VALUES ('new')": "permission denied",
    "TRUNCATE patients CASCADE": "permission denied",
    "ALTER TABLE patients DISABLE ROW LEVEL SECURITY": "must be owner",
    "SET row_security = off; SELECT count(*) FROM patients": "row-level security",
    "SET row_security = off; COPY patients TO STDOUT": "row-level security",
    "SET row_security = off; SELECT count(*) FROM outcome_measures_2026": "row-level security",
}


def protect(clinic: Clinic, wanted: bool = True, **more: Any) -> list[str]:
    """Run the module that a deploy runs after the migrations, and return its statements."""
    names = {"name": clinic.name, "owner": OWNER, "app": APP, "backup": BACKUP, "audit_role": "emr_audit"}
    connection = {f"login_{name}": value for name, value in clinic.connection.items()}
    done = run_module("database_patients", connection=connection, row_level_security=wanted, **names, **more)
    assert "statements" in done, done
    return list(done["statements"])


@pytest.fixture
def shared(clinic: Clinic) -> Clinic:
    """A database of two clinics."""
    clinic.sql(ROWS, role=OWNER)
    return clinic


@pytest.fixture
def guarded(shared: Clinic) -> Clinic:
    """A database of two clinics under row level security."""
    assert protect(shared)
    return shared


def test_each_clinic_sees_its_own_and_a_backup_all_of_them(guarded: Clinic) -> None:
    clinic, local = guarded, guarded.local

    with connect(local, APP, clinic.name) as app:
        assert app.execute(COUNTS.encode()).fetchone() == NONE, "unset is no clinic"
        app.execute("SELECT set_config('app.clinic_id', '', false)")
        assert app.execute(COUNTS.encode()).fetchone() == NONE, "empty is no clinic"
        app.execute(f"SELECT set_config('app.clinic_id', '{OTHER}', false)".encode())
        assert app.execute(COUNTS.encode()).fetchone() == OF_OTHER
        own_and_shared = app.execute("SELECT count(*), count(clinic_id) FROM pt_service_codes").fetchone()
        assert own_and_shared == (9, 1)
        assert app.execute("SELECT count(*) FROM vietnamese_medical_terms").fetchone() != (0,)
        assert app.execute("UPDATE patients SET notes = 'x'").rowcount == 1
        app.execute("UPDATE patients SET notes = NULL")
        assert app.execute("DELETE FROM invoices WHERE clinic_id <> %s", [OTHER]).rowcount == 0
        assert app.execute("UPDATE pt_service_codes SET unit_price = 0 WHERE clinic_id IS NULL").rowcount == 0
        assert app.execute("DELETE FROM pt_service_codes WHERE clinic_id IS NULL").rowcount == 0
        foreign = local.psql("SELECT id FROM patients WHERE mrn = 'M1'", clinic.name, role="postgres")
        clinic_id = local.psql("SELECT clinic_id FROM patients WHERE mrn = 'M1'", clinic.name, role="postgres")
        for refused in (
            f"INSERT INTO patients (clinic_id, mrn, first_name, last_name, date_of_birth, gender) "
            f"VALUES ('{clinic_id}', 'B2', 'x', 'x', '1980-01-01', 'female')",
            f"UPDATE patients SET clinic_id = '{clinic_id}'",
            f"INSERT INTO outcome_measures (patient_id, measure_type, measurement_date) "
            f"VALUES ('{foreign}', 'VAS', '2026-02-02')",
            f"INSERT INTO outcome_measures_2026 (patient_id, measure_type, measurement_date) "
            f"VALUES ('{foreign}', 'VAS', '2026-02-02')",
            "INSERT INTO pt_service_codes (code, service_name, service_name_vi, category, unit_price) "
            "VALUES ('ALL', 'x', 'x', 'x', 1)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
                app.execute(refused.encode())
        app.execute("SELECT set_config('app.clinic_id', 'no uuid', false)")
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            app.execute(COUNTS.encode())
    with connect(local, READONLY, clinic.name) as reader:
        assert reader.execute(COUNTS.encode()).fetchone() == NONE
    with connect(local, OWNER, clinic.name) as owner:
        assert owner.execute(COUNTS.encode()).fetchone() == ALL, "migrations by hand see all rows"
    with connect(local, BACKUP, clinic.name) as backup:
        assert backup.execute("SELECT count(*) FROM patients").fetchone() == (1001,)

    # Every table with a clinic or a patient, and nothing else, has both; one table of the fixture has its own.
    open_tables = clinic.sql(
        "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind IN ('r', 'p') "
        "AND relnamespace = 'public'::regnamespace AND NOT (relrowsecurity AND relforcerowsecurity)"
    )
    assert set(open_tables.split()) >= {"bhyt_validation_rules", "outcome_measures_library", "vietnamese_medical_terms"}
    named = "SELECT string_agg(DISTINCT relname, ' ') FROM pg_class AS c JOIN pg_attribute ON attrelid = c.oid "
    named += "WHERE relkind IN ('r', 'p') AND attname IN ('clinic_id', 'patient_id', 'invoice_id') AND attnum > 0"
    assert not set(clinic.sql(named).split()) & set(open_tables.split())

    before = clinic.fingerprint()
    clinic.backup()
    restored = f"{clinic.name}_new"
    clinic.act("restore", database=restored)
    assert clinic.fingerprint(restored) == before == clinic.fingerprint()
    assert local.catalogs(restored) == local.catalogs(clinic.name), "policies, privileges and what was taken too"


def test_nothing_above_the_clinics_is_the_applications(shared: Clinic) -> None:
    clinic, local = shared, shared.local
    assert "GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.clinics TO emr_app" in local.catalogs(clinic.name)
    assert protect(clinic)
    with connect(local, APP, clinic.name) as app:
        app.execute(f"SELECT set_config('app.clinic_id', '{OTHER}', false)".encode())
        assert app.execute("SELECT count(*) FROM clinics").fetchone() == (2,), (
            "the application finds the clinic by name"
        )
        for statement, words in ABOVE.items():
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match=words):
                app.execute(statement.encode())
            app.execute("RESET row_security")
        with app.cursor().copy("COPY patients TO STDOUT") as copy:
            assert len([*copy.rows()]) == 1
        with app.cursor() as cursor, pytest.raises(psycopg.errors.FeatureNotSupported, match="row-level security"):
            cursor.execute("COPY patients FROM STDIN")
    assert clinic.sql("SELECT count(*) FROM patients") == "1001"


def test_what_somebody_changed_is_put_right_a_rollback_counts_all_rows_and_off_leaves_nothing_behind(
    shared: Clinic, tmp_path: Path
) -> None:
    clinic, local, plain = shared, shared.local, f"{shared.name}_plain"
    local.create_database(plain, clinic.name)
    assert protect(clinic)
    connection = {f"login_{name}": value for name, value in local.connection.items()}
    drift = run_module(
        "migration_scratch", connection=connection, database=clinic.name, scratch=plain, action="compare"
    )
    assert drift["lines"] == []
    protected = local.catalogs(clinic.name)
    with connect(local, APP, clinic.name) as app:
        app.execute(f"SELECT set_config('app.clinic_id', '{OTHER}', false)".encode())
        somebody_changes(clinic, app)
        spoilt = local.catalogs(clinic.name)
        assert protect(clinic, _ansible_check_mode=True)
        assert local.catalogs(clinic.name) == spoilt
        assert protect(clinic)
        assert protect(clinic) == []
        assert app.execute("SELECT count(*) FROM patients").fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
            app.execute("DELETE FROM organizations")
        for table in ("outcome_measures", "outcome_measures_2031"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
                app.execute(
                    f"INSERT INTO {table} (patient_id, measure_type, measurement_date) "
                    "SELECT gen_random_uuid(), 'VAS', '2031-02-02'".encode()
                )
    assert clinic.sql("SELECT count(*) FROM patients") == "1001"
    clinic.sql("DROP TABLE outcome_measures_2031", role=OWNER)
    assert local.catalogs(clinic.name) == protected

    run = dataclasses.replace(RUN, applied_versions=tuple(VERSIONS))
    refused = send(local, clinic.name, tmp_path, rollback("DROP TABLE outcome_measures CASCADE;", run))
    assert read_loss(refused.stderr, RUN.run_id) == [loss("outcome_measures", 1001, "the table is dropped")]

    assert protect(clinic, wanted=False)
    assert protect(clinic, wanted=False) == []
    assert local.catalogs(clinic.name) == local.catalogs(plain)
    assert clinic.sql(POLICIES) == "1|0", "only the table of the fixture that has its own"


def somebody_changes(clinic: Clinic, app: psycopg.Connection[tuple[object, ...]]) -> None:
    """Give the privileges again, where the policies hold yet; make a partition; and open a policy."""
    clinic.sql(f"GRANT INSERT, UPDATE, DELETE ON clinics, organizations TO {APP}", role=OWNER)
    assert app.execute("DELETE FROM organizations").rowcount == 0
    assert app.execute("UPDATE clinics SET name = 'mine'").rowcount == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        app.execute("INSERT INTO organizations (name) VALUES ('new')")
    clinic.sql(f"REVOKE UPDATE ON organizations FROM {APP}", role=OWNER)
    clinic.sql(
        "CREATE TABLE outcome_measures_2031 PARTITION OF outcome_measures "
        "FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')",
        role=OWNER,
    )
    assert app.execute("SELECT count(*) FROM patients").fetchone() == (1,)
    clinic.sql("ALTER POLICY physioflow_clinic ON patients USING (true)")
    assert app.execute("SELECT count(*) FROM patients").fetchone() == (1001,)
