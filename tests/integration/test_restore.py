"""A whole backup into a new database and in place of the live one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from ansible_collections.physioflow.database.plugins.module_utils.backup.errors import BackupError

from tests.backups import Clinic

PRIVILEGES = "SELECT datacl::text FROM pg_database WHERE datname = '{}'"


def test_into_a_new_database(clinic: Clinic) -> None:
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
    privileges = [sorted(clinic.sql(PRIVILEGES.format(name))[1:-1].split(",")) for name in (new, clinic.name)]
    assert privileges[0] == privileges[1]
    assert clinic.local.psql("SELECT count(*) FROM patients", new, user="emr_app") == "1000"
    clinic.local.psql("UPDATE patients SET notes = 'x' WHERE mrn = 'M1'", new, user="emr_app")
    clinic.kept_in_order()


def test_a_database_that_only_its_owner_may_enter_stays_so(clinic: Clinic) -> None:
    clinic.sql(f"REVOKE ALL ON DATABASE {clinic.name} FROM emr_app, emr_readonly, emr_backup", "postgres")
    clinic.more = {"role": ""}
    clinic.backup()
    clinic.act("restore", database=f"{clinic.name}_new")
    assert clinic.sql(PRIVILEGES.format(f"{clinic.name}_new")) == "{emr=CTc/emr}"


def test_into_an_empty_database(clinic: Clinic) -> None:
    clinic.backup()
    new = f"{clinic.name}_new"
    clinic.sql(f"CREATE DATABASE {new}", "postgres")
    clinic.act("restore", database=new)
    assert clinic.fingerprint(new) == clinic.fingerprint()


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


def test_in_place_of_a_database_that_was_dropped(clinic: Clinic) -> None:
    rows, catalogs = clinic.fingerprint(), clinic.local.catalogs(clinic.name)
    clinic.backup()
    clinic.sql(f"DROP DATABASE {clinic.name}", "postgres")
    assert clinic.act("restore", database=clinic.name, in_place=True)["old"] == ""
    assert clinic.fingerprint() == rows
    assert clinic.local.catalogs(clinic.name) == catalogs


def test_an_older_backup_by_its_id(clinic: Clinic) -> None:
    first, rows = clinic.backup(), clinic.fingerprint()
    clinic.sql("DELETE FROM insurance_info")
    clinic.backup()
    clinic.act("restore", backup=first, database=f"{clinic.name}_new")
    assert clinic.fingerprint(f"{clinic.name}_new") == rows


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
    (lambda m: m["roles"].append("gone_role"), "the server has no role gone_role, which has objects"),
    (
        lambda m: m["extensions"].update(postgis="3"),
        "the extension postgis is not available on the server: install its",
    ),
    (lambda m: m["server"].update(version_num=170001, version="17.1"), "the backup comes from 17.1: an older server"),
)


@pytest.mark.fault(50)
def test_a_server_that_lacks_something_is_told_before_anything_is_made(clinic: Clinic) -> None:
    backup = clinic.backup()
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
    clinic.kept_in_order()


@pytest.mark.fault(50)
def test_a_role_that_was_really_dropped(clinic: Clinic) -> None:
    clinic.sql("CREATE ROLE locum; GRANT SELECT ON patients TO locum")
    clinic.backup()
    clinic.sql("DROP OWNED BY locum; DROP ROLE locum")
    with pytest.raises(BackupError, match="the server has no role locum"):
        clinic.act("restore", database=f"{clinic.name}_new")
    assert clinic.act("drill", server="own")["ok"]  # makes the roles of the backup itself
    clinic.kept_in_order()
