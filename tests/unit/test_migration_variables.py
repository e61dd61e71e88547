"""Misspelt variables are found before they are silently ignored."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from ansible.module_utils.migration_variables import OURS, declared_variables, unknown_variables

ROOT = Path(__file__).resolve().parents[2]
ROLES = ROOT / "roles"
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


def test_what_one_play_registers_is_not_taken_for_a_variable_by_the_next() -> None:
    known = yaml.safe_load((ROOT / "roles/migrations/vars/main.yml").read_text())["__migrations_results"]
    texts = [path.read_text() for path in (*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/**/*.yml"))]
    registered = {name for text in texts for name in re.findall(r"^ +register: ([a-z]\w*)$", text, re.MULTILINE)}
    facts = {
        name
        for text in texts
        for block in re.findall(r"set_fact:\n((?: +.*\n)+)", text)
        for name in re.findall(r"^ +([a-z]+_\w+):", block, re.MULTILINE)
    }
    mine = {name for name in registered | facts if OURS.fullmatch(name)} - set(declared_variables(ROLES))
    assert len(registered) > 10
    assert mine - {"postgresql_connection", "postgresql_bin_dir"} <= set(known), mine - set(known)
