"""The database as the guide promises it, seen by psql."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

MIGRATIONS = sorted((Path(__file__).resolve().parents[3] / "files/migrations").glob("*.sql"))
# The figures of the guide.
COUNTS = {
    "pt_service_codes": "8",
    "vietnamese_medical_terms": "56",
    "clinical_protocols": "5",
    "bhyt_validation_rules": "18",
}


@pytest.mark.parametrize("table", COUNTS)
def test_counts_of_the_guide(psql: Callable[[str], str], table: str) -> None:
    assert psql(f"SELECT count(*) FROM {table}") == COUNTS[table]


def test_all_tables_are_there(psql: Callable[[str], str]) -> None:
    """The guide's, and what later migrations add."""
    assert int(psql("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'")) >= 30


def test_extensions(psql: Callable[[str], str]) -> None:
    assert psql("SELECT extname FROM pg_extension ORDER BY 1").split() == [
        "btree_gist",
        "pg_trgm",
        "plpgsql",
        "uuid-ossp",
    ]


def test_history_holds_every_migration_once(psql: Callable[[str], str]) -> None:
    rows = psql("SELECT version || '_' || name || '.sql' FROM migrations.history WHERE act = 'apply' ORDER BY version")
    assert rows.splitlines() == [path.name for path in MIGRATIONS]
    assert psql("SELECT DISTINCT act FROM migrations.history ORDER BY 1").split() == ["apply", "start"]
    assert psql("SELECT version FROM migrations.applied ORDER BY 1").split() == [path.name[:3] for path in MIGRATIONS]


def test_roles_log_in_and_none_is_mighty(psql: Callable[[str], str]) -> None:
    roles = psql(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'emr%' AND rolcanlogin"
        " AND NOT (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication) ORDER BY 1"
    )
    assert roles.split() == ["emr", "emr_app", "emr_backup", "emr_readonly"]
    assert psql("SELECT rolname FROM pg_roles WHERE rolsuper") == "postgres"


def test_owner(psql: Callable[[str], str]) -> None:
    assert psql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'physioflow'") == "emr"
    assert psql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'") == "emr"


@pytest.fixture
def login(host: Host) -> Callable[..., CommandResult]:
    """Log in over TCP. By psycopg: the psql of the packages repackaged for tests has no TLS."""
    script = """import psycopg, sys
with psycopg.connect(host='127.0.0.1', dbname='physioflow', user=sys.argv[1], sslmode=sys.argv[2]) as session:
    print(*session.execute('SELECT current_user, count(*) FROM patients').fetchone())
"""

    def run(role: str, password: str, sslmode: str = "require") -> CommandResult:
        return host.run("env PGPASSWORD=%s python3 -c %s %s %s", password, script, role, sslmode)

    return run


@pytest.mark.parametrize("role", ["emr", "emr_app", "emr_readonly"])
def test_role_gets_in_with_its_password_and_tls_only(login: Callable[..., CommandResult], role: str) -> None:
    password = (Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "passwords" / role).read_text().strip()
    allowed = login(role, password)
    assert allowed.stdout.split()[:1] == [role], allowed.stderr
    assert "password authentication failed" in login(role, "wrong").stderr
    assert "no encryption" in login(role, password, "disable").stderr


def test_the_role_that_dumps_comes_in_from_its_own_host_only(host: Host, login: Callable[..., CommandResult]) -> None:
    assert "no pg_hba.conf entry" in login("emr_backup", "any").stderr
    ask = "psql -h /var/run/postgresql -XAtq -d physioflow -c %s"
    assert host.check_output(f"runuser -u emr_backup -- {ask}", "SELECT current_user") == "emr_backup"
    assert host.run(f"runuser -u nobody -- {ask} -U emr_backup", "SELECT 1").rc != 0
