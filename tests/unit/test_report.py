"""What the page shows of what was read, how its languages write it, and its charts."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, timedelta, timezone
from xml.etree import ElementTree as ET

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.report.charts import Bar, Dot, bars, columns, timeline
from ansible_collections.physioflow.database.plugins.module_utils.report.page import (
    Format,
    durations,
    levels,
    read_words,
    runs,
    worst_first,
)

from tests.local import ROOT

WORDS, MATTERS = read_words(ROOT / "roles/report/templates")
VI = Format(WORDS["vi"], timezone(timedelta(hours=7)), comma=True)
EN = Format(WORDS["en"], UTC)


def act(what: str, version: str, run: str = "1", ms: float = 1.5, name: str = "a") -> dict[str, object]:
    return {
        "act": what,
        "version": version,
        "name": name,
        "run": run,
        "ms": ms,
        "at": f"2026-01-0{run}T00:00:00+00:00",
        "operator": "me",
        "controller": "here",
        "release": "r",
        "backup": None,
    }


def test_a_run_is_what_one_command_did_the_newest_first() -> None:
    found = runs(
        [
            act("apply", "001"),
            act("apply", "002"),
            act("start", "003", "2"),
            act("apply", "003", "2"),
            act("start", "4", "3"),
        ]
    )
    assert [dict(run["counts"]) for run in found] == [{"start": 1}, {"apply": 1}, {"apply": 2}]
    assert [run["ms"] for run in found] == [1.5, 1.5, 3.0]
    assert [run["at"][:10] for run in found] == ["2026-01-03", "2026-01-02", "2026-01-01"]


def test_durations_are_of_what_stands_by_version() -> None:
    history = [
        act("apply", "10", ms=1),
        act("apply", "9", ms=2),
        act("rollback", "9", ms=3),
        act("apply", "9", ms=4),
        act("apply", "11", ms=5),
        act("rollback", "11", ms=6),
        act("repeat", "R", ms=7),
        act("accept", "10", ms=0),
        act("apply", "1.2", ms=8),
    ]
    assert [(entry["version"], entry["ms"]) for entry in durations(history)] == [("1.2", 8), ("9", 4), ("10", 1)]


def test_the_worst_finding_of_a_matter_counts() -> None:
    found = worst_first(
        [{"matter": "Backup", "level": level} for level in ("ok", "fail", "warn")]
        + [{"matter": "Drift", "level": "warn"}]
    )
    assert [finding["level"] for finding in found] == ["fail", "warn", "warn"]
    seen = levels(found)
    assert (seen["Backup"], seen["Migrations"], seen["Drill"]) == ("fail", "warn", "ok")


def test_each_language_writes_numbers_and_times_its_way() -> None:
    assert (VI.plain(1234567.89, 1), EN.plain(1234567.89, 1)) == ("1.234.567,9", "1,234,567.9")
    assert (VI.size_text(999), VI.size_text(1000), EN.size_text(1_550_000)) == ("999 B", "1,0 kB", "1.6 MB")
    assert (VI.ms_text(0.94), EN.ms_text(61_250)) == ("0,9 ms", "61.2 s")
    assert [EN.span(seconds) for seconds in (1, 119, 120, 7200, 2 * 86400)] == [
        "1 s",
        "119 s",
        "2 min",
        "2 h",
        "2 days",
    ]
    assert VI.span(86400 * 3) == "3 ngày"
    moment = "2026-11-26T20:30:00+00:00"
    assert VI.time(moment) == f'<time datetime="{moment}">03:30 27/11/2026</time>'
    assert EN.time(moment) == f'<time datetime="{moment}">26 Nov 2026 20:30</time>'
    assert EN.number(1234, figure='a"b') == '<data data-figure="a&#34;b" value="1234">1,234</data>'
    assert EN.name("a_<b>") == "a_<wbr>&lt;b&gt;"
    assert VI.day("2026-12-31") == "31/12/2026"


def test_each_word_is_used() -> None:
    code = "".join(
        path.read_text()
        for folder in ("roles/report", "plugins/module_utils/report")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".j2", ".py")
    )
    spans = {"second", "minute", "hour", "day"}
    unused = {word for word in WORDS["vi"] if not re.search(rf"\b{word}\b", code) and not word.startswith("act_")}
    assert unused - spans <= {"ok", "warn", "fail"}


def test_vietnamese_is_composed() -> None:
    texts = [*WORDS["vi"].values(), *MATTERS.values()]
    assert len(texts) > 100
    assert [text for text in texts if not unicodedata.is_normalized("NFC", text)] == []


def test_every_matter_of_the_status_screen_has_a_vietnamese_name() -> None:
    code = (ROOT / "plugins/module_utils/status/findings.py").read_text()
    matters = set(re.findall(r'Finding\(\s*"([A-Z][a-z ]+)"', code))
    assert len(matters) > 10
    assert matters <= set(MATTERS)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter() if element.tag.endswith("text")]


def widths(svg: str) -> list[float]:
    return [float(element.get("width", 0)) for element in ET.fromstring(svg).iter() if element.tag.endswith("rect")]


def test_a_bar_is_as_long_as_its_value_and_the_first_one_is_above() -> None:
    svg = bars("what", [Bar("first", 200), Bar("second", 100, "var(--fail)")], EN.plain)
    places = {element.text: float(element.get("y", 0)) for element in ET.fromstring(svg).iter() if element.text}
    assert places["first"] < places["second"]
    assert {"200", "100"} <= set(texts(svg))
    second, first = widths(svg)
    assert first == pytest.approx(2 * second)
    assert "var(--fail)" in svg
    assert bars("what", [], EN.plain) == ""


def test_columns_and_dots_stand_where_they_belong() -> None:
    svg = columns("years", [Bar("2025", 4), Bar("2026", 1)], EN.plain)
    assert {"2025", "2026", "4", "1"} <= set(texts(svg))
    lanes = [("Deployments", [Dot(1e9)]), ("Backups", [Dot(1e9 + 50), Dot(1e9 + 100)]), ("Drills", [])]
    svg = timeline("time", lanes, 1e9 + 100, lambda at, span: f"{at:.0f}/{span:.0f}")
    assert {"1000000000/100", "1000000100/100", "Deployments", "Drills"} <= set(texts(svg))
    dots = [
        (float(e.get("cx", 0)), float(e.get("cy", 0))) for e in ET.fromstring(svg).iter() if e.tag.endswith("circle")
    ]
    assert len(dots) == 3
    (a, above), (b, below), (c, _) = dots
    assert b - a == pytest.approx(c - b)
    assert above < below


def test_a_chart_has_a_label_and_no_script_style_or_id() -> None:
    svg = bars('a "label" <b>', [Bar("<script>", 1)], EN.plain)
    assert 'role="img"' in svg
    assert "aria-label=" in svg
    assert "&lt;script&gt;" in svg
    for gone in ("<script", "<style", "<!--", " id=", "<title", "<desc"):
        assert gone not in svg
