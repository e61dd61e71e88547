# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what was done to a database: its history, the rows of each year, its backups and drills. Only reads.

As the status screen does, it neither reads the text of a query nor waits for a lock on a table: rows and sizes are
those that PostgreSQL counted last.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..backup.errors import os_words
from ..backup.settings import Settings
from ..backup.store import Backup, Store
from ..status.look import asker

HISTORY = """
SELECT coalesce(json_agg(json_build_object(
    'act', act, 'version', version, 'name', name, 'release', release, 'run', run_id, 'backup', backup_id,
    'operator', operator, 'controller', controller, 'ms', duration_ms::float8,
    'at', to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')) ORDER BY id), '[]')::text AS j
FROM migrations.history
"""

# Partitions of the tables that are partitioned by date, with their indexes and TOAST; the last day is not in it.
_YEARS = r"""
SELECT json_agg(y ORDER BY y.table, y.first) FROM (
    SELECT root.relname AS table, days[1] AS first, days[2] AS after, s.n_live_tup AS rows, (
               SELECT sum(p.relpages::bigint) FROM pg_class AS p
               WHERE p.oid IN (part.oid, part.reltoastrelid)
                  OR p.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid IN (part.oid, part.reltoastrelid))
           ) * current_setting('block_size')::bigint AS bytes
    FROM pg_inherits
    JOIN pg_class AS root ON root.oid = inhparent
    JOIN pg_namespace AS n ON n.oid = root.relnamespace AND n.nspname = 'public'
    JOIN pg_class AS part ON part.oid = inhrelid AND part.relkind = 'r'
    JOIN pg_stat_user_tables AS s ON s.relid = part.oid,
    LATERAL (SELECT regexp_match(pg_get_expr(part.relpartbound, 0),
        'FROM \(''(\d{4}-\d\d-\d\d)''\) TO \(''(\d{4}-\d\d-\d\d)''\)') AS days) AS bound
    WHERE days IS NOT NULL
) AS y
"""

# The status screen lists the oldest of them; these are all of the application's.
FIGURES = f"""
WITH sessions AS (
    SELECT * FROM pg_stat_activity
    WHERE datname = current_database() AND usesysid IS NOT NULL AND application_name NOT LIKE 'physioflow%'
)
SELECT json_build_object(
    'has_history', to_regclass('migrations.history') IS NOT NULL,
    'years', coalesce(({_YEARS}), '[]'),
    'waiting', (SELECT count(*) FROM sessions WHERE pid IN (SELECT pid FROM pg_locks WHERE NOT granted)),
    'open', (SELECT count(*) FROM sessions WHERE xact_start IS NOT NULL)
        + (SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()))::text AS j
"""


def look_at_database(cursor: Any) -> dict[str, Any]:
    """Return {acts, years, waiting, open}: history, partitions by day, sessions that wait, open transactions.

    Args:
        cursor: of a connection in autocommit mode, whose rows are tuples or dictionaries.
    """
    ask = asker(cursor)
    figures = ask(FIGURES)
    return {"acts": ask(HISTORY) if figures.pop("has_history") else [], **figures}


def look_at_backups(database: str, directory: Path, bin_dir: Path) -> dict[str, Any]:
    """Return {backups, drills, problem}; the oldest first, times are ISO 8601 in UTC.

    Args:
        database: whose backups.
        directory: where they are; there may be none.
        bin_dir: of PostgreSQL's programs.
    """
    store = Store(Settings(database=database, directory=directory, bin_dir=bin_dir))
    try:
        backups = store.backups()
        drills = [
            {key: record.get(key) for key in ("at", "ok", "seconds", "from")} | {"backup": backup.id}
            for backup in backups
            for record in backup.manifest.get("drills", [])
        ]
        return {
            "backups": [_described(backup) for backup in backups],
            "drills": sorted(drills, key=lambda record: record["at"]),
            "problem": "",
        }
    except OSError as error:
        return {"backups": [], "drills": [], "problem": os_words(error)}


def _described(backup: Backup) -> dict[str, Any]:
    if backup.damage:
        return {"id": backup.id, "damaged": True}
    manifest = backup.manifest
    return {
        "id": backup.id,
        "damaged": False,
        "at": manifest["finished_at"],
        "bytes": backup.size,
        "rows": sum(table["rows"] for table in manifest["tables"]),
        "whole": manifest["scope"] == "database",
        "verified": manifest["status"] == "verified",
        "why": manifest["why"],
        "off_host": (manifest["off_host"] or {}).get("at"),
    }
