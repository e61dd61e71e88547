# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the functions that fail during a restore, because PostgreSQL restores with an empty search_path.

A restore fills materialized views, builds indexes, computes generated columns and checks rows. A function in one of
these that names a table without its schema works in a session of the application, but fails in a restore. pg_depend
tells which functions are used. For SQL functions, the server parses the body again with an empty search_path, in a
transaction that is rolled back. PL/pgSQL resolves names only at run time, so such a function is only known to be at
risk.
"""

from __future__ import annotations

from typing import Any

from .database import Session
from .errors import ServerError

# From objects that a restore computes, through views, operators, casts and functions with a parsed body, to functions.
_CALLED = """
WITH RECURSIVE used (classid, objid, what) AS (
    SELECT 'pg_rewrite'::regclass::oid, r.oid, 'materialized view ' || c.oid::regclass
    FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class WHERE c.relkind = 'm'
    UNION ALL
    SELECT 'pg_constraint'::regclass, oid, format('constraint %I on %s', conname,
        CASE conrelid WHEN 0 THEN contypid::regtype::text ELSE conrelid::regclass::text END)
    FROM pg_constraint WHERE contype IN ('c', 'x')
    UNION ALL
    SELECT 'pg_class'::regclass, indexrelid, 'index ' || indexrelid::regclass FROM pg_index
    UNION ALL
    SELECT 'pg_class'::regclass, partrelid, 'partition key of ' || partrelid::regclass FROM pg_partitioned_table
    UNION ALL
    SELECT 'pg_attrdef'::regclass, d.oid, format('generated column %s.%I', attrelid::regclass, attname)
    FROM pg_attrdef AS d JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum WHERE attgenerated <> ''
    UNION
    SELECT next.classid, next.objid, u.what
    FROM used AS u CROSS JOIN LATERAL (
        SELECT refclassid AS classid, refobjid AS objid FROM pg_depend
        WHERE classid = u.classid AND objid = u.objid AND refobjid >= 16384
          AND (refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_cast'::regclass)
               OR refclassid = 'pg_class'::regclass AND EXISTS (
                   SELECT FROM pg_class WHERE oid = refobjid AND relkind = 'v'))
        UNION ALL
        SELECT 'pg_rewrite'::regclass, oid FROM pg_rewrite WHERE u.classid = 'pg_class'::regclass AND ev_class = u.objid
    ) AS next
)
SELECT p.oid, p.oid::regprocedure::text AS name, lanname AS language, min(u.what) AS what,
       CASE WHEN p.prokind IN ('f', 'w') THEN pg_get_functiondef(p.oid) END AS definition,
       CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind
FROM used AS u JOIN pg_proc AS p ON u.classid = 'pg_proc'::regclass AND u.objid = p.oid
JOIN pg_language AS l ON l.oid = p.prolang
WHERE lanname IN ('sql', 'plpgsql') AND p.prosqlbody IS NULL AND p.prokind IN ('f', 'w')
  AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search_path=%')
  AND NOT EXISTS (SELECT FROM pg_depend AS d
                  WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
GROUP BY p.oid, lanname ORDER BY 2
"""


def called_functions(session: Session) -> list[dict[str, Any]]:
    """Return the functions that a restore runs and that set no search_path themselves.

    Each has name, language, what (uses it), and `fails`: the server's error without a search_path; empty where it does
    not fail, None where only running it would tell.
    """
    session.execute("SET search_path = ''")
    found: list[dict[str, Any]] = session.rows(_CALLED)
    for row in found:
        row["fails"] = _problem(session, row["definition"]) if row["language"] == "sql" else None
    session.pin()
    return found


def _problem(session: Session, definition: str) -> str:
    session.execute(
        "BEGIN; SET LOCAL search_path = ''; SET LOCAL check_function_bodies = on; SET LOCAL lock_timeout = '5s'"
    )
    try:
        session.execute(definition)
    except ServerError as error:
        # Undefined names only: 42501, because we do not own the function, does not matter in a restore.
        return str(error) if error.state.startswith("42") and error.state != "42501" else ""
    finally:
        session.execute("ROLLBACK")
    return ""


def warnings(session: Session, database: str) -> list[str]:
    """Return a sentence for each function that prevents a restore, with the remedy."""
    return [
        f"No backup of {database} can be restored: the {row['what']} calls {row['name']}, and PostgreSQL restores with "
        f"an empty search_path, where it fails: {row['fails']}. Next: {remedy(row)} in a migration; backups that are "
        "taken after that can be restored."
        for row in called_functions(session)
        if row["fails"]
    ]


def explanation(session: Session) -> str:
    """Return why pg_restore may have failed in a partly restored database; empty where the cause is unknown."""
    found = called_functions(session)
    if certain := [row for row in found if row["fails"]]:
        told = "; ".join(f"the {row['what']} calls {row['name']}, which fails: {row['fails']}" for row in certain)
        words = f"PostgreSQL restores with an empty search_path, and {told}."
        rows = certain
    elif rows := [row for row in found if row["fails"] is None]:
        told = ", ".join(f"{row['name']} (of the {row['what']})" for row in rows)
        words = f"It may be one of the functions that name tables without their schema: {told}."
    else:
        return ""
    remedies = "; ".join(remedy(row) for row in rows)
    return (
        f" {words} A new backup of the same functions cannot help. Next: in the live database {remedies}, then take a "
        "backup."
    )


def remedy(row: dict[str, Any]) -> str:
    """Return the statement by which a function finds its tables in a restore."""
    return f"ALTER {row['kind']} {row['name']} SET search_path = public, pg_temp"
