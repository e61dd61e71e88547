"""The main job on one machine: from nothing, again, in check mode, to a target, of another release."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import apart
from tests.apart import changed_of
from tests.integration.test_bad_input import write
from tests.local import ROOT, VERSIONS, Local, release_up_to

GUIDE_COUNTS = """
SELECT (SELECT count(*) FROM pt_service_codes), (SELECT count(*) FROM vietnamese_medical_terms),
       (SELECT count(*) FROM clinical_protocols), (SELECT count(*) FROM bhyt_validation_rules)
"""
MIGRATIONS = sorted(path.stem for path in (ROOT / "files/migrations").glob("*.sql"))
ROLES = {"owner": "emr", "app": "emr_app", "readonly": "emr_readonly", "backup": "emr_backup"}
HISTORY = "SELECT string_agg(act || ' ' || version, ', ' ORDER BY id) FROM migrations.history"
MOST_TASKS = 11  # of a run that changes nothing


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_release_begins_with_the_fifteen_migrations_of_the_guide() -> None:
    assert VERSIONS[:15] == [f"{number:03d}" for number in range(1, 16)]
    assert sorted(path.stem for path in (ROOT / "files/rollbacks").glob("*.sql")) == MIGRATIONS


def clinic(folder: Path) -> Path:
    """Write a release of three migrations: one of ours and two of others, the last without transaction."""
    release = release_up_to("001", folder)
    write(
        release,
        "0100_rooms",
        "BEGIN;\nCREATE TABLE rooms (id int CONSTRAINT rooms_pkey PRIMARY KEY, name text);\n"
        "INSERT INTO rooms VALUES (1, '100% {{ room }} $sql$ đ');\nCOMMIT;",
    )
    alone = "-- Transactional: no\n\nCREATE UNIQUE INDEX CONCURRENTLY idx_rooms_name ON rooms (name);"
    write(release, "0101_rooms_name", alone, depends="0100")
    return release


@pytest.mark.fault(25)
@pytest.mark.fault(38)
def test_deploys_from_nothing_beside_another_server_to_a_target_and_goes_on_where_it_stopped(
    local: Local, folder: Path, tmp_path: Path
) -> None:
    """The last deploy starts the server, changes a password, and is allowed a file that is older than what is applied.

    That such a file is refused elsewhere: test_refused_deploy.py.
    """
    release = clinic(tmp_path)
    own = Local(folder, {"release_directory": str(release), "backup_before_migration": False})
    checked = own.deploy("--check", "--diff")
    assert files_below(folder) == [], "check mode made files"
    assert "+CREATE TABLE patients" in checked.output.replace("+CREATE TABLE public.patients", "+CREATE TABLE patients")
    assert "3 pending" in checked.output

    first = own.deploy(migrations_target="0100")
    assert re.search(r"2 applied now in \d+ ms, 0 before", first.output)
    assert not re.search(r"Validating arguments|^included:|^skipping:", first.output, re.MULTILINE)
    assert own.psql(HISTORY, role="postgres") == "apply 001, apply 0100"
    for role in ROLES.values():
        assert (folder / "passwords" / role).stat().st_mode & 0o777 == 0o600

    assert len({server.psql("SHOW port", "postgres", role="postgres") for server in (local, own)}) == 2
    own.stop_server()
    assert own.run_psql("-c", "SELECT 1", database="postgres").returncode != 0
    assert local.psql("SELECT 1") == "1"
    write(release, "0099_late", "CREATE TABLE late (id int CONSTRAINT late_pkey PRIMARY KEY);")
    password = "q'u\"o`te $HOME $$ %s %% {x} \\ : ; # é 🏥 end"
    passwords = {purpose: own.password(role) for purpose, role in ROLES.items()} | {"app": password}
    on = own.deploy("-vvv", "--diff", database_passwords=passwords, migrations_out_of_order=True)
    assert re.search(r"2 applied now in \d+ ms, 2 before", on.output)
    history = own.psql(HISTORY, role="postgres")
    assert history == "apply 001, apply 0100, apply 0099, start 0101, apply 0101"
    assert own.psql("SELECT name, to_regclass('late') FROM rooms") == "100% {{ room }} $sql$ đ|late"
    assert own.psql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'idx_rooms_name'::regclass") == "t"
    assert not [secret for secret in passwords.values() if secret in on.output]
    (folder / "passwords/emr_app").write_text(password)
    assert own.psql("SELECT current_user", user="emr_app") == "emr_app"


@pytest.mark.fault(19)
@pytest.mark.fault(20)
def test_a_second_deploy_changes_nothing_and_accepts_other_line_ends_and_a_byte_order_mark(
    local: Local, release: Path
) -> None:
    marked = release / "migrations/007_billing_tables.sql"
    marked.write_bytes(b"\xef\xbb\xbf" + marked.read_bytes())
    ended = release / "migrations/008_clinical_protocols_tables.sql"
    ended.write_bytes(ended.read_bytes().replace(b"\n", b"\r\n"))
    again = local.deploy(release_directory=str(release))
    assert again.changed == 0
    assert re.search(rf"0 applied now in 0 ms, {len(VERSIONS)} before", again.output)
    assert len(again.tasks) <= MOST_TASKS, again.tasks
    for path, words in ((marked, "byte order mark"), (ended, "CRLF line ends")):
        assert re.search(rf"{path.name}.*{words}", again.output), again.output
    assert local.psql(GUIDE_COUNTS) == "8|56|5|18"


def test_two_deploys_at_once_are_as_good_as_one_and_check_mode_changes_nothing(
    local: Local, tmp_path: Path, database: str
) -> None:
    """They meet in each task of one play. Check mode finds nothing to do at the target, or shows the pending SQL."""
    release = str(clinic(tmp_path))
    one = {"database_name": database, "migrations_target": "0100", "database_environment": "production"}
    hosts = {"one": one, "another": one}
    both = apart.play(local, tmp_path / "both", "deploy.yml", hosts, release_directory=release)
    assert both.status == 0, both.output  # one waits, plans anew and finds nothing to do
    assert sorted(re.findall(r"(\d+) applied now", both.output)) == ["0", "2"]
    history = "SELECT count(*), count(DISTINCT version), count(DISTINCT run_id) FROM migrations.history"
    assert local.psql(history, database, role="postgres") == "2|2|1"
    assert local.psql("SHOW physioflow.environment", database) == "production"

    before = local.catalogs(database)
    hosts["another"] = one | {"migrations_target": ""}
    options = ("--check", "--diff")
    checked = apart.play(local, tmp_path / "checked", "deploy.yml", hosts, *options, release_directory=release)
    assert changed_of(checked, "one") == 0, "it is at its target, and marked as production"
    assert changed_of(checked, "another") > 0
    assert "+CREATE UNIQUE INDEX CONCURRENTLY idx_rooms_name" in checked.output
    assert "1 pending, 2 applied" in checked.output
    assert local.catalogs(database) == before
    assert local.psql(history, database, role="postgres") == "2|2|1"


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


def test_a_broken_promise_fails_where_it_is_verified_also_where_nothing_is_pending(local: Local) -> None:
    index = local.psql("SELECT pg_get_indexdef('idx_patients_name'::regclass)")
    local.psql("DROP INDEX idx_patients_name")
    try:
        result = local.play()
    finally:
        local.psql(index)
    assert result.status != 0
    assert result.tasks[-1] == "verification : Compare the database with the promises of the release"
    assert "idx_patients_name" in result.output
