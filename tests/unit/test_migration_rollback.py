"""Which migrations go back, in which order, and what is lost."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import read_catalog
from ansible_collections.physioflow.database.plugins.module_utils.migrations.failure import loss_failure, read_loss
from ansible_collections.physioflow.database.plugins.module_utils.migrations.rollback import plan_rollback, read_sets

ROOT = Path(__file__).resolve().parents[2]
RUN = "0aee8018-f1e7-4540-bb7f-3ba39587919a"


def entry(version: str, *depends: str, rollback: bool = True) -> dict[str, Any]:
    name = f"{version}_x.sql"
    return {
        "version": version,
        "file": f"files/migrations/{name}",
        "depends": list(depends),
        "rollback": f"files/rollbacks/{name}" if rollback else None,
    }


CATALOG = [entry("001"), entry("002", "001"), entry("003", "001"), entry("004", "003", rollback=False)]
ALL = ["001", "002", "003", "004"]


def versions(**wish: Any) -> list[str]:
    plan = plan_rollback([*CATALOG[:3], entry("004", "003")], ALL, **wish)
    assert plan.problems == []
    return [step["version"] for step in plan.steps]


def problem(applied: Any = ALL, **wish: Any) -> str:
    plan = plan_rollback(CATALOG, applied, **wish)
    [sentence] = plan.problems
    return str(sentence)


def test_what_depends_on_another_goes_first() -> None:
    assert versions(to="001") == ["004", "003", "002"]
    assert versions(to="000") == ["004", "003", "002", "001"]
    assert versions(to="004") == []
    assert versions(only="002") == ["002"]
    assert versions(named="pair", sets={"pair": ["003", "004"]}) == ["004", "003"]


def test_of_a_set_goes_what_stands() -> None:
    plan = plan_rollback(CATALOG, ["001", "003"], named="pair", sets={"pair": ["003", "004"]})
    assert [step["version"] for step in plan.steps] == ["003"]
    assert plan_rollback(CATALOG, ["001"], named="pair", sets={"pair": ["003"]}).steps == []


def test_what_depends_on_a_member_of_a_set_goes_with_it() -> None:
    catalog = [entry("001"), entry("002", "001"), entry("003", "002"), entry("004", "001", "003"), entry("005", "001")]
    plan = plan_rollback(catalog, ["001", "002", "003", "004", "005"], named="x", sets={"x": ["002"]})
    assert plan.problems == []
    assert [step["version"] for step in plan.steps] == ["004", "003", "002"]  # and not 005
    plan = plan_rollback(catalog, ["001", "003", "004"], named="x", sets={"x": ["002"]})
    assert plan.steps == []  # 002 does not stand


def test_the_set_of_the_guide_takes_what_later_migrations_build_on_it() -> None:
    catalog = [asdict(one) for one in read_catalog(ROOT / "files").migrations]
    applied = [one["version"] for one in catalog]
    depends = {one["version"]: one["depends"] for one in catalog}
    plan = plan_rollback(catalog, applied, named="vietnamese_pt", sets=read_sets(ROOT / "files")[0])
    assert plan.problems == []
    gone = {step["version"] for step in plan.steps}
    stays = [version for version in applied if version not in gone]
    assert stays[:4] == ["001", "002", "003", "004"]
    assert all(not gone.intersection(depends[version]) for version in stays)
    # Nothing stays that needs more than 001-004, and nothing of those goes.
    assert {version for version in applied if version > "015" and version not in gone} == {
        version for version in applied if "016" <= version <= "025"
    }


def test_what_others_depend_on_stays() -> None:
    assert problem(["001", "002", "003"], only="001") == (
        "files/migrations/001_x.sql cannot be rolled back: files/migrations/002_x.sql and files/migrations/003_x.sql "
        "depend on it and would stay. Roll back more: -e rollback_to=000 (everything after it), or name it in a set of "
        "rollback_sets.yml, which takes only what depends on it."
    )
    assert "004_x.sql depends on it and would stay. Roll back more: -e rollback_to=002" in problem(only="003")


def test_what_is_not_applied_or_has_no_way_back_is_named() -> None:
    assert problem(only="009") == (
        "009 is not a version of this release, which goes from 001 to 004. Correct rollback_only."
    )
    assert problem(["001"], only="002") == (
        "files/migrations/002_x.sql is not applied; the newest applied one is 001. Correct rollback_only."
    )
    assert "002_x.sql is not applied; the newest applied one is 001. Correct rollback_to." in problem(["001"], to="002")
    assert problem(only="004").startswith(
        "files/migrations/004_x.sql has no rollback: there is no files/rollbacks/004_x.sql. Write it"
    )
    assert problem(named="x", sets={"y": []}) == "The release has no set x; it has y. Correct rollback_set."
    assert problem(named="x", sets={"x": ["001", "099"]}) == (
        "rollback_sets.yml: x has 099, which no migration has. Correct it."
    )
    assert "no set x; it has no rollback_sets.yml" in problem(named="x")


@pytest.mark.parametrize("wish", [{}, {"to": "001", "only": "002"}, {"only": "002", "named": "x"}])
def test_exactly_one_wish_is_asked_for(wish: dict[str, Any]) -> None:
    assert problem(**wish).startswith("Set exactly one of rollback_to, rollback_only, rollback_set")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pair: [", "files/rollback_sets.yml:1: cannot be read as YAML"),
        ("- a", "files/rollback_sets.yml: it has no list `versions`"),
        ("pair:\n  versions: 001", "files/rollback_sets.yml: pair has no list `versions`"),
    ],
)
def test_a_set_that_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    release = tmp_path / "files"
    release.mkdir()
    (release / "rollback_sets.yml").write_text(text)
    _, [sentence] = read_sets(release)
    assert sentence.startswith(words)


def test_versions_in_a_set_are_texts_with_or_without_quotes(tmp_path: Path) -> None:
    (tmp_path / "rollback_sets.yml").write_text('pair:\n  versions: [010, "011"]\n')
    assert read_sets(tmp_path) == ({"pair": ["010", "011"]}, [])
    assert read_sets(tmp_path / "nowhere") == ({}, [])


def test_the_release_has_the_set_of_the_guide() -> None:
    sets, problems = read_sets(ROOT / "files")
    assert problems == []
    assert sets == {"vietnamese_pt": [f"{number:03d}" for number in range(5, 16)]}


def test_the_loss_is_read_and_shown() -> None:
    found = [{"table": "public.patients", "rows": 12, "what": "the table is dropped"}]
    message = f"Cannot execute SQL '... migration-loss %s' None: migration-loss {RUN} {json.dumps(found)}\nCONTEXT: x"
    loss = read_loss(message, RUN)
    assert loss == [{"table": "patients", "rows": 12, "what": "the table is dropped"}]
    assert str(loss_failure(loss)).splitlines()[1:] == [
        "  table         rows  what",
        "  patients        12  the table is dropped",
    ]
    assert read_loss(message, "another") is None
    assert read_loss(f"None: migration-loss {RUN} []", RUN) == []


@pytest.mark.parametrize(
    ("file", "mark", "way_back"),
    [
        ("db/migrations/002_b.sql", "", "db/rollbacks/002_b.sql"),
        ("db/002_b.sql", "", "db/rollbacks/002_b.sql"),
        ("db/migrations/2_b.up.sql", "", "db/migrations/2_b.down.sql"),
        ("db/migration/v2/V2__b.sql", "", "db/migration/v2/U2__b.sql"),
        ("db/migrations/2_b.sql", "-- migrate:down", "`-- migrate:down` part with a statement in the same file"),
    ],
)
def test_a_missing_way_back_is_named_in_the_style_of_its_folder(file: str, mark: str, way_back: str) -> None:
    missing: dict[str, Any] = {"version": "2", "file": file, "depends": [], "rollback": None, "down_mark": mark}
    [sentence] = plan_rollback([missing], ["2"], only="2").problems
    assert sentence.startswith(f"{file} has no rollback: there is no {way_back}. Write it")
