"""The script of a run and the reading of its failure."""

from __future__ import annotations

import json

from ansible.module_utils.migration_catalog import Migration, Statement, split_statements
from ansible.module_utils.migration_failure import Failure, explain, read_failure, without_values
from ansible.module_utils.migration_script import Limits, Run, quote, write_begin, write_end, write_script

RUN = Run(release="r1", run_id="0aee8018-f1e7-4540-bb7f-3ba39587919a", operator="lan", controller="desk")
MIGRATION = Migration("001", "a", "files/migrations/001_a.sql", "it's $sql$", (), True, "0" * 64, "1" * 64)


def script(*statements: Statement, history: str | None = None) -> str:
    text: str = write_script(
        [(MIGRATION, statements)], RUN, Limits(), owner="emr", functions="SELECT 'functions';", history=history
    )
    return text


def test_a_literal_survives_any_text() -> None:
    for text in ["plain", "it's", "a $sql$ b", "ends with $", "$sql$$sql1$", "$", "\\", "100%", "{{ x }}", ""]:
        [(statement, _)] = split_statements(f"SELECT {quote(text)}")
        quoted = statement.text.removeprefix("SELECT ")
        tag = quoted[: quoted.index("$", 1) + 1]
        assert quoted == f"{tag}{text}{tag}"


def test_the_script_is_sql_with_one_transaction_a_file() -> None:
    text = script(Statement(3, "SELECT 'a;b'"), Statement(7, "SELECT $sql$x$sql$"), history="CREATE SCHEMA migrations;")
    kinds = [type(node).__name__ for _, node in split_statements(text)]
    transaction = ["TransactionStmt", "VariableSetStmt", "SelectStmt", "VariableSetStmt", "BODY", "TransactionStmt"]
    history = [kind.replace("BODY", "CreateSchemaStmt") for kind in transaction]
    file = [kind.replace("BODY", "SelectStmt") for kind in transaction]
    assert kinds == ["SelectStmt", *history, "VariableSetStmt", *file, "VariableSetStmt"]
    assert "'{3,7}'" in text


def test_a_file_without_transaction_is_recorded_before_and_after() -> None:
    begin = write_begin(MIGRATION, RUN, Limits(), functions="SELECT 1;", history=None)
    end = write_end(MIGRATION, RUN, Limits(), functions="SELECT 1;")
    assert "migrations_record($sql$start$sql$" in begin
    assert "migrations_record($sql$apply$sql$" in end


def failed(message: str, sqlstate: str = "22P02", run_id: str = RUN.run_id, hint: str = "") -> str:
    data = {"file": "files/migrations/001_a.sql", "line": 7, "sqlstate": sqlstate, "message": message, "hint": hint}
    return (
        f"Cannot execute SQL 'INSERT INTO p VALUES (''Nguyễn Văn A'')' None: migration-failure {run_id} "
        f"{json.dumps(data)}\nDETAIL:  Failing row contains (Nguyễn Văn A).\nCONTEXT:  PL/pgSQL function"
    )


def test_a_failure_shows_place_state_and_message_and_no_row() -> None:
    failure = read_failure(failed('relation "x" does not exist', "42P01", hint="Perhaps y"), RUN.run_id)
    assert str(failure) == ('files/migrations/001_a.sql:7: [42P01] relation "x" does not exist (hint: Perhaps y)')


def test_values_of_rows_are_left_out_of_data_errors() -> None:
    text = 'invalid input syntax for type integer: "Nguyễn Văn A"'
    assert str(read_failure(failed(text), RUN.run_id)).endswith('[22P02] invalid input syntax for type integer: "…"')
    assert without_values('duplicate key value violates unique constraint "u"', "23505").endswith('"u"')


def test_the_marker_of_another_run_is_not_believed() -> None:
    message = failed("x", run_id="11111111-f1e7-4540-bb7f-3ba39587919a")
    assert read_failure(message, RUN.run_id).file is None


def test_a_failure_of_no_file_keeps_the_first_line_of_postgresql() -> None:
    message = (
        "Cannot execute SQL 'SELECT ''secret''' None: terminating connection due to administrator command\n"
        "LINE 1: SELECT 'secret'"
    )
    assert str(read_failure(message, RUN.run_id)) == "terminating connection due to administrator command"
    assert str(read_failure("unable to connect to database: no route\nmore", RUN.run_id)) == (
        "unable to connect to database: no route"
    )


def test_a_message_of_another_shape_shows_nothing_of_the_sql() -> None:
    assert "secret" not in str(read_failure("Cannot execute SQL 'SELECT secret", RUN.run_id))


def test_the_explanation_says_state_and_next_step() -> None:
    planned = [f"files/migrations/{n:03d}_x.sql" for n in range(1, 5)]
    failure = Failure("division by zero", "22012", planned[2], 9)
    text = explain(failure, planned, set(planned[:2]), set(), "physioflow")
    assert text.splitlines() == [
        "files/migrations/003_x.sql:9: [22012] division by zero",
        "Database physioflow: 001_x.sql to 002_x.sql (2) applied and recorded by this run; 003_x.sql to 004_x.sql (2) "
        "not applied. The failed file left nothing behind.",
        "Next: correct files/migrations/003_x.sql and run the same command again; it goes on with the first that is "
        "missing.",
    ]
    assert "003_x.sql is in doubt" in explain(failure, planned, set(), {planned[2]}, "physioflow")
