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

from tests import apart, undo
from tests.apart import failure_of
from tests.local import Local, release_up_to

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
    assert result.status != 0
    assert "The release or the inventory is refused; no host was touched" in result.output
    assert result.changed == 0, result.output
    assert state(local) == before
    assert "The variable migrations_taget is unknown. Did you mean migrations_target?" in result.output
    assert "Correct it and run the same command again." in result.output


@pytest.mark.fault(18)
def test_an_error_keeps_what_was_before_it_and_a_file_that_was_cut_breaks_its_promises(
    local: Local, tmp_path: Path, database: str
) -> None:
    """The cut one, 002, ends after a statement, and the error is at run time in 003. Nothing later is sent.

    Also not what would succeed: a file without transaction, and one in the script after it.
    """
    release = release_up_to("003", tmp_path)
    cut = release / "migrations/002_clinical_schema.sql"
    cut.write_text(cut.read_text().partition("CREATE TRIGGER trg_treatment_sessions_updated_at")[0])
    alone = "-- Transactional: no\n\nCREATE INDEX CONCURRENTLY idx_organizations_name ON organizations (name);"
    write(release, "901_alone", alone)
    write(release, "902_rooms", "CREATE TABLE rooms (id int CONSTRAINT rooms_pkey PRIMARY KEY);")
    append(release, "003_checklist_schema.sql", b"\nINSERT INTO users (email)\nVALUES ('canary@example.org');\n")
    lines = (release / "migrations/003_checklist_schema.sql").read_text().count("\n")
    hosts: dict[str, dict[str, Any]] = {
        "error": {"database_name": database},
        "cut": {"database_name": f"{database[:50]}_cut", "migrations_target": "002"},
    }
    with undo.afterwards(local.drop_database, hosts["cut"]["database_name"]):
        result = apart.play(local, tmp_path / "play", "deploy.yml", hosts, "-vvv", release_directory=str(release))
    assert result.status != 0
    assert "trg_treatment_sessions_updated_at" in failure_of(result, "cut"), result.output
    said = failure_of(result, "error")
    place = rf"files/migrations/003_checklist_schema\.sql:{lines - 1}: \[23502\] null value in column"
    assert re.search(place, said), result.output
    assert "001_initial_schema.sql to 002_clinical_schema.sql (2) applied and recorded by this run" in said
    assert "Next: correct files/migrations/003_checklist_schema.sql" in said
    assert "canary" not in result.output
    assert "INSERT INTO" not in result.output
    assert local.psql("SELECT array_agg(version ORDER BY id) FROM migrations.history", database, role="postgres") == (
        "{001,002}"
    )
    assert local.psql("SELECT to_regclass('visit_checklists') IS NULL", database) == "t"
