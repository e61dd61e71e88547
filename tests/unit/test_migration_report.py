"""The plan as it is shown: states, locks of a run, findings, and differences of catalogs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import split_file
from ansible_collections.physioflow.database.plugins.module_utils.migrations.drift import differences, lines
from ansible_collections.physioflow.database.plugins.module_utils.migrations.locks import run_locks
from ansible_collections.physioflow.database.plugins.module_utils.migrations.report import read_squawk, states


def entry(version: str, name: str = "x", sha: str = "a", *depends: str) -> dict[str, Any]:
    return {"version": version, "name": name, "sha256": sha, "depends": depends}


def row(version: str, name: str = "x", sha: str = "a") -> dict[str, Any]:
    return {"version": version, "name": name, "sha256": sha, "started_at": "2026-02-11"}


def test_each_migration_has_its_state() -> None:
    catalog = [
        entry("001"),
        entry("002", sha="edited"),
        entry("003", name="renamed"),
        entry("005"),
        entry("006"),
        entry("008"),
        entry("009"),
        entry("010", "x", "a", "001"),
        entry("011"),
    ]
    applied = [row("001"), row("002"), row("003"), row("004"), row("008")]
    pending = [entry("005"), entry("006"), entry("010")]
    found = states(catalog, applied, pending, in_doubt=[row("009")], rolled_back=[row("006")])
    assert {one["version"]: one["state"] for one in found} == {
        "001": "applied",
        "002": "edited",
        "003": "renamed",
        "004": "missing",
        "005": "late",
        "006": "pending again",
        "008": "applied",
        "009": "in doubt",
        "010": "pending",
        "011": "after the target",
    }
    assert next(one["depends"] for one in found if one["version"] == "010") == ["001"]
    assert (found[0]["since"], found[-1]["since"]) == ("2026-02-11", "")


def test_only_tables_that_are_there_before_the_run_are_locked() -> None:
    first = "CREATE TABLE new (id int REFERENCES old (id));\nINSERT INTO new SELECT 1;"
    second = "-- x\nALTER TABLE new ADD COLUMN x int;\nUPDATE public.old SET x = 1;\nALTER TABLE old ADD COLUMN y int;"
    locks, unknown = run_locks([("1.sql", split_file(first)), ("2.sql", split_file(second))])
    assert locks == [
        {"table": "old", "lock": "ACCESS EXCLUSIVE", "blocks": "reads and writes", "file": "2.sql", "line": 4}
    ]
    assert unknown == []


@pytest.mark.parametrize("sql", ["DO $$ BEGIN NULL; END $$", "CALL p()", "DROP FUNCTION f() CASCADE", "VACUUM"])
def test_what_cannot_be_read_is_said(sql: str) -> None:
    statements = split_file(f"SELECT 1;\n{sql};")
    assert run_locks([("1.sql", statements)]) == ([], [{"file": "1.sql", "line": 2}])


def test_findings_of_squawk_have_the_names_of_the_release() -> None:
    found = [{"file": "/r/files/a.sql", "line": 1, "rule_name": "r", "message": "m", "help": None, "column": 3}]
    assert read_squawk(json.dumps(found), {"/r/files/a.sql": "files/a.sql"}) == [
        {"file": "files/a.sql", "line": 2, "rule": "r", "message": "m", "help": ""}
    ]
    with pytest.raises(ValueError):
        read_squawk("usage: squawk", {})


def test_catalogs_differ_by_object() -> None:
    promised = {
        ("table", "public.a"): "ordinary",
        ("column", "public.a.x"): "integer",
        ("index", "public.i"): "on public.a\nUSING btree (x)",
        ("function", "public.f()"): "long " * 50,
        ("table", "public.gone"): "ordinary",
        ("column", "public.gone.x"): "integer",
        ("constraint", "gone_pkey on public.gone"): "PRIMARY KEY (x)",
        ("comment", "column public.gone.x"): "words",
        ("comment", "constraint gone_pkey on public.gone"): "words",
        ("sequence", "public.gone_x_seq"): "integer from 1 of public.gone.x owner emr",
        ("privileges", "table public.a"): "none",
    }
    live = {
        ("table", "public.a"): "ordinary",
        ("column", "public.a.x"): "bigint",
        ("column", "public.a.y"): "text",
        ("function", "public.f()"): "other " * 50,
        ("table", "public.new"): "ordinary",
        ("index", "public.new_i"): "on public.new\nUSING btree (x)",
        ("trigger", "t on public.new"): "CREATE TRIGGER",
    }
    other = [key for key in sorted({*live, *promised}) if live.get(key) != promised.get(key)]
    assert lines(differences(live, promised, other)) == [
        "column a.x: bigint, promised integer",
        "column a.y: not in the migrations",
        "function f(): different definition",
        "index i: missing",
        "table gone: missing",
        "table new: not in the migrations",
    ]
