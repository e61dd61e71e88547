"""The SQL of the release: by hand in order, back and forth, twice."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import pytest

from tests.local import ROOT, Local

FILES = ROOT / "files"
NAMES = sorted(path.name for path in (FILES / "migrations").glob("*.sql"))
GUIDE = [name for name in NAMES if name < "016"]
SEEDS = [name for name in GUIDE if name >= "011"] + [name for name in NAMES if "_seed_" in name and name >= "016"]
ALL_SQL = sorted(FILES.rglob("*.sql"))


def make(local: Local, database: str) -> None:
    """Make an empty database as the guide's prerequisites do, with the extension that 024 leaves behind."""
    local.create_database(database, "template0")
    extensions = 'CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION pg_trgm; CREATE EXTENSION btree_gist'
    local.psql(extensions, database, role="postgres")


@pytest.fixture(scope="module")
def by_hand(local: Local) -> Iterator[str]:
    """A database to which all migrations were applied by hand; nothing is changed in it."""
    name = "test_sql_files_by_hand"
    make(local, name)
    try:
        for file in NAMES:
            run(local, name, "migrations", file)
        yield name
    finally:
        local.drop_database(name)


def run(local: Local, database: str, folder: str, name: str) -> None:
    done = local.run_psql("-f", str(FILES / folder / name), database=database)
    assert done.returncode == 0, done.stderr


def data(local: Local, database: str) -> str:
    done = local.run_program("pg_dump", "--data-only", "--inserts", local.conninfo(database, options=""))
    assert done.returncode == 0, done.stderr
    return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)


def test_there_are_sql_files() -> None:
    assert len(GUIDE) == 15
    assert len(SEEDS) == 6
    assert len(ALL_SQL) >= 30


def test_each_file_goes_back_and_forth_and_all_go_back_to_nothing(local: Local, database: str) -> None:
    make(local, database)
    empty = before = local.catalogs(database)
    for name in NAMES:
        run(local, database, "migrations", name)
        after = local.catalogs(database)
        run(local, database, "rollbacks", name)
        assert local.catalogs(database) == before, f"the rollback of {name} does not restore the catalogs"
        run(local, database, "migrations", name)
        assert local.catalogs(database) == after, f"{name} applied again gives other catalogs"
        before = after
    for name in reversed(NAMES):
        run(local, database, "rollbacks", name)
    assert local.catalogs(database) == empty


def test_by_hand_and_by_deploy_give_the_same_tables(local: Local, by_hand: str) -> None:
    def public(database: str) -> list[str]:
        options = ("--schema-only", "--schema=public", "--no-privileges")
        done = local.run_program("pg_dump", *options, local.conninfo(database, options=""))
        return [line for line in done.stdout.splitlines() if not re.match(r"\\(un)?restrict ", line)]

    assert public(by_hand) == public("physioflow")


def test_a_seed_run_again_by_hand_changes_no_row(local: Local, by_hand: str) -> None:
    before = data(local, by_hand)
    for name in SEEDS:
        run(local, by_hand, "migrations", name)
    assert data(local, by_hand) == before


def test_text_is_clean() -> None:
    for path in ALL_SQL:
        raw = path.read_bytes()
        text = raw.decode("utf-8")
        assert unicodedata.is_normalized("NFC", text), path
        assert b"\r" not in raw, path
        assert b"\t" not in raw, path
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
        assert not any(line.endswith(" ") for line in text.splitlines()), path


def test_every_table_has_a_comment(local: Local) -> None:
    bare = local.psql(
        "SELECT string_agg(relname, ', ') FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "AND relkind IN ('r', 'p') AND NOT relispartition AND obj_description(oid, 'pg_class') IS NULL"
    )
    assert bare == ""
