"""The plan: what a deploy would do, what contradicts it, and what somebody changed by hand. It changes nothing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import apart, undo
from tests.apart import failure_of
from tests.integration.test_bad_input import append, write
from tests.integration.test_rollback import untouched
from tests.local import ROOT, VERSIONS, Local, Result

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
# What a host of the play asks for; each has a database of its own, and `new` has none.
ASKED: dict[str, dict[str, Any]] = {
    "behind": {"plan_sql": True, "plan_schema_drift": True},
    "by_hand": {"plan_schema_drift": True},
    "strict": {"plan_fail_on_pending": True},
    "new": {},
}


def states(shown: str) -> dict[str, str]:
    """Return the state of each version as the plan shows it."""
    return dict(re.findall(r"^ +(\d{3}) \w+ +(\S+(?: \S+)*?) *(?:after \d.*)?$", shown, re.MULTILINE))


def copied(local: Local, name: str, stack: ExitStack, sql: str = "SELECT 1") -> None:
    """Make a copy of the deployed database for this test, and change it."""
    stack.enter_context(undo.afterwards(local.drop_database, name))
    local.create_database(name, "physioflow")
    local.psql(sql, name, role="postgres")


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
    """A play over databases that are one migration behind, changed by hand, and not there."""
    folder = tmp_path_factory.mktemp("plans")
    release = Path(shutil.copytree(ROOT / "files", folder / "files"))
    write(release, "901_photos", PENDING, depends="001")
    hosts = {host: {"database_name": f"test_plan_{host}"} | asked for host, asked in ASKED.items()}
    with ExitStack() as stack:
        for host in ("behind", "by_hand", "strict"):
            copied(local, f"test_plan_{host}", stack, BY_HAND if host == "by_hand" else "SELECT 1")
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
    assert states(shown) == dict.fromkeys(VERSIONS, "applied") | {"901": "pending"}
    assert ("patients: ACCESS EXCLUSIVE, blocks reads and writes (files/migrations/901_photos.sql:5)") in shown
    assert "clinics: SHARE ROW EXCLUSIVE, blocks writes" in shown
    assert "the locks of files/migrations/901_photos.sql:7 are unknown" in shown
    assert "files/migrations/901_photos.sql:6: require-concurrent-index-creation: " in shown
    assert "ALTER TABLE patients ADD COLUMN photo text;" in shown
    assert "Schema drift   none" in shown


def test_the_plan_is_written_of_every_host(plans: Plans) -> None:
    hosts = plans.written["hosts"]
    assert set(hosts) == set(ASKED)
    written = hosts["behind"]
    assert written["pending"] == ["901"]
    assert written["schema_drift"] == []
    assert written["locks"][0]["table"] == "patients"
    assert written["migrations"][0]["state"] == "applied"
    assert "ADD COLUMN photo" in written["sql"]["files/migrations/901_photos.sql"]
    assert hosts["strict"]["sql"] == {}, "the SQL was not asked for"
    assert len(hosts["by_hand"]["schema_drift"]) == 6
    assert len(hosts["new"]["pending"]) == len(VERSIONS) + 1


def test_what_is_pending_fails_where_that_is_asked_for(plans: Plans) -> None:
    said = failure_of(plans.result, "strict")
    assert "Pending in test_plan_strict: 901. Next: ansible-playbook deploy.yml applies them." in said
    assert "ADD COLUMN photo" not in plans.of("strict"), "the SQL was not asked for"
    assert "Schema drift" not in plans.of("strict")


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


def test_the_plan_names_every_contradiction(local: Local, release: Path, database: str) -> None:
    append(release, "003_checklist_schema.sql", b"-- a byte more\n")
    for path in release.glob(f"*/{VERSIONS[-1]}_*"):
        path.unlink()
    for path in release.glob("*/009_*"):
        text = path.read_text().replace("009_discharge_planning_tables", "009_discharge")
        path.with_name(path.name.replace("009_discharge_planning_tables", "009_discharge")).write_text(text)
        path.unlink()
    late = "ALTER TABLE migrations.history DISABLE TRIGGER ALL; DELETE FROM migrations.history WHERE version = '010'"
    with ExitStack() as stack:
        copied(local, database, stack, late)
        before = untouched(local, database)
        result = local.play(
            "playbooks/plan.yml", database_name=database, release_directory=str(release), plan_schema_drift=True
        )
        assert untouched(local, database) == before
    assert result.status != 0
    found = states(result.output)
    assert found["002"] == "applied"
    assert (found["003"], found["009"], found["010"], found[VERSIONS[-1]]) == ("edited", "renamed", "late", "missing")
    assert "Schema drift   not checked: resolve the contradictions first" in result.output
    assert f"Release and database {database} contradict each other: a deploy would fail." in result.output
