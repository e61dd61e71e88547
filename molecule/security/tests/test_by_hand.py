"""The proofs by hand of docs/security.md: each command of the page, as it stands there, prints what stands below it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from testinfra.host import Host

PAGE = Path(__file__).resolve().parents[3] / "docs/security.md"
# Where a row has its command only on some hosts: what there has to be.
NEEDS = {
    "S16": "/usr/lib/postgresql/{version}/lib/pgaudit.so",
    "S25": "/etc/apt/sources.list.d/pgdg.sources",
}


def proofs(page: str) -> list[tuple[str, str, list[str]]]:
    """Return row, command and the lines below it for each `    # command` of a page."""
    found: list[tuple[str, str, list[str]]] = []
    row = ""
    for line in page.splitlines():
        if line.startswith("### S"):
            row = line.removeprefix("### ")
        elif row and line.startswith("    # "):
            found.append((row, line.removeprefix("    # "), []))
        elif row and line.startswith("    ") and found and found[-1][0] == row:
            found[-1][2].append(line.removeprefix("    "))
    return found


TEXT = PAGE.read_text(encoding="utf-8")
PROOFS = proofs(TEXT)
PRELUDE = next(line.strip() for line in TEXT.splitlines() if line.startswith("    q() "))


def test_every_row_has_a_proof() -> None:
    rows = set(re.findall(r"^\| \[(S\d+)\]", TEXT, re.MULTILINE))
    assert len(rows) == 29
    assert rows - {row for row, _, _ in PROOFS} == {
        "S27"
    }  # from the controller; tests/integration/test_backup_off_host.py


@pytest.mark.parametrize(
    ("row", "command", "lines"),
    [pytest.param(*proof, id=f"{proof[0]}-{number}") for number, proof in enumerate(PROOFS)],
)
def test_the_command_of_the_page_prints_what_stands_there(
    host: Host, version: str, row: str, command: str, lines: list[str]
) -> None:
    needed = NEEDS.get(row, "/").format(version=version)
    if not host.file(needed).exists:
        pytest.skip(f"{row} has no such file on this host: {needed}")
    there = re.sub(r"(?<=[/@-])16(?=[/-])", version, command)
    done = host.run("bash -c %s", f"{PRELUDE}\n{there}")
    printed = f"{done.stdout}{done.stderr}"
    if not lines:
        assert printed.strip() == ""
    for line in lines:
        assert line.replace("16.", f"{version}.") in printed
