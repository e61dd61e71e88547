# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Says which lock a migration will take on which table, from its SQL alone.

The rules are those of PostgreSQL 16's documentation (chapter 13.3.1, and the pages of the commands). What a function or
a DO block does cannot be read; it is said that it cannot. A table that the same run makes is nobody's yet and left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.migration_catalog import split_statements
from pglast import ast, enums, visitors

# From the weakest to the strongest.
MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
(
    ACCESS_SHARE,
    ROW_SHARE,
    ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
    SHARE,
    SHARE_ROW_EXCLUSIVE,
    EXCLUSIVE,
    ACCESS_EXCLUSIVE,
) = MODES
# What an application cannot do meanwhile.
BLOCKS = {
    ACCESS_SHARE: "nothing",
    ROW_SHARE: "nothing",
    ROW_EXCLUSIVE: "nothing",
    SHARE_UPDATE_EXCLUSIVE: "nothing",
    SHARE: "writing",
    SHARE_ROW_EXCLUSIVE: "writing",
    EXCLUSIVE: "writing",
    ACCESS_EXCLUSIVE: "reading and writing",
}

_ALTER = enums.AlterTableType
# Forms of ALTER TABLE that take less than ACCESS EXCLUSIVE.
_LIGHT_ALTERS = {
    _ALTER.AT_ValidateConstraint: SHARE_UPDATE_EXCLUSIVE,
    _ALTER.AT_SetStatistics: SHARE_UPDATE_EXCLUSIVE,
    _ALTER.AT_SetOptions: SHARE_UPDATE_EXCLUSIVE,
    _ALTER.AT_ResetOptions: SHARE_UPDATE_EXCLUSIVE,
    _ALTER.AT_SetRelOptions: SHARE_UPDATE_EXCLUSIVE,
    _ALTER.AT_ResetRelOptions: SHARE_UPDATE_EXCLUSIVE,
    _ALTER.AT_ClusterOn: SHARE_UPDATE_EXCLUSIVE,
    _ALTER.AT_DropCluster: SHARE_UPDATE_EXCLUSIVE,
    _ALTER.AT_AttachPartition: SHARE_UPDATE_EXCLUSIVE,
    _ALTER.AT_EnableTrig: SHARE_ROW_EXCLUSIVE,
    _ALTER.AT_EnableAlwaysTrig: SHARE_ROW_EXCLUSIVE,
    _ALTER.AT_EnableReplicaTrig: SHARE_ROW_EXCLUSIVE,
    _ALTER.AT_DisableTrig: SHARE_ROW_EXCLUSIVE,
}
_COMMENTED = (enums.ObjectType.OBJECT_TABLE, enums.ObjectType.OBJECT_COLUMN)
_OF_TABLE = (
    enums.ObjectType.OBJECT_TABCONSTRAINT,
    enums.ObjectType.OBJECT_TRIGGER,
    enums.ObjectType.OBJECT_POLICY,
    enums.ObjectType.OBJECT_RULE,
)
# LOCK TABLE has the modes by number, from 1.
_FIRST_MODE = 1


@dataclass
class Locks:
    """What a file locks.

    Attributes:
        tables: the strongest lock of each table, with the line of the statement that takes it.
        made: tables that the file makes.
        unknown: lines of statements whose locks cannot be read.
    """

    tables: dict[str, tuple[str, int]] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    unknown: list[int] = field(default_factory=list)


def file_locks(text: str) -> Locks:
    """Return the locks of a file, which parses."""
    locks = Locks()
    for statement, node in split_statements(text):
        made, taken, unknown = statement_locks(node)
        if unknown:
            locks.unknown.append(statement.line)
        locks.made |= made
        for table, mode in taken:
            if table not in locks.tables or MODES.index(mode) > MODES.index(locks.tables[table][0]):
                locks.tables[table] = (mode, statement.line)
    return locks


def run_locks(files: Sequence[tuple[str, str]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the strongest lock that a run takes on each table that is there before it.

    Args:
        files: name and text of each file, in order.

    Returns:
        `[{table, lock, blocks, file, line}]`, strongest first, and `[{file, line}]` of what cannot be known.
    """
    strongest: dict[str, dict[str, Any]] = {}
    unknown: list[dict[str, Any]] = []
    made: set[str] = set()
    for file, text in files:
        locks = file_locks(text)
        made |= locks.made
        unknown += [{"file": file, "line": line} for line in locks.unknown]
        for table, (mode, line) in locks.tables.items():
            known = strongest.get(table)
            if table not in made and (known is None or MODES.index(mode) > MODES.index(known["lock"])):
                strongest[table] = {"table": table, "lock": mode, "blocks": BLOCKS[mode], "file": file, "line": line}
    return sorted(strongest.values(), key=lambda one: (-MODES.index(one["lock"]), one["table"])), unknown


def statement_locks(node: Any) -> tuple[set[str], list[tuple[str, str]], bool]:
    """Return the tables that a statement makes, the locks it takes, and whether some cannot be known."""
    made: set[str] = set()
    taken = list(_explicit(node, made))
    unknown = isinstance(node, ast.DoStmt | ast.CallStmt | ast.ExecuteStmt)
    if isinstance(node, ast.SelectStmt | ast.InsertStmt | ast.UpdateStmt | ast.DeleteStmt | ast.MergeStmt):
        found = _Reads()
        found(node)
        taken += [(name, ACCESS_SHARE) for name in found.tables if name not in found.queries]
        taken += [(name, ROW_SHARE) for name in found.locked]
    elif isinstance(node, ast.ViewStmt | ast.CreateTableAsStmt):
        found = _Reads()
        found(node.query)
        taken += [(name, ACCESS_SHARE) for name in found.tables if name not in found.queries]
    elif isinstance(node, ast.DropStmt) and node.removeType == enums.ObjectType.OBJECT_INDEX:
        unknown = True  # the index's table is not named
    return made, taken, unknown


class _Reads(visitors.Visitor):  # type: ignore[misc]
    """Finds the tables that a query names, those whose rows it locks, and the names of its own queries (WITH)."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[str] = []
        self.locked: list[str] = []
        self.queries: set[str] = set()

    def visit_RangeVar(self, _: Any, node: Any) -> None:  # noqa: N802 - pglast's name
        self.tables.append(_name(node))

    def visit_CommonTableExpr(self, _: Any, node: Any) -> None:  # noqa: N802 - pglast's name
        self.queries.add(node.ctename)

    def visit_SelectStmt(self, _: Any, node: Any) -> None:  # noqa: N802 - pglast's name
        if node.lockingClause:
            self.locked += [_name(table) for table in node.fromClause or () if isinstance(table, ast.RangeVar)]


def _name(table: Any) -> str:
    """Return a table's name, without schema public."""
    schema = f"{table.schemaname}." if table.schemaname and table.schemaname != "public" else ""
    return f"{schema}{table.relname}"


def _names(parts: Any) -> str:
    """Return the name that a list of String nodes is."""
    texts = [part.sval for part in parts]
    return ".".join(texts[1:] if len(texts) > 1 and texts[0] == "public" else texts)


def _explicit(node: Any, made: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the locks on the tables that a statement is about."""
    rule = _RULES.get(type(node))
    if rule is not None:
        yield from rule(node, made)


def _create(node: Any, made: set[str]) -> Iterator[tuple[str, str]]:
    own = _name(node.relation)
    made.add(own)
    for parent in node.inhRelations or ():
        yield _name(parent), ACCESS_EXCLUSIVE if node.partbound else SHARE_UPDATE_EXCLUSIVE
    for element in node.tableElts or ():
        if isinstance(element, ast.TableLikeClause):
            yield _name(element.relation), ACCESS_SHARE
        yield from ((table, mode) for table, mode in _references(element) if table != own)


def _references(element: Any) -> Iterator[tuple[str, str]]:
    """Yield the locks on tables that a column or constraint refers to."""
    constraints = element.constraints or () if isinstance(element, ast.ColumnDef) else (element,)
    for constraint in constraints:
        if isinstance(constraint, ast.Constraint) and constraint.pktable:
            yield _name(constraint.pktable), SHARE_ROW_EXCLUSIVE


def _alter(node: Any, _: set[str]) -> Iterator[tuple[str, str]]:
    if node.objtype not in (enums.ObjectType.OBJECT_TABLE, enums.ObjectType.OBJECT_MATVIEW):
        return
    for command in node.cmds:
        definition = command.def_
        mode = _LIGHT_ALTERS.get(command.subtype, ACCESS_EXCLUSIVE)
        if command.subtype == _ALTER.AT_AddConstraint and definition.pktable:
            mode = SHARE_ROW_EXCLUSIVE
        if command.subtype == _ALTER.AT_AttachPartition:
            yield _name(definition.name), ACCESS_EXCLUSIVE
        if command.subtype == _ALTER.AT_DetachPartition:
            mode = SHARE_UPDATE_EXCLUSIVE if definition.concurrent else ACCESS_EXCLUSIVE
            yield _name(definition.name), mode
        yield _name(node.relation), mode
        if definition is not None:
            yield from _references(definition)


def _index(node: Any, _: set[str]) -> Iterator[tuple[str, str]]:
    yield _name(node.relation), SHARE_UPDATE_EXCLUSIVE if node.concurrent else SHARE


def _drop(node: Any, _: set[str]) -> Iterator[tuple[str, str]]:
    kinds = enums.ObjectType
    for thing in node.objects:
        if node.removeType in (kinds.OBJECT_TABLE, kinds.OBJECT_MATVIEW):
            yield _names(thing), ACCESS_EXCLUSIVE
        elif node.removeType in _OF_TABLE:  # its last part is the name of the trigger
            yield _names(thing[:-1]), ACCESS_EXCLUSIVE


def _truncate(node: Any, _: set[str]) -> Iterator[tuple[str, str]]:
    yield from ((_name(table), ACCESS_EXCLUSIVE) for table in node.relations)


def _write(node: Any, _: set[str]) -> Iterator[tuple[str, str]]:
    yield _name(node.relation), ROW_EXCLUSIVE


def _trigger(node: Any, _: set[str]) -> Iterator[tuple[str, str]]:
    yield _name(node.relation), SHARE_ROW_EXCLUSIVE
    if node.constrrel:
        yield _name(node.constrrel), SHARE_ROW_EXCLUSIVE


def _exclusive(node: Any, _: set[str]) -> Iterator[tuple[str, str]]:
    table = getattr(node, "table", None) or node.relation
    yield _name(table), ACCESS_EXCLUSIVE


def _comment(node: Any, _: set[str]) -> Iterator[tuple[str, str]]:
    if node.objtype in _COMMENTED:
        parts = node.object if node.objtype == enums.ObjectType.OBJECT_TABLE else node.object[:-1]
        yield _names(parts), SHARE_UPDATE_EXCLUSIVE
    elif node.objtype in _OF_TABLE:
        yield _names(node.object[:-1]), SHARE_UPDATE_EXCLUSIVE


def _rename(node: Any, _: set[str]) -> Iterator[tuple[str, str]]:
    if node.relation and node.renameType != enums.ObjectType.OBJECT_INDEX:
        yield _name(node.relation), ACCESS_EXCLUSIVE


def _move(node: Any, _: set[str]) -> Iterator[tuple[str, str]]:
    if node.relation and node.objectType == enums.ObjectType.OBJECT_TABLE:
        yield _name(node.relation), ACCESS_EXCLUSIVE


def _lock(node: Any, _: set[str]) -> Iterator[tuple[str, str]]:
    yield from ((_name(table), MODES[node.mode - _FIRST_MODE]) for table in node.relations)


def _vacuum(node: Any, _: set[str]) -> Iterator[tuple[str, str]]:
    full = any(option.defname == "full" for option in node.options or ())
    for table in node.rels or ():
        yield _name(table.relation), ACCESS_EXCLUSIVE if full else SHARE_UPDATE_EXCLUSIVE


def _refresh(node: Any, _: set[str]) -> Iterator[tuple[str, str]]:
    yield _name(node.relation), EXCLUSIVE if node.concurrent else ACCESS_EXCLUSIVE


def _reindex(node: Any, _: set[str]) -> Iterator[tuple[str, str]]:
    if node.kind == enums.ReindexObjectType.REINDEX_OBJECT_TABLE:
        concurrently = any(option.defname == "concurrently" for option in node.params or ())
        yield _name(node.relation), SHARE_UPDATE_EXCLUSIVE if concurrently else SHARE


def _statistics(node: Any, _: set[str]) -> Iterator[tuple[str, str]]:
    yield from ((_name(t), SHARE_UPDATE_EXCLUSIVE) for t in node.relations if isinstance(t, ast.RangeVar))


def _made_by_query(node: Any, made: set[str]) -> Iterable[tuple[str, str]]:
    made.add(_name(node.into.rel))
    return ()


_RULES = {
    ast.AlterTableStmt: _alter,
    ast.AlterObjectSchemaStmt: _move,
    ast.ClusterStmt: _exclusive,
    ast.CommentStmt: _comment,
    ast.CreatePolicyStmt: _exclusive,
    ast.AlterPolicyStmt: _exclusive,
    ast.CreateStatsStmt: _statistics,
    ast.CreateStmt: _create,
    ast.CreateTableAsStmt: _made_by_query,
    ast.CreateTrigStmt: _trigger,
    ast.DeleteStmt: _write,
    ast.DropStmt: _drop,
    ast.IndexStmt: _index,
    ast.InsertStmt: _write,
    ast.LockStmt: _lock,
    ast.MergeStmt: _write,
    ast.RefreshMatViewStmt: _refresh,
    ast.ReindexStmt: _reindex,
    ast.RenameStmt: _rename,
    ast.RuleStmt: _exclusive,
    ast.TruncateStmt: _truncate,
    ast.UpdateStmt: _write,
    ast.VacuumStmt: _vacuum,
}
