"""What a test made is undone once, in the order that undoes it, also where its process was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import undo
from tests.local import ROOT

CONFTEST = "from tests.conftest import pytest_configure, pytest_unconfigure\n"
TEST = """
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests import undo

def test_killed():
    folder = Path("made")
    with undo.afterwards(shutil.rmtree, folder):
        folder.mkdir()
        {inside}
"""


def run(folder: Path, inside: str) -> subprocess.CompletedProcess[str]:
    """Run one test in a run of its own, with a worker."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(TEST.format(inside=inside))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-n1", "--max-worker-restart=0", "-p", "no:cacheprovider"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def left(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name == "made" or "undo" in path.name]


@pytest.mark.parametrize("inside", ["pass", "assert not folder.exists()"], ids=["passes", "fails"])
def test_a_test_that_ends_undoes_by_itself(tmp_path: Path, inside: str) -> None:
    done = run(tmp_path, inside)
    assert f"1 {'passed' if inside == 'pass' else 'failed'}" in done.stdout
    assert done.stderr == ""
    assert left(tmp_path) == []


def test_for_a_worker_that_was_killed_the_controller_undoes(tmp_path: Path) -> None:
    done = run(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert done.returncode != 0
    assert "Undone for a test that did not end: rmtree" in done.stderr
    assert left(tmp_path) == []


@pytest.fixture
def acts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that a run's acts of undoing write into."""
    monkeypatch.setenv(undo.FOLDER, "of the run that this test is part of")
    undo.begin()
    return tmp_path / "acts"


def act(path: Path, name: str) -> None:
    if name == "impossible":
        raise OSError("cannot be undone")
    with path.open("a") as stream:
        stream.write(f"{name} ")


def test_what_is_left_is_undone_last_first_and_one_failure_is_told(
    acts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("first", "impossible", "last"):
        undo.note(act, acts, name)
    undo.end()
    assert acts.read_text() == "last first "
    assert "Left behind by a test that did not end: act" in (said := capsys.readouterr().err)
    assert "cannot be undone" in said


def test_what_leaves_nothing_behind_is_undone_only_where_it_is_broken_off(acts: Path) -> None:
    with undo.unless_it_ends(act, acts, "unwanted"):
        pass
    with pytest.raises(KeyboardInterrupt), undo.unless_it_ends(act, acts, "broken off"):
        raise KeyboardInterrupt
    undo.end()
    assert acts.read_text() == "broken off "
