"""Copies off the host by restic: encrypted, caught up, fetched back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.backup.errors import BackupError

from tests.backups import CANARY, FEW, RESTIC_PASSWORD, Clinic, wait

COPY_OF = FEW
pytestmark = pytest.mark.usefixtures("restic_program")


@pytest.fixture
def off_host(clinic: Clinic) -> Clinic:
    """A clinic with a repository that is not there yet."""
    clinic.more = {"restic": {"repository": str(clinic.folder.parent / "repository"), "password": RESTIC_PASSWORD}}
    return clinic


def repository(clinic: Clinic) -> Path:
    return Path(clinic.more["restic"]["repository"])


def restic(clinic: Clinic, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["restic", "--quiet", "--no-cache", *arguments],
        env=os.environ | {"RESTIC_REPOSITORY": str(repository(clinic)), "RESTIC_PASSWORD": RESTIC_PASSWORD},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


@pytest.mark.control("S27")
def test_the_copy_is_made_encrypted_and_brings_a_lost_host_back(off_host: Clinic) -> None:
    rows = off_host.fingerprint()
    off_host.more |= {"compression": "none"}
    backup = off_host.backup()
    copied = off_host.manifest(backup)["off_host"]
    assert copied["repository"] == str(repository(off_host))
    content = b"".join(path.read_bytes() for path in repository(off_host).rglob("*") if path.is_file())
    assert CANARY.encode() not in content
    assert CANARY.encode() in (off_host.folder / backup / "database.dump").read_bytes()
    shutil.rmtree(off_host.folder)  # the host is lost
    off_host.folder.mkdir()
    done = off_host.act("list", off_host=True)
    assert f"{backup}  only off this host" in "\n".join(done["lines"])
    off_host.act("restore", database=off_host.name, in_place=True)
    assert off_host.fingerprint() == rows
    off_host.sql("DROP TABLE insurance_info")
    off_host.act("restore_tables", tables=["insurance_info"], backup=backup, source="off_host")
    assert off_host.fingerprint() == rows
    off_host.kept_in_order()


@pytest.mark.control("S27")
def test_no_plain_dump_stays_where_only_the_copy_is_wanted(off_host: Clinic) -> None:
    off_host.more["restic"]["only"] = True
    off_host.more["keep"] = {"last": 1}
    first, backup = off_host.backup(), off_host.backup()
    assert off_host.names() == [backup]
    assert [path.name for path in (off_host.folder / backup).iterdir()] == ["manifest.json"]
    assert "(only off this host)" in off_host.act("list")["lines"][1]
    assert first not in str(off_host.act("list", off_host=True)["copies"])
    assert off_host.act("drill")["from"] == "off_host"
    assert off_host.manifest(backup)["drills"][-1]["ok"]
    with pytest.raises(BackupError, match="is missing"):
        off_host.act("verify", source="disk")
    off_host.kept_in_order()


@pytest.mark.control("S27")
@pytest.mark.fault(53)
def test_a_wrong_password_and_what_was_missed_is_caught_up(off_host: Clinic) -> None:
    first = off_host.backup()
    right = off_host.more["restic"]
    off_host.more = {"restic": right | {"password": "wrong canary"}}
    done = off_host.act("create")
    assert "The password of the repository" in done["problems"][0]
    assert "is wrong. Correct backup_restic_password" in done["problems"][0]
    assert "The backup is on this host, and verified" in done["problems"][0]
    assert "canary" not in str(done)
    assert off_host.manifest(done["id"])["off_host"] is None
    before = off_host.fingerprint()
    with pytest.raises(BackupError, match=r"(?s)The password of the repository .* is wrong.*No database was changed"):
        off_host.act("restore", database=off_host.name, in_place=True, source="off_host", backup=first)
    assert off_host.fingerprint() == before
    off_host.more = {"restic": right}
    last = off_host.backup()
    assert [copy["id"] for copy in off_host.act("list", off_host=True)["copies"]] == [first, done["id"], last]
    off_host.kept_in_order()


def test_a_restic_that_was_killed_blocks_nothing(off_host: Clinic) -> None:
    off_host.backup()
    killed = restic(off_host, "backup", "--stdin", stdin=subprocess.PIPE)
    wait(lambda: any((repository(off_host) / "locks").iterdir()), "restic takes no lock")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert any((repository(off_host) / "locks").iterdir())
    off_host.more["keep"] = {"last": 1}
    last = off_host.backup()  # copies, and removes what no rule keeps: that takes the lock for itself
    assert [copy["id"] for copy in off_host.act("list", off_host=True)["copies"]] == [last]


def test_another_repository_gets_what_is_here_and_a_damaged_one_stops_nothing(off_host: Clinic) -> None:
    damaged, first = off_host.backup(), off_host.backup()
    (off_host.folder / damaged / "globals.sql").write_text("spoilt")
    off_host.more["restic"]["repository"] += "-2"
    done = off_host.act("create")
    assert done["problems"] == [
        f"{damaged} was not copied off the host, as it is damaged: {off_host.folder / damaged / 'globals.sql'} has 6 "
        f"bytes, not {off_host.manifest(damaged)['files']['globals.sql']['size']}."
    ]
    assert [copy["id"] for copy in off_host.act("list", off_host=True)["copies"]] == [first, done["id"]]


def test_nothing_secret_is_in_the_list_of_processes_or_in_words(off_host: Clinic, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    spy = tmp_path / "restic"
    spy.write_text(f'#!/bin/sh\ntr "\\0" " " </proc/$$/cmdline >>{seen}\nexec restic "$@"\n')
    spy.chmod(0o755)
    off_host.more["restic"] |= {"program": str(spy), "repository": "rest:http://user:repo-canary@127.0.0.1:9/x"}
    done = off_host.act("create")
    assert "its copy off the host failed" in done["problems"][0]
    text = seen.read_text() + str(done)
    assert "unlock" in text
    assert RESTIC_PASSWORD not in text
    assert "canary" not in text
