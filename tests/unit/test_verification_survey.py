"""Which migrations a database without history holds."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.verification.check import Check
from ansible_collections.physioflow.database.plugins.module_utils.verification.survey import (
    Holding,
    corrections,
    survey,
    verdict,
)

DOCUMENTS: list[dict[str, Any]] = [
    {"version": f"{number:03d}", "name": f"{number:03d}_x", "file": f"files/verify/{number:03d}_x.yml"}
    for number in (1, 2, 3)
]


def check(version: str, kind: str, what: str, found: str = "", needs: str = "") -> Check:
    return Check(f"files/verify/{version}_x.yml", kind, what, "present", found or "present", not found, needs)


def whole(version: str) -> Holding:
    return Holding(version, f"{version}_x", there=["table a"])


def absent(version: str) -> Holding:
    return Holding(version, f"{version}_x", missing=["table a"])


def test_a_table_speaks_for_what_is_on_it() -> None:
    checks = [
        check("001", "tables", "a"),
        check("001", "columns", "a.x"),
        check("001", "indexes", "i on a", "nothing of that name"),
        check("001", "tables", "b", "nothing of that name"),
        check("001", "columns", "b.x", "no such table", needs="b"),
        check("002", "columns", "a.y", "integer"),
        check("003", "seeds", "a PT001"),
        check("003", "seeds", "a PT002", "missing"),
        check("003", "seeds", "a PT003", "missing"),
    ]
    first, second, third = survey(checks, DOCUMENTS)
    assert (first.there, first.missing, first.other) == (["table a"], ["index i on a", "table b"], [])
    assert second.other == ["column a.y"]
    assert str(third) == ("003_x is partly applied. existing: 1 seeded rows of a; missing: 2 seeded rows of a.")


@pytest.mark.parametrize(
    ("second", "there", "missing"),
    [("", ["2 seeded rows of a"], []), ("other values", [], ["seeded rows of a"])],
)
def test_rows_that_a_file_corrects_prove_it_by_their_values_and_together(
    second: str, there: list[str], missing: list[str]
) -> None:
    document = DOCUMENTS[1] | {"withdraws": {"seeds": [{"table": "a", "rows": [["PT001", 1], ["PT002", 2]]}]}}
    [holding] = survey([check("002", "seeds", "a PT001"), check("002", "seeds", "a PT002", second)], [document])
    assert (holding.there, holding.missing, holding.other) == (there, missing, [])
    assert corrections([document]) == {("files/verify/002_x.yml", "a")}


def test_what_promises_nothing_is_left_out() -> None:
    assert [holding.version for holding in survey([check("002", "tables", "a")], DOCUMENTS)] == ["002"]


def test_only_the_version_that_it_is_at_may_be_adopted() -> None:
    holdings = [whole("001"), whole("003"), absent("004")]  # 002 promises nothing
    assert verdict(holdings, "003", 7, "db") == []
    assert verdict(holdings, "001", 7, "db")[-1].startswith("Next: it is not at 001: adopt it with -e migrations_base")
    assert verdict(holdings, "002", 7, "db") != []
    assert verdict(holdings, "004", 7, "db") != []
    assert verdict(holdings, "", 7, "db") == [
        "The database db has 7 tables in schema public and no history of migrations; this run applied no migration.",
        "  001 to 003 are fully applied.",
        "  004 is not applied.",
        "Next: adopt it with -e migrations_baseline=003, which compares every definition first; or restore a backup "
        "that has its history (ansible-playbook playbooks/restore.yml), or deploy into another database "
        "(-e database_name=...).",
    ]


def test_a_gap_or_a_part_is_named_and_not_adopted() -> None:
    part = Holding("002", "002_x", there=["table b"], missing=[f"table {n}" for n in range(10)])
    lines = verdict([whole("001"), part, absent("003"), whole("004")], "001", 7, "db")
    assert lines[2] == (
        "  002_x is partly applied. existing: table b; missing: table 0, table 1, table 2, table 3, table 4, table 5, "
        "table 6, table 7 and 2 more."
    )
    assert lines[3] == "  004_x is fully applied."
    assert lines[-1].startswith("Next: bring db to one version by hand: complete 002_x.sql, 004_x.sql, or roll it back")


def test_tables_of_somebody_else_are_not_adopted() -> None:
    lines = verdict([absent("001")], "", 7, "db")
    assert lines[1] == (
        "Next: it was not created by this release: restore a backup that has its history (ansible-playbook "
        "playbooks/restore.yml), or deploy into another database (-e database_name=...)."
    )
