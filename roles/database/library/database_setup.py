#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: bring roles, database, extensions and privileges to what is wanted."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_setup
short_description: Make a database with its roles, extensions and privileges
description:
  - Makes what is missing and corrects what differs, in one run where the modules of community.postgresql need about
    fifteen. What it does not manage stays as it is. A server or database that does not fit is refused first.
  - The diff shows the statements. Passwords are sent as SCRAM-SHA-256 verifiers and compared with those that are kept.
options:
  connection:
    description:
      - How to reach the server, with the options of the module defaults group C(community.postgresql.all).
      - As superuser; or as a role with CREATEROLE and CREATEDB that may give C(pg_read_all_data) on, as the
        administrators of managed servers are. Passwords are then compared by logging in with them.
      - Left out where the server does not exist yet, which only check mode meets.
    type: dict
  name:
    description: Name of the database.
    type: str
    required: true
  roles:
    description: Names of the four roles, by purpose.
    type: dict
    required: true
    suboptions:
      owner:
        description: Owns the database and what the migrations make.
        type: str
        required: true
      app:
        description: Reads and writes rows.
        type: str
        required: true
      readonly:
        description: Reads.
        type: str
        required: true
      backup:
        description: Reads everything, also below row level security.
        type: str
        required: true
  passwords:
    description: Passwords by purpose. The password of a role that is left out is not touched.
    type: dict
    default: {}
  settings:
    description: Server settings of the sessions of each role, by purpose.
    type: dict
    default: {}
  connection_limits:
    description: Most sessions of each role, by purpose; without limit when left out.
    type: dict
    default: {}
  locale:
    description: Locale of the database, for LC_COLLATE and LC_CTYPE.
    type: str
    default: C.UTF-8
  extensions:
    description: Extensions of the database.
    type: list
    elements: str
    default: []
  closed_databases:
    description: Other databases that PUBLIC may not enter.
    type: list
    elements: str
    default: []
  versions:
    description: Major versions of PostgreSQL that are accepted.
    type: list
    elements: int
    required: true
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author:
  - PhysioFlow contributors
"""

EXAMPLES = r"""
- name: Make the database
  database_setup:
    connection: "{{ postgresql_connection }}"
    name: physioflow
    roles:
      owner: emr
      app: emr_app
      readonly: emr_readonly
      backup: emr_backup
    extensions: [uuid-ossp, pg_trgm]
    versions: [16]
"""

RETURN = r"""
statements:
  description: The statements that were run, or would be in check mode, without verifiers.
  returned: success
  type: list
  elements: str
"""

import json
from contextlib import suppress
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.database_pooler import POOLED, is_pooled
from ansible.module_utils.database_queries import CLUSTER, CLUSTER_FOR_OTHERS, IDENTITY, INSIDE
from ansible.module_utils.database_state import (
    PURPOSES,
    Login,
    Statement,
    Wanted,
    cluster_statements,
    create_statement,
    input_problems,
    inside_statements,
    login_notes,
    login_problems,
    new_database,
    new_inside,
    server_problems,
)
from ansible_collections.community.postgresql.plugins.module_utils import postgres as driver
from ansible_collections.community.postgresql.plugins.module_utils.postgres import (
    connect_to_db,
    ensure_required_libs,
    get_conn_params,
    pg_cursor_args,
    postgres_common_argument_spec,
)

LOCK = 7_103_845_201  # any number; two deploys at once on one server wait for each other here
LOCK_WAIT = "60s"


class Session:
    """A connection to one database; its failures end the module with what stands and what to do."""

    def __init__(self, module: AnsibleModule, database: str) -> None:
        """Connect, in autocommit."""
        self.module = module
        self.database = database
        self.done: list[Statement] = []
        parameters = {"connect_timeout": 10, "application_name": "physioflow-database"} | get_conn_params(
            module, module.params["connection"] | {"login_db": database}
        )
        self.connection, error = connect_to_db(module, parameters, autocommit=True, fail_on_conn=False)
        if self.connection is None:
            refuse(
                module,
                [
                    f"The database {database} cannot be reached: {' '.join(str(error).split())} "
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
        """Wait for another run of this module on the same server. The end of the session is the end of the lock."""
        self.cursor.execute(f"SET lock_timeout = '{LOCK_WAIT}'")
        try:
            self.cursor.execute(f"SELECT pg_advisory_lock({LOCK})")
        except Exception as error:  # psycopg's and psycopg2's errors share no other ancestor
            refuse(self.module, [f"Another deploy changes roles on this server since {LOCK_WAIT}: {words_of(error)}."])

    def run(self, statements: list[Statement], before: list[Statement], transaction: bool = True) -> None:
        """Run statements, all or none of them; `before` are those that stand already."""
        if not statements:
            return
        texts = ["BEGIN", *statements, "COMMIT"] if transaction else statements
        for statement in texts:
            try:
                self.cursor.execute(statement.sql if isinstance(statement, Statement) else statement)
            except Exception as error:  # as in lock
                with suppress(Exception):
                    self.cursor.execute("ROLLBACK")
                stands = (
                    f"{len(before)} statements before it stand, all of them safe to keep"
                    if before
                    else "nothing was changed"
                )
                self.module.fail_json(
                    msg=f"{statement} fails in the database {self.database}: {words_of(error)}; {stands}. "
                    "Correct the variable or the server, and run the same command again.",
                    statements=[str(each) for each in before],
                )


def words_of(error: Exception) -> str:
    """Return SQLSTATE and first line of the server's message."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    words = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
    return f"[{state}] {words}" if state else words


def refuse(module: AnsibleModule, problems: list[str]) -> NoReturn:
    """Fail the module before anything is changed."""
    module.fail_json(msg="\n".join([*problems, "Nothing was changed."]))
    raise AssertionError  # fail_json does not return


def finish(module: AnsibleModule, statements: list[Statement]) -> None:
    """End the module."""
    shown = [str(statement) for statement in statements]
    diff = {"before": "", "after": "".join(f"{text};\n" for text in shown)}
    module.exit_json(changed=bool(shown), statements=shown, diff=diff)


def try_passwords(module: AnsibleModule, wanted: Wanted, cluster: dict[str, Any]) -> None:
    """Note for each role that is there whether its password is the wanted one, by logging in with it."""
    database = wanted.name if wanted.name in (cluster["databases"] or {}) else "postgres"
    for purpose, password in wanted.passwords.items():
        name = wanted.roles[purpose]
        if name not in cluster["roles"]:
            continue
        place = module.params["connection"] | {"login_db": database, "login_user": name, "login_password": password}
        try:
            driver.psycopg.connect(**{"connect_timeout": 10} | get_conn_params(module, place)).close()
        except Exception as error:  # as in Session.lock; the server tells a password from all that comes after it
            words = str(error)
            cluster["roles"][name]["logs_in"] = any(
                after in words for after in ("permission denied for database", "too many connections for role")
            )
            if "password authentication failed" not in words and not cluster["roles"][name]["logs_in"]:
                module.warn(f"Whether the password of {name} is right cannot be told, so it is set again: {words}")
        else:
            cluster["roles"][name]["logs_in"] = True


def set_up(module: AnsibleModule, wanted: Wanted) -> None:
    """Look at the server, refuse it or change what differs, and end the module."""
    login = (module.params["connection"].get("login_db") or "postgres").strip()
    session = Session(module, login)
    other = Session(module, login)
    if is_pooled(session.cursor, other.cursor):
        refuse(module, [POOLED])
    other.connection.close()
    login_role = Login(**session.row(IDENTITY))
    if not module.check_mode:
        session.lock()
    databases = [wanted.name, *wanted.closed_databases]
    query = CLUSTER if login_role.superuser else CLUSTER_FOR_OTHERS
    cluster = session.json(query, roles=list(wanted.roles.values()), databases=databases)
    if problems := server_problems(wanted, cluster, login_role.name) or login_problems(wanted, cluster, login_role):
        refuse(module, problems)
    if not login_role.superuser:
        try_passwords(module, wanted, cluster)
    for note in login_notes(wanted, cluster, login_role):
        module.warn(note)

    done = cluster_statements(wanted, cluster, login_role)
    if not module.check_mode:
        session.run(done, [])
    database = (cluster["databases"] or {}).get(wanted.name)
    if database is None:
        create = create_statement(wanted)
        if not module.check_mode:
            session.run([create], done, transaction=False)
        done.append(create)
        database = new_database(wanted.roles["owner"])
    if module.check_mode and create_statement(wanted) in done:
        done += inside_statements(wanted, database, new_inside())
    else:
        # The owner may be new in check mode: then it owns nothing yet.
        inner = Session(module, wanted.name)
        inside = inner.json(INSIDE, owner=wanted.roles["owner"])
        inside["default_privileges"] = inside["default_privileges"] or new_inside()["default_privileges"]
        statements = inside_statements(wanted, database, inside)
        if not module.check_mode:
            inner.run(statements, done)
        done += statements
    finish(module, done)


def main() -> None:
    """Run the module."""
    name = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "connection": {"type": "dict", "options": postgres_common_argument_spec()},
            "name": name,
            "roles": {"type": "dict", "required": True, "options": dict.fromkeys(PURPOSES, name)},
            "passwords": {"type": "dict", "default": {}, "no_log": True},
            "settings": {"type": "dict", "default": {}},
            "connection_limits": {"type": "dict", "default": {}},
            "locale": {"type": "str", "default": "C.UTF-8"},
            "extensions": {"type": "list", "elements": "str", "default": []},
            "closed_databases": {"type": "list", "elements": "str", "default": []},
            "versions": {"type": "list", "elements": "int", "required": True},
        },
        supports_check_mode=True,
    )
    wanted = Wanted(**{name: value for name, value in module.params.items() if name != "connection"})
    if problems := input_problems(wanted):
        refuse(module, problems)
    if module.params["connection"] is None:
        if not module.check_mode:
            refuse(module, ["postgresql_connection is empty: the provider did not say where the server is."])
        nothing: dict[str, Any] = {"roles": {}, "databases": {}}
        new = [*cluster_statements(wanted, nothing), create_statement(wanted)]
        finish(module, [*new, *inside_statements(wanted, new_database(wanted.roles["owner"]), new_inside())])
    ensure_required_libs(module)
    set_up(module, wanted)


if __name__ == "__main__":
    main()
