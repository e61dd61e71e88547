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
    r"(TABLE DATA|TABLE ATTACH|TABLE|MATERIALIZED VIEW DATA|MATERIALIZED VIEW|VIEW|SEQUENCE SET|SEQUENCE OWNED BY|"
    r"SEQUENCE|DEFAULT|FK CONSTRAINT|CHECK CONSTRAINT|CONSTRAINT|INDEX ATTACH|INDEX|TRIGGER|ROW SECURITY|POLICY|RULE|"
    r"STATISTICS|COMMENT|ACL) (.+)"
)
_NAME = re.compile(r'"(?:[^"]|"")*"|[^". ]+')
_OF_TABLE = (
    *("TABLE", "TABLE DATA", "TABLE ATTACH", "ROW SECURITY"),
    *("VIEW", "MATERIALIZED VIEW", "MATERIALIZED VIEW DATA"),
)
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

    A view counts as a table.

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
    what, _, named = tag.removeprefix("MATERIALIZED ").partition(" ")
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
    names = _unquoted(name)
    if not names:
        return ""
    key = f"{schema}.{names[0]}"
    if kind in ("TABLE", "VIEW", "COLUMN"):
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
        missing: tables and views to create, with everything that belongs to them; partitioned tables and also their
            partitions.
        loaded: existing tables of which only the rows are wanted.
        attached: those of `missing` that are partitions of an existing table: they get its indexes and keys.
        lost_keys: (table, name) of foreign keys of other tables to the missing ones, which were dropped with them.
    """
    lines = []
    for line, entry in toc:
        kind, table, name = table_of(entry, manifest)
        if table in missing:
            of_root = kind in ("INDEX", "INDEX ATTACH", "CONSTRAINT", "TRIGGER", "FK CONSTRAINT")
            if not (table in attached and of_root):
                lines.append(line)
        elif (table in loaded and kind in ("TABLE DATA", "SEQUENCE SET")) or (
            kind in ("FK CONSTRAINT", "COMMENT") and (table, _constraint(name)) in lost_keys
        ):
            lines.append(line)
    return lines


def _constraint(name: str) -> str:
    """Return the name of a foreign key; a comment on one names it as `CONSTRAINT name ON table`, with quotes."""
    what, _, named = name.partition(" ")
    return _unquoted(named)[0] if what == "CONSTRAINT" and named else name


def _unquoted(text: str) -> list[str]:
    """Return the names in a text, without their quotes."""
    return [quoted[1:-1].replace('""', '"') if quoted[0] == '"' else quoted for quoted in _NAME.findall(text)]
