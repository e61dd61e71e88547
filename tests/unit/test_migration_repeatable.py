"""Files that are applied again whenever they change."""

from __future__ import annotations

from typing import Any

from ansible_collections.physioflow.database.plugins.module_utils.migrations.plan import make_plan
from ansible_collections.physioflow.database.plugins.module_utils.migrations.repeatable import due, in_order


def entry(name: str, *depends: str, sha: str = "") -> dict[str, Any]:
    return {"version": "R", "name": name, "file": f"{name}.sql", "sha256": sha or name, "depends": list(depends)}


VERSION = {"version": "001", "name": "x", "file": "001_x.sql", "sha256": "0", "sha256_raw": "0"}
FILES = [entry("a"), entry("b", "a"), entry("c")]


def names(rows: list[Any]) -> list[str]:
    return [row["name"] for row in rows]


def test_a_file_is_due_when_it_is_new_or_changed() -> None:
    assert names(due(FILES, [])) == ["a", "b", "c"]
    assert due(FILES, FILES) == []
    assert names(due(FILES, [entry("a"), entry("b"), entry("c", sha="old")])) == ["c"]


def test_a_file_is_due_when_one_that_it_depends_on_is() -> None:
    assert names(due(FILES, [entry("a", sha="old"), entry("b"), entry("c")])) == ["a", "b"]


def test_they_come_after_the_last_version_and_not_before_a_target() -> None:
    later = VERSION | {"version": "002", "name": "y", "file": "002_y.sql"}
    assert names(make_plan([VERSION, later], [], repeatable=FILES).pending) == ["x", "y", "a", "b", "c"]
    assert names(make_plan([VERSION, later], [], repeatable=FILES, target="001").pending) == ["x"]
    assert names(make_plan([VERSION, later], [], repeatable=FILES, target="002").pending)[2:] == ["a", "b", "c"]


def test_the_order_follows_dependencies_and_then_names() -> None:
    assert in_order({"c": [], "a": ["c"], "b": [], "d": ["a", "missing"]}) == ["b", "c", "a", "d"]
    assert in_order({"a": ["b"], "b": ["a"], "c": []}) == ["c"]
