"""The embedded server's pure parts: checks of input, the texts of PostgreSQL's files, the plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.embedded.checks import (
    check_data,
    check_folder,
    check_name,
    check_path,
    check_port,
)
from ansible_collections.physioflow.database.plugins.module_utils.embedded.files import MARKER, EmbeddedError
from ansible_collections.physioflow.database.plugins.module_utils.embedded.look import ACTIONS, Found, plan
from ansible_collections.physioflow.database.plugins.module_utils.embedded.server import log_excerpt
from ansible_collections.physioflow.database.plugins.module_utils.embedded.settings import (
    HBA_TEXT,
    passfile_text,
    read_passfile,
    service_text,
    setting_values,
    settings_text,
)

READY = Found(*[True] * 8)
NOTHING = Found(*[False] * 8)


def text_of(port: int = 5999, **overrides: Any) -> str:
    return str(settings_text(setting_values(port, Path("/l"), overrides)))


@pytest.mark.parametrize("port", [0, 1024, 5432, 65535])
def test_a_usable_port_is_accepted(port: int) -> None:
    check_port(port)


@pytest.mark.parametrize("port", [-1, 1, 80, 1023, 65536, 70000])
def test_an_unusable_port_is_refused_by_its_number(port: int) -> None:
    with pytest.raises(
        EmbeddedError, match=f"Port {port} cannot be used.*nothing was changed.*postgresql_embedded_port"
    ):
        check_port(port)


@pytest.mark.parametrize("name", ["emr", "_x", "a" * 63, "emr_2"])
def test_a_plain_name_is_accepted(name: str) -> None:
    check_name(name, "v")


@pytest.mark.parametrize(
    "name", ["", "Emr", "1a", "a" * 64, "a=b", "-a", 'x"; DROP DATABASE emr;--', "emr\n", "đ", "{{ x }}"]
)
def test_another_name_is_refused_with_its_variable(name: str) -> None:
    with pytest.raises(EmbeddedError, match="correct postgresql_embedded_role"):
        check_name(name, "postgresql_embedded_role")


@pytest.mark.parametrize("path", ["relative", "", "/a$b", '/a"b', "/a`b", "/a\\b", "/a\nb", "/a'b"])
def test_a_folder_that_breaks_programs_is_refused(path: str) -> None:
    with pytest.raises(EmbeddedError, match="nothing was changed; set v to another folder"):
        check_path(path, "v")


@pytest.mark.parametrize("path", ["/a", "/srv/phòng khám/x y", "/a-b_c.d"])
def test_a_folder_with_spaces_and_vietnamese_letters_is_accepted(path: str) -> None:
    check_path(path, "v")


def test_a_new_an_empty_and_our_folder_are_accepted(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b")
    (tmp_path / f"{MARKER}x").touch()  # what a killed run left
    check_folder(tmp_path)
    (tmp_path / "x").touch()
    (tmp_path / MARKER).touch()
    check_folder(tmp_path)


def test_a_file_or_somebody_elses_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    for place in (tmp_path / "x", tmp_path / "x" / "y"):
        with pytest.raises(EmbeddedError, match="is not a folder"):
            check_folder(place)
    with pytest.raises(EmbeddedError, match=r"not empty and was not created by this role.*'x'"):
        check_folder(tmp_path)


def test_an_unwritable_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    with pytest.raises(EmbeddedError, match="cannot be written by this user"):
        check_folder(tmp_path / "x")


def test_a_server_that_another_user_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / MARKER).touch()
    monkeypatch.setattr("os.geteuid", lambda: 4711)
    with pytest.raises(EmbeddedError, match=r"this run has the uid 4711.*nothing was changed"):
        check_folder(tmp_path)


def test_data_of_this_major_version_is_used_and_missing_data_is_made(tmp_path: Path) -> None:
    assert check_data(tmp_path / "none", 16) is False
    (tmp_path / "PG_VERSION").write_text("16\n", encoding="ascii")
    assert check_data(tmp_path, 16) is True


@pytest.mark.parametrize("version", ["15", "17", "9.6"])
def test_data_of_another_major_version_is_refused(tmp_path: Path, version: str) -> None:
    (tmp_path / "PG_VERSION").write_text(f"{version}\n", encoding="ascii")
    with pytest.raises(EmbeddedError, match=f"PostgreSQL {version}, and this release needs 16"):
        check_data(tmp_path, 16)


@pytest.mark.parametrize("content", [None, "", "rubbish"])
def test_damaged_data_is_refused_and_never_made_anew(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "PG_VERSION").write_text(content, encoding="ascii")
    with pytest.raises(EmbeddedError, match="not a complete PostgreSQL data folder"):
        check_data(tmp_path, 16)


@pytest.mark.parametrize(
    ("value", "literal"),
    [(True, "on"), (False, "off"), (3, "3"), (0.5, "0.5"), ("8MB", "'8MB'"), ("it's \\", "'it''s \\\\'"), ("", "''")],
)
def test_a_setting_is_quoted(value: object, literal: str) -> None:
    assert f"x = {literal}" in text_of(x=value).splitlines()


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", None, ["a"], {"a": 1}])
def test_a_setting_that_is_not_one_line_is_refused(value: object) -> None:
    with pytest.raises(EmbeddedError, match="setting x has a value"):
        text_of(x=value)


def test_settings_of_the_user_win_and_the_rest_stays() -> None:
    lines = text_of(work_mem="8MB", log_timezone="Asia/Ho_Chi_Minh").splitlines()
    assert {
        "work_mem = '8MB'",
        "log_timezone = 'Asia/Ho_Chi_Minh'",
        "port = 5999",
        "listen_addresses = '127.0.0.1'",
        "log_parameter_max_length = 0",
        "log_parameter_max_length_on_error = 0",
    } <= set(lines)
    assert lines[1:] == sorted(lines[1:])


@pytest.mark.parametrize("name", ["port", "data_directory", "hba_file", "log_directory"])
def test_a_setting_with_its_own_variable_is_refused(name: str) -> None:
    with pytest.raises(EmbeddedError, match=f"{name} is set by postgresql_embedded_"):
        setting_values(5999, Path("/l"), {name: "x"})


@pytest.mark.parametrize("name", ["Work_Mem", "a b", "x = 1\ny", "", "a.b.c", 1])
def test_something_else_than_a_setting_name_is_refused(name: Any) -> None:
    with pytest.raises(EmbeddedError, match="is not the name of a server setting"):
        setting_values(5999, Path("/l"), {name: "x"})


def test_every_rule_of_the_hba_file_is_scram_on_loopback() -> None:
    rules = [line.split() for line in HBA_TEXT.splitlines() if not line.startswith("#")]
    assert [(rule[0], rule[3], rule[4]) for rule in rules] == [
        ("host", "127.0.0.1/32", "scram-sha-256"),
        ("host", "::1/128", "scram-sha-256"),
    ]


def test_a_password_survives_the_password_file() -> None:
    assert passfile_text(5999, "aB-_9") == "127.0.0.1:5999:*:postgres:aB-_9\n"
    assert read_passfile(passfile_text(5999, "aB-_9")) == (5999, "aB-_9")


@pytest.mark.parametrize("text", ["", "localhost:1:*:postgres:x\n", "127.0.0.1:1:*:postgres:\n", "127.0.0.1:1:*:me:x"])
def test_a_password_file_without_our_line_counts_as_lost(text: str) -> None:
    assert read_passfile(text) is None


def test_the_service_file_holds_no_password_and_the_role_only_when_set() -> None:
    assert service_text(5999, "emr", "emr", Path("/d/pgpass")).splitlines()[1:] == [
        "[physioflow]",
        "host=127.0.0.1",
        "port=5999",
        "user=postgres",
        "dbname=emr",
        "passfile=/d/pgpass",
        "options=-crole=emr",
    ]
    assert "options" not in service_text(5999, "emr", "", Path("/d/pgpass"))


@pytest.mark.parametrize(
    ("found", "acts"),
    [
        (READY, []),
        (NOTHING, ["unpack", "initialise", "link", "configure", "start", "write"]),
        (replace(READY, running=False, current=False), ["start"]),
        (replace(READY, settings=False), ["configure", "reload"]),
        (replace(READY, settings=False, files=False), ["configure", "write", "reload"]),
        (replace(READY, files=False), ["write"]),
        (replace(READY, links=False), ["link"]),
        (replace(READY, files=False, settings=False, current=False), ["configure", "restart", "write"]),
        (replace(READY, software=False, links=False, current=False), ["unpack", "link", "restart"]),
        (replace(READY, password=False, files=False), ["password", "start", "write"]),
    ],
)
def test_no_more_is_done_than_needed(found: Found, acts: list[str]) -> None:
    assert plan(found) == acts
    assert set(acts) <= set(ACTIONS)


def test_the_log_lines_that_matter_are_chosen() -> None:
    assert (
        log_excerpt("x LOG:  starting\n\nx FATAL:  no map\nx HINT:  less\nx LOG:  shut")
        == "x FATAL:  no map\nx HINT:  less"
    )
    assert log_excerpt("a\nb") == "a\nb"
