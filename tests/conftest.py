"""The run as a whole, which may be spread over several processes (make test WORKERS=...).

At its end it says how many faults were survived, and how many controls of the security checklist hold.
"""

from __future__ import annotations

import pytest

from tests import rows, undo

LONG = ["test_molecule.py", "test_reboot.py"]


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to note what has to be undone."""
    if not _is_worker(config):
        undo.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Undo what no worker could undo; all of them have ended by now."""
    if not _is_worker(config):
        undo.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, and let each report say which rows its test is about."""
    # Begun last, it would keep one worker busy while the others are done.
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))
    for item in items:
        rows.note(item)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many faults were survived, and how many controls hold."""
    reports = {outcome: terminalreporter.stats.get(outcome, []) for outcome in rows.OUTCOMES}
    tried, held = rows.survived(reports, rows.FAULT)
    if tried:
        terminalreporter.write_sep("=", rows.fault_line(tried, held))
    tried, held = rows.survived(reports, rows.CONTROL)
    if tried:
        terminalreporter.write_sep("=", rows.control_line(tried, held, rows.exceptions()))
