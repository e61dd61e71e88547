# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Returns the statements that change the roles, the database and its privileges to the wanted state.

Pure functions on the results of the queries in `queries.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..sql import identifier, literal
from .scram import is_scram_verifier_of, scram_verifier
from .wanted import PUBLIC, PURPOSES, SUPERUSER, Login, Statement, Wanted, audit_is_on, is_ours, refused_groups

# Privileges of each role on the objects of the owner; PUBLIC has none. Keys as in pg_default_acl.defaclobjtype.
DEFAULT_PRIVILEGES: dict[str, dict[str, set[str]]] = {
    "r": {"app": {"SELECT", "INSERT", "UPDATE", "DELETE"}, "readonly": {"SELECT"}},
    "S": {"app": {"SELECT", "USAGE"}, "readonly": {"SELECT"}},
    "f": {"app": {"EXECUTE"}, "readonly": {"EXECUTE"}},
    "T": {"app": {"USAGE"}, "readonly": {"USAGE"}},
    "n": {"app": {"USAGE"}, "readonly": {"USAGE"}},
}
OBJECT_WORDS = {"r": "TABLE", "S": "SEQUENCE", "f": "ROUTINE", "T": "TYPE", "n": "SCHEMA"}
DATABASE_PRIVILEGES = {"app": {"CONNECT"}, "readonly": {"CONNECT"}, "backup": {"CONNECT"}}
SCHEMA_PRIVILEGES = {"app": {"USAGE"}, "readonly": {"USAGE"}}
# uuid_generate_v4() is the default of a column, similarity() searches: roles that work with rows need them.
EXTENSION_PRIVILEGES = {"owner": {"EXECUTE"}, "app": {"EXECUTE"}, "readonly": {"EXECUTE"}}


def cluster_statements(wanted: Wanted, cluster: Mapping[str, Any], login: Login = SUPERUSER) -> list[Statement]:
    """Return the statements for the roles, and for the databases to which they must not connect."""
    statements: list[Statement] = []
    for purpose in PURPOSES:
        statements += role_statements(wanted, purpose, cluster["roles"].get(wanted.roles[purpose]), login)
    if audit_is_on(wanted.audit, cluster.get("preloaded")):
        statements += audit_role_statements(wanted, cluster["roles"].get(wanted.audit_role))
    owner = wanted.roles["owner"]
    if not login.superuser and not cluster["roles"].get(owner, {}).get("usable"):
        # The login role acts as the owner in its database; the creator of a role may only administer that role.
        statements.append(
            Statement(f"GRANT {identifier(owner)} TO {identifier(login.name)} WITH INHERIT TRUE, SET TRUE")
        )
    for name in wanted.closed_databases:
        found = (cluster["databases"] or {}).get(name)
        if found and (login.superuser or is_ours(cluster, name)):
            statements += privilege_statements({}, found["acl"], f"ON DATABASE {identifier(name)}", [PUBLIC])
    database = (cluster["databases"] or {}).get(wanted.name)
    if database and database["limit"] != wanted.connection_limit:
        statements.append(
            Statement(f"ALTER DATABASE {identifier(wanted.name)} CONNECTION LIMIT {wanted.connection_limit}")
        )
    return statements


def audit_role_statements(wanted: Wanted, found: Mapping[str, Any] | None) -> list[Statement]:
    """Return the statements for the role in pgaudit.role: its privileges define the audit; our roles are no members."""
    name = identifier(wanted.audit_role)
    if found is None:
        return [Statement(f"CREATE ROLE {name} NOLOGIN")]
    words = ("LOGIN", "SUPERUSER", "CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS")
    has = [word for word in words if found.get(word)]
    statements = [Statement(f"ALTER ROLE {name} {' '.join('NO' + word for word in has)}")] if has else []
    # A creator without superuser stays a member with the admin option, which PostgreSQL does not let it revoke.
    members = sorted(set(found["members"]) & set(wanted.roles.values()))
    return statements + [Statement(f"REVOKE {name} FROM {identifier(member)}") for member in members]


def role_statements(
    wanted: Wanted, purpose: str, found: Mapping[str, Any] | None, login: Login = SUPERUSER
) -> list[Statement]:
    """Return the statements that create one role, or change it to the wanted state.

    Where the verifier in `found` cannot be read, `logs_in` tells whether the password is right.
    """
    name = wanted.roles[purpose]
    statements = []
    if found is None:
        statements.append(Statement(f"CREATE ROLE {identifier(name)} LOGIN"))
        found = {"LOGIN": True, "INHERIT": True, "limit": -1, "settings": [], "member_of": []}
    options = [
        word if shall else f"NO{word}"
        for word, shall in {
            "LOGIN": True,
            "INHERIT": True,
            "SUPERUSER": False,
            "CREATEDB": False,
            "CREATEROLE": False,
            "REPLICATION": False,
            "BYPASSRLS": purpose == "backup" and (login.bypassrls or bool(found.get("BYPASSRLS"))),
        }.items()
        if found.get(word, False) is not shall
    ]
    limit = wanted.connection_limits.get(purpose, -1)
    if found["limit"] != limit:
        options.append(f"CONNECTION LIMIT {limit}")
    if options:
        statements.append(Statement(f"ALTER ROLE {identifier(name)} {' '.join(options)}"))
    password = None if purpose in wanted.passwordless else wanted.passwords.get(purpose)
    # Without superuser, stars stand for any verifier, even where there is none.
    if purpose in wanted.passwordless and login.superuser and found.get("verifier"):
        statements.append(Statement(f"ALTER ROLE {identifier(name)} PASSWORD NULL"))
    known = found.get("logs_in") or is_scram_verifier_of(found.get("verifier") or "", password or "")
    if password is not None and not known:
        change = f"ALTER ROLE {identifier(name)} PASSWORD "
        statements.append(
            Statement(change + literal(scram_verifier(password)), f"{change}'(a SCRAM-SHA-256 verifier)'")
        )
    settings = dict(setting.split("=", 1) for setting in found["settings"])
    for setting, value in wanted.settings.get(purpose, {}).items():
        text = setting_text(value)
        if settings.get(setting) != text:
            statements.append(Statement(f"ALTER ROLE {identifier(name)} SET {identifier(setting)} = {literal(text)}"))
    if purpose == "backup" and "pg_read_all_data" not in found["member_of"]:
        statements.append(Statement(f"GRANT pg_read_all_data TO {identifier(name)}"))
    if login.superuser:
        statements += [
            Statement(f"REVOKE {identifier(group)} FROM {identifier(name)}")
            for group in refused_groups(wanted, purpose, found)
        ]
    return statements


def setting_text(value: object) -> str:
    """Return the value of a server setting as PostgreSQL stores it: YAML's true and false become on and off."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def create_statement(wanted: Wanted) -> Statement:
    """Return the statement that creates the database; template0 has no local additions."""
    return Statement(
        f"CREATE DATABASE {identifier(wanted.name)} OWNER {identifier(wanted.roles['owner'])} TEMPLATE template0 "
        f"ENCODING 'UTF8' LOCALE {literal(wanted.locale)} CONNECTION LIMIT {wanted.connection_limit}"
    )


def new_database(owner: str) -> dict[str, Any]:
    """Return the ACL of a new database, as CLUSTER would."""
    return {"acl": {owner: ["CREATE", "TEMPORARY", "CONNECT"], PUBLIC: ["TEMPORARY", "CONNECT"]}}


def environment_statements(wanted: Wanted, database: Mapping[str, Any], login: Login = SUPERUSER) -> list[Statement]:
    """Return the statement that stores in the database which environment it belongs to.

    A setting that no extension defines needs a superuser (or GRANT SET ON PARAMETER), even for the owner.
    """
    if not wanted.environment or not login.superuser or database.get("environment") == wanted.environment:
        return []
    setting = f'"physioflow.environment" = {literal(wanted.environment)}'
    return [Statement(f"ALTER DATABASE {identifier(wanted.name)} SET {setting}")]


def new_inside() -> dict[str, Any]:
    """Return the result of INSIDE in a new database from template0."""
    return {
        "extensions": ["plpgsql"],
        "public_schema": {PUBLIC: ["USAGE"]},
        "default_privileges": {"r": {}, "S": {}, "f": {PUBLIC: ["EXECUTE"]}, "T": {PUBLIC: ["USAGE"]}, "n": {}},
        "untouched": {},
        "languages": [],
        "open_routines": [],
        "row_security": False,
    }


def extension_statements(wanted: Wanted, inside: Mapping[str, Any]) -> list[Statement]:
    """Return the statements that create the missing extensions, so that their routines can be read."""
    return [
        Statement(f"CREATE EXTENSION {identifier(name)}")
        for name in wanted.extensions
        if name not in inside["extensions"]
    ]


def routine_statements(wanted: Wanted, inside: Mapping[str, Any], login: Login = SUPERUSER) -> list[Statement]:
    """Return the statements that revoke the routines of our extensions from PUBLIC and grant them to our roles.

    PostgreSQL creates trusted extensions as the first superuser of the server, so only a superuser may change their
    privileges.
    """
    if not inside["open_routines"] or not login.superuser:
        return []
    roles = {wanted.roles[purpose]: words for purpose, words in EXTENSION_PRIVILEGES.items()}
    target = f"ON ROUTINE {', '.join(inside['open_routines'])}"
    return privilege_statements(roles, {PUBLIC: ["EXECUTE"]}, target, [PUBLIC, *roles])


def inside_statements(wanted: Wanted, database: Mapping[str, Any], inside: Mapping[str, Any]) -> list[Statement]:
    """Return the statements that set the privileges of the database.

    Objects of the owner without any grants, for instance created manually before the first deploy, get the privileges
    that the default privileges would have granted. Grants and revokes of a migration stay.

    Args:
        wanted: the wanted state.
        database: the entry of the database in the result of CLUSTER, or of `new_database`.
        inside: the result of INSIDE, or of `new_inside`.
    """
    roles = wanted.roles
    ours = [PUBLIC, roles["app"], roles["readonly"], roles["backup"]]

    def by_name(privileges: Mapping[str, set[str]]) -> dict[str, set[str]]:
        return {roles[purpose]: words for purpose, words in privileges.items()}

    statements = privilege_statements(
        by_name(DATABASE_PRIVILEGES), database["acl"], f"ON DATABASE {identifier(wanted.name)}", ours
    )
    statements += privilege_statements(by_name(SCHEMA_PRIVILEGES), inside["public_schema"], "ON SCHEMA public", ours)
    for kind, privileges in DEFAULT_PRIVILEGES.items():
        statements += privilege_statements(
            by_name(privileges),
            inside["default_privileges"][kind],
            f"ON {OBJECT_WORDS[kind]}S",
            ours,
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {identifier(roles['owner'])} ",
        )
    for kind, names in inside["untouched"].items():
        found = new_inside()["default_privileges"][kind]
        target = f"ON {OBJECT_WORDS[kind]} {', '.join(names)}"
        statements += privilege_statements(by_name(DEFAULT_PRIVILEGES[kind]), found, target, ours)
    return statements


def privilege_statements(
    wanted: Mapping[str, set[str]],
    found: Mapping[str, Iterable[str]],
    target: str,
    grantees: Iterable[str],
    prefix: str = "",
) -> list[Statement]:
    """Return the GRANT and REVOKE statements that give each grantee exactly the wanted privileges.

    Args:
        wanted: privileges by grantee; a missing grantee gets none.
        found: privileges by grantee.
        target: for instance `ON SCHEMA public`.
        grantees: the grantees to compare; privileges of other grantees stay.
        prefix: the text before GRANT, for instance ALTER DEFAULT PRIVILEGES.
    """
    statements = []
    for grantee in grantees:
        shall, has = wanted.get(grantee, set()), set(found.get(grantee, ()))
        whom = "PUBLIC" if grantee == PUBLIC else identifier(grantee)
        if has - shall:
            statements.append(Statement(f"{prefix}REVOKE {', '.join(sorted(has - shall))} {target} FROM {whom}"))
        if shall - has:
            statements.append(Statement(f"{prefix}GRANT {', '.join(sorted(shall - has))} {target} TO {whom}"))
    return statements
