"""The plan: what a deploy would do, what contradicts it, and what somebody changed by hand. It changes nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.integration.test_bad_input import append, write
from tests.integration.test_rollback import untouched
from tests.local import Local, Result

PENDING = """\
ALTER TABLE patients ADD COLUMN photo text;
CREATE INDEX idx_patients_photo ON patients (photo);
DO $$ BEGIN NULL; END $$;
CREATE TABLE photos (id uuid CONSTRAINT photos_pkey PRIMARY KEY, clinic_id uuid REFERENCES clinics (id));
"""


def plan(local: Local, database: str, **variables: object) -> Result:
    return local.play("playbooks/plan.yml", database_name=database, **variables)


def states(result: Result) -> dict[str, str]:
    """Return the state of each version as the plan shows it."""
    return dict(re.findall(r"^ +(\d{3}) \w+ +(\S+(?: \S+)*?) *(?:after \d.*)?$", result.output, re.MULTILINE))


def test_the_plan_says_what_a_deploy_would_do(local: Local, release: Path, tmp_path: Path, database: str) -> None:
    write(release, "016_photos", PENDING, depends="001")
    known = {"release_directory": str(release)}
    local.deploy(database_name=database, migrations_target="014", **known)
    before, databases = untouched(local, database), local.databases()
    file = tmp_path / "plan.json"
    result = plan(local, database, plan_file=str(file), plan_sql=True, plan_schema_drift=True, **known)
    assert result.status == 0, result.output
    assert states(result) == {f"{n:03d}": "applied" if n <= 14 else "pending" for n in range(1, 17)}
    assert (
        "patients: ACCESS EXCLUSIVE, an application waits with reading and writing (files/migrations/016_photos.sql:5)"
        in (result.output)
    )
    assert "clinics: SHARE ROW EXCLUSIVE, an application waits with writing" in result.output
    assert "what files/migrations/016_photos.sql:7 locks cannot be read" in result.output
    assert "files/migrations/016_photos.sql:6: require-concurrent-index-creation: " in result.output
    assert "ALTER TABLE patients ADD COLUMN photo text;" in result.output
    assert "Schema drift   none" in result.output

    [written] = json.loads(file.read_text())["hosts"].values()
    assert written["pending"] == ["015", "016"]
    assert written["schema_drift"] == []
    assert written["locks"][0]["table"] == "patients"
    assert written["migrations"][0]["state"] == "applied"
    assert "ADD COLUMN photo" in written["sql"]["files/migrations/016_photos.sql"]

    failed = plan(local, database, plan_fail_on_pending=True, **known)
    assert failed.status != 0
    assert f"Pending in {database}: 015, 016. Next: ansible-playbook deploy.yml applies them." in failed.output
    assert "ADD COLUMN photo" not in failed.output, "the SQL was not asked for"
    assert untouched(local, database) == before
    assert local.databases() == databases


def test_the_plan_names_every_contradiction(local: Local, release: Path, database: str) -> None:
    late = release / "migrations/010_medical_terms_tables.sql"
    kept = late.read_text()
    for path in [*release.glob("*/010_*"), *release.glob("*/013_*")]:
        path.unlink()
    local.deploy(database_name=database, release_directory=str(release))
    late.write_text(kept)
    append(release, "003_checklist_schema.sql", b"-- a byte more\n")
    for path in release.glob("*/015_*"):
        path.unlink()
    for path in release.glob("*/009_*"):
        text = path.read_text().replace("009_discharge_planning_tables", "009_discharge")
        path.with_name(path.name.replace("009_discharge_planning_tables", "009_discharge")).write_text(text)
        path.unlink()
    before = untouched(local, database)
    result = plan(local, database, release_directory=str(release), plan_schema_drift=True)
    assert result.status != 0
    found = states(result)
    assert found["002"] == "applied"
    assert (found["003"], found["009"], found["010"], found["015"]) == ("edited", "renamed", "late", "missing")
    assert "Schema drift   not looked for: the contradictions come first" in result.output
    assert f"Release and database {database} contradict each other: a deploy would refuse." in result.output
    assert untouched(local, database) == before


def test_what_was_changed_by_hand_is_said_by_object_and_without_a_row(local: Local, database: str) -> None:
    local.deploy(database_name=database)
    local.psql(
        """
        INSERT INTO organizations (name) VALUES ('canary clinics');
        DROP INDEX idx_insurance_bhyt_prefix;
        ALTER TABLE insurance_info ADD COLUMN shadow text DEFAULT 'x';
        ALTER TABLE insurance_info ALTER COLUMN bhyt_prefix_code TYPE varchar(9);
        CREATE TABLE notes (id int CONSTRAINT notes_pkey PRIMARY KEY, text text);
        INSERT INTO notes VALUES (1, 'canary');
        CREATE OR REPLACE FUNCTION vietnamese_unaccent(p_text text) RETURNS text
        LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower(p_text)';
        COMMENT ON TABLE patients IS 'changed';
        """,
        database,
    )
    before, databases = untouched(local, database), local.databases()
    result = plan(local, database, plan_schema_drift=True)
    assert result.status != 0
    _, _, shown = result.output.partition("Schema drift   ")
    lines = [line.strip() for line in shown.partition("\n\n")[0].splitlines()]
    assert lines == [
        "column insurance_info.bhyt_prefix_code: character varying(9), promised character varying(5)",
        "column insurance_info.shadow: not of the migrations",
        lines[2],
        "function vietnamese_unaccent(text): another definition",
        "index idx_insurance_bhyt_prefix: missing",
        "table notes: not of the migrations",
    ]
    assert lines[2].startswith("comment table patients: ")
    assert f"The database {database} is not what its migrations made: 6 differences." in result.output
    assert "canary" not in result.output
    assert untouched(local, database) == before
    assert local.databases() == databases


def test_the_plan_before_the_first_deploy_makes_nothing(local: Local, database: str) -> None:
    databases = local.databases()
    result = plan(local, database)
    assert result.status == 0, result.output
    assert set(states(result).values()) == {"pending"}
    assert local.databases() == databases
