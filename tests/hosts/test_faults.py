"""Faults of a host with the release: what is refused, and that what runs goes on. A test leaves it as it was."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import certificate, new_key, pem
from tests.hosts.host import Host, refused

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("deployed")]

SERVICE = "postgresql@16-main"


@pytest.mark.fault(72)
def test_tmp_may_be_noexec(deployed: Host) -> None:
    assert "noexec" in deployed.run("findmnt -no OPTIONS /tmp")


def test_a_second_run_changes_nothing_and_leaves_no_file(deployed: Host) -> None:
    before = deployed.state()
    result = deployed.deploy()
    assert (result.status, result.changed) == (0, 0), result.output
    checked = deployed.deploy("--check", "--diff")
    assert (checked.status, checked.changed) == (0, 0), checked.output
    assert deployed.state() == before
    assert deployed.run("find /tmp -name 'physioflow*'") == ""


@pytest.mark.control("S5")
def test_check_mode_says_that_a_certificate_is_needed_and_makes_none(deployed: Host) -> None:
    before = deployed.state()
    own = {path.name: path.read_bytes() for path in (deployed.folder / ".tls").iterdir()}
    assert set(own) == {"ca.crt", "ca.key"}
    result = deployed.deploy("--check", "--diff", postgresql_tls_names=["db1.example"])
    assert (result.status, result.changed) == (0, 1), result.output
    assert "A new server.crt, because the host has other names or addresses" in result.output
    assert deployed.state() == before
    assert {path.name: path.read_bytes() for path in (deployed.folder / ".tls").iterdir()} == own


@pytest.mark.control("S5")
def test_a_ca_that_clients_do_not_know_signs_nothing(deployed: Host, tmp_path: Path) -> None:
    before = deployed.state()
    foreign, keyless = tmp_path / "foreign", tmp_path / "keyless"
    for folder in (foreign, keyless):
        folder.mkdir()
    key = new_key()
    (foreign / "ca.key").write_text(pem(key))
    (foreign / "ca.crt").write_text(certificate(key, key, [], datetime.datetime.now(datetime.UTC), 365))
    result = deployed.deploy(postgresql_tls_ca_directory=str(foreign))
    refused(result, f"The CA in {foreign} is not the one that clients of this host trust", "Nothing was signed")
    assert result.changed == 0
    shutil.copy(deployed.folder / ".tls/ca.crt", keyless)
    assert deployed.deploy(postgresql_tls_ca_directory=str(keyless)).status == 0
    result = deployed.deploy(postgresql_tls_ca_directory=str(keyless), postgresql_tls_names=["db1.example"])
    refused(result, "The host needs a new certificate (the host has other names or addresses)", f"{keyless}/ca.key")
    assert result.changed == 0
    assert deployed.state() == before


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "two values": (
        {"postgresql_settings": {"shared_buffers": "1MBB", "work_mem": "1kB"}},
        'invalid value for parameter "shared_buffers": "1MBB". 1 kB is outside the valid range for parameter',
    ),
    "unknown setting": (
        {"postgresql_settings": {"wrok_mem": "4MB"}},
        'unrecognized configuration parameter "wrok_mem"',
    ),
    "more memory than there is": ({"postgresql_settings": {"shared_buffers": "4TB"}}, "shared_buffers is 4194304 MB"),
    "CIDR": (
        {"postgresql_hba": [{"databases": ["x"], "users": ["y"], "address": "10.0.0.0/99"}]},
        'pg_hba.conf:6: invalid CIDR mask in address "10.0.0.0/99" The former files were restored',
    ),
    "address": (
        {"postgresql_hba": [{"databases": ["x"], "users": ["y"], "address": "10.0.0.0/24 trust"}]},
        "has '10.0.0.0/24 trust', which is not one word",
    ),
    "old release": (
        {"postgresql_minimum_version": "16.99", "postgresql_minimum_version_enforced": True},
        "before 16.99",
    ),
    "locale": ({"postgresql_locale": "C"}, "collation: C.UTF-8, wanted C; character classes: C.UTF-8, wanted C"),
}


@pytest.mark.parametrize(
    "case", [pytest.param(name, marks=pytest.mark.control("S28" if name == "old release" else "S29")) for name in BAD]
)
@pytest.mark.fault(40)
@pytest.mark.fault(41)
def test_a_bad_value_leaves_the_server_as_it_is(deployed: Host, case: str) -> None:
    variables, words = BAD[case]
    before = deployed.state()
    result = deployed.deploy(**variables)
    refused(result, words)
    assert result.changed == 0
    assert deployed.state() == before


@pytest.mark.control("S29")
def test_settings_that_do_not_start_are_taken_back(deployed: Host) -> None:
    result = deployed.deploy(postgresql_settings={"wal_level": "minimal", "max_wal_senders": 5})
    refused(result, "does not start: ", "requires wal_level", "The former files were restored")
    assert deployed.run(f"systemctl is-active {SERVICE}") == "active"
    assert deployed.deploy().changed == 0


def test_a_restart_happens_only_where_a_setting_needs_it(deployed: Host) -> None:
    started = deployed.sql("select pg_postmaster_start_time()")
    reloaded = deployed.deploy(postgresql_settings={"work_mem": "5MB"})
    assert (reloaded.status, reloaded.changed) == (0, 1), reloaded.output
    assert deployed.sql("show work_mem") == "5MB"
    assert deployed.sql("select pg_postmaster_start_time()") == started
    restarted = deployed.deploy(postgresql_settings={"max_wal_senders": 11})
    assert (restarted.status, restarted.changed) == (0, 1), restarted.output
    assert deployed.sql("select count(*) from pg_settings where pending_restart") == "0"
    assert deployed.sql("select pg_postmaster_start_time()") != started
    assert deployed.deploy().status == 0


@pytest.mark.control("S21")
def test_a_drop_in_of_the_service_that_a_run_left_without_a_restart_is_brought_into_effect(deployed: Host) -> None:
    unit = f"/etc/systemd/system/{SERVICE}.service.d/physioflow.conf"
    status = "cat /proc/$(head -1 /var/lib/postgresql/16/main/postmaster.pid)/status"
    put = f"systemctl daemon-reload && systemctl restart {SERVICE}"
    deployed.run(f"mv {unit} /root/drop-in && {put} && mv /root/drop-in {unit}")
    assert "NoNewPrivs:\t0" in deployed.run(status)
    checked = deployed.deploy("--check")
    assert (checked.status, checked.changed) == (0, 1), checked.output
    result = deployed.deploy()
    assert (result.status, result.changed) == (0, 1), result.output
    assert "NoNewPrivs:\t1" in deployed.run(status)
    assert deployed.deploy().changed == 0


def test_what_wins_over_our_settings_is_said(deployed: Host) -> None:
    deployed.sql("alter system set work_mem = '6MB'")
    result = deployed.deploy()
    deployed.sql("alter system reset work_mem")
    assert "The setting work_mem in /var/lib/postgresql/16/main/postgresql.auto.conf overrides" in result.output


@pytest.mark.fault(35)
def test_a_standby_is_refused(deployed: Host) -> None:
    deployed.run(f"touch /var/lib/postgresql/16/main/standby.signal && systemctl restart {SERVICE}")
    try:
        result = deployed.deploy()
    finally:
        deployed.run(f"rm /var/lib/postgresql/16/main/standby.signal && systemctl restart {SERVICE}")
    refused(result, "The server is a standby and only reads. Name the primary")
    assert deployed.deploy().changed == 0


@pytest.mark.fault(35)
def test_a_read_only_server_is_refused(deployed: Host) -> None:
    deployed.sql("alter system set default_transaction_read_only = on")
    deployed.sql("select pg_reload_conf()")
    try:
        result = deployed.deploy()
    finally:
        deployed.sql("alter system reset default_transaction_read_only")
        deployed.sql("select pg_reload_conf()")
    refused(result, "The server has default_transaction_read_only = on. Switch it off to deploy.")


@pytest.mark.fault(65)
def test_a_cluster_of_somebody_else_is_refused_and_kept(deployed: Host) -> None:
    """The last one: it takes the place of the release's cluster."""
    deployed.run("pg_dropcluster --stop 16 main")
    deployed.run("pg_createcluster --createclusterconf=/dev/null --locale C --encoding SQL_ASCII 16 main --start")
    psql = "cd / && runuser -u postgres -- psql -h /var/run/postgresql -XAtc"
    deployed.run(f"{psql} 'create database theirs'")
    result = deployed.deploy()
    refused(
        result,
        "data checksums: off, wanted on; encoding: SQL_ASCII, wanted UTF8; collation: C, wanted C.UTF-8",
        "A deploy never recreates it, and nothing was changed.",
    )
    assert deployed.run(f"{psql} 'select count(*) from pg_database'") == "4"
