# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares server and database with the wanted state, and changes them; check and change share one code path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.community.postgresql.plugins.module_utils import postgres as driver
from ansible_collections.community.postgresql.plugins.module_utils.postgres import get_conn_params

from ..server import connection_argument_spec
from .pooler import POOLED, is_pooled
from .problems import (
    as_it_will_be,
    coming_problems,
    input_problems,
    login_notes,
    login_problems,
    notes_of,
    server_problems,
)
from .queries import CLUSTER, CLUSTER_FOR_OTHERS, IDENTITY, INSIDE
from .session import Session, refuse
from .state import (
    cluster_statements,
    create_statement,
    environment_statements,
    extension_statements,
    inside_statements,
    new_database,
    new_inside,
    routine_statements,
)
from .wanted import AUDIT, PURPOSES, SERVER_ROLES, Login, Statement, Wanted, audit_is_on

NAME = {"type": "str", "required": True}
SETUP = {
    **connection_argument_spec(),
    "name": NAME,
    "roles": {"type": "dict", "required": True, "options": dict.fromkeys(PURPOSES, NAME)},
    "passwords": {"type": "dict", "default": {}, "no_log": True},
    "passwordless": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "settings": {"type": "dict", "default": {}},
    "connection_limits": {"type": "dict", "required": True},
    "connection_limit": {"type": "int", "required": True},
    "environment": {"type": "str", "default": ""},
    "locale": {"type": "str", "default": "C.UTF-8"},
    "extensions": {"type": "list", "elements": "str", "default": []},
    "allowed_extensions": {"type": "list", "elements": "str", "default": []},
    "audit": {"type": "str", "choices": list(AUDIT), "default": "never"},
    "audit_role": {"type": "str", "default": "emr_audit"},
    "closed_databases": {"type": "list", "elements": "str", "default": []},
    "versions": {"type": "list", "elements": "int", "required": True},
    "row_level_security": {"type": "bool", "default": False},
}


@dataclass
class Outcome:
    """The state found and the changes made.

    Attributes:
        statements: the statements that were run, or would be run.
        audit: whether reads of patients' data are to be audited.
        made: whether the database was created, or would be created.
        reads: whether the database exists and the login role may read the objects of its owner.
        row_security: whether the database has policies that database_patients created.
        session: a session in the database, if it exists.
    """

    statements: list[Statement]
    audit: bool
    made: bool = False
    reads: bool = False
    row_security: bool = False
    session: Session | None = None

    def result(self) -> dict[str, Any]:
        """Return the result of a module."""
        shown = [str(statement) for statement in self.statements]
        names = ("audit", "made", "reads", "row_security")
        return {"statements": shown, **{name: getattr(self, name) for name in names}}


def try_passwords(module: AnsibleModule, wanted: Wanted, cluster: dict[str, Any]) -> None:
    """Record for each existing role whether its password is the wanted one, by logging in with it."""
    database = wanted.name if wanted.name in (cluster["databases"] or {}) else "postgres"
    for purpose, password in wanted.passwords.items():
        name = wanted.roles[purpose]
        if name not in cluster["roles"] or purpose in wanted.passwordless:
            continue
        place = module.params["connection"] | {"login_db": database, "login_user": name, "login_password": password}
        try:
            driver.psycopg.connect(**{"connect_timeout": 10} | get_conn_params(module, place)).close()
        except Exception as error:  # as in Session.lock; the server reports a wrong password distinctly
            words = str(error)
            cluster["roles"][name]["logs_in"] = any(
                after in words for after in ("permission denied for database", "too many connections for role")
            )
            if "password authentication failed" not in words and not cluster["roles"][name]["logs_in"]:
                module.warn(f"The password of {name} could not be checked, so it is set again: {words}")
        else:
            cluster["roles"][name]["logs_in"] = True


def set_up(module: AnsibleModule, act: bool, coming: Mapping[str, Any]) -> Outcome:
    """Check the server, refuse it or change what differs; without a server, return what would be created.

    Args:
        module: the module, with the options SETUP.
        act: whether to change anything.
        coming: the changes that the provider makes before.
    """
    wanted = Wanted(**{field.name: module.params[field.name] for field in fields(Wanted)})
    if problems := input_problems(wanted) or coming_problems(wanted, coming):
        refuse(module, problems)
    if module.params["connection"] is not None:
        return set_up_server(module, wanted, act, coming)
    if act:
        refuse(module, ["postgresql_connection is empty: the provider did not set it."])
    nothing: dict[str, Any] = {"roles": {}, "databases": {}}
    inside = new_inside()
    new = [*cluster_statements(wanted, nothing), create_statement(wanted), *extension_statements(wanted, inside)]
    new += inside_statements(wanted, new_database(wanted.roles["owner"]), inside)
    new += environment_statements(wanted, new_database(wanted.roles["owner"]))
    return Outcome(new, audit=audit_is_on(wanted.audit, ""), made=True)


def set_up_server(module: AnsibleModule, wanted: Wanted, act: bool, coming: Mapping[str, Any]) -> Outcome:
    """Check a server, refuse it or change what differs."""
    login = (module.params["connection"].get("login_db") or "postgres").strip()
    session = Session(module, login)
    other = Session(module, login)
    if is_pooled(session.cursor, other.cursor):
        refuse(module, [POOLED])
    other.connection.close()
    login_role = Login(**session.row(IDENTITY))
    if act:
        session.lock()
    databases = [wanted.name, *wanted.closed_databases]
    query = CLUSTER if login_role.superuser else CLUSTER_FOR_OTHERS
    names = [*wanted.roles.values(), wanted.audit_role]
    cluster = session.json(query, roles=names, databases=databases, server_roles=list(SERVER_ROLES))
    cluster = as_it_will_be(wanted, cluster, coming)
    if problems := server_problems(wanted, cluster, login_role.name) or login_problems(wanted, cluster, login_role):
        refuse(module, problems)
    if not login_role.superuser:
        try_passwords(module, wanted, cluster)
    for note in login_notes(wanted, cluster, login_role):
        module.warn(note)

    done = cluster_statements(wanted, cluster, login_role)
    if act:
        session.run(done, [])
    database = (cluster["databases"] or {}).get(wanted.name)
    made = database is None
    if database is None:
        create = create_statement(wanted)
        if act:
            session.run([create], done, transaction=False)
        done.append(create)
        database = new_database(wanted.roles["owner"])
    inside, inner = new_inside(), None
    if made and not act:
        done += extension_statements(wanted, inside) + inside_statements(wanted, database, inside)
        done += environment_statements(wanted, database, login_role)
    else:
        inner = Session(module, wanted.name)
        inside = set_up_inside(inner, wanted, database, login_role, done, act=act)
    for note in notes_of(wanted, cluster, inside, login_role):
        module.warn(note)
    return Outcome(
        done,
        audit=audit_is_on(wanted.audit, cluster["preloaded"]),
        made=made,
        reads=inner is not None
        and (login_role.superuser or cluster["roles"].get(wanted.roles["owner"], {}).get("usable", False)),
        row_security=inside["row_security"],
        session=inner,
    )


def set_up_inside(
    inner: Session, wanted: Wanted, database: dict[str, Any], login_role: Login, done: list[Statement], *, act: bool
) -> dict[str, Any]:
    """Set up extensions and privileges of the database; add to `done`, and return the state found."""
    about = {"owner": wanted.roles["owner"], "extensions": wanted.extensions}
    inside: dict[str, Any] = inner.json(INSIDE, **about)
    statements = extension_statements(wanted, inside)
    if statements and act:
        inner.run(statements, done)
        inside = inner.json(INSIDE, **about)
    done += statements
    # The owner may be new in check mode: then it owns nothing yet.
    inside["default_privileges"] = inside["default_privileges"] or new_inside()["default_privileges"]
    statements = inside_statements(wanted, database, inside) + routine_statements(wanted, inside, login_role)
    statements += environment_statements(wanted, database, login_role)
    if act:
        inner.run(statements, done)
    done += statements
    return inside
