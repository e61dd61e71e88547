# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the history of migrations from a database, for the modules of this role."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.community.postgresql.plugins.module_utils.postgres import (
    connect_to_db,
    ensure_required_libs,
    get_conn_params,
    pg_cursor_args,
    postgres_common_argument_spec,
)

STATE = """
SELECT to_regclass('migrations.history') IS NOT NULL AS has_history,
       (SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'public') AS tables,
       split_part(current_setting('server_version'), ' ', 1) AS server_version
"""
APPLIED = """
SELECT version, name, sha256, sha256_raw, act, run_id::text, backup_id, release, started_at::text,
       duration_ms::float8 AS duration_ms
FROM migrations.applied ORDER BY version
"""
IN_DOUBT = """
SELECT version, name, started_at::text
FROM (SELECT DISTINCT ON (version) * FROM migrations.history ORDER BY version, id DESC) AS newest
WHERE act = 'start'
"""
ROLLED_BACK = """
SELECT version, name, run_id::text
FROM (SELECT DISTINCT ON (version) * FROM migrations.history ORDER BY version, id DESC) AS newest
WHERE act = 'rollback'
"""


@dataclass
class History:
    """What a database says of its migrations.

    Attributes:
        exists: whether the database has the schema migrations.
        tables: number of tables in schema public.
        applied: rows of the view migrations.applied.
        in_doubt: files without transaction that began and whose end was not recorded.
        rolled_back: the newest row of versions that were rolled back and not applied again.
        server_version: for instance 16.14; empty where there is no server yet.
    """

    exists: bool = False
    tables: int = 0
    applied: list[dict[str, Any]] = field(default_factory=list)
    in_doubt: list[dict[str, Any]] = field(default_factory=list)
    rolled_back: list[dict[str, Any]] = field(default_factory=list)
    server_version: str = ""


def history_argument_spec() -> dict[str, Any]:
    """Return the options of a module that reads the history.

    `connection` is left out only in check mode, where the server may be one that the run would make.
    """
    return {
        "connection": {"type": "dict", "options": postgres_common_argument_spec()},
        "database": {"type": "str", "required": True},
    }


def read_history(module: AnsibleModule) -> History:
    """Read the history; of a database that does not exist yet (check mode only) it is empty.

    Fails the module where the database cannot be reached.
    """
    settings = module.params["connection"]
    if settings is None:
        if not module.check_mode:
            module.fail_json(msg="postgresql_connection is empty: the provider did not say where the server is.")
        return History()
    ensure_required_libs(module)
    parameters = get_conn_params(module, settings | {"login_db": module.params["database"]})
    connection, error = connect_to_db(module, parameters, autocommit=True, fail_on_conn=False)
    name = module.params["database"]
    if connection is None and f'database "{name}" does not exist' in str(error):
        if module.check_mode:
            return History()
        module.fail_json(msg=f"The server has no database {name}. Next: ansible-playbook deploy.yml makes it.")
    if connection is None:
        module.fail_json(
            msg=f"The database {name} cannot be reached: {' '.join(str(error).split())} "
            "Start the server or correct postgresql_connection, and run the same command again."
        )
    cursor = connection.cursor(**pg_cursor_args)

    def rows(query: str) -> list[dict[str, Any]]:
        cursor.execute(query)
        return [dict(row) for row in cursor.fetchall()]

    state = rows(STATE)[0]
    history = History(exists=state["has_history"], tables=state["tables"], server_version=state["server_version"])
    if history.exists:
        history.applied, history.in_doubt = rows(APPLIED), rows(IN_DOUBT)
        history.rolled_back = rows(ROLLED_BACK)
    connection.close()
    return history
