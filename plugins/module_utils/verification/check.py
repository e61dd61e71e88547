# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares promises with the state found, and formats the result. Connects to no database.

No data of a table's rows may reach an output. From the result of a query, only numbers, booleans and texts that the
release itself names are shown.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from itertools import zip_longest
from typing import Any

from .definition import canonical, definitions
from .promise import BY_NAME, BY_TABLE, KINDS, NAMES, Promise

HISTORY = "migrations.applied"
NO_TABLE = "no such table"
MISSING_ROW = "missing"
OTHER_TEXT = "(different text)"
LONGEST = 200  # characters of a value in a sentence
LONGEST_ROWS = 600  # of several rows
LONGEST_CELL = 36  # and in the table
SINGULAR = {
    "history": "version",
    "indexes": "index",
    "seeds": "seeded rows",
    "constraint_examples": "constraint",
    "generated_examples": "generated column",
    "queries": "query",
}
PRESENT = {"constraints": "validated", "indexes": "valid", "triggers": "enabled"}
SPOILT = {
    "constraints": "not validated",
    "indexes": "not valid, as after a failed CREATE INDEX CONCURRENTLY",
    "triggers": "disabled",
}
NOT_VALID = " NOT VALID"


@dataclass(frozen=True)
class Check:
    """One comparison of something promised with something found.

    `needs` is the missing table that alone breaks the promise; the line of the table reports it once for all.
    `before` is true where the state found is what an earlier file promises, so this file has not changed it.
    """

    file: str
    kind: str
    what: str
    expected: str
    found: str
    ok: bool
    needs: str = ""
    before: bool = False

    def __str__(self) -> str:
        """Return the sentence for a broken promise."""
        if self.kind == "history" and self.what == "view":
            return f"{self.file}: expected {self.expected}, found {self.found}."
        return f"{self.file}: {singular(self.kind)} {self.what}: expected {self.expected}, found {self.found}."


def singular(kind: str) -> str:
    """Return the singular of a kind."""
    return SINGULAR.get(kind, kind.removesuffix("s"))


def in_parts(there: Sequence[str], missing: Sequence[str], other: Sequence[str], most: int = sys.maxsize) -> str:
    """Return the existing, missing and differing names as text, at most `most` of each."""

    def some(names: Sequence[str]) -> str:
        more = f" and {len(names) - most} more" if len(names) > most else ""
        return ", ".join(names[:most]) + more

    found = {"existing": there, "missing": missing, "different": other}
    return "; ".join(f"{label}: {some(names)}" for label, names in found.items() if names) + "."


def check_of(promise: Promise, what: str, expected: str, found: str, ok: bool | None = None) -> Check:
    """Return a comparison for a promise; it is kept where both texts are equal, unless `ok` overrides that."""
    needs = (promise.table or "") if found == NO_TABLE else ""
    return Check(promise.file, promise.kind, what, expected, found, expected == found if ok is None else ok, needs)


class Catalog:
    """The catalogs of a database, indexed for lookups."""

    def __init__(self, raw: Mapping[str, Any], objects: Iterable[tuple[str, str, str]] = ()) -> None:
        """Take the results of the queries for catalogs and definitions."""
        self.definitions = definitions(objects)
        self.names = {kind: set(raw[kind] or ()) for kind in NAMES}
        self.has_history = bool(raw["has_history"])
        self.columns: dict[str, dict[str, str]] = defaultdict(dict)
        for table, name, kind, _ in raw["columns"] or ():
            self.columns[table][name] = kind
        self.generated = {(table, name): how for table, name, _, how in raw["columns"] or () if how}
        self.sound: dict[str, dict[tuple[str, str], bool]] = {
            kind: {(table, name): sound for table, name, sound, *_ in raw[kind] or ()}
            for kind in BY_TABLE
            if kind != "columns"
        }
        self.conditions = {(table, name): condition for table, name, _, condition in raw["constraints"] or ()}


def missing_in(promise: Promise, catalog: Catalog) -> str | None:
    """Return the missing object that seeds or examples need, or None where they can be checked."""
    data, columns = promise.data, catalog.columns.get(promise.key[0])
    if columns is None:
        return NO_TABLE
    if promise.kind == "seeds":
        needed = [*data["key"], *(data.get("values") or ()), *(data.get("filled") or ())]
    else:
        needed = [name for row in example_rows(promise) for name in row]
    if promise.kind == "generated_examples":
        needed.insert(0, data["column"])
    if absent := [name for name in needed if name not in columns]:
        return f"no column {absent[0]}"
    if promise.kind == "constraint_examples" and (promise.key[0], data["constraint"]) not in catalog.conditions:
        return "no such constraint"
    if promise.kind != "seeds" and expression_of(promise, catalog) is None:
        return "no condition in it" if promise.kind == "constraint_examples" else "a column that is not generated"
    return None


def expression_of(promise: Promise, catalog: Catalog) -> str | None:
    """Return the expression in the database that the examples test, if it exists."""
    if promise.kind == "generated_examples":
        return catalog.generated.get((promise.data["table"], promise.data["column"]))
    return catalog.conditions.get((promise.data["table"], promise.data["constraint"]))


def example_rows(promise: Promise) -> list[dict[str, Any]]:
    """Return the example rows of a promise, each as values by column."""
    data = promise.data
    if promise.kind == "generated_examples":
        return [dict(example["given"]) for example in data["examples"]]
    return [
        {data["column"]: example} if "column" in data else example
        for example in (data.get("accepts") or []) + (data.get("refuses") or [])
    ]


def check_catalog(promises: Iterable[Promise], catalog: Catalog) -> Iterator[Check]:
    """Compare all promises that the catalogs can answer."""
    for promise in promises:
        if promise.kind in (*NAMES, *BY_TABLE, *BY_NAME):
            yield _check_object(promise, catalog)


def check_history(expected: Collection[str], applied: Collection[str] | None) -> Iterator[Check]:
    """Compare the expected versions with the applied ones; None where there is no history."""
    if applied is None:
        yield Check(HISTORY, "history", "view", f"{len(expected)} versions", "no such view", False)
        return
    expected, applied = frozenset(expected), frozenset(applied)  # with ten thousand versions, lists would be slow
    for version in sorted(expected | applied, key=lambda one: (len(one), one)):
        wanted, found = ("applied" if version in versions else "not applied" for versions in (expected, applied))
        yield Check(HISTORY, "history", version, wanted, found, wanted == found)


def check_seeds(promise: Promise, found: Mapping[str, Any], expected_rows: int | None) -> Iterator[Check]:
    """Judge seeded rows.

    Args:
        promise: the seeds.
        found: the result of their query.
        expected_rows: number of rows in the table of a fresh database by all promises; None to skip this check.
    """
    data = promise.data
    width = len(data["key"])
    states = {"missing": MISSING_ROW, "empty": "an empty text", "other": "other values"}
    for position, row in enumerate(data["rows"], start=1):
        state = next((state for state in states if position in (found.get(state) or ())), "")
        expected = "present"
        if state == "other":
            expected = f"present with {show(dict(zip(data.get('values') or [], row[width:], strict=True)))}"
        elif state == "empty":
            expected = f"a text in {', '.join(data['filled'])}"
        what = f"{data['table']} {show(row[:width] if width > 1 else row[0])}"
        yield check_of(promise, what, expected, states.get(state, "present"))
    if expected_rows is not None:
        where = f" where {' '.join(data['where'].split())}" if data.get("where") else ""
        wanted = f"exactly {expected_rows} on a fresh database"
        yield check_of(promise, f"{data['table']}{where}", wanted, str(found["count"]), found["count"] == expected_rows)


def check_examples(promise: Promise, found: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    """Judge the results of a constraint or a generated column for its examples."""
    data = promise.data
    name = f"{data.get('constraint') or data['column']} on {data['table']}"
    accepts = len(data.get("accepts") or ())
    for number, (row, result) in enumerate(zip(example_rows(promise), found, strict=True)):
        if promise.kind == "generated_examples":
            wanted = data["examples"][number]["expect"]
            value = show(result["value"]) if result["valid"] else "a value of another type than the column"
            ok = bool(result["valid"]) and same(wanted, result["value"])
            yield check_of(promise, f"{name} given {show(row)}", show(wanted), value, ok)
        else:
            accepted = bool(result["valid"]) and result["value"] is not False
            words = {True: "accepted", False: "refused"}
            shown = show(row[data["column"]] if "column" in data else row)
            yield check_of(promise, f"{name} {shown}", words[number < accepts], words[accepted])


def check_query(promise: Promise, rows: Sequence[Sequence[Any]]) -> Check:
    """Judge the rows of a query."""
    wanted = promise.data["expect"]
    if isinstance(wanted, list):
        wanted = [row if isinstance(row, list) else [row] for row in wanted]
        found: Any = list(rows)
    elif len(rows) == 1 and len(rows[0]) == 1:
        found = rows[0][0]
    else:
        text = f"{len(rows)} rows of {len(rows[0])} values" if rows else "no row"
        return check_of(promise, promise.key[0], show(wanted), text, ok=False)
    if not promise.data.get("show"):
        found = without_other_texts(found, texts_in(wanted))
    if same(wanted, found) or not isinstance(wanted, list):
        return check_of(promise, promise.key[0], show(wanted), show(found), same(wanted, found))
    # Show the rows that differ.
    lacking = [row for row in wanted if not any(same(row, other) for other in found)]
    surplus = [row for row in found if not any(same(other, row) for other in wanted)]
    wanted, found = (lacking, surplus) if lacking or surplus else (wanted, found)
    return check_of(promise, promise.key[0], _rows(wanted), _rows(found), ok=False)


def check_plan(promise: Promise, plan: Any) -> Iterator[Check]:
    """Judge a plan of EXPLAIN (FORMAT JSON)."""
    found: dict[str, set[str]] = {"Relation Name": set(), "Index Name": set()}
    nodes = [one["Plan"] for one in plan]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", ())
        for key, names in found.items():
            names.update({node[key]} if key in node else ())
    relations, indexes = (sorted(names) for names in found.values())
    scans, index = promise.data.get("scans"), promise.data.get("index")
    if scans:
        shown = ", ".join(relations) or "no scan"
        yield check_of(promise, f"{promise.key[0]}, scans", ", ".join(sorted(scans)), shown, relations == sorted(scans))
    if index:
        shown = ", ".join(indexes) or "no index"
        yield check_of(promise, f"{promise.key[0]}, index", index, shown, index in indexes)


def check_error(promise: Promise, reason: str) -> Check:
    """Return the check of a promise that could not be checked."""
    what = " ".join(part for part in promise.key[: 1 if promise.kind == "seeds" else 2] if part)
    return check_of(promise, what, "an answer", reason, ok=False)


def seed_totals(promises: Iterable[Promise]) -> dict[tuple[str, ...], int]:
    """Return the number of rows in each seeded table of a fresh database, by the key of the promise that checks it.

    Rows of several files add up. The last file that seeds a table, under one condition, checks the sum.
    """
    rows: dict[tuple[str, str], set[str]] = defaultdict(set)
    last: dict[tuple[str, str], Promise] = {}
    for promise in promises:
        if promise.kind == "seeds":
            group = (promise.key[0], " ".join((promise.data.get("where") or "").split()))
            keys = promise.data["key"]
            rows[group].update(json.dumps([keys, row[: len(keys)]]) for row in promise.data["rows"])
            last[group] = promise
    return {promise.key: len(rows[group]) for group, promise in last.items()}


def same(wanted: Any, found: Any) -> bool:
    """Return whether two values are equal: numbers by value (80 is 80.00), everything else by type and value."""
    if isinstance(wanted, list) and isinstance(found, list | tuple):
        return len(wanted) == len(found) and all(map(same, wanted, found))
    if isinstance(wanted, dict) and isinstance(found, dict):
        return wanted.keys() == found.keys() and all(same(wanted[key], found[key]) for key in wanted)
    if isinstance(found, int | float | Decimal) and not isinstance(found, bool) and not isinstance(wanted, bool):
        try:
            return Decimal(str(wanted)) == Decimal(str(found))
        except InvalidOperation:
            return False
    return type(wanted) is type(found) and bool(wanted == found)


def show(value: Any) -> str:
    """Return a value on one line, shortened where it is very long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=float)
    text = " ".join(text.split()) or "''"
    return text if len(text) <= LONGEST else text[: LONGEST - 4] + " ..."


def texts_in(value: Any) -> set[str]:
    """Return all texts in a value."""
    if isinstance(value, dict):
        return set(value).union(*map(texts_in, value.values()))
    if isinstance(value, list):
        return set().union(*map(texts_in, value))
    return {value} if isinstance(value, str) else set()


def without_other_texts(value: Any, known: set[str]) -> Any:
    """Return a value with each unknown text replaced, because it might be a patient's data."""
    if isinstance(value, dict):
        return {key if key in known else OTHER_TEXT: without_other_texts(item, known) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_other_texts(item, known) for item in value]
    return OTHER_TEXT if isinstance(value, str) and value not in known else value


def _by_file(checks: Sequence[Check]) -> dict[str, dict[str, list[Check]]]:
    """Return checks by file and kind, in the order of the table."""
    order = {kind: place for place, kind in enumerate(("history", *KINDS))}
    found: dict[str, dict[str, list[Check]]] = {}
    for check in sorted(checks, key=lambda check: (check.file != HISTORY, check.file, order[check.kind])):
        found.setdefault(check.file, {}).setdefault(check.kind, []).append(check)
    return found


def counted(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """Return for each file the numbers of expected and found objects, in the order of the table."""
    return [
        {
            "file": file,
            "expected": sum(len(group) for group in kinds.values()),
            "found": sum(check.ok for group in kinds.values() for check in group),
        }
        for file, kinds in _by_file(checks).items()
    ]


def render_table(checks: Sequence[Check]) -> list[str]:
    """Return the lines of a table: one for each file and kind, and one for each broken promise below it."""
    rows: list[tuple[str, ...]] = [("what", "expected", "found", "result")]
    for file, kinds in _by_file(checks).items():
        rows.append((file,))
        for kind, group in kinds.items():
            broken = [check for check in group if not check.ok]
            expected, found = str(len(group)), str(len(group) - len(broken))
            rows.append((f"  {kind.replace('_', ' ')}", expected, found, "WRONG" if broken else "ok"))
            rows += [
                (f"    {_cell(one.what)}", _cell(one.expected), _cell(one.found), "WRONG")
                for one in broken
                if not one.needs
            ]
    widths = [max(len(row[column]) for row in rows if len(row) > 1) for column in range(3)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), *row[3:]]).rstrip()
        for row in rows
    ]


def failure_sentences(checks: Iterable[Check]) -> list[str]:
    """Return a sentence for each broken promise; promises broken by a missing table are counted in one sentence."""
    sentences: list[str] = []
    without: dict[tuple[str, str], int] = defaultdict(int)
    for check in checks:
        if check.needs:
            without[check.file, check.needs] += 1
        elif not check.ok:
            sentences.append(str(check))
    return sentences + [
        f"{file}: {count} other promise{'s' * (count > 1)} about {table} cannot be kept without the table."
        for (file, table), count in without.items()
    ]


def failure_message(database: str, checks: Sequence[Check]) -> str:
    """Return the message with all broken promises, the state and the next command."""
    broken = [check for check in checks if not check.ok]
    seeded = any(check.kind == "seeds" and check.found == MISSING_ROW for check in broken)
    return "\n".join(
        [
            f"The database {database} does not match its release: {len(broken)} of {len(checks)} checks failed.",
            *(f"  {sentence}" for sentence in failure_sentences(checks)),
            "Nothing was changed; the database is as after the migrations.",
            *(["Missing rows of reference data: ansible-playbook playbooks/seed.yml -e seed_set=reference"] * seeded),
            "Correct the database with a new migration, or correct the promise in its file, and run the same command "
            "again; -e verification_show_table=true shows all checks.",
        ]
    )


def _check_object(promise: Promise, catalog: Catalog) -> Check:
    """Look up an object, and compare its definition if that is promised."""
    what = what_of(promise.kind, promise.key)
    wanted = PRESENT.get(promise.kind, "present")
    found, sound = _state(promise, catalog)
    # Such a constraint is for new rows only, until a later file validates it: that it is validated breaks no promise.
    sound = sound or (found == SPOILT["constraints"] and str(promise.data).endswith(NOT_VALID))
    if sound and promise.data is not None:
        promised, definition = str(promise.data), catalog.definitions.get((promise.kind, promise.key), "")
        if promise.kind == "constraints":
            promised, definition = promised.removesuffix(NOT_VALID), definition.removesuffix(NOT_VALID)
        elif promise.kind == "columns":
            definition = definition or catalog.columns[promise.key[0]][promise.key[1]]
        sound = canonical(promise.kind, definition) == canonical(promise.kind, promised)
        wanted, found = difference(promise.kind, promised, definition) if not sound else ("", "")
    elif promise.kind == "columns":
        wanted = show(str(promise.data))
    before = False
    if not sound and promise.earlier:
        earlier = _check_object(promise.earlier, catalog)
        before = earlier.ok or earlier.before
        found = f"what {promise.earlier.file} promises" if earlier.ok else earlier.found if before else found
    return replace(check_of(promise, what, wanted, found, sound), before=before)


def what_of(kind: str, key: tuple[str, ...]) -> str:
    """Return the name of an object."""
    return ".".join(key) if kind == "columns" else " on ".join(reversed(key))


def _state(promise: Promise, catalog: Catalog) -> tuple[str, bool]:
    """Return the state of an object in a word, and whether the promise is kept."""
    kind, key, absent = promise.kind, promise.key, "nothing of that name"
    if kind in BY_TABLE and key[0] not in catalog.columns:
        return NO_TABLE, False
    if kind in catalog.sound:
        sound = catalog.sound[kind].get((key[0], key[1]))
        if sound is not None:
            return (PRESENT if sound else SPOILT)[kind], sound
        others = sorted(table for table, name in catalog.sound[kind] if name == key[1])
        return (f"one on {', '.join(others)}" if others else absent), False
    if kind == "columns":
        there, absent = key[1] in catalog.columns[key[0]], "no such column"
    elif kind in BY_NAME:
        there = (kind, key) in catalog.definitions
    else:
        there = key[0] in catalog.names[kind]
        if kind == "functions":
            name = key[0].partition("(")[0]
            absent = ", ".join(sorted(one for one in catalog.names[kind] if one.partition("(")[0] == name)) or absent
    return ("present" if there else absent), there


def difference(kind: str, promised: str, found: str) -> tuple[str, str]:
    """Return the differing parts of two definitions: the line of a function, or the parts that differ."""
    if kind == "comments":  # a changed comment may hold anything
        return show(promised), OTHER_TEXT if found.strip() else "no comment"
    if kind == "functions":
        pairs = zip_longest(promised.splitlines(), found.splitlines(), fillvalue="")
        number, wanted = next(
            ((n, ours) for n, (ours, theirs) in enumerate(pairs, 1) if ours.split() != theirs.split()), (1, promised)
        )
        return f"{show(wanted.strip())} (line {number} of its definition)", "a different text"
    return show(promised), show(found) if found else "a different definition"


def _rows(rows: Sequence[Any]) -> str:
    """Return rows as text; a row of a single value has no brackets."""
    shown = [row[0] if len(row) == 1 else row for row in rows]
    return ", ".join(show(row) for row in shown)[:LONGEST_ROWS] or "no such row"


def _cell(text: str) -> str:
    """Return a text shortened to the width of the table."""
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 4] + " ..."
