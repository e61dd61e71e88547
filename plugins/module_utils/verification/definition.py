# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Definitions of objects as in promise files: the result of `database/objects.py` in a form for review.

A promise describes the objects of a migration on any server. So a definition here has no owner, and none of the
administrator's settings: storage parameters, tablespaces, statistics targets, replica identities.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from ..sql import unquoted

Key = tuple[str, tuple[str, ...]]  # kind and key of a promise

# Objects whose promises have a kind of their own; all others are `objects`, by kind and name.
NAMED = {"table": "tables", "type": "types", "function": "functions", "procedure": "functions", "comment": "comments"}
ON_TABLE = {"constraint": "constraints", "trigger": "triggers"}
# Not promised here, because others promise it or it depends on the server: names, privileges, grants of role database.
NOT_PROMISED = (
    "default privileges",
    "extension",
    "extension version",
    "invalid index",
    "order of columns",
    "privileges",
    "schema",
    "subscription",
    "user mapping",
)
_QUOTED = r'"(?:[^"]|"")*"'
_LITERAL = r"'(?:[^']|'')*'"
_OWNER = re.compile(rf"(?:, | |^)owner (?:{_QUOTED}|\S+)$")
_ON = re.compile(rf"(?P<name>{_QUOTED}|\S+) on (?P<table>.+)")
_PART = re.compile(rf"{_QUOTED}|[^.]+")
_PUBLIC = re.compile(rf"({_LITERAL})|(?<![\w\"])public\.")
_TUNED = re.compile(r", (?:replica identity \S|in \S+|toast .*?|[a-z_.]+=[^,]*)(?=, |$)")
_TRIGGER = re.compile(rf"CREATE ((?:CONSTRAINT )?)TRIGGER (?:{_QUOTED}|\S+) ")
_INDEX_FACTS = re.compile(r"(?P<unique>(?:unique )?)on (?P<table>\S+)")
_INDEX_OPTIONS = re.compile(r" WITH \([^)]*\)")
_FUNCTION = re.compile(rf"CREATE OR REPLACE (FUNCTION|PROCEDURE) (?:{_QUOTED}|[^\"(])+")
_COLUMN_TUNED = re.compile(r" (?:storage|compression|statistics) \S+|(?<= )n_distinct(?:_inherited)?=\S+")
# Dump and restore move casts of literals, and brackets around a single value (see database/objects.py).
_CAST = re.compile(rf"({_LITERAL})|::(?:character varying(?:\(\d+\))?|text|bpchar)(?:\[\])?")
_ATOM = re.compile(rf"(?<![\w\"])\(({_LITERAL}|{_QUOTED}|[\w.]+|ARRAY\[[^()]*\])\)")


def definitions(found: Iterable[tuple[str, str, str]]) -> dict[Key, str]:
    """Return definitions by the key of the promise about them.

    Args:
        found: kind, name and definition of each object, from the query `MIGRATED` of `database/objects.py`.
    """
    rows = list(found)
    tables = {name for kind, name, _ in rows if kind == "table"}
    result: dict[Key, str] = {}
    for kind, name, text in rows:
        made = None if kind in NOT_PROMISED else _definition(kind, name, text, tables)
        if made:
            result[made[0]] = made[1]
    return result


@cache
def canonical(kind: str, text: str) -> str:
    """Return a definition in its canonical form for comparisons.

    Function bodies and comments are compared character by character. The server prints all other definitions from their
    parse trees, so white space, and the casts and brackets that a restore adds, do not matter.
    """
    if kind == "comments":
        return text.strip()
    head, body = text, ""
    if kind == "functions" and "\nAS $" in text:
        head, mark, body = text.partition("\nAS $")
        body = mark + body.rstrip()
    head = _CAST.sub(lambda match: match[1] or "", " ".join(head.split()))
    while (less := _ATOM.sub(r"\1", head)) != head:
        head = less
    return head + body


def plain(text: str) -> str:
    """Return a text without the default schema public; literals stay."""
    return _PUBLIC.sub(lambda match: match[1] or "", text)


def _definition(kind: str, name: str, text: str, tables: set[str]) -> tuple[Key, str] | None:  # noqa: PLR0911 - a table of kinds
    """Return key and definition of one object; None where another object covers it."""
    facts, _, words = text.partition("\n")
    facts = _OWNER.sub("", facts)
    if kind == "comment":
        return ("comments", (plain(name).replace('"', ""),)), text
    if kind == "column":
        table, _, column = name.rpartition(".")
        if '"' in column:  # a quoted name may hold a dot
            *place, column = _PART.findall(name)
            table = ".".join(place)
        if table not in tables:
            return None
        return ("columns", (_name(table), unquoted(column))), _joined(plain(_COLUMN_TUNED.sub("", facts)), plain(words))
    if kind == "index":
        match = _INDEX_FACTS.match(facts)
        if not match or not words:  # belongs to a constraint
            return None
        shown = match["unique"] + _INDEX_OPTIONS.sub("", plain(words))
        return ("indexes", (_name(match["table"]), unquoted(_PART.findall(name)[-1]))), shown
    if kind in ON_TABLE and (match := _ON.fullmatch(name)) and match["table"] in tables:
        if kind == "trigger":
            words = _TRIGGER.sub(r"\1", words)
        return (ON_TABLE[kind], (_name(match["table"]), unquoted(match["name"]))), _joined(facts, plain(words))
    if kind == "table":
        return ("tables", (_name(name),)), _joined(plain(_TUNED.sub("", facts)), plain(words))
    if kind in ("function", "procedure"):
        head, mark, body = words.partition("\nAS $")
        head = plain(_FUNCTION.sub(lambda match: match[1].lower(), head)).strip()
        return ("functions", (plain(name),)), head + mark + body.rstrip() if mark else " ".join(head.split())
    if kind in NAMED:
        return (NAMED[kind], (plain(name),)), _joined(plain(facts), plain(words))
    return ("objects", (f"{kind} {plain(name)}",)), _joined(plain(facts), plain(words))


def _joined(facts: str, words: str) -> str:
    """Return the facts and the text of a definition as one text."""
    return " ".join(filter(None, [facts, words.strip()]))


def _name(table: str) -> str:
    """Return the name of a table as in promises: without quotes, and without schema public."""
    return ".".join(unquoted(part) for part in _PART.findall(table)).removeprefix("public.")
