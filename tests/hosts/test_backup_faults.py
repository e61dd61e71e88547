"""Faults of backups on a real host under systemd: what is refused, why, and that the backups that are there stay.

One host for the whole file, on which each backup removes the one before it; a test leaves the host as it found it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tests.hosts.host import Host, made, refused

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("backup_faults")]

STORE = "/var/backups/physioflow"
PROGRAM = "/usr/local/lib/physioflow/physioflow.pyz"
SERVICE = "physioflow-backup.service"
SERVER = "postgresql@16-main"
AS_USER = "runuser -u emr_backup --"
KEEP_ONE = {"last": 1, "days": 0, "daily": 0, "weekly": 0, "monthly": 0}


@pytest.fixture(scope="module")
def host(variables: dict[str, str], tmp_path_factory: Any) -> Iterator[Host]:
    """A host with the release, rows and a verified backup."""
    with made(tmp_path_factory.mktemp("backups"), variables, "13") as deployed:
        deployed.variables["backup_keep"] = KEEP_ONE
        result = deployed.deploy()
        assert result.status == 0, result.output
        rows = "select n, md5(n::text) as words from generate_series(1, 2000) as n"
        deployed.sql(f"create schema extra; create table extra.bulk as {rows}", "physioflow")
        start(deployed)
        yield deployed


def start(host: Host, wait: bool = True) -> None:
    """Run what the timer runs."""
    host.run(f"systemctl reset-failed {SERVICE}; systemctl start {'' if wait else '--no-block'} {SERVICE}")


def fails(host: Host, *words: str) -> None:
    """Run what the timer runs, which has to end with these words in the journal."""
    assert host.run(f"systemctl reset-failed {SERVICE}; systemctl start {SERVICE}; echo $?", check=False) == "1"
    failed(host, *words)


def failed(host: Host, *words: str) -> None:
    """Wait until the service has failed with these words in the journal, and forget that it did."""
    host.wait_for(f"systemctl is-failed --quiet {SERVICE}")
    run = host.run(f"systemctl show -p InvocationID --value {SERVICE}")
    host.wait_for(f"journalctl -o cat INVOCATION_ID={run} | grep -q 'Failed with result'")
    said = " ".join(host.run(f"journalctl -o cat _SYSTEMD_INVOCATION_ID={run}").split())
    for each in words:
        assert each in said, said
    host.run(f"systemctl reset-failed {SERVICE}")


def backups(host: Host, store: str = STORE) -> str:
    """Return every file of every finished backup with its checksum; one that is not finished is none."""
    assert host.run(f"find {store} -name '*.partial'") == ""
    return host.run(f"find {store} -type f -path '*_backup_*' -exec sha256sum {{}} + | sort -k 2")


def ids(host: Host, store: str = STORE) -> list[str]:
    return re.findall(r"/(physioflow_backup_\d{8}_\d{6})/manifest.json", backups(host, store))


def locked(host: Host, table: str) -> AbstractContextManager[str]:
    """Have an application lock a table, so that a dump stands still in its middle."""
    return host.holding(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")


def wait_for_dump(host: Host) -> None:
    """Wait until a dump waits for the lock of the test."""
    query = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'pg_dump' AND wait_event_type = 'Lock'"
    host.wait_for(f'psql -h /var/run/postgresql -U postgres -XAtc "{query}" | grep -q 1')


def test_disk_full_during_a_backup(host: Host) -> None:
    small = "/srv/small"
    host.run(f"mkdir {small} && mount -t tmpfs -o size=32m,mode=0700,uid=$(id -u emr_backup) tmpfs {small}")
    try:
        assert host.play("playbooks/backup.yml", backup_directory=small).status == 0
        before = backups(host, small)
        rows = "select n, md5(random()::text) || md5(random()::text) as words from generate_series(1, 200000) as n"
        host.sql(f"create table extra.large as {rows}", "physioflow")
        # What the last one took fits: only the dump itself finds out.
        host.run(f"fallocate -l $(($(stat -f -c '%a * %S' {small}) - 3000000)) {small}/filler")
        result = host.play("playbooks/backup.yml", backup_directory=small)
        refused(
            result,
            "No backup was made of physioflow: pg_dump failed: ",
            "No space left on device",
            f"The existing backups are unchanged; the newest verified one is {ids(host, small)[0]}.",
        )
        assert backups(host, small) == before
        host.run(f"rm {small}/filler")
        assert host.play("playbooks/backup.yml", backup_directory=small).status == 0
        assert len(ids(host, small)) == 1
        assert backups(host, small) != before
    finally:
        host.sql("drop table if exists extra.large", "physioflow")
        host.run(f"umount {small} && rmdir {small}")


def test_kill_of_pg_dump(host: Host) -> None:
    before = backups(host)
    (newest,) = ids(host)
    with locked(host, "extra.bulk"):
        start(host, wait=False)
        wait_for_dump(host)
        host.run("kill -9 $(pgrep -x pg_dump)")
    failed(host, "pg_dump was terminated by SIGKILL", f"the newest verified one is {newest}")
    assert backups(host) == before
    start(host)
    assert ids(host) != []
    assert backups(host) != before


def test_kill_of_the_whole_backup(host: Host) -> None:
    before = ids(host)
    with locked(host, "extra.bulk"):
        start(host, wait=False)
        wait_for_dump(host)
        host.run(f"systemctl kill -s KILL {SERVICE}")
    failed(host)
    partial = host.run(f"ls -d {STORE}/*.partial")
    assert host.run(f"ls -d {STORE}/*_backup_*").split() == sorted([f"{STORE}/{before[0]}", partial])
    start(host)
    assert len(ids(host)) == 1
    assert ids(host) != before


def test_kill_of_a_backup_whose_dump_goes_on(host: Host) -> None:
    before = ids(host)
    with locked(host, "extra.bulk"):
        host.run(f"setsid {AS_USER} {PROGRAM} backup create >/dev/null 2>&1 &")
        wait_for_dump(host)
        process = host.run(f"pgrep -u emr_backup -f '{PROGRAM} backup create'").split()[0]
        host.run(f"kill -9 {process}")
        fails(host, f"Another run works on the backups in {STORE}: a backup of physioflow (by hand), pid {process}")
    host.wait_for("! pgrep -x pg_dump")
    start(host)
    assert len(ids(host)) == 1
    assert ids(host) != before


@pytest.mark.fault(70)
def test_a_damaged_page_is_no_backup(host: Host) -> None:
    before = backups(host)
    path = host.sql("select pg_relation_filepath('extra.bulk')", "physioflow")
    file = f"/var/lib/postgresql/16/main/{path}"
    host.run(f"systemctl stop {SERVER} && cp -p {file} /root/heap && systemctl start {SERVER}")
    try:
        host.run(f"systemctl stop {SERVER} && printf x | dd of={file} bs=1 seek=8000 conv=notrunc && sync")
        host.run(f"systemctl start {SERVER}")
        fails(
            host,
            "No backup was made of physioflow: the rows of extra.bulk cannot be read: [XX001] invalid page in block 0",
            "The existing backups are unchanged",
        )
    finally:
        host.run(f"systemctl stop {SERVER}; cp -p /root/heap {file} && rm /root/heap && systemctl start {SERVER}")
    assert backups(host) == before
    start(host)


def test_a_server_without_role_and_extension_is_refused_before_anything_is_made(host: Host) -> None:
    control = host.run("find /usr -name pg_trgm.control")
    made_there = "select count(*), max(oid) from pg_database"
    before = host.sql(made_there)
    host.run(f"mv {control} /root/")
    host.sql("alter role emr_readonly rename to gone")
    try:
        result = host.play("playbooks/restore.yml", restore_backup="latest")
    finally:
        host.sql("alter role gone rename to emr_readonly")
        host.run(f"mv /root/pg_trgm.control {control}")
    refused(
        result,
        f"{ids(host)[0]} cannot be restored here: the server has no role emr_readonly",
        "the extension pg_trgm is not available on the server",
        "No database was changed.",
    )
    assert host.sql(made_there) == before


@pytest.mark.fault(42)
def test_a_clock_that_jumps_and_comes_back_removes_nothing(host: Host) -> None:
    """First the host's alone, then the server's, too. A container has the machine's clock, so faketime changes it."""
    (first,) = ids(host)
    host.run("apt-get update -qq && apt-get install -qq --no-install-recommends libfaketime")
    library = host.run("find /usr/lib -name libfaketime.so.1")
    ahead = {"LD_PRELOAD": library, "FAKETIME": "+400d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    unit = f"/run/systemd/system/{SERVICE}.d"
    of_server = "/etc/postgresql/16/main/environment"
    settings = "\n".join(f"Environment={name}={value}" for name, value in ahead.items())
    host.run(f"mkdir -p {unit} && printf '[Service]\n{settings}\n' > {unit}/clock.conf && systemctl daemon-reload")
    host.run(f"cp -p {of_server} /root/environment")
    try:
        fails(host, "clocks of this host and of the server differ by 34560")
        assert ids(host) == [first]
        lines = "\n".join(f"{name} = '{value}'" for name, value in ahead.items())
        host.run(f'echo "{lines}" >> {of_server} && systemctl restart {SERVER}')
        start(host)
    finally:
        host.run(f"cp -p /root/environment {of_server} && systemctl restart {SERVER}")
        host.run(f"rm -r {unit} && systemctl daemon-reload")
    (jumped,) = ids(host)
    assert jumped != first
    fails(host, f"Nothing was removed: {jumped} was finished at ", "one of them is wrong")
    assert len(ids(host)) == 2
    host.run(f"rm -r {STORE}/{jumped}")
    start(host)
    assert len(ids(host)) == 1


FOLDERS = {
    "missing": ("true", f"The folder of the backups, {STORE}, does not exist."),
    "a file": (f"touch {STORE}", f"The folder of the backups, {STORE}, is a file."),
    "a link": (f"ln -s / {STORE}", f"{STORE} is a symbolic link to /: name the folder itself."),
    "not ours": (f"install -d -m 0500 {STORE}", "Permission denied (owner 0, mode 0500)"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_that_cannot_be_the_one(host: Host, case: str) -> None:
    making, words = FOLDERS[case]
    before = backups(host)
    host.run(f"mv {STORE} {STORE}.kept && {making}")
    try:
        fails(host, words, "No backup was made. Mount or create the folder, or correct backup_directory.")
    finally:
        host.run(f"rm -rf {STORE} && mv {STORE}.kept {STORE}")
    assert backups(host) == before


def test_root_who_runs_it_by_hand_leaves_no_file_of_root(host: Host) -> None:
    host.run(f"{PROGRAM} backup create && {PROGRAM} backup drill && {PROGRAM} backup list")
    assert host.run(f"find {STORE} -not -user emr_backup") == ""
    start(host)


def test_the_program_needs_no_ansible_of_the_host_and_takes_none(host: Host) -> None:
    folders = "/usr/lib/python3/dist-packages/ansible /usr/lib/python3/dist-packages/ansible_collections"
    host.run(f"mkdir {folders} && echo 'raise SystemExit(9)' | tee {folders.replace(' ', '/__init__.py ')}/__init__.py")
    try:
        start(host)
    finally:
        host.run(f"rm -r {folders}")


def test_a_deploy_renews_the_program_and_stops_a_timer(host: Host) -> None:
    old = "/usr/local/lib/physioflow-backup"
    unit = f"/etc/systemd/system/{SERVICE}"
    host.run(f"sha256sum {PROGRAM} {unit} > /root/code && echo raise > {PROGRAM} && echo User=root >> {unit}")
    host.run(f"mkdir {old} && touch {old}/physioflow-backup && systemctl stop physioflow-drill.timer")
    try:
        result = host.deploy(backup_timer="")
        assert (result.status, result.changed) == (0, 4), result.output  # program, units, timers, old program
        host.run(f"sha256sum --quiet -c /root/code && test ! -e {old}")
        assert host.run("systemctl is-active physioflow-drill.timer") == "active"
        states = host.run("systemctl is-enabled physioflow-backup.timer physioflow-drill.timer", check=False)
        assert states.split() == ["disabled", "enabled"]
        assert host.run("systemctl is-active physioflow-backup.timer", check=False) == "inactive"
    finally:
        again = host.deploy()
    assert (again.status, again.changed) == (0, 2), again.output  # unit and timer
    assert host.deploy().changed == 0
    assert host.run("systemctl is-active physioflow-backup.timer") == "active"


def test_a_time_that_systemd_does_not_know_is_refused(host: Host) -> None:
    before = host.run("systemctl cat physioflow-drill.timer")
    refused(host.deploy(backup_drill_timer="every Sunday"), "'every Sunday' is not a systemd calendar time")
    assert host.run("systemctl cat physioflow-drill.timer") == before


def test_a_folder_of_somebody_else_is_not_taken(host: Host) -> None:
    before = host.run("stat -c '%U %a' /var/lib/postgresql")
    result = host.deploy(backup_directory="/var/lib/postgresql")
    refused(result, "/var/lib/postgresql belongs to the user id", "is not empty", "Name a folder only for backups")
    assert host.run("stat -c '%U %a' /var/lib/postgresql") == before
