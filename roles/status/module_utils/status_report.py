# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks a database what runs on it, and says it in lines for a person. No text of a query is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Sessions of runs carry the name of the file that they are at.
RUNS = """
SELECT json_agg(json_build_object(
    'pid', a.pid, 'application', a.application_name, 'state', a.state, 'wait', a.wait_event,
    'age', round(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.query_start)))::int,
    'blockers', (SELECT json_agg(json_build_object(
            'pid', b.pid, 'user', b.usename, 'application', b.application_name, 'state', b.state,
            'age', round(extract(epoch FROM clock_timestamp() - CASE b.state
                WHEN 'active' THEN b.query_start ELSE b.state_change END))::int) ORDER BY b.pid)
        FROM pg_stat_activity AS b WHERE b.pid = ANY (pg_blocking_pids(a.pid))),
    'progress', (SELECT json_agg(p) FROM (
        SELECT lower(command) AS command, phase, relid::regclass::text AS relation,
               CASE WHEN blocks_total > 0 THEN 100.0 * blocks_done / blocks_total
                    WHEN tuples_total > 0 THEN 100.0 * tuples_done / tuples_total
                    WHEN lockers_total > 0 THEN 100.0 * lockers_done / lockers_total END AS percent
        FROM pg_stat_progress_create_index WHERE pid = a.pid
        UNION ALL
        SELECT 'vacuum', phase, relid::regclass::text, 100.0 * heap_blks_scanned / nullif(heap_blks_total, 0)
        FROM pg_stat_progress_vacuum WHERE pid = a.pid
        UNION ALL
        SELECT lower(command), phase, relid::regclass::text, 100.0 * heap_blks_scanned / nullif(heap_blks_total, 0)
        FROM pg_stat_progress_cluster WHERE pid = a.pid
        UNION ALL
        SELECT 'analyze', phase, relid::regclass::text, 100.0 * sample_blks_scanned / nullif(sample_blks_total, 0)
        FROM pg_stat_progress_analyze WHERE pid = a.pid
        UNION ALL
        SELECT lower(command), 'copying', relid::regclass::text, 100.0 * bytes_processed / nullif(bytes_total, 0)
        FROM pg_stat_progress_copy WHERE pid = a.pid) AS p)
    ) ORDER BY a.backend_start)::text AS j
FROM pg_stat_activity AS a
WHERE a.datname = current_database() AND a.application_name LIKE 'physioflow%' AND a.pid <> pg_backend_pid()
"""
HAS_HISTORY = "SELECT to_json(to_regclass('migrations.history') IS NOT NULL)::text AS j"
HISTORY = """
SELECT json_build_object(
    'applied', (SELECT count(*) FROM migrations.applied),
    'newest', (SELECT json_build_object('version', version, 'name', name, 'at', started_at::text)
               FROM migrations.applied ORDER BY id DESC LIMIT 1),
    'in_doubt', (SELECT json_agg(version || '_' || name || '.sql' ORDER BY version)
                 FROM (SELECT DISTINCT ON (version) * FROM migrations.history ORDER BY version, id DESC) AS newest
                 WHERE act = 'start'))::text AS j
"""


def report(database: str, history: Mapping[str, Any] | None, runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines to show.

    Args:
        database: its name.
        history: {applied, newest, in_doubt}; None where there is no history.
        runs: the sessions of runs: {pid, application, state, wait, age, blockers, progress}.
    """
    lines = [f"Database       {database}"]
    if history is None:
        lines.append("Migrations     no history")
    else:
        newest = history["newest"]
        last = f", the newest {newest['version']} {newest['name']} at {newest['at']}" if newest else ""
        lines.append(f"Migrations     {history['applied']} applied{last}")
    lines += [line for run in runs for line in run_lines(run)]
    # A file that runs right now has begun and not ended either.
    running = {run["application"].removeprefix("physioflow ") for run in runs}
    doubt = [file for file in (history or {}).get("in_doubt") or () if file.removesuffix(".sql")[:52] not in running]
    lines += [
        f"In doubt       {file} began and did not end: run the deploy again, it says what to do" for file in doubt
    ]
    return lines if runs else [*lines, "Running        nothing"]


def run_lines(run: Mapping[str, Any]) -> list[str]:
    """Say what one session is at: its file, for how long, how far, and for whom it waits."""
    file = run["application"].removeprefix("physioflow ").removeprefix("physioflow-")
    age = "" if run["age"] is None else f" for {run['age']} s"
    lines = [f"Running        {file}{age} (pid {run['pid']}{'' if run['state'] == 'active' else ', ' + run['state']})"]
    for step in run["progress"] or ():
        percent = "" if step["percent"] is None else f", {step['percent']:.0f} %"
        lines.append(f"               {step['command']} on {step['relation']}: {step['phase']}{percent}")
    for blocker in run["blockers"] or ():
        lines.append(
            f"               waits for pid {blocker['pid']}, user {blocker['user']}, application "
            f"{blocker['application'] or '(none)'}, {blocker['state']} for {blocker['age']} s"
        )
    return lines
