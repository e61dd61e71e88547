"""ARCHITECTURE.md leads to files that are there."""

from __future__ import annotations

import re

from tests.local import ROOT

TEXT = (ROOT / "ARCHITECTURE.md").read_text()
PLACES = sorted({place for place in re.findall(r"`([^`\s]+/[^`\s]*)`", TEXT) if "NAME" not in place})


def test_each_place_is_there() -> None:
    assert len(PLACES) > 20
    assert [place for place in PLACES if not list(ROOT.glob(place))] == []
