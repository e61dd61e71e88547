"""Settings, manifests, names, retention and words: what needs no server."""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.backup.actions import age_text, table
from ansible_collections.physioflow.database.plugins.module_utils.backup.create import summary
from ansible_collections.physioflow.database.plugins.module_utils.backup.errors import BackupError
from ansible_collections.physioflow.database.plugins.module_utils.backup.keeping import clock_problem, to_remove
from ansible_collections.physioflow.database.plugins.module_utils.backup.manifest import (
    ID,
    checksum,
    claimed_number,
    new_id,
    read_manifest,
    update_manifest,
    write_manifest,
)
from ansible_collections.physioflow.database.plugins.module_utils.backup.programs import (
    Programs,
    check_ended,
    plain_words,
    without_pg_variables,
    without_values,
)
from ansible_collections.physioflow.database.plugins.module_utils.backup.restic import shown
from ansible_collections.physioflow.database.plugins.module_utils.backup.settings import (
    Settings,
    read_request,
    read_settings,
)
from ansible_collections.physioflow.database.plugins.module_utils.backup.store import (
    Backup,
    Store,
    sha256_of,
    size_text,
)

GIVEN: dict[str, Any] = {"database": "physioflow", "directory": "/b", "bin_dir": "/bin"}
NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"database": ""}, "database is missing"),
        ({"directory": None}, "directory is missing"),
        ({"database": "Bad-Name"}, "'Bad-Name' is not a database name"),
        ({"directory": "b"}, "directory is b, not an absolute path"),
        ({"bin_dir": "bin"}, "bin_dir is bin, not an absolute path"),
        ({"format": "plain"}, "format is plain; it is auto, custom or directory"),
        ({"compression": "gzip:0"}, "compression is gzip:0; it is"),
        ({"compression": "zstd:20"}, "compression is zstd:20"),
        ({"proof": "none"}, "proof is none; it is counts, hash or a list"),
        ({"keep": {"yearly": 1}}, "keep takes last, days, daily, weekly, monthly, and no other rule"),
        ({"keep": {"last": -1, "daily": 1}}, "keep.last is -1; it is 0 or more"),
        ({"keep": {"last": 0}}, "all rules of keep are 0, so no backup would be kept"),
        ({"jobs": -1}, "jobs is -1; it is 0 or more"),
        ({"lock_wait": -1}, "lock_wait is -1"),
        ({"restic": {"repository": "/r"}}, "restic has a repository and no password"),
        ({"restic": {"only": True}}, "restic.only without a repository would keep nothing"),
        ({"databse": "x"}, "unknown settings databse"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BackupError, match=re.escape(words)) as error:
        read_settings({**GIVEN, **change})
    assert "Nothing was touched" in str(error.value)


def test_all_problems_of_settings_are_said_at_once_and_no_secret() -> None:
    with pytest.raises(BackupError) as error:
        read_settings({"format": "x", "jobs": -1, "restic": {"password": "canary", "only": True}})
    assert str(error.value).count(";") >= 4
    assert "canary" not in str(error.value)
    settings = read_settings({**GIVEN, "connection": {"password": "canary"}, "restic": {"password": "canary"}})
    assert "canary" not in repr(settings)


def test_a_connection_is_quoted_as_libpq_reads_it() -> None:
    assert r"user='a b\'c\\d'" in Programs(Path("/b"), {"user": "a b'c\\d"}).conninfo("x")


def manifest(number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "id": "physioflow_backup_20260101_000000",
        "number": number,
        "status": "verified",
        "scope": "database",
        "database": {},
        "tables": [{"rows": 3}, {"rows": 4}],
        "files": {"database.dump": {"size": 1500, "sha256": "0"}},
        "dump": {},
        "finished_at": NOW.isoformat(),
        "seconds": {"total": 1.25},
        "drills": [],
        **more,
    }


def test_a_manifest_vouches_for_every_one_of_its_values(tmp_path: Path) -> None:
    folder = tmp_path / "physioflow_backup_20260101_000000"
    folder.mkdir()
    write_manifest(folder, manifest())
    good = read_manifest(folder)
    assert good["checksum"] == checksum(good)
    path = folder / "manifest.json"
    assert path.stat().st_mode & 0o777 == 0o600
    for key in good:
        other = json.dumps({**good, key: "other"})
        path.write_text(other)
        with pytest.raises(BackupError, match=r"was changed after it was written|is not a manifest"):
            read_manifest(folder)
        path.write_text(json.dumps({k: v for k, v in good.items() if k != key}))
        with pytest.raises(BackupError, match=r"was changed after it was written|is not a manifest"):
            read_manifest(folder)
    path.write_text(json.dumps({**good, "more": 1}))
    with pytest.raises(BackupError, match="was changed"):
        read_manifest(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is damaged"),
        ("{", "it is damaged"),
        ("[]", "is not a manifest of format 1"),
        ('{"format": 2}', "is not a manifest of format 1"),
        ("null", "is not a manifest"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BackupError, match=words):
        read_manifest(tmp_path)
    assert claimed_number(tmp_path) == 0


def test_the_manifest_of_another_backup_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "physioflow_backup_20260202_000000"
    folder.mkdir()
    write_manifest(folder, manifest())
    with pytest.raises(BackupError, match="is the manifest of physioflow_backup_20260101_000000, not of"):
        read_manifest(folder)
    with pytest.raises(BackupError, match=r"manifest\.json is missing: the backup .* is incomplete"):
        read_manifest(tmp_path)


def test_names_are_in_utc_and_tell_databases_apart(tmp_path: Path) -> None:
    assert new_id("physioflow", NOW) == "physioflow_backup_20260630_120000"
    match = ID.fullmatch("a_backup_20260101_000000_backup_20260630_120000")
    assert match
    assert match["database"] == "a_backup_20260101_000000"
    store = Store(read_settings({**GIVEN, "directory": tmp_path}))
    for name in ("physioflow_backup_20260101_000000.partial", "other_backup_20260101_000000", "notes", "x"):
        (tmp_path / name).mkdir()
    (tmp_path / "physioflow_backup_20260102_000000").symlink_to(tmp_path / "notes")
    (tmp_path / "physioflow_backup_20260103_000000").write_text("a file")
    assert store.backups() == []
    assert store.remove_partials() == ["physioflow_backup_20260101_000000.partial"]
    assert (tmp_path / "notes").exists()


def test_writers_of_a_manifest_come_one_after_the_other(tmp_path: Path) -> None:
    folder = tmp_path / str(manifest()["id"])
    folder.mkdir()
    write_manifest(folder, manifest())

    def add(number: int) -> None:
        update_manifest(folder, lambda old: {"drills": [*old["drills"], number]})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(64)))
    assert sorted(read_manifest(folder)["drills"]) == list(range(64))
    with pytest.raises(BackupError, match="is missing"):
        update_manifest(tmp_path / "not_there", lambda old: old)


def made(number: int, finished: datetime, scope: Any = "database", **more: Any) -> Backup:
    name = new_id("physioflow", finished)
    return Backup(Path("/b") / name, manifest(number, id=name, finished_at=finished.isoformat(), scope=scope, **more))


def kept(backups: list[Backup], **keep: int) -> list[int]:
    going = to_remove(backups, keep)
    assert len(going) == len({backup.id for backup in going})
    return [backup.number for backup in backups if backup not in going]


DAILY = [made(number, NOW - timedelta(days=100 - number)) for number in range(1, 101)]


@pytest.mark.parametrize(
    ("keep", "numbers"),
    [
        ({"last": 3}, [98, 99, 100]),
        ({"days": 2}, [98, 99, 100]),
        ({"daily": 2}, [99, 100]),
        ({"weekly": 2}, [98, 100]),
        ({"monthly": 3}, [39, 70, 100]),
        ({"last": 1, "monthly": 2, "daily": 2}, [70, 99, 100]),
        ({"last": 0, "daily": 1}, [100]),
        ({"last": 0}, [100]),
        ({}, list(range(1, 101))),
    ],
)
def test_each_rule_keeps_what_it_says(keep: dict[str, int], numbers: list[int]) -> None:
    assert kept(DAILY, **keep) == numbers


def test_many_backups_of_one_day_are_one_day() -> None:
    hourly = [made(number, NOW + timedelta(minutes=number)) for number in range(1, 10)]
    assert kept(hourly, daily=3) == [9]


def test_a_clock_that_jumped_does_not_make_backups_old() -> None:
    ahead = [*DAILY, made(101, NOW + timedelta(days=400))]
    assert kept(ahead, last=3) == [99, 100, 101]
    assert 100 in kept(ahead, daily=7)
    back = [*DAILY, made(101, NOW - timedelta(days=1, hours=1))]
    assert kept(back, last=1) == [101]  # the newest by number, though its time is not
    assert clock_problem(ahead, NOW).startswith("physioflow_backup_20270804_120000 was finished at 2027-08-04 12:00")
    assert clock_problem(back, NOW) == ""
    assert clock_problem([made(1, NOW + timedelta(minutes=4))], NOW) == ""


def test_damaged_ones_are_neither_counted_nor_removed_and_single_tables_are_a_chain_apart() -> None:
    damaged = Backup(Path("/b/physioflow_backup_20260101_000000"), damage="x")
    single = [made(number, NOW + timedelta(hours=number), ["public.patients"]) for number in (201, 202)]
    doubtful = made(300, NOW + timedelta(days=9), status="unknown")
    going = to_remove([damaged, *DAILY[-2:], *single, doubtful], {"last": 1})
    assert [backup.number for backup in going] == [99, 201]
    assert to_remove([damaged, doubtful], {"last": 1}) == []


@pytest.mark.parametrize("secret", ["Nguyễn Văn A", "two\nlines", 'with "quotes" in it', "a\nDETAIL:  x", '12: "x"'])
@pytest.mark.parametrize(
    "words",
    [
        'invalid input syntax for type integer: "{}"',
        'date/time field value out of range: "{}"',
        'value "{}" is out of range for type integer',
        '"{}" is out of range for type double precision',
        'invalid input value for enum gender_type: "{}"',
        'time zone "{}" not recognized',
    ],
)
def test_no_value_of_a_row_is_in_the_words(words: str, secret: str) -> None:
    text = words.format(secret)
    assert secret not in without_values(text)
    output = (
        "pg_restore: connecting\npg_restore: error: could not execute query: ERROR:  "
        f'{text}\nDETAIL:  Key (name)=({secret}) exists.\nCONTEXT:  COPY patients, line 1: "{secret}"\n'
    )
    shown_words = plain_words("pg_restore", output.encode())
    assert shown_words.startswith("could not execute query")
    for part in secret.replace("DETAIL:", "\n").split("\n"):
        assert len(part) < 4 or part not in shown_words


def test_the_words_of_programs_are_kept_where_they_name_things() -> None:
    name = 'duplicate key value violates unique constraint "patients_pkey"'
    assert without_values(name) == name
    error = (
        "pg_dump: error: query failed: ERROR:  permission denied for table patients\npg_dump: detail: Query was: X\n"
    )
    assert plain_words("pg_dump", error.encode()) == "query failed: ERROR:  permission denied for table patients"
    assert plain_words("pg_dump", b"") == "it printed no message"
    with pytest.raises(BackupError, match="pg_dump was terminated by SIGKILL"):
        check_ended("pg_dump", -9, b"")


def test_variables_of_the_user_lead_to_no_other_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "99")
    with without_pg_variables():
        assert {name for name in os.environ if name.startswith("PG")} == {"PGCONNECT_TIMEOUT"}
    assert (os.environ["PGHOSTADDR"], os.environ["PGCONNECT_TIMEOUT"]) == ("192.0.2.1", "99")


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("rest:https://user:p@ss:w0rd@backup.example:8000/repo", "rest:https://backup.example:8000/repo"),
        ("rest:https://backup.example/a@b", "rest:https://backup.example/a@b"),
        ("sftp:user@host:/srv/repo", "sftp:user@host:/srv/repo"),
        ("s3:https://key:secret@s3.example/bucket", "s3:https://s3.example/bucket"),
        ("/srv/repo", "/srv/repo"),
    ],
)
def test_a_repository_is_shown_without_its_password(repository: str, name: str) -> None:
    assert shown(repository) == name
    settings = Settings("x", Path("/"), Path("/"))
    assert settings.restic.program == "restic"


def test_sizes_ages_and_lines_read_well() -> None:
    assert [size_text(n) for n in (0, 999, 1000, 1_500_000, 2e9, 3e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.5 MB",
        "2.0 GB",
        "3.0 TB",
    ]
    assert [age_text(hours) for hours in (0, 0.5, 1, 47.6, 48, 240)] == [
        "0 min",
        "30 min",
        "1 h",
        "48 h",
        "2 days",
        "10 days",
    ]
    assert summary(manifest(id="x")) == "x, verified: 7 rows in 2 tables read back, 1.5 kB, 1.2 s"
    assert table([]) == ["There is no backup yet."]
    entry = {
        "id": "one",
        "age_hours": 3.0,
        "size": 1500,
        "scope": "database",
        "version": "",
        "verified": True,
        "drilled": "2026-02-03T00:00:00+00:00",
        "off_host": "",
        "here": False,
    }
    lines = table([entry, {"id": "two", "damage": "gone"}])
    assert " ".join(lines[1].split()) == "one 3 h 1.5 kB - yes 2026-02-03 - database (only off this host)"
    assert lines[2] == "two  DAMAGED: gone"


def test_files_are_told_by_their_content_and_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/x").write_text("a")
    (tmp_path / "manifest.json").write_text("{}")
    assert list(sha256_of(tmp_path)) == ["d/x"]
    (tmp_path / "d/y").symlink_to("/etc/passwd")
    with pytest.raises(BackupError, match="is neither a file nor a folder"):
        sha256_of(tmp_path)


def test_tables_and_the_newest_backup_may_be_said_as_people_type_them() -> None:
    typed = read_request({"tables": "insurance_info, patients", "backup": "newest"}, check_mode=False)
    assert (typed.tables, typed.backup) == (("insurance_info", "patients"), "latest")
    assert read_request({"tables": ["patients"], "backup": ""}, check_mode=False).tables == ("patients",)
