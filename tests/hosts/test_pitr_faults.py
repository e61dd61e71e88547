"""Faults of point-in-time recovery: of the repository, of a backup, and of a restore.

One host for the whole file, whose repository and data are on small disks; a test leaves the host as it found it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.hosts.host import Host, made, refused

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("pitr_faults")]

REPOSITORY = "/srv/pgbackrest"
DATA = "/var/lib/postgresql"
RESTORED = f"{DATA}/16/pitr"
RESTORED_PORT = 5442
AS_POSTGRES = "runuser -u postgres -- env LC_ALL=C.UTF-8"
PITR = "playbooks/pitr.yml"
FULL = "pgbackrest@full.service"
# How a repository is made unusable, and usable again.
BROKEN = {
    "gone": (f"mv {REPOSITORY}/archive {REPOSITORY}/away", f"mv {REPOSITORY}/away {REPOSITORY}/archive"),
    "read-only": (f"mount -o remount,ro {REPOSITORY}", f"mount -o remount,rw {REPOSITORY}"),
    "full": (f"cat /dev/zero > {REPOSITORY}/filler 2> /dev/null || true", f"rm {REPOSITORY}/filler"),
}


@pytest.fixture(scope="module")
def host(variables: dict[str, str], tmp_path_factory: Any) -> Iterator[Host]:
    """A host that archives its WAL and has a full backup."""
    sizes = (f"{DATA}:size=600m,mode=0755", f"{REPOSITORY}:size=200m,mode=0777")
    with made(
        tmp_path_factory.mktemp("pitr"), variables, "13", *(w for s in sizes for w in ("--tmpfs", s))
    ) as deployed:
        deployed.variables.update(
            {
                "pitr_enabled": True,
                "pitr_rpo": 60,
                "pitr_repository": {"type": "posix", "path": REPOSITORY},
                "pitr_passphrase": "of the tests of pitr",
                "postgresql_settings": {"min_wal_size": "32MB", "max_wal_size": "128MB"},
            }
        )
        result = deployed.deploy()
        assert result.status == 0, result.output
        deployed.wait_for(f"systemctl show -p ActiveState --value {FULL} | grep -qx inactive")
        yield deployed


@pytest.fixture(autouse=True)
def nothing_restored(host: Host) -> Iterator[None]:
    """Drop what a failed test left, so that the next one says something of its own."""
    yield
    if host.run(f"ls -d {RESTORED}", check=False):
        host.play(PITR, pitr_drop=True)


def switch(host: Host) -> str:
    """End the current WAL segment after a transaction, and return its name."""
    host.sql("select pg_current_xact_id()")
    return host.sql("select pg_walfile_name(pg_switch_wal())")


def archived(host: Host) -> None:
    """Wait until the WAL of now is in the repository."""
    host.wait_for(f"{AS_POSTGRES} pgbackrest --stanza=physioflow repo-ls --recurse archive | grep -q {switch(host)}")


def now(host: Host) -> str:
    """Return the moment in the time zone of pitr_to, and let a transaction follow it."""
    moment = host.sql("select to_char(clock_timestamp() at time zone 'Asia/Ho_Chi_Minh', 'YYYY-MM-DD HH24:MI:SS.US')")
    host.sql("select pg_current_xact_id()")
    return moment


def drop(host: Host) -> None:
    result = host.play(PITR, pitr_drop=True)
    assert result.status == 0, result.output
    assert host.run(f"ls -d {RESTORED}* /etc/postgresql/16/pitr /var/backups/physioflow_pitr", check=False) == ""


def test_a_wrong_pass_phrase_is_refused_and_archiving_goes_on_with_the_right_one(host: Host) -> None:
    settings = "sha256sum /etc/pgbackrest.conf; ls /etc | grep pgbackrest"
    before, state = host.run(settings), host.state()
    refused(
        host.deploy(pitr_passphrase="another pass phrase"),
        "The repository of pgBackRest cannot be used",
        "The settings of the server and of pgBackRest were not changed.",
    )
    assert (host.run(settings), host.state()) == (before, state)
    archived(host)


@pytest.mark.parametrize("fault", BROKEN)
def test_wal_waits_for_a_repository_that_cannot_be_used(host: Host, fault: str) -> None:
    broken, repaired = BROKEN[fault]
    host.run(broken)
    try:
        segment = switch(host)
        host.wait_for(
            f"psql -h /var/run/postgresql -U postgres -XAtc 'select last_failed_wal from pg_stat_archiver'"
            f" | grep -q {segment}"
        )
        if fault == "full":
            status = host.play("playbooks/status.yml")
            assert "archiving WAL fails, and fills the disk; the last segment was archived" in status.output
            refused(host.deploy(pitr_rpo=61), "WAL does not arrive", "The server runs and keeps its WAL in pg_wal")
    finally:
        host.run(repaired)
    archived(host)
    if fault == "full":
        assert host.deploy().status == 0


def test_wal_that_is_missing_is_a_gap_that_the_drill_and_the_list_show(host: Host) -> None:
    before = now(host)
    archived(host)
    # The times of segments are whole seconds.
    host.wait_for(f"test $(date +%s) -gt {host.run('date +%s')}")
    lost = switch(host)
    within = now(host)
    archived(host)
    host.run(
        f"find {REPOSITORY}/archive -name '{lost}-*' | grep . && find {REPOSITORY}/archive -name '{lost}-*' -delete"
    )
    host.run("! systemctl start pgbackrest-drill; journalctl -u pgbackrest-drill -o cat | grep 'no backup reaches'")
    listed = host.play(PITR, pitr_list=True)
    assert "WAL missing: " in listed.output, listed.output
    refused(host.play(PITR, pitr_to=within), "cannot be reached. It can be reached: ", "Nothing was changed.")
    host.run(f"systemctl start {FULL}")
    host.run("systemctl start pgbackrest-drill")
    status = host.play("playbooks/status.yml")
    assert "the newest moment was 0 s behind the server" in " ".join(status.output.split()), status.output
    # What was reached before the gap can be reached still.
    result = host.play(PITR, pitr_to=before)
    assert result.status == 0, result.output
    drop(host)


def test_a_killed_backup_leaves_nothing_that_counts(host: Host) -> None:
    backups = f'{AS_POSTGRES} pgbackrest --output=json info | grep -o \'"label":"[^"]*\' | sort'
    before = host.run(backups)
    host.run(f"systemctl start --no-block {FULL}")
    host.wait_for("pkill -KILL -f 'pgbackres[t].* backup'")
    host.wait_for(f"systemctl is-failed --quiet {FULL}")
    assert host.run(backups) == before
    host.run(f"systemctl reset-failed {FULL}; systemctl start {FULL}")
    assert len(host.run(backups).split()) == len(before.split()) + 1


def test_a_killed_restore_is_dropped_and_done_again(host: Host) -> None:
    host.sql("insert into organizations (name) values ('kept')", "physioflow")
    lsn = host.sql("select pg_current_wal_lsn()")
    host.sql("delete from organizations where name = 'kept'", "physioflow")
    running = host.start(PITR, pitr_lsn=lsn)
    running.wait_for_output("physioflow.database.pitr : Restore the backup")
    host.wait_for("pkill -KILL -f 'pgbackres[t].* restore'")
    running.kill()
    refused(host.play(PITR, pitr_lsn=lsn), "A restore is running, or was interrupted", "Nothing was changed.")
    drop(host)
    result = host.play(PITR, pitr_lsn=lsn)
    assert result.status == 0, result.output
    assert (
        host.sql(
            "select count(*), pg_is_in_recovery() from organizations where name = 'kept'", "physioflow", RESTORED_PORT
        )
        == "1|t"
    )
    drop(host)


def test_two_restores_at_once_are_one(host: Host) -> None:
    host.sql("select pg_create_restore_point('before the change')")
    both = [host.start(PITR, pitr_name="before the change") for _ in range(2)]
    results = [running.result() for running in both]
    loser = max(results, key=lambda result: result.status)
    assert sorted(result.status == 0 for result in results) == [False, True], results
    refused(loser, "A restore is running, or was interrupted. Nothing was changed.")
    assert host.sql("select pg_get_wal_replay_pause_state()", "physioflow", RESTORED_PORT) == "paused"
    drop(host)


def test_before_a_transaction(host: Host) -> None:
    host.sql("insert into organizations (name) values ('kept')", "physioflow")
    xid = host.sql("delete from organizations where name = 'kept' returning pg_current_xact_id()", "physioflow")
    result = host.play(PITR, pitr_before_xid=xid.split()[0])
    assert result.status == 0, result.output
    assert host.sql("select count(*) from organizations where name = 'kept'", "physioflow", RESTORED_PORT) == "1"
    drop(host)


def test_what_cannot_be_restored_is_refused_before_anything_is_made(host: Host) -> None:
    early = host.play(PITR, pitr_to="2026-01-01 00:00")
    refused(early, "2026-01-01 00:00:00 cannot be reached. It can be reached: ", "Nothing was changed.")
    filler = host.fill(DATA, 20)
    try:
        refused(host.play(PITR, pitr_to=now(host)), "The restored cluster needs", "are free. Nothing was changed.")
    finally:
        host.run(f"rm {filler}")
    host.run(f"! test -e {RESTORED}")


def test_a_target_that_is_never_reached_is_said(host: Host) -> None:
    result = host.play(PITR, pitr_name="never made")
    refused(result, "The restored cluster did not reach the target", "The live cluster was not changed.")
    drop(host)


def test_a_damaged_backup_is_said(host: Host) -> None:
    moment = now(host)
    damaged = f"{REPOSITORY}/backup/physioflow/latest/bundle"
    file = host.run(f"find -L {damaged} -type f -size +500k -print -quit")
    host.run(f"cp -p {file} /root/bundle; printf damaged | dd of={file} bs=1 seek=200000 conv=notrunc status=none")
    try:
        refused(host.play(PITR, pitr_to=moment), "pgBackRest did not restore", "The live cluster was not changed.")
    finally:
        host.run(f"cp -p /root/bundle {file}")
    drop(host)
