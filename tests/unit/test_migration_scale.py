"""Thousands of migrations cost in proportion."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import read_catalog
from ansible_collections.physioflow.database.plugins.module_utils.migrations.plan import make_plan


def seconds(folder: Path, number: int) -> float:
    """Return the CPU seconds for reading and planning so many files, each of which depends on the one before it."""
    (folder / "migrations").mkdir(parents=True)
    for n in range(1, number + 1):
        depends = "none" if n == 1 else f"{n - 1:05d}"
        head = f"-- Migration: {n:05d}_t\n-- Description: t\n-- Depends on: {depends}\n"
        (folder / f"migrations/{n:05d}_t.sql").write_text(f"{head}CREATE TABLE t{n} (id int);\n")
    begun = time.process_time()
    catalog = read_catalog(folder)
    assert catalog.findings == []
    entries = [asdict(migration) for migration in catalog.migrations]
    plan = make_plan(entries, entries)
    assert (plan.pending, plan.problems) == ([], [])
    return time.process_time() - begun


@pytest.mark.fault(57)
def test_ten_times_as_many_files_cost_about_ten_times_as_much(tmp_path: Path) -> None:
    few = seconds(tmp_path / "few", 500)
    many = seconds(tmp_path / "many", 5000)
    assert many < 25 * few  # in proportion 10, square 100
