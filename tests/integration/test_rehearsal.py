"""The rehearsal: pending files run on a copy of the backup before the database sees them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.local import VERSIONS, Local

HEAD = "-- Migration: {0}\n-- Description: for the test\n-- Depends on: 001\n\n"
# A file that only the data refuse, as it happens on a real database.
BAD = "901_clinic_phone"
GOOD = "901_clinic_motto"
CLINIC = """
INSERT INTO organizations (name) VALUES ('canary');
INSERT INTO clinics (organization_id, name) SELECT id, 'canary' FROM organizations
"""


def write(release: Path, name: str, sql: str) -> None:
    (release / "migrations" / f"{name}.sql").write_text(HEAD.format(name) + sql)


def test_what_fails_on_the_copy_never_reaches_the_database(local: Local, release: Path, database: str) -> None:
    local.create_database(database, "physioflow")
    local.psql(CLINIC, database)
    before = local.catalogs(database)
    copy = f"{database[:53]}_rehearsal"
    options: dict[str, Any] = {"database_name": database, "release_directory": str(release), "rehearse": True}

    write(release, BAD, "ALTER TABLE clinics ADD CONSTRAINT chk_clinics_name CHECK (name <> 'canary');\n")
    refused = local.play("playbooks/migrate.yml", **options)
    assert refused.status != 0
    said = " ".join(refused.output.split())
    assert re.search(
        rf"The rehearsal on a copy of {database}_backup_\d+_\d+ failed, so the database {database} was", said
    )
    assert f"files/migrations/{BAD}.sql:5: [23514] check constraint" in said, refused.output
    assert local.catalogs(database) == before
    assert local.psql("SELECT count(*) FROM migrations.applied", database, role="postgres") == str(len(VERSIONS))
    assert copy not in local.databases()

    # As if that run had been killed: its copy is still there.
    local.psql(f'CREATE DATABASE "{copy}"', "postgres", role="postgres")
    comment = "physioflow-backup: a copy for a rehearsal"
    local.psql(f"COMMENT ON DATABASE \"{copy}\" IS '{comment}'", "postgres", role="postgres")
    (release / "migrations" / f"{BAD}.sql").unlink()
    write(release, GOOD, "ALTER TABLE clinics ADD COLUMN motto text;\n")
    result = local.deploy(**options)
    assert re.search(
        rf"Rehearsal +1 applied to a copy in \d+ ms, \d+ checks of {len(VERSIONS) + 1} migrations hold", result.output
    )
    assert re.search(r"clinics +ACCESS EXCLUSIVE", result.output), result.output
    assert copy not in local.databases()
    assert local.deploy(**options).changed == 0


def test_a_database_of_that_name_that_is_no_copy_is_left_alone(local: Local, release: Path, database: str) -> None:
    local.create_database(database, "physioflow")
    local.psql(CLINIC, database)
    theirs = f"{database[:53]}_rehearsal"
    local.psql(f'CREATE DATABASE "{theirs}"', "postgres", role="postgres")
    try:
        local.psql("CREATE TABLE theirs (id int)", theirs, role="postgres")
        write(release, GOOD, "ALTER TABLE clinics ADD COLUMN motto text;\n")
        options: dict[str, Any] = {"database_name": database, "release_directory": str(release), "rehearse": True}
        result = local.play("playbooks/migrate.yml", **options)
        assert result.status != 0
        assert f"The database {theirs} exists and holds 1 tables" in " ".join(result.output.split()), result.output
        assert local.psql("SELECT count(*) FROM theirs", theirs, role="postgres") == "0"
        assert local.psql("SELECT count(*) FROM migrations.applied", database, role="postgres") == str(len(VERSIONS))
    finally:
        local.drop_database(theirs)
