"""The rehearsal: pending files run on a copy of the backup before the database sees them."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.backup.errors import BackupError

from tests import apart, undo
from tests.backups import Clinic
from tests.integration.oracle import Case
from tests.integration.test_plan import EXTENSIONS
from tests.local import Local, release_up_to

CLINIC = """
INSERT INTO organizations (name) VALUES ('canary');
INSERT INTO clinics (organization_id, name) SELECT id, 'canary' FROM organizations
"""


def test_what_fails_on_the_copy_never_reaches_the_database(local: Local, tmp_path: Path) -> None:
    """A file that only the data of one database refuse; the other has a copy yet, as if a run had been killed."""
    cases = {host: Case(local, f"test_rehearsal_{host}", tmp_path / "files") for host in ("bad", "good")}
    release_up_to("001", tmp_path)
    with ExitStack() as stack:
        for case in cases.values():
            stack.enter_context(undo.afterwards(local.drop_database, case.database))
            local.create_database(case.database)
            case.psql(EXTENSIONS, role="postgres")
            assert case.apply().ok
        bad, good = cases.values()
        bad.psql(CLINIC)
        before = bad.catalogs()
        copy = f"{good.database}_rehearsal"
        stack.enter_context(undo.afterwards(local.drop_database, copy))
        local.create_database(copy)
        local.psql(f"COMMENT ON DATABASE {copy} IS 'physioflow-backup: a copy for a rehearsal'", role="postgres")
        bad.write("901_clinics", "ALTER TABLE clinics ADD CONSTRAINT chk_clinics_name CHECK (name <> 'canary');")

        hosts = {
            host: {"database_name": case.database, "backup_directory": str(tmp_path / host)}
            for host, case in cases.items()
        }
        play = tmp_path / "play"
        play.mkdir()
        common = {"release_directory": str(good.release), "rehearse": True}
        result = apart.play(local, play, "playbooks/migrate.yml", hosts, **common)
        assert result.status != 0
        said = apart.failure_of(result, "bad")
        named = re.search(
            r"The rehearsal on a copy of (\w+_backup_\w+) failed, so the database test_rehearsal_bad was", said
        )
        assert named, result.output
        assert "files/migrations/901_clinics.sql:5: [23514] check constraint" in said, result.output
        assert bad.catalogs() == before
        assert bad.history() == "apply 001"

        said = apart.said_of(result, "good")
        assert re.search(r"Rehearsal +1 applied to a copy in \d+ ms, \d+ checks of 2 migrations hold", said), said
        assert re.search(r"clinics +ACCESS EXCLUSIVE", said), result.output
        assert good.history() == "apply 001, apply 901"
        assert not [name for name in local.databases() if name.endswith("_rehearsal")]

        # A database of that name that is no copy is left alone.
        local.create_database(copy)
        local.psql("CREATE TABLE theirs (id int)", copy)
        clinic = Clinic(local, bad.database, tmp_path / "bad")
        with pytest.raises(BackupError, match=rf"The database {copy} exists and holds 1 tables"):
            clinic.act("copy", backup=named[1], database=copy)
        clinic.act("drop_copy", database=copy)
        assert local.psql("SELECT count(*) FROM theirs", copy) == "0"
