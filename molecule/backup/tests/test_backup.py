"""Backups of a host: seen by psql, stat, systemctl, journalctl and restic, not by what wrote them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

STORE = "/var/backups/physioflow"
REPOSITORY = "/srv/restic"
PATIENTS = 500
OWNER = "emr_backup:emr_backup"
PSQL = "psql -h /var/run/postgresql -XqAt -v ON_ERROR_STOP=1 -v VERBOSITY=sqlstate -d"
RUN = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


@pytest.fixture
def psql(host: Host) -> Callable[[str], str]:
    def ask(sql: str) -> str:
        return str(host.check_output(f"{PSQL} physioflow -U postgres -c %s", sql))

    return ask


@pytest.fixture
def manifests(host: Host) -> list[dict[str, Any]]:
    """Of all backups, oldest first."""
    names = host.check_output(f"ls -d {STORE}/physioflow_backup_*").split()
    return [json.loads(host.file(f"{name}/manifest.json").content_string) for name in names]


def test_every_row_is_as_it_was_before_the_damage(host: Host) -> None:
    before = host.file("/root/rows-before").content_string
    assert len(before.splitlines()) == PATIENTS * (1 + 1 + 5 * 8)
    assert len(host.file("/root/rows-damaged").content_string.splitlines()) == PATIENTS * 9 // 10
    assert host.check_output(f"{PSQL} physioflow -U postgres -f /root/query.sql") == before.strip()


def test_what_went_with_the_table_is_back(psql: Callable[[str], str]) -> None:
    assert psql("SELECT count(*) FROM pg_inherits WHERE inhparent = 'outcome_measures'::regclass") == "8"
    assert int(psql("SELECT count(*) FROM pg_constraint WHERE conrelid = 'insurance_info'::regclass")) > 1
    assert int(psql("SELECT count(*) FROM pg_index WHERE indrelid = 'insurance_info'::regclass")) > 1
    assert psql("SELECT has_table_privilege('emr_app', 'insurance_info', 'INSERT')") == "t"


def test_the_damaged_database_is_kept(psql: Callable[[str], str]) -> None:
    names = psql("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1").split()
    assert [re.sub(r"\d{8}_\d{6}", "TIME", name) for name in names] == [
        "physioflow",
        "physioflow_before_TIME",
        "postgres",
    ]


def test_backups_by_the_playbook_and_by_the_timer(manifests: list[dict[str, Any]]) -> None:
    assert [entry["why"] for entry in manifests] == ["by hand", "timer", "by hand"]
    assert {entry["status"] for entry in manifests} == {"verified"}
    drills = [drill for entry in manifests for drill in entry["drills"]]
    assert [(d["ok"], d["server"], d["from"]) for d in drills] == [(True, "own", "disk"), (True, "own", "off_host")]


def test_only_their_user_can_read_them(host: Host) -> None:
    entries = [line.split(" ") for line in host.file("/root/store").content_string.splitlines()]
    assert {f"{kind} {mode} {owner}" for kind, mode, owner, _ in entries} == {f"d 700 {OWNER}", f"f 600 {OWNER}"}
    names = {re.sub(r"\d{8}_\d{6}", "TIME", name) for *_, name in entries if ".restic-cache/" not in name}
    backup = "physioflow_backup_TIME"
    parts = {f"{backup}/{name}" for name in ("catalog.json", "database.dump", "globals.sql", "manifest.json")}
    assert names == {"", ".lock", ".restic-cache", backup, *parts}
    assert host.file("/root/magic").content_string == "PGDMP" * 2
    passwords = host.run(f"grep -rEl 'PASSWORD|SCRAM' {STORE}")
    assert passwords.stdout == ""


def test_no_plain_dump_stays_where_only_the_copy_is_wanted(host: Host, manifests: list[dict[str, Any]]) -> None:
    files = host.check_output(f"find {STORE} -type f -not -path '*/.restic-cache/*' -printf '%f\\n'").split()
    assert sorted(files) == [".lock", *["manifest.json"] * len(manifests)]
    assert host.run(f"grep -rl PGDMP {STORE} {REPOSITORY}").stdout == ""


def test_what_root_did_in_the_store_left_everything_to_its_user(host: Host) -> None:
    assert host.check_output(f"find {STORE} {REPOSITORY} -not -user emr_backup") == ""
    assert host.check_output(f"find {STORE} -perm /077") == ""
    assert host.file(REPOSITORY).mode == 0o700


def test_restic_itself_finds_every_backup_whole(host: Host, manifests: list[dict[str, Any]]) -> None:
    password = (RUN / "passwords/restic").read_text().strip()
    restic = f"runuser -u emr_backup -- restic --no-cache -r {REPOSITORY}"
    assert host.run(f"echo wrong | {restic} snapshots").rc != 0
    host.check_output("echo %s | " + restic + " check --read-data", password)
    found = json.loads(host.check_output("echo %s | " + restic + " snapshots --json", password).splitlines()[-1])
    assert sorted(Path(entry["paths"][0]).name for entry in found) == [entry["id"] for entry in manifests]
    assert host.check_output(f"find {REPOSITORY}/locks -type f") == ""


@pytest.mark.parametrize("name", ["physioflow-backup", "physioflow-drill"])
def test_timer_is_scheduled_and_its_service_ended_well(host: Host, name: str) -> None:
    timer = host.service(f"{name}.timer")
    assert timer.is_running
    assert timer.is_enabled
    shown = host.check_output(
        f"systemctl show {name}.timer {name}.service -p NextElapseUSecRealtime -p Persistent"
        " -p Result -p ExecMainStatus -p User -p UMask -p NoNewPrivileges"
    )
    assert re.search(r"^NextElapseUSecRealtime=\w{3} 20\d\d", shown, re.MULTILINE), shown
    assert {"Persistent=yes", "Result=success", "ExecMainStatus=0", "User=emr_backup", "UMask=0077"} < set(
        shown.splitlines()
    )


def test_the_journal_tells_what_the_services_did(host: Host) -> None:
    said = host.check_output("journalctl -o cat -u physioflow-backup -u physioflow-drill")
    assert re.search(r"^physioflow_backup_\d{8}_\d{6}, verified: \d+ rows in \d+ tables read back", said, re.MULTILINE)
    assert re.search(r"^physioflow_backup_\d{8}_\d{6} passed the drill: \d+ rows", said, re.MULTILINE)


def test_its_user_cannot_change_what_it_runs(host: Host) -> None:
    settings = host.file("/etc/physioflow-backup/settings.json")
    assert (oct(settings.mode), settings.user, settings.group) == (oct(0o640), "root", "emr_backup")
    places = "/etc/physioflow-backup /usr/local/lib/physioflow /etc/systemd/system/physioflow-*"
    assert host.check_output(f"find {places} -not -user root -o -perm /022") == ""
    assert host.check_output("/usr/local/lib/physioflow/physioflow.pyz backup list")


def test_its_user_logs_in_nowhere(host: Host) -> None:
    user = host.user("emr_backup")
    assert (user.shell, user.home) == ("/usr/sbin/nologin", STORE)
    assert host.check_output("getent shadow emr_backup").split(":")[1] in ("!", "!*", "*")


FORBIDDEN = [
    "INSERT INTO organizations (name) VALUES ('x')",
    "UPDATE patients SET last_name = 'x'",
    "DELETE FROM outcome_measures_2024",
    "TRUNCATE patients",
    "DROP TABLE insurance_info",
    "CREATE TABLE public.x ()",
    "CREATE TEMPORARY TABLE x ()",
    "CREATE SCHEMA x",
    "CREATE DATABASE x",
    "ALTER ROLE emr PASSWORD 'x'",
    "COPY patients TO PROGRAM 'cat'",
    "SELECT pg_read_file('/etc/hostname')",
    "SET ROLE emr",
    "SET ROLE postgres",
]


def test_its_user_can_only_read(host: Host) -> None:
    # Its sessions only read by default; what is tried is what it may do without that.
    statements = " ".join(f'-c "{sql}"' for sql in ["SET default_transaction_read_only = off", *FORBIDDEN])
    done = host.run(f"runuser -u emr_backup -- {PSQL} physioflow -v ON_ERROR_STOP=0 {statements}")
    assert done.stderr.splitlines() == ["ERROR:  42501"] * len(FORBIDDEN)


def test_its_user_can_read_every_row(host: Host) -> None:
    seen = host.check_output(f"runuser -u emr_backup -- {PSQL} physioflow -c 'SELECT count(*) FROM patients'")
    assert seen == str(PATIENTS)


@pytest.mark.parametrize("role", ["postgres", "emr", "emr_app"])
def test_its_user_comes_in_as_nobody_else(host: Host, role: str) -> None:
    done = host.run(f"runuser -u emr_backup -- {PSQL} physioflow -U {role} -c 'SELECT 1'")
    assert done.rc != 0
    assert "Peer authentication failed" in done.stderr or "no pg_hba.conf entry" in done.stderr


def test_no_process_showed_a_secret(host: Host) -> None:
    witnessed = json.loads(host.file("/root/witnessed").content_string)
    assert {"pg_dump", "pg_restore", "restic", "postgres", "python3"} <= set(witnessed["programs"])
    assert witnessed["shown"] == []


def test_no_secret_lies_on_the_host_but_in_the_settings(host: Host) -> None:
    places = "/dev/shm /etc /home /root /run /srv /tmp /var"
    found = host.run(f"grep -rslF -f /root/secrets {places}").stdout.split()
    # Journals are looked into below: testinfra's sudo writes its commands there.
    assert {name for name in found if not name.startswith(("/run/log/journal/", "/var/log/journal/"))} == {
        "/root/secrets",
        "/etc/physioflow-backup/settings.json",
    }


def test_no_secret_in_the_journal(host: Host) -> None:
    assert host.check_output("journalctl --until=@$(cat /root/until) | grep -c 'backup.*Invoked'") != "0"
    assert host.run("journalctl --until=@$(cat /root/until) | grep -F -f /root/secrets").stdout == ""


@pytest.mark.parametrize("log", ["backup.log", "deploy.log"])
def test_no_secret_in_the_output_of_ansible(host: Host, log: str) -> None:
    text = (RUN / log).read_text(encoding="utf-8")
    assert "module_args" in text
    secrets = host.file("/root/secrets").content_string.split()
    assert len(secrets) == 4
    assert [secret for secret in secrets if secret in text] == []


def test_a_second_deploy_changed_nothing() -> None:
    text = re.sub(r"\x1b\[[0-9;]*m", "", (RUN / "deploy.log").read_text(encoding="utf-8"))  # by hand it has colours
    recap = re.findall(r"^\S+ +: ok=.*", text, re.MULTILINE)
    assert len(recap) >= 2
    assert all("changed=0" in line and "failed=0" in line for line in recap)


def test_nothing_is_left_over(host: Host) -> None:
    assert host.check_output("find /tmp /var/tmp /run -name 'physioflow*'") == ""
    assert host.check_output(f"find {STORE} -name '*.partial' -o -name '.drill-*' -o -name '.fetched-*'") == ""
    assert host.check_output("pgrep -u emr_backup || true") == ""


def test_the_host_keeps_the_partitions_ahead(host: Host, psql: Callable[[str], str]) -> None:
    last = host.file("/root/last-year").content_string.strip()
    assert re.fullmatch(r"outcome_measures_20\d\d", last)
    assert psql(f"SELECT tableowner FROM pg_tables WHERE tablename = '{last}'") == "emr"
    timer = host.service("physioflow-partitions.timer")
    assert timer.is_enabled
    assert timer.is_running
    assert host.check_output("systemctl show -p Result --value physioflow-partitions.service") == "success"
