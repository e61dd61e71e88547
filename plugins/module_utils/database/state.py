# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Says which statements bring the roles, the database and its privileges from what is found to what is wanted.

Pure functions on what the queries of `queries.py` return.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..sql import identifier, literal
from .scram import is_scram_verifier_of, scram_verifier
from .wanted import PUBLIC, PURPOSES, SUPERUSER, Login, Statement, Wanted, audit_is_on, is_ours, refused_groups

# What each role may do with what the owner makes; PUBLIC may do nothing. Keys as in pg_default_acl.defaclobjtype.
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
# uuid_generate_v4() is the default of a column, similarity() searches: whoever works with rows needs them.
EXTENSION_PRIVILEGES = {"owner": {"EXECUTE"}, "app": {"EXECUTE"}, "readonly": {"EXECUTE"}}


def cluster_statements(wanted: Wanted, cluster: Mapping[str, Any], login: Login = SUPERUSER) -> list[Statement]:
    """Return what brings the roles, and the databases that they shall not enter, to what is wanted."""
    statements: list[Statement] = []
    for purpose in PURPOSES:
        statements += role_statements(wanted, purpose, cluster["roles"].get(wanted.roles[purpose]), login)
    if audit_is_on(wanted.audit, cluster.get("preloaded")):
        statements += audit_role_statements(wanted, cluster["roles"].get(wanted.audit_role))
    owner = wanted.roles["owner"]
    if not login.superuser and not cluster["roles"].get(owner, {}).get("usable"):
        # Makes the database for the owner and works inside it; who makes a role may only administer it.
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
    """Return what makes the role that pgaudit.role names: it audits who uses its privileges, and nobody can be it."""
    name = identifier(wanted.audit_role)
    if found is None:
        return [Statement(f"CREATE ROLE {name} NOLOGIN")]
    words = ("LOGIN", "SUPERUSER", "CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS")
    has = [word for word in words if found.get(word)]
    statements = [Statement(f"ALTER ROLE {name} {' '.join('NO' + word for word in has)}")] if has else []
    # Who made it without being a superuser administers it, which PostgreSQL does not let go of.
    members = sorted(set(found["members"]) & set(wanted.roles.values()))
    return statements + [Statement(f"REVOKE {name} FROM {identifier(member)}") for member in members]


def role_statements(
    wanted: Wanted, purpose: str, found: Mapping[str, Any] | None, login: Login = SUPERUSER
) -> list[Statement]:
    """Return what makes one role, or brings it to what is wanted.

    Where the verifier of `found` may not be read, its `logs_in` says whether the password is right.
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
    # Who is no superuser sees stars instead of a verifier, whether or not there is one.
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
    """Return the value of a server setting as PostgreSQL keeps it: YAML's true and false are on and off."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def create_statement(wanted: Wanted) -> Statement:
    """Return what makes the database; template0 has nothing that somebody added."""
    return Statement(
        f"CREATE DATABASE {identifier(wanted.name)} OWNER {identifier(wanted.roles['owner'])} TEMPLATE template0 "
        f"ENCODING 'UTF8' LOCALE {literal(wanted.locale)} CONNECTION LIMIT {wanted.connection_limit}"
    )


def new_database(owner: str) -> dict[str, Any]:
    """Return the ACL of a new database, as CLUSTER would."""
    return {"acl": {owner: ["CREATE", "TEMPORARY", "CONNECT"], PUBLIC: ["TEMPORARY", "CONNECT"]}}


def environment_statements(wanted: Wanted, database: Mapping[str, Any], login: Login = SUPERUSER) -> list[Statement]:
    """Return what lets the database say which environment it belongs to.

    A setting that no extension defines takes a superuser (or GRANT SET ON PARAMETER), also for the database's owner.
    """
    if not wanted.environment or not login.superuser or database.get("environment") == wanted.environment:
        return []
    setting = f'"physioflow.environment" = {literal(wanted.environment)}'
    return [Statement(f"ALTER DATABASE {identifier(wanted.name)} SET {setting}")]


def new_inside() -> dict[str, Any]:
    """Return what INSIDE returns in a database just made from template0."""
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
    """Return what makes the extensions that are missing, so that their routines can be looked at."""
    return [
        Statement(f"CREATE EXTENSION {identifier(name)}")
        for name in wanted.extensions
        if name not in inside["extensions"]
    ]


def routine_statements(wanted: Wanted, inside: Mapping[str, Any], login: Login = SUPERUSER) -> list[Statement]:
    """Return what closes the routines of our extensions to PUBLIC and keeps them open to those who work with rows.

    Extensions that PostgreSQL trusts are made as the server's first superuser: nobody else may change their privileges.
    """
    if not inside["open_routines"] or not login.superuser:
        return []
    roles = {wanted.roles[purpose]: words for purpose, words in EXTENSION_PRIVILEGES.items()}
    target = f"ON ROUTINE {', '.join(inside['open_routines'])}"
    return privilege_statements(roles, {PUBLIC: ["EXECUTE"]}, target, [PUBLIC, *roles])


def inside_statements(wanted: Wanted, database: Mapping[str, Any], inside: Mapping[str, Any]) -> list[Statement]:
    """Return what brings the privileges of the database to what is wanted.

    Objects that the owner made and that nobody granted anything on, for instance by hand before the first deploy, get
    what the default privileges would have given them. What a migration granted or revoked itself stays.

    Args:
        wanted: what is asked for.
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
    """Return the GRANT and REVOKE statements that give each grantee exactly what is wanted.

    Args:
        wanted: privileges by grantee; a grantee that is missing shall have none.
        found: privileges by grantee.
        target: for instance `ON SCHEMA public`.
        grantees: whom to look at; what others have stays.
        prefix: what stands before GRANT, for instance ALTER DEFAULT PRIVILEGES.
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
