# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what the name of a file says: ours, and those of the migration tools that other people come from.

    007_billing_tables.sql                                  ours, with a header
    000007_billing.up.sql, 000007_billing.down.sql          golang-migrate and its relatives
    V7__billing.sql, V7.1__fees.sql, U7__billing.sql, R__views.sql    Flyway

A version is kept as the file has it, without Flyway's letter; numbers decide about order and equality.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MIGRATE, ROLLBACK, REPEAT = "migrate", "rollback", "repeat"
REPEATABLE = "R"  # what stands for the version of a repeatable file

OURS = re.compile(r"(?P<version>\d{3,})_(?P<name>[a-z0-9]+(?:_[a-z0-9]+)*)\.sql")
OUR_REPEATABLE = re.compile(r"(?P<name>[a-z][a-z0-9]*(?:_[a-z0-9]+)*)\.sql")
WORDS = r"[\w-]+(?:\.[\w-]+)*?"
UP_AND_DOWN = re.compile(rf"(?P<version>\d+)_(?P<name>{WORDS})\.(?P<way>up|down)\.sql")
FLYWAY = re.compile(rf"(?P<letter>[VU])(?P<version>\d+(?:[._]\d+)*)__(?P<name>{WORDS})\.sql")
FLYWAY_REPEATABLE = re.compile(rf"R__(?P<name>{WORDS})\.sql")
WITHOUT_HEADER = re.compile(rf"(?P<version>\d+)_(?P<name>{WORDS})\.sql")


@dataclass(frozen=True)
class Name:
    """What a file name says. `foreign` files need no header: without one they depend on the file before them."""

    kind: str
    version: str
    name: str
    foreign: bool = True


def read_name(file: str, folder: str, header_required: bool = True) -> Name | None:
    """Return what a file name says; None where it is no name of a migration.

    Args:
        file: name of the file, without folder.
        folder: `migrations`, `rollbacks` or `repeatable`: where it lies by our own rules.
        header_required: whether a file with a name like ours has to have our header.
    """
    kind = ROLLBACK if folder == "rollbacks" else MIGRATE
    found: Name | None = None
    if folder == "repeatable":
        match = OUR_REPEATABLE.fullmatch(file)
        found = Name(REPEAT, REPEATABLE, match["name"], foreign=False) if match else None
    elif header_required and (match := OURS.fullmatch(file)):
        found = Name(kind, match["version"], match["name"], foreign=False)
    elif match := UP_AND_DOWN.fullmatch(file):
        found = Name(MIGRATE if match["way"] == "up" else ROLLBACK, match["version"], match["name"])
    elif match := FLYWAY.fullmatch(file):
        kind = MIGRATE if match["letter"] == "V" else ROLLBACK
        found = Name(kind, match["version"].replace("_", "."), match["name"])
    elif match := FLYWAY_REPEATABLE.fullmatch(file):
        found = Name(REPEAT, REPEATABLE, match["name"])
    elif not header_required and (match := WITHOUT_HEADER.fullmatch(file)):
        found = Name(kind, match["version"], match["name"])
    return found


def version_key(version: str) -> tuple[int, ...]:
    """Return what versions are ordered by: their numbers, so that 1.10 comes after 1.9 and 0002 is 2."""
    return tuple(int(part) for part in version.split("."))
