"""The report: what it shows is what the database says, in a real browser too, and each figure changes with it.

Most tests read and render as the modules do, without the ten seconds of a playbook.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.report.page import read_words, render
from ansible_collections.physioflow.database.plugins.module_utils.status.findings import (
    described,
    findings,
)
from ansible_collections.physioflow.database.plugins.module_utils.status.limits import read_limits

from tests import apart
from tests.apart import changed_of
from tests.backups import CANARY, Clinic
from tests.browser import DARK, DESK, LIGHT, PHONE, Browser, browser
from tests.integration.test_status import LIMITS, Watch, session
from tests.local import BIN, ROOT, SECONDS, VERSIONS, Local, Result, environment, run_to_end, until

TEMPLATES = ROOT / "roles/report/templates"
WORDS, _ = read_words(TEMPLATES)
DATABASE = "reported"
FIGURE = re.compile(r'<data data-figure="([^"]+)" value="([^"]+)">')
VERIFIED = {"ok": True, "files": [{"file": "files/verify/001_a.yml", "expected": 7, "found": 7}], "failures": []}

ACT = (
    "INSERT INTO migrations.history (act, version, name, sha256, sha256_raw, release, run_id, operator, controller,"
    " started_at, duration_ms) VALUES ('{act}', '{version}', 'by_test', repeat('0', 64), repeat('0', 64), 'r',"
    " '{run}', 'me', 'here', now(), {ms})"
)
RUN = "00000000-0000-0000-0000-000000000001"
GROW = (
    "CREATE TABLE heaps (id int CONSTRAINT heaps_pkey PRIMARY KEY, word text); CREATE INDEX idx_heaps ON heaps (word);"
    " INSERT INTO heaps SELECT n, 'w' || n FROM generate_series(1, 5000) AS n; ANALYZE heaps"
)
BY_INDEX = "SET enable_seqscan = off; SELECT word FROM heaps WHERE word = 'w7'"
YEAR = "outcome_measures.2025-01-01"


def figures(page: str) -> dict[str, float]:
    """Return the figures of a page by name; each stands in both languages, and is the same in them."""
    found: dict[str, list[str]] = {}
    for name, value in FIGURE.findall(page):
        found.setdefault(name, []).append(value)
    assert all(len(values) == len(WORDS) and len(set(values)) == 1 for values in found.values()), found
    return {name: float(values[0]) for name, values in found.items()}


def status_of(clinic: Clinic, plan: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the state of a database, as the page takes it."""
    facts = Watch(clinic).facts(details=True) | {"plan": plan}
    return {"facts": facts, "findings": described(findings(facts, read_limits(LIMITS)))}


def page_of(clinic: Clinic, plan: dict[str, Any] | None = None, verification: dict[str, Any] | None = None) -> str:
    """Return the page of a database."""
    page = render(
        TEMPLATES,
        host="h<&>",
        language="vi",
        timezone=UTC,
        status=status_of(clinic, plan),
        verification=verification or VERIFIED,
    )
    assert CANARY not in page
    assert "h&lt;&amp;&gt;" in page
    assert "h<&>" not in page
    return str(page)


def sql(*statements: str) -> Callable[[Clinic], None]:
    def change(clinic: Clinic) -> None:
        for statement in statements:
            clinic.sql(statement)

    return change


def drilled(clinic: Clinic) -> None:
    clinic.backup()
    clinic.act("drill", server="live")


# Figures that a change adds, or changes to a value, from whatever they were; None: only to another one.
CHANGES: dict[str, tuple[Callable[[Clinic], Any], dict[str, float | None]]] = {
    "a migration": (
        sql(ACT.format(act="apply", version="901", run=RUN, ms="4321.5")),
        {"migrations": len(VERSIONS) + 1, "duration.901": 4321.5, "run.1.apply": 1},
    ),
    "a migration taken back": (
        sql(ACT.format(act="rollback", version=VERSIONS[-1], run=RUN, ms="1")),
        {"migrations": len(VERSIONS) - 1, "run.1.rollback": 1},
    ),
    "a table that is read in full and by its index": (
        sql(GROW, "SELECT count(word) FROM heaps", BY_INDEX),
        {"rows.heaps": 5000, "scans.idx_heaps": 1}
        | dict.fromkeys(("bytes.heaps", "seq_scan.heaps", "database", "rows", "tables")),
    ),
    "rows of a year": (
        sql(
            "INSERT INTO outcome_measures (patient_id, measure_type, measurement_date, baseline_score, current_score,"
            " mcid_threshold) SELECT id, 'NDI', '2025-02-03', 8, 3, 2 FROM patients; ANALYZE outcome_measures"
        ),
        {f"year.{YEAR}": None, f"year_bytes.{YEAR}": None},
    ),
    "a backup and its drill": (drilled, {"backups": 1, "newest_backup": None, "drills": 1}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_figure_changes_with_what_it_is_of(clinic: Clinic, what: str) -> None:
    change, expected = CHANGES[what]
    before = figures(page_of(clinic))
    change(clinic)

    def seen() -> bool:
        after = figures(page_of(clinic))
        return all(
            name in after and after[name] != before.get(name) and value in (None, after[name])
            for name, value in expected.items()
        )

    until(seen, f"{expected} of {before} are seen")  # PostgreSQL counts rows and scans a moment later


def test_sessions_that_wait_and_transactions_are_counted(clinic: Clinic) -> None:
    def counted() -> tuple[float, ...]:
        found = figures(page_of(clinic))
        return tuple(found[name] for name in ("waiting", "open"))

    assert counted() == (0, 0)
    with session(clinic, "LOCK TABLE patients") as holder, session(clinic, "SELECT 1") as waiter:
        before = figures(page_of(clinic))["connections"]
        waiter.pgconn.send_query(f"SELECT count(*) FROM patients WHERE last_name_vi = '{CANARY}'".encode())
        clinic.waiters()
        assert counted() == (1, 2)
        page = page_of(clinic)
        assert f"{WORDS['vi']['waits_for']} {holder.info.backend_pid}" in page
        with session(clinic, "SELECT 1"):
            assert figures(page_of(clinic))["connections"] > before
        holder.rollback()
        while waiter.pgconn.get_result():  # until it has nothing more to say
            pass
    until(lambda: counted() == (0, 0), "both have ended")


def test_what_is_wrong_is_said_with_the_next_command(clinic: Clinic) -> None:
    broken = VERIFIED | {"ok": False, "failures": ["one is <missing>", "two"]}
    broken |= {"files": [{"file": "files/verify/001_a.yml", "expected": 7, "found": 5}]}
    page = page_of(clinic, {"pending": ["016 more"], "problems": []}, broken)
    found = figures(page)
    assert (found["promised"], found["verified"], found["found.001_a"], found["pending"]) == (7, 5, 5, 1)
    assert (found["fail"], found["warn"]) == (2, 1)  # no backup, broken promises; a pending migration
    for text in (
        "one is &lt;missing&gt; And 1 more.",
        "<code>ansible-playbook playbooks/verify.yml</code>",
        "<code>ansible-playbook playbooks/backup.yml</code>",
        "<code>ansible-playbook deploy.yml</code>",
        WORDS["vi"]["some_wrong"],
    ):
        assert text in page
    clinic.backup()
    assert "fail" not in figures(page_of(clinic))
    (clinic.folder / f"{clinic.name}_backup_20991231_235959").mkdir()
    assert WORDS["vi"]["damaged"] in page_of(clinic)


def test_a_page_is_made_while_a_migration_holds_a_table(clinic: Clinic) -> None:
    with clinic.held("patients"):
        assert "rows.patients" in figures(page_of(clinic))


def test_a_database_without_history_or_tables_has_a_page(clinic: Clinic) -> None:
    clinic.sql("DROP SCHEMA migrations CASCADE; DROP SCHEMA public CASCADE; DROP TABLE IF EXISTS odd.t CASCADE")
    clinic.sql(
        "DO $$ DECLARE s text; BEGIN FOR s IN SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^pg_'"
        " AND nspname <> 'information_schema' LOOP EXECUTE 'DROP SCHEMA ' || s || ' CASCADE'; END LOOP; END $$"
    )
    page = page_of(clinic, verification={"ok": True, "files": [], "failures": []})
    assert figures(page)["migrations"] == 0
    for words in ("no_history", "no_tables", "no_years", "nothing_promised", "no_backup_long", "no_drill_long"):
        assert WORDS["vi"][words] in page


# The playbook, and its page in a browser

QUERIES = {
    "migrations": "SELECT count(*) FROM migrations.applied",
    "duration.008": "SELECT duration_ms FROM migrations.applied WHERE version = '008'",
    "rows.patients": "SELECT count(*) FROM patients",
    "rows.outcome_measures": "SELECT count(*) FROM outcome_measures",
    f"year.{YEAR}": "SELECT count(*) FROM outcome_measures WHERE extract(year FROM measurement_date) = 2025",
    "bytes.patients": "SELECT sum(pg_relation_size(oid)) FROM pg_class AS c, (SELECT reltoastrelid FROM pg_class"
    " WHERE oid = 'patients'::regclass) AS p WHERE oid IN ('patients'::regclass, p.reltoastrelid) OR oid IN"
    " (SELECT indexrelid FROM pg_index WHERE indrelid IN ('patients'::regclass, p.reltoastrelid))",
    "tables": "SELECT count(DISTINCT coalesce(pg_partition_root(c.oid), c.oid)) FROM pg_class AS c"
    " JOIN pg_namespace AS n ON n.oid = relnamespace WHERE relkind = 'r' AND nspname = 'public'",
}


SPOILT_DATABASE = "reported_spoilt"
SEEDS = ROOT / "files/seeds/development_data.sql"


@dataclass(frozen=True)
class Reported:
    """A server with a database that holds invented patients, a backup and a drill; and what the playbook said of it.

    Each host has a report of its own: `local` one as it is, `spoilt` one in English of a copy without an index.
    """

    local: Local
    folder: Path
    result: Result

    def page(self, host: str) -> Path:
        """Return where the page of a host is."""
        return self.folder / host / f"{host}.html"


@pytest.fixture(scope="module")
def reported(local: Local, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reported]:
    """The database and its reports."""
    folder = tmp_path_factory.mktemp("report")
    # Backups of its own: with several workers this may be made more than once on one server.
    clinic = Clinic(local, DATABASE, local.folder / f"backups-of-{folder.name}")
    clinic.folder.mkdir(mode=0o700)
    with ExitStack() as stack:
        for name in (DATABASE, SPOILT_DATABASE):
            stack.callback(local.drop_database, name)
        local.create_database(DATABASE, "physioflow")
        done = local.run_psql("-f", str(SEEDS), database=DATABASE)
        assert done.returncode == 0, done.stderr
        clinic.backup()
        clinic.act("drill", server="live")
        local.psql("VACUUM ANALYZE", DATABASE, role="postgres")
        local.create_database(SPOILT_DATABASE, DATABASE)
        local.psql("ALTER INDEX idx_patients_mrn RENAME TO idx_gone", SPOILT_DATABASE)
        hosts: dict[str, dict[str, Any]] = {
            "local": {"database_name": DATABASE},
            "spoilt": {"database_name": SPOILT_DATABASE, "report_language": "en"},
        }
        for host, given in hosts.items():
            given |= {"report_directory": str(folder / host), "backup_directory": str(clinic.folder)}
        play = tmp_path_factory.mktemp("report") / "play"
        yield Reported(local, folder, apart.play(local, play, "playbooks/report.yml", hosts))


@pytest.fixture(scope="module")
def page(reported: Reported) -> Path:
    """The page that the playbook writes."""
    assert changed_of(reported.result, "local") == 1  # the page
    file = reported.page("local")
    assert file.as_uri() in reported.result.output
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o077) == (0o600, 0)
    return file


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """The browser."""
    return browser(tmp_path_factory.mktemp("chromium"))


@pytest.mark.parametrize("name", QUERIES)
def test_the_page_says_what_psql_says(reported: Reported, page: Path, name: str) -> None:
    assert figures(page.read_text())[name] == float(reported.local.psql(QUERIES[name], DATABASE, role="postgres"))


def test_the_whole_page_is_of_this_database(reported: Reported, page: Path) -> None:
    found = figures(page.read_text())
    assert (found["backups"], found["drills"], found["pending"]) == (1, 1, 0)
    assert found["verified"] == found["promised"] > 1000
    names = reported.local.psql("SELECT last_name_vi || ' ' || first_name_vi FROM patients", DATABASE).splitlines()
    assert len(names) == 200
    assert not [name for name in names if name in page.read_text()]


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, LIGHT), (DESK, DARK)])  # colours do not depend on the width
def test_a_browser_shows_it_and_its_picture_is_kept(
    chromium: Browser, page: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    seen = chromium.look(page, width, scheme)
    assert (seen.complaints, seen.requests) == ([], ["/frame", "/page"])
    for language, shown in seen.languages.items():
        other = next(name for name in WORDS if name != language)
        assert WORDS[language]["timeline"] in shown["text"]
        assert WORDS[other]["timeline"] not in shown["text"]
        assert "200" in shown["text"]
        assert (shown["too_wide"], shown["cut"], shown["pale"]) == (0, [], [])
        assert (sum(map(int, re.findall(r"\d+", shown["ground"])[:3])) < 3 * 128) == (scheme == DARK)
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path)).absolute()
    height = {PHONE: 5000, DESK: 2400}[width]
    taken = chromium.picture(page, folder / f"report-{width}-{scheme}.png", width, height, scheme)
    assert len(taken) > 50_000  # an empty page has less


def test_the_browser_would_see_what_is_wrong(chromium: Browser, page: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.html"
    wrong = '<script>document.title = "x"</script><img alt="" src="/elsewhere.png">'
    wrong += '<p style="width: 600px">wide</p><p style="color: #ccc">pale</p></main>'
    cut_off = 'text-anchor="middle" x="'
    spoilt.write_text(page.read_text().replace("</main>", wrong).replace(cut_off, f"{cut_off}3"))
    seen = chromium.look(spoilt, PHONE)
    for refused in ("inline script", "elsewhere.png"):
        assert any(refused in complaint for complaint in seen.complaints), seen.complaints
    for what in ("too_wide", "pale", "cut"):
        assert seen.languages["vi"][what]


def module(tmp_path: Path, **given: Any) -> dict[str, Any]:
    """Return what the module says, without a play; a `pygal` of the folder stands before that of the controller."""
    arguments = {"templates": str(TEMPLATES), "host": "h", "status": {}, "verification": VERIFIED} | given
    (tmp_path / "arguments.json").write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    done = subprocess.run(
        [sys.executable, ROOT / "plugins/modules/report_page.py", tmp_path / "arguments.json"],
        env=environment() | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'collections'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_check_mode_writes_nothing(clinic: Clinic, tmp_path: Path) -> None:
    """The play reads in check mode always; here is what only `--check` keeps from the role."""
    given: dict[str, Any] = {"report_directory": str(tmp_path / "x"), "verification_result": VERIFIED}
    given["status_result"] = status_of(clinic)
    role = ["localhost", "--check", "-m", "include_role", "-a", "name=physioflow.database.report"]
    result = run_to_end([str(BIN / "ansible"), *role, "-e", json.dumps(given)], SECONDS)
    assert result.status == 0, result.output
    assert "localhost.html would be written" in " ".join(result.output.split())
    assert not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_is_refused(clinic: Clinic, tmp_path: Path) -> None:
    said = module(tmp_path, file="/dev/null/x/h.html", status=status_of(clinic))["msg"]
    words = "h.html cannot be written: Not a directory. Set another folder: -e report_directory=FOLDER"
    assert said == f"/dev/null/x/{words}"


REFUSED = {
    "a time zone that is none": ("Asia/Nowhere", "", "report_timezone is Asia/Nowhere, which this controller does not"),
    "a controller without pygal": ("UTC", "raise ImportError", "-m pip install --require-hashes -r requirements.txt"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_controller_lacks_is_said_with_the_next_step(tmp_path: Path, what: str) -> None:
    zone, pygal, words = REFUSED[what]
    if pygal:
        (tmp_path / "pygal.py").write_text(pygal)
    said = module(tmp_path, file=str(tmp_path / "page.html"), timezone=zone)
    assert said["failed"]
    assert words in said["msg"]
    assert "No page was written" in said["msg"]
    assert not (tmp_path / "page.html").exists()


def test_a_broken_promise_is_on_the_page_and_does_not_stop_it_and_english_comes_first(reported: Reported) -> None:
    assert changed_of(reported.result, "spoilt") == 1
    page = reported.page("spoilt").read_text()
    assert '<html lang="en">' in page
    assert 'id="language-en" checked' in page
    found = figures(page)
    assert found["promised"] - found["verified"] == 1
    assert "idx_patients_mrn on patients: expected valid, found " in page
