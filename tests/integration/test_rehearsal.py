"""The rehearsal: pending files run on a copy of the backup before the database sees them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.backup.errors import BackupError

from tests.backups import Clinic
from tests.integration.oracle import Case
from tests.local import Local, release_up_to

CLINIC = """
INSERT INTO organizations (name) VALUES ('canary');
INSERT INTO clinics (organization_id, name) SELECT id, 'canary' FROM organizations
"""


def test_what_fails_on_the_copy_never_reaches_the_database(local: Local, tmp_path: Path, database: str) -> None:
    local.create_database(database)
    local.psql('CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION pg_trgm', database, role="postgres")
    case = Case(local, database, release_up_to("001", tmp_path))
    first = case.apply()
    assert first.ok, first
    local.psql(CLINIC, database)
    before = local.catalogs(database)
    copy = f"{database[:53]}_rehearsal"
    options: dict[str, Any] = {"database_name": database, "release_directory": str(case.release), "rehearse": True}

    # A file that only the data refuse, as it happens on a real database.
    bad = case.write("901_clinic_phone", "ALTER TABLE clinics ADD CONSTRAINT chk_clinics_name CHECK (name = '');")
    refused = local.play("playbooks/migrate.yml", **options)
    assert refused.status != 0
    said = " ".join(refused.output.split())
    reason = rf"The rehearsal on a copy of ({database}_backup_\d+_\d+) failed, so the database {database} was"
    named = re.search(reason, said)
    assert named, refused.output
    assert "files/migrations/901_clinic_phone.sql:5: [23514] check constraint" in said, refused.output
    assert local.catalogs(database) == before
    assert case.history() == "apply 001"
    assert copy not in local.databases()

    # A database of that name that is no copy is left alone.
    local.create_database(copy)
    local.psql("CREATE TABLE theirs (id int)", copy)
    clinic = Clinic(local, database, local.folder / "backups")
    with pytest.raises(BackupError, match=rf"The database {copy} exists and holds 1 tables"):
        clinic.act("copy", backup=named[1], database=copy)
    clinic.act("drop_copy", database=copy)
    assert local.psql("SELECT count(*) FROM theirs", copy) == "0"

    # As if that run had been killed: its copy is still there.
    comment = "physioflow-backup: a copy for a rehearsal"
    local.psql(f"COMMENT ON DATABASE \"{copy}\" IS '{comment}'", "postgres", role="postgres")
    bad.unlink()
    case.write("901_clinic_motto", "ALTER TABLE clinics ADD COLUMN motto text;")
    result = local.deploy(**options)
    assert re.search(r"Rehearsal +1 applied to a copy in \d+ ms, \d+ checks of 2 migrations hold", result.output)
    assert re.search(r"clinics +ACCESS EXCLUSIVE", result.output), result.output
    assert copy not in local.databases()
    assert case.history() == "apply 001, apply 901"
