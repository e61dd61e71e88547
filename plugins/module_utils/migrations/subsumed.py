# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the rollbacks of a run that only change rows of tables which another rollback of the run drops.

Such a file is subsumed: the drop removes these rows anyway, so the file is not sent. It might even fail, where rows of
another dropped table refer to the seeded ones. In case of doubt a file is not subsumed.

Runs on the controller: it reads statements with PostgreSQL's own parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pglast import ast, enums
from pglast.visitors import Visitor

from .catalog import Statement, own_statements

Name = tuple[str, str]  # schema, table

# What a statement before the drop may do to a table without copying its rows elsewhere.
HARMLESS = (ast.CommentStmt, ast.GrantStmt, ast.IndexStmt, ast.DropStmt)
# After these, a partition or a child is a separate table that keeps its rows.
TAKES_OUT = (
    enums.AlterTableType.AT_DetachPartition,
    enums.AlterTableType.AT_DetachPartitionFinalize,
    enums.AlterTableType.AT_DropInherit,
)


def subsumed(files: Mapping[str, str]) -> set[str]:
    """Return the files that are subsumed (decision R4).

    Args:
        files: the SQL text of each rollback of a run, in the order in which they are sent.
    """
    names = list(files)
    statements = [
        (position, statement, statement.node)
        for position, text in enumerate(files.values())
        for statement in own_statements(text)
    ]
    drops = [*_drops(statements)]
    found: dict[int, dict[Name, int]] = {}  # by file, the index in drops that drops each table
    for position in range(len(names)):
        tables = _only_changes([node for at, _, node in statements if at == position])
        ends = {
            table: index
            for table in tables
            for index in [next((i for i, (at, gone) in enumerate(drops) if at > position and table in gone), -1)]
        }
        if tables and min(ends.values()) >= 0:
            found[position] = ends
    # A file that is sent and reads a table must find the same rows as without this.
    while carried := [
        position
        for position, ends in found.items()
        for table, end in ends.items()
        for at, statement, node in statements[:end]
        if at > position and at not in found and _uses(statement, node, table)
    ]:
        for position in {*carried}:
            del found[position]
    return {names[position] for position in found}


def _drops(statements: Iterable[tuple[int, Statement, Any]]) -> Iterator[tuple[int, set[Name]]]:
    """Yield for each statement its file and the tables that it drops."""
    elsewhere = -1  # a file in which a name without schema may mean any
    for position, statement, node in statements:
        if "search_path" in statement.text.lower():
            elsewhere = position
        named = isinstance(node, ast.DropStmt) and node.removeType == enums.ObjectType.OBJECT_TABLE
        names = [[part.sval for part in parts] for parts in node.objects] if named else []
        usual = [] if elsewhere == position else ["public"]
        yield position, {(n[-2], n[-1]) for n in ([*usual, *parts] for parts in names) if n[1:]}


class _Changes(Visitor):  # type: ignore[misc]
    """Collects the tables whose rows a statement changes, also in WITH queries; `more` is true if it does more."""

    def __init__(self) -> None:
        self.tables: set[Name] = set()
        self.more = False

    def visit_DeleteStmt(self, _: Any, node: Any) -> None:  # noqa: N802 - pglast looks for this name
        self.tables.add(_name(node.relation))

    visit_UpdateStmt = visit_DeleteStmt  # noqa: N815

    def visit_TruncateStmt(self, _: Any, node: Any) -> None:  # noqa: N802
        self.tables.update(_name(relation) for relation in node.relations)
        self.more = self.more or node.behavior == enums.DropBehavior.DROP_CASCADE

    def visit_InsertStmt(self, _: Any, __: Any) -> None:  # noqa: N802
        self.more = True

    visit_MergeStmt = visit_InsertStmt  # noqa: N815


def _only_changes(nodes: Sequence[Any]) -> set[Name]:
    """Return the tables whose rows are deleted or updated; none where the statements do more than that."""
    changes = _Changes()
    for node in nodes:
        if not isinstance(node, (ast.DeleteStmt, ast.UpdateStmt, ast.TruncateStmt)):
            return set()
        if getattr(node, "returningList", None):  # the rows are returned
            return set()
        changes(node)
    return set() if changes.more else changes.tables


def _uses(statement: Statement, node: Any, table: Name) -> bool:
    """Tell whether a statement may read, rename or detach a table; a name in a literal or a comment counts."""
    # PostgreSQL's word characters; a quoted table name appears unchanged in the text.
    if not re.search(rf"(?<![\w$]){re.escape(table[1])}(?![\w$])", statement.text, re.IGNORECASE):
        return False
    if isinstance(node, ast.AlterTableStmt):
        return any(command.subtype in TAKES_OUT for command in node.cmds)
    return not isinstance(node, HARMLESS)


def _name(relation: Any) -> Name:
    return relation.schemaname or "public", relation.relname
