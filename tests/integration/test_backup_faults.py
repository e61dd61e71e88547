"""What goes wrong with backups: after each fault everything is as before, and the same command again goes well."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.backup import create as backup_create
from ansible_collections.physioflow.database.plugins.module_utils.backup.archive import (
    read_contents as read_archive_contents,
)
from ansible_collections.physioflow.database.plugins.module_utils.backup.errors import BackupError
from ansible_collections.physioflow.database.plugins.module_utils.backup.manifest import utc_now
from ansible_collections.physioflow.database.plugins.module_utils.backup.settings import read_settings
from ansible_collections.physioflow.database.plugins.module_utils.backup.store import Store

from tests.backups import FEW, Clinic, descendants, kill, mounted, wait

COPY_OF = FEW
MIGRATIONS_LOCK = "hashtextextended('migrations.history', 0)"
UNTOUCHED = "The existing backups are unchanged; the newest verified one is {}"


def converges(clinic: Clinic, before: list[str], rows: dict[str, str]) -> None:
    """Assert that the same command again, without a manual step, gives a good backup and leaves nothing else."""
    assert clinic.fingerprint() == rows
    again = clinic.backup()
    assert clinic.names() == sorted([*before, again])
    assert clinic.act("verify")["lines"][0].startswith(f"{again} is intact")  # the newest, read back in full
    clinic.kept_in_order()


@pytest.mark.fault(44)
def test_a_folder_that_is_none(clinic: Clinic) -> None:
    none: tuple[tuple[Callable[[Path], object], str], ...] = (
        (lambda _: None, "does not exist"),
        (lambda path: path.write_text(""), ", is a file"),
        (lambda path: path.symlink_to("/"), "is a symbolic link to /: name the folder itself"),
    )
    clinic.folder.rmdir()
    for spoil, words in none:
        spoil(clinic.folder)
        with pytest.raises(BackupError, match=f"{clinic.folder}.*{words}.*No backup was made"):
            clinic.act("create")
        clinic.folder.unlink(missing_ok=True)


@pytest.mark.fault(44)
def test_a_folder_that_cannot_be_written_to(clinic: Clinic) -> None:
    with mounted(clinic.folder, "ro"), pytest.raises(BackupError, match="cannot be written to by the user id 0: Read-"):
        clinic.act("create")
    clinic.folder.chmod(0o500)
    if os.geteuid() != 0:
        with pytest.raises(BackupError, match=r"Permission denied \(owner \d+, mode 0500\)"):
            clinic.act("create")
    clinic.folder.chmod(0o700)
    converges(clinic, [], clinic.fingerprint())


@pytest.mark.fault(10)
def test_a_disk_that_fills_up_during_the_dump(clinic: Clinic) -> None:
    with mounted(clinic.folder, "size=48m"):
        before = clinic.backup()
        rows = clinic.fingerprint()
        filler = clinic.folder / "filler"
        free = shutil.disk_usage(clinic.folder).free
        with filler.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, free - 1_500_000)
        clinic.sql(  # three megabytes that cannot be compressed
            "CREATE TABLE noise AS SELECT string_agg(uuid_send(uuid_generate_v4()), '') AS noise "
            "FROM generate_series(1, 200000) AS n GROUP BY n % 100"
        )
        clinic.more = {"keep": {"last": 1}}
        with pytest.raises(BackupError, match=rf"(?s)No space left on device.*{UNTOUCHED.format(before)}"):
            clinic.act("create")
        assert clinic.names() == sorted([before, "filler"])
        filler.unlink()
        clinic.sql("DROP TABLE noise")
        clinic.more = {}
        converges(clinic, [before], rows)


@pytest.mark.fault(10)
def test_a_disk_that_is_too_small_is_refused_first(clinic: Clinic) -> None:
    with mounted(clinic.folder, "size=1m"):
        with pytest.raises(BackupError, match=r"free, and a backup may need .* \(that is the database's size\)"):
            clinic.act("create")
        assert clinic.names() == []


def test_pg_dump_is_killed(clinic: Clinic) -> None:
    clinic.more = {"keep": {"last": 1}}
    before, rows = clinic.backup(), clinic.fingerprint()
    with clinic.held():
        running = clinic.start("create")
        clinic.waiters(2)
        os.kill(descendants(running.pid)["pg_dump"], signal.SIGKILL)
    said = running.communicate()[0]
    assert running.returncode == 1
    assert "pg_dump was terminated by SIGKILL" in said
    assert UNTOUCHED.format(before) in said
    assert clinic.names() == [before]  # and retention did not run
    clinic.more = {}
    converges(clinic, [before], rows)


def test_the_process_is_killed(clinic: Clinic) -> None:
    before, rows = clinic.backup(), clinic.fingerprint()
    with clinic.held():
        running = clinic.start("create")
        clinic.waiters(2)
        dump = descendants(running.pid)["pg_dump"]
        kill(running)
        assert len([name for name in clinic.names() if name.endswith(".partial")]) == 1
        assert [entry["id"] for entry in clinic.act("list")["backups"]] == [before]
        # pg_dump goes on, so the folder is still in use.
        with pytest.raises(BackupError, match=rf"Another run works on the backups .* pid {running.pid}, since 2"):
            clinic.act("create")
    wait(lambda: _ended(dump), "pg_dump does not end")
    converges(clinic, [before], rows)


def _ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_the_controller_is_killed(clinic: Clinic) -> None:
    """What is left is the process that the module acts in, and nobody reads its answer."""
    rows = clinic.fingerprint()
    with clinic.held():
        module = clinic.start("create", "perform_as")
        clinic.waiters(2)
        below = descendants(module.pid)
        module.send_signal(signal.SIGKILL)
        module.wait()
    for pid in below.values():  # they end by themselves
        wait(lambda: _ended(pid), f"process {pid} goes on")  # noqa: B023 - called at once
    [before] = clinic.names()
    converges(clinic, [before], rows)


@pytest.mark.fault(52)
def test_two_at_once(clinic: Clinic) -> None:
    with clinic.held():
        running = clinic.start("create", why="nightly")
        clinic.waiters(2)
        for act in ("create", "prune"):
            with pytest.raises(
                BackupError,
                match=rf"a backup of {clinic.name} \(nightly\), pid {running.pid}, since [\d :-]+ UTC\. Nothing was",
            ):
                clinic.act(act)
    said = running.communicate()[0]
    assert running.returncode == 0, said
    converges(clinic, clinic.names(), clinic.fingerprint())


@pytest.mark.fault(51)
def test_a_backup_waits_for_migrations(clinic: Clinic) -> None:
    with clinic.connect() as migration:
        migration.execute(f"SELECT pg_advisory_xact_lock({MIGRATIONS_LOCK})")
        with pytest.raises(BackupError, match=r"A run of migrations has been active for more than 0 s"):
            clinic.act("create", settings={"lock_wait": 0})
        running = clinic.start("create")
        clinic.until(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'physioflow-backup' "
            "AND query LIKE '%pg_try_advisory_lock_shared%'",
            "1",
        )
        migration.execute("ALTER TABLE public.patients ADD COLUMN later text DEFAULT 'by the migration'")
        migration.commit()
    said = running.communicate()[0]
    assert running.returncode == 0, said
    [backup] = clinic.names()
    dumped = clinic.local.run_program("pg_restore", "--schema-only", "--file=-", str(dump_file(clinic, backup, "toc")))
    assert "later text DEFAULT 'by the migration'" in dumped.stdout
    clinic.kept_in_order()


@pytest.mark.fault(51)
def test_migrations_wait_for_a_dump_and_not_for_what_follows(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    free = f"SELECT pg_try_advisory_xact_lock({MIGRATIONS_LOCK})"
    with clinic.held():
        running = clinic.start("create")
        clinic.waiters(2)
        assert clinic.sql(free) == "f"
    assert running.wait() == 0
    seen = []
    reading_back = read_archive_contents

    def read_contents(*arguments: Any) -> object:
        seen.append(clinic.sql(free))
        return reading_back(*arguments)

    monkeypatch.setattr(backup_create, "read_contents", read_contents)
    clinic.backup()
    assert seen == ["t"]


PLACES = ["header", "toc", "data", "end"]
FORMATS: dict[str, dict[str, Any]] = {
    "custom": {"compression": "gzip:1"},
    "plain": {"compression": "none"},
    "directory": {"format": "directory", "jobs": 2},
}


def dump_file(clinic: Clinic, backup: str, place: str) -> Path:
    dump = clinic.folder / backup / "database.dump"
    if dump.is_file():
        return dump
    data = [path for path in dump.iterdir() if path.name != "toc.dat"]
    return dump / "toc.dat" if place in ("header", "toc") else max(data, key=lambda path: path.stat().st_size)


def position(content: bytes, place: str) -> int:
    return {"header": 2, "toc": 400, "data": len(content) * 2 // 3, "end": len(content) - 2}[place]


ACTS: dict[str, dict[str, Any]] = {
    "restore": {"in_place": True},
    "restore_tables": {"tables": ["patients"], "existing_rows": "replace"},
    "verify": {},
    "drill": {},
}


def refused(clinic: Clinic, words: str, acts: Sequence[str] = tuple(ACTS), **request: Any) -> None:
    """Assert that nothing that reads the backup takes it."""
    for act in acts:
        with pytest.raises(BackupError, match=words):
            clinic.act(act, database=clinic.name, **ACTS[act], **request)


def untouched(clinic: Clinic, before: dict[str, str]) -> None:
    """Assert that no database was touched."""
    assert clinic.fingerprint() == before
    assert clinic.databases() == [clinic.name]
    clinic.kept_in_order()


@pytest.mark.fault(45)
@pytest.mark.fault(46)
@pytest.mark.parametrize("kind", FORMATS)
def test_a_flipped_bit_or_a_lost_end_anywhere_is_refused_before_anything_is_touched(clinic: Clinic, kind: str) -> None:
    clinic.more = FORMATS[kind]
    backup, before = clinic.backup(), clinic.fingerprint()
    for place in PLACES:
        path = dump_file(clinic, backup, place)
        content = path.read_bytes()
        at = position(content, place)
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        refused(clinic, "was changed after it was written: its SHA-256 differs")
        path.write_bytes(content[:at])
        refused(clinic, rf"has {at} bytes, not {len(content)}")
        path.write_bytes(content)
    assert clinic.act("drill", backup=backup)["ok"]
    # As if pg_dump had written it so: the checksums are right, and only what is in it tells.
    path = dump_file(clinic, backup, "data")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    clinic.reseal(backup)
    words = "pg_restore failed|truncated|it has (no|[0-9]+) rows of|its value of the sequence"
    refused(clinic, words, ("restore", "verify", "drill"))
    if kind == "directory":
        path.write_bytes(b"")  # pg_restore itself ends well on it
        clinic.reseal(backup)
        words = r"it has \d+ rows of public\.\w+, expected 1000|public\.\w+ has 0 rows, expected 1000"
        refused(clinic, words, ("restore", "verify"))
    untouched(clinic, before)


@pytest.mark.fault(45)
def test_a_row_that_was_changed_in_the_dump_is_found_by_its_hash(clinic: Clinic) -> None:
    clinic.more = FORMATS["plain"]
    backup, before = clinic.backup(), clinic.fingerprint()
    path = dump_file(clinic, backup, "data")
    content = path.read_bytes()
    at = content.rindex(b"first500")
    path.write_bytes(content[:at] + b"forged00" + content[at + 8 :])
    clinic.reseal(backup)
    words = r"the 1000 rows of public\.patients differ"
    refused(clinic, words, ["restore_tables"])
    with pytest.raises(BackupError, match=words):
        clinic.act("restore", database=f"{clinic.name}_new")
    with pytest.raises(BackupError, match=f"The drill failed: .* {words}") as error:
        clinic.act("drill")
    assert "The live database was not touched. Do not rely on this backup" in str(error.value)
    untouched(clinic, before)
    [record] = clinic.manifest(backup)["drills"]
    assert (record["ok"], "public.patients differ" in record["why"]) == (False, True)
    assert clinic.act("list")["backups"][0]["drilled"] == ""


TAMPERED: dict[str, Callable[[Path], object]] = {
    "database.dump is missing": lambda path: (path / "database.dump").unlink(),
    "globals.sql is missing": lambda path: (path / "globals.sql").unlink(),
    "more.sql does not belong to the backup": lambda path: (path / "more.sql").write_text("x"),
    "is neither a file nor a folder": lambda path: (path / "more.sql").symlink_to("/etc/passwd"),
    "manifest.json is missing": lambda path: (path / "manifest.json").unlink(),
    "it is damaged": lambda path: (path / "manifest.json").write_bytes(b"\xff{"),
    "was changed after it was written: its checksum differs": lambda path: (path / "manifest.json").write_text(
        (path / "manifest.json").read_text().replace('"rows": 1000', '"rows": 1001', 1)
    ),
}


@pytest.mark.fault(45)
def test_a_folder_that_was_tampered_with(clinic: Clinic) -> None:
    backup, before = clinic.backup(), clinic.fingerprint()
    sound = Path(shutil.copytree(clinic.folder / backup, clinic.folder.parent / "sound"))
    for words, spoil in TAMPERED.items():
        spoil(clinic.folder / backup)
        refused(clinic, re.escape(words), backup=backup)
        with pytest.raises(BackupError):
            clinic.act("drill")  # of the latest, which is not there any more, or not sound
        shutil.rmtree(clinic.folder / backup)
        shutil.copytree(sound, clinic.folder / backup)
    untouched(clinic, before)


def test_a_drill_of_the_latest_does_not_pass_a_newer_damaged_one_by(clinic: Clinic) -> None:
    sound, damaged = clinic.backup(), clinic.backup()
    manifest = clinic.folder / damaged / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"why": "by hand"', '"why": "by nobody"'))
    done = clinic.act("drill")
    assert done["backup"] == sound
    assert done["problems"][0].startswith(f"{damaged} is newer and cannot be used: ")
    manifest.unlink()
    store = Store(read_settings(clinic.settings()))
    assert [left.id for left in store.newer_damaged(store.find(sound).number)] == [damaged]
    newest = clinic.backup()  # from here on it is an old story
    done = clinic.act("drill")
    assert (done["backup"], done["problems"]) == (newest, [])


@pytest.mark.fault(48)
def test_a_dump_of_a_newer_version(clinic: Clinic) -> None:
    before = clinic.fingerprint()
    for kind in ("custom", "directory"):
        clinic.more = FORMATS[kind]
        backup = clinic.backup()
        path = dump_file(clinic, backup, "header")
        content = bytearray(path.read_bytes())
        assert content[:5] == b"PGDMP"
        content[6] = 99
        path.write_bytes(content)
        clinic.reseal(backup)
        refused(clinic, r"unsupported version \(1\.99\) in file header", backup=backup)
    untouched(clinic, before)


@pytest.mark.fault(49)
def test_a_restore_that_is_killed_and_run_again(clinic: Clinic) -> None:
    backup, rows = clinic.backup(), clinic.fingerprint()
    clinic.sql("DELETE FROM insurance_info")
    damaged = clinic.fingerprint()
    running = clinic.start("restore", database=clinic.name, in_place=True)
    scratch = f"{clinic.name}_restoring"
    clinic.until(f"SELECT 1 FROM pg_stat_activity WHERE datname = '{scratch}' AND query ~ 'CREATE|ALTER|COPY' LIMIT 1")
    kill(running)
    assert clinic.databases() == [clinic.name, scratch]
    assert clinic.fingerprint() == damaged
    done = clinic.act("restore", database=clinic.name, in_place=True)
    assert done["backup"] == backup
    assert clinic.fingerprint() == rows
    clinic.kept_in_order()


@pytest.mark.fault(42)
def test_a_clock_that_jumped_removes_nothing(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic.more = {"keep": {"last": 1}}
    ahead = clinic.backup()
    clinic.reseal(ahead, lambda manifest: manifest.update(finished_at="2099-01-01T00:00:00+00:00"))
    done = clinic.act("create")
    assert done["removed"] == []
    assert "one of them is wrong, so no backup was removed" in done["problems"][0]
    newest = clinic.act("verify")["lines"][0]
    assert newest.startswith(f"{done['id']} is intact")  # the newest by number, whatever the clock said
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + 400 * 86400)
    with pytest.raises(BackupError, match=r"clocks of this host and of the server differ by 34560\d\d\d s"):
        clinic.act("create")


@pytest.mark.fault(43)
def test_time_zones_and_formats_of_the_database_change_no_hash(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic.sql(
        f"ALTER DATABASE {clinic.name} SET TimeZone = 'Asia/Ho_Chi_Minh';"
        f"ALTER DATABASE {clinic.name} SET DateStyle = 'German';"
        f"ALTER DATABASE {clinic.name} SET extra_float_digits = 0;"
        f"ALTER DATABASE {clinic.name} SET bytea_output = 'escape';"
        "CREATE TABLE moments (at timestamptz, spell interval, share float8, picture bytea);"
        "INSERT INTO moments VALUES ('2026-02-03 23:30+07', '1 mon -3 days 04:05', 1/3.0, decode('ff00', 'hex'))"
    )
    monkeypatch.setenv("TZ", "Asia/Ho_Chi_Minh")
    monkeypatch.setenv("PGOPTIONS", "-c DateStyle=SQL")
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.2")  # where no server is
    time.tzset()
    try:
        backup = clinic.backup()
        clinic.sql(f"ALTER DATABASE {clinic.name} SET TimeZone = 'America/New_York'")
        clinic.act("restore", database=clinic.name, in_place=True)
    finally:
        monkeypatch.undo()
        time.tzset()
    manifest = clinic.manifest(backup)
    assert manifest["finished_at"].endswith("+00:00")
    assert backup.endswith(re.sub(r"[-:]", "", manifest["started_at"][:19]).replace("T", "_"))
    assert abs(time.time() - utc_now().timestamp()) < 60
    assert clinic.sql("SELECT to_char(at AT TIME ZONE 'Asia/Ho_Chi_Minh', 'YYYY-MM-DD') FROM moments") == "2026-02-03"


def test_retention_keeps_to_its_rules(clinic: Clinic) -> None:
    clinic.more = {"keep": {"last": 2}}
    first, second = clinic.backup(), clinic.backup()
    single = clinic.backup(tables=["patients"])
    damaged = clinic.backup()
    assert clinic.names() == [second, single, damaged] or first not in clinic.names()
    (clinic.folder / damaged / "manifest.json").write_text("{")
    newest = clinic.backup()
    assert clinic.names() == sorted([second, single, damaged, newest])
    clinic.more = {"keep": {"last": 1}}
    assert clinic.act("prune")["removed"] == [second]
    assert clinic.names() == sorted([single, damaged, newest])
