"""The provider managed: a server that somebody else runs, with a login role that is no superuser.

The server of the session plays that server. The four roles get names of their own, because the session's are made by
its superuser.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import apart
from tests.apart import failed_in, said_of
from tests.backups import Clinic
from tests.fuzz.driver import run_module
from tests.local import VERSIONS, Local, Result

LOGIN = "cloud_admin"
PASSWORD = "cl%o'u\"d {{ x }} canary"
ROLES = {purpose: f"managed_{purpose}" for purpose in ("owner", "app", "readonly", "backup")}
PASSWORDS = {purpose: f"{purpose} canary $%" for purpose in ROLES}
ANOTHER = "another canary"
RIGHTS = "CREATEROLE CREATEDB"


@dataclass(frozen=True)
class Managed:
    """A login role on the server of the session, and a database that it is to make."""

    local: Local
    database: str
    password: str = PASSWORD
    login: str = LOGIN
    roles: dict[str, str] = field(default_factory=lambda: ROLES)

    @property
    def settings(self) -> dict[str, Any]:
        """The variables of the provider managed."""
        return {
            "postgresql_provider": "managed",
            "postgresql_managed_host": "127.0.0.1",
            "postgresql_managed_port": int(self.local.psql("SHOW port", "postgres", role="postgres")),
            "postgresql_managed_user": self.login,
            "postgresql_managed_password": {"__ansible_unsafe": self.password},
            "postgresql_managed_sslmode": "disable",
            "postgresql_managed_bin_dir": str(self.local.server / "bin"),
            "database_name": self.database,
            "database_owner": self.roles["owner"],
            "database_app_role": self.roles["app"],
            "database_readonly_role": self.roles["readonly"],
            "database_backup_role": self.roles["backup"],
            "database_passwords": PASSWORDS,
            "database_closed_databases": [],
        }

    @property
    def connection(self) -> dict[str, Any]:
        """How the login role reaches the server, by libpq's keywords."""
        return self.local.connection | {"user": self.login, "password": self.password}

    def deploy(self, *options: str, **variables: Any) -> Result:
        """Deploy with the provider managed; no password is printed."""
        result = self.local.play("deploy.yml", *options, **(self.settings | variables))
        assert result.status == 0, result.output
        assert not [secret for secret in (PASSWORD, ANOTHER, *PASSWORDS.values()) if secret in result.output]
        return result

    def sql(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as the superuser of the server."""
        return self.local.psql(sql, database, role="postgres")

    def owner_of(self, database: str) -> str:
        """Return the owner of a database."""
        return self.sql(f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{database}'")


@contextmanager
def login_role(local: Local, database: str, password: str = PASSWORD, **more: Any) -> Iterator[Managed]:
    """Make a login role with the rights of a managed server's administrator; remove what it made in the end."""
    server = Managed(local, database, password, **more)
    login = server.login
    quoted = password.replace("'", "''")
    server.sql(f"CREATE ROLE {login} LOGIN PASSWORD '{quoted}' {RIGHTS}")
    server.sql(f"GRANT pg_read_all_data TO {login} WITH ADMIN OPTION")
    server.sql(f"GRANT CONNECT ON DATABASE postgres TO {login}")  # closed to all others by the session's own deploy
    yield server
    server.sql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
    found = server.sql(
        "SELECT string_agg(rolname, ', ') FROM pg_roles "
        f"WHERE rolname IN ({', '.join(map(repr, server.roles.values()))})"
    )
    if found:
        server.sql(f"REASSIGN OWNED BY {found} TO postgres; DROP OWNED BY {found}; DROP ROLE {found}")
    server.sql(f"DROP OWNED BY {login}; DROP ROLE {login}")


PROTECTED = """
SELECT bool_and(relrowsecurity AND relforcerowsecurity) FROM pg_class WHERE relkind IN ('r', 'p')
AND relnamespace = 'public'::regnamespace AND EXISTS (SELECT FROM pg_attribute
    WHERE attrelid = pg_class.oid AND attname IN ('clinic_id', 'patient_id') AND attnum > 0)
"""


@pytest.mark.control("S14")
@pytest.mark.fault(71)
def test_deploys_protects_rows_backs_up_and_restores_without_a_superuser(local: Local, tmp_path: Path) -> None:
    folder, name, new = tmp_path / "backups", "test_managed", "test_managed_new"
    given: dict[str, Any] = {"backup_directory": str(folder), "database_passwords": PASSWORDS}
    written = f"GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.clinics TO {ROLES['app']};"
    with login_role(local, name) as managed:
        first = managed.deploy("-v", "--diff", migrations_target="004", **given)
        assert "4 applied now" in first.output
        assert f"{ROLES['backup']} does not get BYPASSRLS" in first.output
        assert managed.owner_of(name) == ROLES["owner"]
        assert written in local.catalogs(name)

        # The next one backs up before it applies; the tables that it makes are protected, and the password is another.
        managed.sql("INSERT INTO organizations (name) VALUES ('org')", name)
        managed.sql(f"ALTER ROLE {LOGIN} BYPASSRLS")
        given["database_passwords"] = PASSWORDS | {"app": ANOTHER}
        on = managed.deploy("-v", "--diff", database_row_level_security=True, **given)
        assert f"{len(VERSIONS) - 4} applied now" in on.output
        assert [path.name.partition("_backup_")[0] for path in folder.glob("[!.]*")] == [name]
        assert logs_in(managed, ANOTHER)
        assert not logs_in(managed, PASSWORDS["app"])
        assert managed.sql(PROTECTED, name) == "t"
        assert written.replace(",INSERT,DELETE,UPDATE", "") in local.catalogs(name)
        clinic = Clinic(local, name, folder, {"role": "", "connection": managed.connection})
        clinic.backup()

        # Off is all that the last one has to do: the password is found by logging in.
        assert managed.deploy("-vvv", **given).changed == 1
        assert managed.sql("SELECT count(*) FROM pg_policy", name) == "0"
        assert written in local.catalogs(name)
        managed.sql(f"ALTER ROLE {LOGIN} NOBYPASSRLS")
        clinic.act("restore", backup=clinic.backup(), database=new)
        assert managed.sql("SELECT count(*) FROM organizations", new) == "1"
        assert managed.owner_of(new) == ROLES["owner"]
        local.drop_database(new)


def logs_in(managed: Managed, password: str) -> bool:
    """Whether the application can log in with a password."""
    place = {"host": "127.0.0.1", "port": managed.settings["postgresql_managed_port"], "dbname": managed.database}
    try:
        psycopg.connect(user=ROLES["app"], password=password, **place).close()
    except psycopg.OperationalError as error:
        assert "password authentication failed" in str(error)
        return False
    return True


NOBODY = {purpose: f"nobody_{purpose}" for purpose in ROLES}  # what none of these comes to make
LIMITS = {"connection_limits": dict.fromkeys(NOBODY, 1), "connection_limit": 4, "versions": [16]}
# What is done to the login role {login}, what is asked for instead, and the words that refuse it.
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "createrole": (
        "ALTER ROLE {login} NOCREATEROLE",
        {},
        'lacks CREATEROLE, to create the roles. As a superuser: ALTER ROLE "{login}"',
    ),
    "createdb": ("ALTER ROLE {login} NOCREATEDB", {}, "lacks CREATEDB, to create the database test_managed_none"),
    "reads": ("REVOKE pg_read_all_data FROM {login}", {}, 'GRANT pg_read_all_data TO "{login}" WITH ADMIN OPTION;'),
    "foreign": (
        "CREATE ROLE managed_foreign",
        {"roles": NOBODY | {"owner": "managed_foreign"}},
        "lacks ADMIN OPTION on the role managed_foreign, which another role created",
    ),
    "rows": ("", {"row_level_security": True}, 'As a superuser: ALTER ROLE "{login}" BYPASSRLS;'),
    "readonly": (
        "ALTER ROLE {login} SET default_transaction_read_only = on",
        {},
        "default_transaction_read_only = on. Switch it off",
    ),
    "password": ("ALTER ROLE {login} PASSWORD 'x'", {}, "password authentication failed"),
    "port": (
        "",
        {"connection": {"login_host": "127.0.0.1", "login_port": 1}},
        "The database postgres cannot be reached",
    ),
}


@pytest.mark.fault(35)
@pytest.mark.fault(37)
@pytest.mark.parametrize("case", REFUSED)
def test_a_right_that_is_missing_and_a_server_out_of_reach_are_refused(local: Local, case: str) -> None:
    spoil, given, words = REFUSED[case]
    with login_role(local, "test_managed_none", login="managed_login", roles=NOBODY) as managed:
        if spoil:
            managed.sql(spoil.format(login=managed.login))
        connection = {f"login_{key}": value for key, value in managed.connection.items()}
        asked = {"connection": connection, "name": managed.database, "roles": NOBODY} | LIMITS | given
        found = run_module("database_look", **asked)
        managed.sql("DROP ROLE IF EXISTS managed_foreign")
    assert words.format(login="managed_login") in found["msg"]
    assert PASSWORD not in str(found)


def test_a_server_that_is_not_named_is_refused(local: Local, tmp_path: Path) -> None:
    settings = Managed(local, "test_managed_none").settings
    hosts = {name: settings | {f"postgresql_managed_{name}": ""} for name in ("host", "password")}
    result = apart.play(local, tmp_path, "deploy.yml", hosts)
    for name in hosts:
        assert failed_in(result, name).startswith("postgresql_managed : Reject a missing connection"), result.output
        assert f"postgresql_managed_{name} missing or not one line for {name}" in said_of(result, name)
    assert result.changed == 0
    assert PASSWORD not in result.output
