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
  - The connection is that of a superuser; or of a role with CREATEROLE and CREATEDB that may give C(pg_read_all_data)
    on, as the administrators of managed servers are. Passwords are then compared by logging in with them.
  - The diff shows the statements. Passwords are sent as SCRAM-SHA-256 verifiers and compared with those that are kept.
extends_documentation_fragment:
  - physioflow.database.attributes
  - physioflow.database.connection
options:
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
  passwordless:
    description: Purposes of roles that get no password, or lose the one that they have, so that only peer lets them in.
    type: list
    elements: str
    default: []
  settings:
    description: Server settings of the sessions of each role, by purpose.
    type: dict
    default: {}
  connection_limits:
    description: Most sessions of each role, by purpose.
    type: dict
    required: true
  connection_limit:
    description: Most sessions in the database, whoever they are of.
    type: int
    required: true
  environment:
    description: What the database says of itself as C(physioflow.environment); empty to leave it. Takes a superuser.
    type: str
    default: ""
  locale:
    description: Locale of the database, for LC_COLLATE and LC_CTYPE.
    type: str
    default: C.UTF-8
  extensions:
    description: Extensions of the database.
    type: list
    elements: str
    default: []
  allowed_extensions:
    description: Extensions that the database may have; others are named in a warning.
    type: list
    elements: str
    default: []
  audit:
    description: Whether the role is made that pgaudit audits reads by; C(auto) is where the server has pgaudit.
    type: str
    choices: [auto, always, never]
    default: never
  audit_role:
    description: Name of that role.
    type: str
    default: emr_audit
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
  row_level_security:
    description: Whether C(database_patients) will switch it on; refused here where the dumps would then fail.
    type: bool
    default: false
  coming:
    description:
      - What the provider is going to change before this module runs, so that a look with check mode judges the server
        as it will be - C(settings) by name, the C(version), and whether new C(software) comes.
    type: dict
    default: {}
attributes:
  diff_mode:
    support: full
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Make the database
  physioflow.database.database_setup:
    connection: "{{ postgresql_connection }}"
    name: physioflow
    roles:
      owner: emr
      app: emr_app
      readonly: emr_readonly
      backup: emr_backup
    extensions: [uuid-ossp, pg_trgm]
    connection_limits: {owner: 10, app: 60, readonly: 10, backup: 10}
    connection_limit: 95
    allowed_extensions: [uuid-ossp, pg_trgm]
    versions: [16]
"""

RETURN = r"""
statements:
  description: The statements that were run, or would be in check mode, without verifiers.
  returned: success
  type: list
  elements: str
audit:
  description: Whether reads of patients' data are to be audited.
  returned: success
  type: bool
made:
  description: Whether the database was made, or would be in check mode.
  returned: success
  type: bool
reads:
  description: Whether the database is there, and the login role may read what its owner made.
  returned: success
  type: bool
row_security:
  description: Whether the database has policies that tasks/patients.yml made.
  returned: success
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.community.postgresql.plugins.module_utils import postgres as driver
from ansible_collections.community.postgresql.plugins.module_utils.postgres import (
    ensure_required_libs,
    get_conn_params,
)
from ansible_collections.physioflow.database.plugins.module_utils.database.pooler import POOLED, is_pooled
from ansible_collections.physioflow.database.plugins.module_utils.database.problems import (
    as_it_will_be,
    coming_problems,
    input_problems,
    login_notes,
    login_problems,
    notes_of,
    server_problems,
)
from ansible_collections.physioflow.database.plugins.module_utils.database.queries import (
    CLUSTER,
    CLUSTER_FOR_OTHERS,
    IDENTITY,
    INSIDE,
)
from ansible_collections.physioflow.database.plugins.module_utils.database.session import Session, refuse
from ansible_collections.physioflow.database.plugins.module_utils.database.state import (
    cluster_statements,
    create_statement,
    environment_statements,
    extension_statements,
    inside_statements,
    new_database,
    new_inside,
    routine_statements,
)
from ansible_collections.physioflow.database.plugins.module_utils.database.wanted import (
    AUDIT,
    PURPOSES,
    SERVER_ROLES,
    Login,
    Statement,
    Wanted,
    audit_is_on,
)
from ansible_collections.physioflow.database.plugins.module_utils.server import connection_argument_spec


def finish(module: AnsibleModule, statements: list[Statement], **facts: bool) -> None:
    """End the module."""
    shown = [str(statement) for statement in statements]
    diff = {"before": "", "after": "".join(f"{text};\n" for text in shown)}
    module.exit_json(changed=bool(shown), statements=shown, diff=diff, **facts)


def try_passwords(module: AnsibleModule, wanted: Wanted, cluster: dict[str, Any]) -> None:
    """Note for each role that is there whether its password is the wanted one, by logging in with it."""
    database = wanted.name if wanted.name in (cluster["databases"] or {}) else "postgres"
    for purpose, password in wanted.passwords.items():
        name = wanted.roles[purpose]
        if name not in cluster["roles"] or purpose in wanted.passwordless:
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
    coming = module.params["coming"]
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
    if not module.check_mode:
        session.run(done, [])
    database = (cluster["databases"] or {}).get(wanted.name)
    if database is None:
        create = create_statement(wanted)
        if not module.check_mode:
            session.run([create], done, transaction=False)
        done.append(create)
        database = new_database(wanted.roles["owner"])
    inside = new_inside()
    if module.check_mode and create_statement(wanted) in done:
        done += extension_statements(wanted, inside) + inside_statements(wanted, database, inside)
        done += environment_statements(wanted, database, login_role)
    else:
        inside = set_up_inside(module, wanted, database, login_role, done)
    for note in notes_of(wanted, cluster, inside, login_role):
        module.warn(note)
    finish(
        module,
        done,
        audit=audit_is_on(wanted.audit, cluster["preloaded"]),
        made=create_statement(wanted) in done,
        reads=(create_statement(wanted) not in done or not module.check_mode)
        and (login_role.superuser or cluster["roles"].get(wanted.roles["owner"], {}).get("usable", False)),
        row_security=inside["row_security"],
    )


def set_up_inside(
    module: AnsibleModule, wanted: Wanted, database: dict[str, Any], login_role: Login, done: list[Statement]
) -> dict[str, Any]:
    """Bring extensions and privileges of the database to what is wanted; adds to `done`, returns what was found."""
    inner = Session(module, wanted.name)
    about = {"owner": wanted.roles["owner"], "extensions": wanted.extensions}
    inside: dict[str, Any] = inner.json(INSIDE, **about)
    statements = extension_statements(wanted, inside)
    if statements and not module.check_mode:
        inner.run(statements, done)
        inside = inner.json(INSIDE, **about)
    done += statements
    # The owner may be new in check mode: then it owns nothing yet.
    inside["default_privileges"] = inside["default_privileges"] or new_inside()["default_privileges"]
    statements = inside_statements(wanted, database, inside) + routine_statements(wanted, inside, login_role)
    statements += environment_statements(wanted, database, login_role)
    if not module.check_mode:
        inner.run(statements, done)
    done += statements
    return inside


def main() -> None:
    """Run the module."""
    name = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            **connection_argument_spec(),
            "name": name,
            "roles": {"type": "dict", "required": True, "options": dict.fromkeys(PURPOSES, name)},
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
            "coming": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    wanted = Wanted(**{name: value for name, value in module.params.items() if name not in ("connection", "coming")})
    if problems := input_problems(wanted) or coming_problems(wanted, module.params["coming"]):
        refuse(module, problems)
    if module.params["connection"] is None:
        if not module.check_mode:
            refuse(module, ["postgresql_connection is empty: the provider did not say where the server is."])
        nothing: dict[str, Any] = {"roles": {}, "databases": {}}
        inside = new_inside()
        new = [*cluster_statements(wanted, nothing), create_statement(wanted), *extension_statements(wanted, inside)]
        new += inside_statements(wanted, new_database(wanted.roles["owner"]), inside)
        new += environment_statements(wanted, new_database(wanted.roles["owner"]))
        finish(module, new, audit=audit_is_on(wanted.audit, ""), made=True, reads=False, row_security=False)
    ensure_required_libs(module)
    set_up(module, wanted)


if __name__ == "__main__":
    main()
