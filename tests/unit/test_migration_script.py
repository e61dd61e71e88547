"""The script of a run."""

from __future__ import annotations

from ansible.module_utils.migration_catalog import Migration, Statement, split_statements
from ansible.module_utils.migration_script import Limits, Run, quote, write_queries, write_script

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
    assert kinds == ["SelectStmt", "SelectStmt", *history, "VariableSetStmt", *file, "VariableSetStmt"]
    assert "'{3,7}'" in text


def test_a_file_without_transaction_is_recorded_before_and_after_by_one_session() -> None:
    statement = Statement(4, "VACUUM a", ({"relation": '"a*/"', "mode": "ShareLock"},))
    queries = write_queries(MIGRATION, [statement], RUN, Limits(), owner="emr", functions="SELECT 1;", history=None)
    assert "migrations_lock($sql$60s$sql$, true)" in queries[0]
    assert "migrations_record($sql$start$sql$" in queries[1]
    assert "set_config('role', $sql$emr$sql$, false)" in queries[2]
    [(sent, _)] = split_statements(queries[3])
    assert sent.text == "VACUUM a"
    assert queries[3].startswith(f"/* migration-statement {RUN.run_id} {{")
    assert "set_config('role', 'none', false)" in queries[4]
    assert "migrations_record($sql$apply$sql$" in queries[5]
