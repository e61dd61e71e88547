"""Databases that were migrated by hand, and files that were edited on purpose.

Each database is a host of one play, so that a play shows several of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import undo
from tests.integration.oracle import Case, inventory_of, said_of
from tests.integration.test_bad_input import append
from tests.integration.test_sql_files import NAMES, run
from tests.local import ROOT, VERSIONS, Local, Result

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


def play(local: Local, folder: Path, hosts: dict[str, dict[str, Any]], *options: str, **variables: Any) -> Result:
    """Deploy with hosts of these variables."""
    return local.play("deploy.yml", *inventory_of(hosts, folder / "inventory"), *options, **variables)


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
        for name in [name for name in NAMES if before < name[:3] <= version]:
            run(local, template, "migrations", name)
        before = version
    return found


@pytest.fixture(scope="module")
def at_010(local: Local, make: Make, ready: str) -> str:
    """A database with a history up to 010."""
    name = make("at_010", ready)
    outcome = Case(local, name, ROOT / "files").apply(target="010")
    assert outcome.ok, outcome
    return name


def test_what_is_not_at_its_baseline_is_refused_and_said_by_object(
    local: Local, make: Make, by_hand: dict[str, str], tmp_path: Path
) -> None:
    """Nothing is said of it, or too much; a table of the next is there; all names are there, and one lies."""
    found = {
        "nothing": (make("nothing", by_hand["009"]), ""),
        "far": (make("far", by_hand["009"]), "010"),
        "part": (make("part", by_hand["006"]), ""),
        "part_of_it": (make("part_of_it", by_hand["006"]), "006"),
        "another": (make("another", by_hand["009"]), "009"),
    }
    for host in ("part", "part_of_it"):
        local.psql("CREATE TABLE pt_service_codes (id uuid PRIMARY KEY)", found[host][0])
    local.psql(
        "ALTER TABLE insurance_info DROP CONSTRAINT chk_bhyt_card_format, "
        "ADD CONSTRAINT chk_bhyt_card_format CHECK (bhyt_card_number <> '')",
        found["another"][0],
    )
    hosts = {host: {"database_name": name, "migrations_baseline": base} for host, (name, base) in found.items()}
    refused = play(local, tmp_path, hosts)
    assert refused.status != 0
    assert refused.changed == 0
    for host, (name, _) in found.items():
        said = words(said_of(refused, host))
        if host in ("nothing", "far"):
            next_step = "it is not at 010: adopt it with" if host == "far" else "adopt it with"
            assert (
                f"The database {name} has 28 tables in schema public and no history of migrations; this run applied no "
                f"migration. 001 to 009 are fully applied. 010 to {VERSIONS[-1]} are not applied. Next: "
                f"{next_step} -e migrations_baseline=009, which compares every definition first; or restore a backup "
                "that has its history (ansible-playbook playbooks/restore.yml)"
            ) in said, said
        elif host == "another":
            assert "different: constraint chk_bhyt_card_format on insurance_info." in said, said
            assert "complete 005_bhyt_insurance_enhancement.sql, " in said
        else:
            assert "001 to 006 are fully applied. 007_billing_tables is partly applied. existing: " in said, said
            assert "table pt_service_codes" in said.partition("existing: ")[2].partition("missing: ")[0]
            assert "table invoices" in said.partition("missing: ")[2]
            back = "complete 007_billing_tables.sql, or roll it back with psql and the file of that name in rollbacks"
            assert back in said
        assert not has_history(local, name)


def edit(release: Path) -> None:
    """Edit two applied files as a reviewer accepts it."""
    append(release, "007_billing_tables.sql", b"-- reviewed\n")
    append(release, "008_clinical_protocols_tables.sql", b"-- reviewed\n")


# Variables of a deploy, on an empty database or one at 010, and what refuses it.
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "edited": ("at_010", {}, "accept it: -e migrations_accept=007 -e \"migrations_reason='...'\"."),
    "no_reason": (
        "at_010",
        {"migrations_accept": "007,008"},
        "migrations_accept needs a reason, which the history records",
    ),
    "one_of_two": (
        "at_010",
        {"migrations_accept": "007", "migrations_reason": REASON},
        "008_clinical_protocols_tables.sql was edited after",
    ),
    "too_many": (
        "at_010",
        {"migrations_accept": "006,007,008,011", "migrations_reason": REASON},
        "006_outcome_measures_tables.sql was not edited since it was applied, so there is nothing to accept. Remove "
        "it from migrations_accept. 011 is not applied, so there is no edit to accept.",
    ),
    "history": ("at_010", {"migrations_baseline": "011"}, "The database has a history, and 011 of the baseline"),
    "unknown": ("empty", {"migrations_baseline": "099"}, "The baseline 099 is not a version of this release"),
    "empty": ("empty", {"migrations_baseline": "003"}, "so there is nothing to adopt."),
}


def test_an_edit_or_a_baseline_that_cannot_be_accepted_is_refused(
    local: Local, make: Make, ready: str, at_010: str, release: Path
) -> None:
    """A baseline is for a database with tables and without history."""
    edit(release)
    names = {"at_010": make("refused", at_010), "empty": make("empty", ready)}
    before = {name: local.catalogs(name) for name in names.values()}
    hosts = {host: {"database_name": names[kind]} | variables for host, (kind, variables, _) in REFUSED.items()}
    refused = play(local, release.parent, hosts, release_directory=str(release))
    assert refused.status != 0
    assert refused.changed == 0
    for host, (_, _, sentence) in REFUSED.items():
        assert sentence in words(said_of(refused, host)), f"{host}\n{refused.output}"
    assert {name: local.catalogs(name) for name in names.values()} == before


def test_what_was_migrated_by_hand_is_adopted_and_a_reviewed_edit_accepted(
    local: Local, make: Make, by_hand: dict[str, str], at_010: str, release: Path
) -> None:
    edit(release)
    hand, edited, unvalidated = make("adopted", by_hand["009"]), make("edited", at_010), make("half", by_hand["016"])
    before = {name: local.catalogs(name) for name in (hand, edited)}
    hosts: dict[str, dict[str, Any]] = {
        "hand": {"database_name": hand, "migrations_baseline": "009"},
        "edited": {"database_name": edited, "migrations_accept": "007,008", "migrations_reason": REASON},
        "unvalidated": {"database_name": unvalidated, "migrations_baseline": "016"},
        # A clinic with the guide's release, where somebody has corrected a row before 053 does.
        "guide": {"database_name": make("guide", by_hand["015"]), "migrations_baseline": "015"},
    }
    corrected = "UPDATE bhyt_validation_rules SET beneficiary_category_vi = 'Cựu chiến binh' WHERE rule_name ~ '^CB1'"
    local.psql(corrected, hosts["guide"]["database_name"])
    checked = play(local, release.parent, hosts, "--check", release_directory=str(release))
    assert checked.status == 0, checked.output
    assert "9 adopted" in said_of(checked, "hand")
    assert f"{len(VERSIONS) - 9} pending" in said_of(checked, "hand")
    assert "007 billing_tables: its edit is accepted" in said_of(checked, "edited")
    assert {name: local.catalogs(name) for name in (hand, edited)} == before
    assert not has_history(local, hand)
    assert local.psql(ACTS, edited, role="postgres") == ""

    done = play(local, release.parent, hosts, release_directory=str(release))
    assert done.status == 0, done.output
    assert f"{len(VERSIONS) - 9} applied now" in said_of(done, "hand")
    assert "9 before" in said_of(done, "hand")
    assert local.psql(ACTS, hand, role="postgres") == ", ".join(f"baseline {n:03d}" for n in range(1, 10))
    adopted = "SELECT count(*) FROM migrations.applied WHERE act = 'baseline' AND operator <> ''"
    assert local.psql(adopted, hand, role="postgres") == "9"
    assert f"{len(VERSIONS) - 16} applied now" in said_of(done, "unvalidated")
    assert "16 before" in said_of(done, "unvalidated")
    assert f"{len(VERSIONS) - 15} applied now" in said_of(done, "guide")
    assert f"{len(VERSIONS) - 10} applied now" in said_of(done, "edited")
    assert "10 before" in said_of(done, "edited")
    assert local.psql(ACTS, edited, role="postgres") == "accept 007, accept 008"
    query = "SELECT DISTINCT reason, operator <> '' FROM migrations.history WHERE act = 'accept'"
    assert local.psql(query, edited, role="postgres") == f"{REASON}|t"

    del hosts["edited"]["migrations_accept"], hosts["edited"]["migrations_reason"]
    again = play(local, release.parent, hosts, release_directory=str(release))
    assert (again.status, again.changed) == (0, 0), again.output


FOREIGN = {
    "V1__visits.sql": "CREATE TABLE visits (id int PRIMARY KEY, code text NOT NULL DEFAULT 'x' CHECK (code <> ''));"
    "CREATE INDEX idx_visits_code ON visits (code); COMMENT ON TABLE visits IS 'Visits';",
    "V2__notes.sql": "CREATE TABLE notes (id int PRIMARY KEY); CREATE TABLE more (id int PRIMARY KEY);",
}
SPOILT = (
    "CREATE TABLE notes (id int PRIMARY KEY); DROP INDEX idx_visits_code; CREATE INDEX idx_visits_code ON visits (id)"
)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A release that promises nothing."""
    folder = tmp_path / "theirs"
    (folder / "migrations").mkdir(parents=True)
    for name, sql in FOREIGN.items():
        (folder / "migrations" / name).write_text(sql)
    return folder


def test_a_release_without_promises_is_adopted_by_its_definitions_or_with_a_reason(
    local: Local, make: Make, theirs: Path, tmp_path: Path
) -> None:
    """Where no scratch database can be made there is no proof, and a reason is asked for."""
    database, unproven = make("theirs", "template0"), make("unproven", "template0")
    for name in (database, unproven):
        local.psql(FOREIGN["V1__visits.sql"], name)
    local.psql(SPOILT, database)
    release = {"release_directory": str(theirs)}
    before = local.catalogs(database)

    planned = local.play("playbooks/plan.yml", database_name=database, **release)
    assert f"Adopt {database} with -e migrations_baseline=VERSION, the last applied one" in words(planned.output)

    given: dict[str, Any] = release | {"migrations_baseline": "1"}
    refused = local.play("playbooks/migrate.yml", database_name=database, **given)
    assert refused.status != 0
    said = words(refused.output)
    assert "index idx_visits_code on visits: expected USING btree (code), found USING btree (id)" in said, said
    assert "V2__notes.sql is partly applied. existing: table notes; missing: table more." in said, said
    assert "fully applied" not in said  # what promises, where there are some, are found to hold
    assert local.catalogs(database) == before

    refused = local.play(
        "playbooks/migrate.yml", database_name=unproven, migrations_owner="nobody_of_that_name", **given
    )
    assert refused.status != 0
    said = words(refused.output)
    assert f"The database {unproven} could not be compared with the release at 1" in said
    assert "-e migrations_baseline_unproven=true" in said
    assert not has_history(local, unproven)

    anyway = {"migrations_baseline_unproven": True, "migrations_target": "1"}
    refused = local.play("playbooks/migrate.yml", database_name=unproven, **given, **anyway)
    assert refused.status != 0
    assert "migrations_baseline_unproven needs a reason" in words(refused.output)
    assert not has_history(local, unproven)

    local.psql("DROP TABLE notes; DROP INDEX idx_visits_code; CREATE INDEX idx_visits_code ON visits (code)", database)
    reason = "Lan compared both dumps"
    hosts: dict[str, dict[str, Any]] = {
        "proven": {"database_name": database},
        "unproven": {"database_name": unproven, "migrations_reason": reason} | anyway,
    }
    inventory = inventory_of(hosts, tmp_path / "inventory")
    done = local.play("playbooks/migrate.yml", *inventory, **given)
    assert done.status == 0, done.output
    assert "are equal to those of a scratch database" in words(said_of(done, "proven"))
    assert "are equal to those of a scratch database" not in words(said_of(done, "unproven"))
    assert local.psql(ACTS, database, role="postgres") == "baseline 1"
    history = local.psql("SELECT act, reason FROM migrations.history", unproven, role="postgres")
    assert history == f"baseline|{reason}"
    assert not [name for name in local.databases() if "_scratch_" in name]
