# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Translates English sentences by a table of patterns. Pure; runs on the controller."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

NAME = re.compile(r"\{(\w+)\}")
# The text that a placeholder matches, by the beginning of its name; any other placeholder matches any text.
FITS = {
    "number": r"[\d.,]+(?: [kMGT]?B)?",  # a size, too
    "day": r"\d{4}-\d\d-\d\d",
    "time": r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?",  # UTC
}


class Sentences:
    """A table of sentences.

    Attributes:
        used: the English patterns that have matched so far.
    """

    def __init__(self, table: Sequence[Mapping[str, str]], write: Mapping[str, Callable[[str], str]]) -> None:
        """Compile a table.

        Args:
            table: patterns, each as {en, vi}; the first match counts.
            write: the format of each of FITS in the other language.
        """
        self._patterns = [(_pattern(entry["en"]), entry["en"], entry["vi"]) for entry in table]
        self._write = write
        self.used: set[str] = set()

    def say(self, text: str) -> str | None:
        """Return a sentence in the other language, including its known parts; None where no pattern matches."""
        for pattern, english, other in self._patterns:
            if found := pattern.fullmatch(text):
                self.used.add(english)
                return other.format(**{name: self._part(name, part) for name, part in found.groupdict().items()})
        return None

    def _part(self, name: str, part: str) -> str:
        kind = _kind(name)
        return self._write[kind](part) if kind else self.say(part) or part


def _kind(name: str) -> str:
    return next((kind for kind in FITS if name.startswith(kind)), "")


def _pattern(english: str) -> re.Pattern[str]:
    """Return the regular expression of a sentence; placeholders for any text match as little as possible."""
    texts = NAME.split(english)  # text, name, text, name, text
    parts = [
        f"(?P<{text}>{FITS.get(_kind(text), '.+?')})" if place % 2 else re.escape(text)
        for place, text in enumerate(texts)
    ]
    return re.compile("".join(parts), re.DOTALL)
