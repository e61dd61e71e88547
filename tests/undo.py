"""What tests make on the machine is undone, also where the process that made it does not live to do it.

A run has several processes: pytest-xdist's controller and its workers, which are given ten seconds when the run is
interrupted, and may crash. So a worker notes first how to undo what it makes. What is still noted when the last worker
is gone, the controller undoes.
"""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = "PHYSIOFLOW_TESTS_UNDO"  # variable of the environment: where the notes of this run are


@contextmanager
def afterwards(act: Callable[..., object], *arguments: object) -> Iterator[None]:
    """Undo by ``act`` when the block ends, however it ends.

    It is a function of a module or a method of something that pickle can hold, and does no harm a second time.
    """
    noted = note(act, *arguments)
    try:
        yield
    finally:
        act(*arguments)
        noted.unlink()  # not where that was interrupted


@contextmanager
def unless_it_ends(act: Callable[..., object], *arguments: object) -> Iterator[None]:
    """Undo by ``act`` only where the block is broken off: otherwise it leaves nothing behind."""
    noted = note(act, *arguments)
    try:
        yield
    except BaseException:
        act(*arguments)
        noted.unlink()
        raise
    noted.unlink()


def note(act: Callable[..., object], *arguments: object) -> Path:
    """Note how to undo something; return the note, which goes when that was done."""
    noted = Path(os.environ[FOLDER]) / f"{time.monotonic_ns():020}-{os.getpid()}"  # in the order of time
    fresh = noted.with_suffix(".new")
    fresh.write_bytes(pickle.dumps((act, arguments)))
    return fresh.rename(noted)


def begin() -> None:
    """Have a folder for the notes of all processes that are started from now on."""
    os.environ[FOLDER] = tempfile.mkdtemp(prefix="physioflow-undo-")


def end() -> None:
    """Undo what the others left, the last first; one that fails is told and keeps none of the rest from it."""
    folder = Path(os.environ.pop(FOLDER))
    for noted in sorted(folder.glob("*[0-9]"), reverse=True):
        act, arguments = pickle.loads(noted.read_bytes())
        what = " ".join(map(str, [act.__qualname__, getattr(act, "__self__", ""), *arguments]))
        try:
            act(*arguments)
        except Exception as error:
            print(f"Left behind by a test that did not end: {what}: {error}", file=sys.stderr)
        else:
            print(f"Undone for a test that did not end: {what}", file=sys.stderr)
    shutil.rmtree(folder)
