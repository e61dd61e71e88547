"""The inventories of servers: what is wrong with one stops before any host is touched, and Ansible would say nothing.

No server is needed: the hosts do not exist, and are never asked for.
"""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from tests import apart
from tests.apart import failure_of
from tests.certificates import certificate, new_key, pem
from tests.local import BIN, ROOT, Result, environment

ENVIRONMENTS = ("development", "staging", "production")
SECRET = "vault canary"
PURPOSES = ("owner", "app", "readonly")
STRONG = {"owner": "rTz0bq/8Yw+N2kLs4Vd", "app": "đi chợ mua cá kho tộ 7", "readonly": "a canary of 8391 words"}


def run(program: str, *arguments: str | Path) -> Result:
    done = subprocess.run(
        [BIN / program, *arguments],
        cwd=ROOT,
        env=environment() | {"ANSIBLE_SSH_ARGS": "-o ConnectTimeout=2 -o BatchMode=yes"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return Result(done.returncode, done.stdout)


def deploy(*inventories: Path, options: tuple[str | Path, ...] = ()) -> Result:
    sources = [word for inventory in inventories for word in ("-i", str(inventory))]
    return run("ansible-playbook", "deploy.yml", *sources, *options)


def refused(result: Result, words: str) -> None:
    assert result.status != 0, result.output
    assert words in " ".join(result.output.split()), result.output
    assert not re.search(r"unreachable=[1-9]", result.output), "a host was asked for"
    assert result.changed == 0


@pytest.fixture
def production(tmp_path: Path) -> Path:
    """The inventory production, with its vault."""
    return inventory_of("production", tmp_path)


def inventory_of(name: str, folder: Path) -> Path:
    """Return a copy of an inventory that a test may change, with its vault written but not encrypted."""
    copy = Path(shutil.copytree(ROOT / "inventories" / name, folder / name))
    group = copy / "group_vars/database_servers"
    (group / "vault.yml").write_text(filled((group / "vault.yml.example").read_text()))
    return copy


def filled(example: str) -> str:
    """Return the vault with a secret of its own for each name."""
    return re.sub(r"(?m)^vault_(\w+): replace-me", rf"vault_\1: {SECRET} of \1", example)


def add_hosts(inventory: Path, hosts: Mapping[str, object]) -> None:
    """Put hosts with variables of their own beside the one of the inventory."""
    content = yaml.safe_load((inventory / "hosts.yml").read_text())
    content[inventory.name]["children"]["database_servers"]["hosts"] |= hosts
    (inventory / "hosts.yml").write_text(yaml.safe_dump(content))


def vault_of(passwords: Mapping[str, str]) -> dict[str, str]:
    given = {f"vault_database_{purpose}_password": password for purpose, password in passwords.items()}
    return given | {"vault_pitr_passphrase": "a phrase of the repository"}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_example_names_each_secret_and_holds_none(name: str) -> None:
    group = ROOT / "inventories" / name / "group_vars/database_servers"
    used: set[str] = set()
    for path in group.glob("*.yml"):
        if path.name != "vault.yml":
            used |= set(re.findall(r"\bvault_\w+", path.read_text()))
    example = yaml.safe_load((group / "vault.yml.example").read_text())
    assert set(example) == used
    assert set(example.values()) == {"replace-me"}


@pytest.mark.control("S6")
@pytest.mark.fault(60)
def test_an_encrypted_vault_is_read_with_its_password_alone(production: Path, tmp_path: Path) -> None:
    """With strong passwords it goes as far as the host; without the vault's it stops before it."""
    password = tmp_path / "password"
    password.write_text("right\n")
    encrypted = VaultLib([("default", VaultSecret(b"right"))]).encrypt(yaml.safe_dump(vault_of(STRONG)))
    (production / "group_vars/database_servers/vault.yml").write_bytes(encrypted)
    result = deploy(production, options=("--vault-password-file", password))
    assert "unreachable=1" in result.output
    assert "[db1.production.invalid]" in result.output
    assert not [secret for secret in STRONG.values() if secret in result.output]
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    options: tuple[str | Path, ...]
    for options, words in (((), "no vault secrets found"), (("--vault-password-file", wrong), "Decryption failed")):
        result = deploy(production, options=options)
        refused(result, words)
        refused(result, "No host was touched. Run the same command again with --ask-vault-pass or --vault-password-fil")


@pytest.mark.fault(58)
def test_a_misspelt_group_is_an_error(production: Path) -> None:
    text = (production / "hosts.yml").read_text()
    (production / "hosts.yml").write_text(text.replace("database_servers", "database_server"))
    refused(deploy(production), "The group database_servers has no host in")


@pytest.mark.fault(58)
def test_an_inventory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    refused(deploy(tmp_path / "prodction"), "prodction")


@pytest.mark.fault(58)
def test_each_mistake_in_the_inventories_is_named_below_a_limit_too(tmp_path: Path) -> None:
    """A copy of the checks goes on after each, and so says them all."""
    checks = apart.playbooks(tmp_path) / "preflight.yml"
    checks.write_text(checks.read_text().replace(apart.STOPS_ALL, "ignore_errors: true"))
    both = [inventory_of(name, tmp_path) for name in ("production", "staging")]
    for inventory in both:
        (inventory / "group_vars/database_servers/vault.yml").unlink()
    unset = {purpose: {purpose: "replace-me"} for purpose in PURPOSES} | {"empty": {"app": ""}, "whole": {}, "old": {}}
    hosts: dict[str, Any] = {f"{host}.invalid": vault_of(STRONG | passwords) for host, passwords in unset.items()}
    hosts["old.invalid"]["release_directory"] = "/srv/old"  # it was applied to the others as well
    hosts["empty.invalid"]["postgresql_provider"] = "sytem"
    add_hosts(both[0], hosts)
    inventories = [word for inventory in both for word in ("-i", inventory)]
    result = run("ansible-playbook", checks, *inventories, "-vvv", "--limit", "whole.invalid,old.invalid")
    missing = ["app on app.invalid", *(f"{purpose} on db1.production.invalid" for purpose in PURPOSES)]
    missing += ["app on empty.invalid", "owner on owner.invalid", "readonly on readonly.invalid"]
    missing += [f"{purpose} on db1.staging.invalid" for purpose in PURPOSES]
    said = " ".join(result.output.split())
    for words in (
        "postgresql_provider is sytem; it can be embedded, managed",
        "hold hosts of staging and production. Nothing was touched. Choose one inventory",
        "The hosts of this run have several releases, and a run reads one. release_directory is",
        f"There is no password for {', '.join(missing)}. Nothing was touched. Copy vault.yml.example",
    ):
        assert words in said, result.output
    assert not [secret for secret in STRONG.values() if secret in result.output]


@pytest.mark.control("S6")
def test_staging_and_production_ask_for_strong_passwords() -> None:
    texts = {name: (ROOT / f"inventories/{name}/group_vars/database_servers/database.yml") for name in ENVIRONMENTS}
    strict = {name: yaml.safe_load(path.read_text()).get("database_strict_passwords") for name, path in texts.items()}
    assert (strict["staging"], strict["production"]) == (True, True)


OURS = {"databases": ["physioflow"], "users": ["emr_app"], "address": "10.0.0.0/24"}
WEAK = {"owner": "PhysioFlow-Password-2026", "app": "kD7zq!W3xR0", "readonly": "EMR_Backup"}
# {host: (its variables, the words that refuse them)}; what is certified the test makes, and {key} is a file of it.
REFUSED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "weak": (
        {"database_strict_passwords": True, **vault_of(WEAK)},
        (
            "The password of owner consists of common words",
            "The password of app is shorter than 15 characters.",
            "The password of readonly is the name of a role",
        ),
    ),
    "type": (
        {
            "postgresql_version": "9.6",
            "postgresql_repository": "ppa",
            "postgresql_hba": [{"databases": ["x"], "address": "10.0.0.0/24"}],
            "postgresql_port": "abc",
        },
        ("9.6", "ppa", "users", "abc"),
    ),
    "value": (
        {
            "postgresql_port": 70000,
            "postgresql_repository_key": "http://mirror/key.asc",
            "postgresql_minimum_version": "newest",
            "postgresql_max_connections": 1,
            "postgresql_memory": 1,
            "postgresql_tls_ca_directory": "tls",
            "postgresql_tls_days": 30,
            "postgresql_tls_renew_days": 30,
        },
        (
            "postgresql_port is 70000; a port is 1 to 65535",
            "postgresql_repository_key is not an armoured public key",
            "postgresql_minimum_version is newest; it must be a release like",
            "postgresql_max_connections is 1; it must be above 10",
            "postgresql_memory is 1; it must be 0, or at least 256 MB",
            "postgresql_tls_ca_directory is tls; it must begin with /.",
            "postgresql_tls_renew_days is 30, and a certificate is valid for 30 days",
        ),
    ),
    "open": (
        {
            "postgresql_hba": [
                OURS | {"method": "trust"},
                OURS | {"type": "host"},
                OURS | {"address": "0.0.0.0/0"},
                OURS | {"users": ["postgres"]},
                OURS | {"databases": ["all"]},
            ],
            "postgresql_listen_addresses": ["*"],
            "postgresql_settings": {"ssl": False, "password_encryption": "md5"},
        },
        (
            "Rule 1 of postgresql_hba has the method trust, which proves no identity or exposes the password.",
            "Rule 2 of postgresql_hba is of type host. Use hostssl",
            "Rule 3 of postgresql_hba allows 0.0.0.0/0, which is wider than /8.",
            "Rule 4 of postgresql_hba allows postgres, the superuser. It connects only on the host",
            "Rule 5 of postgresql_hba has all in databases. List the names",
            "postgresql_listen_addresses has '*', which is every network of the host",
            "The server setting ssl = off is weaker than this role allows.",
            "The server setting password_encryption = 'md5' is weaker than this role allows.",
            "Nothing was changed. Correct the inventory and run the same command again.",
        ),
    ),
    "certified": (
        {},
        (
            "The key {key} can be read by others (0644). Run: chmod 0600 {key}.",
            "postgresql_tls_key is not the key of postgresql_tls_certificate.",
            "postgresql_tls_certificate expired on 2020-12-31. Ask its CA for a new one.",
            "postgresql_tls_certificate is for DNS:db9.example, and the host is DNS:certified.invalid,",
        ),
    ),
}


@pytest.mark.fault(40)
@pytest.mark.control("S1")
@pytest.mark.control("S3")
@pytest.mark.control("S4")
@pytest.mark.control("S5")
@pytest.mark.control("S6")
@pytest.mark.control("S7")
def test_what_is_bad_in_variables_is_refused_all_at_once_before_the_host_is_asked_for(tmp_path: Path) -> None:
    """Passwords that somebody could guess, values, access and a certificate; a host without goes as far as itself."""
    ca, own, other = new_key(), new_key(), new_key()
    key = tmp_path / "server.key"
    key.write_text(pem(other))
    key.chmod(0o644)
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    hosts = {f"{host}.invalid": variables for host, (variables, _) in REFUSED.items()}
    hosts["certified.invalid"] = {
        "postgresql_tls_certificate": certificate(own, ca, ["db9.example"], begin, 365),
        "postgresql_tls_key_file": str(key),
    }
    inventory = inventory_of("development", tmp_path)
    add_hosts(inventory, hosts)
    playbook = apart.playbooks(tmp_path) / "deploy.yml"
    result = run("ansible-playbook", playbook, "-i", inventory, "-vvv")
    assert re.findall(r"(\S+) +: .*unreachable=1", result.output) == ["db1.development.invalid"], result.output
    assert result.changed == 0
    for host, (_, sentences) in REFUSED.items():
        for words in sentences:
            said = failure_of(result, f"{host}.invalid")
            assert words.replace("{key}", str(key)) in said, f"{host}: {words}\n{result.output}"
    for secret in (SECRET, "PRIVATE KEY", pem(other).splitlines()[1], *WEAK.values()):
        assert secret not in result.output


@pytest.mark.fault(59)
def test_variables_of_other_roles_stop_nothing_and_a_wrong_letter_is_mentioned(tmp_path: Path) -> None:
    """Only begins like ours: silent. Nearly one of ours: a warning. With -e it is an error: test_bad_input.py.

    Nor does a host of another release stop it that a limit leaves out, nor a certificate in the folder of the CA.
    """
    staging = inventory_of("staging", tmp_path)
    others = {"backup_server": "x", "status_page": "x", "release_name": "x", "plan_b": "x"}
    add_hosts(staging, {"old.invalid": {"release_directory": "/srv/old"}})
    (staging / "group_vars/all.yml").write_text(yaml.safe_dump({"postgresql_verison": "16"} | others))
    (staging / ".tls").mkdir()
    (staging / ".tls/ca.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    result = deploy(staging, options=("--limit", "db1.staging.invalid"))
    assert "unreachable=1" in result.output
    assert SECRET not in result.output
    said = " ".join(result.output.split())
    assert "The variable postgresql_verison is unknown to all roles of this collection. Did you mean postgr" in said
    assert not [name for name in others if name in said]


HOST = "db1.production.invalid"
NOT_PASSED_OVER = "The first tasks, which check the inventory and the server, were skipped"
OPTIONS = {
    "limit to nobody": (("--limit", "other.invalid"), "--limit other.invalid leaves none of the database servers"),
    "limit and tags": (("--limit", HOST, "--tags", "database"), "These playbooks have no tags"),
    "skip untagged": (("--skip-tags", "untagged"), "These playbooks have no tags"),
    "start at a check": (("--start-at-task", "Read and check the release"), NOT_PASSED_OVER),
    "start at a condition": (("--start-at-task", "Create roles, database and privileges"), NOT_PASSED_OVER),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_no_option_leaves_the_checks_out(production: Path, case: str) -> None:
    """The checks stood in a play on localhost, which a limit and tags leave out: roles got the password replace-me."""
    options, words = OPTIONS[case]
    (production / "group_vars/database_servers/vault.yml").unlink()
    (production / "others.yml").write_text("others: {hosts: {other.invalid: }}\n")
    refused(deploy(production, options=options), words)


@pytest.mark.parametrize(
    "playbook", ["backup", "drill", "migrate", "partitions", "restore", "rollback", "seed", "verify"]
)
def test_each_playbook_checks_first(playbook: str) -> None:
    plays = yaml.safe_load((ROOT / f"playbooks/{playbook}.yml").read_text())
    assert plays[0]["ansible.builtin.import_playbook"] == "preflight.yml"
    assert all(play["become"] == "{{ provider_become }}" for play in plays[1:])


@pytest.mark.control("S5")
def test_hosts_that_need_a_ca_at_once_get_one(production: Path, tmp_path: Path) -> None:
    hosts: dict[str, None] = dict.fromkeys(f"db{number}.example.invalid" for number in range(2))
    (production / "hosts.yml").write_text(yaml.safe_dump({"database_servers": {"hosts": hosts}}))
    make = {"ansible.builtin.include_role": {"name": "physioflow.database.postgresql", "tasks_from": "authority"}}
    play = {"hosts": "database_servers", "gather_facts": False, "tasks": [make, make]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    result = run("ansible-playbook", "-i", production, tmp_path / "play.yml")
    assert (result.status, result.changed) == (0, 3), result.output  # folder, key and certificate, each once
    folder = production / ".tls"
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in (folder, *folder.iterdir())} == {
        ".tls": oct(0o700),
        "ca.crt": oct(0o644),
        "ca.key": oct(0o600),
    }
    assert "PRIVATE" not in result.output


@pytest.mark.control("S5")
def test_a_controller_without_the_ca_of_one_host_makes_none_for_another(production: Path, tmp_path: Path) -> None:
    (production / "hosts.yml").write_text(
        "database_servers: {hosts: {db1.invalid: {has_ca: true}, db2.invalid: {has_ca: false}}}"
    )
    looked = {"certificate_reason": "there is none", "ca_elsewhere": "{{ has_ca }}"}
    play = {
        "hosts": "database_servers",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.set_fact": {"__postgresql_host": looked}},
            {
                "ansible.builtin.include_role": {"name": "physioflow.database.postgresql", "tasks_from": "certificate"},
                "when": "not has_ca",
            },
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    result = run("ansible-playbook", "-i", production, tmp_path / "play.yml")
    refused(result, "db2.invalid needs a certificate, and the CA of db1.invalid is not in")
    assert not (production / ".tls").exists()
