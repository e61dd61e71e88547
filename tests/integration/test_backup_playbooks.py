"""Backups as a user takes, lists, drills and restores them, and the gate before migrations.

What the acts themselves do is proven without playbooks, in the files beside this one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from tests.apart import failure_of
from tests.backups import CANARY, RESTIC_PASSWORD, Clinic
from tests.local import BIN, ROOT, SECONDS, VERSIONS, Result, run_to_end

pytestmark = pytest.mark.usefixtures("restic_program")

Variables = dict[str, Any]
HISTORY = """
SELECT string_agg(concat_ws(' ', version, backup_id, reason), '; ' ORDER BY id) FROM migrations.history
WHERE version > '900'
"""


def play(
    clinic: Clinic,
    *playbooks: str,
    options: tuple[str, ...] = (),
    hosts: dict[str, Variables] | None = None,
    **more: Any,
) -> Result:
    """Run playbooks one after the other by one command; each of the hosts has variables of its own."""
    own = {"database_name": clinic.name, "backup_directory": str(clinic.folder)}
    inventory = clinic.folder.parent / "inventory"
    inventory.mkdir(exist_ok=True)
    if not (inventory / "group_vars").exists():
        (inventory / "group_vars").symlink_to(ROOT / "inventories/local/group_vars")
    here = yaml.safe_load((ROOT / "inventories/local/hosts.yml").read_text())["database_servers"]["hosts"]["local"]
    listed = {host: here | own | variables for host, variables in (hosts or {"local": {}}).items()}
    (inventory / "hosts.yml").write_text(yaml.safe_dump({"database_servers": {"hosts": listed}}, sort_keys=False))
    extra = {"local_directory": str(clinic.local.folder), "postgresql_embedded_database": "physioflow"} | more
    names = [f"playbooks/{name}.yml" for name in playbooks]
    command = [str(BIN / "ansible-playbook"), *names, "-i", str(inventory), "-e", json.dumps(extra), *options]
    result = run_to_end(command, SECONDS)
    for secret in (CANARY, RESTIC_PASSWORD, clinic.connection["password"], clinic.local.password("emr_backup")):
        assert secret not in result.output
    return result


def flat(result: Result) -> str:
    return " ".join(result.output.split())


def good(result: Result) -> str:
    assert result.status == 0, result.output
    return flat(result)


def add_migration(release: Path, version: str) -> None:
    (release / "migrations" / f"{version}_more.sql").write_text(
        f"-- Migration: {version}_more\n-- Description: more\n-- Depends on: 001\n"
        f"ALTER TABLE patients ADD COLUMN more_{version} text;\n"
    )


def test_the_guides_way_by_playbooks(clinic: Clinic) -> None:
    catalogs, rows = clinic.local.catalogs(clinic.name), clinic.fingerprint()
    restic: Variables = {
        "backup_restic_repository": str(clinic.folder.parent / "repository"),
        "backup_restic_password": RESTIC_PASSWORD,
    }
    taken = play(clinic, "backup", "drill", options=("-vvv",), drill_from="off_host", **restic)
    said = good(taken)
    [backup] = clinic.names()
    assert f"{backup}, verified: {sum(t['rows'] for t in clinic.manifest(backup)['tables'])} rows" in said
    assert f"{backup} passed the drill" in said
    assert taken.changed == 1 + 2  # the second playbook counts what the first one did, too
    assert clinic.folder.stat().st_mode & 0o777 == 0o700

    # All on one database, one host after the other: `drop` has what an earlier restore kept, `place` puts aside what
    # `tables` made whole.
    old = clinic.act("restore", database=clinic.name, in_place=True)["old"]
    clinic.sql("DROP TABLE insurance_info CASCADE")
    new = f"{clinic.name}_new"
    hosts: dict[str, Variables] = {
        "drop": {"restore_drop_old": True},
        "new": {"restore_backup": backup, "restore_database": new},
        "tables": {"restore_backup": "latest", "restore_in_place": True, "restore_tables": ["insurance_info"]},
        "place": {"restore_backup": "latest", "restore_in_place": True},
    }
    options = ("-vvv", "--forks", "1")
    said = good(play(clinic, "backup", "restore", options=options, hosts=hosts, backup_list=True, **restic))
    assert re.search(rf"{backup} +\d min +\d", said)
    assert clinic.names() == [backup]
    assert f"dropped: {old}" in said
    assert f"{backup} was restored into {new}" in said
    assert "public.insurance_info: created again with 1000 rows" in said
    assert "To drop it later: -e restore_drop_old=true" in said
    [kept] = [name for name in clinic.databases() if "_before_" in name]
    assert kept != old
    assert clinic.databases() == [clinic.name, kept, new]
    for database in (clinic.name, kept, new):
        assert (clinic.local.catalogs(database), clinic.fingerprint(database)) == (catalogs, rows), database


REFUSED: dict[str, tuple[str, dict[str, tuple[Variables, list[str]]], Variables]] = {
    "no backup is named": (
        "restore",
        {"local": ({}, ["Set the backup to restore: -e restore_backup=latest"])},
        {},
    ),
    "restores that cannot be meant": (
        "restore",
        {
            "live": (
                {"restore_backup": "latest", "restore_tables": ["patients"], "restore_database": "LIVE"},
                [
                    "restore_tables are restored into the live database: add -e restore_in_place=true.",
                    "restore_database is the live database: to replace it, set -e restore_in_place=true",
                ],
            ),
            "both": (
                {"restore_backup": "latest", "restore_in_place": True, "restore_drop_old": True},
                ["restore_drop_old drops the database that a restore in place keeps. Check the restored"],
            ),
        },
        {},
    ),
    "misspelt variables": (
        "drill",
        {
            "local": (
                {},
                [
                    *("restore_databse", "Did you mean restore_database?"),
                    *("drill_form", "Did you mean drill_from?"),
                    *("backup_table", "Did you mean backup_tables?"),
                ],
            )
        },
        {"restore_databse": "x", "drill_form": "off_host", "backup_table": ["patients"]},
    ),
    "backups that cannot be": (
        "backup",
        {
            "relative": ({"backup_directory": "there"}, ["backup_directory is there; it must be an absolute path."]),
            "nowhere": ({"backup_restic_only": True}, ["would keep no backup"]),
        },
        {},
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_meant_is_refused(clinic: Clinic, kind: str) -> None:
    playbook, cases, more = REFUSED[kind]
    hosts = {
        host: {key: clinic.name if value == "LIVE" else value for key, value in variables.items()}
        for host, (variables, _) in cases.items()
    }
    result = play(clinic, playbook, hosts=hosts, **more)
    assert result.status != 0
    for host, (_, words) in cases.items():
        said = failure_of(result, host) if len(cases) > 1 else flat(result)
        for word in words:
            assert word in said, f"{host}: {word}\n{result.output}"
    assert result.changed == 0
    assert clinic.names() == []
    assert clinic.databases() == [clinic.name]


@pytest.mark.parametrize("playbook", ["backup", "drill", "restore"])
def test_each_playbook_looks_for_misspelt_variables(playbook: str) -> None:
    tasks = yaml.safe_load((ROOT / f"playbooks/{playbook}.yml").read_text())[1]["tasks"]
    assert tasks[0]["ansible.builtin.import_tasks"] == "tasks/variables.yml"


def test_a_format_that_there_is_not_is_refused_by_the_role() -> None:
    specs = yaml.safe_load((ROOT / "roles/backup/meta/argument_specs.yml").read_text())["argument_specs"]
    given = {"backup_database": "clinic", "backup_role": "emr_backup", "backup_why": "x", "backup_format": "tar"}
    for entry in ("create", "gate"):
        [message] = ArgumentSpecValidator(specs[entry]["options"]).validate(given).error_messages
        assert message == "value of backup_format must be one of: auto, custom, directory, got: tar"


def test_no_migration_without_a_backup(clinic: Clinic, release: Path) -> None:
    clinic.sql("DROP TABLE keyless")  # the release promises that every table has a key
    add_migration(release, "901")
    add_migration(release, "902")
    clinic.folder.rmdir()
    clinic.folder.write_text("a file where the folder should be")
    failed = play(clinic, "migrate", release_directory=str(release))
    assert failed.status != 0
    assert ", is a file. No backup was made." in flat(failed)
    assert "The database was not changed: it needs a backup first" in flat(failed)
    assert clinic.sql(HISTORY) == ""
    assert "more_901" not in clinic.local.catalogs(clinic.name)

    clinic.folder.unlink()  # the deploy makes it
    checked = play(clinic, "migrate", options=("--check",), release_directory=str(release))
    assert "Backup would be taken first" in good(checked)
    assert not clinic.folder.exists()

    loud = f"{clinic.name}_loud"
    clinic.local.create_database(loud, clinic.name)
    hosts: dict[str, Variables] = {
        "kept": {},
        "loud": {"database_name": loud, "backup_before_migration": False},
    }
    text = good(play(clinic, "deploy", hosts=hosts, release_directory=str(release)))
    [backup] = clinic.names()
    assert re.search(rf"Backup {backup}, verified: \d+ rows in \d+ tables read back, [\d.]+ [kM]B, [\d.]+ s", text)
    assert clinic.sql(HISTORY) == f"901 {backup}; 902 {backup}"
    manifest = clinic.manifest(backup)
    assert (manifest["migrations"]["version"], manifest["why"]) == (VERSIONS[-1], "before migrations")
    assert "Backup NONE, because backup_before_migration is false: lost data" in text
    why = "no backup was taken before: backup_before_migration=false"
    assert clinic.sql(HISTORY, loud) == f"901 {why}; 902 {why}"


def test_no_backup_where_no_table_has_a_row(clinic: Clinic) -> None:
    tables = clinic.sql(
        "SELECT string_agg(c.oid::regclass::text, ', ') FROM pg_class AS c WHERE relkind IN ('r', 'p') "
        "AND relnamespace = 'public'::regnamespace"
    )
    clinic.sql(f"TRUNCATE {tables}")
    done = clinic.act("gate")
    assert (done["taken"], done["summary"]) == (False, "none needed: no table has a row")
    assert clinic.names() == []
    clinic.sql("INSERT INTO keyless VALUES ('w', 1)")
    assert clinic.act("create", check_mode=True)["lines"] == [f"A backup of {clinic.name} would be taken."]
    assert clinic.names() == []
    assert clinic.act("gate")["taken"]
    assert len(clinic.names()) == 1
