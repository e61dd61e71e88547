# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads files that hold a migration and its way back, as dbmate, goose and sql-migrate write them.

    -- migrate:up [transaction:false]     -- migrate:down      dbmate
    -- +goose Up, -- +goose NO TRANSACTION    -- +goose Down       goose
    -- +migrate Up [notransaction]        -- +migrate Down     sql-migrate

The marks decide, not the name of the file. What the other tools split by (StatementBegin, StatementEnd) is a comment:
PostgreSQL's parser splits the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pglast import parser

UP, DOWN = "up", "down"
MARK = re.compile(
    r"^--[ \t]*(?:migrate:(?P<dbmate>up|down)\b|\+goose[ \t]+(?P<goose>up|down|no[ \t]+transaction|envsub[ \t]+on)\b"
    r"|\+migrate[ \t]+(?P<migrate>up|down)\b)(?P<rest>[^\r\n]*)",
    re.MULTILINE | re.IGNORECASE,
)
WITHOUT_TRANSACTION = re.compile(r"\btransaction:false\b|\bnotransaction\b", re.IGNORECASE)
DOWN_MARKS = {"dbmate": "-- migrate:down", "goose": "-- +goose Down", "migrate": "-- +migrate Down"}


@dataclass(frozen=True)
class Part:
    """One way of a file with marks.

    Attributes:
        text: the file with the other way's lines emptied, so that its lines keep their numbers.
        own: the lines of this way alone, without white space at the end: what its checksum is of.
        transactional: whether its tool would run it in a transaction.
        down_mark: the mark that begins the way back, as the tool of this file writes it.
        begin: where the first mark begins.
        problems: (line, sentence) for what cannot be read as its tool does.
    """

    text: str
    own: str
    transactional: bool
    down_mark: str
    begin: int
    problems: tuple[tuple[int, str], ...] = ()


def read_part(text: str, way: str) -> Part | None:
    """Return one way of a file, `up` or `down`; None where the file has no marks.

    What stands before the first mark belongs to both ways.
    """
    marks = _marks(text)
    ways = [(mark, _way(mark)) for mark in marks if _way(mark) in (UP, DOWN)]
    if not ways:
        return None
    tool = _tool(ways[0][0])
    problems = [
        (_line(text, mark.start()), "is a mark of another tool than the first one. Keep the marks of one tool.")
        for mark in marks
        if _tool(mark) != tool
    ]
    problems += [
        (
            _line(text, mark.start()),
            "goose would fill in variables of its environment here; nothing else does. Remove it.",
        )
        for mark in marks
        if _way(mark).startswith("envsub")
    ]
    if all(found != UP for _, found in ways):
        problems.append((_line(text, ways[0][0].start()), "has a way back, and no mark before what is to be applied."))
    transactional = not any(_way(mark).startswith("no") for mark in marks)
    begin = ways[0][0].start()
    kept, own = [text[:begin]], [text[:begin]]
    for (mark, found), end in zip(ways, [*(mark.start() for mark, _ in ways[1:]), len(text)], strict=True):
        piece = text[mark.start() : end]
        if found == way:
            own.append(piece)
            kept.append(piece)
            transactional = transactional and not WITHOUT_TRANSACTION.search(mark["rest"])
        else:
            kept.append("\n" * piece.count("\n"))
    return Part("".join(kept), "".join(own).rstrip() + "\n", transactional, DOWN_MARKS[tool], begin, tuple(problems))


def _marks(text: str) -> list[re.Match[str]]:
    """Return the marks of a file: comments, but not what only looks like one in a text or in another comment."""
    marks = list(MARK.finditer(text))
    if not marks:
        return []
    try:
        comments = {token.start for token in parser.scan(text) if token.name == "SQL_COMMENT"}
    except parser.ParseError:
        return marks  # a part of it is refused for the same reason, with its line
    return [mark for mark in marks if mark.start() in comments]


def _tool(mark: re.Match[str]) -> str:
    return next(tool for tool in DOWN_MARKS if mark[tool])


def _way(mark: re.Match[str]) -> str:
    return str(mark[_tool(mark)]).lower()


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
