"""The way back: to a version, one migration, a set; what would be lost; what is refused.

Each database is a host of one play, so that a play shows several ways back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import undo
from tests.apart import changed_of
from tests.fuzz.driver import Outcome
from tests.integration.oracle import Case, inventory_of, said_of
from tests.integration.test_deploy import GUIDE_COUNTS
from tests.local import ROOT, VERSIONS, Local, Result

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
GUIDE = VERSIONS[:15]


@pytest.fixture
def databases(local: Local, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """A database at the guide's last migration for each host that the test names."""
    with ExitStack() as stack:
        template = "physioflow"
        if VERSIONS != GUIDE:
            template = copied(local, "test_rollback_guide", stack)
            local.deploy(database_name=template, migrations_target=GUIDE[-1])
        yield {host: copied(local, f"test_rollback_{host}", stack, template) for host in request.param}


def copied(local: Local, name: str, stack: ExitStack, template: str = "template1") -> str:
    """Make a database, which is gone when the stack ends."""
    stack.enter_context(undo.afterwards(local.drop_database, name))
    local.create_database(name, template)
    return name


def play(
    local: Local,
    folder: Path,
    hosts: dict[str, dict[str, Any]],
    *options: str,
    playbook: str = "playbooks/rollback.yml",
    **variables: Any,
) -> Result:
    """Run a playbook with hosts of these variables."""
    return local.play(playbook, *inventory_of(hosts, folder / "inventory"), *options, **variables)


def untouched(local: Local, database: str) -> str:
    """Return all that a refused rollback must leave as it was, rows included."""
    done = local.run_program("pg_dump", local.conninfo(database, options=""))
    assert done.returncode == 0, done.stderr
    return re.sub(
        r"^(\\(un)?restrict .*|SELECT pg_catalog.setval\('migrations.*)$", "", done.stdout, flags=re.MULTILINE
    )


def words(text: str) -> str:
    return " ".join(text.split())


# A way back for each database, and what stands after it.
BACK: dict[str, dict[str, Any]] = {
    "version": {"rollback_to": "010"},
    "feature": {"rollback_set": "vietnamese_pt"},
    "alone": {"rollback_only": "009"},
}
STAYS = {
    "version": "001 002 003 004 005 006 007 008 009 010",
    "feature": "001 002 003 004",
    "alone": "001 002 003 004 005 006 007 008 010 011 012 013 014 015",
}


def use(local: Local, databases: dict[str, str]) -> None:
    """Edit a price in the one, and fill the other, where clinics have insured patients and invoices."""
    local.psql("UPDATE pt_service_codes SET unit_price = 1 WHERE code = 'PT001'", databases["version"])
    seeds = ROOT / "files/seeds/development_data.sql"
    done = local.run_psql("-f", str(seeds), "-c", CLINIC, database=databases["feature"])
    assert done.returncode == 0, done.stderr
    local.psql("UPDATE insurance_info SET bhyt_card_number = 'DN9876501234567'", databases["feature"])


@pytest.mark.parametrize("databases", [("version", "feature", "failing")], indirect=True)
def test_what_would_be_lost_is_refused_and_what_fails_says_where(
    local: Local, databases: dict[str, str], tmp_path: Path
) -> None:
    """Rows of a table of one's own forbid to take the measures back; 015 to 012, which come before, stay too."""
    use(local, databases)
    local.psql(CLINIC, databases["failing"])
    local.psql(
        "CREATE TABLE chosen (library_id uuid REFERENCES outcome_measures_library);"
        "INSERT INTO chosen SELECT id FROM outcome_measures_library",
        databases["failing"],
    )
    wishes = BACK | {"failing": {"rollback_to": "010", "rollback_accept_data_loss": True}}
    hosts = {host: {"database_name": name} | wishes[host] for host, name in databases.items()}
    before = {name: untouched(local, name) for name in databases.values()}

    refused = play(local, tmp_path, hosts, "-vvv")
    assert refused.status != 0
    assert refused.changed == 0
    for hidden in ("canary", "DN9876501234567", "DROP TABLE"):
        assert hidden not in refused.output
    assert {name: untouched(local, name) for name in databases.values()} == before
    for host, name in databases.items():
        assert f"Database {name}: nothing was changed." in said_of(refused, host)

    def loss(host: str, table: str, rows: str, what: str) -> None:
        assert re.search(rf"^ +{table} +{rows}  {what}$", said_of(refused, host), re.MULTILINE), refused.output

    for table, rows, what in [
        ("bhyt_validation_rules", "18", "the table is dropped"),
        ("clinical_protocols", "5", "rows are deleted"),
        ("outcome_measures_library", "8", "rows are deleted"),
        ("pt_service_codes", "8", "rows are deleted"),
        ("vietnamese_medical_terms", "56", "rows are deleted"),
    ]:
        loss("version", table, rows, what)
    again = "run the same command again with -e rollback_accept_data_loss=true"
    assert again in words(said_of(refused, "version"))
    cards = "SELECT count(*) FROM insurance_info WHERE bhyt_card_number IS NOT NULL"
    items = "SELECT count(*) FROM invoice_line_items"
    gone = "values of bhyt_card_number, bhyt_prefix_code, bhyt_coverage_percent, bhyt_copay_rate, version are lost"
    loss("feature", "insurance_info", local.psql(cards, databases["feature"]), gone)
    loss("feature", "pt_service_codes", "8", "the table is dropped")
    loss("feature", "invoice_line_items", local.psql(items, databases["feature"]), "the table is dropped")

    said = words(said_of(refused, "failing"))
    assert re.search(r"files/rollbacks/011_seed_outcome_measures_library\.sql:12: \[23503\] update or delete", said)
    assert "Next: read in the header of files/rollbacks/011_seed_outcome_measures_library.sql" in said


@pytest.fixture(scope="module")
def earlier(local: Local, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The catalogs of databases that were deployed no further than a version; alone: without 009 there is none."""
    with ExitStack() as stack:
        made = {host: copied(local, f"test_rollback_at_{host}", stack) for host in ("version", "feature")}
        hosts = {
            host: {"database_name": name, "migrations_target": STAYS[host].rpartition(" ")[2]}
            for host, name in made.items()
        }
        done = play(local, tmp_path_factory.mktemp("earlier"), hosts, playbook="deploy.yml")
        assert done.status == 0, done.output
        return {host: local.catalogs(name) for host, name in made.items()}


@pytest.mark.parametrize("databases", [tuple(BACK)], indirect=True)
def test_back_after_consent_and_forth_again(
    local: Local, databases: dict[str, str], earlier: dict[str, str], tmp_path: Path
) -> None:
    """Alone: 009 goes although later ones stand; no row is lost, so that nothing has to be accepted."""
    use(local, databases)
    at_015 = {name: local.catalogs(name) for name in databases.values()}
    before = {name: untouched(local, name) for name in databases.values()}
    policies = local.psql("SELECT count(*) FROM insurance_info", databases["feature"])
    assert int(policies) > 0
    hosts = {host: {"database_name": name} | BACK[host] for host, name in databases.items()}

    checked = play(local, tmp_path, hosts, "--check", "--diff")
    assert checked.status == 0, checked.output
    assert "56 vietnamese_medical_terms: rows are deleted" in said_of(checked, "version")
    assert "refused without -e rollback_accept_data_loss=true" in said_of(checked, "version")
    assert "5 would be, in this order" in said_of(checked, "version")
    assert "refused without" not in said_of(checked, "alone")
    assert "+TRUNCATE vietnamese_medical_terms;" in checked.output
    assert {name: untouched(local, name) for name in databases.values()} == before

    for host in ("version", "feature"):
        hosts[host]["rollback_accept_data_loss"] = True
    done = play(local, tmp_path, hosts)
    assert done.status == 0, done.output
    assert "18 bhyt_validation_rules: the table is dropped" in said_of(done, "version")
    assert "checks of 10 migrations hold" in said_of(done, "version")
    assert "014 seed_clinical_protocols: its rows are dropped with their table" in said_of(done, "feature")
    assert re.search(r"Rows lost +none", said_of(done, "alone")), done.output
    for host, name in databases.items():
        gone = [version for version in GUIDE if version not in STAYS[host].split()]
        acts = ", ".join(f"rollback {version}" for version in reversed(gone))
        assert local.psql(HISTORY, name, role="postgres") == acts
        assert local.psql(STANDING, name, role="postgres") == STAYS[host]
        assert changed_of(done, host) > 0
    assert {host: local.catalogs(databases[host]) for host in earlier} == earlier
    assert local.psql("SELECT to_regclass('discharge_plans') IS NULL", databases["alone"]) == "t"
    assert local.psql("SELECT count(*) FROM insurance_info", databases["feature"]) == policies

    again = play(local, tmp_path, {host: hosts[host] for host in earlier})
    assert (again.status, again.changed) == (0, 0), again.output
    for host in earlier:
        assert "nothing: none of it is applied" in said_of(again, host)

    forth = play(local, tmp_path, hosts, playbook="deploy.yml", migrations_target=GUIDE[-1])
    assert forth.status == 0, forth.output
    for host, applied in {"version": 5, "feature": 11, "alone": 1}.items():
        assert f" {applied} applied now" in said_of(forth, host)
        assert local.catalogs(databases[host]) == at_015[databases[host]]
        assert Case(local, databases[host], ROOT / "files").apply(target=GUIDE[-1]) == Outcome()
    assert local.psql(GUIDE_COUNTS, databases["version"]) == "8|56|5|18"


# What cannot be, and why.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "two": (
        {"rollback_to": "010", "rollback_only": "015"},
        "Set exactly one of rollback_to, rollback_only, rollback_set",
    ),
    "unknown": (
        {"rollback_to": "099"},
        f"099 is not a version of this release, which goes from 001 to {VERSIONS[-1]}. Correct rollback_to.",
    ),
    "depended": (
        {"rollback_only": "007"},
        "files/migrations/007_billing_tables.sql cannot be rolled back: files/migrations/012_seed_pt_service_codes.sql "
        "depends on it and would stay. Roll back more: -e rollback_to=006",
    ),
    "no_way": (
        {"rollback_only": "014"},
        "files/migrations/014_seed_clinical_protocols.sql has no rollback: there is no "
        "files/rollbacks/014_seed_clinical_protocols.sql.",
    ),
    "set": ({"rollback_set": "vietnam"}, "The release has no set vietnam; it has vietnamese_pt. Correct rollback_set."),
}


@pytest.mark.parametrize("databases", [("refused",)], indirect=True)
def test_what_cannot_go_back_is_refused(local: Local, release: Path, databases: dict[str, str], tmp_path: Path) -> None:
    (release / "rollbacks/014_seed_clinical_protocols.sql").unlink()
    [database] = databases.values()
    before = untouched(local, database)
    hosts = {host: {"database_name": database} | variables for host, (variables, _) in REFUSED.items()}
    result = play(local, tmp_path, hosts, release_directory=str(release))
    assert result.status != 0
    assert result.changed == 0
    for host, (_, sentence) in REFUSED.items():
        assert sentence in words(said_of(result, host)), f"{host}\n{result.output}"
    assert untouched(local, database) == before
