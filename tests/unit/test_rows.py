"""The counts at the end of a run count rows, and no row with a test that failed."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.rows import (
    CONTROL,
    FAULT,
    ROOT,
    Rows,
    control_line,
    exceptions,
    fault_line,
    faults,
    marked,
    marks_of,
    survived,
)


def reports(*numbers: object) -> list[SimpleNamespace]:
    return [SimpleNamespace(user_properties=[(FAULT, number)]) for number in numbers] + [
        SimpleNamespace(user_properties=[]),
        SimpleNamespace(user_properties=[(CONTROL, "S1")]),
    ]


def test_a_row_is_survived_when_all_its_tests_passed() -> None:
    found = {"passed": reports(1, 2, 2, 3, 6), "failed": reports(2), "error": reports(4), "skipped": reports(5, 6)}
    rows = survived(found, FAULT)
    assert rows == Rows({1, 2, 3, 4, 6}, {1, 3}, {5, 6})
    known = {number: {"fault": "x"} for number in range(1, 8)} | {8: {"fault": "x", "why_not": "y"}}
    assert fault_line(rows, known) == (
        "faults: 2 of 8 survived; FAILED: 2, 4; skipped: 5-6; not run here: 7; not tried: 8"
    )
    assert survived(found, CONTROL).held == set()


@pytest.mark.parametrize(
    ("tried", "held", "skipped", "line"),
    [
        ("S1 S2 S16", "S1 S2 S16", "", "controls: 2 hold, 1 excepted (S16), 0 do not apply"),
        ("S1 S14", "S1 S14", "", "controls: 1 hold, 0 excepted, 1 do not apply (S14)"),
        ("S1 S2", "S1", "S2", "controls: 1 hold, 0 excepted, 0 do not apply, 1 skipped (S2)"),
        ("S1 S16 S2", "S2", "", "controls: 1 hold, 0 excepted, 0 do not apply; BROKEN: S1, S16"),
    ],
)
def test_an_excepted_control_does_not_hold(tried: str, held: str, skipped: str, line: str) -> None:
    entries: list[dict[str, object]] = [{"control": "S16"}, {"control": "S14", "applies": False}]
    assert control_line(Rows(set(tried.split()), set(held.split()), set(skipped.split())), entries) == line


def test_the_rows_of_a_folder_are_those_that_its_tests_name(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text('@pytest.mark.control("S5")\n@pytest.mark.control("S1")\ndef f(): ...\n')
    assert marked(CONTROL, tmp_path) == ["S1", "S5"]
    assert len(marked(CONTROL, ROOT / "molecule/security")) > 10
    assert pytest.mark.fault(3) in marks_of(ROOT / "molecule/security")


def test_every_fault_has_a_test_or_a_reason_why_it_has_none() -> None:
    tested = set(marked(FAULT, ROOT / "tests", ROOT / "molecule"))
    known = faults()
    assert list(known) == list(range(1, 73))
    assert {number for number, fault in known.items() if "why_not" not in fault} == tested


def texts_of_tests() -> list[str]:
    return [path.read_text() for folder in ("tests", "molecule") for path in sorted((ROOT / folder).glob("**/*.py"))]


def test_every_row_of_the_checklist_has_a_test() -> None:
    named = {int(row) for text in texts_of_tests() if "mark.control(" in text for row in re.findall(r'"S(\d+)\b', text)}
    assert set(range(1, 30)) - named == set()


def test_every_exception_has_a_test_that_fails_when_it_is_no_longer_needed() -> None:
    tested = [row for text in texts_of_tests() for row in re.findall(r'mark\.excepted\("(S\d+)"\)', text)]
    assert sorted(tested) == sorted(entry["control"] for entry in exceptions())
    assert all({"control", "where", "why", "since"} <= set(entry) for entry in exceptions())
