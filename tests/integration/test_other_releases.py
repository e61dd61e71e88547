"""Folders of other migration tools are taken as they are: golang-migrate, Flyway, numbered files without header.

They are applied without a playbook; test_adopt.py runs one with numbered files. The sets below `releases/` were written
for these tests, in the style of those tools.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import undo
from tests.fuzz.driver import Outcome
from tests.integration.oracle import Case
from tests.local import Local

RELEASES = Path(__file__).parent / "releases"
SETS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "golang": (
        {},
        "apply 000001, apply 000002, start 000003, apply 000003",
        "SELECT string_agg(label || ' ' || beds, ', ' ORDER BY id) FROM wards",
        "north 12, south 8",
    ),
    "flyway": (
        {},
        "apply 1, apply 1.1, apply 2, repeat R",
        "SELECT full_name FROM speaking_english",
        "Trần Thị Mai",
    ),
    "dbmate": (
        {},
        "apply 20240101120000, apply 20240102120000",
        "SELECT count(*), max(depth) FROM ponds",
        "1|2",
    ),
    "goose": (
        {},
        "apply 00001, start 00002, apply 00002, apply 00003",
        "SELECT count(*) FROM pg_indexes WHERE tablename = 'ponds'",
        "2",
    ),
    "numbered": (
        {"header_required": False},
        "apply 001, apply 002",
        "SELECT count(*), count(serial_number) FROM devices",
        "2|0",
    ),
}


@pytest.fixture
def cases(local: Local, tmp_path: Path) -> Iterator[dict[str, Case]]:
    """A database and a copy of the folder for each style."""
    with ExitStack() as stack:
        made = {}
        for style in SETS:
            database = f"test_other_{style}"
            stack.enter_context(undo.afterwards(local.drop_database, database))
            local.create_database(database)
            made[style] = Case(local, database, Path(shutil.copytree(RELEASES / style, tmp_path / style)))
        yield made


def test_a_folder_of_another_tool_is_taken_as_it_is(cases: dict[str, Case]) -> None:
    for style, case in cases.items():
        variables, history, query, answer = SETS[style]
        applied = case.apply(**variables)
        assert applied.ok, applied
        assert case.history() == history
        assert case.psql(query) == answer
        assert case.apply(**variables) == Outcome()
        last = edited(case.release, style)
        refused = case.apply(**variables)
        assert f"{last.name} was edited after it was applied" in " ".join(refused.refused.split()), refused
        assert refused.sent == 0


def edited(release: Path, style: str) -> Path:
    """Edit what the newest file of a folder does on its way up, and return it."""
    files = [path for path in release.rglob("*.sql") if re.match(r"[V02]", path.name) and "down" not in path.name]
    last = max(files)
    up, mark, down = last.read_text().partition("\n-- migrate:down" if style == "dbmate" else "\n-- +goose Down")
    last.write_text(f"{up}\n-- edited\n{mark}{down}")
    return last
