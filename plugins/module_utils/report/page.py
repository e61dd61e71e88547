# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renders the page: selects its content, and formats it for each language. Runs on the controller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..backup.store import size_text
from ..status.findings import LEVELS
from .charts import Bar, Dot, bars, columns, timeline
from .sentences import Sentences

LARGEST = 10  # tables in the chart
NEWEST = 12  # backups in the chart
Act = Mapping[str, Any]
COMMA = {"vi"}  # languages with a decimal comma
SHOWN = ("Migrations", "Verification", "Backup", "Drill", "Tables", "Connections", "Locks", "Disk", "Cache", "Server")
# Subjects of the status screen that are shown in the tile of another one.
WITHIN = {"In doubt": "Migrations", "Drift": "Migrations", "Transactions": "Locks", "Partitions": "Tables"}
SECOND = 1000  # milliseconds
DAY = 86400  # seconds
# For a span: name of the unit in the words, its seconds, and up to how many seconds it is used.
SPANS = (("seconds", 1, 120), ("minutes", 60, 7200), ("hours", 3600, 2 * DAY), ("days", DAY, float("inf")))


def render(
    templates: Path,
    *,
    host: str,
    language: str,
    timezone: tzinfo,
    status: Mapping[str, Any],
    verification: Mapping[str, Any],
) -> str:
    """Return the page.

    Args:
        templates: folder of page.html.j2 and of its words and sentences in each language.
        host: name of the host in the inventory.
        language: the language in which the page opens.
        timezone: time zone of the times on the page.
        status: what database_status returned, with its details.
        verification: what database_verification returned, also where promises are broken.
    """
    view = _view(status, verification)
    words, matters = read_words(templates)
    sentences = {"vi": read_sentences(templates)}
    formats = {
        name: Format(of_language, timezone, name in COMMA, sentences.get(name, ()))
        for name, of_language in words.items()
    }
    environment = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.j2").render(
        view,
        host=host,
        language=language,
        timezone=str(timezone),
        words=dict(sorted(words.items(), key=lambda item: item[0] != language)),
        matters=matters,
        formats=formats,
        charts={name: _charts(view, write) for name, write in formats.items()},
    )


def read_words(templates: Path) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Return the words by language and name, and the Vietnamese names of the status screen's subjects."""
    found = yaml.safe_load((templates / "words.yml").read_text(encoding="utf-8"))
    words = {language: {name: texts[language] for name, texts in found["words"].items()} for language in ("vi", "en")}
    return words, found["matters"]


def read_sentences(templates: Path) -> list[dict[str, str]]:
    """Return the sentences of the status screen and of the verification, each as {en, vi}."""
    found: list[dict[str, str]] = yaml.safe_load((templates / "sentences.yml").read_text(encoding="utf-8"))
    return found


def _view(status: Mapping[str, Any], verification: Mapping[str, Any]) -> dict[str, Any]:
    facts = status["facts"]
    figures, details, backups = facts["figures"], facts["details"], facts["backups"]
    verified = _verified(verification)
    wrong = worst_first([*status["findings"], *_verification_finding(verified)])
    of_matter = levels(wrong)
    whole = [one for one in backups["all"] if not one["damaged"] and one["whole"] and one["verified"]]
    good = [drill for drill in backups["drills"] if drill["ok"]]
    return {
        **{name: figures[name] or [] for name in ("tables", "locks", "transactions", "indexes", "invalid")},
        "database": facts["database"],
        "now": figures["now"],
        "level": wrong[0]["level"] if wrong else "ok",
        "levels": of_matter,
        # Nothing is there, and nobody asked for it.
        "unasked": {
            "Backup": not whole and of_matter["Backup"] == "ok",
            "Drill": not good and of_matter["Drill"] == "ok",
        },
        "counts": Counter(finding["level"] for finding in wrong),
        "wrong": wrong,
        "history": facts["history"] or {"applied": 0, "newest": None},
        "pending": len((facts.get("plan") or {}).get("pending", ())),
        "verified": verified,
        "newest_backup": _aged(whole, figures["now"]),
        "proven": _aged(good, figures["now"]),
        "figures": figures,
        "server": next(place for place in figures["connections"] if place["of"] == "server"),
        "details": details,
        "disks": facts["disks"],
        "runs": runs(details["acts"]),
        "durations": durations(details["acts"]),
        "backups": backups["all"],
        "drills": backups["drills"],
        "problem": backups["problem"],
    }


def worst_first(findings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the findings of other levels than ok, the worst first."""
    wrong = [finding for finding in findings if finding["level"] != "ok"]
    return sorted(wrong, key=lambda finding: -LEVELS.index(finding["level"]))


def levels(wrong: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the worst level of each subject, from findings with the worst first."""
    found = {WITHIN.get(finding["matter"], finding["matter"]): finding["level"] for finding in reversed(wrong)}
    return dict.fromkeys((*SHOWN, "Indexes"), "ok") | found


def _verified(result: Mapping[str, Any]) -> dict[str, Any]:
    files = [{**entry, "file": Path(entry["file"]).stem} for entry in result.get("files") or []]
    return {
        "ok": bool(result.get("ok")),
        "files": files,
        "expected": sum(entry["expected"] for entry in files),
        "found": sum(entry["found"] for entry in files),
        "failures": result.get("failures") or ([] if result.get("ok") else [str(result.get("msg", ""))]),
    }


def _verification_finding(verified: Mapping[str, Any]) -> list[dict[str, Any]]:
    if verified["ok"]:
        return []
    text = verified["failures"][0]
    if more := len(verified["failures"]) - 1:
        text += f" And {more} more."
    following = "ansible-playbook playbooks/verify.yml"
    return [{"matter": "Verification", "level": "fail", "text": text, "next": following}]


def _aged(things: Sequence[Mapping[str, Any]], now: str) -> dict[str, Any] | None:
    """Return the last entry with its age in seconds."""
    return {**things[-1], "age": max(stamp(now) - stamp(things[-1]["at"]), 0)} if things else None


def runs(acts: Sequence[Act]) -> list[dict[str, Any]]:
    """Return the runs of Ansible that changed the history, the newest first.

    Each is {at, operator, controller, release, acts, counts: number of acts by kind, ms: duration of its files}.
    `start` does not count as an act after the file ended.
    """
    found = []
    for _, group in groupby(acts, key=lambda act: act["run"]):
        of_run = list(group)
        ended = {(act["version"], act["name"]) for act in of_run if act["act"] != "start"}
        shown = [act for act in of_run if act["act"] != "start" or (act["version"], act["name"]) not in ended]
        found.append(
            {
                **{name: of_run[0][name] for name in ("at", "operator", "controller", "release")},
                "acts": shown,
                "counts": Counter(act["act"] for act in shown),
                "ms": sum(act["ms"] for act in shown),
            }
        )
    return found[::-1]


def durations(acts: Sequence[Act]) -> list[Act]:
    """Return the act that applied each currently applied migration, by version."""
    applied: dict[str, Act] = {}
    for act in acts:
        if act["act"] == "apply":
            applied[act["version"]] = act
        elif act["act"] == "rollback":
            applied.pop(act["version"], None)
    return sorted(applied.values(), key=lambda act: [int(part) for part in act["version"].replace("_", ".").split(".")])


def stamp(moment: str) -> float:
    """Return a moment (ISO 8601) in seconds since 1970."""
    return datetime.fromisoformat(moment).timestamp()


@dataclass(frozen=True)
class Format:
    """The formats of numbers, sizes and times in one language.

    Attributes:
        words: the words of the language.
        zone: time zone of the times.
        comma: the decimal sign; the other one separates thousands.
        table: translations of English sentences of other modules.
    """

    words: Mapping[str, str]
    zone: tzinfo = UTC
    comma: bool = False
    table: Sequence[Mapping[str, str]] = ()

    @cached_property
    def sentences(self) -> Sentences:
        """The compiled table."""
        return Sentences(self.table, {"number": self._local, "day": self.day, "time": self._utc})

    def say(self, text: str) -> str | None:
        """Return an English sentence in the language; None where it stays unchanged."""
        return self.sentences.say(text)

    def _local(self, text: str) -> str:
        return text.translate(str.maketrans(",.", ".,")) if self.comma else text

    def plain(self, value: float, digits: int = 0) -> str:
        """Write a number."""
        return self._local(f"{value:,.{digits}f}")

    def size_text(self, value: float) -> str:
        """Write bytes."""
        return self._local(size_text(value))

    def ms_text(self, value: float) -> str:
        """Write milliseconds."""
        return f"{self.plain(value, 1)} ms" if value < SECOND else f"{self.plain(value / SECOND, 1)} s"

    def number(self, value: float, digits: int = 0, figure: str = "") -> Markup:
        """Write a number for the page, with its name for programs that read the page."""
        return self._data(value, self.plain(value, digits), figure)

    def size(self, value: float, figure: str = "") -> Markup:
        """Write bytes for the page."""
        return self._data(value, self.size_text(value), figure)

    def ms(self, value: float, figure: str = "") -> Markup:
        """Write milliseconds for the page."""
        return self._data(value, self.ms_text(value), figure)

    @staticmethod
    def _data(value: float, text: str, figure: str) -> Markup:
        name = Markup(' data-figure="{}"').format(figure) if figure else Markup("")
        return Markup('<data{} value="{}">{}</data>').format(name, value, text.replace(" ", "\N{NO-BREAK SPACE}"))

    def span(self, seconds: float) -> str:
        """Write a duration or an age."""
        name, size = next((name, size) for name, size, until in SPANS if seconds < until)
        number = round(seconds / size)
        return f"{number} {self.words[name if number != 1 else name[:-1]]}"

    def time(self, moment: str) -> Markup:
        """Write a moment (ISO 8601) for the page."""
        return Markup('<time datetime="{}">{}</time>').format(moment, self._here(datetime.fromisoformat(moment)))

    def _utc(self, moment: str) -> str:
        return self._here(datetime.fromisoformat(moment).replace(tzinfo=UTC))

    def _here(self, moment: datetime) -> str:
        return moment.astimezone(self.zone).strftime(self.words["time_pattern"])

    @staticmethod
    def name(text: str) -> Markup:
        """Write a name for the page; a line may end after each of its words."""
        return Markup("_<wbr>").join(text.split("_"))

    def day(self, value: str) -> str:
        """Write a day (ISO 8601)."""
        return date.fromisoformat(value).strftime(self.words["day_pattern"])

    def tick(self, at: float, span: float) -> str:
        """Write a moment (seconds since 1970) below a timeline of `span` seconds."""
        here = datetime.fromtimestamp(at, self.zone)
        return here.strftime("%H:%M" if span < DAY else self.words["tick_pattern"])


def _charts(view: Mapping[str, Any], write: Format) -> dict[str, Any]:
    words = write.words
    whole = [backup for backup in view["backups"] if not backup["damaged"]]
    lanes = [
        (words["deployments"], [Dot(stamp(run["at"])) for run in reversed(view["runs"])]),
        (words["backups"], [Dot(stamp(backup["at"])) for backup in whole]),
        (words["drills"], [Dot(stamp(drill["at"]), "" if drill["ok"] else "var(--fail)") for drill in view["drills"]]),
    ]
    return {
        "timeline": timeline(words["timeline_chart"], lanes, stamp(view["now"]), write.tick),
        "durations": bars(
            words["durations"],
            [Bar(f"{act['version']} {act['name']}", act["ms"]) for act in view["durations"]],
            write.ms_text,
        ),
        "tables": bars(
            words["tables_chart"],
            [Bar(table["name"], table["bytes"]) for table in view["tables"][:LARGEST]],
            write.size_text,
        ),
        "years": {
            name: columns(
                f"{words['years']}: {name}", [Bar(part["label"], part["rows"]) for part in parts], write.plain
            )
            for name, parts in groupby(view["details"]["years"], key=lambda part: str(part["table"]))
        },
        "backups": bars(
            words["backups_chart"],
            [Bar(_when(backup, write), backup["size"]) for backup in whole[: -NEWEST - 1 : -1]],
            write.size_text,
        ),
    }


def _when(backup: Mapping[str, Any], write: Format) -> str:
    return str(write.time(backup["at"]).striptags())
