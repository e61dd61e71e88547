"""Folders of other migration tools are taken as they are: golang-migrate, Flyway, numbered files without header.

The sets below `releases/` were written for these tests, in the style of those tools.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integration.oracle import HISTORY
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

    def migrate() -> Any:
        return local.play("playbooks/migrate.yml", **place, **variables)

    first = migrate()
    assert first.status == 0, first.output
    assert local.psql(HISTORY, database, role="postgres") == history
    assert local.psql(query, database) == answer
    second = migrate()
    assert (second.status, second.changed) == (0, 0), second.output
    last = sorted(path for path in release.rglob("*.sql") if re.match(r"[V0]", path.name) and "down" not in path.name)[
        -1
    ]
    last.write_text(last.read_text() + "-- edited\n")
    refused = migrate()
    assert refused.status != 0
    assert f"{last.name} was edited after it was applied" in " ".join(refused.output.split())
