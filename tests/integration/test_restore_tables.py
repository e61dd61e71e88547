"""Single tables back into the live database: exactly what was lost, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.backup.errors import BackupError

from tests.backups import Clinic

EDIT = "UPDATE patients SET notes = 'edited since' WHERE mrn = 'M1'"
NEW = """
INSERT INTO patients (clinic_id, mrn, first_name, last_name, date_of_birth, gender)
SELECT id, 'NEW', 'x', 'y', '2000-01-01', 'other' FROM clinics
"""


def gone(*numbers: str) -> str:
    """Delete patients with their scores, which keep them otherwise; insurance goes by cascade."""
    named = ", ".join(f"'{number}'" for number in numbers)
    whose = f"patient_id IN (SELECT id FROM patients WHERE mrn IN ({named}))"
    return f"DELETE FROM outcome_measures WHERE {whose}; DELETE FROM patients WHERE mrn IN ({named})"


def number(clinic: Clinic, what: str) -> int:
    return int(clinic.sql(f"SELECT count(*) FROM {what}"))


DROPPED = (
    ["insurance_info", "outcome_measures_2025", "tickets", "keyless", "secluded", 'Odd, (Name) "x" y'],
    ["patients"],
    ["insurance_info", "patients"],
    ["outcome_measures"],
    ["clinics"],
)


def test_a_dropped_table_comes_back_with_all_that_belongs_to_it(clinic: Clinic) -> None:
    catalogs, rows = clinic.local.catalogs(clinic.name), clinic.fingerprint()
    clinic.backup()
    for tables in DROPPED:  # each begins with what the one before has made whole
        dropped = ", ".join('"' + name.replace('"', '""') + '"' for name in tables)
        clinic.sql(f"DROP TABLE {dropped} CASCADE")
        done = clinic.act("restore_tables", tables=tables)
        assert {entry["how"] for entry in done["tables"]} <= {"made", "view"}, tables
        assert clinic.local.catalogs(clinic.name) == catalogs, tables
        assert clinic.fingerprint() == rows, tables
    clinic.kept_in_order()


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"tables": ["patients"]}, r"(?s)There are rows in public\.patients \(999 rows\).*was not changed"),
    ({"tables": ["migrations.history"]}, "The history of migrations cannot be restored alone"),
    ({"tables": ["nobody"]}, r"has no table nobody\. Correct restore_tables"),
    ({"tables": ["keyless"], "existing_rows": "keep"}, r"public\.keyless has no primary key"),
)


def test_rows_that_are_there_need_a_decision_and_keep_brings_back_what_is_missing(clinic: Clinic) -> None:
    rows = clinic.fingerprint()
    clinic.backup()
    clinic.sql(f"{EDIT}; {gone('M2', 'M3')}; {NEW}")
    before = clinic.fingerprint()
    for request, words in REFUSED:
        with pytest.raises(BackupError, match=words):
            clinic.act("restore_tables", **request)
    checked = clinic.act("restore_tables", check_mode=True, tables=["insurance_info", "patients"], existing_rows="keep")
    assert "tried and rolled back" in checked["lines"][0]
    assert clinic.fingerprint() == before
    done = clinic.act("restore_tables", tables=["insurance_info", "patients"], existing_rows="keep")
    assert done["lines"][1:] == [
        "public.patients: 2 rows restored, 999 existing rows unchanged",
        "public.insurance_info: 2 rows restored, 998 existing rows unchanged",
    ]
    assert clinic.fingerprint()["public.insurance_info"] == rows["public.insurance_info"]
    assert number(clinic, "patients WHERE notes = 'edited since' AND mrn = 'M1'") == 1
    assert number(clinic, "patients WHERE mrn = 'NEW'") == 1
    clinic.sql(f"{EDIT.replace('edited since', '')}; DELETE FROM patients WHERE mrn = 'NEW'")
    assert number(clinic, "patients WHERE updated_at = created_at") == 999  # triggers did not touch what came back
    clinic.sql("DROP TABLE insurance_info, patients CASCADE")
    with pytest.raises(BackupError, match=r"public\.insurance_info references public\.patients, which is also missing"):
        clinic.act("restore_tables", tables=["insurance_info"])


def test_replace_makes_a_table_or_a_partition_what_it_was_and_leaves_the_others(clinic: Clinic) -> None:
    rows, catalogs = clinic.fingerprint(), clinic.local.catalogs(clinic.name)
    clinic.backup()
    clinic.sql(
        f"{EDIT}; {gone('M2')}; {NEW};"
        "UPDATE tickets SET code = code || 'x'; DELETE FROM tickets WHERE id = 20;"
        "INSERT INTO tickets (code) VALUES ('T9');"
        "UPDATE keyless SET number = 0; DELETE FROM outcome_measures WHERE measurement_date < '2025-06-01';"
        "UPDATE outcome_measures SET current_score = 1 WHERE measurement_date > '2028-06-01'"
    )
    now = clinic.fingerprint()
    for tables in (["insurance_info", "patients"], ["tickets"], ["keyless"], ["outcome_measures"]):
        done = clinic.act("restore_tables", tables=tables, existing_rows="replace")
        assert {entry["how"] for entry in done["tables"]} == {"replaced"}, tables
        chosen = {
            key: value
            for key, value in rows.items()
            if any(key.startswith(f"public.{name}") and "library" not in key for name in tables)
        }
        assert chosen != {key: now[key] for key in chosen}, tables
        now |= chosen
        assert clinic.fingerprint() == now, tables
    assert clinic.local.catalogs(clinic.name) == catalogs
    clinic.sql("INSERT INTO tickets (code) VALUES ('next')")  # no number is given out twice
    assert clinic.sql("SELECT id FROM tickets WHERE code = 'next'") == "22"
    clinic.sql("DELETE FROM outcome_measures WHERE measurement_date < '2026-01-01'")
    clinic.act("restore_tables", tables=["outcome_measures_2025"], existing_rows="replace")
    assert clinic.fingerprint()["public.outcome_measures_2025"] == rows["public.outcome_measures_2025"]
    assert number(clinic, "outcome_measures_2024") == 0


def test_rows_that_others_refer_to_are_not_replaced_away(clinic: Clinic) -> None:
    clinic.backup()
    clinic.sql(
        f"{NEW}; INSERT INTO insurance_info (patient_id, provider, policy_number, valid_from) "
        "SELECT id, 'p', 'n', '2026-01-01' FROM patients WHERE mrn = 'NEW'"
    )
    before = clinic.fingerprint()
    with pytest.raises(BackupError, match=r"1 rows of public\.insurance_info reference \(insurance_info_patient_id_"):
        clinic.act("restore_tables", tables=["patients"], existing_rows="replace")
    assert clinic.fingerprint() == before
    clinic.act("restore_tables", tables=["patients", "insurance_info"], existing_rows="replace")
    assert number(clinic, "patients") == number(clinic, "insurance_info") == 1000


def test_a_column_that_came_since_stays_and_what_cannot_come_back_is_named(clinic: Clinic) -> None:
    clinic.backup()
    clinic.sql("ALTER TABLE tickets ADD COLUMN later text DEFAULT 'd'; DELETE FROM tickets WHERE id = 20")
    clinic.act("restore_tables", tables=["tickets"], existing_rows="keep")
    assert number(clinic, "tickets WHERE later = 'd'") == 20
    clinic.sql("DELETE FROM tickets WHERE id = 20; INSERT INTO tickets (code) VALUES ('T20')")
    done = clinic.act("restore_tables", tables=["tickets"], existing_rows="keep")
    assert done["lines"][-1].startswith("public.tickets: 1 rows of the backup were NOT restored")
    clinic.sql("ALTER TABLE tickets DROP COLUMN before_id")
    with pytest.raises(BackupError, match=r'no longer has the column "before_id" of the backup'):
        clinic.act("restore_tables", tables=["tickets"], existing_rows="replace")


def test_from_a_backup_of_single_tables(clinic: Clinic) -> None:
    catalogs, rows = clinic.local.catalogs(clinic.name), clinic.fingerprint()
    single = clinic.backup(tables=["insurance_info", "patients", "outcome_measures"])
    clinic.sql("DROP TABLE insurance_info; TRUNCATE outcome_measures")
    clinic.act("restore_tables", backup=single, tables=["insurance_info", "outcome_measures"])
    assert clinic.fingerprint() == rows
    assert clinic.local.catalogs(clinic.name) == catalogs
