"""Faults of a host on which nothing could be installed yet: what is refused, and why. A test leaves it as it was."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import from_env

from tests.hosts.engine import bridge_address
from tests.hosts.host import Host, made, refused
from tests.local import VERSIONS

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("bare")]


@pytest.fixture(scope="module")
def bare(request: pytest.FixtureRequest, variables: dict[str, str], tmp_path_factory: Any) -> Iterator[Host]:
    """A host without PostgreSQL: Debian 13, or what a test names."""
    with made(tmp_path_factory.mktemp("bare"), variables, getattr(request, "param", "13")) as host:
        yield host
        assert host.run("ls -d /usr/lib/postgresql /var/lib/postgresql 2>/dev/null", check=False) == ""


# gpgv reads signatures on Debian 12, sqv on 13.
each_debian = pytest.mark.parametrize("bare", ["12", "13"], indirect=True, scope="module")


@pytest.mark.fault(61)
def test_a_mirror_out_of_reach_is_named(bare: Host) -> None:
    result = bare.deploy(postgresql_repository_url="http://127.0.0.1:9/pgdg")
    refused(result, "The host cannot fetch packages from http://127.0.0.1:9/pgdg without a proxy (postgresql_proxy")
    result = bare.deploy(postgresql_proxy="http://127.0.0.1:9")
    refused(result, "through the proxy http://127.0.0.1:9")


def gpg(home: Path, *arguments: str | Path, now: str = "") -> str:
    """Run gpg with a folder of its own, and at another time."""
    home.mkdir(mode=0o700, exist_ok=True)
    options = ["--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback", "--armor"]
    clock = ["--faked-system-time", f"{now}!"] if now else []
    command = ["gpg", "--homedir", home, *options, *clock, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def gpg_home() -> Iterator[Path]:
    """A folder for keys."""
    home = Path("/tmp") / f"gpg-{uuid.uuid4().hex[:8]}"  # not below pytest's: the agent's socket needs a short path
    yield home
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
    shutil.rmtree(home, ignore_errors=True)


@each_debian
@pytest.mark.control("S25")
@pytest.mark.fault(62)
def test_another_key_installs_nothing(bare: Host, gpg_home: Path) -> None:
    gpg(gpg_home, "--quick-generate-key", "Somebody else", "ed25519", "sign", "never")
    result = bare.deploy(postgresql_repository_key=gpg(gpg_home, "--export"))
    refused(result, "it is not signed with the required key", "Correct postgresql_repository_key")


@each_debian
@pytest.mark.control("S25")
@pytest.mark.fault(62)
def test_an_expired_key_installs_nothing(bare: Host, gpg_home: Path, tmp_path: Path) -> None:
    codename = bare.run(". /etc/os-release; echo $VERSION_CODENAME")
    place = tmp_path / "dists" / f"{codename}-pgdg"
    (place / "main/binary-amd64").mkdir(parents=True)
    (place / "main/binary-amd64/Packages").write_text("")
    now = time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime())
    release = f"Suite: {codename}-pgdg\nCodename: {codename}-pgdg\nDate: {now}\nComponents: main\n"
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (place / "Release").write_text(f"{release}Architectures: amd64\nSHA256:\n {empty} 0 main/binary-amd64/Packages\n")
    # Signed now, with a key that ended long ago: gpg itself would not, so the end is set afterwards, as of then.
    gpg(gpg_home, "--quick-generate-key", "Somebody", "ed25519", "sign", "never", now="20200101T000000")
    gpg(gpg_home, "--clearsign", "--output", place / "InRelease", place / "Release")
    fingerprint = gpg(gpg_home, "--with-colons", "--list-keys").split("\nfpr:")[1].split("\n")[0].strip(":")
    gpg(gpg_home, "--quick-set-expire", fingerprint, "1d", now="20200102T000000")
    key = gpg(gpg_home, "--export")
    bridge = bridge_address(from_env())
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer((bridge, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        result = bare.deploy(
            postgresql_repository_url=f"http://{bridge}:{server.server_port}", postgresql_repository_key=key
        )
        server.shutdown()
    refused(result, "it is not signed with the required key", "Correct postgresql_repository_key")


@pytest.mark.fault(64)
def test_a_lock_of_apt_is_waited_for_and_its_holder_named(bare: Host) -> None:
    holder = (
        "import fcntl\n"
        "files = [open(path, 'w') for path in ('/var/lib/dpkg/lock-frontend', '/var/lib/apt/lists/lock')]\n"
        "[fcntl.lockf(file, fcntl.LOCK_EX) for file in files]\n"
    )
    with bare.background(holder) as pid:
        result = bare.deploy(postgresql_apt_lock_timeout=3)
    refused(
        result,
        f"apt is locked by pid {pid} (/usr/bin/python3",
        "this run waited 3 s for it",
        "Wait until that process ends",
    )


@pytest.mark.fault(63)
def test_a_package_installed_by_half_is_told_with_its_repair(bare: Host) -> None:
    bare.run(
        "mkdir -p /root/half/DEBIAN && cd /root/half && printf 'Package: half\\nVersion: 1\\nArchitecture: all\\n"
        "Maintainer: x <x@example.org>\\nDescription: x\\n' > DEBIAN/control && printf '#!/bin/sh\\nexit 1\\n' >"
        " DEBIAN/postinst && chmod 755 DEBIAN/postinst && dpkg-deb -b . /root/half.deb"
    )
    bare.run("dpkg -i /root/half.deb", check=False)
    try:
        refused(
            bare.deploy(),
            "half-installed packages",
            "dpkg --configure -a && apt-get install --fix-broken",
            "Nothing was",
        )
    finally:
        bare.run("dpkg --purge --force-all half; rm -r /root/half*")


@pytest.mark.fault(66)
def test_a_port_that_is_taken_is_named_with_its_holder(bare: Host) -> None:
    holder = "import socket\nserver = socket.create_server(('127.0.0.1', 5432))\n"
    with bare.background(holder) as pid:
        result = bare.deploy()
    refused(result, f"Port 5432 is taken by pid {pid} (/usr/bin/python3", "set postgresql_port", "Nothing was changed")
    assert result.changed == 0


def test_a_locale_that_the_host_does_not_have_is_told(bare: Host) -> None:
    result = bare.deploy(postgresql_locale="vi_VN.UTF-8")
    refused(result, "does not have the locale vi_VN.UTF-8", "localedef -i vi_VN -f UTF-8 vi_VN.UTF-8")
    assert result.changed == 0


@pytest.mark.fault(72)
def test_a_read_only_file_system_is_told(variables: dict[str, str], tmp_path: Path) -> None:
    with made(tmp_path, variables, "12", "--read-only") as host:
        result = host.deploy()
    refused(result, "/etc, /usr, /var cannot be written", "mount -o remount,rw /")
    assert result.changed == 0


def test_check_mode_passes_on_a_bare_host_and_touches_nothing(bare: Host) -> None:
    seen = "find /etc /var/lib/apt /usr/lib -newer /run/mark -not -type d"
    bare.run("touch /run/mark && sleep 1")
    result = bare.deploy("--check", "--diff")
    assert result.status == 0, result.output
    assert f"{len(VERSIONS)} pending" in result.output
    assert "+shared_buffers = '128MB'" in result.output
    assert bare.run(seen) == ""
    assert not (bare.folder / ".tls").exists()
