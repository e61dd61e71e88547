# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the sessions that blocked a migration, describes them, and ends them on request.

The description leaves out the query text, which may hold a patient's data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Who blocks the locks, the surest answer first. Only the first answer that finds a session counts:
#   1 sessions with a conflicting lock on a relation that the statement certainly locks: the relation itself, the
#     table of an index, partitions and children where the lock includes them, and the table at the other end of a
#     foreign key that it drops, by name or with its table ('*', locks.EVERY_FOREIGN_KEY)
#   2 sessions with an older snapshot, where the statement waits for all of them
#   3 the same as 1 for relations that it may lock: other partitions and parents, tables connected by another foreign
#     key (ALTER and DROP lock them too), and relations that its text does not tell
#   4 sessions that may hold a row lock: they have written, and have locked rows of one of the relations
BLOCKERS = """
WITH RECURSIVE need AS (
    SELECT CASE WHEN n.of_index THEN i.indrelid ELSE r.oid END AS relation, n.modes, coalesce(n.reach, '') AS reach,
           n.uncertain IS NOT TRUE AS certain, n.dropped
    FROM jsonb_to_recordset(%(needs)s::jsonb)
         AS n (relation text, modes text[], of_index boolean, reach text, uncertain boolean, dropped text[])
    CROSS JOIN to_regclass(n.relation) AS r (oid)
    LEFT JOIN pg_index AS i ON i.indexrelid = r.oid
    WHERE CASE WHEN n.of_index THEN i.indrelid ELSE r.oid END IS NOT NULL
), near (relation, modes, reach, certain) AS (
    (SELECT relation, modes, reach, certain FROM need
     UNION SELECT k.confrelid, n.modes, '', n.certain
         FROM need AS n JOIN pg_constraint AS k ON k.conrelid = n.relation AND k.contype = 'f'
         WHERE k.conname = ANY (n.dropped) OR '*' = ANY (n.dropped))
    UNION SELECT c.oid, n.modes, n.reach,
                 n.certain AND (n.reach = 'children' OR n.reach = 'partitions' AND c.relispartition)
    FROM near AS n JOIN pg_inherits AS i ON i.inhparent = n.relation JOIN pg_class AS c ON c.oid = i.inhrelid
), wide (certainty, relation, modes) AS (
    SELECT CASE WHEN certain THEN 1 ELSE 3 END, relation, modes FROM near
    UNION SELECT 3, i.inhparent, modes FROM near JOIN pg_inherits AS i ON i.inhrelid = relation
    UNION SELECT 3, CASE relation WHEN conrelid THEN confrelid ELSE conrelid END, modes
        FROM near JOIN pg_constraint ON relation IN (conrelid, confrelid) AND contype = 'f'
        WHERE 'RowExclusiveLock' = ANY (modes)
    UNION SELECT 4, relation, ARRAY['RowShareLock', 'RowExclusiveLock'] FROM near
), found AS (
    SELECT w.certainty, l.pid, string_agg(DISTINCT l.mode || ' on ' || l.relation::regclass, ', ') AS held
    FROM wide AS w
    JOIN pg_locks AS l ON l.relation = w.relation AND l.granted AND l.locktype = 'relation' AND l.mode = ANY (w.modes)
    JOIN pg_database AS d ON d.oid = l.database AND d.datname = current_database()
    GROUP BY 1, 2
    UNION ALL
    SELECT 2, pid, 'an older snapshot' FROM pg_stat_activity
    WHERE %(snapshots)s AND datname = current_database() AND backend_xmin IS NOT NULL
), others AS (
    SELECT f.certainty, f.held, a.* FROM found AS f JOIN pg_stat_activity AS a USING (pid)
    WHERE pid <> pg_backend_pid() AND (f.certainty <> 4 OR a.backend_xid IS NOT NULL)
)
SELECT certainty IN (1, 2) AS certain, pid, held, backend_start::text AS backend_start,
       format('pid %%s, user %%s, application %%s, %%s%%s%%s, %%s %%s', pid, coalesce(usename, 'unknown'),
              coalesce(nullif(application_name, ''), '(none)'), coalesce(state, 'state unknown'),
              ' for ' || round(extract(epoch FROM clock_timestamp() - CASE state
                  WHEN 'active' THEN query_start ELSE state_change END))::int || ' s',
              ', in a transaction for ' || round(extract(epoch FROM clock_timestamp() - xact_start))::int || ' s',
              CASE WHEN certainty IN (1, 2) THEN 'holds' ELSE 'may be the blocker: it holds' END, held) AS words
FROM others WHERE certainty = (SELECT min(certainty) FROM others)
ORDER BY xact_start, pid
"""
TERMINATE = """
SELECT pg_terminate_backend(pid, 5000) AS ended FROM pg_stat_activity
WHERE pid = %(pid)s AND backend_start = %(backend_start)s::timestamptz
"""


@dataclass(frozen=True)
class Blocker:
    """A session that a migration waited for, as BLOCKERS finds it."""

    certain: bool
    pid: int
    held: str
    backend_start: str
    words: str

    def __str__(self) -> str:
        """Return the description by which a DBA finds the session, without its query."""
        return self.words


def find_blockers(cursor: Any, needs: Sequence[Mapping[str, Any]]) -> list[Blocker]:
    """Return the sessions that hold the locks for which a statement waited.

    Args:
        cursor: of a connection to the database of the migration.
        needs: the locks of the statement, as `locks.Lock.as_need` describes them.
    """
    snapshots = any(need.get("snapshots") for need in needs)
    cursor.execute(BLOCKERS, {"needs": json.dumps(needs), "snapshots": snapshots})
    return [Blocker(**dict(row)) for row in cursor.fetchall()]


def terminate(cursor: Any, blockers: Sequence[Blocker]) -> list[str]:
    """End the sessions that certainly block; return a sentence for each, also for those that could not be ended."""
    sentences = []
    for blocker in blockers:
        if not blocker.certain:
            continue
        try:
            cursor.execute(TERMINATE, {"pid": blocker.pid, "backend_start": blocker.backend_start})
            ended = [dict(row)["ended"] for row in cursor.fetchall()]
        except Exception as error:  # psycopg's and psycopg2's errors share no other ancestor
            words = getattr(getattr(error, "diag", None), "message_primary", None) or "permission denied"
            sentences.append(f"NOT TERMINATED ({words}): {blocker}")
            continue
        if ended:
            sentences.append(f"TERMINATED: {blocker}" if ended[0] else f"NOT TERMINATED in 5 s: {blocker}")
    return sentences
