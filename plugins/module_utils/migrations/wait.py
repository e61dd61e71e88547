# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waits for the end of another run of migrations, or describes that run.

It polls with separate statements. A statement that waited for the lock would hold a snapshot, and CREATE INDEX
CONCURRENTLY of the other run would wait for that snapshot in turn.
"""

from __future__ import annotations

import time
from typing import Any

ASK = 0.2  # seconds between two polls
KEY = "hashtextextended('migrations.history', 0)"
# Taken and released at once. The run itself takes the lock again and keeps it, and checks that its plan still holds.
IS_FREE = f"SELECT pg_try_advisory_lock({KEY}) AS free"
GIVE_BACK = f"SELECT pg_advisory_unlock({KEY})"
SECONDS = "SELECT extract(epoch FROM %(wait)s::interval)::float8 AS seconds"
HOLDER = f"""
SELECT format('another run holds the lock of the migrations: pid %s, user %s, application %s, from %s, since %s',
              a.pid, a.usename, a.application_name, coalesce(a.client_addr::text, 'this host'),
              a.backend_start) AS words
FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = {KEY}
"""  # noqa: S608 - built from constants


def wait_for_run(cursor: Any, wait: str) -> tuple[float, str]:
    """Wait until no other run holds the lock of the migrations.

    Args:
        cursor: of a connection in autocommit.
        wait: how long, as an interval of PostgreSQL.

    Returns:
        The seconds waited, and a sentence about the holder where the lock is still held after that time.
    """
    cursor.execute(SECONDS, {"wait": wait})
    begun = time.monotonic()
    deadline = begun + dict(cursor.fetchone())["seconds"]
    while True:
        cursor.execute(IS_FREE)
        if dict(cursor.fetchone())["free"]:
            cursor.execute(GIVE_BACK)
            return time.monotonic() - begun, ""
        if time.monotonic() >= deadline:
            cursor.execute(HOLDER)
            row = cursor.fetchone()
            gone = "another run held the lock of the migrations a moment ago"
            return time.monotonic() - begun, dict(row)["words"] if row else gone
        time.sleep(ASK)
