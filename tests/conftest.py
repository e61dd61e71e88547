"""The run as a whole, which may be spread over several processes (make test WORKERS=...).

At its end it says how many faults were survived, and how many controls of the security checklist hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

from tests import rows, undo

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
    """Have every worker begin with what takes longest, and let each report say which rows its test is about."""
    # Begun last, it would keep one worker busy while the others are done.
    items[:] = spread(items, lambda item: item.path.name == "test_molecule.py", _workers(config))
    for item in items:
        rows.note(item)


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many faults were survived, and how many controls hold."""
    reports = {outcome: terminalreporter.stats.get(outcome, []) for outcome in rows.OUTCOMES}
    tried, held = rows.survived(reports, rows.FAULT)
    if tried:
        terminalreporter.write_sep("=", rows.fault_line(tried, held))
    tried, held = rows.survived(reports, rows.CONTROL)
    if tried:
        terminalreporter.write_sep("=", rows.control_line(tried, held, rows.exceptions()))
