"""A deploy that is refused changes nothing: not the server, its settings and files, its roles, nor any database.

What is refused at one place is a host of one play. All are on the server of the session and want it otherwise than it
is, so that whatever comes before a refusal would be seen.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import apart, undo
from tests.apart import failure_of
from tests.integration.test_bad_input import append
from tests.integration.test_deploy import ROLES
from tests.local import ROOT, VERSIONS, Local

# What each of these deploys would change before it looks at the database.
OTHERWISE: dict[str, Any] = {
    "database_connection_limit": 50,
    "database_role_settings": {"app": {"statement_timeout": "31s"}},
    "postgresql_embedded_settings": {"log_autovacuum_min_duration": "7s"},
}
HISTORY_COLUMNS = (
    "version, name, description, sha256, sha256_raw, release, run_id, operator, controller, started_at, duration_ms"
)
IN_DOUBT = (
    f"INSERT INTO migrations.history (act, {HISTORY_COLUMNS}) "
    "SELECT 'start', '901', '901_tidy', description, sha256, sha256_raw, release, run_id, operator, controller, "
    "started_at, duration_ms FROM migrations.history WHERE version = '015'"
)
[LAST] = [path.stem for path in (ROOT / "files/migrations").glob(f"{VERSIONS[-1]}_*.sql")]
LATE = "ALTER TABLE migrations.history DISABLE TRIGGER ALL; DELETE FROM migrations.history WHERE version = '004'"
NO_HISTORY = "DROP SCHEMA migrations CASCADE"
WITHOUT_RULES = "DROP SCHEMA migrations CASCADE; DROP TABLE bhyt_validation_rules CASCADE"

# {host: (what is done to a copy of the database, its variables, the words that refuse it with | between)}
HOSTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "injection": (
        "",
        {"database_name": "x; DROP DATABASE physioflow;--"},
        'the first not a digit): "x; DROP DATABASE physioflow;--". No host was touched.',
    ),
    "names": (
        "",
        {"database_name": "a" * 64, "database_app_role": "Emr-App"},
        f'the first not a digit): "{"a" * 64}", "Emr-App". No host was touched.',
    ),
    "input": (
        "",
        {
            "database_owner": "pg_emr",
            "database_app_role": "postgres",
            "database_role_settings": {"apps": {}},
            "database_extensions": ["dblink"],
        },
        "database_owner is 'pg_emr', a name that PostgreSQL reserves|"
        "database_app_role is 'postgres', a name that PostgreSQL reserves|"
        "database_role_settings has the key 'apps'|The extension dblink is not among",
    ),
    "server": (
        "",
        {
            "database_connection_limits": {"owner": 60, "app": 60, "readonly": 60, "backup": 60},
            "database_connection_limit": 500,
            "database_extensions": ["nowhere"],
            "database_allowed_extensions": ["nowhere"],
            "database_owner": "emr_other",
            "database_locale": "vi_VN.UTF-8",
        },
        "database_connection_limits add up to 240|database_connection_limit is 500, and the server has 97|"
        "The extension nowhere is not available on the server.|exists with owner emr, not emr_other|"
        "exists with locale C.UTF-8, not vi_VN.UTF-8",
    ),
    "version": ("", {"database_postgresql_versions": [17]}, "this release supports 17"),
    "history": (
        f"{IN_DOUBT}; {LATE}",
        {"migrations_target": "010"},
        "007_billing_tables.sql was edited after it was applied|014_renamed|"
        f"{LAST}.sql is applied, but missing in the release|004_scheduling_schema.sql is not applied, but the later|"
        f"901_tidy.sql|The target 010 is before {VERSIONS[-1]}, which is applied",
    ),
    "foreign": (NO_HISTORY, {}, "tables in schema public and no history of migrations"),
    "wrong": (WITHOUT_RULES, {"migrations_baseline": "015"}, "015_bhyt_validation_rules is partly applied"),
    "far": (NO_HISTORY, {"migrations_baseline": "010"}, "it is not at 010"),
    # Of a database that is not there, otherwise its history would be refused before.
    "settings": (
        "",
        {"database_name": "nowhere", "postgresql_embedded_settings": {"work_mem": "much"}},
        "PostgreSQL refuses the settings",
    ),
    "port": ("", {"postgresql_embedded_port": 70000}, "Port 70000 cannot be used"),
}


def spoil(release: Path) -> None:
    """Edit, rename, delete, and add late and in doubt."""
    append(release, "007_billing_tables.sql", b"-- one more word\n")
    for folder in ("migrations", "rollbacks", "verify"):
        for path in (release / folder).glob(f"{LAST}.*"):  # nothing depends on it
            path.unlink()
        for path in (release / folder).glob("014_*"):
            name = path.stem
            path.with_name(f"014_renamed{path.suffix}").write_text(path.read_text().replace(name, "014_renamed"))
            path.unlink()
    alone = "-- Migration: 901_tidy\n-- Description: x\n-- Depends on: 001\n-- Transactional: no\n\n"
    (release / "migrations/901_tidy.sql").write_text(f"{alone}UPDATE patients SET id = id;\n")


def everything(local: Local) -> str:
    """Return all that there is of a server but rows: roles, settings, databases, schemas, and the files beside them."""
    dumped = local.run_program(
        "pg_dumpall", "--schema-only", "-d", local.conninfo("postgres", options="-c role=postgres")
    )
    assert dumped.returncode == 0, dumped.stderr
    lines = [line for line in dumped.stdout.splitlines() if not re.match(r"\\(un)?restrict ", line)]
    data = local.server / "server/data"
    files = [
        *(data / name for name in ("postgresql.conf", "physioflow.conf", "postgresql.auto.conf", "pg_hba.conf")),
        *(local.server / name for name in ("pgpass", "pg_service.conf", ".physioflow-embedded.json")),
        *(local.folder / "passwords" / role for role in ROLES.values()),
    ]
    started = local.psql("SELECT pg_postmaster_start_time(), pg_conf_load_time()", "postgres", role="postgres")
    return "\n".join([*lines, started, *(f"{path} {path.read_bytes()!r}" for path in files)])


@pytest.mark.fault(15)
@pytest.mark.fault(16)
@pytest.mark.fault(25)
@pytest.mark.fault(34)
@pytest.mark.fault(36)
@pytest.mark.fault(38)
@pytest.mark.fault(39)
def test_a_refused_deploy_changes_nothing(local: Local, release: Path, tmp_path: Path) -> None:
    """Of a release that contradicts the history; what is refused before that is looked at would be of any."""
    spoil(release)
    hosts = {host: OTHERWISE | variables for host, (_, variables, _) in HOSTS.items()}
    with ExitStack() as stack:
        for host, (sql, _, _) in HOSTS.items():
            if sql:
                hosts[host]["database_name"] = name = f"test_refused_{host}"
                stack.enter_context(undo.afterwards(local.drop_database, name))
                local.create_database(name, "physioflow")
                local.psql(sql, name, role="postgres")
        before = everything(local)
        result = apart.play(local, tmp_path / "play", "deploy.yml", hosts, release_directory=str(release))
        assert everything(local) == before
    assert result.status != 0
    assert result.changed == 0, result.output
    for host, (_, _, words) in HOSTS.items():
        for sentence in words.split("|"):
            assert sentence in failure_of(result, host), f"{host}: {sentence}\n{result.output}"
