"""docs/troubleshooting.md is found by the words that one sees: each heading is printed, here or in another test."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import psycopg
import pytest

from tests.local import BIN, ROOT, Local, environment

PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^### `(.*)`$", PAGE, re.MULTILINE)
DATABASE = "troubled"
ROWS = re.findall(r"^\| `(.*?)` \|", PAGE, re.MULTILINE)
Maker = Callable[[Local, Path], str]


@pytest.fixture(scope="module")
def troubled(local: Local) -> Iterator[Local]:
    """A server with a database that the errors are made in; none of them changes it."""
    local.psql(f"CREATE DATABASE {DATABASE} TEMPLATE physioflow OWNER emr", "postgres", role="postgres")
    local.psql(f"GRANT CONNECT ON DATABASE {DATABASE} TO emr_readonly", "postgres", role="postgres")
    yield local
    local.psql(f"DROP DATABASE {DATABASE} WITH (FORCE)", "postgres", role="postgres")


def by_hand(sql: str, user: str = "postgres") -> Maker:
    """Return what runs SQL by psql, in a transaction that is taken back."""
    return lambda local, _: local.run_psql("-c", f"BEGIN; {sql}", database=DATABASE, user=user).stderr


def play(playbook: str, **variables: object) -> Maker:
    return lambda local, _: local.play(playbook, **{"database_name": DATABASE} | variables).output


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
MAKERS: dict[str, Maker] = {
    'relation "pt_service_codes" already exists': by_hand("CREATE TABLE pt_service_codes ()"),
    'extension "..." is not available': by_hand("CREATE EXTENSION one_that_is_missing"),
    'relation "outcome_measures_2026" already exists': by_hand("CREATE TABLE outcome_measures_2026 ()"),
    "duplicate key value violates unique constraint": by_hand(
        "INSERT INTO pt_service_codes (code, service_name) SELECT code, service_name FROM pt_service_codes"
    ),
    "Ansible requires the locale encoding to be UTF-8": lambda _, folder: (
        subprocess.run(
            [BIN / "ansible-playbook", "deploy.yml", "-e", f"local_directory={folder}"],
            cwd=ROOT,
            env=environment() | {"LC_ALL": "C"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        ).stdout
    ),
    "There is no server to seed.": lambda _, folder: Local(folder).play("playbooks/seed.yml", "--check").output,
    '... cannot be seeded: relation "..." does not exist': play("playbooks/seed.yml", database_name="postgres"),
    "The rollback would lose rows and was not told that it may:": play("playbooks/rollback.yml", rollback_to="011"),
    'too many connections for role "..."': all_connections,
    "canceling statement due to statement timeout": by_hand("SET LOCAL statement_timeout = 1; SELECT pg_sleep(1)"),
    'no partition of relation "outcome_measures" found for row': by_hand(f"{SCORE}'1999-01-01')"),
}


@cache
def other_tests() -> list[str]:
    """Return the lines of the tests that need hosts, other servers, or a playbook of their own for their words."""
    files = [*(ROOT / "tests/hosts").glob("test_*.py"), *(ROOT / "tests/integration").glob("test_*.py")]
    texts = [file.read_text(encoding="utf-8") for file in files if file != Path(__file__)]
    return [line.replace("\\", "") for text in texts for line in text.splitlines()]


def pattern(entry: str) -> str:
    return ".*".join(re.escape(part.strip()) for part in entry.split("..."))


def test_the_page_has_entries_and_those_made_here() -> None:
    assert len(ENTRIES) > 15
    assert set(MAKERS) < set(ENTRIES)


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry in MAKERS])
def test_the_words_of_an_entry_are_those_that_one_sees(troubled: Local, tmp_path: Path, entry: str) -> None:
    printed = " ".join(MAKERS[entry](troubled, tmp_path).split())
    assert re.search(pattern(entry), printed), printed


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry not in MAKERS])
def test_the_words_of_any_other_entry_are_those_that_a_test_waits_for(entry: str) -> None:
    assert [line for line in other_tests() if re.search(pattern(entry), line)]


@pytest.mark.parametrize("words", ROWS)
def test_the_words_of_a_row_are_those_that_a_test_waits_for(words: str) -> None:
    """Made on hosts and in the tests of the backups, where they take what this file does not have."""
    assert [line for line in other_tests() if words.strip() in line]


def test_there_are_rows() -> None:
    assert len(ROWS) > 20
