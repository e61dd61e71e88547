# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the version and kind of a file from its name: our names, and those of other migration tools.

    007_billing_tables.sql                                  ours, with a header
    000007_billing.up.sql, 000007_billing.down.sql          golang-migrate and its relatives
    V7__billing.sql, V7.1__fees.sql, U7__billing.sql, R__views.sql    Flyway
    20240131120000_billing.sql, 7-billing.sql               dbmate, goose, sql-migrate, where the file has their marks

A version is kept as written, without Flyway's letter. Order and equality are numeric.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

MIGRATE, ROLLBACK, REPEAT = "migrate", "rollback", "repeat"
REPEATABLE = "R"  # in place of the version of a repeatable file

OURS = re.compile(r"(?P<version>\d{3,})_(?P<name>[a-z0-9]+(?:_[a-z0-9]+)*)\.sql")
OUR_REPEATABLE = re.compile(r"(?P<name>[a-z][a-z0-9]*(?:_[a-z0-9]+)*)\.sql")
WORDS = r"[\w-]+(?:\.[\w-]+)*?"
UP_AND_DOWN = re.compile(rf"(?P<version>\d+)_(?P<name>{WORDS})\.(?P<way>up|down)\.sql")
FLYWAY = re.compile(rf"(?P<letter>[VU])(?P<version>\d+(?:[._]\d+)*)__(?P<name>{WORDS})\.sql")
FLYWAY_REPEATABLE = re.compile(rf"R__(?P<name>{WORDS})\.sql")
CALLBACK = re.compile(r"(?:(?:before|after)[A-Z]\w*|createSchema)(?:__.*)?\.sql")
BASELINE = re.compile(r"B\d+(?:[._]\d+)*__.*\.sql")
NO_SQL = re.compile(r"(?:V\d+(?:[._]\d+)*__|\d+[_-]|_\d{8,}_)[\w-]+\.(?:go|java|kt|py)")
MARKED = re.compile(rf"(?P<version>\d+)[_-](?P<name>{WORDS})\.sql")
WITHOUT_HEADER = re.compile(rf"(?P<version>\d+)_(?P<name>{WORDS})\.sql")


@dataclass(frozen=True)
class Name:
    """The parts of a file name. `foreign` files need no header: without one they depend on the file before them."""

    kind: str
    version: str
    name: str
    foreign: bool = True


def read_name(file: str, folder: str, header_required: bool = True, marked: bool = False) -> Name | None:
    """Return the parts of a file name; None where it is not the name of a migration.

    Args:
        file: name of the file, without folder.
        folder: `migrations`, `rollbacks` or `repeatable`: its folder by our own rules.
        header_required: whether a file with a name like ours must have our header.
        marked: whether the file has marks of another tool; its name then follows that tool.
    """
    if folder == "repeatable":
        match = OUR_REPEATABLE.fullmatch(file)
        return Name(REPEAT, REPEATABLE, match["name"], foreign=False) if match else None
    usual = [UP_AND_DOWN, FLYWAY, FLYWAY_REPEATABLE]
    for pattern in [*[MARKED] * marked, *([OURS, *usual] if header_required else [*usual, WITHOUT_HEADER])]:
        if match := pattern.fullmatch(file):
            if pattern is FLYWAY_REPEATABLE:
                return Name(REPEAT, REPEATABLE, match["name"])
            said = match.groupdict()
            way = said.get("way") or said.get("letter") or folder
            kind = ROLLBACK if way in ("down", "U", "rollbacks") else MIGRATE
            return Name(kind, match["version"].replace("_", "."), match["name"], foreign=pattern is not OURS)
    return None


def is_flyways(file: str) -> bool:
    """Tell whether Flyway reads a file of this name; Flyway also reads subfolders."""
    return bool(FLYWAY.fullmatch(file) or FLYWAY_REPEATABLE.fullmatch(file))


def stands_between(file: str) -> bool:
    """Tell whether a file is a migration in another language than SQL: its name has a version."""
    return bool(NO_SQL.fullmatch(file)) and not file.endswith("_test.go")


def other_name(file: str, folder: str, header_required: bool = True) -> str:
    """Return the error in a name that `read_name` does not accept; empty where it is unknown."""
    if CALLBACK.fullmatch(file):
        return "is a Flyway callback, which is never called here. Make it a migration, or move it out."
    if BASELINE.fullmatch(file):
        return "is a Flyway baseline, which is not read. Move it out, and keep the migrations that it replaces."
    composed = unicodedata.normalize("NFC", file)
    if composed != file and read_name(composed, folder, header_required):
        return "its name has letters in decomposed Unicode form, as macOS writes them. Rename it with composed letters."
    joined = re.sub(r"\s+", "_", composed)
    if joined != composed and read_name(joined, folder, header_required):
        return f"its name has a space. Rename it to {joined}."
    return ""


def version_key(version: str) -> tuple[int, ...]:
    """Return the sort key of a version: its numbers, so that 1.10 comes after 1.9 and 0002 equals 2."""
    return tuple(int(part) for part in version.split("."))


def known_version(given: str, known: Iterable[str]) -> str:
    """Return the known version of this number, so that 15 means 015; return `given` where none is known."""
    if given.replace(".", "").isdigit() and all(given.split(".")):
        return next((each for each in known if version_key(each) == version_key(given)), given)
    return given
