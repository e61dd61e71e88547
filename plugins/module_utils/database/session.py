# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connection and the error handling of the modules of this role."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.community.postgresql.plugins.module_utils.postgres import pg_cursor_args

from ..server import UnreachableError, open_session
from .wanted import Statement

LOCK = 7_103_845_201  # any number; concurrent deploys on one server wait for each other here
LOCK_WAIT = "60s"

# Settings that would log the text of a statement, and the values that do not. A verifier is no password, but allows
# offline guessing. pgaudit still logs that a role was changed, without the text after PASSWORD. The administrator of a
# managed server may not change all of them; the rest stays as the provider has it.
SILENCE = """
SELECT set_config(name, CASE WHEN %(silent)s THEN silence ELSE reset_val END, true)
FROM (VALUES ('log_statement', 'none'), ('log_min_duration_statement', '-1'), ('log_min_duration_sample', '-1'),
             ('log_min_error_statement', 'panic'), ('pg_stat_statements.track_utility', 'off')
) AS writer (name, silence) JOIN pg_settings USING (name)
WHERE has_parameter_privilege(name, 'SET')
"""


class Session:
    """A connection to one database; a failure ends the module with the state and the remedy."""

    def __init__(self, module: AnsibleModule, database: str) -> None:
        """Connect, in autocommit."""
        self.module = module
        self.database = database
        self.done: list[Statement] = []
        try:
            self.connection = open_session(module, database)
        except UnreachableError as error:
            refuse(
                module,
                [
                    f"The database {database} cannot be reached: {error} "
                    "Start the server or correct postgresql_connection, and run the same command again."
                ],
            )
        self.cursor = self.connection.cursor(**pg_cursor_args)

    def row(self, query: str, **values: Any) -> dict[str, Any]:
        """Return the only row of a query."""
        self.cursor.execute(query, values)
        return dict(self.cursor.fetchone())

    def json(self, query: str, **values: Any) -> dict[str, Any]:
        """Return the JSON object that is the only value of a query."""
        found: dict[str, Any] = json.loads(self.row(query, **values)["j"])
        return found

    def lock(self) -> None:
        """Wait for another run of this module on the same server. The lock ends with the session."""
        self.cursor.execute(f"SET lock_timeout = '{LOCK_WAIT}'")
        try:
            self.cursor.execute(f"SELECT pg_advisory_lock({LOCK})")
        except Exception as error:  # psycopg's and psycopg2's errors share no other ancestor
            refuse(
                self.module, [f"Another deploy changes roles on this server; waited {LOCK_WAIT}: {words_of(error)}."]
            )

    def _execute(self, statement: Statement | str) -> None:
        """Run one statement. The text of a statement with a verifier, which is in a transaction, reaches no log."""
        if not isinstance(statement, Statement) or not statement.shown:
            self.cursor.execute(str(statement))
            return
        self.cursor.execute(SILENCE, {"silent": True})
        self.cursor.execute(statement.sql)
        self.cursor.execute(SILENCE, {"silent": False})

    def run(self, statements: list[Statement], before: list[Statement], transaction: bool = True) -> None:
        """Run statements, all or none in a transaction; `before` are those that are already committed."""
        if not statements:
            return
        texts: list[Statement | str] = ["BEGIN", *statements, "COMMIT"] if transaction else [*statements]
        for statement in texts:
            try:
                self._execute(statement)
            except Exception as error:  # as in lock
                with suppress(Exception):
                    self.cursor.execute("ROLLBACK")
                stands = (
                    f"{len(before)} earlier statements were applied and are safe to keep"
                    if before
                    else "nothing was changed"
                )
                self.module.fail_json(
                    msg=f"{statement} failed in the database {self.database}: {words_of(error)}; {stands}. "
                    "Correct the variable or the server, and run the same command again.",
                    statements=[str(each) for each in before],
                )


def words_of(error: Exception) -> str:
    """Return the SQLSTATE and the first line of the server's message."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    words = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
    return f"[{state}] {words}" if state else words


def refuse(module: AnsibleModule, problems: list[str]) -> NoReturn:
    """Fail the module before anything is changed."""
    module.fail_json(msg="\n".join([*problems, "Nothing was changed."]))
    raise AssertionError  # fail_json does not return
