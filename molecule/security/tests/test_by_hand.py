"""The proofs by hand of docs/security.md: each command of the page, as it stands there, prints what stands below it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from testinfra.host import Host

PAGE = Path(__file__).resolve().parents[3] / "docs/security.md"
# Where a row has its command only on some hosts: what there has to be.
NEEDS = {
    "S16": "/usr/lib/postgresql/16/lib/pgaudit.so",
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


END = "--end of the proof--"
ABSENT = "not on this host"
TEXT = PAGE.read_text(encoding="utf-8")
PROOFS = proofs(TEXT)
PRELUDE = next(line.strip() for line in TEXT.splitlines() if line.startswith("    q() "))


def test_every_row_has_a_proof() -> None:
    rows = set(re.findall(r"^\| \[(S\d+)\]", TEXT, re.MULTILINE))
    assert len(rows) == 29
    assert rows - {row for row, _, _ in PROOFS} == {
        "S27"
    }  # from the controller; tests/integration/test_backup_off_host.py


@pytest.fixture(scope="module")
def printed(host: Host, version: str) -> list[str]:
    """What each command printed, of one way into the host."""
    script = [PRELUDE]
    for row, command, _ in PROOFS:
        needed = NEEDS.get(row, "/")
        script.append(f"if test -e {needed}; then ({command}) 2>&1; else echo '{ABSENT}'; fi\necho '{END}'")
    done = host.run("bash -c %s", re.sub(r"(?<=[/@-])16(?=[/-])", version, "\n".join(script)))
    outputs = done.stdout.split(END)
    assert len(outputs) == len(PROOFS) + 1, done.stderr
    return list(outputs)


@pytest.mark.parametrize(
    ("number", "lines"),
    [pytest.param(number, lines, id=f"{row}-{number}") for number, (row, _, lines) in enumerate(PROOFS)],
)
def test_the_command_of_the_page_prints_what_stands_there(
    host: Host, printed: list[str], version: str, number: int, lines: list[str]
) -> None:
    output = printed[number].strip()
    row = PROOFS[number][0]
    if row in NEEDS and not host.file(NEEDS[row].replace("16", version)).exists:
        assert output == ABSENT
        return
    if not lines:
        assert output == ""
    for line in (line.strip().replace("16.", f"{version}.") for line in lines):
        # `f` or 0 stands in many a line.
        assert line in (output.splitlines() if len(line) < 3 else output)
