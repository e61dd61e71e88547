"""The ways back of the release on a database that clinics have used: counted, refused, done, and forth again.

The plan and the scripts are those of the playbook, without its seconds; test_rollback.py runs the playbook itself.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import (
    Migration,
    Statement,
    own_statements,
    read_catalog,
)
from ansible_collections.physioflow.database.plugins.module_utils.migrations.failure import read_failure, read_loss
from ansible_collections.physioflow.database.plugins.module_utils.migrations.rollback import plan_rollback, read_sets
from ansible_collections.physioflow.database.plugins.module_utils.migrations.script import Run, Script

from tests.integration.test_rollback import untouched
from tests.local import ROOT, Local

module: Any = importlib.import_module("ansible_collections.physioflow.database.plugins.modules.migration_rollback")

SEED = ROOT / "files/seeds/development_data.sql"
ENGINE = ROOT / "roles/migrations/files"
USED = "rollback_used"  # by the guide's fifteen
RELEASE = "rollback_used_release"  # by the whole release
FRESH = "rollback_used_fresh"
CATALOG = {entry.version: entry for entry in read_catalog(ROOT / "files").migrations}
GUIDE = [version for version in CATALOG if version < "016"]
# Rows of a clinic with the names of seeded ones, and what refers to those: they stay (decision R3).
OF_A_CLINIC = """
    INSERT INTO pt_service_codes (clinic_id, code, service_name) SELECT id, 'PT001', 'own' FROM clinics;
    INSERT INTO invoice_line_items (invoice_id, service_code_id, description, unit_price, total_price)
    SELECT i.id, s.id, 'own', 1, 1 FROM pt_service_codes AS s JOIN invoices AS i USING (clinic_id);
    INSERT INTO invoice_line_items (invoice_id, description, unit_price, total_price)
    SELECT id, 'no service', 1, 1 FROM invoices;
    INSERT INTO clinical_protocols (clinic_id, protocol_name) SELECT id, 'Post-Stroke Rehabilitation' FROM clinics;
    INSERT INTO patient_protocols (patient_id, protocol_id, therapist_id, clinic_id)
    SELECT t.patient_id, c.id, t.therapist_id, c.clinic_id
    FROM clinical_protocols AS c JOIN treatment_plans AS t USING (clinic_id);
    INSERT INTO outcome_measures_library (measure_type) VALUES ('OWN');
    INSERT INTO outcome_measures (patient_id, library_id, measure_type, measurement_date)
    SELECT p.id, l.id, 'OWN', '2026-01-01' FROM patients AS p, outcome_measures_library AS l
    WHERE measure_type = 'OWN';
    INSERT INTO outcome_measures (patient_id, measure_type, measurement_date)
    SELECT id, 'VAS', '2026-01-01' FROM patients;
"""
STAYS = """
    SELECT (SELECT count(*) FROM pt_service_codes WHERE clinic_id IS NOT NULL),
           (SELECT count(*) FROM invoice_line_items WHERE description IN ('own', 'no service')),
           (SELECT count(*) FROM clinical_protocols WHERE clinic_id IS NOT NULL),
           (SELECT count(*) FROM patient_protocols AS p JOIN clinical_protocols AS c ON c.id = p.protocol_id
            WHERE c.clinic_id IS NOT NULL),
           (SELECT count(*) FROM outcome_measures WHERE measure_type = 'OWN')
"""
VALUES = """
    SELECT count(*) FROM insurance_info
    WHERE num_nonnulls(bhyt_card_number, bhyt_prefix_code, bhyt_coverage_percent, bhyt_copay_rate) > 0 OR version <> 1
"""
SEEDED = """
    SELECT (SELECT count(*) FROM pt_service_codes WHERE clinic_id IS NULL),
           (SELECT count(*) FROM vietnamese_medical_terms),
           (SELECT count(*) FROM clinical_protocols WHERE clinic_id IS NULL),
           (SELECT count(*) FROM bhyt_validation_rules),
           (SELECT count(*) FROM outcome_measures_library WHERE measure_type <> 'OWN')
"""
STANDING = "SELECT coalesce(string_agg(version, ' ' ORDER BY version), '') FROM migrations.applied"
NUMBERS = """
    SELECT relname, (xpath('//n/text()', query_to_xml('SELECT count(*) AS n FROM ' || c.oid::regclass, false, true,
                                                      '')))[1]
    FROM pg_class AS c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
"""


@pytest.fixture(scope="module")
def used(local: Local, guide: str) -> Iterator[Local]:
    """The server with databases of the guide's fifteen and of the release, both used by clinics."""
    local.create_database(FRESH)
    for database, template in ((USED, guide), (RELEASE, "physioflow")):
        local.create_database(database, template)
        done = local.run_psql("-f", str(SEED), "-c", OF_A_CLINIC, database=database)
        assert done.returncode == 0, done.stderr
    yield local
    for database in (USED, RELEASE, FRESH):
        local.drop_database(database)


def numbers(local: Local, database: str) -> dict[str, int]:
    """Count the rows of every table."""
    lines = (line.split("|") for line in local.psql(NUMBERS, database).splitlines())
    return {table: int(number) for table, number in lines}


def public(local: Local, database: str) -> str:
    options = ("--schema-only", "--schema=public", "--no-privileges", local.conninfo(database, options=""))
    done = local.run_program("pg_dump", *options)
    assert done.returncode == 0, done.stderr
    return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)


def apply_by_hand(local: Local, database: str, versions: list[str]) -> None:
    files = [option for version in versions for option in ("-f", str(ROOT / CATALOG[version].file))]
    done = local.run_psql(*files, database=database)
    assert done.returncode == 0, done.stderr


# Quicker than a new database.
EMPTY = """
    DROP SCHEMA public CASCADE;
    CREATE SCHEMA public AUTHORIZATION pg_database_owner;
    COMMENT ON SCHEMA public IS 'standard public schema';
    CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION pg_trgm; CREATE EXTENSION btree_gist
"""


def fresh(local: Local, versions: list[str]) -> str:
    """Return the catalogs of an empty database after these versions."""
    local.psql(EMPTY, FRESH, role="postgres")
    apply_by_hand(local, FRESH, versions)
    return public(local, FRESH)


def send(local: Local, database: str, tmp_path: Path, statements: list[str]) -> str:
    path = tmp_path / "script.sql"
    path.write_text("\n".join(statements))
    return local.run_psql("-f", str(path), database=database, role="postgres").stderr


def expected_loss(before: dict[str, int], after: dict[str, int]) -> list[tuple[str, int, str]]:
    """Return what psql's own counting says of rows that are gone."""
    gone = [(table, rows, "the table is dropped") for table, rows in before.items() if table not in after and rows]
    return gone + [
        (table, rows - after[table], "rows are deleted")
        for table, rows in before.items()
        if table in after and after[table] != rows
    ]


# Rows that refer to what 011 and 012 seeded: they stay, without the reference.
REFERRING = {
    "011": "SELECT count(*) FROM outcome_measures AS o JOIN outcome_measures_library AS l ON l.id = o.library_id "
    "WHERE l.measure_type <> 'OWN'",
    "012": "SELECT count(*) FROM invoice_line_items AS i JOIN pt_service_codes AS c ON c.id = i.service_code_id "
    "WHERE c.clinic_id IS NULL",
}
WISHES: dict[str, dict[str, Any]] = {
    "all Vietnamese PT features": {"named": "vietnamese_pt"},
    "to 010": {"to": "010"},  # the seeds go, and their tables stay
    "003, 004 and 009": {"named": "x", "sets": {"x": ["003", "004", "009"]}},
    # Whatever depends on one of the others goes with it.
    "005": {"named": "x", "sets": {"x": ["005", "015"]}},
    "006": {"named": "x", "sets": {"x": ["006", "011"]}},
    "007": {"named": "x", "sets": {"x": ["007", "012"]}},
    "008": {"named": "x", "sets": {"x": ["008", "014"]}},
    "010": {"named": "x", "sets": {"x": ["010", "013"]}},
    "002": {"named": "x", "sets": {"x": ["002", "003", "008", "009", "014"]}},
}


@dataclass(frozen=True)
class Ways:
    """A rollback of a copy of a used database: its steps, and the scripts that count and do it."""

    steps: list[dict[str, Any]]
    files: list[tuple[Migration, list[Statement]]]
    script: Script
    run: Run

    @property
    def gone(self) -> list[str]:
        """The versions that go back, in the order in which they were applied."""
        return sorted(step["version"] for step in self.steps)


def ways_of(used: Local, database: str, template: str, applied: list[str], **wish: Any) -> Ways:
    """Copy the database, and plan its rollback as the playbook does."""
    wish = {"sets": read_sets(ROOT / "files")[0]} | wish
    plan = plan_rollback([asdict(entry) for entry in CATALOG.values()], applied, **wish)
    steps = module.read_steps(ROOT / "files", plan)
    assert plan.problems == []
    files = [
        (Migration.of(step), [] if step["subsumed"] else own_statements((ROOT / step["file"]).read_text()))
        for step in steps
    ]
    run = Run(
        "r", "0aee8018-f1e7-4540-bb7f-3ba39587919a", "lan", "desk", act="rollback", applied_versions=tuple(applied)
    )
    used.create_database(database, template)
    return Ways(steps, files, Script(ENGINE, run, "emr"), run)


@pytest.mark.parametrize("name", WISHES)
def test_a_used_database_goes_back_after_consent_and_forth_again(
    used: Local, database: str, tmp_path: Path, name: str
) -> None:
    ways = ways_of(used, database, USED, GUIDE, **WISHES[name])
    gone, files, script, run = ways.gone, ways.files, ways.script, ways.run
    full, before = public(used, database), numbers(used, database)
    stays, values = used.psql(STAYS, database), used.psql(VALUES, database)
    referring = {version: int(used.psql(query, database)) for version, query in REFERRING.items()}

    said = send(used, database, tmp_path, [*script.begin(history=False), *script.count(files)])
    loss = read_loss(said, run.run_id)
    assert loss, said

    said = send(used, database, tmp_path, [*script.begin(history=False), *script.apply(files)])
    assert "ERROR" not in said, said
    expected = set(expected_loss(before, numbers(used, database)))
    if "005" in gone and "001" not in gone:
        columns = "bhyt_card_number, bhyt_prefix_code, bhyt_coverage_percent, bhyt_copay_rate, version"
        expected.add(("insurance_info", int(values), f"values of {columns} are lost"))
    for version, (table, makes) in {"011": ("outcome_measures", "006"), "012": ("invoice_line_items", "007")}.items():
        if version in gone and makes not in gone:
            expected.add((table, referring[version], "rows are changed"))
    assert {(entry["table"], entry["rows"], entry["what"]) for entry in loss} == expected
    standing = used.psql(STANDING, database, role="postgres").split()
    assert standing == [version for version in GUIDE if version not in gone]
    if not set(gone) & {*GUIDE[:10]}:
        assert used.psql(STAYS, database) == stays

    assert public(used, database) == fresh(used, standing)
    apply_by_hand(used, database, gone)
    assert public(used, database) == full
    assert used.psql(SEEDED, database) == "8|56|5|18|8"


def test_a_row_that_refers_to_a_seeded_one_stops_the_rollback(used: Local, database: str, tmp_path: Path) -> None:
    """Rows of a table of one's own forbid to take the measures back; 015 to 012, which come before, stay too."""
    ways = ways_of(used, database, USED, GUIDE, **WISHES["to 010"])
    used.psql(
        "CREATE TABLE chosen (library_id uuid REFERENCES outcome_measures_library);"
        "INSERT INTO chosen SELECT id FROM outcome_measures_library",
        database,
    )
    content = untouched(used, database)
    said = send(used, database, tmp_path, [*ways.script.begin(history=False), *ways.script.count(ways.files)])
    failure = read_failure(said, ways.run.run_id)
    assert (failure.file, failure.line) == ("files/rollbacks/011_seed_outcome_measures_library.sql", 12)
    assert failure.sqlstate == "23503"
    assert untouched(used, database) == content


# Of the whole release, and how many of its tables are left, without the two of 046.
OF_THE_RELEASE: dict[str, tuple[dict[str, Any], int]] = {
    "all Vietnamese PT features": ({"named": "vietnamese_pt"}, 11),
    "to 015": ({"to": "015"}, 30),
    "007 and 013": ({"named": "x", "sets": {"x": ["007", "013"]}}, 27),
    "everything": ({"to": "000"}, 0),
}
TABLES = (
    "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND "
    "(relname NOT LIKE 'bhyt\\_benefit%' AND relname NOT LIKE 'bhyt\\_insured%')"
)


@pytest.mark.parametrize("name", OF_THE_RELEASE)
def test_later_migrations_go_back_with_what_they_build_on(
    used: Local, database: str, tmp_path: Path, name: str
) -> None:
    """What depends on it goes by its header; what does not stays, and all that stays is as if nothing else had been."""
    wish, tables = OF_THE_RELEASE[name]
    ways = ways_of(used, database, RELEASE, list(CATALOG), **wish)
    full = public(used, database)

    said = send(used, database, tmp_path, [*ways.script.begin(history=False), *ways.script.count(ways.files)])
    assert read_loss(said, ways.run.run_id), said

    said = send(used, database, tmp_path, [*ways.script.begin(history=False), *ways.script.apply(ways.files)])
    assert "ERROR" not in said, said
    standing = used.psql(STANDING, database, role="postgres").split()
    assert standing == [version for version in CATALOG if version not in ways.gone]
    assert not any({*CATALOG[version].depends} & {*ways.gone} for version in standing)
    assert int(used.psql(TABLES, database)) == tables
    assert public(used, database) == fresh(used, standing)

    apply_by_hand(used, database, ways.gone)
    assert public(used, database) == full
    assert used.psql(SEEDED, database) == "8|56|5|18|8"
