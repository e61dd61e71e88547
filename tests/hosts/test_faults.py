"""Faults of a real host under systemd: what is refused, why, and that what runs goes on.

`bare` is a host on which nothing could be installed yet; `deployed` has the release. Each is one container for the
whole file; a test leaves it as it found it.
"""

from __future__ import annotations

import datetime
import functools
import http.server
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import from_env

from tests.certificates import certificate, new_key, pem
from tests.hosts.engine import bridge_address
from tests.hosts.host import Host, made, refused

SERVICE = "postgresql@16-main"


@pytest.fixture(scope="module", params=["12", "13"])
def bare(request: pytest.FixtureRequest, variables: dict[str, str], tmp_path_factory: Any) -> Iterator[Host]:
    """A host without PostgreSQL."""
    with made(tmp_path_factory.mktemp("bare"), variables, request.param) as host:
        yield host
        assert host.run("ls -d /usr/lib/postgresql /var/lib/postgresql 2>/dev/null", check=False) == ""


@pytest.fixture(scope="module")
def deployed(variables: dict[str, str], tmp_path_factory: Any) -> Iterator[Host]:
    """A host with the release."""
    with made(tmp_path_factory.mktemp("deployed"), variables, "12") as host:
        result = host.deploy()
        assert result.status == 0, result.output
        yield host


def test_a_mirror_out_of_reach_is_named(bare: Host) -> None:
    result = bare.deploy(postgresql_repository_url="http://127.0.0.1:9/pgdg")
    refused(result, "The host cannot fetch packages from http://127.0.0.1:9/pgdg without a proxy (postgresql_proxy")
    result = bare.deploy(postgresql_proxy="http://127.0.0.1:9")
    refused(result, "through the proxy http://127.0.0.1:9")


def gpg(home: Path, *arguments: str | Path, now: str = "") -> str:
    """Run gpg with a folder of its own, and at another time."""
    home.mkdir(mode=0o700, exist_ok=True)
    options = ["--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback", "--armor"]
    clock = ["--faked-system-time", f"{now}!"] if now else []
    command = ["gpg", "--homedir", home, *options, *clock, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def gpg_home() -> Iterator[Path]:
    """A folder for keys."""
    home = Path("/tmp") / f"gpg-{uuid.uuid4().hex[:8]}"  # not below pytest's: the agent's socket needs a short path
    yield home
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
    shutil.rmtree(home, ignore_errors=True)


@pytest.mark.control("S25")
def test_another_key_installs_nothing(bare: Host, gpg_home: Path) -> None:
    gpg(gpg_home, "--quick-generate-key", "Somebody else", "ed25519", "sign", "never")
    result = bare.deploy(postgresql_repository_key=gpg(gpg_home, "--export"))
    refused(result, "it is not signed with the key that it has to be signed with", "Correct postgresql_repository_key")


@pytest.mark.control("S25")
def test_an_expired_key_installs_nothing(bare: Host, gpg_home: Path, tmp_path: Path) -> None:
    codename = bare.run(". /etc/os-release; echo $VERSION_CODENAME")
    place = tmp_path / "dists" / f"{codename}-pgdg"
    (place / "main/binary-amd64").mkdir(parents=True)
    (place / "main/binary-amd64/Packages").write_text("")
    now = time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime())
    release = f"Suite: {codename}-pgdg\nCodename: {codename}-pgdg\nDate: {now}\nComponents: main\n"
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (place / "Release").write_text(f"{release}Architectures: amd64\nSHA256:\n {empty} 0 main/binary-amd64/Packages\n")
    # Signed now, with a key that ended long ago: gpg itself would not, so the end is set afterwards, as of then.
    gpg(gpg_home, "--quick-generate-key", "Somebody", "ed25519", "sign", "never", now="20200101T000000")
    gpg(gpg_home, "--clearsign", "--output", place / "InRelease", place / "Release")
    fingerprint = gpg(gpg_home, "--with-colons", "--list-keys").split("\nfpr:")[1].split("\n")[0].strip(":")
    gpg(gpg_home, "--quick-set-expire", fingerprint, "1d", now="20200102T000000")
    key = gpg(gpg_home, "--export")
    bridge = bridge_address(from_env())
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer((bridge, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        result = bare.deploy(
            postgresql_repository_url=f"http://{bridge}:{server.server_port}", postgresql_repository_key=key
        )
        server.shutdown()
    refused(result, "it is not signed with the key that it has to be signed with", "Correct postgresql_repository_key")


def test_a_lock_of_apt_is_waited_for_and_its_holder_named(bare: Host) -> None:
    holder = (
        "import fcntl, os, time\n"
        "files = [open(path, 'w') for path in ('/var/lib/dpkg/lock-frontend', '/var/lib/apt/lists/lock')]\n"
        "[fcntl.lockf(file, fcntl.LOCK_EX) for file in files]\n"
        "open('/run/program.pid', 'w').write(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    with bare.background(holder, "test -s /run/program.pid"):
        pid = bare.run("cat /run/program.pid")
        result = bare.deploy(postgresql_apt_lock_timeout=3)
    bare.run("rm /run/program.pid")
    refused(
        result, f"apt is locked by pid {pid} (/usr/bin/python3", "this run waited 3 s for it", "Let that process end"
    )


def test_a_package_installed_by_half_is_told_with_its_repair(bare: Host) -> None:
    bare.run(
        "mkdir -p /root/half/DEBIAN && cd /root/half && printf 'Package: half\\nVersion: 1\\nArchitecture: all\\n"
        "Maintainer: x <x@example.org>\\nDescription: x\\n' > DEBIAN/control && printf '#!/bin/sh\\nexit 1\\n' >"
        " DEBIAN/postinst && chmod 755 DEBIAN/postinst && dpkg-deb -b . /root/half.deb"
    )
    bare.run("dpkg -i /root/half.deb", check=False)
    try:
        refused(
            bare.deploy(), "installed by half", "dpkg --configure -a && apt-get install --fix-broken", "Nothing was"
        )
    finally:
        bare.run("dpkg --purge --force-all half; rm -r /root/half*")


def test_a_port_that_is_taken_is_named_with_its_holder(bare: Host) -> None:
    holder = (
        "import os, socket, time\n"
        "server = socket.create_server(('127.0.0.1', 5432))\n"
        "open('/run/program.pid', 'w').write(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    with bare.background(holder, "test -s /run/program.pid"):
        pid = bare.run("cat /run/program.pid")
        result = bare.deploy()
    bare.run("rm /run/program.pid")
    refused(result, f"Port 5432 is taken by pid {pid} (/usr/bin/python3", "set postgresql_port", "Nothing was changed")
    assert result.changed == 0


def test_a_locale_that_the_host_does_not_have_is_told(bare: Host) -> None:
    result = bare.deploy(postgresql_locale="vi_VN.UTF-8")
    refused(result, "does not have the locale vi_VN.UTF-8", "localedef -i vi_VN -f UTF-8 vi_VN.UTF-8")
    assert result.changed == 0


def test_a_read_only_file_system_is_told(variables: dict[str, str], tmp_path: Path) -> None:
    with made(tmp_path, variables, "12", "--read-only") as host:
        result = host.deploy()
    refused(result, "/etc, /usr, /var cannot be written", "mount -o remount,rw /")
    assert result.changed == 0


def test_check_mode_passes_on_a_bare_host_and_touches_nothing(bare: Host) -> None:
    seen = "find /etc /var/lib/apt /usr/lib -newer /run/mark -not -type d"
    bare.run("touch /run/mark && sleep 1")
    result = bare.deploy("--check", "--diff")
    assert result.status == 0, result.output
    assert "15 pending" in result.output
    assert "+shared_buffers = '128MB'" in result.output
    assert bare.run(seen) == ""
    assert not (bare.folder / ".tls").exists()


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
    assert "A new server.crt, as the host has other names or addresses" in result.output
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
    refused(result, f"The CA in {foreign} is not the one that the clients of this host know", "Nothing was signed")
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
        'pg_hba.conf:6: invalid CIDR mask in address "10.0.0.0/99" The former files are back',
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
def test_a_bad_value_leaves_the_server_as_it_is(deployed: Host, case: str) -> None:
    variables, words = BAD[case]
    before = deployed.state()
    result = deployed.deploy(**variables)
    refused(result, words)
    assert result.changed == 0
    assert deployed.state() == before


@pytest.mark.control("S29")
def test_settings_that_do_not_start_are_taken_back(deployed: Host) -> None:
    result = deployed.deploy(postgresql_settings={"superuser_reserved_connections": 100})
    refused(result, "does not start: ", "must be less than max_connections", "The former files are back")
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
    assert "The setting work_mem in /var/lib/postgresql/16/main/postgresql.auto.conf wins" in result.output


def test_a_standby_is_refused(deployed: Host) -> None:
    deployed.run(f"touch /var/lib/postgresql/16/main/standby.signal && systemctl restart {SERVICE}")
    try:
        result = deployed.deploy()
    finally:
        deployed.run(f"rm /var/lib/postgresql/16/main/standby.signal && systemctl restart {SERVICE}")
    refused(result, "The server is a standby and only reads. Name the primary")
    assert deployed.deploy().changed == 0


def test_a_read_only_server_is_refused(deployed: Host) -> None:
    deployed.sql("alter system set default_transaction_read_only = on")
    deployed.sql("select pg_reload_conf()")
    try:
        result = deployed.deploy()
    finally:
        deployed.sql("alter system reset default_transaction_read_only")
        deployed.sql("select pg_reload_conf()")
    refused(result, "The server has default_transaction_read_only = on. Switch it off to deploy.")


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
        "It is never made anew, and nothing was changed.",
    )
    assert deployed.run(f"{psql} 'select count(*) from pg_database'") == "4"
