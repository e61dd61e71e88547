"""The two lists whose rows have tests: the matrix of faults and the security checklist.

`@pytest.mark.fault(ROW)` and `@pytest.mark.control("S5")` say which row a test is about. The properties travel with the
report, also from another process.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

FAULT = "fault"
CONTROL = "control"
ROOT = Path(__file__).resolve().parents[1]
EXCEPTIONS = ROOT / "docs/security_exceptions.yml"
OUTCOMES = ("passed", "failed", "error", "skipped")


def note(item: pytest.Item) -> None:
    """Let the report of a test say which rows it is about."""
    item.user_properties += [
        (kind, row) for kind in (FAULT, CONTROL) for m in item.iter_markers(kind) for row in m.args
    ]


def marked(kind: str, *folders: Path) -> list[Any]:
    """Return the rows that the tests of folders name, read from their source: another pytest may run them."""
    found: set[Any] = set()
    for path in (path for folder in folders for path in sorted(folder.glob("**/*.py"))):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == kind:
                found.update(part.value for part in call.args if isinstance(part, ast.Constant))
    return sorted(found, key=_order)


def marks_of(folder: Path) -> list[pytest.MarkDecorator]:
    """Return the marks of all tests of a folder, for the one test that has Molecule run them."""
    return [getattr(pytest.mark, kind)(row) for kind in (FAULT, CONTROL) for row in marked(kind, folder)]


def faults() -> dict[int, dict[str, str]]:
    """Return the faults by number: what each is, and why no test makes it where none does."""
    found: dict[int, dict[str, str]] = yaml.safe_load((ROOT / "tests/faults.yml").read_text(encoding="utf-8"))
    return found


def exceptions() -> list[dict[str, Any]]:
    """Return the controls that are not met, and those that do not apply."""
    found: list[dict[str, Any]] = yaml.safe_load(EXCEPTIONS.read_text(encoding="utf-8"))
    return found


class Rows(NamedTuple):
    """What became of the rows of one kind: those that were tried, those that held, those whose tests were skipped."""

    tried: set[Any]
    held: set[Any]
    skipped: set[Any]


def survived(reports: Mapping[str, Iterable[object]], kind: str) -> Rows:
    """Return what became of the rows of one kind; a row is held when none of its tests failed or was skipped."""
    rows: dict[str, set[object]] = {
        outcome: {row for each in found for name, row in getattr(each, "user_properties", ()) if name == kind}
        for outcome, found in reports.items()
    }
    lost = rows.get("failed", set()) | rows.get("error", set())
    tried = rows.get("passed", set()) | lost
    skipped = rows.get("skipped", set()) - lost
    return Rows(tried, tried - lost - skipped, skipped)


def _order(row: object) -> tuple[int, str]:
    return int("".join(filter(str.isdigit, str(row))) or 0), str(row)


def _listed(rows: Iterable[object]) -> str:
    """Write rows in order, numbers that follow each other as 3-7."""
    parts: list[list[object]] = []
    for row in sorted(rows, key=_order):
        if parts and isinstance(row, int) and parts[-1][-1] == row - 1:
            parts[-1].append(row)
        else:
            parts.append([row])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def fault_line(rows: Rows, known: Mapping[int, Mapping[str, str]]) -> str:
    """Say how many of the known faults were survived, and what became of the others."""
    never = {number for number, fault in known.items() if "why_not" in fault}
    others = {
        "FAILED": rows.tried - rows.held - rows.skipped,
        "skipped": rows.skipped,
        "not run here": set(known) - rows.tried - rows.skipped - never,
        "not tried": never,
    }
    words = [f"; {what}: {_listed(found)}" for what, found in others.items() if found]
    return f"faults: {len(rows.held)} of {len(known)} survived{''.join(words)}"


def control_line(rows: Rows, entries: Iterable[Mapping[str, Any]]) -> str:
    """Say how many controls hold, are excepted, do not apply; a control with an exception does not hold as a whole."""
    tried, held, skipped = rows
    idle = {entry["control"] for entry in entries if not entry.get("applies", True)} & held
    excepted = ({entry["control"] for entry in entries} & held) - idle
    parts = [
        f"{len(held - excepted - idle)} hold",
        f"{len(excepted)} excepted" + (f" ({_listed(excepted)})" if excepted else ""),
        f"{len(idle)} do not apply" + (f" ({_listed(idle)})" if idle else ""),
    ]
    parts += [f"{len(skipped)} skipped ({_listed(skipped)})"] if skipped else []
    broken = tried - held - skipped
    return f"controls: {', '.join(parts)}{f'; BROKEN: {_listed(broken)}' if broken else ''}"
