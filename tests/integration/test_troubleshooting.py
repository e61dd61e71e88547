"""docs/troubleshooting.md is found by the words that one sees: each heading is printed, here or in another test."""

from __future__ import annotations

import ast
import errno
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import psycopg
import pytest

from tests import apart
from tests.local import BIN, ROOT, Local, environment

PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^### `(.*)`$", PAGE, re.MULTILINE)
DATABASE = "troubled"
ROWS = re.findall(r"^\| `(.*?)` \|", PAGE, re.MULTILINE)
Maker = Callable[[Local, Path], str]


@pytest.fixture(scope="module")
def troubled(local: Local) -> Iterator[Local]:
    """A server with a database that the errors are made in; none of them changes it."""
    local.create_database(DATABASE, "physioflow")
    local.psql(f"GRANT CONNECT ON DATABASE {DATABASE} TO emr_readonly", "postgres", role="postgres")
    yield local
    local.drop_database(DATABASE)


def by_hand(sql: str, user: str = "postgres") -> Maker:
    """Return what runs SQL by psql, in a transaction that is taken back."""
    return lambda local, _: local.run_psql("-c", f"BEGIN; {sql}", database=DATABASE, user=user).stderr


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
    'too many connections for role "..."': all_connections,
    "canceling statement due to statement timeout": by_hand("SET LOCAL statement_timeout = 1; SELECT pg_sleep(1)"),
    'no partition of relation "outcome_measures" found for row': by_hand(f"{SCORE}'1989-01-01')"),
}
# Variables of a host that is not seeded.
UNSEEDED = {
    "Validation of arguments failed": {"seed_set": "refs"},
    "There is no server to seed.": {"postgresql_embedded_directory": "/nowhere/postgresql"},
    '... cannot be seeded: relation "..." does not exist': {"database_name": "postgres"},
}
MADE = {*MAKERS, *UNSEEDED}


HOLE = "\0"  # what a message fills in
MARKS = ".,:'\""


@cache
def messages() -> list[list[str]]:
    """Return the words of every text that the product may print, those that it fills in as `HOLE`."""
    texts: list[str] = []
    filled_in = re.compile(r"%\w|\{\w*\}|{{.*?}}|{%.*?%}")
    for path in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else HOLE for part in node.values]
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(filled_in.sub(HOLE, node.value))
    for path in (path for folder in ("roles", "playbooks") for path in (ROOT / folder).rglob("*.yml")):
        texts.append(filled_in.sub(HOLE, path.read_text(encoding="utf-8")))
    return [text.split() for text in texts]


def pattern(entry: str) -> str:
    return ".*".join(re.escape(part.strip()) for part in entry.split("..."))


def is_printed(entry: str) -> bool:
    """Whether the words follow each other in one text of the product, most of them literally."""
    parts = [part.split() for part in entry.split("...") if part.strip(" ,.:")]
    return any(all(_holds(text, part) for part in parts) for text in messages())


def _holds(text: list[str], words: list[str]) -> bool:
    def same(found: str, word: str) -> bool:
        return found.strip(MARKS).startswith(word.strip(MARKS))

    if 2 * len({*words} & {*text}) < len({*words}) - 2:  # the marks at their ends may differ
        return False
    windows = (list(zip(text[begin:], words, strict=False)) for begin in range(len(text) - len(words) + 1))
    return any(
        all(HOLE in found or same(found, word) for found, word in pairs)
        and 2 * sum(same(found, word) for found, word in pairs) > len(words)
        for pairs in windows
    )


def test_the_page_has_entries_and_those_made_here() -> None:
    assert len(ENTRIES) > 15
    assert set(ENTRIES) > MADE


@pytest.mark.parametrize("entry", MAKERS)
def test_the_words_of_an_entry_are_those_that_one_sees(troubled: Local, tmp_path: Path, entry: str) -> None:
    printed = " ".join(MAKERS[entry](troubled, tmp_path).split())
    assert re.search(pattern(entry), printed), printed


def test_the_words_of_what_cannot_be_seeded_are_those_that_one_sees(local: Local, tmp_path: Path) -> None:
    hosts = {f"host{number}": given for number, given in enumerate(UNSEEDED.values())}
    result = apart.play(local, tmp_path / "play", "playbooks/seed.yml", hosts, "--check")
    for host, entry in zip(hosts, UNSEEDED, strict=True):
        assert re.search(pattern(entry), apart.failure_of(result, host)), result.output


@pytest.mark.parametrize("words", [*(entry for entry in ENTRIES if entry not in MADE), *ROWS])
def test_the_words_of_any_other_entry_are_those_of_a_message(words: str) -> None:
    """They are made on hosts and in the tests of the backups, which take what this file does not have."""
    for error in (errno.ENOSPC, errno.EACCES):
        words = words.replace(os.strerror(error), "").strip()
    assert not words or is_printed(words)


def test_words_that_no_message_has_are_found_out() -> None:
    assert not is_printed("The host cannot fetch parcels from")
    assert not is_printed("... was edited before it was applied")
    assert len(ROWS) > 20
