# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The promises of all migrations of a release together, without those that later ones withdraw.

A promise file is plain data (see the role's README). Each entry becomes a `Promise`, and the files of the applied
migrations are merged in the order of their versions.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

# The kinds of promises by the form of their data, in the order of the displayed table.
NAMES = ("extensions", "collations", "schemas", "types", "tables", "functions")
BY_TABLE = ("columns", "constraints", "indexes", "triggers")
BY_NAME = ("comments", "objects")  # always with a definition
DEFINED = ("types", "tables", "functions", *BY_TABLE, *BY_NAME)  # a name may have its definition
ENTRIES = ("seeds", "constraint_examples", "generated_examples", "queries", "plans")
KINDS = (*NAMES, *BY_TABLE, *BY_NAME, *ENTRIES)
# Keys that identify an entry in a later file.
IDENTITY = {
    "seeds": ("table", "where"),
    "constraint_examples": ("table", "constraint", "column"),
    "generated_examples": ("table", "column"),
    "queries": ("name",),
    "plans": ("name",),
}


@dataclass(frozen=True, eq=False)  # its data may be unhashable, so it equals only itself
class Promise:
    """One promise.

    Attributes:
        file: the promise file.
        kind: one of `KINDS`.
        key: the subject of the promise: a name, or table and name.
        data: the definition of a kind in `DEFINED`, None where only the name is promised; or the whole entry of a kind
            in `ENTRIES`.
        earlier: the promise of an earlier file that this one replaces.
    """

    file: str
    kind: str
    key: tuple[str, ...]
    data: Any = None
    earlier: Promise | None = None

    @property
    def table(self) -> str | None:
        """The table of the promise, if any."""
        if self.kind in BY_TABLE or self.kind == "tables" or "table" in IDENTITY.get(self.kind, ()):
            return self.key[0]
        return None


def table_name(name: str) -> str:
    """Return a table's name without the default schema public."""
    return name.removeprefix("public.")


def near(name: str, names: Iterable[str]) -> str:
    """Return ` Did you mean ...?` for a misspelt name, or an empty string."""
    found = difflib.get_close_matches(name, sorted(set(names)), 1, 0.6)
    return f" Did you mean {found[0]}?" if found else ""


def flatten(document: Mapping[str, Any]) -> Iterator[Promise]:
    """Yield the single promises of one file."""
    file = document["file"]
    for kind in KINDS:
        content = document.get(kind) or ()
        if kind in (*NAMES, *BY_NAME):
            for name, definition in _defined(content):
                yield Promise(file, kind, (table_name(name) if kind == "tables" else name,), definition)
        elif kind in BY_TABLE:
            for table, names in content.items() if content else ():
                for name, definition in _defined(names):
                    yield Promise(file, kind, (table_name(table), name), definition)
        else:
            for entry in content:
                tidy = dict(entry) | ({"table": table_name(entry["table"])} if "table" in entry else {})
                yield Promise(file, kind, _entry_key(kind, tidy, file), tidy)


def merge_promises(documents: Iterable[Mapping[str, Any]]) -> tuple[list[Promise], list[str]]:
    """Merge promise files in the order of their versions.

    Args:
        documents: the content of each file with its `version` and `file`.

    Returns:
        The resulting promises, and a sentence for each withdrawal without a promise and for each query or plan whose
        name is taken.
    """
    merged: dict[tuple[str, tuple[str, ...]], Promise] = {}
    problems: list[str] = []
    for document in sorted(documents, key=lambda one: int(one["version"])):
        problems += _withdraw(merged, document)
        for promise in flatten(document):
            earlier = merged.get((promise.kind, promise.key))
            if earlier and promise.kind in ENTRIES:
                problems.append(
                    f"{promise.file}: `{promise.kind}` {' '.join(filter(None, promise.key))} is already promised by "
                    f"{earlier.file}. Rename it, or name it under `withdraws` first."
                )
            merged[promise.kind, promise.key] = replace(promise, earlier=earlier)
    return list(merged.values()), problems


def _defined(names: Any) -> Iterator[tuple[str, str | None]]:
    """Yield names with their definitions, if any."""
    yield from names.items() if isinstance(names, Mapping) else ((name, None) for name in names)


def _entry_key(kind: str, entry: Mapping[str, Any], file: str) -> tuple[str, ...]:
    """Return the key of an entry; the key of seeds includes the file, because seeds of several files add up."""
    key = tuple(str(entry.get(part) or "") for part in IDENTITY[kind])
    return (*key, file, str(entry.get("key"))) if kind == "seeds" else key


def _withdraw(merged: dict[tuple[str, tuple[str, ...]], Promise], document: Mapping[str, Any]) -> list[str]:
    """Remove the promises that a file withdraws; return a sentence for each withdrawal without a promise."""
    problems = []
    for kind, content in (document.get("withdraws") or {}).items():
        for key, rows in _withdrawn_keys(kind, content):  # a key may leave out the last parts
            hits = [promise for promise in merged.values() if promise.kind == kind and promise.key[: len(key)] == key]
            if not hits:
                names = [promise.key[-1] for promise in merged.values() if promise.kind == kind]
                problems.append(
                    f"{document['file']}: withdraws `{kind}` {' '.join(key)}, which no earlier file promises."
                    + (near(key[-1], names) if kind not in IDENTITY or len(key) == 1 else "")
                )
            for promise in hits:
                left = [row for row in promise.data["rows"] if row not in rows] if rows is not None else []
                if left:
                    merged[kind, promise.key] = replace(promise, data=promise.data | {"rows": left})
                else:
                    del merged[kind, promise.key]
            if kind == "tables":  # including all promises about the table
                for other in [one for one in merged.values() if key[0] in (one.table, table_of(one.kind, one.key))]:
                    del merged[other.kind, other.key]
    return problems


def table_of(kind: str, key: tuple[str, ...]) -> str | None:
    """Return the table to which a promised object belongs; for a comment, its target."""
    if kind in BY_TABLE:
        return key[0]
    if kind != "comments":
        return None
    about, _, name = key[0].partition(" ")
    return name.rpartition(".")[0] if about == "column" else name.rpartition(" on ")[2]


def _withdrawn_keys(kind: str, content: Any) -> Iterator[tuple[tuple[str, ...], list[Any] | None]]:
    """Yield the keys of a withdrawal, and for seeds the rows unless all are withdrawn."""
    if kind not in ENTRIES:
        yield from ((promise.key, None) for promise in flatten({"file": "", kind: content}))
    elif IDENTITY[kind] == ("name",):
        yield from (((name,), None) for name in content)
    else:
        for entry in content:
            parts = [str(entry.get(part) or "") for part in IDENTITY[kind]]
            parts[0] = table_name(parts[0])
            while not parts[-1]:
                parts.pop()
            yield tuple(parts), entry.get("rows")
