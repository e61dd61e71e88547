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
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from tests import apart
from tests.apart import failure_of
from tests.backups import CANARY, RESTIC_PASSWORD, Clinic
from tests.fuzz.driver import run_module
from tests.integration.oracle import Case
from tests.local import BIN, ROOT, SECONDS, Local, Result, run_to_end

Variables = dict[str, Any]
HISTORY = """
SELECT string_agg(concat_ws(' ', version, backup_id, reason), '; ' ORDER BY id) FROM migrations.history
WHERE version > '001'
"""


def play(clinic: Clinic, *playbooks: str, hosts: dict[str, Variables], **more: Any) -> Result:
    """Run playbooks one after the other by one command; each of the hosts has variables of its own."""
    own = {"database_name": clinic.name, "backup_directory": str(clinic.folder)}
    listed = {host: own | given for host, given in hosts.items()}
    inventory = str(apart.inventory(clinic.folder.parent / "inventory", listed))
    extra = json.dumps(
        {"local_directory": str(clinic.local.folder), "postgresql_embedded_database": "physioflow"} | more
    )
    names = [f"playbooks/{name}.yml" for name in playbooks]
    command = [str(BIN / "ansible-playbook"), *names, "-i", inventory, "-vvv", "--forks", "1", "-e", extra]
    result = run_to_end(command, SECONDS)
    for secret in (CANARY, RESTIC_PASSWORD, clinic.connection["password"], clinic.local.password("emr_backup")):
        assert secret not in result.output
    return result


def flat(result: Result) -> str:
    return " ".join(result.output.split())


def good(result: Result) -> str:
    assert result.status == 0, result.output
    return flat(result)


@pytest.mark.usefixtures("restic_program")
def test_the_guides_way_by_playbooks(clinic: Clinic) -> None:
    catalogs, rows = clinic.local.catalogs(clinic.name), clinic.fingerprint()
    restic: Variables = {
        "backup_restic_repository": str(clinic.folder.parent / "repository"),
        "backup_restic_password": RESTIC_PASSWORD,
    }
    taken = play(clinic, "backup", "drill", hosts={"local": {}}, drill_from="off_host", **restic)
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
    said = good(play(clinic, "backup", "restore", hosts=hosts, backup_list=True, **restic))
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


REFUSED: dict[str, tuple[Variables, list[str]]] = {
    "nothing": ({}, ["Set the backup to restore: -e restore_backup=latest"]),
    "live": (
        {"restore_backup": "latest", "restore_tables": ["patients"], "restore_database": "physioflow"},
        [
            "restore_tables are restored into the live database: add -e restore_in_place=true.",
            "restore_database is the live database: to replace it, set -e restore_in_place=true",
        ],
    ),
    "both": (
        {"restore_backup": "latest", "restore_in_place": True, "restore_drop_old": True},
        ["restore_drop_old drops the database that a restore in place keeps. Check the restored"],
    ),
}


def test_restores_that_cannot_be_meant_are_refused(local: Local, tmp_path: Path) -> None:
    before = local.databases()
    own = {"backup_directory": str(tmp_path / "backups")}
    hosts = {host: own | variables for host, (variables, _) in REFUSED.items()}
    result = apart.play(local, tmp_path, "playbooks/restore.yml", hosts)
    for host, (_, words) in REFUSED.items():
        for word in words:
            assert word in failure_of(result, host), f"{host}: {word}\n{result.output}"
    assert result.changed == 0
    assert not (tmp_path / "backups").exists()
    assert local.databases() == before


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, []),
        ({"backup_directory": "there"}, ["backup_directory is there; it must be an absolute path."]),
        (
            {"backup_restic_only": True},
            ["backup_restic_only without a backup_restic_repository would keep no backup."],
        ),
    ],
)
def test_backups_that_cannot_be_are_refused_by_the_role(given: Variables, words: list[str]) -> None:
    role = ROOT / "roles/backup"
    variables = yaml.safe_load((role / "defaults/main.yml").read_text())
    variables |= {"backup_user": "", "__backup_local_repository": ""} | given
    [task] = yaml.safe_load((role / "tasks/check.yml").read_text())
    assert task["when"] == "__backup_problems | length > 0"
    problems = trust_as_template(task["vars"]["__backup_problems"])
    assert Templar(DataLoader(), variables).template(problems) == words
    for entry in ("main", "create", "gate"):
        first = yaml.safe_load((role / f"tasks/{entry}.yml").read_text())[0]
        assert first["ansible.builtin.import_tasks"] == "check.yml"


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


def test_no_migration_without_a_backup(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case.begin()
    for version in ("002", "003"):
        case.write(f"{version}_more", f"ALTER TABLE rooms ADD COLUMN more_{version} text;")
    folder, blocked = tmp_path / "backups", tmp_path / "file"
    login = {f"login_{name}": value for name, value in case.local.connection.items()}
    settings = {"database": case.database, "directory": str(folder), "bin_dir": str(case.local.server / "bin")}
    monkeypatch.setattr("os.umask", lambda _: 0)  # the module's is that of a process of its own
    checked = run_module("backup", action="gate", connection=login, settings=settings, _ansible_check_mode=True)
    assert checked["summary"] == "would be taken first"
    assert not folder.exists()

    blocked.write_text("a file where the folder should be")
    clinic = Clinic(case.local, case.database, folder)
    hosts: dict[str, Variables] = {
        "blocked": {"database_name": f"{case.database}_blocked", "backup_directory": str(blocked)},
        "kept": {"database_name": case.database, "backup_directory": str(folder)},
        "loud": {"database_name": f"{case.database}_loud", "backup_before_migration": False},
    }
    others = [hosts[host]["database_name"] for host in ("blocked", "loud")]
    try:
        for database in others:
            case.local.create_database(database, case.database)
        variables = {"release_directory": str(case.release)}
        result = apart.play(case.local, tmp_path / "play", "playbooks/migrate.yml", hosts, **variables)
        histories = {host: clinic.sql(HISTORY, given["database_name"]) for host, given in hosts.items()}
    finally:
        for database in others:
            case.local.drop_database(database)
    said = failure_of(result, "blocked")
    assert ", is a file. No backup was made." in said
    assert "The database was not changed: it needs a backup first" in said
    text = flat(result)
    [backup] = clinic.names()
    assert re.search(rf"Backup {backup}, verified: \d+ rows in \d+ tables read back, [\d.]+ [kM]B, [\d.]+ s", text)
    manifest = clinic.manifest(backup)
    assert (manifest["migrations"]["version"], manifest["why"]) == ("001", "before migrations")
    assert "Backup NONE, because backup_before_migration is false: lost data" in text
    why = "no backup was taken before: backup_before_migration=false"
    assert histories == {
        "blocked": "",
        "kept": f"002 {backup}; 003 {backup}",
        "loud": f"002 {why}; 003 {why}",
    }
