"""The count of survived faults counts rows of the matrix, and no row with a test that failed."""

from __future__ import annotations

from types import SimpleNamespace

from tests.conftest import survived


def reports(*rows: object) -> list[SimpleNamespace]:
    return [SimpleNamespace(user_properties=[("fault", row)]) for row in rows] + [SimpleNamespace(user_properties=[])]


def test_a_row_is_survived_when_all_its_tests_passed() -> None:
    tried, held = survived(
        {"passed": reports(1, 2, 2, 3), "failed": reports(2), "error": reports(4), "skipped": reports(5)}
    )
    assert tried == {1, 2, 3, 4}
    assert held == {1, 3}
