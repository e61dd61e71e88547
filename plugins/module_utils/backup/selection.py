# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Selects the entries of single tables from the table of contents of a dump. Pure.

pg_restore's own --table restores neither indexes nor keys, and no rows of a partitioned table.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

# An entry of pg_restore -l: kind, schema, tag, owner. None of them is quoted, and names may contain spaces.
_KIND = re.compile(
    r"(TABLE DATA|TABLE ATTACH|TABLE|SEQUENCE SET|SEQUENCE OWNED BY|SEQUENCE|DEFAULT|FK CONSTRAINT|CHECK CONSTRAINT|"
    r"CONSTRAINT|INDEX ATTACH|INDEX|TRIGGER|ROW SECURITY|POLICY|RULE|STATISTICS|COMMENT|ACL) (.+)"
)
_NAME = re.compile(r'"(?:[^"]|"")*"|[^". ]+')
_OF_TABLE = ("TABLE", "TABLE DATA", "TABLE ATTACH", "ROW SECURITY")
_IN_TABLE = ("DEFAULT", "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "TRIGGER", "POLICY", "RULE")
_NAMED = {
    "INDEX": "INDEX",
    "INDEX ATTACH": "INDEX",
    "SEQUENCE": "SEQUENCE",
    "SEQUENCE SET": "SEQUENCE",
    "SEQUENCE OWNED BY": "SEQUENCE",
    "STATISTICS": "STATISTICS",
}


def table_of(entry: str, manifest: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return kind, table (schema.name) and name of an entry; the table is empty for an entry without table.

    Args:
        entry: a description from `archive.entries`.
        manifest: its maps tell the table of an index, a sequence and extended statistics.
    """
    match = _KIND.fullmatch(entry)
    if not match:
        return "", "", ""
    kind, rest = match.groups()
    schema, tag = _schema_and_tag(rest, manifest)
    if kind in _OF_TABLE:
        return kind, f"{schema}.{tag}", tag
    if kind in _IN_TABLE:
        table, name = _in_table(f"{schema}.{tag}", manifest)
        return kind, table, name
    # Comments and privileges name their object with quotes; other entries name themselves without quotes.
    if kind in _NAMED:
        return kind, _of_other(f"{schema}.{tag}", _NAMED[kind], manifest), tag
    what, _, named = tag.partition(" ")
    return kind, _of_named(schema, what, named, manifest), tag


def _schema_and_tag(rest: str, manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Split `schema tag owner`, by the known names."""
    schemas = {table["schema"] for table in manifest["tables"]} | {
        place[0] for place in manifest.get("places", {}).values()
    }
    schema = max((name for name in schemas if rest.startswith(f"{name} ")), key=len, default=rest.partition(" ")[0])
    rest = rest[len(schema) + 1 :]
    owner = max((name for name in manifest.get("roles", ()) if rest.endswith(f" {name}")), key=len, default="")
    return schema, rest[: -len(owner) - 1] if owner else rest.rpartition(" ")[0]


def _in_table(tag: str, manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Split `schema.table name` by the known tables, because both parts may contain spaces and are not quoted."""
    known = [*(f"{table['schema']}.{table['name']}" for table in manifest["tables"]), *manifest["partitioned"]]
    table = max((key for key in known if tag.startswith(f"{key} ")), key=len, default="")
    return table, tag[len(table) + 1 :]


def _of_named(schema: str, kind: str, name: str, manifest: Mapping[str, Any]) -> str:
    """Return the table of an object, named as in a comment."""
    names = [quoted[1:-1].replace('""', '"') if quoted[0] == '"' else quoted for quoted in _NAME.findall(name)]
    if not names:
        return ""
    key = f"{schema}.{names[0]}"
    if kind in ("TABLE", "COLUMN"):
        return key
    if kind in ("CONSTRAINT", "TRIGGER", "POLICY", "RULE"):  # NAME ON TABLE
        return f"{schema}.{names[-1]}"
    return _of_other(key, kind, manifest)


def _of_other(key: str, kind: str, manifest: Mapping[str, Any]) -> str:
    """Return the table of an index, a sequence or extended statistics."""
    if kind == "INDEX":
        return str(manifest["indexes"].get(key, ""))
    if kind == "SEQUENCE":
        return (manifest["sequences"].get(key) or {}).get("table") or ""
    return str(manifest["statistics"].get(key, "")) if kind == "STATISTICS" else ""


def _commented_constraint(tag: str) -> str:
    """Return the name of the constraint that a comment is about; empty for other objects."""
    what, _, named = tag.partition(" ")
    name = next(iter(_NAME.findall(named)), "") if what == "CONSTRAINT" else ""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def select(
    toc: Iterable[tuple[str, str]],
    manifest: Mapping[str, Any],
    *,
    missing: Collection[str],
    loaded: Collection[str],
    attached: Collection[str],
    lost_keys: Collection[tuple[str, str]],
) -> list[str]:
    """Return the lines of a table of contents that restore single tables, in its order.

    Args:
        toc: lines and descriptions, from `archive.entries`.
        manifest: the manifest of the backup.
        missing: tables to create, with everything that belongs to them; partitioned tables and also their partitions.
        loaded: existing tables of which only the rows are wanted.
        attached: those of `missing` that are partitions of an existing table: they get its indexes and keys.
        lost_keys: (table, name) of foreign keys of other tables to the missing ones, which were dropped with them,
            with their comments.
    """
    lines = []
    for line, entry in toc:
        kind, table, name = table_of(entry, manifest)
        lost = kind == "FK CONSTRAINT" and (table, name) in lost_keys
        lost = lost or (kind == "COMMENT" and (table, _commented_constraint(name)) in lost_keys)
        if table in missing:
            of_root = kind in ("INDEX", "INDEX ATTACH", "CONSTRAINT", "TRIGGER", "FK CONSTRAINT")
            if not (table in attached and of_root):
                lines.append(line)
        elif lost or (table in loaded and kind in ("TABLE DATA", "SEQUENCE SET")):
            lines.append(line)
    return lines
