"""The main job on one machine: from nothing, again, in check mode, to a target, of another release."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.local import ROOT, Local

GUIDE_COUNTS = """
SELECT (SELECT count(*) FROM pt_service_codes), (SELECT count(*) FROM vietnamese_medical_terms),
       (SELECT count(*) FROM clinical_protocols), (SELECT count(*) FROM bhyt_validation_rules)
"""
PUBLIC_TABLES = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
MIGRATIONS = sorted(path.stem for path in (ROOT / "files/migrations").glob("*.sql"))
ROLES = {"owner": "emr", "app": "emr_app", "readonly": "emr_readonly", "backup": "emr_backup"}
MOST_TASKS = 15  # of a run that changes nothing


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_release_has_the_fifteen_migrations_of_the_guide() -> None:
    assert [name[:3] for name in MIGRATIONS] == [f"{number:03d}" for number in range(1, 16)]
    assert sorted(path.stem for path in (ROOT / "files/rollbacks").glob("*.sql")) == MIGRATIONS


def test_deploys_from_nothing(folder: Path) -> None:
    local = Local(folder)
    checked = local.deploy("--check", "--diff")
    assert files_below(folder) == [], "check mode made files"
    assert "+CREATE TABLE patients" in checked.output.replace("+CREATE TABLE public.patients", "+CREATE TABLE patients")
    assert "15 pending" in checked.output

    first = local.deploy()
    assert re.search(r"15 applied now in \d+ ms, 0 before", first.output)
    assert local.psql(GUIDE_COUNTS) == "8|56|5|18"
    assert local.psql(PUBLIC_TABLES) == "30"
    for role in ROLES.values():
        assert (folder / "passwords" / role).stat().st_mode & 0o777 == 0o600

    again = local.deploy()
    assert again.changed == 0
    assert re.search(r"0 applied now in 0 ms, 15 before", again.output)
    assert len(again.tasks) <= MOST_TASKS, again.tasks


def test_a_stopped_server_is_started_again(folder: Path) -> None:
    local = Local(folder)
    local.deploy(migrations_target="001")
    local.stop_server()
    assert local.run_psql("-c", "SELECT 1", database="postgres").returncode != 0
    local.deploy(migrations_target="001")
    assert local.psql("SELECT count(*) FROM migrations.applied", role="postgres") == "1"


def test_check_mode_on_a_deployed_database_finds_nothing_to_do(local: Local) -> None:
    before = local.catalogs("physioflow")
    result = local.deploy("--check", "--diff")
    assert result.changed == 0
    assert local.catalogs("physioflow") == before


def test_check_mode_shows_the_pending_sql_and_touches_nothing(local: Local, database: str) -> None:
    local.deploy(database_name=database, migrations_target="014")
    before = local.catalogs(database)
    result = local.deploy("--check", "--diff", database_name=database)
    assert "bhyt_validation_rules" in result.output
    assert "1 pending, 14 applied" in result.output
    assert local.catalogs(database) == before
    assert local.psql("SELECT count(*) FROM migrations.history", database, role="postgres") == "14"


def test_stops_at_the_target_and_goes_on_from_there(local: Local, database: str) -> None:
    local.deploy(database_name=database, migrations_target="010")
    assert local.psql("SELECT max(version) FROM migrations.applied", database, role="postgres") == "010"
    assert local.psql(PUBLIC_TABLES, database) == "29"
    assert local.deploy(database_name=database, migrations_target="010").changed == 0
    result = local.deploy(database_name=database)
    assert re.search(r"5 applied now in \d+ ms, 10 before", result.output)
    assert local.psql(GUIDE_COUNTS, database) == "8|56|5|18"


def test_the_history_says_who_did_what(local: Local) -> None:
    query = """
        SELECT count(*), count(DISTINCT run_id), min(act), bool_and(operator <> ''), bool_and(controller <> ''),
               bool_and(sha256 ~ '^[0-9a-f]{64}$'), bool_and(duration_ms > 0), bool_and(executed_by = 'postgres')
        FROM migrations.history
    """
    assert local.psql(query, role="postgres") == "15|1|apply|t|t|t|t|t"


@pytest.mark.parametrize(
    "statement",
    ["UPDATE migrations.history SET operator = 'x'", "DELETE FROM migrations.history", "TRUNCATE migrations.history"],
)
def test_the_history_only_grows(local: Local, statement: str) -> None:
    done = local.run_psql("-c", statement, role="postgres")
    assert "migrations.history only grows" in done.stderr
    done = local.run_psql("-c", statement, user="emr")
    assert "permission denied" in done.stderr


@pytest.mark.parametrize(
    ("role", "statement", "error"),
    [
        ("emr_app", "SELECT count(*) FROM patients", ""),
        ("emr_app", "INSERT INTO organizations (name) VALUES ('x'); DELETE FROM organizations", ""),
        ("emr_app", "CREATE TABLE x (y int)", "permission denied for schema public"),
        ("emr_app", "TRUNCATE organizations", "permission denied for table organizations"),
        ("emr_app", "DROP TABLE organizations", "must be owner of table organizations"),
        ("emr_app", "SELECT count(*) FROM migrations.history", "permission denied for schema migrations"),
        ("emr_readonly", "SELECT count(*) FROM patients", ""),
        ("emr_readonly", "SELECT * FROM validate_bhyt_card('DN1234567890123')", ""),
        ("emr_readonly", "INSERT INTO organizations (name) VALUES ('x')", "read-only transaction"),
        ("emr_backup", "SELECT count(*) FROM patients", ""),
        ("emr", "CREATE TABLE x (y int); DROP TABLE x", ""),
    ],
)
def test_each_role_may_do_its_work_and_no_more(local: Local, role: str, statement: str, error: str) -> None:
    done = local.run_psql("-c", statement, user=role)
    if error:
        assert done.returncode != 0
        assert error in done.stderr
    else:
        assert done.returncode == 0, done.stderr


def test_a_later_table_is_usable_without_another_grant(local: Local) -> None:
    local.psql("CREATE TABLE later (id int)", user="emr")
    try:
        assert local.run_psql("-c", "INSERT INTO later VALUES (1)", user="emr_app").returncode == 0
        assert local.psql("SELECT count(*) FROM later", user="emr_readonly") == "1"
    finally:
        local.psql("DROP TABLE later", user="emr")


def test_a_password_may_hold_any_character(local: Local, database: str) -> None:
    password = "q'u\"o`te $HOME $$ %s %% {x} \\ : ; # é 🏥 end"
    passwords = {purpose: local.password(role) for purpose, role in ROLES.items()} | {"app": password}
    kept = (local.folder / "passwords/emr_app").read_text()
    try:
        result = local.deploy(
            "-vvv", "--diff", database_name=database, migrations_target="001", database_passwords=passwords
        )
        (local.folder / "passwords/emr_app").write_text(password)
        assert local.psql("SELECT current_user", database, user="emr_app") == "emr_app"
        for secret in passwords.values():
            assert secret not in result.output
    finally:
        (local.folder / "passwords/emr_app").write_text(kept)
        local.deploy()


def test_deploys_another_release_into_another_database(local: Local, tmp_path: Path, database: str) -> None:
    migrations = tmp_path / "clinic" / "migrations"
    migrations.mkdir(parents=True)
    (migrations / "0100_rooms.sql").write_text(
        "-- Migration: 0100_rooms\n-- Description: rooms\n-- Depends on: none\nBEGIN;\n"
        "CREATE TABLE rooms (id int CONSTRAINT rooms_pkey PRIMARY KEY, name text);\n"
        "INSERT INTO rooms VALUES (1, '100% {{ room }} $sql$ đ');\nCOMMIT;\n"
    )
    (migrations / "0101_rooms_name.sql").write_text(
        "-- Migration: 0101_rooms_name\n-- Description: name\n-- Depends on: 0100\n-- Transactional: no\n"
        "CREATE UNIQUE INDEX CONCURRENTLY idx_rooms_name ON rooms (name);\n"
    )
    release = str(tmp_path / "clinic")
    result = local.deploy(release_directory=release, database_name=database)
    assert re.search(r"2 applied now in \d+ ms, 0 before", result.output)
    assert local.psql("SELECT name FROM rooms", database) == "100% {{ room }} $sql$ đ"
    assert local.psql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'idx_rooms_name'::regclass", database) == "t"
    history = "SELECT string_agg(act || ' ' || version, ', ' ORDER BY id) FROM migrations.history"
    assert local.psql(history, database, role="postgres") == "apply 0100, start 0101, apply 0101"
    assert local.deploy(release_directory=release, database_name=database).changed == 0


def test_two_deploys_at_once_are_as_good_as_one(local: Local, database: str) -> None:
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda _: local.play(database_name=database), range(2)))
    for result in results:  # the other one waits, plans anew and finds nothing to do
        assert result.status == 0, result.output
    history = "SELECT count(*), count(DISTINCT version), count(DISTINCT run_id) FROM migrations.history"
    assert local.psql(history, database, role="postgres") == "15|15|1"
    assert local.deploy(database_name=database).changed == 0


def test_two_servers_live_side_by_side(local: Local, folder: Path) -> None:
    other = Local(folder)
    other.deploy(database_name="other", migrations_target="001")
    ports = {server.psql("SHOW port", "postgres", role="postgres") for server in (local, other)}
    assert len(ports) == 2
    other.play("playbooks/destroy.yml", destroy_confirmed=True)
    assert local.psql("SELECT 1") == "1"
