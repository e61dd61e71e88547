"""The provider managed: a server that somebody else runs, with a login role that is no superuser.

The server of the session plays that server. The four roles get names of their own, because the session's are made by
its superuser.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import apart
from tests.apart import failed_in, said_of
from tests.local import VERSIONS, Local, Result

LOGIN = "cloud_admin"
PASSWORD = "cl%o'u\"d {{ x }} canary"
ROLES = {purpose: f"managed_{purpose}" for purpose in ("owner", "app", "readonly", "backup")}
PASSWORDS = {purpose: f"{purpose} canary $%" for purpose in ROLES}
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

    def play(self, *options: str, playbook: str = "deploy.yml", **variables: Any) -> Result:
        """Deploy with the provider managed."""
        return self.local.play(playbook, *options, **(self.settings | variables))

    def sql(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as the superuser of the server."""
        return self.local.psql(sql, database, role="postgres")


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


@dataclass(frozen=True)
class Deployed:
    """A database that the login role made, and what the deploys said: in check mode, the first, the second."""

    managed: Managed
    folder: Path  # of its backups
    checked: Result
    first: Result
    again: Result

    def play(self, *options: str, playbook: str = "deploy.yml", **variables: Any) -> Result:
        """Run a playbook, which has to succeed."""
        result = self.managed.play(*options, playbook=playbook, backup_directory=str(self.folder), **variables)
        assert result.status == 0, result.output
        return result


@pytest.fixture(scope="module")
def deployed(local: Local, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The database of this module."""
    with login_role(local, "test_managed") as managed:
        runs = [managed.play("--check", "--diff"), managed.play("-v", "--diff"), managed.play("-vvv")]
        yield Deployed(managed, tmp_path_factory.mktemp("managed") / "backups", *runs)


def shows_no_secret(*results: Result) -> None:
    """Assert that no password stands in what was printed."""
    for result in results:
        for secret in (PASSWORD, *PASSWORDS.values()):
            assert secret not in result.output


def test_deploys_without_a_superuser_and_a_second_run_changes_nothing(deployed: Deployed) -> None:
    managed, first = deployed.managed, deployed.first
    assert deployed.checked.status == 0, deployed.checked.output
    assert first.status == 0, first.output
    assert f"{len(VERSIONS)} applied now" in first.output
    assert f"{ROLES['backup']} does not get BYPASSRLS" in first.output
    assert (deployed.again.status, deployed.again.changed) == (0, 0), deployed.again.output
    shows_no_secret(deployed.checked, first, deployed.again)
    owner = managed.sql(f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{managed.database}'")
    assert owner == ROLES["owner"]


@pytest.mark.control("S14")
@pytest.mark.fault(71)
def test_row_level_security_and_another_password_without_a_superuser(deployed: Deployed, database: str) -> None:
    managed = deployed.managed

    def deploy(**variables: Any) -> int:
        return deployed.play(database_name=database, **variables).changed

    assert deploy() > 0
    before = managed.local.catalogs(database)
    on: dict[str, Any] = {"database_row_level_security": True}
    refused = managed.play(database_name=database, **on)
    assert (refused.status != 0, refused.changed) == (True, 0)
    assert f'As a superuser: ALTER ROLE "{LOGIN}" BYPASSRLS;' in " ".join(refused.output.split())
    managed.sql(f"ALTER ROLE {LOGIN} BYPASSRLS")
    assert deploy(**on) == 2, "the role that backs up has it, too, and the tables are protected"
    deployed.play(playbook="playbooks/backup.yml", database_name=database, **on)
    after = managed.local.catalogs(database)
    assert f"GRANT SELECT ON TABLE public.clinics TO {ROLES['app']};" in after

    # Another password is found by logging in; row level security has nothing more to do.
    assert deploy(database_passwords=PASSWORDS | {"app": "another canary"}, **on) == 1
    assert logs_in(managed, "another canary")
    assert managed.local.catalogs(database) == after

    assert deploy() == 2, "the old password, and off"
    assert logs_in(managed, PASSWORDS["app"])
    assert managed.local.catalogs(database) == before


def logs_in(managed: Managed, password: str) -> bool:
    """Whether the application can log in with a password."""
    place = {"host": "127.0.0.1", "port": managed.settings["postgresql_managed_port"], "dbname": managed.database}
    try:
        psycopg.connect(user=ROLES["app"], password=password, **place).close()
    except psycopg.OperationalError as error:
        assert "password authentication failed" in str(error)
        return False
    return True


def test_backs_up_and_restores_without_a_superuser(deployed: Deployed) -> None:
    managed = deployed.managed
    managed.sql("INSERT INTO organizations (name) VALUES ('org')", managed.database)
    before = set(deployed.folder.glob("[!.]*"))  # another test may have made some
    taken = deployed.play("-vvv", playbook="playbooks/backup.yml")
    [backup] = set(deployed.folder.glob("[!.]*")) - before
    assert backup.name.startswith(f"{managed.database}_backup_")
    new = f"{managed.database}_new"
    try:
        restored = deployed.play(
            "-vvv", playbook="playbooks/restore.yml", restore_backup="latest", restore_database=new
        )
        assert managed.sql("SELECT count(*) FROM organizations", new) == "1"
        owner = managed.sql(f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{new}'")
        assert owner == ROLES["owner"]
    finally:
        managed.sql(f"DROP DATABASE IF EXISTS {new} WITH (FORCE)")
    shows_no_secret(taken, restored)


LOOK = "database : Read the state of roles, database, extensions and privileges"
UNNAMED = "postgresql_managed : Reject a missing connection"
NOBODY = {purpose: f"nobody_{purpose}" for purpose in ROLES}  # what none of these deploys comes to make
# host: (what is done to its login role, its variables, the task that refuses it, the words). {login} is the role.
REFUSED: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "createrole": (
        "ALTER ROLE {login} NOCREATEROLE",
        {},
        LOOK,
        'lacks CREATEROLE, to create the roles. As a superuser: ALTER ROLE "{login}"',
    ),
    "createdb": ("ALTER ROLE {login} NOCREATEDB", {}, LOOK, "lacks CREATEDB, to create the database test_managed_none"),
    "reads": (
        "REVOKE pg_read_all_data FROM {login}",
        {},
        LOOK,
        'GRANT pg_read_all_data TO "{login}" WITH ADMIN OPTION;',
    ),
    "foreign": (
        "CREATE ROLE managed_foreign",
        {"database_owner": "managed_foreign"},
        LOOK,
        "lacks ADMIN OPTION on the role managed_foreign, which another role created",
    ),
    "readonly": (
        "ALTER ROLE {login} SET default_transaction_read_only = on",
        {},
        LOOK,
        "default_transaction_read_only = on. Switch it off",
    ),
    "password": ("ALTER ROLE {login} PASSWORD 'x'", {}, LOOK, "password authentication failed"),
    "port": ("", {"postgresql_managed_port": 1}, LOOK, "The database postgres cannot be reached"),
    "unnamed": ("", {"postgresql_managed_host": ""}, UNNAMED, "postgresql_managed_host missing or not one line for"),
    "secretless": (
        "",
        {"postgresql_managed_password": ""},
        UNNAMED,
        "postgresql_managed_password missing or not one line for secretless",
    ),
    "sslmode": ("", {"postgresql_managed_sslmode": "maybe"}, "postgresql_managed : Validating arguments", "maybe"),
}


@pytest.mark.fault(35)
@pytest.mark.fault(37)
def test_a_right_that_is_missing_and_a_server_that_is_named_badly_are_refused(local: Local, tmp_path: Path) -> None:
    with ExitStack() as stack:
        hosts: dict[str, dict[str, Any]] = {}
        for host, (spoil, variables, _, _) in REFUSED.items():
            login = f"managed_login_{host}"
            managed = stack.enter_context(login_role(local, "test_managed_none", login=login, roles=NOBODY))
            stack.callback(managed.sql, "DROP ROLE IF EXISTS managed_foreign")
            if spoil:
                managed.sql(spoil.format(login=login))
            hosts[host] = managed.settings | variables
        result = apart.play(local, tmp_path, "deploy.yml", hosts)
        assert "test_managed_none" not in local.databases()
    for host, (_, _, task, words) in REFUSED.items():
        assert failed_in(result, host).startswith(task), f"{host}\n{result.output}"
        assert words.format(login=f"managed_login_{host}") in said_of(result, host), f"{host}\n{result.output}"
    assert result.changed == 0
    assert PASSWORD not in result.output
