"""The main job on one machine: from nothing, again, in check mode, to a target, of another release."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import apart
from tests.apart import changed_of
from tests.local import ROOT, VERSIONS, Local, Result, release_up_to

GUIDE_COUNTS = """
SELECT (SELECT count(*) FROM pt_service_codes), (SELECT count(*) FROM vietnamese_medical_terms),
       (SELECT count(*) FROM clinical_protocols), (SELECT count(*) FROM bhyt_validation_rules)
"""
PUBLIC_TABLES = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
MIGRATIONS = sorted(path.stem for path in (ROOT / "files/migrations").glob("*.sql"))
ROLES = {"owner": "emr", "app": "emr_app", "readonly": "emr_readonly", "backup": "emr_backup"}
MOST_TASKS = 11  # of a run that changes nothing


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_release_begins_with_the_fifteen_migrations_of_the_guide() -> None:
    assert VERSIONS[:15] == [f"{number:03d}" for number in range(1, 16)]
    assert sorted(path.stem for path in (ROOT / "files/rollbacks").glob("*.sql")) == MIGRATIONS


def test_deploys_from_nothing_beside_another_server_and_starts_one_that_stopped(local: Local, folder: Path) -> None:
    own = Local(folder)
    checked = own.deploy("--check", "--diff")
    assert files_below(folder) == [], "check mode made files"
    assert "+CREATE TABLE patients" in checked.output.replace("+CREATE TABLE public.patients", "+CREATE TABLE patients")
    assert f"{len(VERSIONS)} pending" in checked.output

    first = own.deploy()
    assert re.search(rf"{len(VERSIONS)} applied now in \d+ ms, 0 before", first.output)
    assert not re.search(r"Validating arguments|^included:|^skipping:", first.output, re.MULTILINE)
    assert own.psql(GUIDE_COUNTS) == "8|56|5|18"
    for role in ROLES.values():
        assert (folder / "passwords" / role).stat().st_mode & 0o777 == 0o600

    again = own.deploy()
    assert again.changed == 0
    assert re.search(rf"0 applied now in 0 ms, {len(VERSIONS)} before", again.output)
    assert len(again.tasks) <= MOST_TASKS, again.tasks

    assert len({server.psql("SHOW port", "postgres", role="postgres") for server in (local, own)}) == 2
    own.stop_server()
    assert own.run_psql("-c", "SELECT 1", database="postgres").returncode != 0
    assert local.psql("SELECT 1") == "1"
    own.deploy()
    assert own.psql("SELECT count(*) FROM migrations.applied", role="postgres") == str(len(VERSIONS))


@dataclass(frozen=True)
class Targets:
    """Deploys of databases that stop before the last migration: the first, one in check mode, and one that goes on.

    `deployed` is the database of the session and `ten` and `fourteen` are databases at 010 and 014. In the last deploy
    `ten` goes on, and `fourteen` has the same target again.
    """

    checked: Result
    on: Result
    applied_versions: dict[str, str]  # after the first: applied migrations and tables
    unchanged: bool  # whether check mode left the catalogs as they were


NAMES = {"deployed": "physioflow", "ten": "deploy_ten", "fourteen": "deploy_fourteen"}


@pytest.fixture(scope="module")
def targets(local: Local, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Targets]:
    """The databases after all three."""
    hosts: dict[str, dict[str, Any]] = {host: {"database_name": name} for host, name in NAMES.items()}
    hosts["ten"] |= {"migrations_target": "010", "backup_directory": str(tmp_path_factory.mktemp("ten") / "backups")}
    hosts["fourteen"] |= {"migrations_target": "014", "database_environment": "production"}

    def play(*options: str, **given: dict[str, Any]) -> Result:
        return apart.play(local, tmp_path_factory.mktemp("targets") / "play", "deploy.yml", given, *options)

    def catalogs() -> list[str]:
        return [local.catalogs(name) for name in NAMES.values()]

    with ExitStack() as stack:
        for name in (NAMES["ten"], NAMES["fourteen"]):
            stack.callback(local.drop_database, name)
        first = play(ten=hosts["ten"], fourteen=hosts["fourteen"])
        assert changed_of(first, "ten") > 0
        assert changed_of(first, "fourteen") > 0
        count = "SELECT count(*), max(version) FROM migrations.history"
        standing = {
            host: f"{local.psql(count, NAMES[host], role='postgres')}|{local.psql(PUBLIC_TABLES, NAMES[host])}"
            for host in ("ten", "fourteen")
        }
        before = catalogs()
        to_015 = {"migrations_target": "015"}
        deployed = hosts["deployed"]
        checked = play("--check", "--diff", deployed=deployed, ten=hosts["ten"], fourteen=hosts["fourteen"] | to_015)
        unchanged = catalogs() == before and local.psql(count, NAMES["fourteen"], role="postgres") == "14|014"
        on = play(ten=hosts["ten"] | to_015, fourteen=hosts["fourteen"])
        yield Targets(checked, on, standing, unchanged)


def test_check_mode_finds_nothing_to_do_or_shows_the_pending_sql_and_touches_nothing(targets: Targets) -> None:
    assert changed_of(targets.checked, "deployed") == 0
    assert changed_of(targets.checked, "ten") == 0, "it is at its target"
    assert changed_of(targets.checked, "fourteen") > 0
    assert "+CREATE TABLE" in targets.checked.output
    assert "bhyt_validation_rules" in targets.checked.output
    assert "1 pending, 14 applied" in targets.checked.output
    assert targets.unchanged


def test_stops_at_the_target_and_goes_on_from_there(local: Local, targets: Targets) -> None:
    assert targets.applied_versions == {"ten": "10|010|29", "fourteen": "14|014|29"}
    assert changed_of(targets.on, "fourteen") == 0, "it is at its target, and marked as production"
    marked = local.psql("SHOW physioflow.environment", NAMES["fourteen"])
    assert marked == "production"
    assert changed_of(targets.on, "ten") > 0
    assert re.search(r"5 applied now in \d+ ms, 10 before", targets.on.output)
    assert local.psql(GUIDE_COUNTS, NAMES["ten"]) == "8|56|5|18"
    assert local.psql(PUBLIC_TABLES, NAMES["ten"]) == "30"


def test_the_history_says_who_did_what(local: Local) -> None:
    query = """
        SELECT count(*), count(DISTINCT run_id), min(act), bool_and(operator <> ''), bool_and(controller <> ''),
               bool_and(sha256 ~ '^[0-9a-f]{64}$'), bool_and(duration_ms > 0), bool_and(executed_by = 'postgres')
        FROM migrations.history WHERE act <> 'start'
    """
    assert local.psql(query, role="postgres") == f"{len(VERSIONS)}|1|apply|t|t|t|t|t"


@pytest.mark.parametrize(
    "statement",
    ["UPDATE migrations.history SET operator = 'x'", "DELETE FROM migrations.history", "TRUNCATE migrations.history"],
)
def test_the_history_only_grows(local: Local, statement: str) -> None:
    done = local.run_psql("-c", statement, role="postgres")
    assert "migrations.history is append-only" in done.stderr
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


@pytest.mark.fault(38)
def test_a_password_may_hold_any_character(local: Local, database: str) -> None:
    password = "q'u\"o`te $HOME $$ %s %% {x} \\ : ; # é 🏥 end"
    passwords = {purpose: local.password(role) for purpose, role in ROLES.items()} | {"app": password}
    kept = (local.folder / "passwords/emr_app").read_text()
    verifier = local.psql("SELECT rolpassword FROM pg_authid WHERE rolname = 'emr_app'", role="postgres")
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
        local.psql(f"ALTER ROLE emr_app PASSWORD '{verifier}'", role="postgres")


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


def test_a_broken_promise_fails_where_it_is_verified_also_where_nothing_is_pending(local: Local, database: str) -> None:
    local.create_database(database, "physioflow")
    local.deploy(database_name=database)
    local.psql("DROP INDEX idx_patients_name", database)
    result = local.play(database_name=database)
    assert result.status != 0
    assert result.tasks[-1] == "verification : Compare the database with the promises of the release"
    assert "idx_patients_name" in result.output


def test_two_deploys_at_once_are_as_good_as_one(local: Local, tmp_path: Path, database: str) -> None:
    release = str(release_up_to("002", tmp_path))
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda _: local.play(database_name=database, release_directory=release), range(2)))
    for result in results:  # the other one waits, plans anew and finds nothing to do
        assert result.status == 0, result.output
    history = "SELECT count(*), count(DISTINCT version), count(DISTINCT run_id) FROM migrations.history"
    assert local.psql(history, database, role="postgres") == "2|2|1"
    applied = re.findall(r"(\d+) applied now", "".join(result.output for result in results))
    assert sorted(applied) == ["0", "2"]
