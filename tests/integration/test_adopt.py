"""Databases that were migrated by hand, and files that were edited on purpose.

Each database is a host of one play, so that a play shows several of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.verification.release import read_promises

from tests import apart, undo
from tests.fuzz.driver import Outcome, run_module
from tests.integration.oracle import Case, inventory_of, said_of
from tests.integration.test_bad_input import append
from tests.integration.test_sql_files import NAMES
from tests.local import ROOT, VERSIONS, Local

ACTS = (
    "SELECT string_agg(act || ' ' || version, ', ' ORDER BY id) FROM migrations.history"
    " WHERE act NOT IN ('start', 'apply')"
)
REASON = "Lan read it: a comment"
Make = Callable[[str, str], str]


def words(text: str) -> str:
    return " ".join(text.split())


def has_history(local: Local, database: str) -> bool:
    return local.psql("SELECT to_regclass('migrations.history') IS NOT NULL", database, role="postgres") == "t"


def apply_by_hand(local: Local, database: str, after: str, last: str) -> None:
    files = [str(ROOT / "files/migrations" / name) for name in NAMES if after < name[:3] <= last]
    done = local.run_psql(*(option for file in files for option in ("-f", file)), database=database)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def make(local: Local) -> Iterator[Make]:
    """Makes databases of this module, each of which is gone at its end: empty ones, or copies of another."""
    with ExitStack() as stack:

        def made(name: str, template: str) -> str:
            name = f"test_adopt_{name}"
            stack.enter_context(undo.afterwards(local.drop_database, name))
            local.create_database(name, template)
            return name

        yield made


@pytest.fixture(scope="module")
def ready(local: Local, make: Make) -> str:
    """An empty database as the guide's prerequisites make it."""
    name = make("ready", "template0")
    local.psql('CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION pg_trgm', name, role="postgres")
    return name


@pytest.fixture(scope="module")
def by_hand(local: Local, make: Make, ready: str) -> dict[str, str]:
    """Databases that psql brought to 006, 009, 015 and 016, whose foreign keys are not yet validated."""
    found: dict[str, str] = {}
    before, template = "", ready
    for version in ("006", "009", "015", "016"):
        found[version] = template = make(f"hand_{version}", template)
        apply_by_hand(local, template, before, version)
        before = version
    return found


def refusal(local: Local, database: str, last: str = VERSIONS[-1], **asked: Any) -> str:
    """Return what refuses a database by the promises of the release up to a version, as in tasks/survey.yml."""
    documents, problems = read_promises(ROOT / "files/verify", [name.removesuffix(".sql") for name in NAMES])
    assert problems == []
    answer = run_module(
        "database_verification",
        connection={f"login_{name}": value for name, value in local.connection.items()},
        database=database,
        promises=[{"version": one["version"], "text": json.dumps(one)} for one in documents if one["version"] <= last],
        **asked,
    )
    return words(answer["msg"]) if answer.get("failed") else ""


def at(baseline: str) -> dict[str, Any]:
    return {"survey": {"baseline": baseline, "tables": 28}}


def test_what_is_not_at_its_baseline_is_said_by_object(local: Local, make: Make, by_hand: dict[str, str]) -> None:
    """Nothing is said of it, or too much; a table of the next is there; all names are there, and one lies."""
    for baseline, next_step in (("", "adopt it with"), ("010", "it is not at 010: adopt it with")):
        assert refusal(local, by_hand["009"], **at(baseline)).startswith(
            f"The database {by_hand['009']} has 28 tables in schema public and no history of migrations; this run "
            f"applied no migration. 001 to 009 are fully applied. 010 to {VERSIONS[-1]} are not applied. Next: "
            f"{next_step} -e migrations_baseline=009, which compares every definition first; or restore a backup that "
            "has its history (ansible-playbook playbooks/restore.yml)"
        )

    part = make("part", by_hand["006"])
    local.psql("CREATE TABLE pt_service_codes (id uuid PRIMARY KEY)", part)
    for baseline in ("", "006"):
        said = refusal(local, part, **at(baseline))
        assert "001 to 006 are fully applied. 007_billing_tables is partly applied. existing: " in said, said
        assert "table pt_service_codes" in said.partition("existing: ")[2].partition("missing: ")[0]
        assert "table invoices" in said.partition("missing: ")[2]
        back = "complete 007_billing_tables.sql, or roll it back with psql and the file of that name in rollbacks"
        assert back in said

    another = make("another", by_hand["009"])
    local.psql(
        "ALTER TABLE insurance_info DROP CONSTRAINT chk_bhyt_card_format, "
        "ADD CONSTRAINT chk_bhyt_card_format CHECK (bhyt_card_number <> '')",
        another,
    )
    said = refusal(local, another, **at("009"))
    assert "different: constraint chk_bhyt_card_format on insurance_info." in said, said
    assert "complete 005_bhyt_insurance_enhancement.sql, " in said


def test_what_a_later_migration_validates_or_corrects_is_not_in_the_way(
    local: Local, make: Make, by_hand: dict[str, str]
) -> None:
    """A clinic with the guide's release, where somebody has corrected a row before 053 does, goes to the end."""
    guide = make("guide", by_hand["015"])
    corrected = "UPDATE bhyt_validation_rules SET beneficiary_category_vi = 'Cựu chiến binh' WHERE rule_name ~ '^CB1'"
    local.psql(corrected, guide)
    for database, version in ((guide, "015"), (by_hand["016"], "016")):
        assert refusal(local, database, **at(version)) == ""
        assert refusal(local, database, version) == ""
    apply_by_hand(local, guide, "015", VERSIONS[-1])
    assert refusal(local, guide) == ""


def test_what_was_migrated_by_hand_is_adopted_and_a_reviewed_edit_accepted(
    local: Local, make: Make, ready: str, by_hand: dict[str, str], release: Path
) -> None:
    hand, edited = make("adopted", by_hand["006"]), make("edited", ready)
    assert Case(local, edited, ROOT / "files").apply(target="008").ok
    for name in ("007_billing_tables.sql", "008_clinical_protocols_tables.sql"):
        append(release, name, b"-- reviewed\n")
    before = {name: local.catalogs(name) for name in (hand, edited)}
    hosts: dict[str, dict[str, Any]] = {
        "hand": {"database_name": hand, "migrations_baseline": "006"},
        "edited": {"database_name": edited, "migrations_accept": "007,008", "migrations_reason": REASON},
    }
    options = inventory_of(hosts, release.parent / "inventory")
    variables = {"release_directory": str(release), "migrations_target": "009"}
    checked = local.play("deploy.yml", *options, "--check", **variables)
    assert checked.status == 0, checked.output
    assert "6 adopted" in said_of(checked, "hand")
    assert "3 pending" in said_of(checked, "hand")
    assert "007 billing_tables: its edit is accepted" in said_of(checked, "edited")
    assert {name: local.catalogs(name) for name in (hand, edited)} == before
    assert not has_history(local, hand)
    assert local.psql(ACTS, edited, role="postgres") == ""

    done = local.play("deploy.yml", *options, **variables)
    assert done.status == 0, done.output
    assert "3 applied now" in said_of(done, "hand")
    assert "6 before" in said_of(done, "hand")
    assert "are equal to those of a scratch database" in words(said_of(done, "hand"))
    assert local.psql(ACTS, hand, role="postgres") == ", ".join(f"baseline {n:03d}" for n in range(1, 7))
    adopted = "SELECT count(*) FROM migrations.applied WHERE act = 'baseline' AND operator <> ''"
    assert local.psql(adopted, hand, role="postgres") == "6"
    assert "1 applied now" in said_of(done, "edited")
    assert "8 before" in said_of(done, "edited")
    assert local.psql(ACTS, edited, role="postgres") == "accept 007, accept 008"
    query = "SELECT DISTINCT reason, operator <> '' FROM migrations.history WHERE act = 'accept'"
    assert local.psql(query, edited, role="postgres") == f"{REASON}|t"
    assert Case(local, edited, release).apply(target="009") == Outcome()


FOREIGN = {
    "001_visits.sql": "CREATE TABLE visits (id int PRIMARY KEY, code text NOT NULL DEFAULT 'x' CHECK (code <> ''));"
    "CREATE INDEX idx_visits_code ON visits (code); COMMENT ON TABLE visits IS 'Visits';",
    "002_notes.sql": "CREATE TABLE notes (id int PRIMARY KEY); CREATE TABLE more (id int PRIMARY KEY);",
}
SPOILT = (
    "CREATE TABLE notes (id int PRIMARY KEY); DROP INDEX idx_visits_code; CREATE INDEX idx_visits_code ON visits (id)"
)
UNPROVEN = {"migrations_baseline_unproven": True}
# Variables of a deploy, and what refuses it; each has a database of its own.
THEIRS: dict[str, tuple[dict[str, Any], str]] = {
    "spoilt": ({}, "index idx_visits_code on visits: expected USING btree (code), found USING btree (id)"),
    "no_owner": ({"migrations_owner": "nobody_of_that_name"}, "could not be compared with the release at 001"),
    "no_reason": (UNPROVEN, "migrations_baseline_unproven needs a reason"),
    "proven": ({}, ""),
    "unproven": (UNPROVEN | {"migrations_reason": REASON}, ""),
}


def test_a_release_without_promises_is_adopted_by_its_definitions_or_with_a_reason(
    local: Local, make: Make, tmp_path: Path
) -> None:
    """Where no scratch database can be made there is no proof, and a reason is asked for."""
    folder = tmp_path / "theirs/migrations"
    folder.mkdir(parents=True)
    for name, sql in FOREIGN.items():
        (folder / name).write_text(sql)
    release = {"release_directory": str(folder.parent), "migrations_header_required": False}
    names = {host: make(host, "template0") for host in THEIRS}
    for name in names.values():
        local.psql(FOREIGN["001_visits.sql"], name)
    local.psql(SPOILT, names["spoilt"])
    refused = {host: local.catalogs(names[host]) for host, (_, sentence) in THEIRS.items() if sentence}

    planned = local.play("playbooks/plan.yml", database_name=names["spoilt"], **release)
    assert f"The database {names['spoilt']} has 2 tables in schema public and no history" in words(planned.output)
    assert f"Adopt {names['spoilt']} with -e migrations_baseline=VERSION, the last applied" in words(planned.output)

    hosts = {host: {"database_name": names[host]} | variables for host, (variables, _) in THEIRS.items()}
    given = release | {"migrations_baseline": "001", "migrations_target": "001"}
    done = apart.play(local, tmp_path / "play", "playbooks/migrate.yml", hosts, **given)
    assert done.status != 0
    for host, (_, sentence) in THEIRS.items():
        assert sentence in apart.failure_of(done, host), done.output
        assert bool(sentence) == bool(apart.failure_of(done, host)), done.output
    assert {host: local.catalogs(names[host]) for host in refused} == refused
    said = apart.failure_of(done, "spoilt")
    assert "002_notes.sql is partly applied. existing: table notes; missing: table more." in said, said
    assert "fully applied" not in said  # what promises, where there are some, are found to hold
    assert "-e migrations_baseline_unproven=true" in apart.failure_of(done, "no_owner")

    assert "are equal to those of a scratch database" in apart.said_of(done, "proven")
    assert "are equal to those of a scratch database" not in apart.said_of(done, "unproven")
    assert local.psql(ACTS, names["proven"], role="postgres") == "baseline 001"
    history = local.psql("SELECT act, reason FROM migrations.history", names["unproven"], role="postgres")
    assert history == f"baseline|{REASON}"
    assert not [name for name in local.databases() if "_scratch_" in name]
