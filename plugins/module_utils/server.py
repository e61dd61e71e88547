# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Opens the sessions of the modules: the one way to a database of the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.community.postgresql.plugins.module_utils.postgres import (
    connect_to_db,
    ensure_required_libs,
    get_conn_params,
    postgres_common_argument_spec,
)

SECONDS = 10  # that a server may take to answer


class UnreachableError(Exception):
    """Why no session could be opened: the words of the driver, on one line."""

    def __init__(self, database: str, words: str) -> None:
        """Keep the words."""
        super().__init__(" ".join(words.split()))
        self.missing = f'database "{database}" does not exist' in words


def connection_argument_spec(**settings: Any) -> dict[str, Any]:
    """Return the option `connection`: what the provider's postgresql_connection holds; `settings` are those it has."""
    return {"connection": {"type": "dict", "options": postgres_common_argument_spec(), **settings}}


def open_session(
    module: AnsibleModule, database: str, application: str = "physioflow-database", option: str = "connection"
) -> Any:
    """Open a session in autocommit, with texts in UTF-8.

    Args:
        module: the module.
        database: name of the database.
        application: what pg_stat_activity calls the session, unless the connection says otherwise.
        option: the option of the module that says where the server is.

    Raises:
        UnreachableError: where the server does not answer or refuses.
    """
    ensure_required_libs(module)
    parameters = conninfo(module, module.params[option] | {"login_db": database})
    usual = {"connect_timeout": SECONDS, "application_name": application}
    connection, error = connect_to_db(
        module, usual | parameters | {"client_encoding": "UTF8"}, autocommit=True, fail_on_conn=False
    )
    if connection is None:
        raise UnreachableError(database, str(error))
    return connection


def conninfo(module: AnsibleModule, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a connection as the driver's keywords."""
    parameters: dict[str, Any] = get_conn_params(module, dict(settings))
    return parameters
