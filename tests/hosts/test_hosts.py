"""What the hosts are made of, as far as it needs no Docker."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest

from tests.hosts import engine, hosts, images, repository
from tests.hosts.system import HostsError, Process, need


def test_an_image_is_named_by_its_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = images.name("12")
    assert re.fullmatch(r"physioflow-debian:12-[0-9a-f]{12}", before)
    assert images.name("13") != before.replace(":12", ":13")
    monkeypatch.setattr(images, "PACKAGES", [*images.PACKAGES, "another"])
    assert images.name("12") != before


def test_the_repository_vouches_for_its_packages(tmp_path: Path) -> None:
    (tmp_path / "a.deb").write_bytes(b"a")
    lists = repository.index([{"Package": "a", "Filename": "a.deb"}], tmp_path)
    assert lists == f"Package: a\nFilename: a.deb\nSize: 1\nSHA256: {hashlib.sha256(b'a').hexdigest()}\n"
    text = repository.release("bookworm-pgdg", "amd64", {"main/binary-amd64/Packages": lists.encode()})
    assert f"\n {hashlib.sha256(lists.encode()).hexdigest()} {len(lists)} main/binary-amd64/Packages\n" in text


def test_a_process_is_ended_only_while_it_is_the_one_that_was_started() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = Process.of(child.pid)
        Process(child.pid, "another").end()
        assert process.alive
        process.end()
        assert not process.alive


def test_no_engine_is_put_where_a_person_named_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(HostsError, match=r"no Docker engine answers at DOCKER_HOST=tcp://127\.0\.0\.1:1; start it"):
        engine.ensure()


def test_who_is_not_root_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(docker, "from_env", _nothing)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    with pytest.raises(HostsError, match=r"only by root on Debian; start Docker"):
        engine.ensure()
    with pytest.raises(HostsError, match="no-such-program is missing"):
        need("no-such-program", "no-such-package")


def _nothing() -> None:
    raise docker.errors.DockerException("no engine")


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Hosts of another checkout, as it were, on the engine of this one."""
    assert variables
    for name in ("ENVIRONMENT", "STATE", "STATE_FILE", "VARIABLES", "KEPT", "USERS"):
        monkeypatch.setattr(hosts, name, tmp_path / name.lower())
    monkeypatch.setattr(hosts, "STATE", tmp_path)


def are_up() -> bool:
    alive = {process.alive for process in hosts.processes().values()}
    assert len(alive) <= 1, "some run and some do not"
    there = hosts.ENVIRONMENT.exists()
    assert alive in ({there}, set())  # none where PGDG answers
    return there


@pytest.mark.usefixtures("apart")
def test_of_two_sessions_the_last_to_end_ends_the_hosts() -> None:
    with ExitStack() as longer:
        with hosts.session() as first:
            assert longer.enter_context(hosts.session()) == first
        assert are_up()
    assert not are_up()


@pytest.mark.usefixtures("apart")
def test_what_a_person_has_up_stays_until_down() -> None:
    hosts.up()
    with hosts.session():
        pass
    assert are_up()
    with hosts.session():
        assert hosts.down() == ["tests run; what was started goes when they end"]
        assert are_up()
    assert not are_up()
    assert hosts.down() == ["nothing of ours ran"]
