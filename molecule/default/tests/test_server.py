"""The server as its administrator finds it, and what must be as it was before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testinfra.host import Host

CONFIGURATION = "/etc/postgresql/16/main"
DATA = "/var/lib/postgresql/16/main"
SSH = {"0.0.0.0:22", "[::]:22"}
LOOPBACK = {"127.0.0.1:5432", "[::1]:5432"}
DEBIANS_OWN = {("/etc/ssl/private", "700 root:root", "710 root:ssl-cert")}  # by the package ssl-cert
# Moved by every installation of a package.
PASSING = ("/var/cache/", "/var/lib/apt/", "/var/lib/dpkg/", "/var/log/")


@pytest.mark.parametrize("name", ["postgresql-16", "postgresql-client-16", "python3-psycopg"])
def test_package_is_installed(host: Host, name: str) -> None:
    assert host.package(name).is_installed


def test_packages_are_whole_and_authenticated(host: Host) -> None:
    assert host.check_output("dpkg --audit") == ""
    unsafe = host.run("grep -RiE 'trusted[=:] *yes|allow-insecure|AllowUnauthenticated' /etc/apt")
    assert unsafe.stdout == ""


@pytest.mark.parametrize("name", ["postgresql", "postgresql@16-main"])
def test_service_runs_and_will_after_a_reboot(host: Host, name: str) -> None:
    service = host.service(name)
    assert service.is_running
    assert service.is_enabled


def test_nothing_failed_on_the_host(host: Host) -> None:
    assert host.check_output("systemctl list-units --failed --plain --no-legend") == ""


def test_only_the_database_was_added_to_what_listens_and_only_on_loopback(host: Host) -> None:
    listening = {line.split()[3] for line in host.check_output("ss -Hltn").splitlines()}
    assert "127.0.0.1:5432" in listening
    assert listening <= SSH | LOOPBACK
    assert host.check_output("ss -Hlun") == ""


def test_there_is_one_cluster_with_checksums_and_utf8(host: Host, psql: Callable[[str], str]) -> None:
    assert host.check_output("pg_lsclusters -h").split()[:4] == ["16", "main", "5432", "online"]
    assert psql("SHOW data_checksums") == "on"
    assert psql("SHOW server_encoding") == "UTF8"


@pytest.mark.parametrize(
    ("path", "mode"), [(DATA, 0o700), (f"{CONFIGURATION}/pg_hba.conf", 0o640), (f"{CONFIGURATION}/conf.d", 0o750)]
)
def test_owner_and_mode(host: Host, path: str, mode: int) -> None:
    file = host.file(path)
    assert (file.user, file.group, oct(file.mode)) == ("postgres", "postgres", oct(mode))


def test_nobody_else_writes_the_configuration(host: Host) -> None:
    assert host.check_output("find %s -perm /022 ! -type l", CONFIGURATION) == ""


def test_every_setting_is_valid_and_in_force(psql: Callable[[str], str]) -> None:
    assert psql("SELECT sourcefile, sourceline, error FROM pg_file_settings WHERE error IS NOT NULL") == ""
    assert psql("SELECT name FROM pg_settings WHERE pending_restart") == ""
    assert psql("SELECT count(*) > 0 FROM pg_file_settings WHERE sourcefile LIKE '%/conf.d/%' AND applied") == "t"


def test_settings_that_keep_the_data(psql: Callable[[str], str]) -> None:
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        assert psql(f"SHOW {name}") == "on"
    assert psql("SHOW password_encryption") == "scram-sha-256"


def test_nobody_gets_in_without_proof(psql: Callable[[str], str]) -> None:
    assert psql("SELECT line_number, error FROM pg_hba_file_rules WHERE error IS NOT NULL") == ""
    ways = psql("SELECT DISTINCT type, auth_method FROM pg_hba_file_rules ORDER BY 1")
    assert ways.split() == ["hostssl|scram-sha-256", "local|peer"]


def test_no_file_of_the_host_changed_owner_or_mode(host: Host) -> None:
    before = _by_path(host.file("/root/files-before").content_string)
    now = _by_path(host.check_output("find /etc /usr /var /home /root -xdev -printf '%m %u:%g %p\\n'"))
    kept = [path for path in before if path in now and not path.startswith(PASSING)]
    assert {"/etc", "/var", "/etc/ssh"} <= set(kept)
    changed = {(path, before[path], now[path]) for path in kept if before[path] != now[path]}
    assert changed - DEBIANS_OWN == set()


def _by_path(listing: str) -> dict[str, str]:
    return {path: f"{mode} {owner}" for mode, owner, path in (line.split(" ", 2) for line in listing.splitlines())}
