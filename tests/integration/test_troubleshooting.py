"""docs/troubleshooting.md is found by the words that one sees: each entry is made to happen, and prints its heading."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import yaml

from tests.integration.test_inventories import deploy as deploy_inventory
from tests.integration.test_inventories import inventory_of, run
from tests.local import ROOT, Local

PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^### `(.*)`$", PAGE, re.MULTILINE)
DATABASE = "troubled"
ROWS = re.findall(r"^\| `(.*?)` \|", PAGE, re.MULTILINE)
Maker = Callable[[Local, Path], str]


@pytest.fixture(scope="module")
def troubled(local: Local) -> Iterator[Local]:
    """A server with a database that the errors are made in; none of them changes it."""
    local.deploy(database_name=DATABASE)
    yield local
    local.psql(f"DROP DATABASE {DATABASE} WITH (FORCE)", "postgres", role="postgres")


def by_hand(sql: str, user: str = "postgres") -> Maker:
    """Return what runs SQL by psql, in a transaction that is taken back."""
    return lambda local, _: local.run_psql("-c", f"BEGIN; {sql}", database=DATABASE, user=user).stderr


def play(playbook: str, **variables: object) -> Maker:
    return lambda local, _: local.play(playbook, **{"database_name": DATABASE} | variables).output


def production(change: Callable[[Path], object], *command: str) -> Maker:
    """Return what runs a playbook with a changed inventory production; no host is there to be asked."""

    def make(_: Local, folder: Path) -> str:
        inventory = inventory_of("production", folder)
        change(inventory)
        return (run("ansible-playbook", "-i", inventory, *command) if command else deploy_inventory(inventory)).output

    return make


def variables(inventory: Path, **values: object) -> None:
    (inventory / "group_vars/database_servers/zz.yml").write_text(yaml.safe_dump(values))


def no_hosts(inventory: Path) -> None:
    (inventory / "hosts.yml").write_text("---\nproduction:\n  children:\n    database_servers:\n      hosts: {}\n")


def edited(local: Local, folder: Path) -> str:
    release = Path(shutil.copytree(ROOT / "files", folder / "files"))
    file = release / "migrations/004_scheduling_schema.sql"
    file.write_text(file.read_text() + "\nSELECT 1;\n")
    return local.play(database_name=DATABASE, release_directory=str(release)).output


def all_connections(local: Local, _: Path) -> str:
    port = local.psql("SHOW port", "postgres", role="postgres")
    place = f"host=127.0.0.1 port={port} dbname={DATABASE} user=emr_readonly"
    held: list[psycopg.Connection[tuple[object, ...]]] = []
    try:
        while len(held) < 11:
            held.append(psycopg.connect(place, password=local.password("emr_readonly")))
    except psycopg.OperationalError as error:
        return str(error)
    finally:
        for session in held:
            session.close()
    return "every connection was let in"


SCORE = "INSERT INTO outcome_measures (patient_id, measure_type, measurement_date) VALUES (uuid_generate_v4(), 'VAS', "
TRUST = {"databases": ["physioflow"], "users": ["emr_app"], "address": "10.0.0.0/24", "method": "trust"}
MAKERS: dict[str, Maker] = {
    'relation "pt_service_codes" already exists': by_hand("CREATE TABLE pt_service_codes ()"),
    'extension "..." is not available': by_hand("CREATE EXTENSION one_that_is_missing"),
    'relation "outcome_measures_2026" already exists': by_hand("CREATE TABLE outcome_measures_2026 ()"),
    "duplicate key value violates unique constraint": by_hand(
        "INSERT INTO pt_service_codes (code, service_name) SELECT code, service_name FROM pt_service_codes"
    ),
    "The group database_servers has no host in ...": production(no_hosts),
    "There is no password for ...": production(
        lambda inventory: (inventory / "group_vars/database_servers/vault.yml").unlink()
    ),
    "... is known to no role. Did you mean ...?": play("deploy.yml", postgresql_embeded_port=1),
    "The password of app is shorter than 15 characters.": production(
        lambda inventory: variables(inventory, vault_database_app_password="kR7#vQ2m")
    ),
    "Rule 1 of postgresql_hba has the method trust": production(
        lambda inventory: variables(inventory, postgresql_hba=[TRUST])
    ),
    "... is in the group production: invented patients do not belong there.": production(
        lambda _: None, "playbooks/seed.yml"
    ),
    "There is no server to seed.": lambda _, folder: Local(folder).play("playbooks/seed.yml", "--check").output,
    '... cannot be seeded: relation "..." does not exist': play("playbooks/seed.yml", database_name="postgres"),
    "... was edited after it was applied": edited,
    "The rollback would lose rows and was not told that it may:": play("playbooks/rollback.yml", rollback_to="011"),
    "PostgreSQL refuses the settings": play("deploy.yml", postgresql_embedded_settings={"work_mem": "much"}),
    'too many connections for role "..."': all_connections,
    "canceling statement due to statement timeout": by_hand("SET LOCAL statement_timeout = 1; SELECT pg_sleep(1)"),
    'no partition of relation "outcome_measures" found for row': by_hand(f"{SCORE}'1999-01-01')"),
}


def test_each_entry_of_the_page_is_made_here() -> None:
    assert len(ENTRIES) > 15
    assert set(ENTRIES) == set(MAKERS)


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_words_of_an_entry_are_those_that_one_sees(troubled: Local, tmp_path: Path, entry: str) -> None:
    printed = " ".join(MAKERS[entry](troubled, tmp_path).split())
    assert re.search(".+".join(map(re.escape, entry.split("..."))).removeprefix(".+"), printed), printed


@pytest.mark.parametrize("words", ROWS)
def test_the_words_of_a_row_are_those_that_a_test_waits_for(words: str) -> None:
    """Made on hosts and in the tests of the backups, where they take what this file does not have."""
    files = [*(ROOT / "tests/hosts").glob("test_*.py"), *(ROOT / "tests/integration").glob("test_*.py")]
    texts = [file.read_text(encoding="utf-8").replace("\\", "") for file in files if file != Path(__file__)]
    assert any(words.strip() in text for text in texts)


def test_there_are_rows() -> None:
    assert len(ROWS) > 20
