"""What PostgreSQL itself cannot restore is warned of, and explained; what can be restored is not refused."""

from __future__ import annotations

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.backup.errors import BackupError

from tests.backups import FEW, Clinic

COPY_OF = FEW
FUNCTION = "CREATE FUNCTION longest() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM organizations'"
VIEW = "CREATE MATERIALIZED VIEW page_size AS SELECT longest() AS size"
CHECK = """
CREATE FUNCTION is_kind(t text) RETURNS boolean LANGUAGE sql STABLE AS
    'SELECT EXISTS (SELECT FROM organizations) AND t IS NOT NULL';
CREATE TABLE animal (id int PRIMARY KEY, kind text CHECK (is_kind(kind)));
INSERT INTO animal VALUES (1, 'cat')
"""


def test_a_function_that_finds_no_table_in_a_restore_is_named(clinic: Clinic) -> None:
    assert clinic.act("restorable")["warnings"] == []
    for sql, function in ((f"{FUNCTION}; {VIEW}", "public.longest()"), (CHECK, "public.is_kind(text)")):
        remedy = f"ALTER FUNCTION {function} SET search_path = public, pg_temp"
        clinic.sql(f"SET ROLE emr; {sql}")
        [warning] = clinic.act("restorable")["warnings"]
        assert remedy in warning
        clinic.backup()
        with pytest.raises(BackupError) as failure:
            clinic.act("drill", server="live")
        assert remedy in str(failure.value)
        assert "take a new one" not in str(failure.value)
        clinic.sql(remedy)
        assert clinic.act("restorable")["warnings"] == []
    clinic.backup()
    clinic.act("drill", server="live")


def test_a_backup_of_an_earlier_release_is_restored_and_says_what_was_not_compared(clinic: Clinic) -> None:
    clinic.sql("CREATE MATERIALIZED VIEW one AS SELECT 1 AS n")
    backup = clinic.backup(why="old")
    (clinic.folder / backup / "catalog.json").unlink()

    def as_before(manifest: dict[str, object]) -> None:
        manifest["schema_sha256"] = "0" * 64
        for key in ("places", "large_objects"):
            del manifest[key]

    clinic.reseal(backup, as_before)
    done = clinic.act("restore", database=f"{clinic.name}_new")
    assert "definitions could not be compared" in done["warnings"][0]
