# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the rollbacks of a run that change rows of tables which another rollback of the run drops.

Such a file is subsumed: whatever it does to these rows goes with the tables, so nothing of it is sent. It may not even
be possible, where rows of a table that goes as well refer to the seeded ones. In doubt a file is not subsumed.

Runs on the controller: it reads statements with PostgreSQL's own parser.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pglast import ast, enums
from pglast.visitors import Visitor

from .catalog import Statement, own_statements

Name = tuple[str, str]  # schema, table

# What a statement before the drop may do to a table without carrying its rows anywhere.
HARMLESS = (ast.CommentStmt, ast.GrantStmt, ast.IndexStmt, ast.DropStmt)
# Afterwards a partition or a child stands by itself, with its rows.
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
    parsed = [[(statement, statement.node) for statement in own_statements(text)] for text in files.values()]
    found: dict[int, set[Name]] = {}
    for position, statements in enumerate(parsed):
        tables = _only_changes([node for _, node in statements])
        if tables and all(_end_of(parsed, position, table) for table in tables):
            found[position] = tables
    while True:
        # What one that is sent reads of a table has to find the rows that it would find.
        carried = [position for position in found if any(_carried(parsed, position, t, found) for t in found[position])]
        if not carried:
            return {names[position] for position in found}
        for position in carried:
            del found[position]


class _Changes(Visitor):  # type: ignore[misc]
    """Collects the tables whose rows a statement changes, in its WITH queries too; `more` where it does more."""

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
    """Return the tables whose rows are deleted or changed; none where the statements do more than that."""
    changes = _Changes()
    for node in nodes:
        if not isinstance(node, (ast.DeleteStmt, ast.UpdateStmt, ast.TruncateStmt)):
            return set()
        if getattr(node, "returningList", None):  # somebody is to see these rows
            return set()
        changes(node)
    return set() if changes.more else changes.tables


def _end_of(parsed: Sequence[Sequence[tuple[Statement, Any]]], position: int, table: Name) -> tuple[int, int] | None:
    """Return where a table is dropped after a file: positions of the file and of its statement."""
    for later in range(position + 1, len(parsed)):
        elsewhere = False
        for number, (statement, node) in enumerate(parsed[later]):
            elsewhere = elsewhere or "search_path" in statement.text.lower()
            if isinstance(node, ast.DropStmt) and table in _dropped(node, elsewhere):
                return later, number
    return None


def _dropped(node: Any, elsewhere: bool) -> set[Name]:
    """Return the tables that a DROP TABLE names; `elsewhere`: a name without schema may mean any."""
    if node.removeType != enums.ObjectType.OBJECT_TABLE:
        return set()
    names = [[part.sval for part in parts] for parts in node.objects]
    return {(parts[-2] if parts[1:] else "public", parts[-1]) for parts in names if parts[1:] or not elsewhere}


def _carried(
    parsed: Sequence[Sequence[tuple[Statement, Any]]], position: int, table: Name, left_out: dict[int, set[Name]]
) -> bool:
    """Tell whether a statement that is sent between a file and the drop of a table may use the rows of the table."""
    end = _end_of(parsed, position, table)
    between = (
        each
        for later in range(position + 1, len(parsed))
        if later not in left_out
        for number, each in enumerate(parsed[later])
        if end is not None and (later, number) < end
    )
    return any(_uses(statement, node, table) for statement, node in between)


def _uses(statement: Statement, node: Any, table: Name) -> bool:
    """Tell whether a statement may read, rename or take apart a table; a name in a text or a comment counts."""
    # PostgreSQL's word characters; the name of a table in quotes stands as it is in the text.
    if not re.search(rf"(?<![\w$]){re.escape(table[1])}(?![\w$])", statement.text, re.IGNORECASE):
        return False
    if isinstance(node, ast.AlterTableStmt):
        return any(command.subtype in TAKES_OUT for command in node.cmds)
    return not isinstance(node, HARMLESS)


def _name(relation: Any) -> Name:
    return relation.schemaname or "public", relation.relname
