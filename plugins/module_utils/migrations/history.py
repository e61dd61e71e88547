# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the history of migrations from a database, for the modules of this role."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.community.postgresql.plugins.module_utils.postgres import pg_cursor_args

from ..server import UnreachableError, connection_argument_spec, open_session

STATE = """
SELECT to_regclass('migrations.history') IS NOT NULL AS has_history,
       coalesce(substring(obj_description(to_regnamespace('migrations'), 'pg_namespace')
                          FROM 'format ([0-9]+)$')::int, 0) AS format,
       (SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'public') AS tables,
       split_part(current_setting('server_version'), ' ', 1) AS server_version
"""
APPLIED = """
SELECT version, name, sha256, sha256_raw, act, run_id::text, backup_id, release, started_at::text,
       duration_ms::float8 AS duration_ms
FROM migrations.applied ORDER BY version
"""
# The newest act of each version. An attempt that left nothing behind (start, fail) does not count.
NEWEST = """(
    SELECT DISTINCT ON (version) * FROM migrations.history AS h
    WHERE act <> 'fail' AND NOT (act = 'start' AND EXISTS (
        SELECT FROM migrations.history AS f WHERE f.act = 'fail' AND f.version = h.version AND f.id > h.id))
    ORDER BY version, id DESC
) AS newest"""
IN_DOUBT = f"SELECT version, name, started_at::text, sha256, run_id::text FROM {NEWEST} WHERE act = 'start'"  # noqa: S608 - built from constants
# Ends an attempt that left nothing behind, unless another run has begun the file since.
FAIL = f"""
INSERT INTO migrations.history (act, version, name, description, sha256, sha256_raw, release, run_id, backup_id,
                                reason, operator, controller, started_at, duration_ms)
SELECT 'fail', version, name, description, sha256, sha256_raw, release, run_id, backup_id, reason,
       operator, controller, started_at, round(extract(epoch FROM clock_timestamp() - started_at) * 1000, 1)
FROM {NEWEST} WHERE act = 'start' AND version = %(version)s AND run_id = %(run_id)s::uuid
"""  # noqa: S608 - built from constants
# Indexes that a statement outside of a transaction left behind.
INVALID = """
SELECT format('%I.%I', c.relnamespace::regnamespace, c.relname) AS name
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relkind = 'i' ORDER BY 1
"""
REPEATED = """
SELECT version, name, sha256, sha256_raw, act, run_id::text, backup_id, release, started_at::text,
       duration_ms::float8 AS duration_ms
FROM (
    SELECT DISTINCT ON (name) * FROM migrations.history
    WHERE act = 'repeat' -- a rollback may have taken views and functions along: then all are due again
      AND id > (SELECT coalesce(max(id), 0) FROM migrations.history WHERE act = 'rollback')
    ORDER BY name, id DESC
) AS newest
ORDER BY id
"""
# Messages of a server that will accept connections soon.
COMES_BACK = (
    "starting up",
    "in recovery mode",
    "not yet accepting connections",
    "Connection refused",
    "shutting down",
    "server closed the connection unexpectedly",  # a crash ends sessions that were just opened
)
ASK = 0.3  # seconds between two tries
FULL = ("too many clients", "remaining connection slots")
FREE = "all connections of the server are in use; close some of them or raise max_connections"
FORMAT = 4  # of the history that files/history.sql makes
ROLLED_BACK = f"SELECT version, name, run_id::text FROM {NEWEST} WHERE act = 'rollback'"  # noqa: S608 - built from constants


@dataclass
class History:
    """The history of migrations in a database.

    Attributes:
        exists: whether the database has the schema migrations.
        tables: number of tables in schema public.
        applied: rows of the view migrations.applied.
        format: version of the history format, from files/history.sql.
        repeated: the newest row of each repeatable file since the last rollback.
        in_doubt: files without transaction whose beginning is recorded, but not their end.
        rolled_back: the newest row of versions that were rolled back and not applied again since.
        invalid: names of INVALID indexes, where a file is in doubt.
        server_version: for instance 16.14; empty where there is no server yet.
    """

    exists: bool = False
    format: int = 0
    tables: int = 0
    applied: list[dict[str, Any]] = field(default_factory=list)
    in_doubt: list[dict[str, Any]] = field(default_factory=list)
    repeated: list[dict[str, Any]] = field(default_factory=list)
    rolled_back: list[dict[str, Any]] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    server_version: str = ""

    @property
    def untracked_tables(self) -> int:
        """Number of tables in schema public that no history explains."""
        return 0 if self.applied or self.rolled_back or self.in_doubt else self.tables


def history_argument_spec() -> dict[str, Any]:
    """Return the options of a module that reads the history.

    `connection` is left out only in check mode, where the run may be about to create the server.
    """
    return {**connection_argument_spec(), "database": {"type": "str", "required": True}}


def open_database(module: AnsibleModule, patience: float = 0.0, before: str = "") -> Any:
    """Connect to the database; return None where it does not exist yet (check mode only).

    Fails the module where the database cannot be reached.

    Args:
        module: the module, with the options of `history_argument_spec`.
        patience: seconds to wait for a server that starts or recovers from a crash.
        before: beginning of the message where the database cannot be reached.
    """
    if module.params["connection"] is None:
        if not module.check_mode:
            module.fail_json(msg="postgresql_connection is empty: the provider did not set it.")
        return None
    deadline = time.monotonic() + patience
    name = module.params["database"]
    while True:
        try:
            return open_session(module, name, "physioflow-migrations")
        except UnreachableError as error:
            if error.missing and module.check_mode:
                return None
            if error.missing:
                module.fail_json(
                    msg=f"The server has no database {name}. Next: ansible-playbook deploy.yml creates it."
                )
            words = str(error)
            if not any(each in words for each in COMES_BACK) or time.monotonic() > deadline:
                full = any(each in words for each in FULL)
                module.fail_json(
                    msg=f"{before}The database {name} cannot be reached: {words} Next: "
                    f"{FREE if full else 'start the server or correct postgresql_connection'}, and run the same "
                    "command again."
                )
        time.sleep(ASK)


def history_of(connection: Any) -> History:
    """Read the history over a connection."""
    cursor = connection.cursor(**pg_cursor_args)

    def rows(query: str) -> list[dict[str, Any]]:
        cursor.execute(query)
        return [dict(row) for row in cursor.fetchall()]

    state = rows(STATE)[0]
    history = History(exists=state.pop("has_history"), **state)
    if history.exists:
        history.applied, history.in_doubt, history.repeated = rows(APPLIED), rows(IN_DOUBT), rows(REPEATED)
        history.rolled_back = rows(ROLLED_BACK)
        history.invalid = [row["name"] for row in rows(INVALID)] if history.in_doubt else []
    return history
