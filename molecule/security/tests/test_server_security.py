"""The rows of the security checklist that are the server's, tried out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

Ask = Callable[[str], str]
Login = Callable[..., CommandResult]
NAME = "localhost"
EXCEPTED = 'invalid input syntax for type uuid: "canary-excepted"'


@pytest.mark.control("S1")
def test_every_rule_asks_for_proof_and_for_tls(psql: Ask) -> None:
    bad = psql(
        "SELECT line_number, type, auth_method FROM pg_hba_file_rules WHERE error IS NOT NULL"
        " OR auth_method NOT IN ('peer', 'scram-sha-256', 'reject') OR type IN ('host', 'hostnossl', 'hostgssenc')"
        " OR (type = 'local' AND auth_method NOT IN ('peer', 'reject'))"
    )
    assert bad == ""
    assert psql("SELECT count(*) > 1 FROM pg_hba_file_rules") == "t"


@pytest.mark.control("S2")
def test_plain_tcp_and_the_superuser_over_tcp_are_refused(login: Login) -> None:
    assert login("sslmode=require").stdout.strip() == "emr_app"
    assert "no encryption" in login("sslmode=disable").stderr
    assert "no pg_hba.conf entry" in login("sslmode=require", user="postgres").stderr


@pytest.mark.control("S3")
def test_no_rule_is_for_all(psql: Ask) -> None:
    bad = psql(
        "SELECT line_number FROM pg_hba_file_rules WHERE type <> 'local' AND ('all' = ANY (database)"
        " OR 'all' = ANY (user_name) OR address IN ('all', '0.0.0.0', '::'))"
    )
    assert bad == ""


@pytest.mark.control("S4")
def test_it_listens_where_the_inventory_says(host: Host, psql: Ask) -> None:
    assert psql("SHOW listen_addresses") == "localhost"
    assert not host.socket("tcp://0.0.0.0:5432").is_listening
    assert host.socket("tcp://127.0.0.1:5432").is_listening


@pytest.mark.control("S5")
def test_tls_is_strong(host: Host, psql: Ask) -> None:
    shown = psql("SELECT name || '=' || setting FROM pg_settings WHERE name LIKE 'ssl%'").split()
    assert {"ssl=on", "ssl_min_protocol_version=TLSv1.2", "ssl_prefer_server_ciphers=on"} <= set(shown)
    client = "openssl s_client -connect 127.0.0.1:5432 -starttls postgres"
    assert "TLSv1.3" in host.run(f"{client} -tls1_3 </dev/null").stdout
    assert "TLSv1.2" in host.run(f"{client} -tls1_2 </dev/null").stdout
    old = host.run(f"{client} -tls1_1 -cipher DEFAULT@SECLEVEL=0 </dev/null")
    assert old.rc != 0
    assert "alert protocol version" in old.stdout + old.stderr
    weak = host.run(f"{client} -tls1_2 -cipher AES128-SHA:AES256-GCM-SHA384 </dev/null")
    assert "handshake failure" in weak.stdout + weak.stderr


@pytest.mark.control("S5")
def test_a_client_can_verify_the_host_and_no_other_name(host: Host, version: str, login: Login) -> None:
    host.check_output("install -m 0644 /etc/postgresql/%s/main/ca.crt /root/client-ca.crt", version)
    verify = "sslmode=verify-full sslrootcert=/root/client-ca.crt"
    assert login(f"host={NAME} {verify}").stdout.strip() == "emr_app"
    assert "does not match host name" in login(f"host=other.example {verify}").stderr
    distrust = login(f"host={NAME} sslmode=verify-full sslrootcert=/etc/ssl/certs/ca-certificates.crt")
    assert "certificate verify failed" in distrust.stderr


@pytest.mark.control("S5")
def test_the_certificate_lasts_and_its_key_is_the_servers_alone(host: Host, version: str) -> None:
    folder = f"/etc/postgresql/{version}/main"
    host.check_output("openssl x509 -noout -checkend 2592000 -in %s/server.crt", folder)
    key = host.file(f"{folder}/server.key")
    assert (key.user, oct(key.mode)) == ("postgres", oct(0o600))
    assert host.check_output("find / -xdev -name ca.key") == ""


@pytest.mark.control("S5")
def test_one_ca_of_the_controller_signs_every_host_and_nothing_but_servers(host: Host, version: str) -> None:
    folder = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "tls"
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, folder / "ca.key")] == [oct(0o700), oct(0o600)]
    place = f"/etc/postgresql/{version}/main"
    assert host.file(f"{place}/ca.crt").content_string == (folder / "ca.crt").read_text()
    host.check_output(f"openssl verify -purpose sslserver -CAfile {place}/ca.crt {place}/server.crt")
    ca, own = (host.check_output(f"openssl x509 -noout -text -in {place}/{name}.crt") for name in ("ca", "server"))
    assert "X509v3 Basic Constraints: critical CA:TRUE, pathlen:0" in " ".join(ca.split())
    assert "X509v3 Basic Constraints: critical CA:FALSE" in " ".join(own.split())
    assert "X509v3 Extended Key Usage: TLS Web Server Authentication" in " ".join(own.split())


@pytest.mark.control("S13")
def test_places_are_kept_for_the_administrator(psql: Ask) -> None:
    assert psql("SHOW superuser_reserved_connections") == "3"
    assert psql("SHOW reserved_connections") == "2"


@pytest.mark.control("S17")
def test_the_log_tells_who_and_what_and_nothing_of_a_patient(psql: Ask) -> None:
    wanted = {
        "log_connections": "on",
        "log_disconnections": "on",
        "log_statement": "ddl",
        "log_min_duration_statement": "-1",
        "log_replication_commands": "on",
        "log_file_mode": "0640",
        "log_timezone": "UTC",
        "log_lock_waits": "on",
        "log_checkpoints": "on",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
    }
    shown = psql("SELECT name || '=' || setting FROM pg_settings WHERE name LIKE 'log\\_%'").splitlines()
    assert {f"{name}={value}" for name, value in wanted.items()} <= set(shown)


@pytest.mark.control("S17")
def test_a_patient_is_in_no_line_of_the_log(host: Host, version: str) -> None:
    log = f"/var/log/postgresql/postgresql-{version}-main.log"
    before = len(host.file(log).content_string)
    host.run(
        "runuser -u postgres -- psql -Xq -d physioflow -c %s -c %s -c %s",
        "INSERT INTO organizations (id, name) VALUES (NULL, 'canary-nguyen')",
        "SELECT 1 / 0 AS canary_nguyen",
        "CREATE TEMPORARY TABLE seen_by_ddl (id int)",
    )
    text = host.file(log).content_string[before:]
    assert "seen_by_ddl" in text
    assert "canary" not in text


@pytest.mark.control("S18")
def test_files_are_the_servers_alone(host: Host, version: str) -> None:
    folder = f"/etc/postgresql/{version}/main"
    data = host.file(f"/var/lib/postgresql/{version}/main")
    assert (data.user, oct(data.mode)) == ("postgres", oct(0o700))
    for name in ("pg_hba.conf", "pg_ident.conf", "conf.d/physioflow.conf"):
        assert oct(host.file(f"{folder}/{name}").mode) == oct(0o640)
    assert oct(host.file(f"/var/log/postgresql/postgresql-{version}-main.log").mode) == oct(0o640)
    files = "find / -xdev -user postgres '(' -type f -o -type d ')'"
    assert folder in host.check_output(files).splitlines()
    assert host.check_output(f"{files} -perm /o+rwx") == ""


@pytest.mark.control("S19")
def test_what_the_server_makes_is_its_alone(host: Host, version: str) -> None:
    assert host.check_output("systemctl show postgresql@%s-main -p UMask --value", version) == "0077"
    pid = host.check_output("head -1 /var/lib/postgresql/%s/main/postmaster.pid", version)
    assert "Umask:\t0077" in host.file(f"/proc/{pid}/status").content_string


@pytest.mark.control("S20")
def test_checksums_are_on_and_right(psql: Ask) -> None:
    assert psql("SHOW data_checksums") == "on"
    assert psql("SHOW ignore_checksum_failure") == "off"
    assert psql("SELECT datname FROM pg_stat_database WHERE checksum_failures > 0") == ""


@pytest.mark.control("S20")
def test_tables_and_indexes_are_sound(psql: Ask) -> None:
    """As pg_amcheck --heapallindexed does, which wants the extension to stay in the database."""
    counted, *problems = psql(
        "BEGIN; CREATE EXTENSION amcheck;"
        " SELECT count(bt_index_check(c.oid, heapallindexed => true)::text) FROM pg_class AS c JOIN pg_am AS a"
        " ON a.oid = c.relam WHERE a.amname = 'btree' AND c.relkind = 'i';"
        " SELECT c.oid::regclass, h.msg FROM pg_class AS c, verify_heapam(c.oid) AS h WHERE c.relkind IN ('r', 't');"
        " ROLLBACK"
    ).splitlines()
    assert int(counted) > 200
    assert problems == []


@pytest.mark.control("S21")
def test_the_service_is_shut_in(host: Host, version: str) -> None:
    unit = f"postgresql@{version}-main"
    names = "NoNewPrivileges,ProtectSystem,ProtectHome,PrivateTmp,Restart"
    shown = set(host.check_output("systemctl show %s -p %s", unit, names).split())
    assert {
        "NoNewPrivileges=yes",
        "ProtectSystem=full",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "Restart=on-failure",
    } <= shown
    pid = host.check_output("head -1 /var/lib/postgresql/%s/main/postmaster.pid", version)
    assert "NoNewPrivs:\t1" in host.file(f"/proc/{pid}/status").content_string
    assert host.service(unit).is_enabled
    assert host.service(unit).is_running
    assert host.check_output("systemctl list-units --failed --plain --no-legend") == ""


@pytest.mark.control("S21")
def test_nobody_logs_in_as_the_servers_user(host: Host) -> None:
    assert host.check_output("passwd --status postgres").split()[1] == "L"
    assert not host.file("/var/lib/postgresql/.ssh/authorized_keys").exists
    assert host.file("/var/lib/postgresql/.psql_history").linked_to == "/dev/null"


@pytest.mark.control("S21")
@pytest.mark.control("S22")
def test_no_password_lies_open(host: Host) -> None:
    assert host.run("grep -rs PGPASSWORD /etc/profile /etc/profile.d /etc/environment /root/.profile").stdout == ""
    search = "grep -lsz ^PGPASSWORD="
    assert host.run(f"env PGPASSWORD=canary {search} /proc/self/environ").stdout.strip() == "/proc/self/environ"
    assert host.run(f"{search} /proc/[0-9]*/environ").stdout == ""
    for name in (".pgpass", "pgpass.conf", ".pg_service.conf", "pg_service.conf"):
        assert host.check_output("find / -xdev -name %s -perm /077", name) == ""


@pytest.mark.control("S25")
def test_only_the_named_key_signs_the_repository(host: Host) -> None:
    assert host.run("ls -A /etc/apt/trusted.gpg").rc != 0
    sources = host.run("cat /etc/apt/sources.list.d/pgdg.sources")
    assert sources.rc != 0 or "Signed-By:" in sources.stdout


@pytest.mark.control("S26")
def test_no_untrusted_language_and_no_way_to_files(psql: Ask) -> None:
    untrusted = "SELECT lanname FROM pg_language WHERE NOT lanpltrusted AND lanname NOT IN ('internal', 'c')"
    assert psql(untrusted) == ""
    assert set(psql("SELECT extname FROM pg_extension").split()) <= {
        "plpgsql",
        "pg_trgm",
        "uuid-ossp",
        "btree_gist",
        "pgaudit",
    }
    members = psql(
        "SELECT member::regrole FROM pg_auth_members WHERE roleid IN"
        " ('pg_execute_server_program'::regrole, 'pg_read_server_files'::regrole, 'pg_write_server_files'::regrole)"
    )
    assert members == ""


@pytest.mark.control("S29")
def test_every_setting_is_valid_and_in_force(psql: Ask) -> None:
    assert psql("SELECT name, error FROM pg_file_settings WHERE error IS NOT NULL") == ""
    assert psql("SELECT name FROM pg_settings WHERE pending_restart") == ""


@pytest.mark.excepted("S17")
def test_the_exception_of_error_messages_is_still_needed(host: Host, version: str) -> None:
    host.run("runuser -u postgres -- psql -Xq -d physioflow -c %s", "SELECT 'canary-excepted'::uuid")
    assert EXCEPTED in host.file(f"/var/log/postgresql/postgresql-{version}-main.log").content_string


@pytest.mark.excepted("S18")
def test_the_exception_of_the_log_folder_is_still_needed(host: Host) -> None:
    assert host.file("/var/log/postgresql").mode & 0o077


@pytest.mark.excepted("S16")
def test_the_audit_is_excepted_where_apt_has_no_package_and_nowhere_else(host: Host, psql: Ask, version: str) -> None:
    """The mirror of the tests has none for 16; PGDG has."""
    packaged = host.run(f"apt-cache show postgresql-{version}-pgaudit").rc == 0
    assert packaged == ("pgaudit" in psql("SHOW shared_preload_libraries"))
    if version == "16":
        assert packaged == ("POSTGRESQL_REPOSITORY_URL" not in os.environ)


@pytest.mark.control("S21")
@pytest.mark.fault(3)
def test_a_server_that_is_killed_comes_back_by_itself(host: Host, psql: Ask, version: str) -> None:
    """The last one: it ends every session."""
    pid = f"/var/lib/postgresql/{version}/main/postmaster.pid"
    killed = host.check_output("head -1 %s", pid)
    rows = psql("SELECT count(*) FROM migrations.history")
    host.check_output("kill -9 %s", killed)
    back = f"[ $(head -1 {pid}) != {killed} ] && psql -h /var/run/postgresql -U postgres -XAtc 'SELECT 1' physioflow"
    host.check_output("timeout 60 sh -c %s", f"until {back}; do sleep 0.2; done")
    assert psql("SELECT count(*) FROM migrations.history") == rows
