"""Backups as a user takes, lists, drills and restores them, and the gate before migrations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.backups import CANARY, RESTIC_PASSWORD, Clinic
from tests.local import Result

HISTORY = """
SELECT string_agg(concat_ws(' ', version, backup_id, reason), '; ' ORDER BY id) FROM migrations.history
WHERE version > '015'
"""


def play(clinic: Clinic, playbook: str, *options: str, **variables: Any) -> Result:
    settings = {"database_name": clinic.name, "backup_directory": str(clinic.folder)}
    result = clinic.local.play(playbook, *options, **settings | variables)
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
    restic = {
        "backup_restic_repository": str(clinic.folder.parent / "repository"),
        "backup_restic_password": RESTIC_PASSWORD,
    }
    checked = play(clinic, "playbooks/backup.yml", "--check", "--diff")
    assert f"A backup of {clinic.name} would be taken" in good(checked)
    assert clinic.names() == []

    taken = play(clinic, "playbooks/backup.yml", "-vvv", **restic)
    assert taken.status == 0, taken.output
    assert taken.changed == 1
    [backup] = clinic.names()
    assert f"{backup}, verified: {sum(t['rows'] for t in clinic.manifest(backup)['tables'])} rows" in flat(taken)
    assert clinic.folder.stat().st_mode & 0o777 == 0o700

    listed = play(clinic, "playbooks/backup.yml", backup_list=True, **restic)
    assert re.search(rf"{backup} +0 min +\d", good(listed))
    assert listed.changed == 0

    drilled = play(clinic, "playbooks/drill.yml", "-vvv", drill_from="off_host", **restic)
    assert f"{backup} is proven" in good(drilled)

    new = f"{clinic.name}_new"
    restored = play(clinic, "playbooks/restore.yml", restore_backup=backup, restore_database=new)
    assert f"{backup} is restored into {new}" in good(restored)
    assert clinic.fingerprint(new) == rows

    clinic.sql("DROP TABLE insurance_info CASCADE")
    options = {"restore_backup": "latest", "restore_in_place": True}
    tables = play(clinic, "playbooks/restore.yml", "-vvv", restore_tables=["insurance_info"], **options)
    assert "public.insurance_info: made again with 1000 rows" in good(tables)
    assert (clinic.local.catalogs(clinic.name), clinic.fingerprint()) == (catalogs, rows)

    in_place = play(clinic, "playbooks/restore.yml", **options)
    assert "-e restore_drop_old=true drops it" in good(in_place)
    dropped = play(clinic, "playbooks/restore.yml", restore_drop_old=True)
    assert f"dropped: {clinic.name}_before_" in good(dropped)
    assert clinic.databases() == [clinic.name, new]
    assert clinic.fingerprint() == rows


@pytest.mark.parametrize(
    ("playbook", "variables", "words"),
    [
        ("restore", {}, ["Which backup is to be restored? -e restore_backup=latest"]),
        (
            "restore",
            {"restore_backup": "latest", "restore_tables": ["patients"], "restore_database": "LIVE"},
            [
                "restore_tables go into the live database: say so with -e restore_in_place=true.",
                "restore_database is the live database: to replace it say -e restore_in_place=true",
            ],
        ),
        (
            "restore",
            {"restore_backup": "latest", "restore_in_place": True, "restore_drop_old": True},
            ["restore_drop_old drops what a restore in place has kept, so look at the restored database first"],
        ),
        ("restore", {"restore_backup": "latest", "restore_databse": "x"}, ["restore_databse", "restore_database"]),
        ("drill", {"drill_form": "off_host"}, ["drill_form", "drill_from"]),
        (
            "backup",
            {"backup_directory": "relative", "backup_restic_only": True},
            ["backup_directory is relative; it is an absolute path.", "would keep nothing"],
        ),
        ("backup", {"backup_format": "tar"}, ["backup_format", "tar"]),
        ("backup", {"backup_table": ["patients"]}, ["backup_table", "backup_tables"]),
    ],
)
def test_what_cannot_be_meant_is_refused(
    clinic: Clinic, playbook: str, variables: dict[str, Any], words: list[str]
) -> None:
    given = {key: clinic.name if value == "LIVE" else value for key, value in variables.items()}
    result = play(clinic, f"playbooks/{playbook}.yml", **given)
    assert result.status != 0
    for word in words:
        assert word in flat(result), result.output
    assert result.changed == 0
    assert clinic.names() == []
    assert clinic.databases() == [clinic.name]


def test_no_migration_without_a_backup(clinic: Clinic, release: Path) -> None:
    clinic.sql("DROP TABLE keyless")  # the release promises that every table has a key
    add_migration(release, "016")
    add_migration(release, "017")
    clinic.folder.rmdir()
    clinic.folder.write_text("a file where the folder should be")
    failed = play(clinic, "deploy.yml", release_directory=str(release))
    assert failed.status != 0
    assert "is no folder but a file" in flat(failed)
    assert "Without a backup nothing is changed in the database, and nothing was" in flat(failed)
    assert clinic.sql(HISTORY) == ""
    assert "more_016" not in clinic.local.catalogs(clinic.name)

    clinic.folder.unlink()  # the deploy makes it
    checked = play(clinic, "deploy.yml", "--check", release_directory=str(release))
    assert "Backup would be taken first" in good(checked)
    assert not clinic.folder.exists()

    done = play(clinic, "deploy.yml", release_directory=str(release))
    text = good(done)
    [backup] = clinic.names()
    assert re.search(rf"Backup {backup}, verified: \d+ rows in 33 tables read back, [\d.]+ kB, [\d.]+ s", text)
    assert clinic.sql(HISTORY) == f"016 {backup}; 017 {backup}"
    manifest = clinic.manifest(backup)
    assert (manifest["migrations"]["version"], manifest["why"]) == ("015", "before migrations")

    add_migration(release, "018")
    loud = play(clinic, "playbooks/migrate.yml", release_directory=str(release), backup_before_migration=False)
    assert "Backup NONE, because backup_before_migration is false: what is lost now" in good(loud)
    assert clinic.sql(HISTORY).endswith("018 no backup was taken before: backup_before_migration=false")
    assert clinic.names() == [backup]
    assert play(clinic, "deploy.yml", release_directory=str(release)).changed == 0


def test_no_backup_where_no_table_has_a_row(clinic: Clinic) -> None:
    clinic.sql(f"DROP DATABASE {clinic.name}", "postgres")
    good(play(clinic, "deploy.yml", migrations_target="001"))
    done = play(clinic, "deploy.yml", migrations_target="002")
    assert "Backup none needed: no table has a row" in good(done)
    assert clinic.names() == []
