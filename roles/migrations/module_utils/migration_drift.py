# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares the catalogs of two databases, object by object. Never looks at a row of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LONGEST = 100  # characters of a definition that is shown; of a longer one it is only said that it differs

# Every object that a migration can make, as kind, name and definition. Privileges are the role database's business, and
# so are its policies (physioflow_...) and what extensions bring. Partitions that the role partitions keeps ahead are
# meant to be more every year.
OBJECTS = """
WITH space AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('information_schema', 'migrations')
),
brought AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
),
kept_ahead AS (
    SELECT c.oid FROM pg_class AS c
    WHERE c.relispartition AND obj_description(c.oid, 'pg_class') LIKE '%(kept ahead)'
),
relation AS (
    SELECT c.*, c.oid::regclass::text AS name, EXISTS (
        SELECT FROM pg_policy WHERE polrelid = c.oid AND polname LIKE 'physioflow\\_%'
    ) AS guarded
    FROM pg_class AS c
    WHERE c.relnamespace IN (SELECT oid FROM space) AND c.relpersistence <> 't'
      AND NOT EXISTS (SELECT FROM brought AS b WHERE b.classid = 'pg_class'::regclass AND b.objid = c.oid)
      AND c.oid NOT IN (SELECT oid FROM kept_ahead)
      AND NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = c.oid AND indrelid IN (SELECT oid FROM kept_ahead))
),
function AS (
    SELECT p.* FROM pg_proc AS p
    WHERE p.pronamespace IN (SELECT oid FROM space)
      AND NOT EXISTS (SELECT FROM brought AS b WHERE b.classid = 'pg_proc'::regclass AND b.objid = p.oid)
),
type AS (
    SELECT t.* FROM pg_type AS t
    WHERE t.typnamespace IN (SELECT oid FROM space) AND t.typtype IN ('e', 'd', 'c', 'r')
      AND (t.typrelid = 0 OR (SELECT relkind FROM pg_class WHERE oid = t.typrelid) = 'c')
      AND NOT EXISTS (SELECT FROM brought AS b WHERE b.classid = 'pg_type'::regclass AND b.objid = t.oid)
)
SELECT 'extension' AS kind, extname::text AS name, extversion AS definition FROM pg_extension
UNION ALL
SELECT 'schema', nspname, '' FROM space
UNION ALL
SELECT 'table', name, concat_ws(', ',
    CASE relkind WHEN 'f' THEN 'foreign' WHEN 'p' THEN 'partitioned by ' || pg_get_partkeydef(oid) ELSE 'ordinary' END,
    CASE relpersistence WHEN 'u' THEN 'unlogged' END,
    pg_get_expr(relpartbound, oid),
    (SELECT 'below ' || string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno)
     FROM pg_inherits WHERE inhrelid = relation.oid),
    CASE WHEN relrowsecurity AND NOT guarded THEN 'row level security' END,
    CASE WHEN relforcerowsecurity AND NOT guarded THEN 'forced' END,
    array_to_string(reloptions, ', '),
    'owner ' || pg_get_userbyid(relowner))
FROM relation WHERE relkind IN ('r', 'p', 'f')
UNION ALL
SELECT 'column', r.name || '.' || quote_ident(a.attname), concat_ws(' ',
    format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || a.attcollation::regcollation END,
    CASE WHEN a.attnotnull THEN 'not null' END,
    CASE a.attidentity WHEN 'a' THEN 'identity always' WHEN 'd' THEN 'identity by default' END,
    CASE WHEN d.adbin IS NOT NULL
         THEN CASE WHEN a.attgenerated <> '' THEN 'generated ' ELSE 'default ' END
              || pg_get_expr(d.adbin, d.adrelid) END)
FROM relation AS r
JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE r.relkind IN ('r', 'p', 'f', 'c')
UNION ALL
SELECT 'constraint', quote_ident(k.conname) || ' on ' || r.name,
    pg_get_constraintdef(k.oid) FROM pg_constraint AS k JOIN relation AS r ON r.oid = k.conrelid
UNION ALL
SELECT 'index', name, pg_get_indexdef(i.indexrelid) || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END
FROM relation JOIN pg_index AS i ON i.indexrelid = relation.oid
WHERE NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'trigger', quote_ident(g.tgname) || ' on ' || r.name,
    pg_get_triggerdef(g.oid) || CASE WHEN g.tgenabled = 'O' THEN '' ELSE ' ' || g.tgenabled::text END
FROM pg_trigger AS g JOIN relation AS r ON r.oid = g.tgrelid WHERE NOT g.tgisinternal
UNION ALL
SELECT 'rule', quote_ident(u.rulename) || ' on ' || r.name, pg_get_ruledef(u.oid)
FROM pg_rewrite AS u JOIN relation AS r ON r.oid = u.ev_class WHERE u.rulename <> '_RETURN'
UNION ALL
SELECT 'policy', quote_ident(l.polname) || ' on ' || r.name, concat_ws(' ', l.polcmd::text, l.polpermissive::text,
    (SELECT string_agg(CASE o WHEN 0 THEN 'public' ELSE pg_get_userbyid(o)::text END, ', ')
     FROM unnest(l.polroles) AS o),
    pg_get_expr(l.polqual, l.polrelid), pg_get_expr(l.polwithcheck, l.polrelid))
FROM pg_policy AS l JOIN relation AS r ON r.oid = l.polrelid
WHERE l.polname NOT LIKE 'physioflow\\_%'
UNION ALL
SELECT CASE relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END, name,
    concat_ws(' ', array_to_string(reloptions, ', '), pg_get_viewdef(oid))
FROM relation WHERE relkind IN ('v', 'm')
UNION ALL
SELECT 'sequence', r.name, concat_ws(' ', format_type(s.seqtypid, NULL), 'from', s.seqstart, 'by', s.seqincrement,
    'in', s.seqmin, 'to', s.seqmax, 'cache', s.seqcache, CASE WHEN s.seqcycle THEN 'cycle' END)
FROM relation AS r JOIN pg_sequence AS s ON s.seqrelid = r.oid
UNION ALL
SELECT 'statistics', x.stxnamespace::regnamespace || '.' || quote_ident(x.stxname), pg_get_statisticsobjdef(x.oid)
FROM pg_statistic_ext AS x WHERE x.stxnamespace IN (SELECT oid FROM space)
UNION ALL
SELECT 'type', t.oid::regtype::text, CASE t.typtype
    WHEN 'e' THEN (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                   FROM pg_enum AS e WHERE e.enumtypid = t.oid)
    WHEN 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod), CASE WHEN t.typnotnull THEN 'not null' END,
                            'default ' || t.typdefault,
                            (SELECT string_agg(pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname)
                             FROM pg_constraint AS k WHERE k.contypid = t.oid))
    ELSE t.typtype::text END
FROM type AS t
UNION ALL
SELECT 'function', p.oid::regprocedure::text,
    CASE WHEN p.prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) ELSE p.prokind::text END
    || ' owner ' || pg_get_userbyid(p.proowner)
FROM function AS p
UNION ALL
SELECT 'collation', o.collnamespace::regnamespace || '.' || quote_ident(o.collname),
    concat_ws(' ', o.collprovider::text, o.colliculocale, o.collcollate, o.collisdeterministic::text)
FROM pg_collation AS o WHERE o.collnamespace IN (SELECT oid FROM space)
UNION ALL
SELECT 'comment', pg_describe_object(c.classoid, c.objoid, c.objsubid), c.description
FROM pg_description AS c
WHERE (c.classoid = 'pg_class'::regclass AND c.objoid IN (SELECT oid FROM relation))
   OR (c.classoid = 'pg_proc'::regclass AND c.objoid IN (SELECT oid FROM function))
   OR (c.classoid = 'pg_type'::regclass AND c.objoid IN (SELECT oid FROM type))
   OR (c.classoid = 'pg_constraint'::regclass
       AND c.objoid IN (SELECT k.oid FROM pg_constraint AS k JOIN relation AS r ON r.oid = k.conrelid))
   OR (c.classoid = 'pg_trigger'::regclass
       AND c.objoid IN (SELECT g.oid FROM pg_trigger AS g JOIN relation AS r ON r.oid = g.tgrelid))
"""

Object = tuple[str, str]


def differences(live: Mapping[Object, str], promised: Mapping[Object, str]) -> list[dict[str, Any]]:
    """Return what differs, `{kind, name, difference}`; a table speaks for its columns and all else on it.

    Args:
        live: definition by kind and name of each object of the database.
        promised: the same of a database that was made by the migrations alone.
    """
    found = []
    for kind, name in sorted({*live, *promised}):
        key = (kind, name)
        if live.get(key) == promised.get(key):
            continue
        if key not in live or key not in promised:
            there = live if key in live else promised
            if _spoken_for(kind, name, there, promised if there is live else live):
                continue
            found.append({"kind": kind, "name": _plain(name), "difference": "not of the migrations"})
            if key not in live:
                found[-1]["difference"] = "missing"
        else:
            found.append({"kind": kind, "name": _plain(name), "difference": _other(live[key], promised[key])})
    return found


def lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each difference."""
    return [f"{one['kind']} {one['name']}: {one['difference']}" for one in found]


def _spoken_for(kind: str, name: str, there: Mapping[Object, str], absent: Mapping[Object, str]) -> bool:
    """Tell whether an object goes with a table that is on one side only."""
    tables = [table for one, table in there if one == "table" and ("table", table) not in absent]
    if kind in ("column", "comment"):
        return any(name.startswith(f"{table}.") or _about(name, table) for table in tables)
    if kind == "index":
        return any(
            f" ON {table} " in there[kind, name] or f" ON ONLY {table} " in there[kind, name] for table in tables
        )
    return any(name.endswith(f" on {table}") for table in tables)


def _about(description: str, table: str) -> bool:
    """Tell whether words like `table x`, `column a of table x` or `constraint c on table x` are about a table."""
    return description.endswith(f"table {table}")


def _plain(name: str) -> str:
    """Return a name without schema public, which is meant where none is named."""
    return name.replace("public.", "")


def _other(live: str, promised: str) -> str:
    """Say how a definition differs, where that is short enough to be read."""
    if max(len(live), len(promised)) > LONGEST:
        return "another definition"
    return f"{_plain(live) or 'nothing'}, promised {_plain(promised) or 'nothing'}"
