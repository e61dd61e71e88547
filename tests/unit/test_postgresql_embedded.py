"""The module postgresql_embedded where it needs no server: check mode, refusals, removal of what is ours only."""

from __future__ import annotations

import importlib
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible_collections.physioflow.database.plugins.module_utils.embedded.files import EmbeddedError
from ansible_collections.physioflow.database.plugins.module_utils.embedded.layout import Marker

ROLE = Path(__file__).resolve().parents[2] / "roles" / "postgresql_embedded"
module: Any = importlib.import_module("ansible_collections.physioflow.database.plugins.modules.postgresql_embedded")


def asked(directory: Path, *, check_mode: bool = False, **others: Any) -> Any:
    """Return what stands for the AnsibleModule of a run."""
    pins = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__postgresql_embedded_packages"]
    known = {
        "directory": str(directory), "cache_directory": str(directory.parent / "cache"), "port": 0, "database": "emr",
        "role": "", "settings": {}, "user": "physioflow-none", "root_directory": "/var/lib/physioflow",
        "major": 16, "packages": pins, "timeout": 5,
    }  # fmt: skip
    return SimpleNamespace(params=known | others, check_mode=check_mode, _diff=True, warn=pytest.fail)


def test_check_mode_on_nothing_tells_the_acts_and_touches_nothing(tmp_path: Path) -> None:
    result = module.started(asked(tmp_path / "s", check_mode=True))
    assert result["changed"] is True
    assert result["connection"] == {}
    assert result["actions"][0] == "unpack PostgreSQL"
    assert "start the server" in result["actions"]
    assert "port = " in "".join(part["after"] for part in result["diff"])
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(EmbeddedError, match=f"Port {port} is taken"):
            module.started(asked(tmp_path / "s", port=port))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"packages": {}}, "no embedded PostgreSQL for this machine"),
        ({"port": 80}, "Port 80 cannot be used"),
        ({"database": "Emr"}, "correct postgresql_embedded_database"),
        ({"settings": {"port": 1}}, "set by postgresql_embedded_port"),
        ({"root_directory": "x"}, "set postgresql_embedded_root_directory"),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(tmp_path: Path, others: dict[str, Any], message: str) -> None:
    with pytest.raises(EmbeddedError, match=message):
        module.started(asked(tmp_path / "s", **others))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_our_marker_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "pgpass").touch()
    assert module.absent(asked(tmp_path))["changed"] is False
    assert len(list(tmp_path.iterdir())) == 2


def test_removing_takes_what_is_ours_and_leaves_the_rest(tmp_path: Path) -> None:
    directory = tmp_path / "s"
    (directory / "server" / "data").mkdir(parents=True)
    (directory / "mine.txt").touch()
    Marker(str(directory), str(directory / "server"), 5999, False).write(directory)
    for check_mode in (True, False):
        result = module.absent(asked(directory, check_mode=check_mode))
        assert result["folders"] == [str(directory / "server"), str(directory / ".physioflow-embedded.json")]
        assert result["size"] > 0
    assert [entry.name for entry in directory.iterdir()] == ["mine.txt"]
    assert module.absent(asked(directory))["changed"] is False


def test_a_home_elsewhere_is_removed_only_where_it_names_this_folder(tmp_path: Path) -> None:
    directory, home, other = tmp_path / "s", tmp_path / "home", tmp_path / "other"
    for path in (directory, home, other):
        path.mkdir()
    marker = Marker(str(directory), str(home), 5999, False)
    marker.write(directory)
    replace(marker, directory=str(other)).write(home)
    with pytest.raises(EmbeddedError, match="is a copy of"):
        module.absent(asked(directory))
    assert home.is_dir()
    marker.write(home)
    module.absent(asked(directory))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["other"]
