# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Describes the statements of a file without transaction, so that their progress can be checked later.

Runs on the controller, which has the parser. After an interruption, `doubt.py` looks up these descriptions in the
catalogs of the database. A statement that leaves no trace in the catalogs must be alone in its file.
"""

from __future__ import annotations

from typing import Any

from pglast import ast, enums
from pglast.stream import RawStream

from ..sql import identifier

PROBE = "physioflow_probe"  # a temporary copy of a table; an index on it gives a definition to compare

# Kinds of statements. The catalogs show created and dropped objects; a REPEAT statement can simply run again.
# A WHOLE statement is done or not done, and an error leaves nothing of it. A STEPS statement may commit in between.
INDEX, DROP, VALUE, REINDEX, REPEAT = "index", "drop", "value", "reindex", "repeat"
WHOLE, STEPS = "whole", "steps"


def describe(node: Any, line: int) -> dict[str, Any]:
    """Return the description of a statement: {line, kind, ...}."""
    return {"line": line} | _described(node)


def undecidable(steps: list[dict[str, Any]]) -> tuple[int, str] | None:
    """Return line and reason if a file of several statements could not be resolved after an interruption, or None."""
    made: set[str] = set()
    for step in steps:
        if step["kind"] in (WHOLE, STEPS):
            return step["line"], (
                "in a file without transaction, this statement must be the only one: after an interruption, it "
                "would be unknown whether it was executed. Split the file."
            )
        made |= {identifier(step["name"])} if step["kind"] == INDEX else set()
        dropped = {identifier(name.rpartition(".")[2].strip('"')) for name in step.get("names", ())}
        if dropped & made:
            return step["line"], (
                f"the file creates and drops the index {', '.join(dropped & made)}: after an interruption, it would "
                "be unknown which of the two was executed. Split the file."
            )
    return None


def _described(node: Any) -> dict[str, Any]:
    """Return kind and names of a statement."""
    if isinstance(node, ast.IndexStmt) and node.idxname:
        table = identifier(node.relation.schemaname, node.relation.relname)
        return {"kind": INDEX, "name": node.idxname, "table": table, "probe": _probe(node)}
    if isinstance(node, ast.DropStmt) and node.removeType == enums.ObjectType.OBJECT_INDEX:
        return {"kind": DROP, "names": [identifier(*(part.sval for part in names)) for names in node.objects]}
    if isinstance(node, ast.AlterEnumStmt) and node.newVal and not node.oldVal:
        kind = REPEAT if node.skipIfNewValExists else VALUE
        return {"kind": kind, "type": identifier(*(part.sval for part in node.typeName)), "value": node.newVal}
    if isinstance(node, ast.ReindexStmt):
        return {"kind": REINDEX} | _reindexed(node)
    if isinstance(node, ast.VacuumStmt | ast.AlterSystemStmt | ast.CommentStmt):
        return {"kind": REPEAT}
    detaches = isinstance(node, ast.AlterTableStmt) and any(
        command.subtype == enums.AlterTableType.AT_DetachPartition for command in node.cmds
    )
    # CALL and DO may commit; DETACH PARTITION CONCURRENTLY has two transactions.
    return {"kind": STEPS if detaches or isinstance(node, ast.CallStmt | ast.DoStmt) else WHOLE}


def _reindexed(node: Any) -> dict[str, str]:
    """Return the scope of a REINDEX: a relation, a schema, or the whole database."""
    if node.relation:
        return {"relation": identifier(node.relation.schemaname, node.relation.relname)}
    return {"schema": identifier(node.name)} if node.kind == enums.ReindexObjectType.REINDEX_OBJECT_SCHEMA else {}


def _probe(node: Any) -> str:
    """Return the statement that creates the same index on the temporary copy of its table."""
    changed = {"concurrent": False, "if_not_exists": False, "tableSpace": None}
    changed["relation"] = ast.RangeVar(schemaname="pg_temp", relname=PROBE, inh=True, relpersistence="p")
    values = {name: getattr(node, name) for name in node.__slots__} | changed
    return str(RawStream()(ast.IndexStmt(**values)))
