"""What is said of requirements in several files is the same: packages, collections, execution environment."""

from __future__ import annotations

import importlib
import json
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from tests.local import ROOT

COLLECTIONS = yaml.safe_load((ROOT / "requirements.yml").read_text())["collections"]


def test_there_are_requirements() -> None:
    assert "community.postgresql" in [collection["name"] for collection in COLLECTIONS]


@pytest.mark.parametrize("collection", COLLECTIONS, ids=lambda collection: collection["name"])
def test_the_collection_is_in_the_range(collection: dict[str, str]) -> None:
    folder = Path(next(iter(importlib.import_module(f"ansible_collections.{collection['name']}").__path__)))
    version = json.loads((folder / "MANIFEST.json").read_text())["collection_info"]["version"]
    assert version in SpecifierSet(collection["version"])


def test_a_collection_that_is_installed_asks_for_the_same() -> None:
    ranges = {collection["name"]: collection["version"] for collection in COLLECTIONS}
    asked = yaml.safe_load((ROOT / "galaxy.yml").read_text())["dependencies"]
    assert asked.items() <= ranges.items()


def test_the_execution_environment_has_the_packages_of_the_controller() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {each for each in project["dependencies"] if not each.startswith("ansible")}
    image = yaml.safe_load((ROOT / "execution-environment.yml").read_text())
    assert wanted == set(image["dependencies"]["python"])
    assert (ROOT / image["dependencies"]["galaxy"]).samefile(ROOT / "requirements.yml")


def test_the_modules_that_take_a_connection_share_their_defaults() -> None:
    group = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]["all"]
    modules = sorted((ROOT / "plugins/modules").glob("*.py"))
    assert group == [path.stem for path in modules if "- physioflow.database.connection" in path.read_text()]
