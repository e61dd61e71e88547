"""The way back: to a version, one migration, a set; what would be lost; what is refused."""

from __future__ import annotations

import re
from pathlib import Path

from tests.integration.test_bad_input import append
from tests.integration.test_deploy import GUIDE_COUNTS
from tests.local import Local, Result

CLINIC = """
    INSERT INTO organizations (name) VALUES ('canary clinics');
    INSERT INTO clinics (organization_id, name) SELECT id, 'canary' FROM organizations;
    INSERT INTO patients (clinic_id, mrn, first_name, last_name, date_of_birth, gender)
    SELECT id, 'canary', 'canary', 'canary', '1980-01-01', 'female' FROM clinics;
    INSERT INTO insurance_info (patient_id, provider, policy_number, valid_from)
    SELECT id, 'BHYT', 'canary', '2026-01-01' FROM patients;
"""
HISTORY = "SELECT string_agg(act || ' ' || version, ', ' ORDER BY id) FROM migrations.history WHERE act <> 'apply'"
STANDING = "SELECT string_agg(version, ' ' ORDER BY version) FROM migrations.applied"


def roll_back(local: Local, database: str, *options: str, **variables: object) -> Result:
    return local.play("playbooks/rollback.yml", *options, database_name=database, **variables)


def untouched(local: Local, database: str) -> str:
    """Return all that a refused rollback must leave as it was, rows included."""
    done = local.run_program("pg_dump", local.conninfo(database, options=""))
    assert done.returncode == 0, done.stderr
    return re.sub(
        r"^(\\(un)?restrict .*|SELECT pg_catalog.setval\('migrations.*)$", "", done.stdout, flags=re.MULTILINE
    )


def words(result: Result) -> str:
    return " ".join(result.output.split())


def test_to_a_version_and_forth_again(local: Local, database: str) -> None:
    local.deploy(database_name=database, migrations_target="010")
    at_010 = local.catalogs(database)
    local.deploy(database_name=database)
    at_015 = local.catalogs(database)
    local.psql("UPDATE pt_service_codes SET unit_price = 1 WHERE code = 'PT001'", database)
    before = untouched(local, database)

    refused = roll_back(local, database, rollback_to="010")
    assert refused.status != 0
    assert refused.changed == 0
    for table, rows, what in [
        ("bhyt_validation_rules", 18, "the table is dropped"),
        ("clinical_protocols", 5, "rows are deleted"),
        ("outcome_measures_library", 8, "rows are deleted"),
        ("pt_service_codes", 8, "rows are deleted"),
        ("vietnamese_medical_terms", 56, "rows are deleted"),
    ]:
        assert re.search(rf"^ +{table} +{rows}  {what}$", refused.output, re.MULTILINE), refused.output
    assert f"Database {database}: nothing was changed." in refused.output
    assert "run the same command again with -e rollback_accept_data_loss=true" in refused.output
    assert untouched(local, database) == before

    checked = roll_back(local, database, "--check", "--diff", rollback_to="010")
    assert checked.status == 0, checked.output
    assert "56 vietnamese_medical_terms: rows are deleted" in checked.output
    assert "refused without -e rollback_accept_data_loss=true" in checked.output
    assert "+TRUNCATE vietnamese_medical_terms;" in checked.output
    assert "5 would be, in this order" in checked.output
    assert untouched(local, database) == before

    done = roll_back(local, database, rollback_to="010", rollback_accept_data_loss=True)
    assert done.status == 0, done.output
    assert "18 bhyt_validation_rules: the table is dropped" in done.output
    assert local.catalogs(database) == at_010
    assert local.psql(HISTORY, database, role="postgres") == (
        "rollback 015, rollback 014, rollback 013, rollback 012, rollback 011"
    )
    assert local.psql(STANDING, database, role="postgres").endswith("009 010")
    assert re.search(r"checks of 10 migrations hold", done.output)

    again = roll_back(local, database, rollback_to="010")
    assert (again.status, again.changed) == (0, 0), again.output
    assert "nothing: none of it stands" in again.output

    forth = local.deploy(database_name=database)
    assert "5 applied now" in forth.output
    assert local.catalogs(database) == at_015
    assert local.psql(GUIDE_COUNTS, database) == "8|56|5|18"
    assert local.deploy(database_name=database).changed == 0


def test_all_vietnamese_pt_features_go_with_values_that_were_edited(local: Local, database: str) -> None:
    local.deploy(database_name=database, migrations_target="004")
    at_004 = local.catalogs(database)
    local.deploy(database_name=database)
    local.psql(CLINIC, database)
    local.psql("UPDATE insurance_info SET bhyt_card_number = 'DN9876501234567'", database)
    before = untouched(local, database)

    refused = roll_back(local, database, "-vvv", rollback_set="vietnamese_pt")
    assert refused.status != 0
    gone = "values of bhyt_card_number, bhyt_prefix_code, bhyt_coverage_percent, bhyt_copay_rate, version go"
    assert re.search(rf"^ +insurance_info +1  {gone}$", refused.output, re.MULTILINE), refused.output
    assert re.search(r"^ +pt_service_codes +8  the table is dropped$", refused.output, re.MULTILINE)
    assert not re.search(r"^ +outcome_measures +\d", refused.output, re.MULTILINE), "a table without a row was named"
    for hidden in ("canary", "DN9876501234567", "DROP TABLE"):
        assert hidden not in refused.output
    assert untouched(local, database) == before

    done = roll_back(local, database, rollback_set="vietnamese_pt", rollback_accept_data_loss=True)
    assert done.status == 0, done.output
    assert local.catalogs(database) == at_004
    assert local.psql("SELECT count(*) FROM insurance_info", database) == "1"
    assert local.psql(STANDING, database, role="postgres") == "001 002 003 004"


def test_one_migration_goes_alone_and_comes_back_although_later_ones_stand(local: Local, database: str) -> None:
    """No row is lost, so that nothing has to be accepted."""
    local.deploy(database_name=database)
    before = local.catalogs(database)
    done = roll_back(local, database, rollback_only="009")
    assert done.status == 0, done.output
    assert re.search(r"Rows lost +none", done.output)
    assert local.psql("SELECT to_regclass('discharge_plans') IS NULL", database) == "t"
    assert local.psql(HISTORY, database, role="postgres") == "rollback 009"
    forth = local.deploy(database_name=database)
    assert "1 applied now" in forth.output
    assert local.catalogs(database) == before


def test_what_cannot_go_back_is_refused(local: Local, release: Path, database: str) -> None:
    (release / "rollbacks/014_seed_clinical_protocols.sql").unlink()
    local.deploy(database_name=database, release_directory=str(release))
    before = untouched(local, database)
    for variables, sentence in [
        ({}, "Say with exactly one variable what is to go back"),
        ({"rollback_to": "010", "rollback_only": "015"}, "Say with exactly one variable what is to go back"),
        ({"rollback_to": "016"}, "016 is no version of this release, which goes from 001 to 015. Correct rollback_to."),
        ({"rollback_set": "vietnam"}, "The release has no set vietnam; it has vietnamese_pt. Correct rollback_set."),
        (
            {"rollback_only": "007"},
            "files/migrations/007_billing_tables.sql cannot go: files/migrations/012_seed_pt_service_codes.sql depends "
            "on it and would stay. Roll back more: -e rollback_to=006",
        ),
        (
            {"rollback_only": "014"},
            "files/migrations/014_seed_clinical_protocols.sql has no way back: there is no "
            "files/rollbacks/014_seed_clinical_protocols.sql.",
        ),
        ({"rolback_to": "010"}, "The variable rolback_to is known to no role. Did you mean rollback_to?"),
    ]:
        result = roll_back(local, database, release_directory=str(release), **variables)
        assert result.status != 0
        assert sentence in words(result), result.output
        assert result.changed == 0
    append(release, "003_checklist_schema.sql", b"-- a byte more\n")
    result = roll_back(local, database, release_directory=str(release), rollback_only="015")
    assert result.status != 0
    assert "003_checklist_schema.sql was edited after it was applied" in words(result)
    assert untouched(local, database) == before


def test_a_rollback_that_fails_says_where_and_changes_nothing(local: Local, database: str) -> None:
    """A score of the seeded measures forbids to take them back; 015 to 012, which come before, stay too."""
    local.deploy(database_name=database)
    local.psql(CLINIC, database)
    local.psql(
        "INSERT INTO outcome_measures (patient_id, library_id, measure_type, measurement_date) "
        "SELECT p.id, l.id, l.measure_type, '2026-01-01' FROM patients AS p, outcome_measures_library AS l LIMIT 1",
        database,
    )
    before = untouched(local, database)
    result = roll_back(local, database, rollback_to="010", rollback_accept_data_loss=True)
    assert result.status != 0
    assert re.search(
        r"files/rollbacks/011_seed_outcome_measures_library\.sql:6: \[23503\] update or delete", words(result)
    )
    assert f"Database {database}: nothing was changed." in result.output
    assert "Next: read at the head of files/rollbacks/011_seed_outcome_measures_library.sql" in words(result)
    assert "canary" not in result.output
    assert untouched(local, database) == before
