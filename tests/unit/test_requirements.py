"""The collections that the pinned Python package `ansible` brings satisfy requirements.yml."""

from __future__ import annotations

import importlib
import json
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
