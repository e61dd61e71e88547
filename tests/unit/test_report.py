"""What the page shows of what was read, how its languages write it, and its charts."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, timedelta, timezone
from xml.etree import ElementTree as ET

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.report.page import (
    Format,
    durations,
    environment,
    levels,
    read_words,
    runs,
    stamp,
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


@pytest.mark.parametrize("text", [*WORDS["vi"].values(), *MATTERS.values()])
def test_vietnamese_is_composed(text: str) -> None:
    assert unicodedata.is_normalized("NFC", text)


def test_every_matter_of_the_status_screen_has_a_vietnamese_name() -> None:
    code = (ROOT / "plugins/module_utils/status/findings.py").read_text()
    matters = set(re.findall(r'Finding\(\s*"([A-Z][a-z ]+)"', code))
    assert len(matters) > 10
    assert matters <= set(MATTERS)


CHARTS = environment(ROOT / "roles/report/templates")


def chart(call: str, **given: object) -> str:
    """Return a chart of the template, each item of which is called by its name."""
    source = (
        "{% from 'charts.svg.j2' import bars, columns, timeline %}{% call(item) "
        + call
        + " %}{{ item.name }}{% endcall %}"
    )
    return CHARTS.from_string(source).render(given, write=EN.plain).strip()


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter() if element.tag.endswith("text")]


def test_a_bar_is_as_long_as_its_value_and_the_first_one_is_above() -> None:
    items = [{"name": "first", "n": 200}, {"name": "second", "n": 100}]
    svg = chart("bars('what', items, 'n', write)", items=items)
    places = {element.text: float(element.get("y", 0)) for element in ET.fromstring(svg).iter() if element.text}
    assert places["first"] < places["second"]
    assert {"200", "100"} <= set(texts(svg))
    first, second = (float(e.get("width", 0)) for e in ET.fromstring(svg).iter() if e.tag.endswith("rect"))
    assert first == pytest.approx(2 * second)
    assert chart("bars('what', [], 'n', write)") == ""
    assert 'width="0' in chart("bars('what', items, 'n', write)", items=[{"name": "none", "n": 0}])


def test_columns_stand_above_their_labels() -> None:
    svg = CHARTS.get_template("charts.svg.j2").module.columns(  # type: ignore[attr-defined]
        "years", [{"label": "2025", "rows": 4}, {"label": "2026", "rows": 1}], EN.plain
    )
    assert {"2025", "2026", "4", "1"} <= set(texts(svg))
    high, low = (float(e.get("height", 0)) for e in ET.fromstring(svg).iter() if e.tag.endswith("rect"))
    assert high == pytest.approx(4 * low)


def test_dots_stand_at_their_moments() -> None:
    moments = [f"2026-01-01T00:0{minute}:00+00:00" for minute in range(3)]
    lanes = [
        ("Deployments", [{"at": moments[0]}]),
        ("Drills", [{"at": moments[1], "ok": True}, {"at": moments[2], "ok": False}]),
        ("Backups", []),
    ]
    svg = CHARTS.get_template("charts.svg.j2").module.timeline(  # type: ignore[attr-defined]
        "time", lanes, moments[2], stamp, lambda at, span: f"{at - stamp(moments[0]):.0f}/{span:.0f}"
    )
    assert {"0/120", "60/120", "120/120", "Deployments", "Backups"} <= set(texts(svg))
    dots = [e.attrib for e in ET.fromstring(svg).iter() if e.tag.endswith("circle")]
    assert [dot["class"] for dot in dots] == ["lane-0", "lane-1", "bad"]
    a, b, c = (float(dot["cx"]) for dot in dots)
    assert b - a == pytest.approx(c - b)
    assert float(dots[0]["cy"]) < float(dots[1]["cy"])


def test_a_chart_has_a_label_and_escapes_what_it_is_given() -> None:
    svg = chart("bars(label, items, 'n', write)", label='a "label" <b>', items=[{"name": "<script> &", "n": 1}])
    assert 'role="img" aria-label="a &#34;label&#34; &lt;b&gt;"' in svg
    assert "<script" not in svg
    long = [{"name": "a" * 23 + "&" + "b" * 9, "n": 1}]
    assert "a" * 23 + "…" in texts(chart("bars('what', items, 'n', write)", items=long))
