"""Every bad input: one clear sentence with place and remedy, exit code not 0, and an untouched database.

Each spoils a copy of the real release, or a variable, and deploys it onto the server of the session. That each refusal
is one of its own is proven in tests/unit (catalog, plan, variables); here that all of them are said, and nothing done.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import apart
from tests.apart import failure_of
from tests.local import Local, Result

MIGRATION = "-- Migration: {name}\n-- Description: test\n-- Depends on: {depends}\n\n{body}\n"


def write(release: Path, name: str, body: str = "SELECT 1;", depends: str = "001") -> None:
    (release / "migrations" / f"{name}.sql").write_text(MIGRATION.format(name=name, body=body, depends=depends))


def append(release: Path, name: str, data: bytes) -> None:
    path = release / "migrations" / name
    path.write_bytes(path.read_bytes() + data)


def circle(release: Path, *versions: str) -> None:
    """Add files each of which depends on the one before it, and the first on the last."""
    for version, needed in zip(versions, (versions[-1], *versions), strict=False):
        write(release, f"{version}_x", depends=needed)


LAST = "015_bhyt_validation_rules.sql"

# (what spoils the release, the sentence that must be seen)
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "duplicate version": (
        lambda r: write(r, "003_again"),
        r"files/migrations/003_checklist_schema\.sql: version 003 is also the version of "
        r"files/migrations/003_again\.sql\. Renumber the newer file\.",
    ),
    "unknown dependency": (
        lambda r: write(r, "901_x", depends="099"),
        r"files/migrations/901_x\.sql: depends on 099, and no file has that version\. Add 099_NAME\.sql or correct",
    ),
    "cycle of 1": (lambda r: circle(r, "921"), r"921_x\.sql: .* form a cycle: 921 -> 921\. Remove one"),
    "cycle of 2": (
        lambda r: circle(r, "922", "923"),
        r"922_x\.sql: .* form a cycle: 922 -> 923 -> 922\. Remove one",
    ),
    "cycle of 3": (
        lambda r: circle(r, "924", "925", "926"),
        r"924_x\.sql: .* form a cycle: 924 -> 926 -> 925 -> 924\. Remove one",
    ),
    "file name": (lambda r: write(r, "16-x"), r"files/migrations/16-x\.sql: not named NNN_name\.sql .* Rename"),
    "not UTF-8": (
        lambda r: append(r, "014_seed_clinical_protocols.sql", b"SELECT '\xe9';\n"),
        r"files/migrations/014_seed_clinical_protocols\.sql:\d+: not UTF-8: byte 0xE9 at offset \d+\. Save",
    ),
    "NUL byte": (
        lambda r: append(r, LAST, b"SELECT '\0';\n"),
        r"015_bhyt_validation_rules\.sql:\d+: NUL byte at offset \d+: .* Remove it\.",
    ),
    "psql command": (
        lambda r: write(r, "931_x", body="\\i other.sql"),
        r"931_x\.sql:5: \\i is a psql command, not SQL\. Remove it\.",
    ),
    "COPY FROM stdin": (
        lambda r: write(r, "932_x", body="COPY patients FROM stdin;\n1\t2\n\\."),
        r"932_x\.sql:5: COPY with standard input or output works in psql only\. Use INSERT\.",
    ),
    "COMMIT in the middle": (
        lambda r: write(r, "933_x", body="SELECT 1;\nCOMMIT;\nSELECT 2;"),
        r"933_x\.sql:6: transaction control .* Remove it\.",
    ),
    "VACUUM in a transaction": (
        lambda r: write(r, "934_x", body="VACUUM patients;"),
        r"934_x\.sql:5: PostgreSQL does not run this statement in a transaction\. .* `-- Transactional: no`",
    ),
    "empty file": (
        lambda r: (r / "migrations/935_x.sql").write_bytes(b""),
        r"935_x\.sql:1: contains no SQL statement\. Write it, or delete the file\.",
    ),
    "open quote": (
        lambda r: write(r, "936_x", body="SELECT 1;\nSELECT 'open;\nSELECT 2;"),
        r"936_x\.sql:6: unterminated quoted string\. Correct the file\.",
    ),
    "syntax error in the middle of the set": (
        lambda r: append(r, "007_billing_tables.sql", b"\nCREATE TABEL x (y integer);\n"),
        r'files/migrations/007_billing_tables\.sql:\d+: syntax error at or near "TABEL"\. Correct the file\.',
    ),
    "rollback without migration": (
        lambda r: (r / "rollbacks/937_x.sql").write_text("-- Rollback: 937_x\n-- Description: x\nSELECT 1;\n"),
        r"files/rollbacks/937_x\.sql: belongs to no migration",
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


@pytest.mark.fault(17)
@pytest.mark.fault(21)
@pytest.mark.fault(22)
@pytest.mark.fault(23)
@pytest.mark.fault(24)
@pytest.mark.fault(26)
@pytest.mark.fault(27)
@pytest.mark.fault(28)
@pytest.mark.fault(29)
def test_all_that_is_bad_in_a_release_is_said_at_once_before_any_host_is_touched(local: Local, release: Path) -> None:
    before = state(local)
    for spoil, _ in REFUSED.values():
        spoil(release)
    result = local.play(release_directory=str(release), migrations_taget="010")
    for _, pattern in REFUSED.values():
        assert re.search(rf"^ +(?:files/migrations/)?{pattern}", result.output, re.MULTILINE), pattern + result.output
    refused(local, result, "The release or the inventory is refused; no host was touched", before)
    assert "The variable migrations_taget is unknown. Did you mean migrations_target?" in result.output
    assert "Correct it and run the same command again." in result.output


BAD_NAMES: dict[str, tuple[dict[str, Any], str]] = {
    "injection": ({"database_name": "x; DROP DATABASE physioflow;--"}, "x; DROP DATABASE physioflow;--"),
    "long": ({"database_name": "a" * 64}, "a" * 64),
    "role": ({"database_app_role": "Emr-App"}, "Emr-App"),
}


@pytest.mark.fault(38)
@pytest.mark.fault(39)
def test_a_name_that_would_have_to_be_quoted_is_refused(local: Local, tmp_path: Path) -> None:
    inventory = apart.inventory(tmp_path / "inventory", {host: variables for host, (variables, _) in BAD_NAMES.items()})
    before = state(local)
    result = local.play("deploy.yml", "-i", str(inventory))
    refused(local, result, "No host was touched", before)
    for host, (_, name) in BAD_NAMES.items():
        assert f'the first not a digit): "{name}". No host was touched.' in failure_of(result, host), result.output


def test_a_release_folder_that_is_not_there_is_refused(local: Local) -> None:
    before = state(local)
    result = local.play(release_directory="/nowhere")
    refused(local, result, r"There is no release folder /nowhere\. Nothing was touched", before)


@pytest.mark.fault(25)
def test_an_older_file_added_later_is_applied_where_that_is_allowed(local: Local, release: Path, database: str) -> None:
    """That it is refused elsewhere: test_refused_deploy.py."""
    local.create_database(database, "physioflow")
    write(release, "000_late", "CREATE TABLE late (id int CONSTRAINT late_pkey PRIMARY KEY);", depends="none")
    allowed = local.deploy(
        release_directory=str(release),
        database_name=database,
        migrations_out_of_order=True,
        backup_before_migration=False,
    )
    assert "1 applied now" in allowed.output
    assert local.psql("SELECT version FROM migrations.history ORDER BY id DESC LIMIT 1", database, role="postgres") == (
        "000"
    )
    assert local.psql("SELECT to_regclass('late') IS NOT NULL", database) == "t"


@pytest.mark.fault(19)
@pytest.mark.fault(20)
def test_line_ends_and_byte_order_mark_are_accepted_and_said(local: Local, release: Path) -> None:
    marked = release / "migrations/007_billing_tables.sql"
    marked.write_bytes(b"\xef\xbb\xbf" + marked.read_bytes())
    ended = release / "migrations/008_clinical_protocols_tables.sql"
    ended.write_bytes(ended.read_bytes().replace(b"\n", b"\r\n"))
    result = local.deploy(release_directory=str(release))
    assert result.changed == 0
    for path, words in ((marked, "byte order mark"), (ended, "CRLF line ends")):
        assert re.search(rf"{path.name}.*{words}", result.output), result.output


def test_a_run_time_error_keeps_what_was_before_it_and_nothing_later_is_sent(
    local: Local, release: Path, database: str
) -> None:
    """Also not what would succeed: a file without transaction, and one in the script after it."""
    alone = "-- Transactional: no\n\nCREATE INDEX CONCURRENTLY idx_organizations_name ON organizations (name);"
    write(release, "901_alone", alone)
    write(release, "902_rooms", "CREATE TABLE rooms (id int CONSTRAINT rooms_pkey PRIMARY KEY);")
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
