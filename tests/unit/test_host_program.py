"""The program of the timers, and the look whether a host has it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.lookup.host_program import program
from ansible_collections.physioflow.database.plugins.modules import host_files_info as look

from tests.local import ROOT

CODE = ROOT / "plugins/module_utils"


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-IB", str(program), *arguments]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", ["backup", "status"])
def test_the_program_runs_alone(tmp_path: Path, command: str) -> None:
    path = tmp_path / "physioflow.pyz"
    path.write_bytes(program(CODE))
    done = run(path, command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: physioflow.pyz {command} ")


def test_another_command_is_none(tmp_path: Path) -> None:
    path = tmp_path / "physioflow.pyz"
    path.write_bytes(program(CODE))
    for arguments in ([], ["restore"]):
        done = run(path, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "{backup,pitr,status}" in done.stderr


def test_the_same_sources_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", "system/c.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    before = program(tmp_path)
    os.utime(tmp_path / "a.py", (0, 0))
    (tmp_path / "a.py").chmod(0o600)
    (tmp_path / "system/c.py").write_text("x = 2\n")  # not in it
    assert program(tmp_path) == before
    (tmp_path / "a.py").write_text("x = 2\n")
    assert program(tmp_path) != before


def test_a_file_that_differs_is_found(tmp_path: Path) -> None:
    path = tmp_path / "unit"
    wanted = {"path": str(path), "sha256": hashlib.sha256(b"[Unit]\n").hexdigest(), "mode": "0644"}
    assert look.file_differs(wanted, None)
    path.write_text("[Unit]\n")
    path.chmod(0o644)
    if os.geteuid() == 0:
        assert not look.file_differs(wanted, None)
    assert look.file_differs(wanted | {"sha256": ""}, None)
    path.chmod(0o664)
    assert look.file_differs(wanted, None)
    path.unlink()
    path.symlink_to("/etc/hostname")
    assert look.file_differs(wanted, None)


def test_a_folder_that_cannot_be_taken_is_told(tmp_path: Path) -> None:
    mine, other = os.geteuid(), os.geteuid() + 1
    folder = tmp_path / "backups"
    assert look.folder_problem(folder, "emr_backup", None) == ""
    folder.mkdir(mode=0o700)
    (folder / "lost+found").mkdir()
    assert look.folder_problem(folder, "emr_backup", other) == ""
    assert not look.private_differs(folder, mine)
    assert look.private_differs(folder, other)
    (folder / "file").touch()
    assert "belongs to the user id" in look.folder_problem(folder, "emr_backup", other)
    assert look.folder_problem(folder, "emr_backup", mine) == ""
    assert "is a file, but must be a folder" in look.folder_problem(folder / "file", "emr_backup", mine)
    (tmp_path / "link").symlink_to(folder)
    assert "is a symbolic link" in look.folder_problem(tmp_path / "link", "emr_backup", mine)


@pytest.mark.parametrize(
    ("state", "wanted", "differs"),
    [
        ("UnitFileState=enabled\nActiveState=active", True, False),
        ("UnitFileState=enabled\nActiveState=inactive", True, True),
        ("UnitFileState=disabled\nActiveState=active", True, True),
        ("UnitFileState=\nActiveState=inactive", True, True),
        ("UnitFileState=enabled\nActiveState=inactive", False, True),
        ("UnitFileState=disabled\nActiveState=inactive", False, False),
        ("UnitFileState=\nActiveState=inactive", False, False),
    ],
)
def test_a_timer_that_differs_is_found(state: str, wanted: bool, differs: bool) -> None:
    module: Any = SimpleNamespace(
        params={"timers": {"a.timer": wanted, "b.timer": True}},
        run_command=lambda _: (0, f"{state}\n\nUnitFileState=enabled\nActiveState=active\n", ""),
    )
    assert look.timers_differing(module) == (["a.timer"] if differs else [])
