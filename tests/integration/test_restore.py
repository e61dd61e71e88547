"""A whole backup into a new database and in place of the live one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from ansible_collections.physioflow.database.plugins.module_utils.backup.errors import BackupError

from tests.backups import FEW, Clinic

COPY_OF = FEW
PRIVILEGES = "SELECT datacl::text FROM pg_database WHERE datname = '{}'"
LARGE_OBJECTS = "SELECT lomowner::regrole, lomacl, lo_get(oid) FROM pg_largeobject_metadata"


def test_into_a_new_database(clinic: Clinic) -> None:
    clinic.sql("SET ROLE emr_app; SELECT lo_from_bytea(4242, '\\x48656c6c6f')")
    backup = clinic.backup()
    new = f"{clinic.name}_new"
    assert clinic.act("restore", database=new, check_mode=True)["lines"] == [f"{backup} would be restored into {new}."]
    assert clinic.databases() == [clinic.name]
    done = clinic.act("restore", database=new)
    assert (done["backup"], done["old"]) == (backup, "")
    assert clinic.fingerprint(new) == clinic.fingerprint()
    assert clinic.local.catalogs(new) == clinic.local.catalogs(clinic.name)
    for query in (
        "SELECT pg_get_userbyid(datdba), datcollate, datctype, encoding, datconnlimit FROM pg_database "
        "WHERE datname = '{}'",
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{}'",
        "SELECT setconfig FROM pg_db_role_setting JOIN pg_database AS d ON d.oid = setdatabase WHERE datname = '{}'",
    ):
        assert clinic.sql(query.format(new)) == clinic.sql(query.format(clinic.name))
    large_object = clinic.sql(LARGE_OBJECTS)
    assert "emr_backup=r/emr_app" in large_object
    assert clinic.sql(LARGE_OBJECTS, new) == large_object
    privileges = [sorted(clinic.sql(PRIVILEGES.format(name))[1:-1].split(",")) for name in (new, clinic.name)]
    assert privileges[0] == privileges[1]
    assert clinic.local.psql("SELECT count(*) FROM patients", new, user="emr_app") == "1000"
    clinic.local.psql("UPDATE patients SET notes = 'x' WHERE mrn = 'M1'", new, user="emr_app")
    clinic.kept_in_order()


def test_all_that_differs_from_the_manifest_is_said(clinic: Clinic) -> None:
    clinic.more = {"proof": "counts"}  # hashes would find what numbers find
    backup = clinic.backup()
    catalog = clinic.folder / backup / "catalog.json"
    catalog.write_text(json.dumps([*json.loads(catalog.read_text()), ["view", "public.no_view", ""]]))
    extension = clinic.sql("SELECT name FROM pg_available_extensions WHERE installed_version IS NULL LIMIT 1")

    def lie(manifest: dict[str, Any]) -> None:
        tables = {table["name"]: table for table in manifest["tables"]}
        tables["tickets"]["rows"] = 21
        tables["keyless"]["name"] = "no_table"
        manifest["sequences"]["public.tickets_id_seq"]["last_value"] = 21
        manifest["sequences"]["public.no_sequence"] = {"last_value": 1, "is_called": True}
        manifest["extensions"][extension] = "1"
        manifest["large_objects"] = {"objects": 1}

    clinic.reseal(backup, lie)
    with pytest.raises(BackupError, match="does not match its manifest") as error:
        clinic.act("restore", database=f"{clinic.name}_new")
    for words in (
        "public.no_table is missing",
        "public.keyless is not in the backup",
        "public.tickets has 20 rows, expected 21",
        "the sequence public.tickets_id_seq is at 20, expected 21",
        "the sequence public.no_sequence is missing",
        f"the extension {extension} is missing",
        "0 of 1 large objects exist",
        "view public.no_view is missing",
    ):
        assert words in str(error.value)
    assert clinic.databases() == [clinic.name]


@pytest.mark.fault(47)
def test_a_database_that_is_not_empty_is_left_alone(clinic: Clinic) -> None:
    clinic.backup()
    for kind, content in (("table", "(y int)"), ("sequence", ""), ("view", "AS SELECT 1")):
        new = f"{clinic.name}_{kind}"
        clinic.sql(f"CREATE DATABASE {new}", "postgres")
        clinic.sql(f"CREATE {kind} x {content}", new)
        before = clinic.local.catalogs(new)
        with pytest.raises(BackupError, match=rf"(?s)The database {new} exists and holds .*No database was changed"):
            clinic.act("restore", database=new)
        assert clinic.local.catalogs(new) == before
    clinic.kept_in_order()
    scratch = f"{clinic.name}_new_restoring"
    clinic.sql(f"CREATE DATABASE {scratch}", "postgres")
    clinic.sql("CREATE VIEW precious AS SELECT 1", scratch)
    with pytest.raises(BackupError, match=f"The database {scratch} was not created by a restore"):
        clinic.act("restore", database=f"{clinic.name}_new")
    assert clinic.sql("SELECT * FROM precious", scratch) == "1"


def test_in_place_while_an_application_is_connected(clinic: Clinic) -> None:
    rows = clinic.fingerprint()
    backup = clinic.backup()
    clinic.sql("DELETE FROM insurance_info; DROP TABLE tickets")
    damaged = clinic.fingerprint()
    with clinic.connect(autocommit=True) as application:
        done = clinic.act("restore", database=clinic.name, in_place=True)
        with pytest.raises(psycopg.OperationalError):
            application.execute("SELECT 1")
    assert done["backup"] == backup
    assert clinic.fingerprint() == rows
    assert clinic.fingerprint(done["old"]) == damaged
    assert re.fullmatch(rf"{clinic.name}_before_\d{{8}}_\d{{6}}", done["old"])
    clinic.sql(f"CREATE DATABASE {clinic.name}_before_20200101_000000", "postgres")  # not ours
    assert clinic.act("drop_old", check_mode=True)["dropped"] == [done["old"]]
    assert done["old"] in clinic.databases()
    assert clinic.act("drop_old")["dropped"] == [done["old"]]
    assert clinic.databases() == [clinic.name, f"{clinic.name}_before_20200101_000000"]
    assert clinic.act("drop_old")["changed"] is False
    clinic.kept_in_order()


def test_in_place_of_a_database_that_was_dropped_and_that_only_its_owner_may_enter(clinic: Clinic) -> None:
    clinic.sql(f"REVOKE ALL ON DATABASE {clinic.name} FROM emr_app, emr_readonly, emr_backup", "postgres")
    clinic.more = {"role": ""}
    rows, catalogs = clinic.fingerprint(), clinic.local.catalogs(clinic.name)
    clinic.backup()
    clinic.sql(f"DROP DATABASE {clinic.name}", "postgres")
    assert clinic.act("restore", database=clinic.name, in_place=True)["old"] == ""
    assert clinic.fingerprint() == rows
    assert clinic.local.catalogs(clinic.name) == catalogs
    assert clinic.sql(PRIVILEGES.format(clinic.name)) == "{emr=CTc/emr}"


def test_an_older_backup_by_its_id_into_an_empty_database(clinic: Clinic) -> None:
    first, rows = clinic.backup(), clinic.fingerprint()
    clinic.sql("DELETE FROM insurance_info")
    clinic.backup()
    new = f"{clinic.name}_new"
    clinic.sql(f"CREATE DATABASE {new}", "postgres")
    clinic.act("restore", backup=first, database=new)
    assert clinic.fingerprint(new) == rows


MEANINGLESS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"database": "Bad-Name"}, "'Bad-Name' is not a name for a restored database. Correct restore_database."),
    ({"database": "postgres"}, "'postgres' is not a name"),
    ({"database": "new", "backup": "x_backup_20260101_000000"}, "There is no backup x_backup_20260101_000000"),
    ({"database": "new", "backup": "../../etc"}, "There is no backup ../../etc"),
    ({"database": "new", "source": "off_host"}, "There is no repository off the host"),
)


def test_refuses_what_cannot_be_meant(clinic: Clinic) -> None:
    for request, words in MEANINGLESS:
        with pytest.raises(BackupError, match=re.escape(words)):
            clinic.act("restore", **request)


LACKING: tuple[tuple[Callable[[dict[str, Any]], object], str], ...] = (
    (lambda _: None, "the server has no role locum, which has objects"),
    (
        lambda m: m["extensions"].update(postgis="3"),
        "the extension postgis is not available on the server: install its",
    ),
    (lambda m: m["server"].update(version_num=170001, version="17.1"), "the backup comes from 17.1: an older server"),
)


@pytest.mark.fault(50)
def test_a_server_that_lacks_something_is_told_before_anything_is_made(clinic: Clinic) -> None:
    clinic.sql("CREATE ROLE locum; GRANT SELECT ON patients TO locum")
    backup = clinic.backup()
    clinic.sql("DROP OWNED BY locum; DROP ROLE locum")
    requests: dict[str, dict[str, Any]] = {
        "restore": {"database": clinic.name, "in_place": True},
        "restore_tables": {"tables": ["patients"], "existing_rows": "replace"},
        "drill": {},
    }
    manifest = clinic.folder / backup / "manifest.json"
    sound = manifest.read_text()
    for change, words in LACKING:
        manifest.write_text(sound)
        clinic.reseal(backup, change)
        for act, request in requests.items():
            with pytest.raises(BackupError, match=re.escape(words)):
                clinic.act(act, **request)
    assert clinic.databases() == [clinic.name]
    manifest.write_text(sound)
    assert clinic.act("drill", server="own")["ok"]  # makes the roles of the backup itself
    clinic.kept_in_order()
