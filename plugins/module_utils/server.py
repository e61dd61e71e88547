# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Opens the sessions of the modules; all connections to a database go through here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.community.postgresql.plugins.module_utils.postgres import (
    connect_to_db,
    ensure_required_libs,
    get_conn_params,
    postgres_common_argument_spec,
)

SECONDS = 10  # time limit for the server to answer


class UnreachableError(Exception):
    """No session could be opened; the text is the message of the driver, on one line."""

    def __init__(self, database: str, words: str) -> None:
        """Keep the words."""
        super().__init__(" ".join(words.split()))
        self.missing = f'database "{database}" does not exist' in words


def connection_argument_spec(**settings: Any) -> dict[str, Any]:
    """Return the option `connection` for the provider's postgresql_connection; `settings` are its attributes."""
    return {"connection": {"type": "dict", "options": postgres_common_argument_spec(), **settings}}


def open_session(module: AnsibleModule, database: str, application: str = "physioflow-database") -> Any:
    """Open a session in autocommit, with texts in UTF-8.

    Args:
        module: the module, with the option of `connection_argument_spec`.
        database: name of the database.
        application: application_name of the session, unless the connection says otherwise.

    Raises:
        UnreachableError: where the server does not answer or refuses.
    """
    ensure_required_libs(module)
    parameters = get_conn_params(module, module.params["connection"] | {"login_db": database})
    usual = {"connect_timeout": SECONDS, "application_name": application}
    connection, error = connect_to_db(
        module, usual | parameters | {"client_encoding": "UTF8"}, autocommit=True, fail_on_conn=False
    )
    if connection is None:
        raise UnreachableError(database, str(error))
    return connection


def look_in_session(
    module: AnsibleModule, database: str, application: str, look: Callable[[Any], dict[str, Any]], looked: str
) -> dict[str, Any]:
    """Read a database in a session of its own; fail the module, with the next step, where that does not work.

    Args:
        module: the module, as above; without a connection no server runs.
        database: name of the database.
        application: application_name of the session.
        look: function that reads with a cursor and returns the result.
        looked: participle for the error message, for instance `read`.
    """
    if not module.params["connection"]:
        module.fail_json(msg=f"No server runs for the database {database}. Next: ansible-playbook deploy.yml")
    try:
        connection = open_session(module, database, application)
    except UnreachableError as error:
        module.fail_json(msg=f"The database {database} cannot be reached: {error}. Next: ansible-playbook deploy.yml")
    try:
        return look(connection.cursor())
    except Exception as error:  # of whichever driver the host has
        words = " ".join(str(error).split())
        module.fail_json(msg=f"The database {database} cannot be {looked}: {words} Next: run the same command again.")
        raise AssertionError from error  # fail_json does not return
    finally:
        connection.close()
