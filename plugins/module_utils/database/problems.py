# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds problems of the wanted state, the server and the login role, as sentences with a remedy.

Pure functions on the results of the queries in `queries.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..sql import identifier
from .queries import COLLATION
from .wanted import PURPOSES, Login, Wanted, is_ours, refused_groups

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
RESERVED_ROLES = ("postgres", "public", "none", "current_role", "current_user", "session_user")
USUAL_SLOTS = {"max_connections": 100, "superuser_reserved_connections": 3, "reserved_connections": 0}
RESERVED_DATABASES = ("postgres", "template0", "template1")


def input_problems(wanted: Wanted) -> list[str]:
    """Return a sentence for each value that is refused on any server."""
    problems = []
    names = {"database_name": wanted.name}
    names |= {("database_owner" if key == "owner" else f"database_{key}_role"): wanted.roles[key] for key in PURPOSES}
    names["database_audit_role"] = wanted.audit_role
    for variable, name in names.items():
        reserved = RESERVED_DATABASES if variable == "database_name" else RESERVED_ROLES
        if not NAME.fullmatch(name):
            problems.append(
                f"{variable} is {name!r}: a name has 1 to 63 of the characters a-z, 0-9 and _, the first not a digit."
            )
        elif name in reserved or name.startswith("pg_"):
            problems.append(f"{variable} is {name!r}, a name that PostgreSQL reserves.")
    named = [*wanted.roles.values(), wanted.audit_role]
    if len(set(named)) < len(named):
        problems.append(f"Each role needs a different name; they are {', '.join(named)}.")
    for variable in ("passwords", "settings", "connection_limits"):
        for key in set(getattr(wanted, variable)) - set(PURPOSES):
            shown = "role_settings" if variable == "settings" else variable
            problems.append(f"database_{shown} has the key {key!r}; valid keys are {', '.join(PURPOSES)}.")
    problems += [
        f"The password of {key} in database_passwords is empty or contains a NUL character."
        for key, password in wanted.passwords.items()
        if not password or "\0" in password
    ]
    problems += [
        f"database_passwordless has {key!r}; valid values are {', '.join(PURPOSES)}."
        for key in wanted.passwordless
        if key not in PURPOSES
    ]
    problems += limit_problems(wanted)
    problems += [
        f"The extension {name} is not among database_allowed_extensions. Add it there if it cannot access files, "
        "programs or other servers."
        for name in wanted.extensions
        if name not in wanted.allowed_extensions
    ]
    return problems


def limit_problems(wanted: Wanted) -> list[str]:
    """Return a sentence for each role, and the database, that could take every connection of the server."""
    problems = []
    for key in PURPOSES:
        limit = wanted.connection_limits.get(key)
        if limit is None:
            problems.append(
                f"database_connection_limits has no limit for {key}: without one, the role can use every connection "
                "of the server. Set all four."
            )
        elif limit < 1:
            problems.append(f"database_connection_limits has {limit} for {key}; the minimum is 1.")
    if wanted.connection_limit < 1:
        problems.append(f"database_connection_limit is {wanted.connection_limit}; the minimum is 1.")
    return problems


def as_it_will_be(wanted: Wanted, cluster: Mapping[str, Any], coming: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of the server after the coming changes of the provider.

    Args:
        wanted: the wanted state.
        cluster: the result of CLUSTER.
        coming: settings by name, and whether new software is installed.
    """
    settings = coming.get("settings") or {}
    read_only = settings.get("default_transaction_read_only", cluster["read_only"])
    return {
        **cluster,
        "slots": coming_slots(settings, cluster["slots"]),
        "read_only": str(read_only).lower() in ("true", "on", "yes", "1"),
        "available": wanted.extensions if coming.get("software") else cluster["available"],
    }


def coming_slots(settings: Mapping[str, Any], slots: Mapping[str, int]) -> dict[str, int]:
    """Return the connection slots that a server will have; the server itself refuses settings that are no number."""
    return dict(slots) | {name: int(settings[name]) for name in slots if re.fullmatch(r"\d+", str(settings.get(name)))}


def coming_problems(wanted: Wanted, coming: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each reason not to create the server that the provider is about to create."""
    if not coming.get("new"):
        return []
    version = str(coming.get("version", ""))
    if version and int(version) not in wanted.versions:
        versions = " or ".join(map(str, wanted.versions))
        return [
            f"The provider would install PostgreSQL {version}; this release supports {versions}. Set "
            f"postgresql_version to {versions}."
        ]
    return connection_problems(wanted, coming_slots(coming.get("settings") or {}, USUAL_SLOTS))


def server_problems(wanted: Wanted, cluster: Mapping[str, Any], login: str) -> list[str]:
    """Return a sentence with its remedy for each reason not to change this server.

    Args:
        wanted: the wanted state.
        cluster: the result of CLUSTER.
        login: the role that Ansible logs in as.
    """
    if cluster["version_num"] // 10000 not in wanted.versions:
        versions = " or ".join(map(str, wanted.versions))
        return [
            f"The server is PostgreSQL {cluster['version']}; this release supports {versions}. "
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
                f"The role {name} is a superuser, so privileges do not restrict it. "
                f"If it need not be one: ALTER ROLE {identifier(name)} NOSUPERUSER; otherwise choose another name."
            )
    for purpose in ("app", "readonly", "backup"):
        name = wanted.roles[purpose]
        if owns := cluster["roles"].get(name, {}).get("owns"):
            problems.append(
                f"The role {name} owns objects in {', '.join(owns)}; the owner of a table can change it and "
                f"grant privileges on it. In each of these databases: REASSIGN OWNED BY {identifier(name)} TO "
                f"{identifier(wanted.roles['owner'])};"
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
                    f"The database {wanted.name} exists with {what} {is_}, not {shall}. "
                    f"Choose another database_name{keep}."
                )
    return problems


def connection_problems(wanted: Wanted, slots: Mapping[str, int]) -> list[str]:
    """Return a sentence where the limits together let the server run out of connections.

    Args:
        wanted: the wanted state.
        slots: max_connections, superuser_reserved_connections and reserved_connections of the server.
    """
    free = slots["max_connections"] - slots["superuser_reserved_connections"] - slots["reserved_connections"]
    total = sum(wanted.connection_limits.get(purpose, 0) for purpose in PURPOSES)
    server = (
        f"the server has {free} for roles without superuser (max_connections {slots['max_connections']} minus "
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


def login_problems(wanted: Wanted, cluster: Mapping[str, Any], login: Login) -> list[str]:
    """Return a sentence for each privilege that a login role without superuser lacks, with the GRANT for it."""
    if login.superuser:
        return []
    me = identifier(login.name)
    missing: dict[str, str] = {}
    if not login.createrole:
        missing["CREATEROLE, to create the roles"] = f"ALTER ROLE {me} CREATEROLE"
    if not login.createdb and wanted.name not in (cluster["databases"] or {}):
        missing[f"CREATEDB, to create the database {wanted.name}"] = f"ALTER ROLE {me} CREATEDB"
    for name, found in cluster["roles"].items():
        if not found["admin"]:
            missing[f"ADMIN OPTION on the role {name}, which another role created"] = (
                f"GRANT {identifier(name)} TO {me} WITH ADMIN OPTION"
            )
    backup = cluster["roles"].get(wanted.roles["backup"], {"member_of": []})
    if not login.read_all and "pg_read_all_data" not in backup["member_of"]:
        missing[f"ADMIN OPTION on pg_read_all_data, for {wanted.roles['backup']}"] = (
            f"GRANT pg_read_all_data TO {me} WITH ADMIN OPTION"
        )
    if wanted.row_level_security and not login.bypassrls:
        missing["BYPASSRLS, to back up and verify tables under database_row_level_security, and to grant it"] = (
            f"ALTER ROLE {me} BYPASSRLS"
        )
    return [
        f"{login.name}, the role of postgresql_connection, is not a superuser and lacks {what}. "
        f"As a superuser: {statement};"
        for what, statement in missing.items()
    ]


def login_notes(wanted: Wanted, cluster: Mapping[str, Any], login: Login) -> list[str]:
    """Return a sentence for each harmless omission because the login role is no superuser."""
    if login.superuser:
        return []
    notes = []
    backup = wanted.roles["backup"]
    if not login.bypassrls and not cluster["roles"].get(backup, {}).get("BYPASSRLS"):
        notes.append(
            f"{backup} does not get BYPASSRLS, because {login.name} does not have it. If a table has row level "
            "security, its dump fails until a superuser grants it."
        )
    foreign = [name for name in wanted.closed_databases if not is_ours(cluster, name)]
    if foreign:
        notes.append(
            f"PUBLIC can still connect to {', '.join(foreign)}, because {login.name} is not the owner. "
            "Remove them from database_closed_databases, or let their owner revoke CONNECT."
        )
    return notes


def notes_of(wanted: Wanted, cluster: Mapping[str, Any], inside: Mapping[str, Any], login: Login) -> list[str]:
    """Return a sentence for each weakness that this module must not change."""
    notes = []
    if cluster["strangers"]:
        notes.append(
            f"Roles that can access files or programs of the server: {', '.join(cluster['strangers'])}. "
            "They can become superuser; REVOKE what they do not need."
        )
    if strange := sorted(set(inside["extensions"]) - {*wanted.allowed_extensions, *wanted.extensions, "plpgsql"}):
        notes.append(
            f"{wanted.name} has extensions that are not among database_allowed_extensions: {', '.join(strange)}. "
            "DROP EXTENSION the unused ones, or add them there."
        )
    if inside.get("languages"):
        notes.append(
            f"{wanted.name} has untrusted languages, whose functions can do everything that the server can: "
            f"{', '.join(inside['languages'])}. DROP EXTENSION the unused ones."
        )
    if not login.superuser:
        for purpose in PURPOSES:
            found = cluster["roles"].get(wanted.roles[purpose])
            notes += [
                f"{wanted.roles[purpose]} is a member of {group}, which {login.name} cannot change. As a "
                f"superuser: REVOKE {group} FROM {identifier(wanted.roles[purpose])};"
                for group in refused_groups(wanted, purpose, found or {"member_of": []})
            ]
    return notes
