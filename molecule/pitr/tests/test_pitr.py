"""Points in time of a host: seen by psql, pgbackrest and the notes of a writer, not by what restored them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

PSQL = "psql -h /var/run/postgresql -U postgres -XqAt -v ON_ERROR_STOP=1 -d physioflow"
WRITTEN = "SELECT split_part(name, ' ', 2) FROM organizations WHERE name LIKE 'writer %'"
RPO = 5  # seconds, pitr_rpo of the scenario
ARCHIVED = 5  # seconds until a segment has arrived, on a busy machine


@pytest.fixture
def psql(host: Host) -> Callable[[str], str]:
    def ask(sql: str) -> str:
        return str(host.check_output(f"{PSQL} -c %s", sql))

    return ask


def lines(host: Host, path: str) -> list[str]:
    return str(host.file(path).content_string).splitlines()


def info(host: Host) -> dict[str, Any]:
    """Return what pgBackRest says, after the backup that a deploy has started."""
    host.check_output(
        "until systemctl show --property ActiveState --value pgbackrest@full | grep -qx inactive; do sleep 0.2; done"
    )
    said = host.check_output("runuser -u postgres -- pgbackrest --output=json info")
    found: dict[str, Any] = json.loads(said)[0]
    return found


def test_the_restored_cluster_was_paused_at_the_moment(host: Host) -> None:
    assert lines(host, "/root/paused") == ["t"]
    earliest, latest = (float(line) for line in lines(host, "/root/moment"))
    notes = [line.split() for line in lines(host, "/root/acknowledged")]
    restored = {int(number) for number in lines(host, "/root/restored")}
    before = {int(number) for at, number in notes if float(at) < earliest}
    # The first of them may have been committed before the moment.
    after = [int(number) for at, number in notes if float(at) > latest][1:]
    assert before
    assert after
    assert before - restored == set()
    assert set(after) & restored == set()


def test_the_comparison_names_what_differs(host: Host) -> None:
    rows = len(lines(host, "/root/rows-before"))
    assert rows > 0
    compared = [line.split() for line in lines(host, "/root/compared")]
    assert ["insurance_info", str(rows), "0", "rows", "differ"] in compared
    assert [words[0] for words in compared if words[-1:] == ["differ"]] == ["insurance_info", "organizations"]


def test_the_table_came_back_and_other_rows_stayed(host: Host, psql: Callable[[str], str]) -> None:
    assert lines(host, "/root/rows-taken") == lines(host, "/root/rows-before")
    notes = {int(line.split()[1]) for line in lines(host, "/root/acknowledged-before-rollback")}
    found = {int(number) for number in psql(WRITTEN).split()}
    assert notes - found == set()


def test_the_run_was_undone_and_the_live_cluster_kept(host: Host) -> None:
    assert lines(host, "/root/timeline") == ["f|2"]
    assert lines(host, "/root/rollbacks") == ["0"]
    assert len(lines(host, "/root/kept")) == 1


def test_what_was_undone_can_be_restored_too(host: Host) -> None:
    assert lines(host, "/root/undone") == ["1"]
    histories = "runuser -u postgres -- pgbackrest repo-ls --filter=history archive/physioflow/16-1"
    assert str(host.check_output(histories)).split() == ["00000002.history", "00000003.history"]


def test_a_lost_host_loses_no_more_than_was_agreed(host: Host, psql: Callable[[str], str]) -> None:
    lost = float(lines(host, "/root/lost")[0])
    notes = [line.split() for line in lines(host, "/root/acknowledged")]
    found = {int(number) for number in psql(WRITTEN).split()}
    # Rows of the writer that the restored run undid are in the kept cluster only: these are later ones.
    later = [(float(at), int(number)) for at, number in notes if lost - 15 < float(at) < lost]
    behind = max((lost - at for at, number in later if number not in found), default=0.0)
    assert later
    assert behind < RPO + ARCHIVED
    assert psql("SELECT max(version) FROM migrations.applied") > "052"
    assert psql("SELECT pg_is_in_recovery(), timeline_id FROM pg_control_checkpoint()") == "f|3"


def test_a_drill_restores_two_moments_and_finds_a_damaged_backup(host: Host) -> None:
    newest, chance = json.loads(host.file("/root/drills").content_string)
    assert [(record["moment"], record["ok"]) for record in (newest, chance)] == [("newest", True), ("random", True)]
    assert all("checksums" in record["checked"] for record in (newest, chance))
    assert newest["reached"]
    failed = json.loads(host.file("/root/drills-damaged").content_string)[2:]
    assert [record["ok"] for record in failed] == [False], "the first command that fails ends the service"
    assert "pgbackrest failed" in failed[0]["why"]
    assert lines(host, "/root/left") == []


def test_the_repository_is_encrypted_and_has_a_backup_of_the_new_timeline(host: Host) -> None:
    found = info(host)
    assert found["cipher"] == "aes-256-cbc"
    assert [backup["archive"]["start"][:8] for backup in found["backup"]] == ["00000001", "00000002", "00000003"]
    assert found["status"]["message"] == "ok"


def test_the_pass_phrase_is_only_in_one_file(host: Host) -> None:
    settings = host.file("/etc/pgbackrest.conf")
    assert (settings.user, settings.group, settings.mode) == ("root", "postgres", 0o640)
    # By way of a pipe: sudo writes its command lines to the journal.
    command = (
        "sed -n 's/^repo1-cipher-pass=//p' /etc/pgbackrest.conf | grep -rlF -f - /etc /var/log /var/lib/postgresql"
    )
    assert str(host.check_output(command)).split() == ["/etc/pgbackrest.conf"]


def test_the_timers_wait(host: Host) -> None:
    for kind, on in (("full", True), ("diff", True), ("incr", False), ("drill", True)):
        assert host.service(f"pgbackrest-{kind}.timer").is_running == on
