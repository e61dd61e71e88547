# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Says which statements bring the roles, the database and its privileges from what is found to what is wanted.

Pure functions on what the queries of `database_queries` return.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.database_queries import COLLATION
from ansible.module_utils.database_scram import is_scram_verifier_of, scram_verifier

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
RESERVED_ROLES = ("postgres", "public", "none", "current_role", "current_user", "session_user")
RESERVED_DATABASES = ("postgres", "template0", "template1")
PURPOSES = ("owner", "app", "readonly", "backup")
PUBLIC = "public"  # in our dicts; no role can have this name

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


@dataclass(frozen=True)
class Wanted:
    """What the variables of the role `database` ask for; dicts are keyed by PURPOSES."""

    name: str
    roles: Mapping[str, str]
    locale: str
    extensions: list[str]
    passwords: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    connection_limits: Mapping[str, int] = field(default_factory=dict)
    closed_databases: list[str] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Login:
    """As whom we log in, and what that role may do.

    Attributes:
        name: name of the role.
        superuser: whether it is one; the rest counts for others only.
        createrole: whether it may make roles.
        createdb: whether it may make databases.
        bypassrls: whether row level security does not count for it; only such a role may give that on.
        read_all: whether it may make others members of pg_read_all_data.
    """

    name: str = "postgres"
    superuser: bool = True
    createrole: bool = True
    createdb: bool = True
    bypassrls: bool = True
    read_all: bool = True


@dataclass(frozen=True)
class Statement:
    """One SQL statement; `shown` replaces the text where that holds a verifier."""

    sql: str
    shown: str = ""

    def __str__(self) -> str:
        """Return the statement without secrets."""
        return self.shown or self.sql


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Return a text as an SQL literal (standard_conforming_strings is on)."""
    return "'" + value.replace("'", "''") + "'"


def input_problems(wanted: Wanted) -> list[str]:
    """Return a sentence for each value that is refused whatever the server says."""
    problems = []
    names = {"database_name": wanted.name}
    names |= {("database_owner" if key == "owner" else f"database_{key}_role"): wanted.roles[key] for key in PURPOSES}
    for variable, name in names.items():
        reserved = RESERVED_DATABASES if variable == "database_name" else RESERVED_ROLES
        if not NAME.fullmatch(name):
            problems.append(
                f"{variable} is {name!r}: a name is a to z, 0 to 9 and _, begins with no digit, and has 63 at most."
            )
        elif name in reserved or name.startswith("pg_"):
            problems.append(f"{variable} is {name!r}, a name that PostgreSQL keeps for itself.")
    if len(set(wanted.roles.values())) < len(wanted.roles):
        problems.append(f"Each role needs a name of its own, not {', '.join(wanted.roles.values())}.")
    for variable in ("passwords", "settings", "connection_limits"):
        for key in set(getattr(wanted, variable)) - set(PURPOSES):
            shown = "role_settings" if variable == "settings" else variable
            problems.append(f"database_{shown} has the key {key!r}; it takes {', '.join(PURPOSES)}.")
    for key, password in wanted.passwords.items():
        if not password or "\0" in password:
            problems.append(f"The password of {key} in database_passwords is empty or holds a NUL character.")
    for key, limit in wanted.connection_limits.items():
        if limit < -1:
            problems.append(f"database_connection_limits has {limit} for {key}; the least is -1, which is no limit.")
    return problems


def server_problems(wanted: Wanted, cluster: Mapping[str, Any], login: str) -> list[str]:
    """Return a sentence with its remedy for each reason not to touch this server.

    Args:
        wanted: what is asked for.
        cluster: the result of CLUSTER.
        login: the role that Ansible logs in as.
    """
    if cluster["version_num"] // 10000 not in wanted.versions:
        versions = " or ".join(map(str, wanted.versions))
        return [
            f"The server is PostgreSQL {cluster['version']}; this release is made for {versions}. "
            f"Name a server of version {versions} in postgresql_connection."
        ]
    if cluster["standby"]:
        return ["The server is a standby and only reads. Name the primary in postgresql_connection."]
    problems = []
    if cluster["read_only"]:
        problems.append("The server has default_transaction_read_only = on. Switch it off to deploy.")
    if not cluster["collation"]:
        problems.append(f"The server has no collation {COLLATION}: it was built without ICU. Install a build with ICU.")
    problems += [
        f"The extension {name} is not available on the server. Install PostgreSQL's contrib package there."
        for name in wanted.extensions
        if name not in cluster["available"]
    ]
    for name in wanted.roles.values():
        if name == login:
            problems.append(
                f"{name} is the role that Ansible logs in as. Log in as another superuser, or rename the role."
            )
        elif cluster["roles"].get(name, {}).get("SUPERUSER"):
            problems.append(
                f"The role {name} is a superuser, for whom no privilege counts. "
                f"If it need not be one: ALTER ROLE {quoted(name)} NOSUPERUSER; otherwise choose another name."
            )
    found = (cluster["databases"] or {}).get(wanted.name)
    if found:
        owner = wanted.roles["owner"]
        for what, is_, shall, variable in (
            ("encoding", found["encoding"], "UTF8", ""),
            ("locale", found["locale"], wanted.locale, "database_locale"),
            ("character classes", found["ctype"], wanted.locale, "database_locale"),
            ("owner", found["owner"], owner, "database_owner"),
        ):
            if is_ != shall:
                keep = f", or keep it with {variable}: {is_}" if variable else ""
                problems.append(
                    f"The database {wanted.name} is there with {what} {is_}, not {shall}. "
                    f"Choose another database_name{keep}."
                )
    return problems


def login_problems(wanted: Wanted, cluster: Mapping[str, Any], login: Login) -> list[str]:
    """Return a sentence for each right that a login role that is no superuser lacks, with what gives it."""
    if login.superuser:
        return []
    me = quoted(login.name)
    missing: dict[str, str] = {}
    if not login.createrole:
        missing["CREATEROLE, to make the roles"] = f"ALTER ROLE {me} CREATEROLE"
    if not login.createdb and wanted.name not in (cluster["databases"] or {}):
        missing[f"CREATEDB, to make the database {wanted.name}"] = f"ALTER ROLE {me} CREATEDB"
    for name, found in cluster["roles"].items():
        if not found["admin"]:
            missing[f"ADMIN OPTION on the role {name}, which somebody else made"] = (
                f"GRANT {quoted(name)} TO {me} WITH ADMIN OPTION"
            )
    backup = cluster["roles"].get(wanted.roles["backup"], {"member_of": []})
    if not login.read_all and "pg_read_all_data" not in backup["member_of"]:
        missing[f"ADMIN OPTION on pg_read_all_data, for {wanted.roles['backup']}"] = (
            f"GRANT pg_read_all_data TO {me} WITH ADMIN OPTION"
        )
    return [
        f"{login.name}, as whom postgresql_connection logs in, is no superuser and lacks {what}. "
        f"A superuser gives it: {statement};"
        for what, statement in missing.items()
    ]


def login_notes(wanted: Wanted, cluster: Mapping[str, Any], login: Login) -> list[str]:
    """Return what is left undone because the login role is no superuser, and does no harm."""
    if login.superuser:
        return []
    notes = []
    backup = wanted.roles["backup"]
    if not login.bypassrls and not cluster["roles"].get(backup, {}).get("BYPASSRLS"):
        notes.append(
            f"{backup} does not get BYPASSRLS, because {login.name} does not have it. Where a table has row level "
            "security, its dump fails until a superuser gives it that."
        )
    foreign = [name for name in wanted.closed_databases if not _ours(cluster, name)]
    if foreign:
        notes.append(
            f"PUBLIC may still enter {', '.join(foreign)}, of which {login.name} is not the owner. "
            "Take them off database_closed_databases, or let their owner revoke CONNECT."
        )
    return notes


def _ours(cluster: Mapping[str, Any], database: str) -> bool:
    return bool((cluster["databases"] or {}).get(database, {}).get("owned", True))


def cluster_statements(wanted: Wanted, cluster: Mapping[str, Any], login: Login = Login()) -> list[Statement]:
    """Return what brings the roles, and the databases that they shall not enter, to what is wanted."""
    statements: list[Statement] = []
    for purpose in PURPOSES:
        statements += role_statements(wanted, purpose, cluster["roles"].get(wanted.roles[purpose]), login)
    owner = wanted.roles["owner"]
    if not login.superuser and not cluster["roles"].get(owner, {}).get("usable"):
        # Makes the database for the owner and works inside it; who makes a role may only administer it.
        statements.append(Statement(f"GRANT {quoted(owner)} TO {quoted(login.name)} WITH INHERIT TRUE, SET TRUE"))
    for name in wanted.closed_databases:
        found = (cluster["databases"] or {}).get(name)
        if found and (login.superuser or _ours(cluster, name)):
            statements += privilege_statements({}, found["acl"], f"ON DATABASE {quoted(name)}", [PUBLIC])
    return statements


def role_statements(
    wanted: Wanted, purpose: str, found: Mapping[str, Any] | None, login: Login = Login()
) -> list[Statement]:
    """Return what makes one role, or brings it to what is wanted.

    Where the verifier of `found` may not be read, its `logs_in` says whether the password is right.
    """
    name = wanted.roles[purpose]
    statements = []
    if found is None:
        statements.append(Statement(f"CREATE ROLE {quoted(name)} LOGIN"))
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
        statements.append(Statement(f"ALTER ROLE {quoted(name)} {' '.join(options)}"))
    password = wanted.passwords.get(purpose)
    known = found.get("logs_in") or is_scram_verifier_of(found.get("verifier") or "", password or "")
    if password is not None and not known:
        change = f"ALTER ROLE {quoted(name)} PASSWORD "
        statements.append(
            Statement(change + literal(scram_verifier(password)), f"{change}'(a SCRAM-SHA-256 verifier)'")
        )
    settings = dict(setting.split("=", 1) for setting in found["settings"])
    for setting, value in wanted.settings.get(purpose, {}).items():
        text = setting_text(value)
        if settings.get(setting) != text:
            statements.append(Statement(f"ALTER ROLE {quoted(name)} SET {quoted(setting)} = {literal(text)}"))
    if purpose == "backup" and "pg_read_all_data" not in found["member_of"]:
        statements.append(Statement(f"GRANT pg_read_all_data TO {quoted(name)}"))
    return statements


def setting_text(value: object) -> str:
    """Return the value of a server setting as PostgreSQL keeps it: YAML's true and false are on and off."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def create_statement(wanted: Wanted) -> Statement:
    """Return what makes the database; template0 has nothing that somebody added."""
    return Statement(
        f"CREATE DATABASE {quoted(wanted.name)} OWNER {quoted(wanted.roles['owner'])} TEMPLATE template0 "
        f"ENCODING 'UTF8' LOCALE {literal(wanted.locale)}"
    )


def new_database(owner: str) -> dict[str, Any]:
    """Return the ACL of a new database, as CLUSTER would."""
    return {"acl": {owner: ["CREATE", "TEMPORARY", "CONNECT"], PUBLIC: ["TEMPORARY", "CONNECT"]}}


def new_inside() -> dict[str, Any]:
    """Return what INSIDE returns in a database just made from template0."""
    return {
        "extensions": ["plpgsql"],
        "public_schema": {PUBLIC: ["USAGE"]},
        "default_privileges": {"r": {}, "S": {}, "f": {PUBLIC: ["EXECUTE"]}, "T": {PUBLIC: ["USAGE"]}, "n": {}},
        "untouched": {},
    }


def inside_statements(wanted: Wanted, database: Mapping[str, Any], inside: Mapping[str, Any]) -> list[Statement]:
    """Return what brings extensions and privileges of the database to what is wanted.

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
        by_name(DATABASE_PRIVILEGES), database["acl"], f"ON DATABASE {quoted(wanted.name)}", ours
    )
    statements += [
        Statement(f"CREATE EXTENSION {quoted(name)}") for name in wanted.extensions if name not in inside["extensions"]
    ]
    statements += privilege_statements(by_name(SCHEMA_PRIVILEGES), inside["public_schema"], "ON SCHEMA public", ours)
    for kind, privileges in DEFAULT_PRIVILEGES.items():
        statements += privilege_statements(
            by_name(privileges),
            inside["default_privileges"][kind],
            f"ON {OBJECT_WORDS[kind]}S",
            ours,
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {quoted(roles['owner'])} ",
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
        whom = "PUBLIC" if grantee == PUBLIC else quoted(grantee)
        if has - shall:
            statements.append(Statement(f"{prefix}REVOKE {', '.join(sorted(has - shall))} {target} FROM {whom}"))
        if shall - has:
            statements.append(Statement(f"{prefix}GRANT {', '.join(sorted(shall - has))} {target} TO {whom}"))
    return statements
