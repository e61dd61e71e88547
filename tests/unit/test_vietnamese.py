"""The Vietnamese pages say the commands of the English ones."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

from tests.local import ROOT

ENGLISH = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
START = ROOT / "README.vi.md"
NAMES = ("deploy", "back-up-and-restore", "point-in-time", "status", "troubleshooting", "security")
PAGES = [START, *sorted((ROOT / "docs/vi").glob("*.md"))]
BLOCK = re.compile(r"^ {4,}(.+)$", re.MULTILINE)
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def read(page: Path) -> str:
    """Return a page with each command on one line."""
    return re.sub(r" \\\n +", " ", page.read_text(encoding="utf-8"))


def lines(text: str) -> list[str]:
    """Return the lines of the indented blocks, without what a comment says."""
    found = (re.sub(r" +# .*", "", f" {line}").strip() for line in BLOCK.findall(text))
    return [line for line in found if line]


def inline(text: str) -> list[str]:
    """Return what stands between backticks outside of the blocks."""
    return [" ".join(words.split()) for words in INLINE.findall(BLOCK.sub("", text))]


def test_the_pages_are_there_and_the_first_one_leads_to_them() -> None:
    assert [page.stem for page in PAGES[1:]] == sorted(NAMES)
    assert {f"docs/vi/{name}.md" for name in NAMES} <= set(LINK.findall(START.read_text(encoding="utf-8")))
    assert START.name in LINK.findall(ENGLISH[0].read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_line_of_a_block_is_one_of_an_english_page(page: Path) -> None:
    english = {line for one in ENGLISH for text in [read(one)] for line in (*lines(text), *inline(text))}
    shown = lines(read(page))
    assert any(line.startswith(("make ", "ansible-playbook ")) for line in shown)
    assert [line for line in shown if line not in english] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_quotation_is_one_of_an_english_page_or_of_the_status_screen(page: Path) -> None:
    sources = [*ENGLISH, ROOT / "plugins/module_utils/status/screen.py"]
    english = " ".join(" ".join(source.read_text(encoding="utf-8").split()) for source in sources)
    quoted = inline(read(page))
    assert quoted
    assert [words for words in quoted if words not in english] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_page_is_composed_and_vietnamese(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert unicodedata.is_normalized("NFC", text)
    assert re.search("[ạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]", text)
