"""What takes long is begun first, by every worker."""

from __future__ import annotations

import pytest

from tests.conftest import spread


@pytest.mark.parametrize(
    ("items", "workers", "wanted"),
    [
        ("aBcD", 1, "BDac"),
        ("aaaaBbbbC", 2, "BaaaCabbb"),
        ("aaBCaaDaaa", 3, "BaaCaaDaaa"),
        ("aaaaaaBC", 4, "BaCaaaaa"),
        ("ABC", 2, "ACB"),
        ("abc", 2, "abc"),
        ("A", 2, "A"),
        ("", 2, ""),
    ],
)
def test_each_share_begins_with_its_long_ones_and_the_rest_keeps_its_order(
    items: str, workers: int, wanted: str
) -> None:
    assert "".join(spread(list(items), str.isupper, workers)) == wanted
