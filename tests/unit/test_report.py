"""What the page shows of what was read, how its languages write it, and its charts."""

from __future__ import annotations

import ast
import re
import sys
import unicodedata
from collections.abc import Iterator
from datetime import UTC, timedelta, timezone
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.doubt import DONE, OPEN, Answer
from ansible_collections.physioflow.database.plugins.module_utils.migrations.plan import make_plan
from ansible_collections.physioflow.database.plugins.module_utils.report.charts import Bar, Dot, bars, columns, timeline
from ansible_collections.physioflow.database.plugins.module_utils.report.page import (
    Format,
    durations,
    levels,
    read_sentences,
    read_words,
    runs,
    worst_first,
)
from ansible_collections.physioflow.database.plugins.module_utils.report.sentences import NAME
from ansible_collections.physioflow.database.plugins.module_utils.status import findings as judging
from ansible_collections.physioflow.database.plugins.module_utils.verification.check import (
    NO_TABLE,
    PRESENT,
    SPOILT,
    Check,
    failure_sentences,
)
from ansible_collections.physioflow.database.plugins.module_utils.verification.promise import BY_TABLE, KINDS
from ansible_collections.physioflow.database.plugins.module_utils.verification.survey import ABSENT

from tests.local import ROOT
from tests.unit import test_migration_plan as plans
from tests.unit import test_status as status

WORDS, MATTERS = read_words(ROOT / "roles/report/templates")
SENTENCES = read_sentences(ROOT / "roles/report/templates")
VI = Format(WORDS["vi"], timezone(timedelta(hours=7)), comma=True, table=SENTENCES)
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
    texts = [*WORDS["vi"].values(), *MATTERS.values(), *(entry["vi"] for entry in SENTENCES)]
    assert len(texts) > 100
    assert [text for text in texts if not unicodedata.is_normalized("NFC", text)] == []


def test_every_matter_has_a_vietnamese_name() -> None:
    folder = ROOT / "plugins/module_utils"
    matters = set(re.findall(r'Finding\(\s*"([A-Z][a-z ]+)"', (folder / "status/findings.py").read_text()))
    own = set(re.findall(r'"matter": "(\w+)"', (folder / "report/page.py").read_text()))
    assert len(matters) > 10
    assert own
    assert matters | own == set(MATTERS)


# Sentences of others


def problems() -> Iterator[str]:
    """Yield each contradiction of release and history that a report can find."""
    first, *later = plans.CATALOG
    renamed = {**first, "name": "renamed"}
    begun = {**plans.CATALOG[2], "started_at": "2026-11-26 10:00:00"}
    for catalog, applied in (
        (plans.CATALOG, later),
        ([first], plans.CATALOG),
        (later, [first]),
        ([{**first, "version": "004", "file": "files/migrations/004_x.sql"}], [first]),
        ([renamed], [first]),
        ([{**renamed, "sha256": "0" * 64}], [first]),
        ([{**first, "sha256": "0" * 64}], [first]),
    ):
        yield from make_plan(catalog, applied).problems
    yield from make_plan([first], [first], in_doubt=[begun]).problems
    for answers in (
        (),
        (Answer(1, DONE), Answer(2, OPEN, look="read the statement, and check whether its result exists")),
    ):
        given = {begun["version"]: answers}
        yield from make_plan(plans.CATALOG, [], in_doubt=[begun], answers=given, invalid=["idx_a"]).problems


def judgements() -> Iterator[tuple[Any, list[Any]]]:
    """Yield facts, and what is wrong of them."""
    runs_of_names = [f"idx_{number}" for number in range(5)]
    more: list[dict[str, Any]] = [
        status.figures(standby=True, version="16.9"),
        status.figures(database=status.DATABASE | {"checksum_failures": 2}),
        status.figures(partitions={"visits": [["2026-01-01", "2026-11-28"]]}),
        status.figures(invalid=runs_of_names),
        status.figures(archiver={"archived": None, "failed": None}),
        {"restored": [status.RESTORED | {"at": "2026-11-17T12:00:00+00:00", "moment": "newest"}]},
        status.figures(archiver={"archived": None, "failed": "2026-11-26T09:00:00+00:00"}),
        status.figures(transactions=[status.SESSION | {"state": state} for state in STATES]),
        status.figures(locks=[status.WAITER | {"relation": None, "blockers": []}]),
        status.figures(connections=[{"of": "server", "used": 96, "most": 97}]),
        status.figures(connections=[status.FIGURES["connections"][0], {"of": "database emr", "used": 58, "most": 60}]),
        status.backups(newest=status.OLD | {"off_host": "2026-11-25T02:01:00+00:00"}),
        status.backups(drill=status.BACKUPS["drill"] | {"ok": False}, proven=None),
        {"drift": ["a", "b"]},
        {"history": None, "plan": {"pending": ["001 a"], "problems": [FOREIGN]}},
        {"history": status.HISTORY | {"newest": None}, "plan": {"pending": ["001 a"], "problems": [*problems()]}},
    ]
    # The problems there are not those of a plan.
    usual = [facts for facts, *_ in status.WRONG if not facts.get("plan", {}).get("problems")]
    for facts in [*usual, *more]:
        yield facts, [finding for finding in status.judged(**facts) if finding.level != "ok"]


STATES = ("active", "idle in transaction (aborted)")
FOREIGN = "7 tables and no history: the migrations were not applied by a deploy"
COMMAND = re.compile(
    r"ansible-playbook [\w./=-]+(?: -e \w+=\w+)?|-e \"?\w+=\S+"
    r"|(?:apt-get|journalctl|systemctl|SELECT|ALTER|git) .+?(?=[;)]|$)"
)
KNOWN = {word for entry in SENTENCES for word in re.findall(r"[a-z]{3,}", NAME.sub("", entry["vi"]))}


def left_in_english(text: str, said: str, *names: object) -> set[str]:
    """Return the words of a sentence that its translation still has, and that are neither names nor commands."""
    allowed = set(re.findall(r"[a-z]{3,}", f"{names} {' '.join(COMMAND.findall(text))}")) | KNOWN
    return set(re.findall(r"[a-z]{3,}", text)) & set(re.findall(r"[a-z]{3,}", said)) - allowed


def test_each_finding_is_said_in_vietnamese() -> None:
    for facts, found in judgements():
        for finding in found:
            said = VI.say(finding.text)
            assert said, finding.text
            pending = facts.get("plan", {}).get("pending")  # the problems beside it are sentences
            known = [pending, plans.CATALOG] if finding.matter == "Migrations" else [facts]
            assert left_in_english(finding.text, said, *known, status.FACTS) == set(), said
            following = VI.say(finding.next) or finding.next
            assert following != finding.next or COMMAND.fullmatch(following), finding.next
            assert left_in_english(finding.next, following) == set(), following


def test_each_place_that_makes_a_finding_is_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    made: set[int] = set()
    finding = judging.Finding

    def noted(*args: Any, **given: Any) -> Any:
        made.add(sys._getframe(1).f_lineno)
        return finding(*args, **given)

    monkeypatch.setattr(judging, "Finding", noted)
    assert len([*judgements()]) > len(status.WRONG)
    code = (ROOT / "plugins/module_utils/status/findings.py").read_text()
    calls = [
        node
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding"
    ]
    assert len(calls) > 30
    assert {node.lineno for node in calls if ast.unparse(node.args[1]) != "OK"} - made == set()


def failures() -> list[str]:
    """Return sentences about broken promises: each kind of thing, and each word for how it is there."""
    kinds = [kind for kind in KINDS if kind not in (*BY_TABLE, "constraint_examples", "generated_examples")]
    checks = [Check("f.yml", kind, "n", "present", "missing", False) for kind in [*kinds, "history"]]
    checks += [Check("f.yml", kind, "n on t", "present", "missing", False) for kind in BY_TABLE]
    checks += [Check("f.yml", f"{kind}_examples", "n on t", "x", "y", False) for kind in ("constraint", "generated")]
    checks += [Check("f.yml", "history", "view", "15 versions", "no such view", False)]
    checks += [
        Check("f.yml", "tables", "n", word, "x", False) for word in [*PRESENT.values(), *SPOILT.values(), *ABSENT]
    ]
    checks += [Check("f.yml", "tables", "n", word, "x", False) for word in FOUND]
    lacking = [Check("f.yml", "columns", "c", "text", NO_TABLE, False, table) for table in ("t", "s", "s")]
    return [*failure_sentences([*checks, *lacking]), "f.yml: table n: expected present, found missing. And 2 more."]


# Words of check.py that no constant holds.
FOUND = (
    *(
        "applied",
        "not applied",
        "accepted",
        "refused",
        "an empty text",
        "other values",
        "a different definition",
        "no comment",
    ),
    *("a different text", "no such row", "one on t", "what f.yml promises"),
)


def test_each_broken_promise_is_said_in_vietnamese() -> None:
    for text in failures():
        said = VI.say(text)
        assert said, text
        assert left_in_english(text, said, "yml") == set(), said


def test_each_sentence_is_one_that_is_said() -> None:
    page = Format(WORDS["vi"], table=SENTENCES)
    for _, found in judgements():
        for finding in found:
            page.say(finding.text)
            page.say(finding.next)
    for text in failures():
        page.say(text)
    assert [entry["en"] for entry in SENTENCES if entry["en"] not in page.sentences.used] == []


def test_a_sentence_writes_figures_and_times_its_way_and_leaves_names() -> None:
    assert VI.say("of emr_backup_2 failed at 2026-11-24T20:00; none has succeeded yet") == (
        "diễn tập với emr_backup_2 không đạt lúc 03:00 25/11/2026; chưa lần nào đạt"
    )
    assert VI.say("/data: 81 % full, 1,019.5 GB free") == "/data: đã đầy 81 %, còn trống 1.019,5 GB"
    assert VI.say("visits takes rows until 2026-12-31") == "visits nhận dữ liệu đến hết ngày 31/12/2026"
    assert VI.say("PostgreSQL 16.9, up 3 days: below 16.15, with known faults") == (
        "PostgreSQL 16.9, đã chạy 3 ngày: cũ hơn 16.15 nên còn lỗi đã biết"
    )
    assert VI.say("something that nobody translated") is None
    assert EN.say("no history") is None


# Charts


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
