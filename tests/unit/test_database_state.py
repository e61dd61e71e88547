"""The role database: which statements bring roles, database and privileges to what is wanted."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from base64 import b64decode
from typing import Any

import pytest
import yaml
from ansible_collections.physioflow.database.plugins.module_utils.database.problems import (
    input_problems,
    login_notes,
    login_problems,
    notes_of,
    server_problems,
)
from ansible_collections.physioflow.database.plugins.module_utils.database.scram import (
    is_scram_verifier_of,
    scram_verifier,
)
from ansible_collections.physioflow.database.plugins.module_utils.database.state import (
    cluster_statements,
    create_statement,
    extension_statements,
    inside_statements,
    new_database,
    new_inside,
    routine_statements,
)
from ansible_collections.physioflow.database.plugins.module_utils.database.wanted import Login, Wanted, audit_is_on

from tests.local import ROOT

WANTED = Wanted(
    name="physioflow",
    roles={"owner": "emr", "app": "emr_app", "readonly": "emr_readonly", "backup": "emr_backup"},
    locale="C.UTF-8",
    extensions=["uuid-ossp", "pg_trgm"],
    passwords={"app": "secret of app"},
    settings={"app": {"statement_timeout": "30s"}, "readonly": {"default_transaction_read_only": True}},
    connection_limits={"owner": 10, "app": 60, "readonly": 10, "backup": 10},
    connection_limit=95,
    allowed_extensions=["uuid-ossp", "pg_trgm"],
    closed_databases=["postgres"],
    versions=[16],
)


LIMITS = WANTED.connection_limits


def role(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "LOGIN": True,
        "INHERIT": True,
        "limit": 10,
        "verifier": None,
        "settings": [],
        "member_of": [],
        "members": [],
        "owns": [],
    }
    flags = dict.fromkeys(["SUPERUSER", "CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS"], False)
    return plain | flags | changes


def cluster(**changes: Any) -> dict[str, Any]:
    """A server on which everything is as wanted."""
    return {
        "version": "16.14",
        "version_num": 160014,
        "standby": False,
        "read_only": False,
        "collation": True,
        "available": ["uuid-ossp", "pg_trgm"],
        "slots": {"max_connections": 100, "superuser_reserved_connections": 3, "reserved_connections": 0},
        "preloaded": "",
        "strangers": [],
        "roles": {
            "emr": role(),
            "emr_app": role(
                limit=60, verifier=scram_verifier("secret of app"), settings=["statement_timeout=30s", "work_mem=8MB"]
            ),
            "emr_readonly": role(settings=["default_transaction_read_only=on"]),
            "emr_backup": role(BYPASSRLS=True, member_of=["pg_read_all_data"]),
        },
        "databases": {
            "physioflow": {
                "owner": "emr",
                "limit": 95,
                "encoding": "UTF8",
                "locale": "C.UTF-8",
                "ctype": "C.UTF-8",
                "acl": {
                    "emr": ["CREATE", "TEMPORARY", "CONNECT"],
                    "emr_app": ["CONNECT"],
                    "emr_readonly": ["CONNECT"],
                    "emr_backup": ["CONNECT"],
                },
            },
            "postgres": {"acl": {"postgres": ["CREATE", "TEMPORARY", "CONNECT"]}},
        },
    } | changes


def texts(statements: list[Any]) -> list[str]:
    return [str(statement) for statement in statements]


def test_what_is_right_is_left_alone() -> None:
    assert server_problems(WANTED, cluster(), "postgres") == []
    assert cluster_statements(WANTED, cluster()) == []


def test_everything_is_made_on_a_new_server() -> None:
    made = texts(cluster_statements(WANTED, {"roles": {}, "databases": None}))
    assert [text for text in made if text.startswith("CREATE")] == [
        'CREATE ROLE "emr" LOGIN',
        'CREATE ROLE "emr_app" LOGIN',
        'CREATE ROLE "emr_readonly" LOGIN',
        'CREATE ROLE "emr_backup" LOGIN',
    ]
    assert 'ALTER ROLE "emr_backup" BYPASSRLS CONNECTION LIMIT 10' in made
    assert 'GRANT pg_read_all_data TO "emr_backup"' in made
    assert 'ALTER ROLE "emr_readonly" SET "default_transaction_read_only" = \'on\'' in made
    assert 'CREATE EXTENSION "uuid-ossp"' in texts(extension_statements(WANTED, new_inside()))
    inside = texts(inside_statements(WANTED, new_database("emr"), new_inside()))
    assert 'REVOKE CONNECT, TEMPORARY ON DATABASE "physioflow" FROM PUBLIC' in inside
    assert "REVOKE USAGE ON SCHEMA public FROM PUBLIC" in inside
    assert 'ALTER DEFAULT PRIVILEGES FOR ROLE "emr" REVOKE EXECUTE ON ROUTINES FROM PUBLIC' in inside


def test_no_statement_shows_a_verifier() -> None:
    statements = cluster_statements(WANTED, {"roles": {}, "databases": None})
    assert any("SCRAM-SHA-256$4096:" in statement.sql for statement in statements)
    assert not any("$" in str(statement) or "secret of app" in statement.sql for statement in statements)


@pytest.mark.parametrize(
    ("name", "found", "statement"),
    [
        ("emr", role(CREATEROLE=True, CREATEDB=True), 'ALTER ROLE "emr" NOCREATEDB NOCREATEROLE'),
        ("emr", role(LOGIN=False), 'ALTER ROLE "emr" LOGIN'),
        ("emr", role(limit=3), 'ALTER ROLE "emr" CONNECTION LIMIT 10'),
        ("emr", role(member_of=["pg_write_server_files"]), 'REVOKE "pg_write_server_files" FROM "emr"'),
        (
            "emr_readonly",
            role(settings=["default_transaction_read_only=off"]),
            'ALTER ROLE "emr_readonly" SET "default_transaction_read_only" = \'on\'',
        ),
    ],
)
def test_what_differs_is_corrected(name: str, found: dict[str, Any], statement: str) -> None:
    roles = cluster()["roles"] | {name: found}
    assert texts(cluster_statements(WANTED, cluster(roles=roles))) == [statement]


def test_another_password_is_sent_once() -> None:
    roles = cluster()["roles"]
    roles["emr_app"]["verifier"] = scram_verifier("another")
    (statement,) = cluster_statements(WANTED, cluster(roles=roles))
    verifier = statement.sql.split("'")[1]
    assert is_scram_verifier_of(verifier, "secret of app")
    roles["emr_app"]["verifier"] = verifier
    assert cluster_statements(WANTED, cluster(roles=roles)) == []


@pytest.mark.parametrize(
    "password", ["x", "q'u\"o`te $ %s \\ :", "mật khẩu", "🏥 clinic", "\u00a0space\u00ad", "\u06ddx"]
)
def test_a_verifier_belongs_to_its_password_only(password: str) -> None:
    verifier = scram_verifier(password)
    assert is_scram_verifier_of(verifier, password)
    assert not is_scram_verifier_of(verifier, password + "x")
    assert not is_scram_verifier_of("md5" + "0" * 32, password)


def test_the_verifier_is_the_one_of_the_standard() -> None:
    """RFC 7677, section 3: with it, a server proves itself to the client there, and the client's proof is right."""
    salt, nonce = "W22ZaJ0SNY7soEsUEjb6gQ==", "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    message = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s={salt},i=4096,c=biws,r={nonce}".encode()
    verifier = scram_verifier("pencil", b64decode(salt))
    assert verifier.startswith(f"SCRAM-SHA-256$4096:{salt}$")
    stored, server = (b64decode(part) for part in verifier.rpartition("$")[2].split(":"))
    assert hmac.digest(server, message, "sha256") == b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    proof = b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client = bytes(a ^ b for a, b in zip(proof, hmac.digest(stored, message, "sha256"), strict=True))
    assert hashlib.sha256(client).digest() == stored


def test_public_is_kept_out_of_other_databases() -> None:
    databases = cluster()["databases"] | {"postgres": {"acl": {"public": ["CONNECT", "TEMPORARY"]}}}
    assert texts(cluster_statements(WANTED, cluster(databases=databases))) == [
        'REVOKE CONNECT, TEMPORARY ON DATABASE "postgres" FROM PUBLIC'
    ]


def as_wanted() -> dict[str, Any]:
    """A database inside which everything is as wanted."""
    two = {"emr_app": ["USAGE"], "emr_readonly": ["USAGE"]}
    return {
        "extensions": ["plpgsql", "uuid-ossp", "pg_trgm"],
        "public_schema": dict(two),
        "default_privileges": {
            "r": {"emr_app": ["SELECT", "INSERT", "UPDATE", "DELETE"], "emr_readonly": ["SELECT"]},
            "S": {"emr_app": ["SELECT", "USAGE"], "emr_readonly": ["SELECT"]},
            "f": {"emr_app": ["EXECUTE"], "emr_readonly": ["EXECUTE"]},
            "T": dict(two),
            "n": dict(two),
        },
        "untouched": {},
        "languages": [],
        "open_routines": [],
    }


def test_privileges_that_are_right_are_left_alone() -> None:
    assert inside_statements(WANTED, cluster()["databases"]["physioflow"], as_wanted()) == []


def test_what_others_were_granted_stays() -> None:
    inside = as_wanted()
    inside["public_schema"] |= {"somebody": ["USAGE", "CREATE"]}
    assert inside_statements(WANTED, cluster()["databases"]["physioflow"], inside) == []


def test_too_much_is_revoked() -> None:
    inside = as_wanted()
    inside["public_schema"]["emr_app"] = ["USAGE", "CREATE"]
    inside["default_privileges"]["r"]["public"] = ["SELECT"]
    assert texts(inside_statements(WANTED, cluster()["databases"]["physioflow"], inside)) == [
        'REVOKE CREATE ON SCHEMA public FROM "emr_app"',
        'ALTER DEFAULT PRIVILEGES FOR ROLE "emr" REVOKE SELECT ON TABLES FROM PUBLIC',
    ]


def test_objects_made_by_hand_get_the_default_privileges() -> None:
    inside = as_wanted() | {"untouched": {"r": ["patients", "users"], "f": ["validate(text)"]}}
    assert texts(inside_statements(WANTED, cluster()["databases"]["physioflow"], inside)) == [
        'GRANT DELETE, INSERT, SELECT, UPDATE ON TABLE patients, users TO "emr_app"',
        'GRANT SELECT ON TABLE patients, users TO "emr_readonly"',
        "REVOKE EXECUTE ON ROUTINE validate(text) FROM PUBLIC",
        'GRANT EXECUTE ON ROUTINE validate(text) TO "emr_app"',
        'GRANT EXECUTE ON ROUTINE validate(text) TO "emr_readonly"',
    ]


def test_the_locale_is_a_literal() -> None:
    odd = dataclasses.replace(WANTED, locale="C'; DROP DATABASE x; --")
    assert "LOCALE 'C''; DROP DATABASE x; --'" in str(create_statement(odd))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Physio"}, "database_name is 'Physio': a name has 1 to 63 of the characters a-z"),
        ({"name": "a" * 64}, "has 1 to 63 of the characters"),
        ({"name": "physio\n"}, "database_name is"),
        ({"name": "template1"}, "a name that PostgreSQL reserves"),
        (
            {"roles": {**WANTED.roles, "app": "pg_app"}},
            "database_app_role is 'pg_app', a name that PostgreSQL reserves",
        ),
        ({"roles": {**WANTED.roles, "owner": "Emr App"}}, "database_owner is 'Emr App'"),
        ({"roles": {**WANTED.roles, "app": "emr"}}, "Each role needs a different name"),
        ({"passwords": {"app": ""}}, "password of app in database_passwords is empty"),
        (
            {"passwords": {"emr_app": "x"}},
            "database_passwords has the key 'emr_app'; valid keys are owner, app, readonly",
        ),
        ({"settings": {"reader": {}}}, "database_role_settings has the key 'reader'"),
        (
            {"connection_limits": {**LIMITS, "app": -1}},
            "database_connection_limits has -1 for app; the minimum is 1",
        ),
        ({"connection_limits": {"owner": 1, "app": 1, "backup": 1}}, "has no limit for readonly"),
        ({"connection_limit": -1}, "database_connection_limit is -1"),
        ({"extensions": ["dblink"]}, "The extension dblink is not among database_allowed_extensions"),
        ({"passwordless": ["emr_backup"]}, "database_passwordless has 'emr_backup'"),
        ({"audit_role": "emr_app"}, "Each role needs a different name"),
    ],
)
def test_bad_input_is_refused(changes: dict[str, Any], words: str) -> None:
    (problem,) = input_problems(dataclasses.replace(WANTED, **changes))
    assert words in problem


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "15.9", "version_num": 150009}, "The server is PostgreSQL 15.9; this release supports 16."),
        ({"version": "17.2", "version_num": 170002}, "The server is PostgreSQL 17.2; this release supports 16."),
        ({"standby": True}, "is a standby"),
        ({"read_only": True}, "default_transaction_read_only = on"),
        ({"collation": False}, "no collation vi-VN-x-icu"),
        ({"available": ["uuid-ossp"]}, "The extension pg_trgm is not available"),
        ({"roles": {"emr": role(SUPERUSER=True)}}, 'ALTER ROLE "emr" NOSUPERUSER'),
        ({"roles": {"emr_app": role(owns=["physioflow"])}}, 'REASSIGN OWNED BY "emr_app" TO "emr"'),
        (
            {"slots": {"max_connections": 99, "superuser_reserved_connections": 3, "reserved_connections": 2}},
            "database_connection_limit is 95, and the server has 94",
        ),
    ],
)
def test_a_server_that_does_not_fit_is_refused(changes: dict[str, Any], words: str) -> None:
    (problem,) = server_problems(WANTED, cluster(**changes), "postgres")
    assert words in problem


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoding": "SQL_ASCII"}, "with encoding SQL_ASCII, not UTF8. Choose another database_name."),
        ({"locale": "en_US.UTF-8"}, "with locale en_US.UTF-8, not C.UTF-8"),
        ({"owner": "postgres"}, "or keep it with database_owner: postgres"),
    ],
)
def test_a_database_that_does_not_fit_is_refused(changes: dict[str, Any], words: str) -> None:
    databases = {"physioflow": cluster()["databases"]["physioflow"] | changes}
    (problem,) = server_problems(WANTED, cluster(databases=databases), "postgres")
    assert words in problem


def test_the_role_that_logs_in_is_none_of_ours() -> None:
    (problem,) = server_problems(WANTED, cluster(), "emr")
    assert "emr is the role that Ansible logs in as" in problem


CLOUD = Login("cloud", superuser=False, bypassrls=False)


def test_a_superuser_lacks_nothing() -> None:
    nobody = Login("postgres", superuser=True, createrole=False, createdb=False, bypassrls=False, read_all=False)
    assert login_problems(WANTED, cluster(roles={}), nobody) == []
    assert login_notes(WANTED, cluster(roles={}), nobody) == []


def test_who_is_no_superuser_makes_the_owner_usable_and_gives_on_what_it_has() -> None:
    made = texts(cluster_statements(WANTED, {"roles": {}, "databases": None}, CLOUD))
    assert 'GRANT "emr" TO "cloud" WITH INHERIT TRUE, SET TRUE' in made
    assert not any("BYPASSRLS" in text for text in made)
    assert "emr_backup does not get BYPASSRLS" in login_notes(WANTED, cluster(roles={}), CLOUD)[0]


def test_who_is_no_superuser_backs_up_and_verifies_itself_so_needs_to_see_all_rows() -> None:
    wanted = dataclasses.replace(WANTED, row_level_security=True)
    backup = role(BYPASSRLS=True, member_of=["pg_read_all_data"], admin=True)
    (said,) = login_problems(wanted, cluster(roles={"emr_backup": backup}), CLOUD)
    assert said.endswith('As a superuser: ALTER ROLE "cloud" BYPASSRLS;')
    able = dataclasses.replace(CLOUD, bypassrls=True)
    assert login_problems(wanted, cluster(roles={}), able) == []


def test_databases_of_others_are_left_alone_and_named() -> None:
    acl = {"public": ["CONNECT"]}
    databases = cluster()["databases"] | {"postgres": {"acl": acl, "owned": False}}
    found = cluster(databases=databases)
    assert not any('"postgres"' in text for text in texts(cluster_statements(WANTED, found, CLOUD)))
    assert "PUBLIC can still connect to postgres" in " ".join(login_notes(WANTED, found, CLOUD))


def test_a_password_that_logs_in_is_not_set_again() -> None:
    roles = cluster()["roles"] | {"emr_app": role(limit=60, settings=["statement_timeout=30s"], logs_in=True)}
    roles["emr"] |= {"usable": True}
    assert cluster_statements(WANTED, cluster(roles=roles), CLOUD) == []
    roles["emr_app"]["logs_in"] = False
    assert len(cluster_statements(WANTED, cluster(roles=roles), CLOUD)) == 1


@pytest.mark.parametrize(
    ("login", "found", "words"),
    [
        (
            {"createrole": False},
            {"roles": {}},
            'lacks CREATEROLE, to create the roles. As a superuser: ALTER ROLE "cloud"',
        ),
        ({"createdb": False}, {"roles": {}, "databases": {}}, "lacks CREATEDB, to create the database physioflow"),
        ({"read_all": False}, {"roles": {}}, 'GRANT pg_read_all_data TO "cloud" WITH ADMIN OPTION;'),
        ({}, {"roles": {"emr": role(admin=False)}}, "lacks ADMIN OPTION on the role emr, which another role created"),
    ],
)
def test_a_right_that_is_missing_is_named(login: dict[str, Any], found: dict[str, Any], words: str) -> None:
    (problem,) = login_problems(WANTED, cluster(**found), dataclasses.replace(CLOUD, **login))
    assert words in problem


def test_a_role_that_comes_in_by_peer_loses_its_password() -> None:
    wanted = dataclasses.replace(WANTED, passwordless=["app"])
    assert texts(cluster_statements(wanted, cluster())) == ['ALTER ROLE "emr_app" PASSWORD NULL']
    found = cluster(roles=cluster()["roles"] | {"emr_app": role(limit=60, settings=["statement_timeout=30s"])})
    assert cluster_statements(wanted, found) == []


def test_the_audit_role_is_made_where_the_server_audits_and_nobody_is_it() -> None:
    assert [audit_is_on(audit, "a, pgaudit") for audit in ("auto", "always", "never")] == [True, True, False]
    assert [audit_is_on("auto", preloaded) for preloaded in ("", None, "pgaudited")] == [False] * 3
    wanted = dataclasses.replace(WANTED, audit="auto")
    assert cluster_statements(wanted, cluster()) == []
    audited = cluster(preloaded="pgaudit")
    assert texts(cluster_statements(wanted, audited)) == ['CREATE ROLE "emr_audit" NOLOGIN']
    audited["roles"]["emr_audit"] = role(members=["emr_app"])
    assert texts(cluster_statements(wanted, audited)) == [
        'ALTER ROLE "emr_audit" NOLOGIN',
        'REVOKE "emr_audit" FROM "emr_app"',
    ]


def test_routines_of_extensions_are_closed_to_public_only_by_who_may() -> None:
    inside = as_wanted() | {"open_routines": ["similarity(text,text)"]}
    assert texts(routine_statements(WANTED, inside))[0] == "REVOKE EXECUTE ON ROUTINE similarity(text,text) FROM PUBLIC"
    assert len(routine_statements(WANTED, inside)) == 4
    assert routine_statements(WANTED, inside, CLOUD) == []


def test_what_is_less_safe_than_it_could_be_is_named() -> None:
    inside = as_wanted() | {"extensions": ["plpgsql", "dblink"], "languages": ["plpython3u"]}
    notes = " ".join(notes_of(WANTED, cluster(strangers=["x in pg_read_server_files"]), inside, Login()))
    for words in ("x in pg_read_server_files", "dblink", "plpython3u"):
        assert words in notes
    assert notes_of(WANTED, cluster(), as_wanted(), Login()) == []


@pytest.mark.control("S13")
def test_the_limits_leave_a_server_of_ours_what_it_keeps_for_its_administrators() -> None:
    ours, server, base = (
        yaml.safe_load((ROOT / "roles" / path).read_text())
        for path in ("database/defaults/main.yml", "postgresql/defaults/main.yml", "postgresql/vars/main.yml")
    )
    kept = ("superuser_reserved_connections", "reserved_connections")
    slots = {name: base["__postgresql_base_settings"][name] for name in kept}
    slots["max_connections"] = server["postgresql_max_connections"]
    limits = {name: ours[f"database_{name}"] for name in ("connection_limits", "connection_limit")}
    assert server_problems(dataclasses.replace(WANTED, **limits), cluster(slots=slots), "postgres") == []


@pytest.mark.control("S13")
@pytest.mark.parametrize("free", [89, 90])
def test_limits_that_add_up_to_what_the_server_has_are_refused(free: int) -> None:
    slots = {"max_connections": free + 9, "superuser_reserved_connections": 5, "reserved_connections": 4}
    total, whole = server_problems(WANTED, cluster(slots=slots), "postgres")
    server = f"the server has {free} for roles without superuser (max_connections {free + 9} minus "
    server += "superuser_reserved_connections 5 and reserved_connections 4)"
    assert f"database_connection_limits add up to 90, and {server}. Lower them" in total
    assert f"database_connection_limit is 95, and {server}. Lower it, or raise max_connections." in whole
