"""Databases that were migrated by hand, and files that were edited on purpose."""

from __future__ import annotations

from pathlib import Path

from tests.integration.test_bad_input import append
from tests.integration.test_sql_files import NAMES, by_hand, run  # noqa: F401 - by_hand is a fixture
from tests.local import Local, Result

ACTS = "SELECT string_agg(act || ' ' || version, ', ' ORDER BY id) FROM migrations.history WHERE act <> 'apply'"


def migrate_by_hand(local: Local, database: str, last: str) -> None:
    for name in NAMES:
        if name[:3] <= last:
            run(local, database, "migrations", name)


def words(result: Result) -> str:
    return " ".join(result.output.split())


def has_history(local: Local, database: str) -> bool:
    return local.psql("SELECT to_regclass('migrations.history') IS NOT NULL", database, role="postgres") == "t"


def test_what_was_migrated_by_hand_is_recognised_and_adopted(local: Local, by_hand: str) -> None:  # noqa: F811
    migrate_by_hand(local, by_hand, "009")
    for baseline, next_step in [("", "adopt it with"), ("010", "it is not at 010: adopt it with")]:
        refused = local.play(database_name=by_hand, migrations_baseline=baseline)
        assert refused.status != 0
        assert (
            f"The database {by_hand} holds 28 tables in schema public and no history of migrations; no migration was "
            "applied. All that 001 to 009 promise is there. Nothing of 010 to 015 is there. Next: "
            f"{next_step} -e migrations_baseline=009, which verifies each promise first; or restore a backup that has "
            "its history (ansible-playbook playbooks/restore.yml)"
        ) in words(refused), refused.output
        assert not has_history(local, by_hand)

    checked = local.deploy("--check", database_name=by_hand, migrations_baseline="009")
    assert "9 adopted" in checked.output
    assert "6 pending" in checked.output
    assert not has_history(local, by_hand)

    done = local.deploy(database_name=by_hand, migrations_baseline="009")
    assert "6 applied now" in done.output
    assert "9 before" in done.output
    assert local.psql(ACTS, by_hand, role="postgres") == ", ".join(f"baseline {n:03d}" for n in range(1, 10))
    adopted = "SELECT count(*) FROM migrations.applied WHERE act = 'baseline' AND operator <> ''"
    assert local.psql(adopted, by_hand, role="postgres") == "9"
    again = local.deploy(database_name=by_hand, migrations_baseline="009")
    assert again.changed == 0


def test_what_was_migrated_in_part_is_said_by_object(local: Local, by_hand: str) -> None:  # noqa: F811
    migrate_by_hand(local, by_hand, "006")
    local.psql("CREATE TABLE pt_service_codes (id uuid PRIMARY KEY)", by_hand)
    for variables in ({}, {"migrations_baseline": "006"}):
        refused = local.play(database_name=by_hand, **variables)
        assert refused.status != 0
        said = words(refused)
        assert "All that 001 to 006 promise is there. 007_billing_tables is there in part. there: " in said, said
        assert "table pt_service_codes" in said.partition("there: ")[2].partition("missing: ")[0]
        assert "table invoices" in said.partition("missing: ")[2]
        assert "finish 007_billing_tables.sql, or take it back with psql and the file of that name in rollbacks" in said
    assert not has_history(local, by_hand)


def test_what_only_looks_like_the_release_is_not_adopted(local: Local, by_hand: str) -> None:  # noqa: F811
    """All names are there; what a constraint accepts is not what was promised."""
    migrate_by_hand(local, by_hand, "009")
    local.psql(
        "ALTER TABLE insurance_info DROP CONSTRAINT chk_bhyt_card_format, "
        "ADD CONSTRAINT chk_bhyt_card_format CHECK (bhyt_card_number <> '')",
        by_hand,
    )
    refused = local.play(database_name=by_hand, migrations_baseline="009")
    assert refused.status != 0
    assert (
        "constraint chk_bhyt_card_format on insurance_info dn1234567890123: expected refused, found accepted"
        in words(refused)
    )
    assert not has_history(local, by_hand)


def test_a_baseline_is_for_a_database_with_tables_and_without_history(local: Local, database: str) -> None:
    local.deploy(database_name=database, migrations_target="002")
    for variables, sentence in [
        (
            {"database_name": database, "migrations_baseline": "003"},
            "The database has a history, and 003 of the baseline",
        ),
        ({"database_name": database, "migrations_baseline": "099"}, "The baseline 099 is no version of this release"),
        ({"database_name": f"{database}_2", "migrations_baseline": "003"}, "so there is nothing to adopt."),
    ]:
        refused = local.play(**variables)
        assert refused.status != 0
        assert sentence in words(refused), refused.output
    local.psql(f"DROP DATABASE {database}_2", "postgres", role="postgres")


def test_an_edit_that_was_reviewed_is_accepted_with_its_reason(local: Local, release: Path, database: str) -> None:
    deployed = {"release_directory": str(release), "database_name": database}
    local.deploy(migrations_target="010", **deployed)
    append(release, "007_billing_tables.sql", b"-- reviewed\n")
    append(release, "008_clinical_protocols_tables.sql", b"-- reviewed\n")
    before = local.catalogs(database)
    reason = "Lan read it: a comment"
    for variables, sentence in [
        ({}, "accept it: -e migrations_accept=007 -e \"migrations_reason='...'\"."),
        ({"migrations_accept": "007,008"}, "migrations_accept needs a reason, which the history keeps"),
        (
            {"migrations_accept": "007", "migrations_reason": reason},
            "008_clinical_protocols_tables.sql was edited after",
        ),
        (
            {"migrations_accept": "006,007,008,011", "migrations_reason": reason},
            "006_outcome_measures_tables.sql was not edited since it was applied, so there is nothing to accept. Leave "
            "it out of migrations_accept. 011 is not applied, so there is no edit to accept.",
        ),
    ]:
        refused = local.play(**deployed, **variables)
        assert refused.status != 0
        assert sentence in words(refused), refused.output
        assert refused.changed == 0

    typed = ("-e", "migrations_accept=007,008", "-e", f"migrations_reason='{reason}'")
    checked = local.deploy(*typed, "--check", **deployed)
    assert "007 billing_tables: its edit is accepted" in checked.output
    assert local.psql(ACTS, database, role="postgres") == ""
    assert local.catalogs(database) == before

    done = local.deploy(*typed, **deployed)
    assert "5 applied now" in done.output
    assert "10 before" in done.output
    assert local.psql(ACTS, database, role="postgres") == "accept 007, accept 008"
    query = "SELECT DISTINCT reason, operator <> '' FROM migrations.history WHERE act = 'accept'"
    assert local.psql(query, database, role="postgres") == f"{reason}|t"
    assert local.deploy(**deployed).changed == 0
