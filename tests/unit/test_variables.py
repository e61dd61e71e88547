"""Every variable that a role has is used, said to be of use, or hands on another one."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.local import ROOT, known_files

# Where somebody who needs a variable would meet it.
PLACES = re.compile(r"(inventories|molecule|playbooks|tests|docs|\.config)/|(roles/\w+/)?README\.md$")
VARIABLES = {
    name: value
    for path in sorted(ROOT.glob("roles/*/defaults/main.yml"))
    for name, value in (yaml.safe_load(path.read_text()) or {}).items()
}


@pytest.fixture(scope="module")
def words() -> set[str]:
    """All words of those places, but of this file."""
    names = [name for name in known_files(new=False) if PLACES.match(name) and not name.endswith("test_variables.py")]
    paths = [ROOT / name for name in names]
    return set(re.findall(r"\w+", "\n".join(path.read_text(errors="ignore") for path in paths if path.is_file())))


def test_no_variable_is_there_for_nobody(words: set[str]) -> None:
    assert len(VARIABLES) > 100
    handed_on = {name for name, value in VARIABLES.items() if "{{" in str(value)}
    assert sorted(set(VARIABLES) - words - handed_on) == []
