# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the page of what was read: one HTML text that needs nothing else. Pure, but for reading its templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .view import (
    LEVELS,
    Format,
    durations,
    last_day,
    levels,
    runs,
    seconds_between,
    stamp,
)

COMMA = {"vi"}  # languages with a decimal comma
SHOWN = ("Migrations", "Verification", "Backup", "Drill", "Tables", "Connections", "Locks", "Disk", "Cache", "Server")
# Matters of the status screen that the tile of another one shows too.
WITHIN = {"In doubt": "Migrations", "Drift": "Migrations", "Transactions": "Locks", "Partitions": "Tables"}


def render(
    templates: Path,
    *,
    host: str,
    language: str,
    timezone: tzinfo,
    status: Mapping[str, Any],
    found: Mapping[str, Any],
    verification: Mapping[str, Any],
) -> str:
    """Return the page.

    Args:
        templates: folder of page.html.j2, and of its words in each language.
        host: its name in the inventory.
        language: that the page opens with.
        timezone: in which it gives times.
        status: what database_status returned.
        found: what report_database returned.
        verification: what database_verification returned, also where promises are broken.
    """
    view = _view(host, status, found, verification)
    words, matters = read_words(templates)
    formats = {name: Format(of_language, timezone, name in COMMA) for name, of_language in words.items()}
    return (
        environment(templates)
        .get_template("page.html.j2")
        .render(
            view,
            language=language,
            timezone=str(timezone),
            words=dict(sorted(words.items(), key=lambda item: item[0] != language)),
            matters=matters,
            formats=formats,
            last_day=last_day,
            stamp=stamp,
        )
    )


def environment(templates: Path) -> Environment:
    """Return what renders the page and its charts; what is put into them is escaped."""
    return Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def read_words(templates: Path) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Return the words by language and name, and the Vietnamese names of the status screen's matters."""
    found = yaml.safe_load((templates / "words.yml").read_text(encoding="utf-8"))
    words = {language: {name: texts[language] for name, texts in found["words"].items()} for language in ("vi", "en")}
    return words, found["matters"]


def _view(
    host: str, status: Mapping[str, Any], found: Mapping[str, Any], verification: Mapping[str, Any]
) -> dict[str, Any]:
    facts = status["facts"]
    figures = facts["figures"]
    verified = _verified(verification)
    findings = [*status["findings"], *_verification_finding(verified)]
    of_matter = dict.fromkeys((*SHOWN, "Indexes"), "ok") | levels(
        [{**finding, "matter": WITHIN.get(finding["matter"], finding["matter"])} for finding in findings]
    )
    wrong = sorted(
        (finding for finding in findings if finding["level"] != "ok"),
        key=lambda finding: -LEVELS.index(finding["level"]),
    )
    whole = [one for one in found["backups"] if not one["damaged"] and one["whole"] and one["verified"]]
    good = [drill for drill in found["drills"] if drill["ok"]]
    return {
        "host": host,
        "database": facts["database"],
        "now": figures["now"],
        "level": wrong[0]["level"] if wrong else "ok",
        "levels": of_matter,
        # Nothing is there, and nobody asked for it.
        "unasked": {
            "Backup": not whole and of_matter["Backup"] == "ok",
            "Drill": not good and of_matter["Drill"] == "ok",
        },
        "counts": {level: sum(finding["level"] == level for finding in wrong) for level in LEVELS},
        "wrong": wrong,
        "history": facts["history"] or {"applied": 0, "newest": None},
        "pending": len((facts.get("plan") or {}).get("pending", ())),
        "verified": verified,
        "newest_backup": _aged(whole, figures["now"]),
        "proven": _aged(good, figures["now"]),
        "figures": figures,
        "tables": figures["tables"] or [],
        "server": next(place for place in figures["connections"] if place["of"] == "server"),
        "waiting": found["waiting"],
        "open": found["open"],
        "locks": figures["locks"] or [],
        "transactions": figures["transactions"] or [],
        "indexes": figures["indexes"] or [],
        "invalid": figures["invalid"] or [],
        "disks": facts["disks"],
        "runs": runs(found["acts"]),
        "durations": durations(found["acts"]),
        "years": _years(found["years"]),
        "backups": found["backups"],
        "drills": found["drills"],
        "problem": found["problem"],
    }


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
    """Return the last thing with its age in seconds."""
    return {**things[-1], "age": max(seconds_between(things[-1]["at"], now), 0)} if things else None


def _years(parts: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the partitions of each table; one that is a year is called by it."""
    return [
        (name, [{**part, "label": _label(part)} for part in group])
        for name, group in groupby(parts, key=lambda part: str(part["table"]))
    ]


def _label(part: Mapping[str, Any]) -> str:
    first, last = part["first"], str(last_day(part["after"]))
    return str(first[:4]) if first.endswith("-01-01") and last == f"{first[:4]}-12-31" else f"{first[:7]}"
