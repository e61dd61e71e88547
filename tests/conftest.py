"""The run as a whole, which may be spread over several processes (make test WORKERS=...).

At its end it says how many faults were survived: `@pytest.mark.fault(ROW)`, ROW as in the matrix of faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import pytest

from tests import undo

FAULT = "fault"
T = TypeVar("T")


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _workers(config: pytest.Config) -> int:
    return int(config.workerinput["workercount"]) if _is_worker(config) else 1  # type: ignore[attr-defined]


def pytest_configure(config: pytest.Config) -> None:
    """Begin to note what has to be undone."""
    if not _is_worker(config):
        undo.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Undo what no worker could undo; all of them have ended by now."""
    if not _is_worker(config):
        undo.end()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have every worker begin with what takes longest, and let each report say which faults its test is about."""
    # Begun last, it would keep one worker busy while the others are done.
    items[:] = spread(items, lambda item: item.path.name == "test_molecule.py", _workers(config))
    for item in items:  # properties travel with the report, also from another process
        item.user_properties += [(FAULT, row) for mark in item.iter_markers(FAULT) for row in mark.args]


def spread(items: Sequence[T], is_long: Callable[[T], bool], workers: int) -> list[T]:
    """Put the long ones at the beginning of each worker's share: xdist cuts the list into as many of about one size."""
    long = [item for item in items if is_long(item)]
    short = [item for item in items if not is_long(item)]
    found: list[T] = []
    for worker in range(workers):
        first = long[worker::workers]
        size = (len(items) - len(found)) // (workers - worker)
        rest = max(size - len(first), 0)
        found += [*first, *short[:rest]]
        del short[:rest]
    return found + short


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
