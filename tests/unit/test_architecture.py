"""ARCHITECTURE.md leads to files that are there."""

from __future__ import annotations

import re

import pytest

from tests.local import ROOT

TEXT = (ROOT / "ARCHITECTURE.md").read_text()
PLACES = sorted({place for place in re.findall(r"`([^`\s]+/[^`\s]*)`", TEXT) if "NAME" not in place})


def test_there_are_places() -> None:
    assert len(PLACES) > 20


@pytest.mark.parametrize("place", PLACES)
def test_each_place_is_there(place: str) -> None:
    assert list(ROOT.glob(place)), place
