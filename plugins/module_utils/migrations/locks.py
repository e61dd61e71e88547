# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Derives from its parse tree which relations a statement locks, and in which mode: the only table of lock modes.

Runs on the controller, which has the parser. The plan shows the locks before a run (`run_locks`). After a lock timeout,
the wait is over before it can be examined. The blockers are then the sessions that hold a lock on these relations
that conflicts with the modes given here (`Reader.needs`, `blockers.py`).

The modes are those of PostgreSQL 16. tests/integration/test_locks.py compares them with pg_locks of a server, statement
by statement. Locks that the text does not tell are left out: those of functions, DO blocks and triggers, of tables
below a view, of partitions, of tables at the other end of a dropped foreign key, and of objects reached by CASCADE.
After a lock timeout, the server still knows the foreign keys that a statement drops (`Lock.dropped`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from pglast import ast, enums, parser

from ..sql import identifier

if TYPE_CHECKING:
    from .catalog import Statement

_KIND = enums.ObjectType
_ALTER = enums.AlterTableType
# Relations below its own that a lock includes.
PARTITIONS, CHILDREN = "partitions", "children"  # the second: partitions and tables that inherit
EVERY_FOREIGN_KEY = ("*",)

_SCHEMAS_OF_SYSTEM = ("pg_catalog", "information_schema", "pg_toast")
_RELATIONS = [_KIND[f"OBJECT_{kind}"] for kind in ("TABLE", "FOREIGN_TABLE", "INDEX", "VIEW", "MATVIEW", "SEQUENCE")]
# What belongs to a table is named as `table.object`.
_PARTS = [_KIND[f"OBJECT_{kind}"] for kind in ("TABCONSTRAINT", "TRIGGER", "RULE", "POLICY")]


class Mode(IntEnum):
    """A mode of a lock on a relation, by PostgreSQL's own number; the greater, the stronger."""

    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    @property
    def sql(self) -> str:
        """Return its name in LOCK TABLE and in the documentation."""
        return self.name.replace("_", " ")

    @property
    def in_pg_locks(self) -> str:
        """Return its name in pg_locks.mode."""
        return f"{self.sql.title().replace(' ', '')}Lock"

    @property
    def blocks(self) -> str:
        """Return what an application cannot do while the lock is held."""
        waits = [words for mode, words in _APPLICATION.items() if mode in CONFLICTS[self]]
        return " and ".join(word for word in waits if word != "row locks" or "reads" not in waits) or "nothing"


# PostgreSQL's table of conflicts (chapter 13.3.1 of its documentation): for each mode the conflicting modes.
CONFLICTS = {
    mode: frozenset(Mode(int(number)) for number in numbers)
    for mode, numbers in zip(Mode, ("8", "78", "5678", "45678", "34678", "345678", "2345678", "12345678"), strict=True)
}
# Statements of an application, by the lock that they take: SELECT; INSERT, UPDATE, DELETE; SELECT FOR UPDATE or SHARE.
_APPLICATION = {Mode.ACCESS_SHARE: "reads", Mode.ROW_EXCLUSIVE: "writes", Mode.ROW_SHARE: "row locks"}

# ALTER TABLE: all its kinds, as AlterTableGetLockLevel in PostgreSQL's src/backend/commands/tablecmds.c has them. Those
# of storage parameters, foreign keys and DETACH depend on more: _mode_of_change.
_ALTERS = {
    _ALTER[f"AT_{kind}"]: mode
    for mode, kinds in {
        Mode.SHARE_UPDATE_EXCLUSIVE: """SetStatistics SetOptions ResetOptions ClusterOn DropCluster ValidateConstraint
            AttachPartition DetachPartitionFinalize""",
        Mode.SHARE_ROW_EXCLUSIVE: """EnableTrig EnableAlwaysTrig EnableReplicaTrig EnableTrigAll EnableTrigUser
            DisableTrig DisableTrigAll DisableTrigUser""",
        Mode.ACCESS_EXCLUSIVE: """AddColumn AddColumnToView ColumnDefault CookedColumnDefault DropNotNull SetNotNull
            DropExpression CheckNotNull SetStorage SetCompression DropColumn AddIndex ReAddIndex AddConstraint
            ReAddConstraint ReAddDomainConstraint AlterConstraint AddIndexConstraint DropConstraint ReAddComment
            AlterColumnType AlterColumnGenericOptions ChangeOwner SetLogged SetUnLogged DropOids SetAccessMethod
            SetTableSpace SetRelOptions ResetRelOptions ReplaceRelOptions EnableRule EnableAlwaysRule EnableReplicaRule
            DisableRule AddInherit DropInherit AddOf DropOf ReplicaIdentity EnableRowSecurity DisableRowSecurity
            ForceRowSecurity NoForceRowSecurity GenericOptions DetachPartition AddIdentity SetIdentity DropIdentity
            ReAddStatistics""",
    }.items()
    for kind in kinds.split()
}
# Those that lock partitions and children in the same mode, unless ONLY is given.
_REACHING = {
    _ALTER[f"AT_{kind}"]: reach
    for reach, kinds in {
        CHILDREN: "AddColumn ColumnDefault SetNotNull SetStatistics DropColumn",
        PARTITIONS: "EnableTrig DisableTrig",
    }.items()
    for kind in kinds.split()
}
# Storage parameters, as src/backend/access/common/reloptions.c has them; the names are enough, with toast. or without.
_SOFT_OPTIONS = re.compile(
    r"fillfactor|autovacuum_\w+|log_autovacuum_min_duration|toast_tuple_target|parallel_workers|vacuum_index_cleanup|"
    r"vacuum_truncate|deduplicate_items|n_distinct|n_distinct_inherited"
)
_HARD_OPTIONS = re.compile(
    r"user_catalog_table|security_barrier|security_invoker|check_option|fastupdate|gin_pending_list_limit|buffering|"
    r"pages_per_range|autosummarize"
)
_SIMPLE = re.compile(r"[a-z_][a-z0-9_$]*")

Name = tuple[str | None, str]


@dataclass(frozen=True)
class Lock:
    """A lock that a statement takes, or waits for.

    Attributes:
        name: schema and name of the relation.
        mode: what is taken.
        of_index: whether the relation is an index, and the lock is on its table.
        reach: relations below that are locked in the same mode: none, PARTITIONS or CHILDREN.
        waits: a mode whose conflicts are waited for without taking it.
        snapshots: whether the statement also waits for all sessions with an older snapshot.
        certain: whether the lock is certainly taken; without certainty no session is ended because of it.
        dropped: constraints that the statement drops, or EVERY_FOREIGN_KEY; the table at the other end of a foreign
            key is locked in the same mode.
    """

    name: Name
    mode: Mode
    of_index: bool = False
    reach: str = ""
    waits: Mode | None = None
    snapshots: bool = False
    certain: bool = True
    dropped: tuple[str, ...] = ()

    def as_need(self) -> dict[str, Any]:
        """Return plain data for `blockers.find_blockers`: `modes` conflict with it; false flags have no key.

        CREATE INDEX CONCURRENTLY takes SHARE UPDATE EXCLUSIVE, and waits for all sessions that conflict with SHARE.
        """
        modes = CONFLICTS[self.mode] | CONFLICTS[self.waits or self.mode]
        need = {
            "relation": identifier(*self.name),
            "modes": [mode.in_pg_locks for mode in sorted(modes)],
            "of_index": self.of_index,
            "reach": self.reach,
            "snapshots": self.snapshots,
            "uncertain": not self.certain,
            "dropped": list(self.dropped),
        }
        return {key: value for key, value in need.items() if value}

    def __str__(self) -> str:
        """Return the lock as the plan shows it."""
        name = ".".join(part if _SIMPLE.fullmatch(part) else identifier(part) for part in _plain(self.name) if part)
        return f"the table of index {name}" if self.of_index else name


@dataclass
class Reader:
    """Reads the statements file by file, and remembers the relations that they create: no other session uses them yet.

    Attributes:
        made: relations that earlier statements created.
        perhaps: relations that they created unless they existed (IF NOT EXISTS).
        temporary: those of `made` that end with the session.
        tables: the tables of indexes that they created.
        moved: whether search_path was set, after which the schema of an unqualified name is unknown.
    """

    made: set[Name] = field(default_factory=set)
    perhaps: set[Name] = field(default_factory=set)
    temporary: set[Name] = field(default_factory=set)
    tables: dict[Name, Name] = field(default_factory=dict)
    moved: bool = False

    def needs(self, node: Any) -> list[dict[str, Any]]:
        """Return the locks of the next statement as plain data."""
        return [lock.as_need() for lock in self.locks(node)]

    def locks(self, node: Any) -> list[Lock]:
        """Return the strongest lock of the next statement on each relation that other sessions can see."""
        strongest: dict[tuple[Any, ...], Lock] = {}
        for lock in _statement(node):
            if lock.of_index and (table := self.tables.get(_plain(lock.name))):
                lock = replace(lock, name=table, of_index=False)  # noqa: PLW2901 - the same lock, by the table's name
            if _plain(lock.name) in self.made or _of_system(lock):
                continue
            if self.moved and not lock.name[0]:
                lock = replace(lock, certain=False)  # noqa: PLW2901 - as above
            key = (_plain(lock.name), lock.of_index, lock.certain)
            if key not in strongest or lock.mode > strongest[key].mode:
                strongest[key] = lock
        self._remember(node)
        return list(strongest.values())

    def next_file(self) -> None:
        """Forget the state that ends with a file."""
        self.made -= self.temporary
        self.temporary.clear()
        self.moved = False

    def _remember(self, node: Any) -> None:
        """Remember the relations that a statement creates."""
        self.moved = self.moved or _moves_search_path(node)
        for name, temporary, if_not_exists in _made(node):
            plain = _plain(name)
            (self.perhaps if if_not_exists and not temporary else self.made).add(plain)
            if temporary:
                self.temporary.add(plain)
        if isinstance(node, ast.IndexStmt) and node.idxname:
            self.tables[_plain((node.relation.schemaname, node.idxname))] = _name(node.relation)


def run_locks(
    files: Iterable[tuple[str, Iterable[Statement]]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the strongest lock that a run takes on each relation that exists before it.

    Args:
        files: name and statements of each file, in order.

    Returns:
        `[{table, lock, blocks, file, line}]`, strongest first, and `[{file, line}]` of unknown locks.
    """
    reader = Reader()
    strongest: dict[str, tuple[Mode, dict[str, Any]]] = {}
    unknown: list[dict[str, Any]] = []
    for file, statements in files:
        for statement in statements:
            node = statement.node
            place = {"file": file, "line": statement.line}
            if is_unreadable(node):
                unknown.append(place)
            locks = reader.locks(node)
            tables = {lock.name for lock in locks if lock.of_index}  # not shown for the index, too
            for lock in locks:
                if _plain(lock.name) in reader.perhaps or (lock.name in tables and not lock.of_index):
                    continue
                known = strongest.get(str(lock))
                if known is None or lock.mode > known[0]:
                    entry = {"table": str(lock), "lock": lock.mode.sql, "blocks": lock.mode.blocks}
                    strongest[str(lock)] = lock.mode, entry | place
        reader.next_file()
    ordered = sorted(strongest.values(), key=lambda one: (-one[0], one[1]["table"]))
    return [entry for _, entry in ordered], unknown


def is_unreadable(node: Any) -> bool:
    """Tell whether a statement locks relations that its text does not name."""
    if isinstance(node, ast.AlterDomainStmt):  # the tables that have a column of the domain
        return node.subtype in "OV" or (node.subtype == "C" and not node.def_.skip_validation)
    if isinstance(node, ast.VacuumStmt | ast.ClusterStmt | ast.ReindexStmt):  # all existing tables
        return not (node.rels if isinstance(node, ast.VacuumStmt) else node.relation)
    if isinstance(node, ast.DropStmt) and node.removeType == _KIND.OBJECT_STATISTIC_EXT:
        return True
    parts = node.cmds if isinstance(node, ast.AlterTableStmt) else (node,)
    cascades = any(getattr(part, "behavior", None) == enums.DropBehavior.DROP_CASCADE for part in parts)
    return isinstance(node, _UNREADABLE) or (cascades and not isinstance(node, ast.GrantStmt))


def is_on(options: Iterable[Any] | None, name: str, usual: bool = False) -> bool:
    """Tell whether a list of options turns one of them on; `usual` is the default where it is not named."""
    found = [option.arg for option in options or () if option.defname == name]
    if not found or found[-1] is None:  # not named, or named without a value
        return bool(found) or usual
    value = found[-1].names[-1] if isinstance(found[-1], ast.TypeName) else found[-1]  # off is parsed as one
    return str(getattr(value, "sval", getattr(value, "ival", ""))).lower() not in ("false", "off", "0")


def _name(relation: Any) -> Name:
    """Return the name of a relation of the parse tree."""
    return relation.schemaname, relation.relname


def _names(parts: Iterable[Any]) -> Name:
    """Return the name in a list of String nodes, without a database before the schema."""
    texts = [part.sval for part in parts]
    return (texts[-2] if len(texts) > 1 else None), texts[-1]


def _plain(name: Name) -> Name:
    """Return a name without the default schema."""
    return (None if name[0] == "public" else name[0]), name[1]


def _of_system(lock: Lock) -> bool:
    """Tell whether a lock is on a catalog or on a temporary table, where no application blocks it."""
    schema, name = lock.name
    if schema is None:
        return name.startswith("pg_") and lock.mode == Mode.ACCESS_SHARE  # a user table may have such a name, too
    return schema in _SCHEMAS_OF_SYSTEM or schema.startswith("pg_temp")


def _statement(node: Any) -> Iterator[Lock]:
    """Yield the locks of a statement; a relation that is named twice is yielded twice."""
    rule = _RULES.get(type(node))
    if rule is not None:
        yield from rule(node)
    elif not isinstance(node, _LOCKS_NOTHING + _UNREADABLE):  # an unknown kind: it may take any lock or none
        yield from (replace(lock, mode=Mode.ACCESS_EXCLUSIVE, certain=False) for lock in _query(node))


def _query(node: Any, queries: frozenset[str] = frozenset()) -> Iterator[Lock]:
    """Yield the locks on the relations below a node of a query.

    Args:
        node: a query, a part of it or a list of parts.
        queries: names that mean queries of a WITH here, not relations.
    """
    if isinstance(node, tuple):
        for part in node:
            yield from _query(part, queries)
        return
    if not isinstance(node, ast.Node):
        return
    if isinstance(node, ast.RangeVar):
        if node.schemaname or node.relname not in queries:
            yield Lock(_name(node), Mode.ACCESS_SHARE)
        return
    done = {"withClause", "intoClause", "lockingClause"}
    if clause := getattr(node, "withClause", None):
        inner = queries | {query.ctename for query in clause.ctes}
        seen = inner if clause.recursive else queries
        for query in clause.ctes:
            yield from _query(query.ctequery, seen)
            seen |= {query.ctename}
        queries = inner
    if isinstance(node, ast.InsertStmt | ast.UpdateStmt | ast.DeleteStmt | ast.MergeStmt):
        done.add("relation")
        yield Lock(_name(node.relation), Mode.ROW_EXCLUSIVE)
    for clause in getattr(node, "lockingClause", None) or ():
        wanted = {relation.relname for relation in clause.lockedRels or ()}
        yield from _row_locks(node.fromClause or (), wanted, queries)
    for attribute in node.__slots__:
        if attribute not in done:
            yield from _query(getattr(node, attribute), queries)


def _row_locks(items: Iterable[Any], wanted: set[str], queries: frozenset[str]) -> Iterator[Lock]:
    """Yield the locks of FOR UPDATE and the like: on all of FROM, or on the names in OF, and in subqueries there."""
    for item in items:
        if isinstance(item, ast.JoinExpr):
            yield from _row_locks((item.larg, item.rarg), wanted, queries)
            continue
        alias = item.alias.aliasname if getattr(item, "alias", None) else getattr(item, "relname", None)
        if wanted and alias not in wanted:
            continue
        if isinstance(item, ast.RangeVar) and (item.schemaname or item.relname not in queries):
            yield Lock(_name(item), Mode.ROW_SHARE)
        if isinstance(item, ast.RangeSubselect):
            own = item.subquery.withClause
            inner = queries | {query.ctename for query in own.ctes} if own else queries
            yield from _row_locks(item.subquery.fromClause or (), set(), inner)


def _moves_search_path(node: Any) -> bool:
    """Tell whether a statement may change the schema of unqualified names."""
    if isinstance(node, ast.VariableSetStmt):
        return bool(node.name == "search_path" or node.kind == enums.VariableSetKind.VAR_RESET_ALL)
    if isinstance(node, ast.SelectStmt):
        calls = (target.val for target in node.targetList or () if isinstance(target.val, ast.FuncCall))
        return any(call.funcname[-1].sval == "set_config" for call in calls)
    return isinstance(node, ast.DiscardStmt)


def _made(node: Any) -> Iterator[tuple[Name, bool, bool]]:
    """Yield what a statement creates: its name, whether it is temporary, whether it may have existed before."""
    relation, may_exist = None, bool(getattr(node, "if_not_exists", False))
    if isinstance(node, ast.CreateForeignTableStmt):
        node, may_exist = node.base, bool(node.base.if_not_exists)
    if isinstance(node, ast.CreateStmt):
        relation = node.relation
    elif isinstance(node, ast.CreateTableAsStmt):
        relation = node.into.rel
    elif isinstance(node, ast.SelectStmt):
        relation = node.intoClause.rel if node.intoClause else None
    elif isinstance(node, ast.ViewStmt):
        relation, may_exist = node.view, bool(node.replace)
    elif isinstance(node, ast.CreateSeqStmt):
        relation = node.sequence
    elif isinstance(node, ast.IndexStmt) and node.idxname:
        yield (node.relation.schemaname, node.idxname), False, may_exist
    elif isinstance(node, ast.RenameStmt) and node.relation and node.renameType in _RELATIONS:
        yield (node.relation.schemaname, node.newname), False, False  # its lock is listed under the old name
    elif isinstance(node, ast.AlterObjectSchemaStmt) and node.relation:
        yield (node.newschema, node.relation.relname), False, False
    if relation:
        temporary = relation.relpersistence == "t" or (relation.schemaname or "").startswith("pg_temp")
        yield _name(relation), temporary, may_exist


def _take(relations: Any, mode: Mode, reach: str = "") -> Iterator[Lock]:
    """Yield a lock on a relation of the parse tree, or on each of several; ONLY limits it to the relation itself."""
    for relation in relations if isinstance(relations, tuple) else (relations,):
        if isinstance(relation, ast.RangeVar):
            yield Lock(_name(relation), mode, reach=reach if relation.inh else "")


# ---------------------------------------------------------------------------------------- what each statement takes


def _alter(node: Any) -> Iterator[Lock]:
    if node.objtype == _KIND.OBJECT_TYPE:
        return  # a type has no lock; CASCADE reaches the tables of that type
    own = Lock(_name(node.relation), Mode.ACCESS_SHARE)
    for command in node.cmds:
        mode, certain = _mode_of_change(command)
        reach = _REACHING.get(command.subtype, "") if node.relation.inh else ""
        if command.subtype == _ALTER.AT_AddConstraint and command.def_.contype in _RECURSING_CONSTRAINTS:
            reach = CHILDREN if node.relation.inh else ""
        if mode > own.mode or (mode == own.mode and reach > own.reach):
            own = replace(own, mode=mode, certain=certain, reach=reach)
        if command.subtype == _ALTER.AT_DropConstraint:
            own = replace(own, dropped=(*own.dropped, command.name))
        yield from _others_of_change(node, command)
        if command.subtype == _ALTER.AT_DetachPartition and command.def_.concurrent:
            own = replace(own, waits=Mode.ACCESS_EXCLUSIVE)
        if command.subtype == _ALTER.AT_DetachPartitionFinalize:
            own = replace(own, snapshots=True)
    yield own


def _mode_of_change(command: Any) -> tuple[Mode, bool]:
    """Return the mode that one part of ALTER TABLE takes on its relation, and whether that is certain."""
    definition = command.def_
    if command.subtype in (_ALTER.AT_SetRelOptions, _ALTER.AT_ResetRelOptions, _ALTER.AT_ReplaceRelOptions):
        names = [option.defname for option in definition or ()]
        if names and all(_SOFT_OPTIONS.fullmatch(name) for name in names):
            return Mode.SHARE_UPDATE_EXCLUSIVE, True
        return Mode.ACCESS_EXCLUSIVE, any(_HARD_OPTIONS.fullmatch(name) for name in names)
    if command.subtype == _ALTER.AT_AddConstraint and definition.contype == enums.ConstrType.CONSTR_FOREIGN:
        return Mode.SHARE_ROW_EXCLUSIVE, True
    if command.subtype == _ALTER.AT_DetachPartition and definition.concurrent:
        return Mode.SHARE_UPDATE_EXCLUSIVE, True
    return _ALTERS.get(command.subtype, Mode.ACCESS_EXCLUSIVE), command.subtype in _ALTERS


def _others_of_change(node: Any, command: Any) -> Iterator[Lock]:
    """Yield the locks of one part of ALTER TABLE on other relations."""
    definition = command.def_
    if command.subtype in (_ALTER.AT_AttachPartition, _ALTER.AT_DetachPartition, _ALTER.AT_DetachPartitionFinalize):
        yield Lock(_name(definition.name), Mode.ACCESS_EXCLUSIVE)
        if node.objtype == _KIND.OBJECT_INDEX:
            for index in (node.relation, definition.name):
                yield Lock(_name(index), Mode.ACCESS_SHARE, of_index=True)
    elif command.subtype == _ALTER.AT_AddInherit:
        yield Lock(_name(definition), Mode.SHARE_UPDATE_EXCLUSIVE)
    elif command.subtype == _ALTER.AT_DropInherit:
        yield Lock(_name(definition), Mode.ACCESS_SHARE)
    elif isinstance(definition, ast.ColumnDef | ast.Constraint):
        yield from _references(definition)


def _references(element: Any) -> Iterator[Lock]:
    """Yield the locks on tables that a column or constraint refers to."""
    for constraint in element.constraints or () if isinstance(element, ast.ColumnDef) else (element,):
        if isinstance(constraint, ast.Constraint) and constraint.pktable:
            yield Lock(_name(constraint.pktable), Mode.SHARE_ROW_EXCLUSIVE)


def _create(node: Any) -> Iterator[Lock]:
    found: list[Lock] = []
    for parent in node.inhRelations or ():
        found.append(Lock(_name(parent), Mode.ACCESS_EXCLUSIVE if node.partbound else Mode.SHARE_UPDATE_EXCLUSIVE))
    for element in (*(node.tableElts or ()), *(node.constraints or ())):
        if isinstance(element, ast.TableLikeClause):
            found.append(Lock(_name(element.relation), Mode.ACCESS_SHARE))
        else:
            found += _references(element)
    yield from (lock for lock in found if lock.name != _name(node.relation))


def _create_schema(node: Any) -> Iterator[Lock]:
    made = {name[1] for element in node.schemaElts or () for name, *_ in _made(element)}
    for element in node.schemaElts or ():
        for lock in _statement(element):  # unqualified names resolve to the new schema first
            if lock.name[0] or lock.name[1] not in made:
                yield replace(lock, certain=lock.certain and bool(lock.name[0]))


def _create_function(node: Any) -> Iterator[Lock]:
    yield from _query(node.sql_body)
    options = {option.defname: option.arg for option in node.options or ()}
    body = options.get("as")
    if getattr(options.get("language"), "sval", "").lower() == "sql" and isinstance(body, tuple) and len(body) == 1:
        try:
            statements = parser.parse_sql(body[0].sval)
        except parser.ParseError:
            return
        for statement in statements:  # checked at creation, unless check_function_bodies is off
            if isinstance(statement.stmt, _QUERIES):
                yield from (replace(lock, certain=False) for lock in _query(statement.stmt))


def _drop(node: Any) -> Iterator[Lock]:
    for parts in node.objects:
        if node.removeType in _PARTS:
            reach = PARTITIONS if node.removeType == _KIND.OBJECT_TRIGGER else ""
            yield Lock(_names(parts[:-1]), Mode.ACCESS_EXCLUSIVE, reach=reach)
        elif node.removeType in _RELATIONS:
            own = Lock(_names(parts), Mode.ACCESS_EXCLUSIVE)
            if node.removeType != _KIND.OBJECT_INDEX:
                yield replace(own, reach=CHILDREN, dropped=EVERY_FOREIGN_KEY)
            elif node.concurrent:
                yield from (own, replace(own, mode=Mode.SHARE_UPDATE_EXCLUSIVE, of_index=True, waits=own.mode))
            else:
                yield from (own, replace(own, of_index=True, reach=PARTITIONS))


def _comment(node: Any) -> Iterator[Lock]:
    if node.objtype in _RELATIONS:
        yield Lock(_names(node.object), Mode.SHARE_UPDATE_EXCLUSIVE)
    elif node.objtype == _KIND.OBJECT_COLUMN:
        yield Lock(_names(node.object[:-1]), Mode.SHARE_UPDATE_EXCLUSIVE)
    elif node.objtype in _PARTS:
        yield Lock(_names(node.object[:-1]), Mode.ACCESS_SHARE)


def _rename(node: Any) -> Iterator[Lock]:
    if _KIND.OBJECT_TYPE not in (node.renameType, node.relationType):
        soft = node.renameType == _KIND.OBJECT_INDEX
        reach = {_KIND.OBJECT_COLUMN: CHILDREN, _KIND.OBJECT_TRIGGER: PARTITIONS}.get(node.renameType, "")
        yield from _take(node.relation, Mode.SHARE_UPDATE_EXCLUSIVE if soft else Mode.ACCESS_EXCLUSIVE, reach)


def _sequence_owner(node: Any) -> Iterator[Lock]:
    for option in node.options or ():
        if option.defname == "owned_by" and len(option.arg) > 1:
            yield Lock(_names(option.arg[:-1]), Mode.ACCESS_SHARE)


def _reindex(node: Any) -> Iterator[Lock]:
    of_index = node.kind == enums.ReindexObjectType.REINDEX_OBJECT_INDEX
    for lock in _take(node.relation, Mode.SHARE):
        table = replace(lock, of_index=of_index)
        if is_on(node.params, "concurrently"):
            table = replace(table, mode=Mode.SHARE_UPDATE_EXCLUSIVE, waits=Mode.ACCESS_EXCLUSIVE, snapshots=True)
        yield table
        if of_index:
            yield replace(lock, mode=Mode.ACCESS_EXCLUSIVE)


_RECURSING_CONSTRAINTS = (enums.ConstrType.CONSTR_CHECK, enums.ConstrType.CONSTR_FOREIGN)
_QUERIES = (ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)
_RULES: dict[type, Callable[[Any], Iterable[Lock]]] = {
    **dict.fromkeys(_QUERIES, _query),
    ast.AlterExtensionContentsStmt: _comment,
    ast.AlterObjectDependsStmt: lambda node: _take(
        node.relation, Mode.ACCESS_SHARE if node.objectType == _KIND.OBJECT_TRIGGER else Mode.ACCESS_EXCLUSIVE
    ),
    ast.AlterObjectSchemaStmt: lambda node: _take(node.relation, Mode.ACCESS_EXCLUSIVE),
    **dict.fromkeys(
        (ast.AlterPolicyStmt, ast.CreatePolicyStmt),
        lambda node: [*_take(node.table, Mode.ACCESS_EXCLUSIVE), *_query((node.qual, node.with_check))],
    ),
    **dict.fromkeys(
        (ast.AlterPublicationStmt, ast.CreatePublicationStmt),
        lambda node: _take(
            tuple(part.pubtable.relation for part in node.pubobjects or () if part.pubtable),
            Mode.SHARE_UPDATE_EXCLUSIVE,
        ),
    ),
    ast.AlterSeqStmt: lambda node: [*_take(node.sequence, Mode.SHARE_ROW_EXCLUSIVE), *_sequence_owner(node)],
    ast.AlterTableStmt: _alter,
    ast.ClusterStmt: lambda node: _take(node.relation, Mode.ACCESS_EXCLUSIVE),
    ast.CommentStmt: _comment,
    ast.CopyStmt: lambda node: [
        *_take(node.relation, Mode.ROW_EXCLUSIVE if node.is_from else Mode.ACCESS_SHARE),
        *_query(node.query),
    ],
    ast.CreateForeignTableStmt: lambda node: _create(node.base),
    ast.CreateFunctionStmt: _create_function,
    ast.CreateSchemaStmt: _create_schema,
    ast.CreateSeqStmt: _sequence_owner,
    ast.CreateStatsStmt: lambda node: _take(node.relations, Mode.SHARE_UPDATE_EXCLUSIVE),
    ast.CreateStmt: _create,
    ast.CreateTableAsStmt: lambda node: _statement(node.query),
    ast.CreateTrigStmt: lambda node: [
        *_take(node.relation, Mode.SHARE_ROW_EXCLUSIVE, PARTITIONS if node.row else ""),
        *_take(node.constrrel, Mode.ACCESS_SHARE),
    ],
    ast.DeclareCursorStmt: lambda node: _query(node.query),
    ast.DropStmt: _drop,
    ast.ExplainStmt: lambda node: _statement(node.query),
    ast.IndexStmt: lambda node: (
        [Lock(_name(node.relation), Mode.SHARE_UPDATE_EXCLUSIVE, waits=Mode.SHARE, snapshots=True)]
        if node.concurrent
        else _take(node.relation, Mode.SHARE, PARTITIONS)
    ),
    ast.LockStmt: lambda node: _take(node.relations, Mode(node.mode), CHILDREN),
    ast.PrepareStmt: lambda node: _statement(node.query),
    ast.RefreshMatViewStmt: lambda node: _take(
        node.relation, Mode.EXCLUSIVE if node.concurrent else Mode.ACCESS_EXCLUSIVE
    ),
    ast.ReindexStmt: _reindex,
    ast.RenameStmt: _rename,
    ast.RuleStmt: lambda node: [
        *_take(node.relation, Mode.ACCESS_EXCLUSIVE),
        *_query((node.whereClause, node.actions)),
    ],
    ast.SecLabelStmt: _comment,
    ast.TruncateStmt: lambda node: _take(node.relations, Mode.ACCESS_EXCLUSIVE, CHILDREN),
    ast.VacuumStmt: lambda node: _take(
        tuple(table.relation for table in node.rels or ()),
        Mode.ACCESS_EXCLUSIVE if is_on(node.options, "full") else Mode.SHARE_UPDATE_EXCLUSIVE,
        PARTITIONS,
    ),
    ast.ViewStmt: lambda node: [
        *_take(node.view if node.replace else None, Mode.ACCESS_EXCLUSIVE),
        *_query(node.query),
    ],
}


def _statements(names: str) -> tuple[type, ...]:
    """Return the nodes of kinds of statements."""
    return tuple(getattr(ast, f"{name}Stmt") for name in names.split())


# Their text tells nothing about their locks.
_UNREADABLE = _statements("AlterExtension AlterTableMoveAll Call Do DropOwned Execute ReassignOwned")
# They lock no relation, or only relations that they create.
_LOCKS_NOTHING = _statements(
    """AlterCollation AlterDatabaseRefreshColl AlterDatabaseSet AlterDatabase AlterDefaultPrivileges AlterDomain
    AlterEnum AlterEventTrig AlterFdw AlterForeignServer AlterFunction AlterOpFamily AlterOperator AlterOwner
    AlterRoleSet AlterRole AlterStats AlterSubscription AlterSystem AlterTSConfiguration AlterTSDictionary
    AlterTableSpaceOptions AlterType AlterUserMapping CheckPoint ClosePortal CompositeType ConstraintsSet CreateAm
    CreateCast CreateConversion CreateDomain CreateEnum CreateEventTrig CreateExtension CreateFdw
    CreateForeignServer CreateOpClass CreateOpFamily CreatePLang CreateRange CreateRole CreateSubscription
    CreateTableSpace CreateTransform CreateUserMapping Createdb Deallocate Define Discard DropRole DropSubscription
    DropTableSpace DropUserMapping Dropdb Fetch GrantRole Grant ImportForeignSchema Listen Load Notify Transaction
    Unlisten VariableSet VariableShow"""
)
