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
# uuid_generate_v4() is the default of a column, similarity() searches: whoever works with rows needs them.
EXTENSION_PRIVILEGES = {"owner": {"EXECUTE"}, "app": {"EXECUTE"}, "readonly": {"EXECUTE"}}

# They run programs and read and write files as the system user of the server: as good as a superuser.
SERVER_ROLES = ("pg_execute_server_program", "pg_read_server_files", "pg_write_server_files")
# Of what server roles of PostgreSQL ours may not be members, besides SERVER_ROLES. Who reads all data reads the
# verifiers of passwords too; who writes all data writes the history of migrations.
REFUSED_GROUPS = {
    "owner": ("pg_write_all_data",),
    "app": ("pg_write_all_data", "pg_read_all_data"),
    "readonly": ("pg_write_all_data", "pg_read_all_data"),
    "backup": ("pg_write_all_data",),
}
AUDIT = ("auto", "always", "never")


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
    passwordless: list[str] = field(default_factory=list)
    connection_limit: int = -1
    allowed_extensions: list[str] = field(default_factory=list)
    audit: str = "never"
    audit_role: str = "emr_audit"


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
    names["database_audit_role"] = wanted.audit_role
    for variable, name in names.items():
        reserved = RESERVED_DATABASES if variable == "database_name" else RESERVED_ROLES
        if not NAME.fullmatch(name):
            problems.append(
                f"{variable} is {name!r}: a name is a to z, 0 to 9 and _, begins with no digit, and has 63 at most."
            )
        elif name in reserved or name.startswith("pg_"):
            problems.append(f"{variable} is {name!r}, a name that PostgreSQL keeps for itself.")
    named = [*wanted.roles.values(), wanted.audit_role]
    if len(set(named)) < len(named):
        problems.append(f"Each role needs a name of its own, not {', '.join(named)}.")
    for variable in ("passwords", "settings", "connection_limits"):
        for key in set(getattr(wanted, variable)) - set(PURPOSES):
            shown = "role_settings" if variable == "settings" else variable
            problems.append(f"database_{shown} has the key {key!r}; it takes {', '.join(PURPOSES)}.")
    for key, password in wanted.passwords.items():
        if not password or "\0" in password:
            problems.append(f"The password of {key} in database_passwords is empty or holds a NUL character.")
    problems += [
        f"database_passwordless names {key!r}; it takes {', '.join(PURPOSES)}."
        for key in wanted.passwordless
        if key not in PURPOSES
    ]
    problems += limit_problems(wanted)
    problems += [
        f"The extension {name} is not among database_allowed_extensions. Add it there if it can neither reach files, "
        "programs nor other servers."
        for name in wanted.extensions
        if name not in wanted.allowed_extensions
    ]
    if wanted.audit not in AUDIT:
        problems.append(f"database_audit is {wanted.audit!r}; it can be {', '.join(AUDIT)}.")
    return problems


def limit_problems(wanted: Wanted) -> list[str]:
    """Return a sentence for each role, and the database, that could take every connection of the server."""
    problems = []
    for key in PURPOSES:
        limit = wanted.connection_limits.get(key)
        if limit is None:
            problems.append(
                f"database_connection_limits says nothing of {key}: a role without limit can take every connection "
                "of the server. Name all four."
            )
        elif limit < 1:
            problems.append(f"database_connection_limits has {limit} for {key}; the least is 1.")
    if wanted.connection_limit < 1:
        problems.append(f"database_connection_limit is {wanted.connection_limit}; the least is 1.")
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
    for purpose in ("app", "readonly", "backup"):
        name = wanted.roles[purpose]
        if owns := cluster["roles"].get(name, {}).get("owns"):
            problems.append(
                f"The role {name} owns objects in {', '.join(owns)}; whoever owns a table may change it and let "
                f"others in. In each of these databases: REASSIGN OWNED BY {quoted(name)} TO "
                f"{quoted(wanted.roles['owner'])};"
            )
    problems += connection_problems(wanted, cluster["slots"])
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


def connection_problems(wanted: Wanted, slots: Mapping[str, int]) -> list[str]:
    """Return a sentence where the limits together let the server run out of connections.

    Args:
        wanted: what is asked for.
        slots: max_connections, superuser_reserved_connections and reserved_connections of the server.
    """
    free = slots["max_connections"] - slots["superuser_reserved_connections"] - slots["reserved_connections"]
    total = sum(wanted.connection_limits.get(purpose, 0) for purpose in PURPOSES)
    server = (
        f"the server has {free} for those who are no superusers (max_connections {slots['max_connections']} less "
        f"superuser_reserved_connections {slots['superuser_reserved_connections']} and reserved_connections "
        f"{slots['reserved_connections']})"
    )
    problems = []
    if total >= free:
        problems.append(
            f"database_connection_limits add up to {total}, and {server}. Lower them below that, or raise "
            "max_connections (postgresql_max_connections)."
        )
    if wanted.connection_limit > free:
        problems.append(
            f"database_connection_limit is {wanted.connection_limit}, and {server}. Lower it, or raise max_connections."
        )
    return problems


def audit_is_on(audit: str, preloaded: str | None) -> bool:
    """Tell whether reads of patients' data are audited: as asked for, or where the server has pgaudit.

    Args:
        audit: one of AUDIT.
        preloaded: the server's shared_preload_libraries.
    """
    if audit == "auto":
        return "pgaudit" in [name.strip() for name in (preloaded or "").split(",")]
    return audit == "always"


def notes_of(wanted: Wanted, cluster: Mapping[str, Any], inside: Mapping[str, Any], login: Login) -> list[str]:
    """Return what is less safe than it could be, and is not ours to change."""
    notes = []
    if cluster["strangers"]:
        notes.append(
            f"Roles that may use files or programs of the server: {', '.join(cluster['strangers'])}. "
            "They are as good as superusers; REVOKE what they do not need."
        )
    if strange := sorted(set(inside["extensions"]) - {*wanted.allowed_extensions, *wanted.extensions, "plpgsql"}):
        notes.append(
            f"{wanted.name} has extensions that are not among database_allowed_extensions: {', '.join(strange)}. "
            "DROP EXTENSION what nobody uses, or add it there."
        )
    if inside.get("languages"):
        notes.append(
            f"{wanted.name} has untrusted languages, whose functions may do all that the server may: "
            f"{', '.join(inside['languages'])}. DROP EXTENSION what nobody uses."
        )
    if not login.superuser:
        for purpose in PURPOSES:
            found = cluster["roles"].get(wanted.roles[purpose])
            notes += [
                f"{wanted.roles[purpose]} is a member of {group}, which {login.name} may not change. A superuser "
                f"does: REVOKE {group} FROM {quoted(wanted.roles[purpose])};"
                for group in refused_groups(wanted, purpose, found or {"member_of": []})
            ]
    return notes


def refused_groups(wanted: Wanted, purpose: str, found: Mapping[str, Any]) -> list[str]:
    """Return the roles that a role of ours is a member of and may not be."""
    refused = {*SERVER_ROLES, *REFUSED_GROUPS[purpose], *(set(wanted.roles.values()) - {wanted.roles[purpose]})}
    return sorted(refused & set(found["member_of"]))


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
    if audit_is_on(wanted.audit, cluster.get("preloaded")):
        statements += audit_role_statements(wanted, cluster["roles"].get(wanted.audit_role))
    owner = wanted.roles["owner"]
    if not login.superuser and not cluster["roles"].get(owner, {}).get("usable"):
        # Makes the database for the owner and works inside it; who makes a role may only administer it.
        statements.append(Statement(f"GRANT {quoted(owner)} TO {quoted(login.name)} WITH INHERIT TRUE, SET TRUE"))
    for name in wanted.closed_databases:
        found = (cluster["databases"] or {}).get(name)
        if found and (login.superuser or _ours(cluster, name)):
            statements += privilege_statements({}, found["acl"], f"ON DATABASE {quoted(name)}", [PUBLIC])
    database = (cluster["databases"] or {}).get(wanted.name)
    if database and database["limit"] != wanted.connection_limit:
        statements.append(Statement(f"ALTER DATABASE {quoted(wanted.name)} CONNECTION LIMIT {wanted.connection_limit}"))
    return statements


def audit_role_statements(wanted: Wanted, found: Mapping[str, Any] | None) -> list[Statement]:
    """Return what makes the role that pgaudit.role names: it audits who uses its privileges, and nobody can be it."""
    name = quoted(wanted.audit_role)
    if found is None:
        return [Statement(f"CREATE ROLE {name} NOLOGIN")]
    words = ("LOGIN", "SUPERUSER", "CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS")
    has = [word for word in words if found.get(word)]
    statements = [Statement(f"ALTER ROLE {name} {' '.join('NO' + word for word in has)}")] if has else []
    # Who made it without being a superuser administers it, which PostgreSQL does not let go of.
    members = sorted(set(found["members"]) & set(wanted.roles.values()))
    return statements + [Statement(f"REVOKE {name} FROM {quoted(member)}") for member in members]


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
    password = None if purpose in wanted.passwordless else wanted.passwords.get(purpose)
    # Who is no superuser sees stars instead of a verifier, whether or not there is one.
    if purpose in wanted.passwordless and login.superuser and found.get("verifier"):
        statements.append(Statement(f"ALTER ROLE {quoted(name)} PASSWORD NULL"))
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
    if login.superuser:
        statements += [
            Statement(f"REVOKE {quoted(group)} FROM {quoted(name)}") for group in refused_groups(wanted, purpose, found)
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
        f"CREATE DATABASE {quoted(wanted.name)} OWNER {quoted(wanted.roles['owner'])} TEMPLATE template0 "
        f"ENCODING 'UTF8' LOCALE {literal(wanted.locale)} CONNECTION LIMIT {wanted.connection_limit}"
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
        "languages": [],
        "open_routines": [],
        "row_security": False,
    }


def extension_statements(wanted: Wanted, inside: Mapping[str, Any]) -> list[Statement]:
    """Return what makes the extensions that are missing, so that their routines can be looked at."""
    return [
        Statement(f"CREATE EXTENSION {quoted(name)}") for name in wanted.extensions if name not in inside["extensions"]
    ]


def routine_statements(wanted: Wanted, inside: Mapping[str, Any], login: Login = Login()) -> list[Statement]:
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
        by_name(DATABASE_PRIVILEGES), database["acl"], f"ON DATABASE {quoted(wanted.name)}", ours
    )
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
