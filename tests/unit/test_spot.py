"""The linter of what others could slip into a function: it finds what is planted, and is never silently absent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.local import ROOT

PLANTED = """
CREATE FUNCTION plain() RETURNS int LANGUAGE sql RETURN 1;
CREATE FUNCTION planted() RETURNS int LANGUAGE plpgsql {} AS $$ BEGIN RETURN 1; END $$;
"""
SAFE = "SET search_path = pg_catalog, pg_temp"


def look(folder: Path, function: str) -> subprocess.CompletedProcess[str]:
    path = folder / "planted.sql"
    path.write_text(PLANTED.format(function))
    command = [sys.executable, "-m", "tests.spot", str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.control("S15")
def test_a_function_that_trusts_the_callers_search_path_is_found(tmp_path: Path) -> None:
    found = look(tmp_path, "SECURITY DEFINER")
    assert (found.returncode, "PS003" in found.stdout) == (1, True), found
    assert look(tmp_path, f"SECURITY DEFINER {SAFE}").returncode == 0


def test_without_the_linter_nothing_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    assert look(tmp_path, SAFE).returncode == 1
