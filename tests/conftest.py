"""The run as a whole, which may be spread over several processes (make test WORKERS=...)."""

from __future__ import annotations

import pytest

from tests import undo


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
    """Put what takes longest first: started last, it would have one process work on while the others are done."""
    items.sort(key=lambda item: item.path.name != "test_molecule.py")
