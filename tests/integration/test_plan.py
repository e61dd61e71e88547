"""The plan: what a deploy would do, what contradicts it, and what somebody changed by hand. It changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests import apart, undo
from tests.apart import failure_of
from tests.integration.oracle import Case
from tests.integration.test_bad_input import write
from tests.integration.test_rollback import untouched
from tests.local import VERSIONS, Local, Result, release_up_to

PENDING = """\
ALTER TABLE patients ADD COLUMN photo text;
CREATE INDEX idx_patients_photo ON patients (photo);
DO $$ BEGIN NULL; END $$;
CREATE TABLE photos (id uuid CONSTRAINT photos_pkey PRIMARY KEY, clinic_id uuid REFERENCES clinics (id));
"""


# What somebody did by hand.
BY_HAND = """
INSERT INTO organizations (name) VALUES ('canary clinics');
DROP INDEX idx_insurance_bhyt_prefix;
ALTER TABLE insurance_info ADD COLUMN shadow text DEFAULT 'x';
ALTER TABLE insurance_info ALTER COLUMN bhyt_prefix_code TYPE varchar(9);
CREATE TABLE notes (id int CONSTRAINT notes_pkey PRIMARY KEY, text text);
INSERT INTO notes VALUES (1, 'canary');
CREATE OR REPLACE FUNCTION vietnamese_unaccent(p_text text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower(p_text)';
COMMENT ON TABLE patients IS 'changed';
"""
# What contradicts the release: 003 had another text and 009 another name, 010 is missing before others, 903 is unknown.
CONTRARY = """
ALTER TABLE migrations.history DISABLE TRIGGER ALL;
UPDATE migrations.history SET sha256 = repeat('0', 64), sha256_raw = repeat('0', 64) WHERE version = '003';
UPDATE migrations.history SET name = 'discharge' WHERE version = '009';
DELETE FROM migrations.history WHERE version = '010';
UPDATE migrations.history SET version = '903', name = 'gone' WHERE version = '011';
"""
EXTENSIONS = 'CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION pg_trgm; CREATE EXTENSION btree_gist'
# What a host of the play asks for; each has a database of its own, and `new` has none.
ASKED: dict[str, dict[str, Any]] = {
    "behind": {"plan_sql": True},
    "by_hand": {"plan_schema_drift": True},
    "strict": {"plan_fail_on_pending": True, "plan_schema_drift": True},
    "contrary": {"plan_schema_drift": True},
    "new": {},
}
CHANGED = {"by_hand": BY_HAND, "contrary": CONTRARY}
BEGUN = 2  # how many migrations `strict` has
STANDING = VERSIONS[:11]  # those of the release that the others have; what comes later makes no other plan


def states(shown: str) -> dict[str, str]:
    """Return the state of each version as the plan shows it."""
    return dict(re.findall(r"^ +(\d{3}) \w+ +(\S+(?: \S+)*?) *(?:after \d.*)?$", shown, re.MULTILINE))


def make(case: Case, stack: ExitStack, target: str, sql: str) -> None:
    """Make a database for this test, and change it."""
    stack.enter_context(undo.afterwards(case.local.drop_database, case.database))
    case.local.create_database(case.database)
    case.psql(EXTENSIONS, role="postgres")
    outcome = case.apply(target=target)
    assert outcome.ok, outcome
    case.psql(sql, role="postgres")


class Plans:
    """What one play said and wrote of several hosts, and what it left behind."""

    def __init__(self, result: Result, written: Any, *, changed: list[str]) -> None:
        self.result = result
        self.written = written
        self.changed = changed

    def of(self, host: str) -> str:
        """Return the plan that was shown of a host."""
        [shown] = re.findall(
            rf"^ +PhysioFlow database \S+ on {host}$.*?(?=^\S|\Z)",
            self.result.output,
            re.MULTILINE | re.DOTALL,
        )
        return str(shown)


@pytest.fixture(scope="module")
def plans(local: Local, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plans]:
    """A play over databases that are behind, changed by hand, at odds with the release, and not there."""
    folder = tmp_path_factory.mktemp("plans")
    release = release_up_to(STANDING[-1], folder)
    write(release, "901_photos", PENDING, depends="001")
    hosts = {host: {"database_name": f"test_plan_{host}"} | asked for host, asked in ASKED.items()}
    with ExitStack() as stack:
        for host in ("behind", "by_hand", "strict", "contrary"):
            target = STANDING[BEGUN - 1] if host == "strict" else STANDING[-1]
            make(Case(local, f"test_plan_{host}", release), stack, target, CHANGED.get(host, "SELECT 1"))
        before = {host: untouched(local, f"test_plan_{host}") for host in ASKED if host != "new"}
        databases = local.databases()
        inventory, file = apart.inventory(folder / "inventory", hosts), folder / "plan.json"
        result = local.play(
            "playbooks/plan.yml", "-i", str(inventory), release_directory=str(release), plan_file=str(file)
        )
        assert file.exists(), result.output
        changed = [host for host, was in before.items() if untouched(local, f"test_plan_{host}") != was]
        changed += [] if local.databases() == databases else ["the server"]
        yield Plans(result, json.loads(file.read_text()), changed=changed)


def test_the_plan_changes_nothing_and_shows_no_row(plans: Plans) -> None:
    assert plans.changed == []
    assert "canary" not in plans.result.output


def test_the_plan_says_what_a_deploy_would_do(plans: Plans) -> None:
    shown = plans.of("behind")
    assert failure_of(plans.result, "behind") == ""
    assert states(shown) == dict.fromkeys(STANDING, "applied") | {"901": "pending"}
    assert ("patients: ACCESS EXCLUSIVE, blocks reads and writes (files/migrations/901_photos.sql:5)") in shown
    assert "clinics: SHARE ROW EXCLUSIVE, blocks writes" in shown
    assert "the locks of files/migrations/901_photos.sql:7 are unknown" in shown
    assert "files/migrations/901_photos.sql:6: require-concurrent-index-creation: " in shown
    assert "ALTER TABLE patients ADD COLUMN photo text;" in shown
    assert "Schema drift" not in shown, "it was not asked for"


def test_the_plan_is_written_of_every_host(plans: Plans) -> None:
    hosts = plans.written["hosts"]
    assert set(hosts) == set(ASKED)
    written = hosts["behind"]
    assert written["pending"] == ["901"]
    assert hosts["strict"]["schema_drift"] == []
    assert written["locks"][0]["table"] == "patients"
    assert written["migrations"][0]["state"] == "applied"
    assert "ADD COLUMN photo" in written["sql"]["files/migrations/901_photos.sql"]
    assert hosts["strict"]["sql"] == {}, "the SQL was not asked for"
    assert len(hosts["by_hand"]["schema_drift"]) == 6
    assert len(hosts["new"]["pending"]) == len(STANDING) + 1


def test_what_is_pending_fails_where_that_is_asked_for(plans: Plans) -> None:
    said = failure_of(plans.result, "strict")
    pending = ", ".join([*STANDING[BEGUN:], "901"])
    assert f"Pending in test_plan_strict: {pending}. Next: ansible-playbook deploy.yml applies them." in said
    assert "ADD COLUMN photo" not in plans.of("strict"), "the SQL was not asked for"
    assert "Schema drift   none" in plans.of("strict")


def test_what_was_changed_by_hand_is_said_by_object(plans: Plans) -> None:
    _, _, shown = plans.of("by_hand").partition("Schema drift   ")
    lines = [line.strip() for line in shown.rstrip().splitlines()]
    assert lines == [
        "column insurance_info.bhyt_prefix_code: character varying(9), promised character varying(5)",
        "column insurance_info.shadow: not in the migrations",
        lines[2],
        "function vietnamese_unaccent(text): different definition",
        "index idx_insurance_bhyt_prefix: missing",
        "table notes: not in the migrations",
    ]
    assert lines[2].startswith("comment table patients: ")
    assert "The database test_plan_by_hand differs from its migrations: 6 differences." in failure_of(
        plans.result, "by_hand"
    )


def test_the_plan_before_the_first_deploy_needs_no_database(plans: Plans) -> None:
    assert failure_of(plans.result, "new") == ""
    assert set(states(plans.of("new")).values()) == {"pending"}


def test_the_plan_names_every_contradiction(plans: Plans) -> None:
    shown = plans.of("contrary")
    found = states(shown)
    assert found["002"] == "applied"
    assert (found["003"], found["009"], found["010"], found["903"]) == ("edited", "renamed", "late", "missing")
    assert "Schema drift   not checked: resolve the contradictions first" in shown
    said = failure_of(plans.result, "contrary")
    assert "Release and database test_plan_contrary contradict each other: a deploy would fail." in said
