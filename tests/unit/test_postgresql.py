"""The role postgresql: settings from a host, the texts of the server's files, and what is said of a failure."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.physioflow.database.plugins.module_utils.system.apt import explain
from ansible_collections.physioflow.database.plugins.module_utils.system.files import (
    cluster_differences,
    hba_problems,
    listen_problems,
    setting_problems,
    version_number,
)
from ansible_collections.physioflow.database.plugins.module_utils.system.look import (
    listening,
    lock_pid,
    memory,
    os_release,
)
from ansible_collections.physioflow.database.plugins.module_utils.system.server import plain_words
from ansible_collections.physioflow.database.plugins.module_utils.system.tuning import tuned_settings, usual_memory

from tests.local import ROOT

TEMPLATES = ROOT / "roles/postgresql/templates"

RULE: dict[str, Any] = {
    "type": "hostssl",
    "databases": ["physioflow"],
    "users": ["emr_app", "emr_readonly"],
    "address": "10.0.0.0/24",
    "method": "scram-sha-256",
}


@pytest.mark.parametrize(
    ("found", "sold"), [(15_621, 16_384), (15_900, 16_384), (3_915, 4_096), (1_987, 2_048), (100, 256)]
)
def test_memory_is_the_same_after_a_kernel_update(found: int, sold: int) -> None:
    assert usual_memory(found) == sold


def test_settings_follow_memory_and_cores() -> None:
    assert tuned_settings(16_384, 8, 100) == {
        "max_connections": 100,
        "shared_buffers": "4096MB",
        "effective_cache_size": "12288MB",
        "maintenance_work_mem": "1024MB",
        "work_mem": "40MB",
        "max_worker_processes": 8,
        "max_parallel_workers": 8,
        "max_parallel_workers_per_gather": 4,
        "max_parallel_maintenance_workers": 4,
    }
    small = tuned_settings(512, 1, 100)
    assert (small["work_mem"], small["max_parallel_workers_per_gather"]) == ("4MB", 0)
    assert tuned_settings(262_144, 64, 100)["maintenance_work_mem"] == "2048MB"


def rendered(name: str, **variables: object) -> list[str]:
    """Return the lines of a template of the role that are no comments."""
    source = trust_as_template((TEMPLATES / name).read_text(encoding="utf-8"))
    text = Templar(DataLoader(), variables).template(source, escape_backslashes=False)
    assert text.startswith("# Made by the Ansible role postgresql")  # by which postgresql_cluster knows it
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_a_value_is_one_line_of_the_file() -> None:
    settings = {"log_line_prefix": "it's \\ %m ", "fsync": True, "max_connections": 5, "random_page_cost": 1.1}
    assert rendered("physioflow.conf.j2", __postgresql_all_settings=settings) == [
        "fsync = on",
        r"log_line_prefix = 'it''s \\ %m '",
        "max_connections = 5",
        "random_page_cost = 1.1",
    ]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"Work Mem": "1MB"}, "'Work Mem' is not the name of a server setting"),
        ({1: 2}, "1 is not the name of a server setting"),
        ({"port": 5433}, "The server setting port is set by postgresql_port."),
        ({"hba_file": "/x"}, "The server setting hba_file is set by the package."),
        ({"work_mem": "1MB'\nfsync = off"}, "work_mem is not one line of text"),
        ({"ssl": False}, "ssl = off is weaker than this role allows"),
        ({"ssl_min_protocol_version": "TLSv1.1"}, "is weaker than this role allows"),
        ({"password_encryption": "md5"}, "is weaker than this role allows"),
        ({"ssl_key_file": "/x"}, "is set by postgresql_tls_certificate"),
        ({"work_mem": [1]}, "work_mem is not one line of text"),
    ],
)
def test_a_setting_that_is_none_is_refused(settings: dict[Any, object], words: str) -> None:
    (problem,) = setting_problems(settings)
    assert words in problem


def test_a_setting_is_left_to_the_server() -> None:
    assert setting_problems({"work_mem": "1kB", "pgaudit.log": "ddl", "fsync": True}) == []


def test_rules_are_lines_and_nobody_else_comes_in() -> None:
    short = {"databases": "physioflow", "users": ["emr"], "address": "10.0.0.1"}
    local = {"type": "local", "databases": ["physioflow"], "users": ["emr"], "method": "peer"}
    assert rendered("pg_hba.conf.j2", postgresql_hba=[RULE, short, local], postgresql_peer_users=["emr_backup"]) == [
        "local all postgres peer map=physioflow",
        "local all emr_backup peer",
        "hostssl physioflow emr_app,emr_readonly 10.0.0.0/24 scram-sha-256",
        "hostssl physioflow emr 10.0.0.1 scram-sha-256",
        "local physioflow emr peer",
    ]
    assert hba_problems([RULE]) == []


def test_a_user_of_the_host_may_be_the_role_of_its_name() -> None:
    assert hba_problems([], ["emr_backup"]) == []


@pytest.mark.parametrize("name", ["postgres", "all", "x trust", "+group", ""])
def test_a_peer_is_one_ordinary_role(name: str) -> None:
    (problem,) = hba_problems([], [name])
    assert f"postgresql_peer_users has {name!r}" in problem


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"databases": []}, "Rule 1 of postgresql_hba names no database or no user."),
        ({"users": ["emr app"]}, "has 'emr app', which is not one word"),
        ({"address": "10.0.0.0/24 trust\nhost all all 0.0.0.0/0"}, "which is not one word"),
        ({"address": ""}, "is of type hostssl and has no address"),
        ({"type": "local"}, "is of type local and has an address"),
        ({"type": "host"}, "is of type host. Use hostssl"),
        ({"method": "trust"}, "has the method trust, which proves no identity"),
        ({"method": "md5"}, "has the method md5"),
        ({"databases": ["all"]}, "has all in databases. List the names"),
        ({"users": ["emr", "all"]}, "has all in users. List the names"),
        ({"users": ["postgres"]}, "allows postgres, the superuser"),
        ({"address": "all"}, "allows all addresses"),
        ({"address": "0.0.0.0/0"}, "wider than /8"),
        ({"address": "10.0.0.0/7"}, "wider than /8"),
        ({"address": "::/0"}, "wider than /32"),
    ],
)
def test_a_rule_that_is_no_line_is_refused(changes: dict[str, Any], words: str) -> None:
    (problem,) = hba_problems([RULE | changes])
    assert words in problem


@pytest.mark.parametrize("address", ["10.0.0.0/8", "fd00::/32", "192.168.1.7", "app.example", "samenet"])
def test_a_narrow_network_or_a_host_is_let_in(address: str) -> None:
    assert hba_problems([RULE | {"address": address}]) == []


def test_every_address_is_none_to_listen_on() -> None:
    assert listen_problems(["localhost", "10.0.0.5", "::1"]) == []
    assert [problem[:32] for problem in listen_problems(["*", "0.0.0.0", "::"])] == [
        "postgresql_listen_addresses has "
    ] * 3


@pytest.mark.parametrize(("text", "number"), [("16.14", 160014), ("18", 180000), ("0", 0)])
def test_versions_are_counted_as_the_server_does(text: str, number: int) -> None:
    assert version_number(text) == number


def test_another_cluster_is_told_by_what_differs() -> None:
    found = {"checksums": "on", "encoding": "UTF8", "collate": "C.UTF-8", "ctype": "C.utf8"}
    assert cluster_differences(found, "C.UTF-8") == []
    other = {"checksums": "off", "encoding": "LATIN1", "collate": "vi_VN", "ctype": "C.UTF-8"}
    assert cluster_differences(other, "C.UTF-8") == [
        "data checksums: off, wanted on",
        "encoding: LATIN1, wanted UTF8",
        "collation: vi_VN, wanted C.UTF-8",
    ]


def test_the_host_is_read() -> None:
    assert os_release('NAME="Debian"\nVERSION_CODENAME=bookworm\n\n')["VERSION_CODENAME"] == "bookworm"
    assert memory("MemFree: 1 kB\nMemTotal:       16777216 kB\n") == 16384
    table = (
        "  sl  local_address rem_address st\n"
        "   0: 0100007F:1538 00000000:0000 0A 0:0 0:0 0 102 0 548056 1\n"
        "   1: 0100007F:1538 00000000:0001 01 0:0 0:0 0 102 0 548057 1\n"
        "   2: 00000000:0016 00000000:0000 0A 0:0 0:0 0 0 0 446843 1\n"
    )
    assert listening(table, 5432) == {"548056": 102}
    assert listening(table, 5433) == {}


def test_the_holder_of_a_lock_is_found() -> None:
    locks = (
        "1: POSIX  ADVISORY  WRITE 4242 08:01:131 0 EOF\n"
        "1: -> POSIX  ADVISORY  WRITE 4243 08:01:132 0 EOF\n"
        "2: FLOCK  ADVISORY  WRITE 77 00:1a:9 0 EOF\n"
    )
    assert lock_pid(locks, {131}) == 4242
    assert lock_pid(locks, {132}) is None


def test_the_words_of_the_server_are_one_sentence() -> None:
    log = '2026-01-02 03:04:05.678 UTC [9] LOG:  bad value "x"\n2026-01-02 03:04:05.678 UTC [9] FATAL:  errors.\n'
    assert plain_words(log) == 'bad value "x". errors.'
    assert plain_words("") == ""


MIRROR = "http://mirror.example/pgdg"


@pytest.mark.parametrize(
    ("message", "facts", "words"),
    [
        (
            "Failed to lock apt for exclusive operation: E:Could not get lock",
            {"holder": "pid 12 (apt-get upgrade)"},
            "apt is locked by pid 12 (apt-get upgrade), and this run waited 120 s for it",
        ),
        ("E: dpkg was interrupted", {"unfinished": "x is half configured"}, "dpkg --configure -a && apt-get install"),
        ("E: The repository is not signed. NO_PUBKEY 7FCC7D46ACCC4CF8", {}, f"apt refuses {MIRROR}: it is not signed"),
        ("W: EXPKEYSIG 7FCC7D46ACCC4CF8 PGDG", {}, "Correct postgresql_repository_key"),
        ("E: Release file for x is not valid yet (invalid for another 3h)", {}, "Correct the clock of the host"),
        ("No package matching 'postgresql-16' is available", {}, f"There is no package postgresql-16 in {MIRROR}"),
        (
            "E: Failed to fetch x Could not connect to mirror",
            {"proxy": "http://p:3128"},
            "through the proxy http://p:3128",
        ),
        ("E: Failed to fetch x Could not connect to mirror", {}, "without a proxy (postgresql_proxy names one)"),
        ("no space left on device", {}, "apt failed on the host: no space left on device"),
    ],
)
def test_a_failure_of_apt_is_explained(message: str, facts: dict[str, str], words: str) -> None:
    plain = {"repository": MIRROR, "proxy": "", "holder": "", "unfinished": ""}
    said = explain(message, waited=120, **(plain | facts))
    assert words in said
    assert "Nothing was installed without a valid signature" in said
    assert said.endswith("Then run the same command again.")


@pytest.mark.control("S25")
def test_the_key_that_comes_with_the_role_is_that_of_pgdg() -> None:
    armoured = (ROOT / "roles/postgresql/files/apt.postgresql.org.asc").read_text().split("\n\n", 1)[1]
    packets = base64.b64decode("".join(armoured.split("\n=", 1)[0].split()))
    # RFC 4880, 12.2: the SHA-1 of 0x99, two bytes of length and the first packet; an old header is exactly these three.
    assert packets[0] == 0x99
    first = packets[: 3 + int.from_bytes(packets[1:3])]
    assert hashlib.sha1(first).hexdigest().upper() == "B97B0AFCAA1A47F044F244A07FCC7D46ACCC4CF8"
