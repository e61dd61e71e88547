"""Folders of other migration tools are taken as they are: golang-migrate, Flyway, numbered files without header.

The sets below `releases/` were written for these tests, in the style of those tools.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.driver import Outcome
from tests.integration.oracle import HISTORY, Case
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
        {"migrations_header_required": False},
        "apply 001, apply 002",
        "SELECT count(*), count(serial_number) FROM devices",
        "2|0",
    ),
}


@pytest.mark.parametrize("style", SETS)
def test_a_folder_of_another_tool_is_taken_as_it_is(local: Local, database: str, tmp_path: Path, style: str) -> None:
    variables, history, query, answer = SETS[style]
    release = shutil.copytree(RELEASES / style, tmp_path / style)
    local.psql(f'CREATE DATABASE "{database}" OWNER emr', "postgres", role="postgres")
    place = {"release_directory": str(release), "database_name": database, "backup_before_migration": False}

    case = Case(local, database, release)

    first = local.play("playbooks/migrate.yml", **place, **variables)
    assert first.status == 0, first.output
    assert local.psql(HISTORY, database, role="postgres") == history
    assert local.psql(query, database) == answer
    header = {name.removeprefix("migrations_"): value for name, value in variables.items()}
    assert case.apply(**header) == Outcome()
    last = sorted(path for path in release.rglob("*.sql") if re.match(r"[V02]", path.name) and "down" not in path.name)[
        -1
    ]
    up, mark, down = last.read_text().partition("\n-- migrate:down" if style == "dbmate" else "\n-- +goose Down")
    last.write_text(f"{up}\n-- edited\n{mark}{down}")
    refused = case.apply(**header)
    assert f"{last.name} was edited after it was applied" in " ".join(refused.refused.split()), refused
    assert refused.sent == 0
