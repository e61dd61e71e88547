# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads files that hold a migration and its rollback, in the formats of dbmate, goose and sql-migrate.

    -- migrate:up [transaction:false]     -- migrate:down      dbmate
    -- +goose Up, -- +goose NO TRANSACTION    -- +goose Down       goose
    -- +migrate Up [notransaction]        -- +migrate Down     sql-migrate

The marks decide, not the name of the file. The marks for splitting (StatementBegin, StatementEnd) are ignored as
comments, because PostgreSQL's parser splits the text.
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
    """One part of a file with marks: the migration or its rollback.

    Attributes:
        text: the file with the lines of the other part emptied, so that line numbers stay the same.
        own: only the lines of this part, without trailing white space; the checksum is made from it.
        transactional: whether the other tool would run it in a transaction.
        down_mark: the mark that begins the rollback, in the notation of the tool.
        begin: offset of the first mark.
        problems: (line, sentence) for marks that cannot be read as the tool reads them.
    """

    text: str
    own: str
    transactional: bool
    down_mark: str
    begin: int
    problems: tuple[tuple[int, str], ...] = ()


def read_part(text: str, way: str) -> Part | None:
    """Return one part of a file, `up` or `down`; None where the file has no marks.

    The text before the first mark belongs to both parts.
    """
    marks = _marks(text)
    ways = [(mark, found) for mark, _, found in marks if found in (UP, DOWN)]
    if not ways:
        return None
    begin = ways[0][0].start()
    tool = next(tool for mark, tool, _ in marks if mark is ways[0][0])
    problems = []
    for mark, other, _ in marks:
        if other != tool:
            problems.append((mark, "is a mark of another tool than the first one. Keep the marks of one tool."))
    for mark, _, found in marks:
        if found.startswith("envsub"):
            message = "goose replaces environment variables here, a deploy does not. Remove it."
            problems.append((mark, message))
    if all(found != UP for _, found in ways):
        problems.append((ways[0][0], "has a down part, but no mark before the up part."))
    transactional = not any(found.startswith("no") for _, _, found in marks)
    kept, own = [text[:begin]], [text[:begin]]
    for (mark, found), end in zip(ways, [*(mark.start() for mark, _ in ways[1:]), len(text)], strict=True):
        piece = text[mark.start() : end]
        if found == way:
            own.append(piece)
            transactional = transactional and not WITHOUT_TRANSACTION.search(mark["rest"])
        kept.append(piece if found == way else "\n" * piece.count("\n"))
    return Part(
        text="".join(kept),
        own="".join(own).rstrip() + "\n",
        transactional=transactional,
        down_mark=DOWN_MARKS[tool],
        begin=begin,
        problems=tuple((text.count("\n", 0, mark.start()) + 1, words) for mark, words in problems),
    )


def _marks(text: str) -> list[tuple[re.Match[str], str, str]]:
    """Return the marks of a file with their tool and their text.

    Marks are comments. Similar text inside a literal or another comment is no mark.
    """
    marks = [(mark, tool, mark[tool].lower()) for mark in MARK.finditer(text) for tool in DOWN_MARKS if mark[tool]]
    try:
        comments = {token.start for token in parser.scan(text) if token.name == "SQL_COMMENT"} if marks else set()
    except parser.ParseError:
        return marks  # reading a part refuses it for the same reason, with the line
    return [mark for mark in marks if mark[0].start() in comments]
