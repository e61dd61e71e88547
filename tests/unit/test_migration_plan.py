"""The plan: what is pending, and every contradiction between release and history."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.doubt import Answer, decide, read_decisions
from ansible_collections.physioflow.database.plugins.module_utils.migrations.plan import make_plan


def entry(version: str, name: str = "x", sha: str = "", raw: str = "") -> dict[str, Any]:
    sha = sha or version * 4
    return {
        "version": version,
        "name": name,
        "file": f"files/migrations/{version}_{name}.sql",
        "sha256": sha,
        "sha256_raw": raw or sha,
    }


CATALOG = [entry("001"), entry("002"), entry("003")]


def versions(rows: list[Any]) -> list[str]:
    return [row["version"] for row in rows]


def test_everything_is_pending_on_an_empty_database() -> None:
    plan = make_plan(CATALOG, [])
    assert versions(plan.pending) == ["001", "002", "003"]
    assert plan.problems == []


def test_nothing_is_pending_where_all_is_applied() -> None:
    plan = make_plan(CATALOG, CATALOG)
    assert (plan.pending, plan.problems, plan.notes) == ([], [], [])


def test_stops_at_the_target_and_goes_on_from_there() -> None:
    assert versions(make_plan(CATALOG, [], target="002").pending) == ["001", "002"]
    assert versions(make_plan(CATALOG, CATALOG[:2]).pending) == ["003"]
    assert make_plan(CATALOG, CATALOG[:2], target="002").pending == []


def test_refuses_a_target_that_does_not_exist_or_lies_behind() -> None:
    assert make_plan(CATALOG, [], target="009").problems == [
        "The target 009 is not a version of this release, which goes from 001 to 003. Correct migrations_target."
    ]
    assert make_plan(CATALOG, CATALOG, target="001").problems[0].startswith("The target 001 is before 003, which is")


def test_an_edited_file_is_named_with_both_checksums() -> None:
    [problem] = make_plan(CATALOG, [entry("001", sha="a" * 64), *CATALOG[1:]]).problems
    assert problem.startswith(
        "files/migrations/001_x.sql was edited after it was applied: recorded SHA-256 aaaaaaaaaaaa"
    )
    assert "new migration" in problem


def test_a_deleted_file_is_named() -> None:
    [problem] = make_plan(CATALOG[:2], CATALOG).problems
    assert problem.startswith("003_x.sql is applied, but missing in the release. Bring the file back")


def test_a_release_that_is_older_than_the_database_is_one_problem() -> None:
    assert make_plan(CATALOG[:1], CATALOG).problems == [
        "002 to 003 are applied, but this release ends at 001: it is older than the database. Use the newer release, "
        "or correct release_directory or database_name."
    ]


def test_a_renamed_file_is_recognised_by_name_and_by_number() -> None:
    renamed = entry("002", name="y")
    [problem] = make_plan([CATALOG[0], renamed, CATALOG[2]], CATALOG).problems
    assert problem == "002_x.sql is applied and is now called files/migrations/002_y.sql. Rename the file back."
    renumbered = entry("009", sha=CATALOG[1]["sha256"])
    [problem] = make_plan([CATALOG[0], CATALOG[2], renumbered], CATALOG).problems
    assert problem.startswith("002_x.sql is applied, and its content is now in files/migrations/009_x.sql.")


def test_a_file_renumbered_downwards_is_one_problem() -> None:
    moved = entry("002", name="z", sha="9" * 64)
    [problem] = make_plan(
        [CATALOG[0], moved, CATALOG[2]], [CATALOG[0], CATALOG[2], entry("004", "z", "9" * 64)]
    ).problems
    assert problem.startswith("004_z.sql is applied, and its content is now in files/migrations/002_z.sql.")


def test_other_line_ends_are_harmless_and_said() -> None:
    plan = make_plan([entry("001", raw="f" * 64), *CATALOG[1:]], CATALOG)
    assert plan.problems == []
    assert plan.notes == [
        "files/migrations/001_x.sql differs from what was applied in line ends or byte order mark only."
    ]


def test_an_older_file_added_later_needs_a_decision() -> None:
    applied = [CATALOG[0], CATALOG[2]]
    [problem] = make_plan(CATALOG, applied).problems
    assert problem.startswith("files/migrations/002_x.sql is not applied, but the later 003_x.sql is.")
    plan = make_plan(CATALOG, applied, out_of_order=True)
    assert plan.problems == []
    assert versions(plan.pending) == ["002"]


def test_tables_without_a_history_are_not_touched() -> None:
    [problem] = make_plan(CATALOG, [], untracked_tables=30).problems
    assert problem.startswith("The database has 30 tables in schema public and no history of migrations")


DOUBT = {"version": "003", "name": "x", "started_at": "2026-02-11 10:00:00+00", "sha256": "003" * 4}


def test_a_file_in_doubt_goes_on_where_the_database_tells_how_far_it_came() -> None:
    answers = {"003": [Answer(5, "done"), Answer(6, "again", ("s.i",)), Answer(7, "to do")]}
    plan = make_plan(CATALOG, CATALOG[:2], in_doubt=[DOUBT], answers=answers)
    assert plan.problems == []
    assert [entry["resume"] for entry in plan.pending] == [
        [{"send": False, "drop": []}, {"send": True, "drop": ["s.i"]}, {"send": True, "drop": []}]
    ]
    [note] = plan.notes
    assert "line 6 left the INVALID index s.i behind: the next run drops it and creates it again" in note
    assert "DROP INDEX CONCURRENTLY s.i" in note


def test_a_file_in_doubt_of_which_nothing_can_be_told_needs_a_decision() -> None:
    [problem] = make_plan(
        CATALOG, CATALOG[:2], in_doubt=[DOUBT], answers={"003": [Answer(5, "open", look="SELECT 1")]}
    ).problems
    assert problem.startswith("003_x.sql is in doubt")
    assert "it is unknown whether line 5 was executed; check: SELECT 1" in problem
    assert "-e migrations_resolve=003:retry" in problem
    assert "-e migrations_resolve=003:applied" in problem


def test_a_file_in_doubt_that_is_gone_or_was_edited_is_said() -> None:
    [problem] = make_plan(CATALOG[:2], CATALOG[:2], in_doubt=[DOUBT]).problems
    assert "the release has no such file" in problem
    plan = make_plan(CATALOG, CATALOG[:2], in_doubt=[DOUBT | {"sha256": "0"}], answers={"003": [Answer(5, "to do")]})
    assert plan.problems == []
    assert "003_x.sql was edited after it started" in plan.notes[1]


def test_a_decision_is_read_and_stands() -> None:
    assert read_decisions("") == {}
    assert read_decisions("016:retry, 017:applied") == {"016": "retry", "017": "applied"}
    with pytest.raises(ValueError, match=r"016=retry is not a decision like"):
        read_decisions("016=retry")
    answers = [Answer(5, "open"), Answer(6, "again", ("i",))]
    assert [answer.state for answer in decide(answers, "applied")] == ["done", "done"]
    assert [answer.state for answer in decide(answers, "retry")] == ["to do", "again"]
    assert decide(answers, None) == answers


def test_all_problems_are_said_at_once() -> None:
    assert len(make_plan(CATALOG[1:], [entry("001"), entry("003", sha="0" * 64)], target="009").problems) == 4


def test_what_was_rolled_back_is_pending_and_never_late() -> None:
    plan = make_plan(CATALOG, [CATALOG[0], CATALOG[2]], rolled_back=[CATALOG[1]])
    assert plan.problems == []
    assert versions(plan.pending) == ["002"]


def test_a_baseline_counts_as_applied() -> None:
    plan = make_plan(CATALOG, [], baseline="002", untracked_tables=7)
    assert plan.problems == []
    assert versions(plan.baseline) == versions(plan.applied) == ["001", "002"]
    assert versions(plan.pending) == ["003"]


def test_a_baseline_that_stands_already_is_nothing_to_do() -> None:
    plan = make_plan(CATALOG, CATALOG[:2], baseline="002")
    assert (plan.baseline, plan.problems) == ([], [])


def test_a_baseline_that_cannot_be_is_refused() -> None:
    [problem] = make_plan(CATALOG, [], baseline="009", untracked_tables=7).problems
    assert problem.startswith("The baseline 009 is not a version of this release, which goes from 001 to 003.")
    [problem] = make_plan(CATALOG, [], baseline="002").problems
    assert "so there is nothing to adopt" in problem
    [problem] = make_plan(CATALOG, CATALOG[:1], baseline="003").problems
    assert problem.startswith("The database has a history, and 002, 003 of the baseline 003 are not in it.")


def test_untracked_tables_may_be_left_to_somebody_else() -> None:
    assert make_plan(CATALOG, [], untracked_tables=7, report_untracked=True).problems == []


EDITED = [entry("001", sha="a" * 64), *CATALOG[1:]]


def test_a_reviewed_edit_is_accepted_with_a_reason() -> None:
    plan = make_plan(CATALOG, EDITED, accept=["001"], reason="read it")
    assert plan.problems == []
    assert versions(plan.accepted) == ["001"]
    assert plan.notes == ["files/migrations/001_x.sql was edited after it was applied; the edit is accepted."]


def test_an_edit_is_not_accepted_without_a_reason_or_where_there_is_none() -> None:
    [problem] = make_plan(CATALOG, EDITED, accept=["001"], reason=" ").problems
    assert problem.startswith("migrations_accept needs a reason")
    assert make_plan(CATALOG, EDITED, accept=["001", "002", "009"], reason="x").problems == [
        "002_x.sql was not edited since it was applied, so there is nothing to accept. Remove it from "
        "migrations_accept.",
        "009 is not applied, so there is no edit to accept. Correct migrations_accept.",
    ]
    [problem] = make_plan(CATALOG, EDITED).problems
    assert "accept it: -e migrations_accept=001 -e \"migrations_reason='...'\"." in problem
    two = [*EDITED[:2], entry("003", sha="b" * 64)]
    [problem] = make_plan(CATALOG, two, accept=["001"], reason="x").problems
    assert problem.startswith("files/migrations/003_x.sql was edited after it was applied")
