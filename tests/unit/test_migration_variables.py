"""Misspelt variables are found before they are silently ignored."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from ansible_collections.physioflow.database.plugins.module_utils.migrations.variables import (
    REMOVED,
    RENAMED,
    declared_variables,
    former_variables,
    resembling_variables,
    unknown_variables,
)

ROOT = Path(__file__).resolve().parents[2]
ROLES = ROOT / "roles"
KNOWN = ["migrations_target", "postgresql_embedded_port", "release_directory"]


def test_proposes_the_name_that_was_meant() -> None:
    assert unknown_variables(["migrations_taget", "migrations_target"], KNOWN) == [
        "The variable migrations_taget is unknown. Did you mean migrations_target?"
    ]
    assert unknown_variables(["postgresq_embedded_port"], KNOWN) == [
        "The variable postgresq_embedded_port is unknown. Did you mean postgresql_embedded_port?"
    ]


def test_refuses_a_name_of_ours_that_resembles_nothing() -> None:
    assert unknown_variables(["database_zzz"], KNOWN) == [
        "The variable database_zzz is unknown. Remove it, or correct its name."
    ]


def test_other_variables_are_nobodys_business() -> None:
    assert unknown_variables(["ansible_host", "inventory_dir", "clinic", "groups", "local_directory"], KNOWN) == []


def test_reads_the_names_of_every_role() -> None:
    names = declared_variables(ROLES)
    assert {"migrations_target", "migrations_out_of_order"} <= set(names)
    meant = {
        "backup_table": "backup_tables",
        "drill_form": "drill_from",
        "restore_databse": "restore_database",
        "rolback_to": "rollback_to",
    }
    assert unknown_variables(meant, known()) == [
        f"The variable {typed} is unknown. Did you mean {name}?" for typed, name in meant.items()
    ]


def test_somebody_elses_variables_of_the_inventory_are_not_mentioned() -> None:
    """Of other roles: prefixes are nobody's, and an inventory serves more than one."""
    foreign = ["backup_server", "status_page", "release_name", "plan_b", "postgresql_databases", "database_host"]
    assert resembling_variables(foreign, known()) == []


def test_a_variable_of_the_inventory_with_a_wrong_letter_is_mentioned() -> None:
    found = resembling_variables(["postgresql_verison", "backup_direktory", "postgresql_version"], known())
    assert found == [
        "The variable backup_direktory is unknown to all roles of this collection. Did you mean backup_directory?",
        "The variable postgresql_verison is unknown to all roles of this collection. Did you mean postgresql_version?",
    ]


def test_a_former_name_is_known_and_named_with_the_new_one() -> None:
    specs = yaml.safe_load((ROLES / "status/meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    usual = yaml.safe_load((ROLES / "status/vars/main.yml").read_text())["__status_usual_limits"]
    limits = specs["status_limits"]["options"]
    assert set(limits) == set(usual)
    assert set(RENAMED.values()) == {f"status_limits.{name}" for name in limits}
    assert former_variables(["status_scan_rows", "clinic", "postgresql_timeout"]) == [
        "The variable status_scan_rows was renamed to status_limits.scan_rows. The old name works until the next "
        "release.",
        "The variable postgresql_timeout is no longer used. Remove it.",
    ]
    assert set(known()) & (RENAMED.keys() | REMOVED) == set()


def known() -> list[str]:
    variables = yaml.safe_load((ROLES / "migrations/vars/main.yml").read_text())
    return [*declared_variables(ROLES), *variables["__migrations_shared_variables"]]


def test_what_one_play_registers_is_not_taken_for_a_variable_by_the_next() -> None:
    results = yaml.safe_load((ROLES / "migrations/vars/main.yml").read_text())["__migrations_results"]
    texts = [path.read_text() for path in (*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/**/*.yml"))]
    registered = {name for text in texts for name in re.findall(r"^ +register: ([a-z]\w*)$", text, re.MULTILINE)}
    facts = {
        name
        for text in texts
        for block in re.findall(r"set_fact:.*\n((?: +.*\n)+)", text)
        for name in re.findall(r"^ +([a-z]+_\w+):", block, re.MULTILINE)
    }
    assert len(registered) > 10
    assert resembling_variables((registered | facts) - {*results}, known()) == []
