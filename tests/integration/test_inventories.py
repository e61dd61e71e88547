"""The inventories of servers: what is wrong with one stops before any host is touched, and Ansible would say nothing.

No server is needed: the hosts do not exist, and are never asked for.
"""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.certificates import certificate, new_key, pem
from tests.local import BIN, ROOT, Result, environment

ENVIRONMENTS = ("development", "staging", "production")
SECRET = "vault canary"
PURPOSES = ("owner", "app", "readonly")


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
    assert "unreachable=1" not in result.output, "a host was asked for"
    assert result.changed == 0


@pytest.fixture(params=ENVIRONMENTS)
def inventory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of an inventory that a test may change, with its vault written but not encrypted."""
    copy = Path(shutil.copytree(ROOT / "inventories" / request.param, tmp_path / request.param))
    group = copy / "group_vars/database_servers"
    (group / "vault.yml").write_text(filled((group / "vault.yml.example").read_text()))
    return copy


@pytest.fixture
def production(tmp_path: Path) -> Path:
    """The inventory production, with its vault."""
    return inventory_of("production", tmp_path)


def inventory_of(name: str, folder: Path) -> Path:
    copy = Path(shutil.copytree(ROOT / "inventories" / name, folder / name))
    group = copy / "group_vars/database_servers"
    (group / "vault.yml").write_text(filled((group / "vault.yml.example").read_text()))
    return copy


def filled(example: str) -> str:
    """Return the vault with a secret of its own for each name."""
    return re.sub(r"(?m)^vault_(\w+): replace-me", rf"vault_\1: {SECRET} of \1", example)


def test_the_example_names_each_secret_and_holds_none(inventory: Path) -> None:
    group = inventory / "group_vars/database_servers"
    used: set[str] = set()
    for path in group.glob("*.yml"):
        if path.name != "vault.yml":
            used |= set(re.findall(r"\bvault_\w+", path.read_text()))
    example = yaml.safe_load((group / "vault.yml.example").read_text())
    assert set(example) == used
    assert set(example.values()) == {"replace-me"}


def test_a_complete_inventory_goes_as_far_as_the_host(inventory: Path) -> None:
    result = deploy(inventory)
    assert result.status != 0
    assert "unreachable=1" in result.output
    assert re.search(r"db1\.\w+\.invalid", result.output)
    assert SECRET not in result.output


def test_an_empty_group_is_an_error(production: Path) -> None:
    (production / "hosts.yml").write_text("---\nproduction:\n  children:\n    database_servers:\n      hosts: {}\n")
    refused(deploy(production), "The group database_servers has no host in")


def test_a_misspelt_group_is_an_error(production: Path) -> None:
    text = (production / "hosts.yml").read_text()
    (production / "hosts.yml").write_text(text.replace("database_servers", "database_server"))
    refused(deploy(production), "The group database_servers has no host in")


def test_an_inventory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    refused(deploy(tmp_path / "prodction"), "prodction")


def test_two_environments_are_not_mixed(tmp_path: Path) -> None:
    both = [inventory_of(name, tmp_path) for name in ("staging", "production")]
    refused(deploy(*both), "hold hosts of staging and production. Nothing was touched. Name one inventory")


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_password_that_was_not_set_is_an_error(production: Path, purpose: str) -> None:
    vault = production / "group_vars/database_servers/vault.yml"
    left = yaml.safe_load(vault.read_text())
    left[f"vault_database_{purpose}_password"] = "replace-me"
    vault.write_text(yaml.safe_dump(left))
    refused(deploy(production), f"There is no password for {purpose} on db1.production.invalid. Nothing was touched.")


def test_a_vault_that_was_not_made_is_an_error(production: Path) -> None:
    (production / "group_vars/database_servers/vault.yml").unlink()
    names = ", ".join(f"{purpose} on db1.production.invalid" for purpose in PURPOSES)
    refused(deploy(production), f"There is no password for {names}. Nothing was touched. Copy vault.yml.example")


STRONG = {"owner": "rTz0bq/8Yw+N2kLs4Vd", "app": "đi chợ mua cá kho tộ 7", "readonly": "a canary of 8391 words"}
# What is wrong with some of them, and the words that refuse it.
WEAK = {
    "empty": ({"app": ""}, "There is no password for app on db1.{}.invalid. Nothing was touched."),
    "example": ({"owner": "replace-me"}, "There is no password for owner on db1.{}.invalid. Nothing was touched."),
    "example, nearly": ({"app": "Replace-Me replace-me"}, "The password of app is made of words that everybody tries"),
    "words": ({"owner": "PhysioFlow-Password-2026"}, "The password of owner is made of words that everybody tries"),
    "short": ({"app": "kD7zq!W3xR0"}, "The password of app is shorter than 15 characters."),
    "name of its role": ({"app": "emr_app"}, "The password of app is the name of a role"),
    "name of another": (
        {"readonly": "EMR_Backup"},
        "The password of readonly is the name of a role",
    ),
    "one for two": ({"app": STRONG["owner"]}, "The passwords of owner, app are the same: who knows one knows all."),
}


@pytest.mark.control("S6")
@pytest.mark.parametrize(
    ("environment_name", "weakness"), [("staging", "short"), *(("production", weakness) for weakness in WEAK)]
)
def test_passwords_that_somebody_could_guess_are_refused(tmp_path: Path, environment_name: str, weakness: str) -> None:
    changes, words = WEAK[weakness]
    inventory = inventory_of(environment_name, tmp_path)
    given = STRONG | changes
    (inventory / "group_vars/database_servers/vault.yml").write_text(
        yaml.safe_dump({f"vault_database_{purpose}_password": given[purpose] for purpose in PURPOSES})
    )
    result = deploy(inventory, options=("-vvv",))
    refused(result, words.format(environment_name))
    for secret in {*given.values()} - {"", "replace-me", "emr_app"}:
        assert secret not in result.output


@pytest.mark.control("S6")
def test_strong_passwords_go_as_far_as_the_host(production: Path) -> None:
    (production / "group_vars/database_servers/vault.yml").write_text(
        yaml.safe_dump({f"vault_database_{purpose}_password": STRONG[purpose] for purpose in PURPOSES})
    )
    assert "unreachable=1" in deploy(production).output


@pytest.mark.parametrize("wrong", [False, True], ids=["missing", "wrong"])
def test_a_vault_password_that_is_missing_or_wrong_stops_first(production: Path, tmp_path: Path, wrong: bool) -> None:
    password = tmp_path / "password"
    password.write_text("right\n")
    vault = production / "group_vars/database_servers/vault.yml"
    assert run("ansible-vault", "encrypt", "--vault-password-file", password, vault).status == 0
    assert SECRET not in vault.read_text()
    assert "unreachable=1" in deploy(production, options=("--vault-password-file", password)).output
    options: tuple[str | Path, ...] = ()
    if wrong:
        password.write_text("wrong\n")
        options = ("--vault-password-file", password)
    result = deploy(production, options=options)
    refused(result, "Decryption failed" if wrong else "no vault secrets found")
    refused(
        result, "No host was touched. Run the same command again with --ask-vault-pass or --vault-password-file FILE"
    )


VARIABLES = {
    "port": ({"postgresql_port": 70000}, "postgresql_port is 70000; a port is 1 to 65535"),
    "key": (
        {"postgresql_repository_key": "http://mirror/key.asc"},
        "postgresql_repository_key is no armoured public key",
    ),
    "minimum": ({"postgresql_minimum_version": "newest"}, "postgresql_minimum_version is newest; it is a release like"),
    "connections": ({"postgresql_max_connections": 1}, "postgresql_max_connections is 1; it has to be above 10"),
    "memory": ({"postgresql_memory": 1}, "postgresql_memory is 1; it is 0, or 256 MB and more"),
    "version": ({"postgresql_version": "9.6"}, "9.6"),
    "repository": ({"postgresql_repository": "ppa"}, "ppa"),
    "hba without users": ({"postgresql_hba": [{"databases": ["x"], "address": "10.0.0.0/24"}]}, "users"),
    "CA": ({"postgresql_tls_ca_directory": "tls"}, "postgresql_tls_ca_directory is tls; it has to begin with /."),
    "misspelt": (
        {"postgresql_verison": "16"},
        "postgresql_verison is known to no role. Did you mean postgresql_version?",
    ),
}


@pytest.mark.parametrize("case", VARIABLES)
def test_a_bad_variable_is_refused_before_the_host_is_asked_for(production: Path, case: str) -> None:
    variables, words = VARIABLES[case]
    (production / "group_vars/database_servers/zz.yml").write_text(yaml.safe_dump(variables))
    refused(deploy(production), words)


@pytest.mark.control("S1")
@pytest.mark.control("S3")
@pytest.mark.control("S4")
@pytest.mark.control("S5")
@pytest.mark.control("S7")
def test_access_that_nobody_should_have_is_refused_all_of_it_at_once(production: Path) -> None:
    ours = {"databases": ["physioflow"], "users": ["emr_app"], "address": "10.0.0.0/24"}
    rules = [
        ours | {"method": "trust"},
        ours | {"type": "host"},
        ours | {"address": "0.0.0.0/0"},
        ours | {"users": ["postgres"]},
        ours | {"databases": ["all"]},
    ]
    variables = {
        "postgresql_hba": rules,
        "postgresql_listen_addresses": ["*"],
        "postgresql_settings": {"ssl": False, "password_encryption": "md5"},
    }
    (production / "group_vars/database_servers/zz.yml").write_text(yaml.safe_dump(variables))
    result = deploy(production)
    for words in (
        "Rule 1 of postgresql_hba has the method trust, which proves nothing or tells the password.",
        "Rule 2 of postgresql_hba is of type host. Use hostssl",
        "Rule 3 of postgresql_hba lets in 0.0.0.0/0, which is wider than /8.",
        "Rule 4 of postgresql_hba lets in postgres, the superuser. It comes in on the host alone",
        "Rule 5 of postgresql_hba has all in databases. Name them one by one",
        "postgresql_listen_addresses has '*', which is every network of the host",
        "The server setting ssl = off is weaker than this role allows.",
        "The server setting password_encryption = 'md5' is weaker than this role allows.",
        "Nothing was changed. Correct the inventory and run the same command again.",
    ):
        refused(result, words)


@pytest.mark.control("S5")
def test_a_certificate_of_no_use_is_refused_and_its_key_not_shown(production: Path, tmp_path: Path) -> None:
    ca, own, other = new_key(), new_key(), new_key()
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    key_file = tmp_path / "server.key"
    key_file.write_text(pem(other))
    key_file.chmod(0o644)
    variables = {
        "postgresql_tls_certificate": certificate(own, ca, ["db9.example"], begin, 365),
        "postgresql_tls_key_file": str(key_file),
    }
    (production / "group_vars/database_servers/zz.yml").write_text(yaml.safe_dump(variables))
    result = deploy(production, options=("-vvv",))
    for words in (
        f"The key {key_file} can be read by others (0644). Run: chmod 0600 {key_file}.",
        "postgresql_tls_key is not the key of postgresql_tls_certificate.",
        "postgresql_tls_certificate expired on 2020-12-31. Ask its CA for a new one.",
        "postgresql_tls_certificate is for DNS:db9.example, and the host is",
    ):
        refused(result, words)
    assert "PRIVATE KEY" not in result.output
    assert pem(other).splitlines()[1] not in result.output


@pytest.mark.control("S5")
def test_a_ca_beside_the_inventory_is_no_inventory(production: Path) -> None:
    """Ansible reads every file of an inventory folder that it is not told to leave, and gives up on a certificate."""
    folder = production / ".tls"
    folder.mkdir()
    key = new_key()
    (folder / "ca.key").write_text(pem(key))
    (folder / "ca.crt").write_text(certificate(key, key, [], datetime.datetime.now(datetime.UTC), 365))
    defaults = ROOT / "roles/postgresql/defaults/main.yml"
    show = ("-m", "ansible.builtin.debug", "-a", "msg={{ postgresql_tls_ca_directory }}")
    result = run("ansible", "database_servers", "-i", production, "-e", f"@{defaults}", *show)
    assert result.status == 0, result.output
    assert result.output.split()[-1] == str(folder)


@pytest.mark.control("S5")
def test_hosts_that_need_a_ca_at_once_get_one(production: Path) -> None:
    hosts: dict[str, None] = dict.fromkeys(f"db{number}.example.invalid" for number in range(5))
    (production / "hosts.yml").write_text(yaml.safe_dump({"database_servers": {"hosts": hosts}}))
    make = ("-m", "ansible.builtin.include_role", "-a", "name=postgresql tasks_from=authority")
    result = run("ansible", "database_servers", "-i", production, "--forks", "5", *make)
    assert result.status == 0, result.output
    assert result.output.count("serial_number: ") == 1, result.output
    folder = production / ".tls"
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in (folder, *folder.iterdir())} == {
        ".tls": oct(0o700),
        "ca.crt": oct(0o644),
        "ca.key": oct(0o600),
    }
    assert "PRIVATE" not in result.output
    again = run("ansible", "database_servers", "-i", production, *make)
    assert (again.status, again.output.count("CHANGED")) == (0, 0), again.output


@pytest.mark.control("S5")
def test_a_controller_without_the_ca_of_one_host_makes_none_for_another(production: Path, tmp_path: Path) -> None:
    (production / "hosts.yml").write_text(
        "database_servers: {hosts: {db1.invalid: {has_ca: true}, db2.invalid: {has_ca: false}}}"
    )
    looked = {"reason": "there is none", "elsewhere": "{{ has_ca }}"}
    play = {
        "hosts": "database_servers",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.set_fact": {"__postgresql_certificate": looked}},
            {"ansible.builtin.include_role": {"name": "postgresql", "tasks_from": "certificate"}, "when": "not has_ca"},
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    result = run("ansible-playbook", "-i", production, tmp_path / "play.yml")
    refused(result, "db2.invalid needs a certificate, and the CA that db1.invalid has been given is not here in")
    assert not (production / ".tls").exists()
