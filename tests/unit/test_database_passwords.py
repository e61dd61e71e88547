"""The role database: which passwords are refused, and that no message holds one."""

from __future__ import annotations

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.database.passwords import password_problems

NAMES = ["physioflow", "emr", "emr_app"]
GOOD = {"owner": "rTz0bq/8Yw+N2kLs4Vd", "app": "đi chợ mua cá kho tộ", "readonly": "correct horse battery staple"}


def test_good_passwords_pass() -> None:
    assert password_problems(GOOD, NAMES) == []


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "is empty"),
        ("emr_app", "the name of a role"),
        ("PhysioFlow", "the name of a role"),
        ("replace-me", "consists of common words"),
        ("Password-Physioflow-2026", "consists of common words"),
        ("changeme changeme 1234", "consists of common words"),
        ("kD7z!qWm3xR0bn", "shorter than 15 characters"),
        ("ababababababababab", "fewer than 5 different characters"),
    ],
)
def test_a_password_that_could_be_guessed_is_refused(password: str, words: str) -> None:
    (problem,) = password_problems(GOOD | {"app": password}, NAMES)
    assert problem.startswith("The password of app ")
    assert words in problem
    assert not password or password not in problem.replace("password", "")


def test_two_roles_do_not_share_one() -> None:
    (problem,) = password_problems(GOOD | {"app": GOOD["owner"]}, NAMES)
    assert problem.startswith("The passwords of owner, app are the same")
