"""Changes that leave every name in its place: the verification sees each, as what a file promises is its definition."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.physioflow.database.plugins.module_utils.verification.release import read_promises
from ansible_collections.physioflow.database.plugins.modules import database_verification

from tests.backups import Clinic
from tests.local import ROOT, Local
from tests.promises import write

NAME = "promised"
COPIES = 5
NOTHING = "CREATE OR REPLACE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql SET search_path TO "
NOTHING += "'pg_catalog', 'pg_temp' AS $$ BEGIN RETURN NEW; END $$"

# A change by hand, and words of the sentence that has to name it.
CHANGES = {
    "function that does nothing": (NOTHING, "function update_updated_at_column()"),
    "function of SQL with another body": (
        "CREATE OR REPLACE FUNCTION vietnamese_unaccent(p_text text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE "
        "STRICT RETURN lower(p_text)",
        "function vietnamese_unaccent(text)",
    ),
    "function with another property": (
        "ALTER FUNCTION validate_bhyt_card(varchar) RESET search_path",
        "function validate_bhyt_card(character varying)",
    ),
    "index on other columns": (
        "DROP INDEX idx_patients_name; CREATE INDEX idx_patients_name ON patients (id)",
        "index idx_patients_name on patients: expected USING btree (last_name, first_name), found USING btree (id)",
    ),
    "index by another method": (
        "DROP INDEX idx_patients_name_trgm; CREATE INDEX idx_patients_name_trgm ON patients (first_name)",
        "index idx_patients_name_trgm on patients",
    ),
    "index with another condition": (
        "DROP INDEX idx_insurance_is_primary; CREATE INDEX idx_insurance_is_primary ON insurance_info "
        "(patient_id, is_primary)",
        "index idx_insurance_is_primary on insurance_info",
    ),
    "check that is always true": (
        "ALTER TABLE bhyt_validation_rules DROP CONSTRAINT chk_bhyt_validation_rules_total, "
        "ADD CONSTRAINT chk_bhyt_validation_rules_total CHECK (true)",
        "constraint chk_bhyt_validation_rules_total on bhyt_validation_rules",
    ),
    "foreign key with another target": (
        "ALTER TABLE patients DROP CONSTRAINT patients_created_by_fkey, "
        "ADD CONSTRAINT patients_created_by_fkey FOREIGN KEY (created_by) REFERENCES patients (id)",
        "REFERENCES users(id), found FOREIGN KEY (created_by) REFERENCES patients(id)",
    ),
    "foreign key with another action": (
        "ALTER TABLE patients DROP CONSTRAINT patients_clinic_id_fkey, "
        "ADD CONSTRAINT patients_clinic_id_fkey FOREIGN KEY (clinic_id) REFERENCES clinics (id)",
        "constraint patients_clinic_id_fkey on patients",
    ),
    "foreign key that is deferred": (
        "ALTER TABLE patients ALTER CONSTRAINT patients_clinic_id_fkey DEFERRABLE INITIALLY DEFERRED",
        "constraint patients_clinic_id_fkey on patients",
    ),
    "unique of other columns": (
        "ALTER TABLE patients DROP CONSTRAINT uq_patients_clinic_mrn, "
        "ADD CONSTRAINT uq_patients_clinic_mrn UNIQUE (clinic_id, mrn, id)",
        "constraint uq_patients_clinic_mrn on patients",
    ),
    "default": (
        "ALTER TABLE clinics ALTER timezone SET DEFAULT 'UTC'",
        "column clinics.timezone: expected character varying(100) not null default 'Asia/Ho_Chi_Minh'",
    ),
    "default lost": ("ALTER TABLE patients ALTER id DROP DEFAULT", "column patients.id"),
    "default where none is": ("ALTER TABLE patients ALTER phone SET DEFAULT '0'", "column patients.phone"),
    "not null lost": ("ALTER TABLE patients ALTER mrn DROP NOT NULL", "column patients.mrn"),
    "precision": (
        "ALTER TABLE invoice_line_items ALTER unit_price TYPE numeric(13,2)",
        "column invoice_line_items.unit_price",
    ),
    "collation": ('ALTER TABLE patients ALTER notes TYPE text COLLATE "C"', "column patients.notes"),
    "generated column": (
        "ALTER TABLE outcome_measures DROP COLUMN mcid_met CASCADE, "  # with the view outcome_progress
        "ADD mcid_met boolean GENERATED ALWAYS AS (abs(baseline_score - current_score) >= mcid_threshold) STORED",
        "column outcome_measures.mcid_met",
    ),
    "trigger on other events": (
        "DROP TRIGGER trg_patients_updated_at ON patients; CREATE TRIGGER trg_patients_updated_at BEFORE INSERT ON "
        "patients FOR EACH ROW EXECUTE FUNCTION update_updated_at_column()",
        "trigger trg_patients_updated_at on patients",
    ),
    "trigger with another condition": (
        "DROP TRIGGER trg_patients_updated_at ON patients; CREATE TRIGGER trg_patients_updated_at BEFORE UPDATE ON "
        "patients FOR EACH ROW WHEN (false) EXECUTE FUNCTION update_updated_at_column()",
        "trigger trg_patients_updated_at on patients",
    ),
    "trigger for replicas": (
        "ALTER TABLE patients ENABLE REPLICA TRIGGER trg_patients_updated_at",
        "trigger trg_patients_updated_at on patients",
    ),
    "trigger that is off": (
        "ALTER TABLE patients DISABLE TRIGGER trg_patients_updated_at",
        "trigger trg_patients_updated_at on patients: expected enabled, found disabled",
    ),
    "partition bounds": (
        "ALTER TABLE outcome_measures DETACH PARTITION outcome_measures_2024; ALTER TABLE outcome_measures ATTACH "
        "PARTITION outcome_measures_2024 FOR VALUES FROM ('2024-01-01') TO ('2024-12-31')",
        "table outcome_measures_2024",
    ),
    "table that does not survive a crash": ("ALTER TABLE payments SET UNLOGGED", "table payments"),
    "values of an enum": ("ALTER TYPE gender_type RENAME VALUE 'other' TO 'another'", "type gender_type"),
    "comment that is empty": ("COMMENT ON TABLE patients IS ' '", "comment table patients"),
    "comment that is gone": ("COMMENT ON COLUMN clinics.timezone IS NULL", "comment column clinics.timezone"),
    "Vietnamese term": (
        "UPDATE vietnamese_medical_terms SET term_vi = '' WHERE term_en = 'Knee'",
        "expected a text in term_vi, definition_vi, found an empty text",
    ),
    "Vietnamese description": ("UPDATE pt_service_codes SET description_vi = NULL", "pt_service_codes PT001"),
    "Vietnamese text in JSON": (
        "UPDATE clinical_protocols SET exercises = jsonb_set(exercises, '{0,name_vi}', '\"\"')",
        "seeded protocols with an empty Vietnamese text",
    ),
}


def verify(clinic: Clinic, files: Path = ROOT / "files") -> dict[str, Any]:
    """Run the module that a playbook runs, on a database that others may have written to."""

    documents, problems = read_promises(files / "verify", [path.stem for path in (files / "migrations").glob("*.sql")])
    assert problems == []
    promises = [{"version": one["version"], "text": json.dumps(one)} for one in documents]
    connection = {f"login_{name}": value for name, value in clinic.connection.items()}
    given = {"connection": connection, "database": clinic.name, "promises": promises}
    said = io.StringIO()
    with patch_module_args(given), pytest.raises(SystemExit), contextlib.redirect_stdout(said):
        database_verification.main()
    result: dict[str, Any] = json.loads(said.getvalue())
    return result


def copied(local: Local, folder: Path) -> Iterator[Clinic]:
    """Make a copy of the database that was deployed, and drop it afterwards."""
    local.create_database(NAME, "physioflow")
    yield Clinic(local, NAME, folder)
    local.drop_database(NAME)


@pytest.fixture
def copy(local: Local, tmp_path: Path) -> Iterator[Clinic]:
    """A copy for one test."""
    yield from copied(local, tmp_path)


@pytest.fixture(scope="module")
def seen(local: Local, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the verification says of each change; neighbours are about the same objects, so they have no common copy."""
    said: dict[str, str] = {}
    for start in range(COPIES):
        kinds = list(CHANGES)[start::COPIES]
        for clinic in copied(local, tmp_path_factory.mktemp("copy")):
            with clinic.connect() as connection:
                for kind in kinds:
                    connection.execute(CHANGES[kind][0])
            result = verify(clinic)
            said |= dict.fromkeys(kinds, "\n".join(result["failures"]))
    return said


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_by_hand_is_seen(seen: dict[str, str], kind: str) -> None:
    assert CHANGES[kind][1] in seen[kind]


def test_what_an_administrator_tunes_breaks_no_promise(copy: Clinic) -> None:
    with copy.connect() as connection:
        for tuning in (
            "ALTER TABLE patients SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01)",
            "ALTER TABLE patients REPLICA IDENTITY FULL, ALTER notes SET STATISTICS 9, ALTER notes SET STORAGE MAIN",
            "ALTER INDEX idx_patients_name SET (fillfactor = 70)",
            "CREATE INDEX more ON patients (notes)",
            "ALTER TABLE patients ADD COLUMN more text, OWNER TO postgres",
            "UPDATE pt_service_codes SET unit_price = 1, service_name_vi = 'Tập khác'",
        ):
            connection.execute(tuning)
    result = verify(copy)
    assert result["ok"], result["failures"]


def test_what_a_backup_brings_back_keeps_every_promise(copy: Clinic) -> None:
    """Words of the server change with a restore (casts, brackets): twice, as they settle only then."""
    for _again in range(2):
        dumped = copy.local.run_program(
            "pg_dump", "-f", str(copy.folder / "dump.sql"), copy.local.conninfo(NAME, options="")
        )
        assert dumped.returncode == 0, dumped.stderr
        copy.local.drop_database(NAME)
        copy.local.create_database(NAME, "template0")
        restored = copy.local.run_psql("-f", str(copy.folder / "dump.sql"), database=NAME, role="postgres")
        assert restored.returncode == 0, restored.stderr
    result = verify(copy)
    assert result["ok"], result["failures"]


def test_the_promises_are_what_the_migrations_make(
    local: Local, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in local.environment().items():
        monkeypatch.setenv(name, value)
    assert write(local, release) == []
