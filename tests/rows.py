"""The two lists whose rows have tests: the matrix of faults and the security checklist.

`@pytest.mark.fault(ROW)` and `@pytest.mark.control("S5")` say which row a test is about. The properties travel with the
report, also from another process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

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


def controls_in(folder: Path) -> list[str]:
    """Return the controls that the tests of a folder name; for tests that another pytest runs, as Molecule's does."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(folder.glob("**/*.py")))
    return sorted({row for text in texts for row in re.findall(r'mark\.control\("(S\d+)"\)', text)})


def exceptions() -> list[dict[str, Any]]:
    """Return the controls that are not met, and those that do not apply."""
    found: list[dict[str, Any]] = yaml.safe_load(EXCEPTIONS.read_text(encoding="utf-8"))
    return found


def survived(reports: Mapping[str, Iterable[object]], kind: str) -> tuple[set[Any], set[Any]]:
    """Return the rows that were tried, and those of them whose every test passed."""
    tried: set[object] = set()
    lost: set[object] = set()
    for outcome, found in reports.items():
        for report in found:
            rows = {row for name, row in getattr(report, "user_properties", ()) if name == kind}
            if outcome in ("failed", "error"):
                lost |= rows
            if outcome != "skipped":
                tried |= rows
    return tried, tried - lost


def _order(row: object) -> tuple[int, str]:
    return int("".join(filter(str.isdigit, str(row))) or 0), str(row)


def _listed(rows: Iterable[object]) -> str:
    return ", ".join(str(row) for row in sorted(rows, key=_order))


def fault_line(tried: set[Any], held: set[Any]) -> str:
    """Say how many faults were survived."""
    words = f"faults survived: {len(held)}/{len(tried)}"
    return f"{words} (not: rows {_listed(tried - held)})" if tried - held else words


def control_line(tried: set[Any], held: set[Any], entries: Iterable[Mapping[str, Any]]) -> str:
    """Say how many controls hold, are excepted, do not apply; a control with an exception does not hold as a whole."""
    idle = {entry["control"] for entry in entries if not entry.get("applies", True)} & held
    excepted = ({entry["control"] for entry in entries} & held) - idle
    parts = [
        f"{len(held - excepted - idle)} hold",
        f"{len(excepted)} excepted" + (f" ({_listed(excepted)})" if excepted else ""),
        f"{len(idle)} do not apply" + (f" ({_listed(idle)})" if idle else ""),
    ]
    broken = f"; BROKEN: {_listed(tried - held)}" if tried - held else ""
    return f"controls: {', '.join(parts)}{broken}"
