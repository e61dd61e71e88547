"""The provider managed: a server that somebody else runs, with a login role that is no superuser.

The server of the session plays that server. The four roles get names of their own, because the session's are made by
its superuser.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.local import Local, Result

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

    @property
    def settings(self) -> dict[str, Any]:
        """The variables of the provider managed."""
        return {
            "postgresql_provider": "managed",
            "postgresql_managed_host": "127.0.0.1",
            "postgresql_managed_port": int(self.local.psql("SHOW port", "postgres", role="postgres")),
            "postgresql_managed_user": LOGIN,
            "postgresql_managed_password": {"__ansible_unsafe": self.password},
            "postgresql_managed_sslmode": "disable",
            "postgresql_managed_bin_dir": str(self.local.server / "bin"),
            "database_name": self.database,
            "database_owner": ROLES["owner"],
            "database_app_role": ROLES["app"],
            "database_readonly_role": ROLES["readonly"],
            "database_backup_role": ROLES["backup"],
            "database_passwords": PASSWORDS,
            "database_closed_databases": [],
        }

    def play(self, *options: str, playbook: str = "deploy.yml", **variables: Any) -> Result:
        """Deploy with the provider managed."""
        return self.local.play(playbook, *options, **(self.settings | variables))

    def sql(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as the superuser of the server."""
        return self.local.psql(sql, database, role="postgres")


@pytest.fixture
def managed(local: Local, database: str) -> Iterator[Managed]:
    """A login role with the rights of a managed server's administrator."""
    with login_role(local, database) as server:
        yield server


@contextmanager
def login_role(local: Local, database: str, password: str = PASSWORD) -> Iterator[Managed]:
    """Make the login role, and remove what it made in the end."""
    server = Managed(local, database, password)
    quoted = password.replace("'", "''")
    server.sql(f"CREATE ROLE {LOGIN} LOGIN PASSWORD '{quoted}' {RIGHTS}")
    server.sql(f"GRANT pg_read_all_data TO {LOGIN} WITH ADMIN OPTION")
    server.sql(f"GRANT CONNECT ON DATABASE postgres TO {LOGIN}")  # closed to all others by the session's own deploy
    yield server
    server.sql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
    found = server.sql(
        f"SELECT string_agg(rolname, ', ') FROM pg_roles WHERE rolname IN ({', '.join(map(repr, ROLES.values()))})"
    )
    if found:
        server.sql(f"REASSIGN OWNED BY {found} TO postgres; DROP OWNED BY {found}; DROP ROLE {found}")
    server.sql(f"DROP OWNED BY {LOGIN}; DROP ROLE {LOGIN}")


def test_deploys_without_a_superuser_and_a_second_run_changes_nothing(managed: Managed) -> None:
    checked = managed.play("--check", "--diff")
    assert checked.status == 0, checked.output
    first = managed.play("-v", "--diff")
    assert first.status == 0, first.output
    assert "15 applied now" in first.output
    assert f"{ROLES['backup']} does not get BYPASSRLS" in first.output
    again = managed.play("-vvv")
    assert again.status == 0, again.output
    assert again.changed == 0, again.output
    for secret in (PASSWORD, *PASSWORDS.values()):
        assert secret not in first.output + again.output
    owner = managed.sql(f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{managed.database}'")
    assert owner == ROLES["owner"]
    assert managed.play(playbook="playbooks/verify.yml").status == 0


@pytest.mark.control("S14")
def test_row_level_security_without_a_superuser(managed: Managed) -> None:
    assert managed.play(migrations_target="001").status == 0
    before = managed.local.catalogs(managed.database)
    on: dict[str, Any] = {"migrations_target": "001", "database_row_level_security": True}
    assert "has no BYPASSRLS: its dumps would fail" in " ".join(managed.play(**on).output.split())
    managed.sql(f"ALTER ROLE {ROLES['backup']} BYPASSRLS")
    assert managed.play(**on).changed == 1
    assert managed.play(**on).changed == 0
    assert f"GRANT SELECT ON TABLE public.clinics TO {ROLES['app']};" in managed.local.catalogs(managed.database)
    assert managed.play(migrations_target="001").changed == 1
    assert managed.local.catalogs(managed.database) == before


def test_another_password_is_found_by_logging_in(managed: Managed) -> None:
    assert managed.play(migrations_target="001").status == 0
    changed = managed.play(migrations_target="001", database_passwords=PASSWORDS | {"app": "another canary"})
    assert changed.status == 0, changed.output
    assert changed.changed == 1
    assert managed.play(migrations_target="001", database_passwords=PASSWORDS).changed == 1
    assert managed.play(migrations_target="001", database_passwords=PASSWORDS).changed == 0


@pytest.mark.parametrize(
    ("revoke", "words"),
    [
        (
            f"ALTER ROLE {LOGIN} NOCREATEROLE",
            f'lacks CREATEROLE, to make the roles. A superuser gives it: ALTER ROLE "{LOGIN}"',
        ),
        (f"ALTER ROLE {LOGIN} NOCREATEDB", "lacks CREATEDB, to make the database test_"),
        (f"REVOKE pg_read_all_data FROM {LOGIN}", f'GRANT pg_read_all_data TO "{LOGIN}" WITH ADMIN OPTION;'),
        (f"CREATE ROLE {ROLES['owner']}", f"lacks ADMIN OPTION on the role {ROLES['owner']}, which somebody else made"),
        (
            f"ALTER ROLE {LOGIN} SET default_transaction_read_only = on",
            "default_transaction_read_only = on. Switch it off",
        ),
        (f"ALTER ROLE {LOGIN} PASSWORD 'x'", "password authentication failed"),
    ],
)
def test_a_right_that_is_missing_is_named(managed: Managed, revoke: str, words: str) -> None:
    managed.sql(revoke)
    result = managed.play()
    assert result.status != 0
    assert words in " ".join(result.output.split()), result.output
    assert result.changed == 0
    assert PASSWORD not in result.output
    assert managed.database not in managed.local.databases()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"postgresql_managed_host": ""}, "postgresql_managed_host empty or not one line for local"),
        ({"postgresql_managed_password": ""}, "postgresql_managed_password empty or not one line for local"),
        ({"postgresql_managed_sslmode": "maybe"}, "maybe"),
        ({"postgresql_managed_port": 1}, "The database postgres cannot be reached"),
    ],
)
def test_a_server_that_is_named_badly_is_refused(managed: Managed, variables: dict[str, Any], words: str) -> None:
    result = managed.play(**variables)
    assert result.status != 0
    assert words in " ".join(result.output.split()), result.output
    assert result.changed == 0


def test_backs_up_and_restores_without_a_superuser(managed: Managed, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    assert managed.play(backup_directory=str(folder)).status == 0
    managed.sql("INSERT INTO organizations (name) VALUES ('org')", managed.database)
    taken = managed.play("-vvv", playbook="playbooks/backup.yml", backup_directory=str(folder))
    assert taken.status == 0, taken.output
    [backup] = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    assert backup.startswith(f"{managed.database}_backup_")
    new = f"{managed.database}_new"
    variables = {"backup_directory": str(folder), "restore_backup": "latest", "restore_database": new}
    restored = managed.play("-vvv", playbook="playbooks/restore.yml", **variables)
    try:
        assert restored.status == 0, restored.output
        assert managed.sql("SELECT count(*) FROM organizations", new) == "1"
        owner = managed.sql(f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{new}'")
        assert owner == ROLES["owner"]
    finally:
        managed.sql(f"DROP DATABASE IF EXISTS {new} WITH (FORCE)")
    for secret in (PASSWORD, *PASSWORDS.values()):
        assert secret not in taken.output + restored.output
