"""Counts the faults that were survived: `@pytest.mark.fault(ROW)`, ROW as in the matrix of faults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

FAULT = "fault"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Write the rows into each test's properties: these travel with its report, also from another process."""
    for item in items:
        item.user_properties += [(FAULT, row) for mark in item.iter_markers(FAULT) for row in mark.args]


def survived(reports: Mapping[str, Iterable[object]]) -> tuple[set[object], set[object]]:
    """Return the rows that were tried, and those of them whose every test passed."""
    tried: set[object] = set()
    lost: set[object] = set()
    for outcome, found in reports.items():
        for report in found:
            rows = {row for name, row in getattr(report, "user_properties", ()) if name == FAULT}
            if outcome in ("failed", "error"):
                lost |= rows
            if outcome != "skipped":
                tried |= rows
    return tried, tried - lost


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many faults were survived."""
    kinds = ("passed", "failed", "error", "skipped")
    tried, held = survived({kind: terminalreporter.stats.get(kind, []) for kind in kinds})
    if tried:
        missed = ", ".join(sorted(map(str, tried - held)))
        words = f"faults survived: {len(held)}/{len(tried)}"
        terminalreporter.write_sep("=", f"{words} (not: rows {missed})" if missed else words)
