# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Says which tables a statement locks, and how strongly, from its parse tree.

Runs on the controller, where the parser is. When a statement could not get its lock, its wait is over by the time
anybody can look; whom it waited for is then who holds a lock on these tables that conflicts with these modes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pglast import ast, enums
from pglast.visitors import Visitor

# Lock modes by PostgreSQL's own numbers; the names are those of pg_locks.mode.
MODES = (
    "",
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
ACCESS_SHARE, ROW_SHARE, ROW_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE, SHARE, SHARE_ROW_EXCLUSIVE, _, ACCESS_EXCLUSIVE = range(
    1, 9
)

# What a statement takes on the table that it is about; whatever is not here takes ACCESS EXCLUSIVE.
MODE_OF = {
    ast.CommentStmt: SHARE_UPDATE_EXCLUSIVE,
    ast.CopyStmt: ROW_EXCLUSIVE,
    ast.CreateStatsStmt: SHARE_UPDATE_EXCLUSIVE,
    ast.CreateTrigStmt: SHARE_ROW_EXCLUSIVE,
    ast.DeleteStmt: ROW_EXCLUSIVE,
    ast.GrantStmt: ACCESS_SHARE,
    ast.InsertStmt: ROW_EXCLUSIVE,
    ast.MergeStmt: ROW_EXCLUSIVE,
    ast.UpdateStmt: ROW_EXCLUSIVE,
    ast.SelectStmt: ACCESS_SHARE,
}
# Kinds of ALTER TABLE that take less.
ALTERED_SOFTLY = {
    enums.AlterTableType.AT_SetStatistics,
    enums.AlterTableType.AT_ClusterOn,
    enums.AlterTableType.AT_DropCluster,
    enums.AlterTableType.AT_SetRelOptions,
    enums.AlterTableType.AT_ResetRelOptions,
    enums.AlterTableType.AT_ValidateConstraint,
    enums.AlterTableType.AT_AttachPartition,
}
# Attributes that lead to the table that a statement is about.
SUBJECTS = (("relation",), ("relations",), ("rels", "relation"), ("view",))
# DROP of what belongs to a table names it as `table.object`.
PARTS_OF_TABLES = (
    enums.ObjectType.OBJECT_TRIGGER,
    enums.ObjectType.OBJECT_RULE,
    enums.ObjectType.OBJECT_POLICY,
)
RELATIONS = (
    enums.ObjectType.OBJECT_TABLE,
    enums.ObjectType.OBJECT_INDEX,
    enums.ObjectType.OBJECT_VIEW,
    enums.ObjectType.OBJECT_MATVIEW,
    enums.ObjectType.OBJECT_SEQUENCE,
)


def needed_locks(node: Any) -> list[dict[str, Any]]:
    """Return the locks that a statement takes on relations: [{relation, mode}], the strongest of each relation.

    Functions, DO blocks and triggers may take more; what they do no parser can tell.
    """
    strongest: dict[str, int] = {}
    for relation, mode in _locks(node):
        strongest[relation] = max(mode, strongest.get(relation, 0))
    return [{"relation": relation, "mode": MODES[mode]} for relation, mode in strongest.items()]


def quoted_name(*parts: str | None) -> str:
    """Return a name with its schema, quoted where PostgreSQL would fold or misread it."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts if part)


def _locks(node: Any) -> Iterator[tuple[str, int]]:
    """Yield (relation, mode), a relation more than once where it is named more than once."""
    if isinstance(node, ast.DropStmt):
        yield from _dropped(node)
        return
    if isinstance(node, ast.CommentStmt | ast.RenameStmt) and isinstance(node.object, tuple):
        parts = [part.sval for part in node.object if isinstance(part, ast.String)]
        whole = isinstance(node, ast.CommentStmt) and node.objtype in RELATIONS
        name = quoted_name(*(parts if whole else parts[:-1]))
        if name:
            yield name, MODE_OF.get(type(node), ACCESS_EXCLUSIVE)
    for path, found in _range_vars(node):
        name = quoted_name(found.schemaname, found.relname)
        if path in SUBJECTS:
            yield name, _mode_of_subject(node)
        elif path[-1] == "pktable":
            yield name, SHARE_ROW_EXCLUSIVE
        elif path == ("inhRelations",):
            yield name, ACCESS_EXCLUSIVE if node.partbound else SHARE_UPDATE_EXCLUSIVE
        elif path == ("cmds", "def_", "name"):  # the partition of ATTACH and DETACH
            yield name, ACCESS_EXCLUSIVE
        else:
            yield name, ACCESS_SHARE


def _mode_of_subject(node: Any) -> int:
    """Return what a statement takes on the relation that it is about."""
    if isinstance(node, ast.LockStmt):
        return int(node.mode)
    if isinstance(node, ast.IndexStmt):
        return SHARE  # with CONCURRENTLY too: it takes less, and waits for those whom SHARE would wait for
    if isinstance(node, ast.VacuumStmt):
        full = any(option.defname == "full" for option in node.options or ())
        return ACCESS_EXCLUSIVE if full else SHARE_UPDATE_EXCLUSIVE
    if isinstance(node, ast.AlterTableStmt):
        modes = [_mode_of_change(command) for command in node.cmds]
        return max(modes)
    return MODE_OF.get(type(node), ACCESS_EXCLUSIVE)


def _mode_of_change(command: Any) -> int:
    """Return what one part of ALTER TABLE takes on its table."""
    if command.subtype in ALTERED_SOFTLY:
        return SHARE_UPDATE_EXCLUSIVE
    foreign_key = enums.ConstrType.CONSTR_FOREIGN
    if command.subtype == enums.AlterTableType.AT_AddConstraint and command.def_.contype == foreign_key:
        return SHARE_ROW_EXCLUSIVE
    return ACCESS_EXCLUSIVE


def _dropped(node: Any) -> Iterator[tuple[str, int]]:
    """Yield the relations of a DROP; one with CONCURRENTLY takes less, and waits for everybody all the same."""
    for names in node.objects:
        parts = [part.sval for part in names if isinstance(part, ast.String)] if isinstance(names, tuple) else []
        if node.removeType in PARTS_OF_TABLES:
            parts = parts[:-1]
        elif node.removeType not in RELATIONS:
            continue
        if parts:
            yield quoted_name(*parts), ACCESS_EXCLUSIVE


def _range_vars(node: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every relation below a node with the attributes that lead to it."""
    found: list[tuple[tuple[str, ...], Any]] = []

    class Finder(Visitor):  # type: ignore[misc]
        def visit_RangeVar(self, ancestors: Any, relation: Any) -> None:  # noqa: N802 - pglast's name
            path: list[str] = []
            while ancestors is not None:
                if isinstance(ancestors.member, str):
                    path.insert(0, ancestors.member)
                ancestors = ancestors.parent
            found.append((tuple(path), relation))

    Finder()(node)
    yield from found
