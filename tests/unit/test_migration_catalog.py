"""The catalog of a release: what is accepted, what is refused, and where each refusal points."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import (
    Catalog,
    Migration,
    SqlText,
    check_statements,
    own_statements,
    read_catalog,
    read_text,
    runs_alone,
    shorten_token,
)
from ansible_collections.physioflow.database.plugins.module_utils.migrations.release import read_release

HEADER = "-- Migration: {stem}\n-- Description: something\n-- Depends on: {depends}\n\n"


class Release:
    """A release folder under construction."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(
        self, name: str, body: str | bytes = "SELECT 1;\n", depends: str = "none", folder: str = "migrations"
    ) -> Path:
        path = self.folder / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        head = HEADER.format(stem=path.stem, depends=depends)
        if folder == "rollbacks":
            head = f"-- Rollback: {path.stem}\n-- Description: back\n\n"
        path.write_bytes(body if isinstance(body, bytes) else (head + body).encode())
        return path

    def read(self) -> Catalog:
        return read_catalog(self.folder)

    def findings(self) -> list[str]:
        return [str(finding) for finding in self.read().findings]


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path / "files")


def test_reads_migrations_in_order_of_their_number(release: Release) -> None:
    release.add("010_late.sql", depends="002")
    path = release.add("002_early.sql", "CREATE TABLE a (b int);\n", depends="none")
    release.add("1000_last.sql", depends="002, 010")
    catalog = release.read()
    assert catalog.findings == []
    assert [m.version for m in catalog.migrations] == ["002", "010", "1000"]
    first = catalog.migrations[0]
    assert first.file == "files/migrations/002_early.sql"
    assert first.name == "early"
    assert first.description == "something"
    assert first.transactional
    assert first.sha256 == first.sha256_raw == hashlib.sha256(path.read_bytes()).hexdigest()
    assert catalog.migrations[2].depends == ("002", "010")


def test_a_rollback_is_found_by_its_migrations_name(release: Release) -> None:
    release.add("001_a.sql")
    release.add("002_b.sql")
    release.add("001_a.sql", "SELECT 2;\n", folder="rollbacks")
    assert [m.rollback for m in release.read().migrations] == ["files/rollbacks/001_a.sql", None]


def test_the_name_of_the_release_follows_its_content(release: Release) -> None:
    release.add("001_a.sql", "SELECT 1;\n")
    before = release.read().release
    assert before == release.read().release
    release.add("001_a.sql", "SELECT 2;\n")
    assert release.read().release != before


def test_line_ends_and_byte_order_mark_do_not_change_the_checksum(release: Release) -> None:
    path = release.add("001_a.sql", "SELECT 1;\nSELECT 2;\n")
    plain = release.read().migrations[0]
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    other = release.read().migrations[0]
    assert other.sha256 == plain.sha256
    assert other.sha256_raw != plain.sha256_raw
    assert other.notes == (
        "starts with a byte order mark; read without it",
        "has CRLF line ends; read as LF",
    )


def test_a_begin_and_commit_around_the_whole_file_are_left_out() -> None:
    statements = own_statements(
        "-- head\nBEGIN;\n\n-- a\nCREATE TABLE a (b int);\nINSERT INTO a VALUES (1)\n;\nCOMMIT;\n"
    )
    assert [(s.line, s.text) for s in statements] == [(5, "CREATE TABLE a (b int)"), (6, "INSERT INTO a VALUES (1)")]


def test_statements_keep_their_text_and_line() -> None:
    text = (
        "-- đầu\nSELECT 'ô;\n;'; /* ; */ SELECT $$;\n;$$ -- last\n;"
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END"
    )
    assert [(s.line, s.text) for s in own_statements(text)] == [
        (2, "SELECT 'ô;\n;'"),
        (3, "SELECT $$;\n;$$ -- last"),
        (5, "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END"),
    ]


@pytest.mark.parametrize(
    ("body", "place", "words"),
    [
        ("SELECT 1;\n\\i other.sql\n", ":6:", r"\i is a psql command"),
        ("SELECT 1 \\gexec\n", ":5:", r"\gexec is a psql command"),
        ("COPY a FROM stdin;\n1\n\\.\n", ":5:", "COPY with standard input"),
        ("SELECT 1;\nCOPY a FROM STDIN;\n", ":6:", "COPY with standard input"),
        ("SELECT 1;\nCOMMIT;\nSELECT 2;\n", ":6:", "transaction control"),
        ("SAVEPOINT a;\n", ":5:", "transaction control"),
        ("BEGIN;\nSELECT 1;\n", ":5:", "transaction control"),
        ("BEGIN;\nSELECT 1;\nCOMMIT;\nSELECT 2;\nCOMMIT;\n", ":7:", "transaction control"),
        ("SET ROLE postgres;\n", ":5:", "SET ROLE"),
        ("RESET ROLE;\n", ":5:", "SET ROLE"),
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;\n", ":5:", "SET TRANSACTION"),
        ("SET LOCAL transaction_deferrable = on;\n", ":5:", "SET TRANSACTION"),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE;\nSELECT 1;\nCOMMIT;\n", ":5:", "BEGIN with transaction options"),
        ("SELECT 1;\nSELECT :name;\n", ":6:", ":name is a psql variable"),
        ("SELECT 1;\nSELECT :'name';\n", ":6:", ":'name' is a psql variable"),
        ("SELECT 1;\n\ufeffSELECT 2;\n", ":6:", "U+FEFF (zero width no-break space)"),
        ("CREATE TABLE a (b int\u00a0);\n", ":5:", "U+00A0 (no-break space)"),
        ("SELECT 1;\n\u200bSELECT 2;\n", ":6:", "U+200B (zero width space)"),
        ("SELECT 1;\n\x1a", ":6:", "U+001A (a control character)"),
        ("SELECT 1 INTO a UNION SELECT 2;\n", ":5:", "CREATE TABLE ... AS"),
        ("SELECT 1 INTO a;\n", ":5:", "CREATE TABLE ... AS"),
        ("CREATE INDEX CONCURRENTLY i ON a (b);\n", ":5:", "-- Transactional: no"),
        ("DROP INDEX CONCURRENTLY i;\n", ":5:", "-- Transactional: no"),
        ("REINDEX TABLE CONCURRENTLY a;\n", ":5:", "-- Transactional: no"),
        ("VACUUM a;\n", ":5:", "-- Transactional: no"),
        ("CREATE DATABASE a;\n", ":5:", "-- Transactional: no"),
        ("SELECT 1;\nSELEC 2;\n", ":6:", 'syntax error at or near "SELEC"'),
        ("SELECT 1;\n\nSELECT 'open;\nSELECT 2;\n", ":7:", "unterminated quoted string."),
        ("SELECT 1;\n/* open\n", ":6:", "unterminated /* comment"),
        ("SELECT $$ open\nSELECT 2;\n", ":5:", "unterminated dollar-quoted string."),
        ("CREATE TABLE a (\n", ":5:", "syntax error at end of input"),
    ],
)
def test_refuses_what_would_break_the_run(release: Release, body: str, place: str, words: str) -> None:
    release.add("001_a.sql", body)
    [finding] = release.findings()
    assert finding.startswith(f"files/migrations/001_a.sql{place} ")
    assert words in finding
    assert finding.endswith((".", ". Correct the file."))


def test_analyze_is_allowed_in_a_transaction(release: Release) -> None:
    release.add("001_a.sql", "ANALYZE;\nREINDEX TABLE a;\nCREATE INDEX i ON a (b);\nSET LOCAL work_mem = '1MB';\n")
    assert release.findings() == []


ALONE = "-- Migration: 001_a\n-- Description: x\n-- Depends on: none\n-- Transactional: no\n"


def test_a_long_insert_is_judged_without_its_rows() -> None:
    rows = ", ".join(f"({n}, 'text; with (''quotes'')')" for n in range(1000))
    text = f'/* a /* b */ c */ INSERT INTO s."T b" (id, note) VALUES {rows};\n-- end\nSELECT 1;\n'
    first, second = own_statements(text)
    assert (first.line, second.line) == (1, 3)
    assert first.text.endswith(rows)
    assert first.needs == (
        {
            "relation": '"s"."T b"',
            "modes": ["ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"],
        },
    )
    [finding] = check_statements(SqlText("f.sql", text.replace("(999,", "(999 999,"), "", ""), transactional=True)
    assert 'syntax error at or near "999"' in finding.message


def test_the_statements_of_a_file_without_transaction_are_described(release: Release) -> None:
    release.add(
        "001_a.sql",
        f"{ALONE}DROP INDEX CONCURRENTLY IF EXISTS s.i;\nCREATE UNIQUE INDEX CONCURRENTLY i ON s.a (lower(b));\n"
        "ALTER TYPE t ADD VALUE 'x';\nALTER TYPE t ADD VALUE IF NOT EXISTS 'y';\nVACUUM a;\n"
        "REINDEX TABLE CONCURRENTLY a;\nCOMMENT ON INDEX i IS 'x';\n".encode(),
    )
    catalog = release.read()
    assert catalog.findings == []
    [migration] = catalog.migrations
    assert not migration.transactional
    assert [(step["line"], step["kind"]) for step in migration.steps] == [
        (5, "drop"),
        (6, "index"),
        (7, "value"),
        (8, "repeat"),
        (9, "repeat"),
        (10, "reindex"),
        (11, "repeat"),
    ]
    assert migration.steps[1] | {"line": 6} == {
        "line": 6,
        "kind": "index",
        "name": "i",
        "table": '"s"."a"',
        "probe": "CREATE UNIQUE INDEX i ON pg_temp.physioflow_probe ((lower(b)))",
    }
    assert Migration.of(asdict(migration)) == migration


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("VACUUM a;\nINSERT INTO a VALUES (1);\n", 6),
        ("CREATE INDEX CONCURRENTLY ON a (b);\nVACUUM a;\n", 5),
        ("CREATE INDEX CONCURRENTLY i ON a (b);\nDROP INDEX CONCURRENTLY s.i;\n", 6),
    ],
)
def test_statements_without_transaction_of_which_nothing_could_be_told_stand_alone(
    release: Release, body: str, line: int
) -> None:
    release.add("001_a.sql", f"{ALONE}{body}".encode())
    [finding] = release.findings()
    assert finding.startswith(f"files/migrations/001_a.sql:{line}: ")
    assert finding.endswith("Split the file.")


def test_any_statement_may_stand_alone_in_a_file_without_transaction(release: Release) -> None:
    release.add("001_a.sql", f"{ALONE}INSERT INTO a VALUES (1);\n".encode())
    assert release.findings() == []


@pytest.mark.parametrize(
    ("raw", "line", "words"),
    [
        (b"SELECT 1;\nSELECT '\xe9';\n", 2, "not UTF-8: byte 0xE9 at offset 18"),
        (b"\xef\xbb\xbfSELECT '\xe9';\n", 1, "not UTF-8: byte 0xE9 at offset 11"),
        (b"SELECT 1;\n\nSELECT '\x00';\n", 3, "NUL byte at offset 19"),
    ],
)
def test_refuses_bytes_that_are_no_text(release: Release, raw: bytes, line: int, words: str) -> None:
    release.add("001_a.sql", raw)
    [finding] = release.findings()
    assert finding.startswith(f"files/migrations/001_a.sql:{line}: {words}")


@pytest.mark.parametrize(
    "name", ["1_a.sql", "001-a.sql", "001_A.sql", "001_a.txt", "001_.sql", "a.sql", "001_a.sql.bak"]
)
def test_refuses_other_file_names(release: Release, name: str) -> None:
    release.add("001_a.sql")
    release.add(name)
    [finding] = release.findings()
    assert finding.startswith(f"files/migrations/{name}: not named NNN_name.sql")


def test_hidden_files_are_left_alone(release: Release) -> None:
    release.add("001_a.sql")
    release.add(".gitkeep")
    assert release.findings() == []


def test_refuses_two_files_of_one_version(release: Release) -> None:
    release.add("003_a.sql")
    release.add("003_b.sql")
    assert release.findings() == [
        "files/migrations/003_b.sql: version 003 is also the version of files/migrations/003_a.sql. "
        "Renumber the newer file."
    ]


def test_refuses_an_unknown_dependency(release: Release) -> None:
    release.add("003_a.sql", depends="002")
    assert release.findings() == [
        "files/migrations/003_a.sql: depends on 002, and no file has that version. Add 002_NAME.sql or correct "
        "`Depends on`."
    ]


@pytest.mark.parametrize(
    ("depends", "path"),
    [
        ({"001": "001"}, "001 -> 001"),
        ({"001": "002", "002": "001"}, "001 -> 002 -> 001"),
        ({"001": "003", "002": "001", "003": "002"}, "001 -> 003 -> 002 -> 001"),
    ],
)
def test_prints_the_path_of_a_cycle(release: Release, depends: dict[str, str], path: str) -> None:
    for version, needed in depends.items():
        release.add(f"{version}_a.sql", depends=needed)
    [finding] = release.findings()
    assert f"form a cycle: {path}." in finding


def test_refuses_a_dependency_on_a_later_file(release: Release) -> None:
    release.add("001_a.sql", depends="002")
    release.add("002_b.sql")
    [finding] = release.findings()
    assert finding == (
        "files/migrations/001_a.sql: depends on 002, which is applied after it. Renumber one of the two files."
    )


def test_refuses_an_incomplete_or_wrong_header(release: Release) -> None:
    release.add("001_a.sql", b"SELECT 1;\n")
    release.add("002_b.sql", b"-- Migration: 001_b\n-- Description: x\n-- Depends on: one\nSELECT 1;\n")
    release.add(
        "003_c.sql", b"-- Migration: 003_c\n-- Description: x\n-- Depends on: none\n-- Transactional: maybe\nSELECT 1;"
    )
    assert [finding.split(". ")[0] for finding in release.findings()] == [
        "files/migrations/001_a.sql:1: its header has no `Depends on`",
        "files/migrations/001_a.sql:1: its header has no `Description`",
        "files/migrations/001_a.sql:1: its header has no `Migration`",
        "files/migrations/002_b.sql:1: its header names it 001_b",
        "files/migrations/002_b.sql:3: `Depends on` must be `none` or a list of versions like `001, 002`",
        "files/migrations/003_c.sql:4: `Transactional` must be `yes` or `no`",
    ]


def test_refuses_a_rollback_without_its_migration_and_a_broken_one(release: Release) -> None:
    release.add("001_a.sql")
    release.add("001_a.sql", "DROP TABEL a;\n", folder="rollbacks")
    release.add("002_b.sql", folder="rollbacks")
    findings = release.findings()
    assert findings[0].startswith('files/rollbacks/001_a.sql:4: syntax error at or near "TABEL"')
    assert findings[1].startswith("files/rollbacks/002_b.sql: belongs to no migration")
    assert len(findings) == 2


def test_says_all_that_is_wrong_at_once(release: Release) -> None:
    release.add("001_a.sql", "SELEC 1;\n", depends="009")
    release.add("001_b.sql", "COMMIT;\n")
    release.add("x.sql")
    assert len(release.findings()) == 5


def test_an_empty_release_is_refused(release: Release) -> None:
    release.folder.mkdir()
    assert release.findings() == ["files/migrations: contains no migration. Correct release_directory."]


def test_a_release_folder_that_is_not_there_is_refused() -> None:
    refused = read_release("/nowhere", header_required=True, roles="")
    assert refused["failed"]
    assert refused["msg"] == "There is no release folder /nowhere. Nothing was touched. Correct release_directory."


def test_a_statement_is_checked_in_the_middle_of_a_file() -> None:
    sql = SqlText("a.sql", "SELECT 1;\nVACUUM;\n", "", "")
    assert [finding.line for finding in check_statements(sql, transactional=True)] == [2]


def test_a_syntax_error_repeats_no_more_than_a_word() -> None:
    assert shorten_token('syntax error at or near "word"') == 'syntax error at or near "word"'
    assert shorten_token('unterminated quoted string at or near "\'Nguyễn Văn A, and so on to the end"') == (
        "unterminated quoted string"
    )


def test_repeatable_files_are_read_in_the_order_of_their_dependencies(release: Release) -> None:
    release.add("001_a.sql")
    before = release.read().release
    head = "-- Repeatable: {}\n-- Description: x\n-- Depends on: {}\nSELECT 1;\n"
    release.add("active.sql", head.format("active", "people").encode(), folder="repeatable")
    release.add("people.sql", head.format("people", "none").encode(), folder="repeatable")
    catalog = release.read()
    assert catalog.findings == []
    assert [(file.version, file.name, file.depends) for file in catalog.repeatable] == [
        ("R", "people", ()),
        ("R", "active", ("people",)),
    ]
    assert [m.version for m in catalog.migrations] == ["001"]
    assert catalog.release != before


def test_refuses_what_is_wrong_with_repeatable_files(release: Release) -> None:
    release.add("001_a.sql")
    head = "-- Repeatable: {}\n-- Description: x\n-- Depends on: {}\n{}SELECT 1;\n"
    release.add("a.sql", head.format("a", "b", "").encode(), folder="repeatable")
    release.add("b.sql", head.format("b", "a", "").encode(), folder="repeatable")
    release.add("c.sql", head.format("d", "missing", "-- Transactional: no\n").encode(), folder="repeatable")
    release.add("007_x.sql", b"SELECT 1;", folder="repeatable")
    assert [finding.partition(": ")[2] for finding in release.findings()] == [
        "not named name.sql (lower case, underscores). Rename or move it.",
        "its dependencies form a cycle: a -> b -> a. Remove one of these `Depends on`.",
        "depends on missing, and no repeatable file has that name. Correct `Depends on`.",
        "its header names it d. Make header and file name equal.",
        "a repeatable file runs in a transaction. Make it a migration.",
    ]


UP = b"BEGIN;\nCREATE TABLE a (b int);\nCOMMIT;\n"


def test_reads_a_folder_of_golang_migrate(release: Release) -> None:
    release.add("000001_a.up.sql", UP)
    release.add("000001_a.down.sql", b"DROP TABLE a;\n")
    release.add("000002_b.up.sql", b"CREATE INDEX CONCURRENTLY i ON a (b);\n")
    release.add("README.md", b"# read me\n")
    catalog = release.read()
    assert catalog.findings == []
    assert [(m.version, m.depends, m.transactional, m.rollback) for m in catalog.migrations] == [
        ("000001", (), True, "files/migrations/000001_a.down.sql"),
        ("000002", ("000001",), False, None),
    ]


def test_reads_a_folder_of_flyway(release: Release) -> None:
    release.add("V1__a.sql", UP, folder="migration")
    release.add("U1__a.sql", b"DROP TABLE a;\n", folder="migration")
    release.add("V1.1__b.sql", b"ALTER TABLE a ADD c int;\n", folder="migration")
    release.add("V10__c.sql", b"-- Depends on: 1\nALTER TABLE a ADD d int;\n", folder="migration")
    release.add("R__views.sql", b"CREATE OR REPLACE VIEW v AS SELECT 1 AS one;\n", folder="migration")
    catalog = release.read()
    assert catalog.findings == []
    assert [(m.version, m.depends, m.rollback) for m in catalog.migrations] == [
        ("1", (), "files/migration/U1__a.sql"),
        ("1.1", ("1",), None),
        ("10", ("1",), None),
    ]
    assert [file.name for file in catalog.repeatable] == ["views"]


def test_reads_numbered_files_without_header_only_where_that_is_said(release: Release) -> None:
    (release.folder).mkdir()
    (release.folder / "001_a.sql").write_bytes(UP)
    (release.folder / "002_b.sql").write_bytes(b"ALTER TABLE a ADD c int;\n")
    assert any("its header has no `Migration`" in finding for finding in release.findings())
    catalog = read_catalog(release.folder, header_required=False)
    assert catalog.findings == []
    assert [(m.file, m.depends) for m in catalog.migrations] == [
        ("files/001_a.sql", ()),
        ("files/002_b.sql", ("001",)),
    ]


def test_one_number_is_one_version_however_it_is_written(release: Release) -> None:
    release.add("V1__a.sql", UP, folder="migration")
    release.add("V01__b.sql", UP, folder="migration")
    [finding] = release.findings()
    assert "version 01 is also the version of" in finding or "version 1 is also the version of" in finding


def test_characters_that_nobody_sees_are_left_alone_in_texts_and_quoted_names(release: Release) -> None:
    release.add("001_a.sql", "SELECT 'a\u00a0b' AS \"c\u00a0d\"; -- e\u00a0f\n")
    assert release.findings() == []


PARTS = {
    "dbmate": ("-- migrate:up", "-- migrate:down"),
    "goose": ("-- +goose Up\n-- +goose StatementBegin", "-- +goose StatementEnd\n-- +goose Down"),
    "sql-migrate": ("-- +migrate Up", "-- +migrate Down"),
}


@pytest.mark.parametrize("tool", PARTS)
def test_a_file_holds_both_ways(release: Release, tool: str) -> None:
    up, down = PARTS[tool]
    body = f"{up}\nCREATE TABLE a (b text DEFAULT '\n{down}\n');\n\n{down}\nDROP TABLE a;\n"
    path = release.add("20240101120000_ponds.sql", body.encode())
    release.add("20240102000000_more-Ponds.sql", f"{up}\nSELECT 1;\n{down}\n".encode())
    catalog = release.read()
    assert catalog.findings == []
    first, second = catalog.migrations
    assert (first.rollback, first.depends, second.rollback, second.depends) == (
        first.file,
        (),
        None,
        ("20240101120000",),
    )
    assert second.down_mark == down.rpartition("\n")[2]
    [back] = own_statements(read_text(path, first.file, "down").text)
    assert (back.text, back.line) == ("DROP TABLE a", body[: body.index("DROP")].count("\n") + 1)
    assert [s.text[:12] for s in own_statements(read_text(path, first.file).text)] == ["CREATE TABLE"]
    path.write_text(body + "-- a later word\nDROP TABLE IF EXISTS c;\n")
    edited = release.read().migrations[0]
    assert edited.sha256 == first.sha256
    assert edited.sha256_raw != first.sha256_raw
    path.write_text(body.replace("b text", "c text"))
    assert release.read().migrations[0].sha256 != first.sha256


@pytest.mark.parametrize(
    ("head", "down"),
    [
        ("-- migrate:up transaction:false", "-- migrate:down"),
        ("-- +goose NO TRANSACTION\n-- +goose Up", "-- +goose Down"),
        ("-- +migrate Up notransaction", "-- +migrate Down"),
    ],
)
def test_their_marks_without_transaction_are_honoured(release: Release, head: str, down: str) -> None:
    path = release.add("001_a.sql", f"{head}\nINSERT INTO a VALUES (1);\n{down}\nSELECT 1;\nSELECT 2;\n".encode())
    [migration] = release.read().migrations
    assert release.findings() == []
    assert not migration.transactional
    assert not runs_alone(read_text(path, "a", "down"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("SELECT 1;\n-- migrate:up\nSELECT 2;\n", ":1: is before the first mark"),
        ("-- migrate:down\nSELECT 2;\n", ":1: has a down part, but no mark before"),
        ("-- migrate:up\nSELECT 2;\n-- +goose Down\nSELECT 1;\n", ":3: is a mark of another tool"),
        ("-- +goose ENVSUB ON\n-- +goose Up\nSELECT 2;\n", ":1: goose replaces environment variables"),
        ("-- migrate:up\nSELECT 1;\n-- migrate:down\nDROP TABEL a;\n", ":4: syntax error"),
    ],
)
def test_marks_that_cannot_be_followed_are_refused(release: Release, body: str, words: str) -> None:
    release.add("001_a.sql", body.encode())
    [finding] = release.findings()
    assert finding.startswith(f"files/migrations/001_a.sql{words}")


def test_a_file_of_comments_does_nothing_and_is_a_migration(release: Release) -> None:
    release.add("001_a.sql", "-- nothing\n/* at all */\n")
    assert release.findings() == []
    release.add("002_b.sql", b" \n")
    assert any(":1: contains no SQL statement" in finding for finding in release.findings())


def test_golang_migrate_pairs_by_version_and_its_words_are_no_header(release: Release) -> None:
    release.add("000001_a.up.sql", b"-- Depends on: 000_z.sql\nSELECT 1;\n")
    release.add("2_b.up.sql", b"-- Depends on: 001_a.sql\nSELECT 1;\n")
    release.add("1_other.down.sql", b"SELECT 1;\n")
    release.add("00002_c.go", b"package migrations\n")
    catalog = release.read()
    assert catalog.findings == []
    assert [(m.depends, m.rollback) for m in catalog.migrations] == [
        ((), "files/migrations/1_other.down.sql"),
        (("000001",), None),
    ]
    [warning] = catalog.warnings
    assert warning.startswith("files/migrations/00002_c.go: not SQL, so it is not applied.")
    release.add("01_third.down.sql", b"SELECT 1;\n")
    [finding] = release.findings()
    assert "both rollbacks of one version" in finding


def test_two_files_of_one_version_are_one_message(release: Release) -> None:
    release.add("V2__a.sql", UP, folder="migration")
    release.add("V2__b.sql", UP, folder="migration")
    release.add("V3__c.sql", UP, folder="migration")
    [finding] = release.findings()
    assert "V2__a.sql" in finding
    assert "V2__b.sql" in finding


def test_folders_in_the_folder_are_read_of_flyway_and_refused_of_others(release: Release) -> None:
    release.add("V1__a.sql", UP, folder="migration")
    release.add("V2__b.sql", UP, folder="migration/v2024")
    release.add("R__c.sql", b"SELECT 1;\n", folder="migration/views/all")
    catalog = release.read()
    assert catalog.findings == []
    assert [m.file for m in catalog.migrations] == ["files/migration/V1__a.sql", "files/migration/v2024/V2__b.sql"]
    assert [m.name for m in catalog.repeatable] == ["c"]


@pytest.mark.parametrize("first", ["000001_a.up.sql", "001_a.sql"])
def test_other_folders_in_the_folder_are_refused(release: Release, first: str) -> None:
    release.add(first)
    release.add("000002_b.up.sql", UP, folder="migrations/2024")
    [finding] = release.findings()
    assert finding.startswith("files/migrations/2024: is a folder with SQL files (000002_b.up.sql)")


def test_a_link_that_leads_nowhere_is_called_so(release: Release) -> None:
    path = release.add("001_a.sql")
    (path.parent / "002_b.sql").symlink_to("gone.sql")
    assert release.findings() == [
        "files/migrations/002_b.sql: is a broken link: gone.sql does not exist. Correct or remove it."
    ]


def test_what_is_wrong_with_many_files_is_said_once(release: Release) -> None:
    for number in range(1, 201):
        release.add(f"{number:03d}_a.sql", b"SELECT 1;\n")
    [finding] = release.findings()
    assert "in 200 files from this one to files/migrations/200_a.sql" in finding
    assert "migrations_header_required=false" in finding
    for number in range(1, 201):
        release.add(f"{number:03d}_a.sql", "COMMIT;\n")
    [finding] = release.findings()
    assert finding.endswith("The same in 199 more, up to files/migrations/200_a.sql:5.")
