"""What file names say, ours and those of other tools."""

from __future__ import annotations

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.names import (
    Name,
    known_version,
    other_name,
    read_name,
    stands_between,
    version_key,
)


@pytest.mark.parametrize(
    ("file", "folder", "name"),
    [
        ("007_billing_tables.sql", "migrations", Name("migrate", "007", "billing_tables", foreign=False)),
        ("007_billing_tables.sql", "rollbacks", Name("rollback", "007", "billing_tables", foreign=False)),
        ("active_patients.sql", "repeatable", Name("repeat", "R", "active_patients", foreign=False)),
        ("007_x.sql", "repeatable", None),
        ("000007_add-Rooms.up.sql", "migrations", Name("migrate", "000007", "add-Rooms")),
        ("000007_add-Rooms.down.sql", "migrations", Name("rollback", "000007", "add-Rooms")),
        ("20240131120000_rooms.up.sql", "migrations", Name("migrate", "20240131120000", "rooms")),
        ("V1__Add_rooms.sql", "migration", Name("migrate", "1", "Add_rooms")),
        ("V1.2__rooms.sql", "migration", Name("migrate", "1.2", "rooms")),
        ("V1_2__rooms.sql", "migration", Name("migrate", "1.2", "rooms")),
        ("U1__Add_rooms.sql", "migration", Name("rollback", "1", "Add_rooms")),
        ("R__room_views.sql", "migration", Name("repeat", "R", "room_views")),
        ("7_billing.sql", "migrations", None),
        ("007-billing.sql", "migrations", None),
        ("V1_rooms.sql", "migrations", None),
        ("README.md", "migrations", None),
    ],
)
def test_a_name_is_read(file: str, folder: str, name: Name | None) -> None:
    assert read_name(file, folder) == name


def test_without_our_header_more_names_are_read() -> None:
    assert read_name("7_Add-rooms.sql", "migrations", header_required=False) == Name("migrate", "7", "Add-rooms")
    assert read_name("007_rooms.sql", "rollbacks", header_required=False) == Name("rollback", "007", "rooms")


def test_numbers_decide_about_the_order() -> None:
    versions = ["10", "0002", "1.10", "1.9", "1"]
    assert sorted(versions, key=version_key) == ["1", "1.9", "1.10", "0002", "10"]
    assert version_key("001") == version_key("1")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("V1__add rooms.sql", "has a space. Rename it to V1__add_rooms.sql."),
        ("beforeMigrate.sql", "a Flyway callback"),
        ("afterMigrate__x.sql", "a Flyway callback"),
        ("B7__all.sql", "a Flyway baseline"),
        ("V1__ph\u006f\u0300ng.sql", "decomposed Unicode form"),
        ("notes.sql", ""),
    ],
)
def test_a_name_that_says_nothing_is_told_apart(file: str, words: str) -> None:
    assert read_name(file, "migrations") is None
    said = other_name(file, "migrations")
    assert words in said
    assert bool(words) == bool(said)


def test_a_file_with_marks_has_the_name_of_its_tool() -> None:
    assert read_name("20240101120000_ponds.sql", "migrations", marked=True) == Name(
        "migrate", "20240101120000", "ponds"
    )
    assert read_name("7-add-Ponds.sql", "migrations", marked=True) == Name("migrate", "7", "add-Ponds")


def test_migrations_that_are_no_sql_have_a_version() -> None:
    names = ["00002_ponds.go", "V2__ponds.java", "V2_1__ponds.kt", "2_ponds.py", "00002_ponds_test.go", "main.go"]
    assert [stands_between(name) for name in names] == [True, True, True, True, False, False]


@pytest.mark.parametrize(
    ("typed", "meant"), [("15", "015"), ("015", "015"), ("9", "009"), ("16", "16"), ("x", "x"), ("", "")]
)
def test_a_version_may_be_typed_without_its_zeros(typed: str, meant: str) -> None:
    assert known_version(typed, ["009", "015"]) == meant
