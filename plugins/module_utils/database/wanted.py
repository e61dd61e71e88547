# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The wanted state, the login role, and the SQL statement type that the other files of this role share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PURPOSES = ("owner", "app", "readonly", "backup")
PUBLIC = "public"  # in our dicts; no role can have this name
AUDIT = ("auto", "always", "never")

# Members can run programs and read and write files as the system user of the server, which equals a superuser.
SERVER_ROLES = ("pg_execute_server_program", "pg_read_server_files", "pg_write_server_files")
# Predefined roles of which ours may not be members, besides SERVER_ROLES. A role that reads all data also reads the
# password verifiers; a role that writes all data also writes the history of migrations.
REFUSED_GROUPS = {
    "owner": ("pg_write_all_data",),
    "app": ("pg_write_all_data", "pg_read_all_data"),
    "readonly": ("pg_write_all_data", "pg_read_all_data"),
    "backup": ("pg_write_all_data",),
}


@dataclass(frozen=True)
class Wanted:
    """The wanted state from the variables of the role `database`; dicts are keyed by PURPOSES."""

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
    environment: str = ""
    audit: str = "never"
    audit_role: str = "emr_audit"
    row_level_security: bool = False


@dataclass(frozen=True)
class Login:
    """The login role and its privileges.

    Attributes:
        name: name of the role.
        superuser: whether it is a superuser; the other attributes matter only if not.
        createrole: whether it may create roles.
        createdb: whether it may create databases.
        bypassrls: whether it bypasses row level security; only such a role may grant that attribute.
        read_all: whether it may grant pg_read_all_data to other roles.
    """

    name: str = "postgres"
    superuser: bool = True
    createrole: bool = True
    createdb: bool = True
    bypassrls: bool = True
    read_all: bool = True


SUPERUSER = Login()


@dataclass(frozen=True)
class Statement:
    """One SQL statement; `shown` replaces a text that holds a verifier."""

    sql: str
    shown: str = ""

    def __str__(self) -> str:
        """Return the statement without secrets."""
        return self.shown or self.sql


def audit_is_on(audit: str, preloaded: str | None) -> bool:
    """Tell whether reads of patients' data are audited: by request, or where the server has pgaudit.

    Args:
        audit: one of AUDIT.
        preloaded: the server's shared_preload_libraries.
    """
    if audit == "auto":
        return "pgaudit" in [name.strip() for name in (preloaded or "").split(",")]
    return audit == "always"


def refused_groups(wanted: Wanted, purpose: str, found: Mapping[str, Any]) -> list[str]:
    """Return the forbidden roles of which one of our roles is a member."""
    refused = {*SERVER_ROLES, *REFUSED_GROUPS[purpose], *(set(wanted.roles.values()) - {wanted.roles[purpose]})}
    return sorted(refused & set(found["member_of"]))


def is_ours(cluster: Mapping[str, Any], database: str) -> bool:
    """Tell whether the login role owns a database, or will own it after creating it."""
    return bool((cluster["databases"] or {}).get(database, {}).get("owned", True))
