# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the page shows of what was read, and how a language writes it. All functions are pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import groupby
from typing import Any

from markupsafe import Markup

Act = Mapping[str, Any]
LEVELS = ("ok", "warn", "fail")
KILO = 1000
DAY = 86400  # seconds
# Of a span: name of the unit in the words, its seconds, and until how many seconds it is taken.
SPANS = (("seconds", 1, 120), ("minutes", 60, 7200), ("hours", 3600, 2 * DAY), ("days", DAY, float("inf")))


@dataclass(frozen=True)
class Run:
    """One run of Ansible that changed the history.

    Attributes:
        at: ISO 8601 in UTC.
        acts: of the run, in order.
        counts: how many acts of each kind.
        ms: milliseconds that their files took.
    """

    at: str
    operator: str
    controller: str
    release: str
    acts: tuple[Act, ...]
    counts: Mapping[str, int]
    ms: float


def runs(acts: Sequence[Act]) -> list[Run]:
    """Return the runs of a history, the newest first; `start` is no act of its own once the file ended."""
    found = []
    for _, group in groupby(acts, key=lambda act: act["run"]):
        of_run = tuple(group)
        ended = {(act["version"], act["name"]) for act in of_run if act["act"] != "start"}
        shown = tuple(act for act in of_run if act["act"] != "start" or (act["version"], act["name"]) not in ended)
        first = of_run[0]
        counts = {kind: sum(act["act"] == kind for act in shown) for kind in dict.fromkeys(act["act"] for act in shown)}
        found.append(
            Run(
                at=first["at"],
                operator=first["operator"],
                controller=first["controller"],
                release=first["release"],
                acts=shown,
                counts=counts,
                ms=sum(act["ms"] for act in shown),
            )
        )
    return found[::-1]


def durations(acts: Sequence[Act]) -> list[Act]:
    """Return the act that applied each migration that stands, by version."""
    applied: dict[str, Act] = {}
    for act in acts:
        if act["act"] == "apply":
            applied[act["version"]] = act
        elif act["act"] == "rollback":
            applied.pop(act["version"], None)
    return sorted(applied.values(), key=lambda act: [int(part) for part in act["version"].replace("_", ".").split(".")])


def levels(findings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the worst level of each matter of the status screen."""
    found: dict[str, str] = {}
    for finding in findings:
        matter = finding["matter"]
        found[matter] = max(found.get(matter, "ok"), finding["level"], key=LEVELS.index)
    return found


def seconds_between(earlier: str, later: str) -> float:
    """Return the seconds from one moment (ISO 8601) to another."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def stamp(moment: str) -> float:
    """Return a moment (ISO 8601) in seconds since 1970."""
    return datetime.fromisoformat(moment).timestamp()


def last_day(after: str) -> date:
    """Return the last day of a partition from the first one that is not in it any more."""
    return date.fromisoformat(after) - timedelta(days=1)


@dataclass(frozen=True)
class Format:
    """How a language writes numbers, sizes and times.

    Attributes:
        words: those of the language.
        zone: in which times are given.
        comma: the decimal sign; the other one stands between thousands.
    """

    words: Mapping[str, str]
    zone: tzinfo = UTC
    comma: bool = False

    def plain(self, value: float, digits: int = 0) -> str:
        """Write a number."""
        text = f"{value:,.{digits}f}"
        return text.translate(str.maketrans(",.", ".,")) if self.comma else text

    def number(self, value: float, digits: int = 0, figure: str = "") -> Markup:
        """Write a number for the page, with its name where a program may look for it."""
        return self._data(value, self.plain(value, digits), figure)

    def size_text(self, value: float) -> str:
        """Write bytes."""
        for unit in ("B", "kB", "MB", "GB"):
            if value < KILO:
                return f"{self.plain(value, 0 if unit == 'B' else 1)} {unit}"
            value /= KILO
        return f"{self.plain(value, 1)} TB"

    def size(self, value: float, figure: str = "") -> Markup:
        """Write bytes for the page."""
        return self._data(value, self.size_text(value), figure)

    def ms_text(self, value: float) -> str:
        """Write milliseconds."""
        if value < KILO:
            return f"{self.plain(value, 1)} ms"
        return f"{self.plain(value / KILO, 1)} s"

    def ms(self, value: float, figure: str = "") -> Markup:
        """Write milliseconds for the page."""
        return self._data(value, self.ms_text(value), figure)

    def span(self, seconds: float) -> str:
        """Write how long something lasts or is ago."""
        for name, size, until in SPANS:
            if seconds < until:
                number = round(seconds / size)
                word = self.words[name if number != 1 else name[:-1]]
                return f"{number} {word}"
        raise AssertionError  # the last unit has no end

    def time(self, moment: str) -> Markup:
        """Write a moment (ISO 8601) for the page."""
        here = datetime.fromisoformat(moment).astimezone(self.zone)
        pattern = self.words["time_pattern"]
        return Markup('<time datetime="{}">{}</time>').format(moment, here.strftime(pattern))

    @staticmethod
    def name(text: str) -> Markup:
        """Write a name for the page; a line may end after each of its words."""
        return Markup("_<wbr>").join(text.split("_"))

    def day(self, value: date) -> str:
        """Write a day."""
        return value.strftime(self.words["day_pattern"])

    def tick(self, at: float, span: float) -> str:
        """Write a moment (seconds since 1970) below a line of time that spans so many seconds."""
        here = datetime.fromtimestamp(at, self.zone)
        return here.strftime("%H:%M" if span < DAY else self.words["tick_pattern"])

    @staticmethod
    def _data(value: float, text: str, figure: str) -> Markup:
        name = Markup(' data-figure="{}"').format(figure) if figure else Markup("")
        return Markup('<data{} value="{}">{}</data>').format(name, value, text.replace(" ", "\N{NO-BREAK SPACE}"))
