# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Formats the findings of one database for the terminal: 100 columns, of which Ansible uses eight to indent them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from .findings import FAIL, OK, WARN, Finding

WIDTH = 92
MARKS = {OK: "", WARN: "WARN", FAIL: "FAIL"}
INDENT = " " * 20


def screen(title: str, found: Sequence[Finding]) -> list[str]:
    """Return the lines to show.

    Args:
        title: name of the database, and the time.
        found: the findings in the order of the screen.
    """
    counts = [(sum(finding.level == level for finding in found), level) for level in (FAIL, WARN)]
    words = [f"{number} {MARKS[level]}" for number, level in counts if number]
    head = _wrapped(f"{title}: {', '.join(words) or 'all is well'}", "")
    return [*head, *(line for entry in found for line in _lines(entry))]


def _lines(finding: Finding) -> Iterator[str]:
    head = f"{MARKS[finding.level]:4} {finding.matter:15}"
    yield from _wrapped(finding.text, head)
    for line in finding.more:
        yield from _wrapped(line, INDENT)
    if finding.next:
        yield from _wrapped(f"next: {finding.next}", INDENT)


def _wrapped(text: str, head: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=INDENT, break_on_hyphens=False)
