"""Misspelt variables are found before they are silently ignored."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.migration_variables import declared_variables, unknown_variables

ROLES = Path(__file__).resolve().parents[2] / "roles"
KNOWN = ["migrations_target", "postgresql_embedded_port", "release_directory"]


def test_proposes_the_name_that_was_meant() -> None:
    assert unknown_variables(["migrations_taget", "migrations_target"], KNOWN) == [
        "The variable migrations_taget is known to no role. Did you mean migrations_target?"
    ]
    assert unknown_variables(["postgresq_embedded_port"], KNOWN) == [
        "The variable postgresq_embedded_port is known to no role. Did you mean postgresql_embedded_port?"
    ]


def test_refuses_a_name_of_ours_that_resembles_nothing() -> None:
    assert unknown_variables(["database_zzz"], KNOWN) == [
        "The variable database_zzz is known to no role. Remove it, or correct its name."
    ]


def test_other_variables_are_nobodys_business() -> None:
    assert unknown_variables(["ansible_host", "inventory_dir", "clinic", "groups", "local_directory"], KNOWN) == []


def test_reads_the_names_of_every_role() -> None:
    names = declared_variables(ROLES)
    assert {"migrations_target", "migrations_out_of_order"} <= set(names)
