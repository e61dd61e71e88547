"""The run as a whole, which may be spread over several processes (make test WORKERS=...)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

from tests import undo

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
    """Have every worker begin with what takes longest; last, it would keep one busy while the others are done."""
    items[:] = spread(items, lambda item: item.path.name == "test_molecule.py", _workers(config))


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
