"""The run as a whole, which may be spread over several processes (make test WORKERS=...).

At its end it says how many faults were survived, and how many controls of the security checklist hold.
"""

from __future__ import annotations

import os

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


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a text of several lines by its parameter: keys differ in each process, and the names of tests may not."""
    return argname if isinstance(val, str) and "\n" in val else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail where tests of one host are not grouped: pytest-xdist says nothing then, and each host is deployed twice."""
    if item.config.getoption("loadgroup", default=False) and item.get_closest_marker("xdist_group"):
        assert "@" in item.nodeid, f"pytest {pytest.__version__} keeps pytest-xdist from grouping tests"


def _rows(config: pytest.Config, kind: str) -> rows.Rows:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    stats = reporter.stats if reporter else {}
    return rows.survived({outcome: stats.get(outcome, []) for outcome in rows.OUTCOMES}, kind)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print how many faults were survived, and how many controls hold."""
    if (found := _rows(config, rows.FAULT)).tried:
        terminalreporter.write_sep("=", rows.fault_line(found, rows.faults()))
    if (found := _rows(config, rows.CONTROL)).tried:
        terminalreporter.write_sep("=", rows.control_line(found, rows.exceptions()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail in CI where the test of a fault or a control was skipped: a promise that nobody held against anything."""
    skipped = {row for kind in (rows.FAULT, rows.CONTROL) for row in _rows(session.config, kind).skipped}
    if os.environ.get("CI") and skipped and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
