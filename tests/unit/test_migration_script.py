"""The script of a run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import (
    Migration,
    Statement,
    own_statements,
    split_file,
)
from ansible_collections.physioflow.database.plugins.module_utils.migrations.script import (
    Run,
    Script,
    application_name,
    quote,
)
from ansible_collections.physioflow.database.plugins.module_utils.migrations.steps import in_sessions

from tests.local import ROOT

ENGINE = ROOT / "roles/migrations/files"
RUN = Run(release="r1", run_id="0aee8018-f1e7-4540-bb7f-3ba39587919a", operator="lan", controller="desk")
MIGRATION = Migration("001", "a", "files/migrations/001_a.sql", "it's $sql$", (), True, "0" * 64, "1" * 64)
SCRIPT = Script(ENGINE, RUN, "emr")


def kinds(text: str) -> list[str]:
    return [type(statement.node).__name__ for statement in split_file(text)]


def test_a_literal_survives_any_text() -> None:
    for text in ["plain", "it's", "a $sql$ b", "x$sql", "$", "$$", "$sql$$sql1$", "\\", "100%", "{{ x }}", ""]:
        [statement] = split_file(f"SELECT {quote(text)}")
        quoted = statement.text.removeprefix("SELECT ")
        tag = quoted[: quoted.index("$", 1) + 1]
        assert quoted == f"{tag}{text}{tag}"


def test_every_file_is_one_transaction_that_ends_with_a_session_like_a_new_one() -> None:
    files = [(MIGRATION, [Statement(3, "SELECT 'a;b'"), Statement(7, "SELECT $sql$x$sql$")])]
    [text] = SCRIPT.apply(files)
    found = kinds(text)
    assert found[:4] == ["TransactionStmt", "VariableSetStmt", "DoStmt", "DoStmt"]
    assert found[-1] == "TransactionStmt"
    assert found[4:-1] == [type(each.node).__name__ for each in split_file((ENGINE / "fresh.sql").read_text())]
    assert "{3,7}" in text
    assert kinds("\n".join(SCRIPT.begin(history=True)))[:5] == ["TransactionStmt", "DoStmt", *found[:1] * 2, found[1]]


def test_a_file_without_transaction_is_recorded_before_and_after_by_one_session() -> None:
    statement = Statement(4, "VACUUM a", ({"relation": '"a*/"', "modes": ["ShareLock"]},))
    begun, settings, sent, keeps, _, _, ended = SCRIPT.alone(MIGRATION, [statement], ())
    assert "CONSTANT text := $sql$start$sql$" in begun
    assert "set_config('role', $sql$emr$sql$, false)" in settings
    [alone] = split_file(sent)
    assert alone.text == "VACUUM a"
    assert sent.startswith(f"/* migration-statement {RUN.run_id} {{")
    assert "released the lock of the migrations" in keeps
    assert "CONSTANT text := $sql$apply$sql$" in ended


def test_what_leaves_the_database_is_not_sent_to_a_copy() -> None:
    statements = [Statement(1, "SELECT 1"), Statement(2, "ALTER DATABASE a SET work_mem = '8MB'", outside="a setting")]
    copy = Script(ENGINE, Run("r", RUN.run_id, "o", "c", copy=True), "emr")
    assert "ALTER DATABASE" in SCRIPT.apply([(MIGRATION, statements)])[0]
    assert "ALTER DATABASE" not in copy.apply([(MIGRATION, statements)])[0]
    assert not [text for text in copy.alone(MIGRATION, statements[1:], ()) if "ALTER DATABASE" in text]


def test_a_new_session_begins_after_what_it_begins_with_has_changed() -> None:
    inside, outside = [Statement(1, "SELECT 1")], own_statements("ALTER DATABASE a RESET ALL; SELECT 1")
    alone = Migration("004", "d", "d.sql", "", (), False, "0" * 64, "1" * 64)
    files = [(MIGRATION, inside), (MIGRATION, outside), (MIGRATION, inside), (alone, inside), (MIGRATION, inside)]
    assert [len(session) for session in in_sessions(files)] == [2, 1, 1, 1]
    assert [statement.outside for statement in outside] == ["ALTER DATABASE", ""]
    for sql in ("SET app.clinic = 'x'", "SET LOCAL app.clinic = 'x'", "SELECT set_config('app.clinic', 'x', true)"):
        assert [statement.renews for statement in own_statements(f"SET work_mem = '1MB'; {sql}")] == [False, True]


def test_the_name_of_a_session_fits() -> None:
    named: Any = SimpleNamespace(file=f"x/{'đ' * 80}.sql")
    assert len(application_name(named).encode()) <= 63
    assert application_name(MIGRATION) == "physioflow 001_a"
    assert Path(MIGRATION.file).stem == "001_a"
