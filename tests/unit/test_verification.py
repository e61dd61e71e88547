"""Promises: reading, merging, comparing and saying what is wrong, without a database."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.sql import literal
from ansible_collections.physioflow.database.plugins.module_utils.verification.check import (
    Catalog,
    Check,
    check_catalog,
    check_examples,
    check_history,
    check_plan,
    check_query,
    check_seeds,
    counted,
    failure_message,
    missing_in,
    render_table,
    same,
    seed_totals,
)
from ansible_collections.physioflow.database.plugins.module_utils.verification.definition import Key, canonical
from ansible_collections.physioflow.database.plugins.module_utils.verification.promise import Promise, merge_promises
from ansible_collections.physioflow.database.plugins.module_utils.verification.proof import (
    MORE,
    differences,
    halves,
    refusal,
)
from ansible_collections.physioflow.database.plugins.module_utils.verification.release import read_promises
from ansible_collections.physioflow.database.plugins.module_utils.verification.sql import (
    examples_sql,
    plan_sql,
    qualified,
    seeds_sql,
    value_text,
)
from pglast import parser

from tests.local import ROOT

NAMES = ["001_first", "002_second"]


def document(version: str = "001", **content: Any) -> dict[str, Any]:
    return {"version": version, "name": f"{version}_x", "file": f"files/verify/{version}_x.yml"} | content


def promised(*documents: dict[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    merged, problems = merge_promises(documents)
    assert problems == []
    return [(promise.kind, promise.key) for promise in merged]


def only(**content: Any) -> Promise:
    (promise,), problems = merge_promises([document(**content)])
    assert problems == []
    assert isinstance(promise, Promise)
    return promise


def catalog(**content: Any) -> Catalog:
    kinds = ("extensions", "collations", "schemas", "types", "tables", "functions", "columns", "constraints")
    return Catalog(dict.fromkeys((*kinds, "indexes", "triggers")) | {"has_history": True} | content)


def broken(checks: Any) -> list[str]:
    return [str(check) for check in checks if not check.ok]


def read(folder: Path, text: str | bytes, name: str = "001_first.yml") -> list[str]:
    (folder / "files/verify").mkdir(parents=True)
    path = folder / "files/verify" / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_promises(folder / "files/verify", NAMES)[1])


# Reading


def test_the_release_of_this_project_is_sound() -> None:
    migrations = [path.stem for path in (ROOT / "files/migrations").glob("*.sql")]
    documents, problems = read_promises(ROOT / "files/verify", migrations)
    assert problems == []
    assert [one["name"] for one in documents] == sorted(migrations)
    assert merge_promises(documents)[1] == []
    guide = [one for one in documents if one["version"] <= "015"]
    tables = [promise.key[0] for promise in merge_promises(guide)[0] if promise.kind == "tables"]
    assert len(tables) == len(set(tables)) == 30


def test_a_release_without_the_folder_promises_nothing(tmp_path: Path) -> None:
    assert read_promises(tmp_path / "verify", NAMES) == ([], [])


def test_yaml_words_numbers_and_dates_stay_text(tmp_path: Path) -> None:
    text = "queries: [{name: q, sql: SELECT 1, expect: [[NO, 012, 2026-01-01, 12:30, on, 1_000, 0x1F, .5]]}]"
    assert read(tmp_path, text) == []
    documents = read_promises(tmp_path / "files/verify", NAMES)[0]
    (row,) = documents[0]["queries"][0]["expect"]
    assert row == ["NO", "012", "2026-01-01", "12:30", "on", "1_000", "0x1F", ".5"]


def test_yaml_values_keep_their_types(tmp_path: Path) -> None:
    text = "queries: [{name: q, sql: SELECT 1, expect: [[true, false, null, ~, -3, 80.00, 'x']]}]"
    assert read(tmp_path, text) == []
    documents = read_promises(tmp_path / "files/verify", NAMES)[0]
    assert documents[0]["queries"][0]["expect"] == [[True, False, None, None, -3, 80.0, "x"]]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tables: [a\nx: 1", "files/verify/001_first.yml:2:2: not valid YAML: "),
        ("tables: [a]\ntables: [b]", "files/verify/001_first.yml:2:1: not valid YAML: the key tables appears twice."),
        (b"tables: [\xff]", "files/verify/001_first.yml: not UTF-8: byte at offset 9. Save the file as UTF-8."),
        ("- a", "001_first.yml: is not a mapping. Its keys are extensions, "),
        ("tabels: [a]", "001_first.yml: the key `tabels` is unknown. Did you mean tables?"),
        ("tables: a", "001_first.yml: `tables` must be a list of names. Correct it."),
        ("tables: [1]", "`tables` must be a list of names."),
        ("tables: [a, a]", "`tables` names a twice. Remove one."),
        ("indexes: [a]", "`indexes` must be a mapping from tables."),
        ("indexes: {t: a}", "`indexes.t` must be a list of names."),
        ("columns: {t: [a]}", "`columns.t` must be a mapping from columns to types."),
        ("queries: {}", "`queries` is not a list."),
        ("queries: [a]", "`queries[0]` is not a mapping."),
        ("queries: [{name: q, sql: SELECT 1}]", "`queries[0]` has no `expect`. Add it."),
        (
            "queries: [{name: q, sql: SELECT 1, expects: 1, expect: 1}]",
            "`queries[0].expects` is unknown. Did you mean expect?",
        ),
        ("queries: [{name: 1, sql: SELECT 1, expect: 1}]", "`queries[0].name` is not a text."),
        ("queries: [{name: q, sql: SELECT 1, expect: 1, show: maybe}]", "`queries[0].show` is not true or false."),
        ("queries: [{name: q, sql: SELEC 1, expect: 1}]", "`queries[0].sql` is not one SELECT without semicolon: "),
        ("queries: [{name: q, sql: SELECT 1;, expect: 1}]", "`queries[0].sql` is not one SELECT without semicolon"),
        ("queries: [{name: q, sql: DELETE FROM t, expect: 1}]", "`queries[0].sql` is not one SELECT"),
        ("queries: [{name: q, sql: 'SELECT 1) AS q; DELETE FROM t; SELECT (1', expect: 1}]", "is not one SELECT"),
        ("plans: [{name: p, sql: SELECT 1}]", "`plans[0]` has neither `scans` nor `index`."),
        ("plans: [{name: p, sql: SELECT 1, index: i, settings: {work_mem: on}}]", "is not a planner setting"),
        ("seeds: [{table: t, key: [a], rows: [[1, 2]]}]", "`seeds[0].rows[0]` needs 1 values: a."),
        ("seeds: [{table: t, key: [a], values: [b], rows: [[1, 2], [1, 3]]}]", "has the key [1] twice."),
        ("seeds: [{table: t, key: [a], rows: [], where: a =}]", "`seeds[0].where` is not a condition"),
        ("constraint_examples: [{table: t, constraint: c}]", "neither `accepts` nor `refuses`"),
        ("constraint_examples: [{table: t, constraint: c, accepts: [1]}]", "has no `column`."),
        ("generated_examples: [{table: t, column: c, examples: [{given: {}}]}]", "with `given` and `expect`"),
        ("withdraws: {table: [t]}", "`withdraws.table` is unknown. Did you mean tables?"),
        ("withdraws: {indexes: {t: [i]}}", "withdraws `indexes` t i, which no earlier file promises."),
        (
            "queries: [{name: q, sql: SELECT 1, expect: 1}, {name: q, sql: SELECT 1, expect: 1}]",
            "is already promised by",
        ),
    ],
)
def test_refuses_with_place_and_remedy(tmp_path: Path, text: str | bytes, problem: str) -> None:
    problems = read(tmp_path, text)
    assert len(problems) == 1
    assert problem in problems[0]
    assert problems[0].endswith(".") or problems[0].endswith("?")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("001_frist.yml", "promises for a migration that does not exist. Did you mean 001_first?"),
        ("001_first.yaml", "not named NNN_name.yml like its migration. Rename or move it."),
        ("notes.txt", "not named NNN_name.yml"),
    ],
)
def test_refuses_files_without_migration(tmp_path: Path, name: str, problem: str) -> None:
    assert problem in read(tmp_path, "tables: [a]", name)[0]


def test_finds_everything_wrong_in_one_reading(tmp_path: Path) -> None:
    assert len(read(tmp_path, "tabels: [a]\nindexes: [b]\nqueries: [{name: 1, sql: x}]")) == 4


# Merging


def test_versions_are_merged_in_order_and_later_columns_win() -> None:
    merged, _ = merge_promises(
        [document("010", columns={"t": {"a": "bigint"}}), document("009", columns={"public.t": {"a": "integer"}})]
    )
    assert [(promise.key, promise.data, promise.file) for promise in merged] == [
        (("t", "a"), "bigint", "files/verify/010_x.yml")
    ]


def test_a_withdrawal_takes_back_what_it_names() -> None:
    first = document(
        tables=["t", "u"],
        indexes={"t": ["i", "j"]},
        columns={"u": {"a": "text"}},
        seeds=[{"table": "s", "key": ["a"], "rows": [[1], [2]]}],
        queries=[{"name": "q", "sql": "SELECT 1", "expect": 1}],
    )
    second = document(
        "002",
        withdraws={
            "tables": ["u"],
            "indexes": {"t": ["i"]},
            "queries": ["q"],
            "seeds": [{"table": "s", "rows": [[1]]}],
        },
        queries=[{"name": "q", "sql": "SELECT 2", "expect": 2}],
    )
    merged, problems = merge_promises([first, second])
    assert problems == []
    assert [(promise.kind, promise.key[0]) for promise in merged] == [
        ("tables", "t"),
        ("indexes", "t"),
        ("seeds", "s"),
        ("queries", "q"),
    ]
    assert [promise.data["rows"] for promise in merged if promise.kind == "seeds"] == [[[2]]]


def test_a_dropped_table_takes_all_its_promises_with_it() -> None:
    example = {"table": "t", "constraint": "c", "column": "a", "accepts": [1]}
    first = document(
        tables=["t"],
        columns={"t": {"a": "integer"}},
        constraints={"t": ["c"]},
        triggers={"t": ["g"]},
        constraint_examples=[example],
        seeds=[{"table": "t", "key": ["a"], "rows": [[1]]}],
    )
    assert promised(first, document("002", withdraws={"tables": ["public.t"]})) == []


def test_a_withdrawal_of_nothing_is_refused_with_the_near_name() -> None:
    _, problems = merge_promises([document(tables=["patients"]), document("002", withdraws={"tables": ["patient"]})])
    assert problems == [
        "files/verify/002_x.yml: withdraws `tables` patient, which no earlier file promises. Did you mean patients?"
    ]


def test_seeds_of_several_files_add_up() -> None:
    def seeds(*rows: int) -> list[dict[str, Any]]:
        return [{"table": "t", "key": ["a"], "rows": [[row] for row in rows]}]

    merged, _ = merge_promises([document(seeds=seeds(1, 2)), document("002", seeds=seeds(2, 3))])
    assert list(seed_totals(merged).values()) == [3]
    assert merged[1].key in seed_totals(merged)


# Comparing


def test_the_catalogs_are_compared_kind_by_kind() -> None:
    merged, _ = merge_promises(
        [
            document(
                extensions=["pg_trgm"],
                tables=["t"],
                functions=["f(text)"],
                columns={"t": {"a": "text not null", "b": "text", "c": "text"}, "u": {"a": "text"}},
                constraints={"t": ["good", "weak"]},
                indexes={"t": ["good", "bad", "elsewhere"], "u": ["i"]},
                triggers={"t": ["off"]},
            )
        ]
    )
    found = catalog(
        tables=["t"],
        functions=["f(integer)"],
        columns=[["t", "a", "text", None], ["t", "b", "integer", None]],
        constraints=[["t", "good", True, None], ["t", "weak", False, "(a > 0)"]],
        indexes=[["t", "good", True], ["t", "bad", False], ["v", "elsewhere", True]],
        triggers=[["t", "off", False]],
    )
    file = "files/verify/001_x.yml"
    assert broken(check_catalog(merged, found)) == [
        f"{file}: extension pg_trgm: expected present, found nothing of that name.",
        f"{file}: function f(text): expected present, found f(integer).",
        f"{file}: column t.a: expected text not null, found text.",
        f"{file}: column t.b: expected text, found integer.",
        f"{file}: column t.c: expected text, found no such column.",
        f"{file}: column u.a: expected text, found no such table.",
        f"{file}: constraint weak on t: expected validated, found not validated.",
        f"{file}: index bad on t: expected valid, found not valid, as after a failed CREATE INDEX CONCURRENTLY.",
        f"{file}: index elsewhere on t: expected valid, found one on v.",
        f"{file}: index i on u: expected valid, found no such table.",
        f"{file}: trigger off on t: expected enabled, found disabled.",
    ]


def test_a_constraint_for_new_rows_is_promised_as_such_until_a_later_file_validates_it() -> None:
    promise, other = "CHECK ((a > 0)) NOT VALID", "CHECK ((a > 1)) NOT VALID"
    first = document(constraints={"t": {"k": promise}})
    later = document("002", constraints={"t": {"k": promise.removesuffix(" NOT VALID")}})

    def sentences(valid: bool, definition: str, *documents: dict[str, Any]) -> list[str]:
        found = catalog(tables=["t"], columns=[["t", "a", "integer", None]], constraints=[["t", "k", valid, "(a > 0)"]])
        found.definitions["constraints", ("t", "k")] = definition
        return broken(check_catalog(merge_promises(documents)[0], found))

    assert sentences(False, promise, first) == []
    assert sentences(True, promise.removesuffix(" NOT VALID"), first) == []
    assert "expected CHECK ((a > 0)), found CHECK ((a > 1))" in sentences(False, other, first)[0]
    assert "002_x.yml: constraint k on t: expected validated, found what" in sentences(False, promise, first, later)[0]
    # Of three files in a row, the third finds what the first one promises.
    changed = document("002", constraints={"t": {"k": other}})
    third = document("003", constraints={"t": {"k": other.removesuffix(" NOT VALID")}})
    [sentence] = sentences(True, promise.removesuffix(" NOT VALID"), first, changed, third)
    assert sentence.endswith("found what files/verify/001_x.yml promises.")


def test_what_several_files_change_in_turn_is_found_as_each_of_them_left_it() -> None:
    promises = ["CHECK ((a > 0))", "CHECK ((a > 1)) NOT VALID", "CHECK ((a > 1))"]
    documents = [document(f"00{n}", constraints={"t": {"k": text}}) for n, text in enumerate(promises, 1)]

    def found_as(definition: str) -> tuple[bool, str]:
        seen = catalog(tables=["t"], columns=[["t", "a", "integer", None]], constraints=[["t", "k", True, "x"]])
        seen.definitions["constraints", ("t", "k")] = definition
        [check] = [one for one in check_catalog(merge_promises(documents)[0], seen) if not one.ok]
        return check.before, check.found

    before, found = found_as(promises[0])
    assert before
    assert found.startswith("what ")
    assert "001_x.yml" in found
    assert not found_as("CHECK ((a > 7))")[0]


@pytest.mark.parametrize(
    ("applied", "sentences"),
    [
        (["001", "002"], []),
        (["001"], ["migrations.applied: version 002: expected applied, found not applied."]),
        (["001", "002", "003"], ["migrations.applied: version 003: expected not applied, found applied."]),
        (None, ["migrations.applied: expected 2 versions, found no such view."]),
    ],
)
def test_the_history_holds_exactly_the_expected_versions(applied: list[str] | None, sentences: list[str]) -> None:
    assert broken(check_history(["001", "002"], applied)) == sentences


def test_seeds_are_exact_when_fresh_and_present_later() -> None:
    promise = only(seeds=[{"table": "t", "key": ["a"], "values": ["b"], "rows": [["x", 1], ["y", 2]]}])
    assert broken(check_seeds(promise, {"count": 5, "missing": None, "other": None}, None)) == []
    assert broken(check_seeds(promise, {"count": 3, "missing": [1], "other": [2]}, 2)) == [
        "files/verify/001_x.yml: seeded rows t x: expected present, found missing.",
        'files/verify/001_x.yml: seeded rows t y: expected present with {"b": 2}, found other values.',
        "files/verify/001_x.yml: seeded rows t: expected exactly 2 on a fresh database, found 3.",
    ]


def test_constraint_examples_are_accepted_and_refused() -> None:
    example = {"table": "t", "constraint": "c", "column": "a", "accepts": [1, None], "refuses": [2, "long"]}
    promise = only(constraint_examples=[example])
    good: list[dict[str, Any]] = [
        {"valid": True, "value": True},
        {"valid": True, "value": None},
        {"valid": True, "value": False},
        {"valid": False, "value": None},
    ]
    assert broken(check_examples(promise, good)) == []
    assert broken(check_examples(promise, [*good[2:], *good[:2]])) == [
        "files/verify/001_x.yml: constraint c on t 1: expected accepted, found refused.",
        "files/verify/001_x.yml: constraint c on t null: expected accepted, found refused.",
        "files/verify/001_x.yml: constraint c on t 2: expected refused, found accepted.",
        "files/verify/001_x.yml: constraint c on t long: expected refused, found accepted.",
    ]


def test_generated_examples_are_computed() -> None:
    promise = only(
        generated_examples=[{"table": "t", "column": "g", "examples": [{"given": {"a": 1}, "expect": None}]}]
    )
    assert broken(check_examples(promise, [{"valid": True, "value": None}])) == []
    assert broken(check_examples(promise, [{"valid": True, "value": False}])) == [
        'files/verify/001_x.yml: generated column g on t given {"a": 1}: expected null, found false.'
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"table": "u", "constraint": "c", "column": "a", "accepts": [1]}, "no such table"),
        ({"table": "t", "constraint": "c", "column": "z", "accepts": [1]}, "no column z"),
        ({"table": "t", "constraint": "d", "column": "a", "accepts": [1]}, "no such constraint"),
        ({"table": "t", "constraint": "pk", "column": "a", "accepts": [1]}, "no condition in it"),
        ({"table": "t", "constraint": "c", "column": "a", "accepts": [1]}, None),
    ],
)
def test_examples_say_what_the_database_lacks(data: dict[str, Any], reason: str | None) -> None:
    found = catalog(
        columns=[["t", "a", "integer", None]],
        constraints=[["t", "c", True, "(a > 0)"], ["t", "pk", True, None]],
    )
    assert missing_in(only(constraint_examples=[data]), found) == reason


@pytest.mark.parametrize(
    ("expect", "rows", "sentence"),
    [
        (80.0, [[Decimal("80.00")]], None),
        ("80", [[Decimal("80.00")]], None),
        (1, [[True]], "expected 1, found true."),
        (True, [[1]], "expected true, found 1."),
        (None, [[None]], None),
        (1, [], "expected 1, found no row."),
        (1, [[1], [2]], "expected 1, found 2 rows of 1 values."),
        (["a", "b"], [["a"], ["b"]], None),
        (["a", "b"], [["b"], ["a"]], "expected a, b, found b, a."),
        ([["a", 1], ["b", 2]], [["a", 1], ["b", 3]], 'expected ["b", 2], found ["b", 3].'),
        ([], [["Nguyễn Văn A"]], "expected no such row, found (different text)."),
        ("x", [["Nguyễn Văn A"]], "expected x, found (different text)."),
        ([[{"k": "x"}]], [[{"name": "A"}]], 'expected {"k": "x"}, found {"(different text)": "(different text)"}.'),
    ],
)
def test_queries_are_compared_without_showing_unknown_texts(expect: Any, rows: Any, sentence: str | None) -> None:
    check = check_query(only(queries=[{"name": "q", "sql": "SELECT 1", "expect": expect}]), rows)
    assert check.ok is (sentence is None)
    if sentence:
        assert str(check) == f"files/verify/001_x.yml: query q: {sentence}"


def test_a_query_may_show_release_data() -> None:
    check = check_query(only(queries=[{"name": "q", "sql": "SELECT 1", "expect": [], "show": True}]), [["TX1"]])
    assert check.found == "TX1"


def test_plans_are_searched_in_depth() -> None:
    plan = [
        {
            "Plan": {
                "Node Type": "Append",
                "Plans": [
                    {"Node Type": "Seq Scan", "Relation Name": "p_2026"},
                    {
                        "Node Type": "Bitmap Heap Scan",
                        "Relation Name": "p_2027",
                        "Plans": [{"Node Type": "Bitmap Index Scan", "Index Name": "i"}],
                    },
                ],
            }
        }
    ]
    data = {"name": "p", "sql": "SELECT 1", "scans": ["p_2027", "p_2026"], "index": "i"}
    assert broken(check_plan(only(plans=[data]), plan)) == []
    assert broken(check_plan(only(plans=[data | {"scans": ["p_2026"], "index": "j"}]), plan)) == [
        "files/verify/001_x.yml: plan p, scans: expected p_2026, found p_2026, p_2027.",
        "files/verify/001_x.yml: plan p, index: expected j, found i.",
    ]


def test_equal_values() -> None:
    assert same([1, {"a": 0.1}], (1, {"a": Decimal("0.10")}))
    assert not same([1], [1, 2])
    assert not same({"a": 1}, {"b": 1})
    assert not same("x", 1)
    assert not same(None, False)


# Saying it

CHECKS = [
    Check("migrations.applied", "history", "001", "applied", "applied", True),
    Check("f/002_b.yml", "tables", "t", "present", "nothing of that name", False),
    Check("f/002_b.yml", "columns", "t.a", "text", "no such table", False, "t"),
    Check("f/002_b.yml", "columns", "t.b", "text", "no such table", False, "t"),
    Check("f/001_a.yml", "indexes", "i on u", "valid", "valid", True),
]


def test_the_table_is_aligned_and_spells_out_what_is_wrong() -> None:
    assert render_table(CHECKS) == [
        "what       expected  found                 result",
        "migrations.applied",
        "  history  1         1                     ok",
        "f/001_a.yml",
        "  indexes  1         1                     ok",
        "f/002_b.yml",
        "  tables   1         0                     WRONG",
        "    t      present   nothing of that name  WRONG",
        "  columns  2         0                     WRONG",
    ]


def test_each_file_is_counted_in_the_order_of_the_table() -> None:
    assert [(entry["file"], entry["expected"], entry["found"]) for entry in counted(CHECKS)] == [
        ("migrations.applied", 1, 1),
        ("f/001_a.yml", 1, 1),
        ("f/002_b.yml", 3, 0),
    ]


def test_a_failure_lists_everything_at_once_and_says_state_and_next_command() -> None:
    lines = failure_message("db", CHECKS).split("\n")
    assert lines[0] == "The database db does not match its release: 3 of 5 checks failed."
    assert lines[1:3] == [
        "  f/002_b.yml: table t: expected present, found nothing of that name.",
        "  f/002_b.yml: 2 other promises about t cannot be kept without the table.",
    ]
    assert lines[3] == "Nothing was changed; the database is as after the migrations."
    assert "run the same command again" in lines[4]


# SQL


def test_names_and_values_are_quoted() -> None:
    assert literal("a'b\\") == "'a''b\\'"
    assert qualified('we"ird') == '"public"."we""ird"'
    assert qualified("migrations.h") == '"migrations"."h"'
    assert value_text(True, "boolean") == "true"
    assert value_text(["a", 'b"', None], "text[]") == '{"a","b\\"",NULL}'
    assert value_text({"a": ["đ"]}, "jsonb") == '{"a": ["đ"]}'


def test_the_queries_are_sql_whatever_the_values() -> None:
    entry = {"table": 'a"b', "key": ["k'"], "values": ["v"], "rows": [["x'); DROP", None]], "where": "x = 1 -- y"}
    for fresh in (True, False):
        assert len(parser.parse_sql(seeds_sql(entry, fresh))) == 1
    sql = examples_sql("(a > 0)", {"a": "integer", 'q"': "text"}, [{"a": "'"}, {'q"': None}])
    assert len(parser.parse_sql(sql)) == 1
    assert json.dumps({"a": "''"}) in sql
    assert "enable_seqscan = off; EXPLAIN" in plan_sql({"sql": "SELECT 1", "settings": {"enable_seqscan": False}})


# Definitions


def test_a_later_file_replaces_a_definition_and_what_it_has_not_changed_yet_is_told_apart() -> None:
    merged, problems = merge_promises(
        [document(indexes={"t": {"i": "USING btree (a)"}}), document("002", indexes={"t": {"i": "USING btree (b)"}})]
    )
    assert problems == []
    raw = {"columns": [["t", "a", "integer", None]], "indexes": [["t", "i", True]]}

    def checked(definition: str) -> Check:
        objects = [("table", "public.t", "ordinary, owner emr"), ("index", "public.i", f"on public.t\n{definition}")]
        kinds = ("extensions", "collations", "schemas", "types", "tables", "functions", "constraints", "triggers")
        (check,) = check_catalog(merged, Catalog(dict.fromkeys(kinds) | {"has_history": True} | raw, objects))
        return check

    assert checked("USING btree (b)").ok
    assert checked("USING btree (a)").before
    assert str(checked("USING btree (c)")) == (
        "files/verify/002_x.yml: index i on t: expected USING btree (b), found USING btree (c)."
    )


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (
            "CHECK (((s)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))",
            "CHECK (((s)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])))",
            True,
        ),
        ("CHECK ((a > 0) AND (b > 0))", "CHECK ((a > 0) OR (b > 0))", False),
        ("CHECK (((a OR b) AND c))", "CHECK ((a OR (b AND c)))", False),
        ("CHECK (s = 'x::text')", "CHECK (s = 'x')", False),
        ("UNIQUE NULLS NOT DISTINCT (a)", "UNIQUE (a)", False),
    ],
)
def test_definitions_are_equal_in_other_words_of_the_server_only(one: str, other: str, equal: bool) -> None:
    assert (canonical("constraints", one) == canonical("constraints", other)) is equal


def test_a_database_is_told_from_what_a_release_makes_object_by_object() -> None:
    made: dict[Key, str] = {
        ("tables", ("t",)): "ordinary",
        ("columns", ("t", "a")): "integer not null",
        ("indexes", ("t", "i")): "USING btree (a)",
    }
    live = made | {("tables", ("u",)): "ordinary", ("columns", ("u", "a")): "text"}
    live[("indexes", ("t", "i"))] = "USING btree (b)"
    found = differences(live, made)
    assert [(one["name"], one["state"]) for one in found] == [("index i on t", "other"), ("table u", MORE)]
    after = differences(
        live, made | {("tables", ("u",)): "ordinary", ("columns", ("u", "a")): "text", ("tables", ("w",)): ""}
    )
    assert halves(found, after) == (["table u"], ["table w"], [])
    assert refusal("db", "1", []) == []
