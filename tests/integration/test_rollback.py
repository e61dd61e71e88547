"""The way back by the playbook: to a version, one migration, a set; and what is refused.

Each database is a host of one play, so that a play shows several ways back. What is lost on each way of the release is
in test_rollback_used.py, and how the playbook refuses a loss or a fault in test_faults_release.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import read_catalog

from tests import undo
from tests.apart import changed_of
from tests.fuzz.driver import Outcome, run_module
from tests.integration.oracle import Case, inventory_of, said_of
from tests.integration.test_deploy import GUIDE_COUNTS
from tests.local import ROOT, VERSIONS, Local

CLINIC = """
    INSERT INTO organizations (name) VALUES ('canary clinics');
    INSERT INTO clinics (organization_id, name) SELECT id, 'canary' FROM organizations;
    INSERT INTO patients (clinic_id, mrn, first_name, last_name, date_of_birth, gender)
    SELECT id, 'canary', 'canary', 'canary', '1980-01-01', 'female' FROM clinics;
    INSERT INTO insurance_info (patient_id, provider, policy_number, valid_from)
    SELECT id, 'BHYT', 'canary', '2026-01-01' FROM patients;
    UPDATE insurance_info SET bhyt_card_number = 'DN9876501234567';
    UPDATE pt_service_codes SET unit_price = 1 WHERE code = 'PT001';
"""
HISTORY = "SELECT string_agg(act || ' ' || version, ', ' ORDER BY id) FROM migrations.history WHERE act <> 'apply'"
STANDING = "SELECT string_agg(version, ' ' ORDER BY version) FROM migrations.applied"
GUIDE = VERSIONS[:15]
# Ways back, and what goes; at 004 there is nothing of the set.
BACK: dict[str, tuple[dict[str, Any], list[str]]] = {
    "feature": ({"rollback_set": "vietnamese_pt", "rollback_accept_data_loss": True}, GUIDE[4:]),
    "alone": ({"rollback_only": "009"}, ["009"]),
    "at_004": ({"rollback_set": "vietnamese_pt"}, []),
}


@pytest.fixture
def cases(local: Local, guide: str) -> Iterator[dict[str, Case]]:
    """A database for each way back; clinics use the one of the feature."""
    with ExitStack() as stack:
        found = {host: Case(local, f"test_rollback_{host}", ROOT / "files") for host in BACK}
        for host, case in found.items():
            stack.enter_context(undo.afterwards(local.drop_database, case.database))
            local.create_database(case.database, "template0" if host == "at_004" else guide)
        local.psql('CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION pg_trgm', "test_rollback_at_004", role="postgres")
        assert found["at_004"].apply(target="004").ok
        seeds = ROOT / "files/seeds/development_data.sql"
        done = local.run_psql("-f", str(seeds), "-c", CLINIC, database=found["feature"].database)
        assert done.returncode == 0, done.stderr
        yield found


def untouched(local: Local, database: str) -> str:
    """Return all that a refused rollback must leave as it was, rows included."""
    done = local.run_program("pg_dump", local.conninfo(database, options=""))
    assert done.returncode == 0, done.stderr
    return re.sub(
        r"^(\\(un)?restrict .*|SELECT pg_catalog.setval\('migrations.*)$", "", done.stdout, flags=re.MULTILINE
    )


def test_back_after_consent_and_forth_again(local: Local, cases: dict[str, Case], tmp_path: Path) -> None:
    """Alone: 009 goes although later ones stand; no row is lost, so that nothing has to be accepted."""
    feature = cases["feature"]
    before = untouched(local, feature.database)
    catalogs = {host: local.catalogs(case.database) for host, case in cases.items()}
    policies = feature.psql("SELECT count(*) FROM insurance_info")

    wish = {"version": {"database_name": feature.database, "rollback_to": "010"}}
    options = inventory_of(wish, tmp_path / "inventory")
    checked = local.play("playbooks/rollback.yml", *options, "--check", "--diff")
    assert checked.status == 0, checked.output
    said = said_of(checked, "version")
    for lost in (
        "18 bhyt_validation_rules: the table is dropped",
        "5 clinical_protocols: rows are deleted",
        "8 outcome_measures_library: rows are deleted",
        "8 pt_service_codes: rows are deleted",
        "56 vietnamese_medical_terms: rows are deleted",
        "refused without -e rollback_accept_data_loss=true",
        "5 would be, in this order",
    ):
        assert lost in said, said
    assert "+TRUNCATE vietnamese_medical_terms;" in checked.output
    assert untouched(local, feature.database) == before

    hosts = {host: {"database_name": cases[host].database} | wish for host, (wish, _) in BACK.items()}
    done = local.play("playbooks/rollback.yml", *inventory_of(hosts, tmp_path / "inventory"), "-vvv")
    assert done.status == 0, done.output
    for hidden in ("canary", "DN9876501234567", "DROP TABLE"):
        assert hidden not in done.output
    assert "18 bhyt_validation_rules: the table is dropped" in said_of(done, "feature")
    assert "checks of 4 migrations hold" in said_of(done, "feature")
    assert "014 seed_clinical_protocols: its rows are dropped with their table" in said_of(done, "feature")
    assert re.search(r"Rows lost +none", said_of(done, "alone")), done.output
    assert "nothing: none of it is applied" in said_of(done, "at_004")
    for host, (_, gone) in BACK.items():
        assert (changed_of(done, host) > 0) == bool(gone)
        assert "refused without" not in said_of(done, host)
        assert cases[host].psql(HISTORY, role="postgres") == ", ".join(f"rollback {one}" for one in reversed(gone))
    assert feature.psql(STANDING, role="postgres") == "001 002 003 004"
    assert local.catalogs(feature.database) == catalogs["at_004"]
    assert feature.psql("SELECT count(*) FROM insurance_info") == policies
    assert cases["alone"].psql(STANDING, role="postgres").split() == [one for one in GUIDE if one != "009"]
    assert cases["alone"].psql("SELECT to_regclass('discharge_plans') IS NULL") == "t"

    for host, case in cases.items():
        assert case.apply(target=GUIDE[-1]).ok
        assert local.catalogs(case.database) == catalogs["alone"], host
        assert case.apply(target=GUIDE[-1]) == Outcome()
    assert feature.psql(GUIDE_COUNTS) == "8|56|5|18"


def test_what_cannot_go_back_is_refused_with_every_reason(release: Path) -> None:
    (release / "rollbacks/008_clinical_protocols_tables.sql").unlink()
    catalog = [asdict(entry) for entry in read_catalog(release).migrations]
    wish: dict[str, Any] = {"directory": str(release), "migrations": json.dumps(catalog), "only": "008"}
    refused = run_module("migration_rollback", applied=GUIDE, **wish)
    assert refused["failed"]
    assert refused["msg"].startswith("The rollback is refused; nothing was changed.\n")
    for sentence in (
        "files/migrations/008_clinical_protocols_tables.sql cannot be rolled back: "
        "files/migrations/014_seed_clinical_protocols.sql depends on it and would stay. Roll back more: "
        "-e rollback_to=007",
        "files/migrations/008_clinical_protocols_tables.sql has no rollback: there is no "
        "files/rollbacks/008_clinical_protocols_tables.sql.",
    ):
        assert sentence in refused["msg"]
