"""The SQL of the release: by hand in order, back and forth, twice."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local import ROOT, Local

FILES = ROOT / "files"
NAMES = sorted(path.name for path in (FILES / "migrations").glob("*.sql"))
SEEDS = [name for name in NAMES if name >= "011"]
ALL_SQL = sorted(FILES.rglob("*.sql"))


@pytest.fixture
def by_hand(local: Local, database: str) -> Iterator[str]:
    """An empty database as the guide's prerequisites make it."""
    local.psql(f'CREATE DATABASE "{database}" OWNER emr TEMPLATE template0', "postgres", role="postgres")
    local.psql('CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION pg_trgm', database, role="postgres")
    yield database


def run(local: Local, database: str, folder: str, name: str) -> None:
    done = local.run_psql("-f", str(FILES / folder / name), database=database)
    assert done.returncode == 0, done.stderr


def data(local: Local, database: str) -> str:
    done = local.run_program("pg_dump", "--data-only", "--inserts", local.conninfo(database, options=""))
    assert done.returncode == 0, done.stderr
    return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)


def test_there_are_sql_files() -> None:
    assert len(NAMES) == 15
    assert len(SEEDS) == 5
    assert len(ALL_SQL) >= 30


def test_each_file_applies_rolls_back_and_applies_again_with_equal_catalogs(local: Local, by_hand: str) -> None:
    for name in NAMES:
        before = local.catalogs(by_hand)
        run(local, by_hand, "migrations", name)
        after = local.catalogs(by_hand)
        run(local, by_hand, "rollbacks", name)
        assert local.catalogs(by_hand) == before, f"the rollback of {name} does not restore the catalogs"
        run(local, by_hand, "migrations", name)
        assert local.catalogs(by_hand) == after, f"{name} applied again gives other catalogs"


def test_all_files_roll_back_to_an_empty_database(local: Local, by_hand: str) -> None:
    before = local.catalogs(by_hand)
    for name in NAMES:
        run(local, by_hand, "migrations", name)
    for name in reversed(NAMES):
        run(local, by_hand, "rollbacks", name)
    assert local.catalogs(by_hand) == before


def test_by_hand_and_by_deploy_give_the_same_tables(local: Local, by_hand: str) -> None:
    for name in NAMES:
        run(local, by_hand, "migrations", name)

    def public(database: str) -> list[str]:
        options = ("--schema-only", "--schema=public", "--no-privileges")
        done = local.run_program("pg_dump", *options, local.conninfo(database, options=""))
        return [line for line in done.stdout.splitlines() if not re.match(r"\\(un)?restrict ", line)]

    assert public(by_hand) == public("physioflow")


def test_a_seed_run_again_by_hand_changes_no_row(local: Local, by_hand: str) -> None:
    for name in NAMES:
        run(local, by_hand, "migrations", name)
    before = data(local, by_hand)
    for name in SEEDS:
        run(local, by_hand, "migrations", name)
    assert data(local, by_hand) == before


@pytest.mark.parametrize("path", ALL_SQL, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_text_is_clean(path: Path) -> None:
    raw = path.read_bytes()
    text = raw.decode("utf-8")
    assert unicodedata.is_normalized("NFC", text)
    assert b"\r" not in raw
    assert b"\t" not in raw
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_every_table_has_a_comment(local: Local) -> None:
    bare = local.psql(
        "SELECT string_agg(relname, ', ') FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "AND relkind IN ('r', 'p') AND NOT relispartition AND obj_description(oid, 'pg_class') IS NULL"
    )
    assert bare == ""
