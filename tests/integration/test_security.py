"""What each role may do and what it may not, tried on the server of the session; and what its catalogs say of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, suppress

import psycopg
import pytest

from tests.local import Local, until

OWNER, APP, READONLY, BACKUP = ROLES = ("emr", "emr_app", "emr_readonly", "emr_backup")
DENIED = "42501"  # insufficient_privilege
MAY = ""

# What is tried, by row of the checklist: statement, and the SQLSTATE for owner, app, readonly and backup.
ATTEMPTS = [
    # What each is for.
    ("S8", "SELECT count(*) FROM patients", MAY, MAY, MAY, MAY),
    ("S8", "INSERT INTO organizations (name) VALUES ('x')", MAY, MAY, DENIED, DENIED),
    ("S8", "UPDATE organizations SET name = 'x'", MAY, MAY, DENIED, DENIED),
    ("S8", "DELETE FROM organizations", MAY, MAY, DENIED, DENIED),
    ("S8", "CREATE TABLE x (y int)", MAY, DENIED, DENIED, DENIED),
    ("S8", "ALTER TABLE patients ADD COLUMN x int", MAY, DENIED, DENIED, DENIED),
    ("S10", "SELECT uuid_generate_v4()", MAY, MAY, MAY, DENIED),
    ("S10", "SELECT similarity('lưng', 'lung')", MAY, MAY, MAY, DENIED),
    ("S10", "SELECT id FROM vietnamese_medical_terms WHERE term_vi % 'lưng'", MAY, MAY, MAY, DENIED),
    ("S10", "SELECT * FROM validate_bhyt_card('DN1234567890123')", MAY, MAY, MAY, DENIED),
    # Tables.
    ("S9", "DROP TABLE organizations CASCADE", MAY, DENIED, DENIED, DENIED),
    ("S9", "TRUNCATE organizations CASCADE", MAY, DENIED, DENIED, DENIED),
    ("S9", "ALTER TABLE patients DISABLE TRIGGER ALL", DENIED, DENIED, DENIED, DENIED),
    ("S9", "ALTER TABLE patients OWNER TO emr_app", DENIED, DENIED, DENIED, DENIED),
    ("S9", "ALTER DEFAULT PRIVILEGES FOR ROLE emr GRANT SELECT ON TABLES TO PUBLIC", MAY, DENIED, DENIED, DENIED),
    ("S9", "CREATE INDEX ON patients (mrn)", MAY, DENIED, DENIED, DENIED),
    ("S9", "CREATE POLICY x ON patients", MAY, DENIED, DENIED, DENIED),
    ("S9", "LOCK TABLE patients IN ACCESS EXCLUSIVE MODE", MAY, MAY, DENIED, DENIED),
    ("S9", "CREATE TEMP TABLE x (y int)", MAY, DENIED, DENIED, DENIED),
    ("S9", "CREATE SCHEMA x", MAY, DENIED, DENIED, DENIED),
    ("S9", "CREATE FUNCTION public.x() RETURNS int LANGUAGE sql AS 'SELECT 1'", MAY, DENIED, DENIED, DENIED),
    ("S9", "CREATE VIEW x AS SELECT * FROM patients", MAY, DENIED, DENIED, DENIED),
    # The history of migrations.
    ("S9", "SELECT count(*) FROM migrations.history", DENIED, DENIED, DENIED, MAY),
    ("S9", "INSERT INTO migrations.history (act) VALUES ('apply')", DENIED, DENIED, DENIED, DENIED),
    ("S9", "UPDATE migrations.history SET operator = 'x'", DENIED, DENIED, DENIED, DENIED),
    ("S9", "DELETE FROM migrations.history", DENIED, DENIED, DENIED, DENIED),
    ("S9", "TRUNCATE migrations.history", DENIED, DENIED, DENIED, DENIED),
    ("S9", "DROP TRIGGER trg_history_append_only ON migrations.history", DENIED, DENIED, DENIED, DENIED),
    ("S9", "DROP SCHEMA migrations CASCADE", DENIED, DENIED, DENIED, DENIED),
    ("S9", "ALTER SCHEMA migrations OWNER TO emr", DENIED, DENIED, DENIED, DENIED),
    ("S9", "CREATE OR REPLACE VIEW migrations.applied AS SELECT 1", DENIED, DENIED, DENIED, DENIED),
    # The host.
    ("S9", "COPY patients TO PROGRAM 'cat'", DENIED, DENIED, DENIED, DENIED),
    ("S9", "COPY (SELECT 1) TO '/tmp/physioflow-never'", DENIED, DENIED, DENIED, DENIED),
    ("S9", "COPY organizations (name) FROM '/etc/passwd'", DENIED, DENIED, DENIED, DENIED),
    ("S9", "SELECT pg_read_file('/etc/passwd')", DENIED, DENIED, DENIED, DENIED),
    ("S9", "SELECT pg_ls_dir('/')", DENIED, DENIED, DENIED, DENIED),
    ("S9", "SELECT lo_import('/etc/passwd')", DENIED, DENIED, DENIED, DENIED),
    ("S9", "SELECT lo_export(1, '/tmp/physioflow-never')", DENIED, DENIED, DENIED, DENIED),
    ("S9", "LOAD '/tmp/x.so'", DENIED, DENIED, DENIED, DENIED),
    ("S26", "CREATE FUNCTION x() RETURNS int LANGUAGE c AS 'x', 'y'", DENIED, DENIED, DENIED, DENIED),
    ("S26", "DO LANGUAGE plpython3u 'x'", "42704", "42704", "42704", "42704"),
    ("S26", "CREATE EXTENSION plpython3u", DENIED, DENIED, DENIED, DENIED),
    ("S26", "CREATE EXTENSION dblink", DENIED, DENIED, DENIED, DENIED),
    ("S26", "CREATE EXTENSION file_fdw", DENIED, DENIED, DENIED, DENIED),
    ("S26", "CREATE EXTENSION adminpack", DENIED, DENIED, DENIED, DENIED),
    ("S26", "CREATE EXTENSION pgcrypto", MAY, DENIED, DENIED, DENIED),
    ("S26", "DROP EXTENSION pg_trgm CASCADE", DENIED, DENIED, DENIED, DENIED),
    # Roles and the server.
    ("S9", "SET ROLE postgres", DENIED, DENIED, DENIED, DENIED),
    ("S9", "SET ROLE emr", MAY, DENIED, DENIED, DENIED),
    ("S9", "SET SESSION AUTHORIZATION postgres", DENIED, DENIED, DENIED, DENIED),
    ("S9", "SET ROLE pg_read_server_files", DENIED, DENIED, DENIED, DENIED),
    ("S9", "ALTER SYSTEM SET work_mem = '1MB'", DENIED, DENIED, DENIED, DENIED),
    ("S9", "SET session_replication_role = replica", DENIED, DENIED, DENIED, DENIED),
    ("S9", "SELECT pg_reload_conf()", DENIED, DENIED, DENIED, DENIED),
    ("S9", "SELECT rolpassword FROM pg_authid", DENIED, DENIED, DENIED, MAY),  # the exception S8
    ("S9", "CREATE ROLE x", DENIED, DENIED, DENIED, DENIED),
    ("S9", "ALTER ROLE emr_app SUPERUSER", DENIED, DENIED, DENIED, DENIED),
    ("S9", "GRANT emr TO emr_app", DENIED, DENIED, DENIED, DENIED),
    ("S9", "GRANT pg_execute_server_program TO emr_app", DENIED, DENIED, DENIED, DENIED),
    ("S13", "ALTER ROLE CURRENT_USER CONNECTION LIMIT -1", DENIED, DENIED, DENIED, DENIED),
    ("S9", "ALTER DATABASE physioflow OWNER TO emr_app", DENIED, DENIED, DENIED, DENIED),
    ("S9", "DROP DATABASE postgres", DENIED, DENIED, DENIED, DENIED),
    ("S9", "CREATE DATABASE x", DENIED, DENIED, DENIED, DENIED),
    ("S9", "CREATE PUBLICATION x FOR ALL TABLES", DENIED, DENIED, DENIED, DENIED),
    ("S9", "CREATE EVENT TRIGGER x ON ddl_command_end EXECUTE FUNCTION y()", DENIED, DENIED, DENIED, DENIED),
]
OUTSIDE_A_TRANSACTION = ("ALTER SYSTEM", "DROP DATABASE", "CREATE DATABASE")


def connect(local: Local, role: str, database: str = "physioflow") -> psycopg.Connection[tuple[object, ...]]:
    port = local.psql("SHOW port", "postgres", role="postgres")
    return psycopg.connect(
        f"host=127.0.0.1 port={port} dbname={database} user={role}", password=local.password(role), autocommit=True
    )


@pytest.fixture(scope="module")
def sessions(local: Local) -> Iterator[dict[str, psycopg.Connection[tuple[object, ...]]]]:
    """A session of each role, without its setting to only read: that is a courtesy, privileges are the lock."""
    made = {role: connect(local, role) for role in ROLES}
    for session in made.values():
        session.execute("SET default_transaction_read_only = off")
    yield made
    for session in made.values():
        session.close()


def state_of(session: psycopg.Connection[tuple[object, ...]], statement: str) -> str:
    """Return the SQLSTATE of a statement that is taken back again; empty where it succeeds."""
    alone = statement.startswith(OUTSIDE_A_TRANSACTION)
    try:
        if not alone:
            session.execute("BEGIN")
        session.execute(statement.encode())
    except psycopg.Error as error:
        return error.sqlstate or str(error)
    finally:
        if not alone:
            session.execute("ROLLBACK")
    return MAY


@pytest.mark.parametrize(
    ("statement", "states"),
    [pytest.param(text, states, marks=pytest.mark.control(row), id=text) for row, text, *states in ATTEMPTS],
)
def test_each_role_may_do_its_work_and_no_more(
    sessions: dict[str, psycopg.Connection[tuple[object, ...]]], statement: str, states: list[str]
) -> None:
    found = {role: state_of(sessions[role], statement) for role in ROLES}
    assert found == dict(zip(ROLES, states, strict=True))


@pytest.mark.control("S12")
@pytest.mark.parametrize("role", [READONLY, BACKUP])
def test_who_only_reads_reads_only(local: Local, role: str) -> None:
    with connect(local, role) as session, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        session.execute("INSERT INTO organizations (name) VALUES ('x')")


@pytest.mark.control("S10")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("database", ["postgres", "template1"])
def test_nobody_enters_another_database(local: Local, role: str, database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        connect(local, role, database)


@pytest.mark.control("S9")
@pytest.mark.parametrize("act", ["UPDATE migrations.history SET operator = 'x'", "DELETE FROM migrations.history"])
@pytest.mark.parametrize("before", ["", "SET session_replication_role = replica;"])
def test_the_history_refuses_even_a_superuser(local: Local, before: str, act: str) -> None:
    done = local.run_psql("-c", f"BEGIN; {before} {act}; ROLLBACK", role="postgres")
    assert "migrations.history is append-only" in done.stderr


# Each returns no row on a server that is as it should be.
QUERIES = {
    "S6": "SELECT rolname FROM pg_authid WHERE rolcanlogin AND rolpassword IS NOT NULL "
    "AND rolpassword !~ '^SCRAM-SHA-256\\$'",
    "S7": "SELECT rolname FROM pg_authid WHERE rolsuper AND rolname <> 'postgres'",
    "S8 attributes": "SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname ~ '^emr' "
    "AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls <> (rolname = 'emr_backup'))",
    "S8 owned": "SELECT relname FROM pg_class AS c JOIN pg_roles AS r ON r.oid = relowner "
    "WHERE rolname IN ('emr_app', 'emr_readonly', 'emr_backup', 'emr_audit')",
    "S8 members": "SELECT roleid::regrole, member::regrole FROM pg_auth_members WHERE member::regrole::text ~ '^emr' "
    "AND (roleid::regrole::text, member::regrole::text) <> ('pg_read_all_data', 'emr_backup')",
    "S10 databases": "SELECT datname FROM pg_database WHERE datname IN ('physioflow', 'postgres', 'template1') AND ("
    "has_database_privilege('public', oid, 'CONNECT') OR has_database_privilege('public', oid, 'TEMP') "
    "OR has_database_privilege('public', oid, 'CREATE'))",
    "S10 schemas": "SELECT nspname FROM pg_namespace WHERE nspname IN ('public', 'migrations') AND ("
    "has_schema_privilege('public', oid, 'USAGE') OR has_schema_privilege('public', oid, 'CREATE'))",
    "S10 tables": "SELECT table_name FROM information_schema.role_table_grants "
    "WHERE grantee = 'PUBLIC' AND table_schema !~ '^(pg_|information)'",
    "S10 functions": "SELECT oid::regprocedure FROM pg_proc WHERE pronamespace::regnamespace::text !~ '^(pg_|inf)' "
    "AND EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)",
    "S10 types": "SELECT oid::regtype FROM pg_type AS t WHERE typnamespace = 'public'::regnamespace "
    "AND typtype IN ('d', 'e', 'r') AND has_type_privilege('public', oid, 'USAGE')",
    "S12": "SELECT * FROM (VALUES ('emr_app', 'statement_timeout=30s'), ('emr_app', 'lock_timeout=5s'), "
    "('emr_app', 'idle_in_transaction_session_timeout=1min'), ('emr', 'lock_timeout=5s'), "
    "('emr', 'client_connection_check_interval=1s'), ('emr', 'idle_session_timeout=1h'), "
    "('emr_readonly', 'idle_session_timeout=1h'), ('emr_readonly', 'default_transaction_read_only=on'), "
    "('emr_backup', 'default_transaction_read_only=on')) AS w (role, setting) "
    "WHERE NOT setting = ANY ((SELECT rolconfig FROM pg_roles WHERE rolname = role)::text[])",
    "S13 roles": "SELECT rolname FROM pg_roles WHERE rolcanlogin AND NOT rolsuper AND rolname ~ '^emr' "
    "AND rolconnlimit = -1",
    "S13 database": "SELECT datname FROM pg_database WHERE datname = 'physioflow' AND datconnlimit = -1",
    "S13 sum": "SELECT sum(rolconnlimit) FROM pg_roles WHERE rolname ~ '^emr' AND rolcanlogin HAVING sum(rolconnlimit) "
    ">= current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int "
    "- current_setting('reserved_connections')::int",
    "S15": "SELECT p.oid::regprocedure FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace "
    "WHERE prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema') "
    "AND NOT coalesce(array_to_string(proconfig, ',') LIKE '%search_path=%', false)",
    "S26 languages": "SELECT lanname FROM pg_language WHERE NOT lanpltrusted AND lanname NOT IN ('internal', 'c')",
    "S26 extensions": "SELECT extname FROM pg_extension "
    "WHERE extname NOT IN ('plpgsql', 'uuid-ossp', 'pg_trgm', 'btree_gist')",
    "S26 members": "SELECT member::regrole FROM pg_auth_members WHERE roleid::regrole::text IN "
    "('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')",
}


@pytest.mark.parametrize(
    "query",
    [pytest.param(query, marks=pytest.mark.control(name.split()[0]), id=name) for name, query in QUERIES.items()],
)
def test_the_catalogs_show_nothing_that_should_not_be(local: Local, query: str) -> None:
    assert local.psql(query, role="postgres") == ""


@pytest.mark.excepted("S8")
def test_the_exception_of_the_verifiers_is_still_needed(local: Local) -> None:
    query = "SELECT bool_and(rolpassword LIKE 'SCRAM-SHA-256$%') FROM pg_authid WHERE rolpassword IS NOT NULL"
    assert local.psql(query, user=BACKUP) == "t"
    revoked = (
        f"BEGIN; REVOKE ALL ON pg_authid FROM {BACKUP}, pg_read_all_data; SET LOCAL ROLE {BACKUP}; {query}; ROLLBACK"
    )
    assert local.psql(revoked, role="postgres") == "t", "no privilege is above pg_read_all_data"


@pytest.mark.excepted("S14")
def test_row_level_security_is_off_as_the_guide_has_none(local: Local) -> None:
    assert (
        local.psql("SELECT relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace") == ""
    )


@pytest.mark.control("S11")
def test_what_the_owner_makes_later_is_as_open_as_the_rest_and_no_more(local: Local) -> None:
    local.psql(
        "CREATE TABLE later (id int GENERATED ALWAYS AS IDENTITY, note text); CREATE SEQUENCE later_numbers; "
        "CREATE TYPE later_kind AS ENUM ('a'); CREATE FUNCTION later() RETURNS int LANGUAGE sql RETURN 1",
        user=OWNER,
    )
    use = "INSERT INTO later (note) VALUES ('x'); SELECT nextval('later_numbers'), later(), 'a'::later_kind"
    try:
        assert local.run_psql("-c", use, user=APP).returncode == 0
        assert local.psql("SELECT count(*), later() FROM later", user=READONLY) == "1|1"
        assert local.psql("SELECT count(*) FROM later", user=BACKUP) == "1"
        public = "SELECT has_table_privilege('public', 'later', 'SELECT'), has_function_privilege('public', 'later()', "
        public += "'EXECUTE'), has_sequence_privilege('public', 'later_numbers', 'USAGE'), "
        public += "has_type_privilege('public', 'later_kind', 'USAGE')"
        assert local.psql(public, role="postgres") == "f|f|f|f"
    finally:
        local.psql(
            "DROP TABLE later; DROP SEQUENCE later_numbers; DROP TYPE later_kind; DROP FUNCTION later", user=OWNER
        )


@pytest.mark.control("S12")
@pytest.mark.parametrize(
    ("role", "setting", "act", "error"),
    [
        (APP, "statement_timeout", "SELECT pg_sleep(60)", psycopg.errors.QueryCanceled),  # 57014
        (APP, "lock_timeout", "LOCK organizations", psycopg.errors.LockNotAvailable),  # 55P03
        (OWNER, "lock_timeout", "LOCK organizations", psycopg.errors.LockNotAvailable),
        (APP, "idle_in_transaction_session_timeout", "", psycopg.errors.IdleInTransactionSessionTimeout),  # 25P03
        (OWNER, "idle_session_timeout", "", psycopg.errors.IdleSessionTimeout),  # 57P05
        (READONLY, "idle_session_timeout", "", psycopg.errors.IdleSessionTimeout),
    ],
)
def test_what_takes_too_long_ends(local: Local, role: str, setting: str, act: str, error: type[psycopg.Error]) -> None:
    with connect(local, role) as session, connect(local, OWNER) as holder:
        assert session.execute(f"SHOW {setting}".encode()).fetchone() != ("0",)
        if "lock" in setting:
            holder.execute("BEGIN; LOCK organizations IN ACCESS EXCLUSIVE MODE")
        session.execute(f"SET {setting} = '50ms'".encode())
        if setting != "idle_session_timeout":
            session.execute("BEGIN")
        with pytest.raises(error):
            if act:
                session.execute(act.encode())
            else:
                ended(session, holder)
                session.execute("SELECT 1")


def ended(session: psycopg.Connection[tuple[object, ...]], other: psycopg.Connection[tuple[object, ...]]) -> None:
    """Wait until the server has ended a session."""
    gone = f"SELECT FROM pg_stat_activity WHERE pid = {session.info.backend_pid}"
    until(lambda: other.execute(gone.encode()).fetchone() is None, "the server ends the session")


@pytest.mark.control("S12")
def test_a_statement_of_the_owner_whose_client_is_gone_ends(local: Local) -> None:
    with closing(connect(local, OWNER)) as session, connect(local, OWNER) as other:
        assert session.execute("SHOW client_connection_check_interval").fetchone() == ("1s",)
        session.pgconn.send_query(b"SELECT pg_sleep(3600)")
        with socket.socket(fileno=os.dup(session.pgconn.socket)) as wire:
            wire.shutdown(socket.SHUT_RDWR)  # no farewell, as of a client that was killed
        ended(session, other)


@pytest.mark.control("S13")
def test_the_last_connection_of_a_role_is_refused(local: Local) -> None:
    open_ones = []
    try:
        for _ in range(10):
            with suppress(psycopg.OperationalError):
                open_ones.append(connect(local, READONLY))
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            connect(local, READONLY)
        assert local.psql("SELECT 1", role="postgres") == "1"
    finally:
        for session in open_ones:
            session.close()
