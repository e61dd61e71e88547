"""Every bad input: one clear sentence with place and remedy, exit code not 0, and an untouched database.

Each case spoils a copy of the real release, or a variable, and deploys it onto the server of the session.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.local import Local, Result

MIGRATION = "-- Migration: {name}\n-- Description: test\n-- Depends on: {depends}\n\n{body}\n"


def write(release: Path, name: str, body: str = "SELECT 1;", depends: str = "001") -> None:
    (release / "migrations" / f"{name}.sql").write_text(MIGRATION.format(name=name, body=body, depends=depends))


def append(release: Path, name: str, data: bytes) -> None:
    path = release / "migrations" / name
    path.write_bytes(path.read_bytes() + data)


def depend(release: Path, **depends: str) -> None:
    """Add three files 016-018 whose dependencies are given by version."""
    for version in ("016", "017", "018"):
        write(release, f"{version}_x", depends=depends.get(f"v{version}", "001"))


LAST = "015_bhyt_validation_rules.sql"

# The rows of the matrix of faults that the cases are.
ROWS = {
    "open quote": 17,
    "not UTF-8": 21,
    "NUL byte": 22,
    "psql command": 23,
    "duplicate version": 24,
    "unknown dependency": 26,
    "cycle of 1": 27,
    "cycle of 2": 27,
    "cycle of 3": 27,
    "COMMIT in the middle": 28,
    "VACUUM in a transaction": 29,
}

# name: (what spoils the release, the sentence that must be seen)
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "duplicate version": (
        lambda r: write(r, "003_again"),
        r"files/migrations/003_checklist_schema\.sql: version 003 is also the version of "
        r"files/migrations/003_again\.sql\. Renumber the newer file\.",
    ),
    "unknown dependency": (
        lambda r: write(r, "016_x", depends="099"),
        r"files/migrations/016_x\.sql: depends on 099, and no file has that version\. Add 099_NAME\.sql or correct",
    ),
    "cycle of 1": (lambda r: depend(r, v016="016"), r"016_x\.sql: .* in a circle: 016 -> 016\. Remove one"),
    "cycle of 2": (
        lambda r: depend(r, v016="017", v017="016"),
        r"016_x\.sql: .* in a circle: 016 -> 017 -> 016\. Remove one",
    ),
    "cycle of 3": (
        lambda r: depend(r, v016="018", v017="016", v018="017"),
        r"016_x\.sql: .* in a circle: 016 -> 018 -> 017 -> 016\. Remove one",
    ),
    "file name": (lambda r: write(r, "16-x"), r"files/migrations/16-x\.sql: not named NNN_name\.sql .* Rename"),
    "not UTF-8": (
        lambda r: append(r, LAST, b"SELECT '\xe9';\n"),
        r"files/migrations/015_bhyt_validation_rules\.sql:\d+: not UTF-8: byte 0xE9 at offset \d+\. Save",
    ),
    "NUL byte": (
        lambda r: append(r, LAST, b"SELECT '\0';\n"),
        r"015_bhyt_validation_rules\.sql:\d+: NUL byte at offset \d+: .* Remove it\.",
    ),
    "psql command": (
        lambda r: write(r, "016_x", body="\\i other.sql"),
        r"016_x\.sql:5: \\i is a command of psql, not SQL, .* Remove it\.",
    ),
    "COPY FROM stdin": (
        lambda r: write(r, "016_x", body="COPY patients FROM stdin;\n1\t2\n\\."),
        r"016_x\.sql:5: COPY with standard input or output works in psql only\. Use INSERT\.",
    ),
    "COMMIT in the middle": (
        lambda r: write(r, "016_x", body="SELECT 1;\nCOMMIT;\nSELECT 2;"),
        r"016_x\.sql:6: transaction control .* Remove it\.",
    ),
    "VACUUM in a transaction": (
        lambda r: write(r, "016_x", body="VACUUM patients;"),
        r"016_x\.sql:5: PostgreSQL does not run this statement in a transaction\. .* `-- Transactional: no`",
    ),
    "empty file": (
        lambda r: (r / "migrations/016_x.sql").write_bytes(b""),
        r"016_x\.sql:1: holds no SQL statement\. Write it, or delete the file\.",
    ),
    "open quote": (
        lambda r: write(r, "016_x", body="SELECT 1;\nSELECT 'open;\nSELECT 2;"),
        r"016_x\.sql:6: unterminated quoted string\. Correct the file\.",
    ),
    "syntax error in the middle of the set": (
        lambda r: append(r, "007_billing_tables.sql", b"\nCREATE TABEL x (y integer);\n"),
        r'files/migrations/007_billing_tables\.sql:\d+: syntax error at or near "TABEL"\. Correct the file\.',
    ),
    "rollback without migration": (
        lambda r: (r / "rollbacks/016_x.sql").write_text("-- Rollback: 016_x\n-- Description: x\nSELECT 1;\n"),
        r"files/rollbacks/016_x\.sql: belongs to no migration",
    ),
}


def state(local: Local) -> str:
    """Return all that a refused deploy must leave as it was."""
    return "\n".join(
        [
            *local.databases(),
            local.psql("SELECT count(*), max(id) FROM migrations.history", role="postgres"),
            local.catalogs("physioflow"),
        ]
    )


def refused(local: Local, result: Result, pattern: str, before: str) -> None:
    assert result.status != 0, result.output
    assert re.search(pattern, result.output), result.output
    assert result.changed == 0, result.output
    assert state(local) == before


@pytest.mark.parametrize(
    "case", [pytest.param(name, marks=pytest.mark.fault(ROWS[name]) if name in ROWS else ()) for name in REFUSED]
)
def test_a_bad_release_is_refused_before_any_host_is_touched(local: Local, release: Path, case: str) -> None:
    spoil, pattern = REFUSED[case]
    before = state(local)
    spoil(release)
    result = local.play(release_directory=str(release))
    refused(local, result, pattern, before)
    assert "no host was touched" in result.output


VARIABLES: dict[str, tuple[dict[str, Any], str]] = {
    "database name": ({"database_name": 'x"; DROP DATABASE physioflow;--'}, r"database_name"),
    "database name too long": ({"database_name": "a" * 64}, r"database_name"),
    "role name": ({"database_app_role": "Emr-App"}, r"database_app_role"),
    "misspelt variable": (
        {"migrations_taget": "010"},
        r"The variable migrations_taget is known to no role\. Did you mean migrations_target\?",
    ),
    "port out of range": ({"postgresql_embedded_port": 70000}, r"70000"),
    "port that is no number": ({"postgresql_embedded_port": "abc"}, r"abc"),
    "unknown target": ({"migrations_target": "099"}, r"The target 099 is no version of this release"),
    "target that lies behind": ({"migrations_target": "010"}, r"The target 010 is before 015, which is applied"),
    "release folder": ({"release_directory": "/nowhere"}, r"There is no release folder /nowhere\. Nothing was touched"),
    "provider": ({"postgresql_provider": "magic"}, r"postgresql_provider"),
}


@pytest.mark.parametrize("case", VARIABLES)
def test_a_bad_variable_is_refused(local: Local, case: str) -> None:
    variables, pattern = VARIABLES[case]
    before = state(local)
    refused(local, local.play(**variables), pattern, before)


@pytest.mark.fault(15)
def test_an_applied_file_that_was_edited_is_refused(local: Local, release: Path) -> None:
    before = state(local)
    append(release, "007_billing_tables.sql", b"-- one more word\n")
    result = local.play(release_directory=str(release))
    refused(
        local,
        result,
        r"files/migrations/007_billing_tables\.sql was edited after it was applied: recorded SHA-256 [0-9a-f]{12}",
        before,
    )


@pytest.mark.fault(16)
def test_an_applied_file_that_was_deleted_is_refused(local: Local, release: Path) -> None:
    before = state(local)
    for folder in ("migrations", "rollbacks", "verify"):
        for path in (release / folder).glob("015_*"):
            path.unlink()
    result = local.play(release_directory=str(release))
    refused(local, result, r"015_bhyt_validation_rules\.sql is applied and missing in the release\. Bring", before)


@pytest.mark.fault(16)
def test_an_applied_file_that_was_renamed_is_refused(local: Local, release: Path) -> None:
    before = state(local)
    for folder in ("migrations", "rollbacks", "verify"):
        for path in (release / folder).glob("015_*"):
            renamed = path.with_name(path.name.replace("015_bhyt_validation_rules", "015_rules"))
            renamed.write_text(path.read_text().replace("015_bhyt_validation_rules", "015_rules"))
            path.unlink()
    result = local.play(release_directory=str(release))
    refused(local, result, r"015_bhyt_validation_rules\.sql.*015_rules\.sql", before)


@pytest.mark.fault(25)
def test_an_older_file_added_later_is_refused(local: Local, release: Path, database: str) -> None:
    late = {path: path.read_text() for path in release.rglob("004_*")}
    for path in late:
        path.unlink()
    local.deploy(release_directory=str(release), database_name=database)
    for path, text in late.items():
        path.write_text(text)
    before = local.catalogs(database)
    result = local.play(release_directory=str(release), database_name=database)
    assert result.status != 0
    assert "004_scheduling_schema.sql is not applied, but the later 015_bhyt_validation_rules.sql is" in result.output
    assert local.catalogs(database) == before
    allowed = local.deploy(release_directory=str(release), database_name=database, migrations_out_of_order=True)
    assert "1 applied now" in allowed.output


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(b"\xef\xbb\xbf", id="byte order mark", marks=pytest.mark.fault(20)),
        pytest.param(b"", id="CRLF", marks=pytest.mark.fault(19)),
    ],
)
def test_line_ends_and_byte_order_mark_are_accepted_and_said(local: Local, release: Path, spoil: bytes) -> None:
    path = release / "migrations/007_billing_tables.sql"
    data = path.read_bytes()
    path.write_bytes(spoil + data if spoil else data.replace(b"\n", b"\r\n"))
    result = local.deploy(release_directory=str(release))
    assert result.changed == 0
    words = "byte order mark" if spoil else "CRLF line ends"
    assert re.search(rf"007_billing_tables\.sql.*{words}", result.output), result.output


def test_a_run_time_error_keeps_what_was_before_it(local: Local, release: Path, database: str) -> None:
    append(release, "003_checklist_schema.sql", b"\nINSERT INTO users (email)\nVALUES ('canary@example.org');\n")
    lines = (release / "migrations/003_checklist_schema.sql").read_text().count("\n")
    result = local.play("deploy.yml", "-vvv", release_directory=str(release), database_name=database)
    assert result.status != 0
    assert re.search(
        rf"files/migrations/003_checklist_schema\.sql:{lines - 1}: \[23502\] null value in column", result.output
    ), result.output
    assert "001_initial_schema.sql to 002_clinical_schema.sql (2) applied and recorded by this run" in result.output
    assert "Next: correct files/migrations/003_checklist_schema.sql" in result.output
    assert "canary" not in result.output
    assert "INSERT INTO" not in result.output
    assert local.psql("SELECT array_agg(version ORDER BY id) FROM migrations.history", database, role="postgres") == (
        "{001,002}"
    )
    assert local.psql("SELECT to_regclass('visit_checklists') IS NULL", database) == "t"
    local.deploy(database_name=database)
    assert local.psql("SELECT count(*) FROM migrations.applied", database, role="postgres") == "15"


@pytest.mark.fault(18)
def test_a_file_that_was_cut_at_the_end_of_a_statement_breaks_its_promises(
    local: Local, release: Path, database: str
) -> None:
    path = release / "migrations" / LAST
    whole = path.read_text()
    path.write_text(whole[: whole.rindex("CREATE OR REPLACE FUNCTION")])
    result = local.play(release_directory=str(release), database_name=database)
    assert result.status != 0
    assert "validate_bhyt_card" in result.output
    path.write_text(whole)  # the whole file is not taken for the one that was applied
    result = local.play(release_directory=str(release), database_name=database)
    assert result.status != 0
    assert f"{LAST} was edited after it was applied" in " ".join(result.output.split())
