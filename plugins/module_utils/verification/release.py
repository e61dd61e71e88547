# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the promise files of a release and refuses what is wrong with them.

Runs on the controller, before any host is touched. Everything wrong is found in one reading; each problem is one
sentence with file, key and remedy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pglast import ast, parser

from .promise import (
    BY_NAME,
    BY_TABLE,
    DEFINED,
    IDENTITY,
    KINDS,
    NAMES,
    merge_promises,
    near,
)

try:
    from yaml import CSafeLoader as Loader  # written in C, many times as fast
except ImportError:
    from yaml import SafeLoader as Loader  # type: ignore[assignment]

FILE_NAME = re.compile(r"(?P<version>\d{3,})_[a-z0-9]+(?:_[a-z0-9]+)*")
PLANNER_SETTING = re.compile(r"enable_[a-z_]+")
# Keys of the entries in lists: required ones, and optional ones.
REQUIRED = {
    "seeds": ("table", "key", "rows"),
    "constraint_examples": ("table", "constraint"),
    "generated_examples": ("table", "column", "examples"),
    "queries": ("name", "sql", "expect"),
    "plans": ("name", "sql"),
}
OPTIONAL = {
    "seeds": ("where", "values", "filled"),
    "constraint_examples": ("column", "accepts", "refuses"),
    "queries": ("show", "only_fresh"),
    "plans": ("scans", "index", "settings"),
}
WORDS: dict[type, str] = {str: "a text", list: "a list", dict: "a mapping", bool: "true or false"}
TYPES: dict[str, type] = {
    "accepts": list,
    "examples": list,
    "filled": list,
    "key": list,
    "only_fresh": bool,
    "refuses": list,
    "rows": list,
    "scans": list,
    "settings": dict,
    "show": bool,
    "values": list,
}


class PromiseLoader(Loader):
    """YAML in which only `true`, `false`, `null` and decimal numbers are anything but text.

    YAML 1.1 would make a number of 012 and 12:30, a date of 2026-01-01 and a boolean of NO.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own name


PromiseLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(?:true|false)$"), list("tf"))
PromiseLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(?:null|~|)$"), ["n", "~", ""])
PromiseLoader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?(?:0|[1-9]\d*)$"), list("-0123456789"))
PromiseLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"-?(?:0|[1-9]\d*)\.\d+$"), list("-0123456789")
)


def _mapping(loader: PromiseLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    """Make a mapping; unlike PyYAML itself refuse a key that stands twice."""
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key} is not a text: quote it", key_node.start_mark
            )
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key} stands twice", key_node.start_mark)
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


PromiseLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


@dataclass
class Promises:
    """The promise files of a release, and what is wrong with them."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_promises(directory: Path, migrations: Iterable[str]) -> Promises:
    """Read and check a folder of promise files.

    Args:
        directory: the folder; a release without one promises nothing.
        migrations: names of the release's migrations, like `001_initial_schema`.

    Returns:
        The files' contents, each with `version`, `name` and `file`. Nothing may be verified while there are problems.
    """
    known = sorted(migrations)
    result = Promises()
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        if path.name.startswith("."):
            continue
        file = f"{directory.parent.name}/{directory.name}/{path.name}"
        match = FILE_NAME.fullmatch(path.stem)
        if path.suffix != ".yml" or not match:
            result.problems.append(f"{file}: not named NNN_name.yml like its migration. Rename or move it.")
            continue
        if path.stem not in known:
            advice = near(path.stem, known) or " Rename or remove it."
            result.problems.append(f"{file}: promises for a migration that does not exist.{advice}")
        try:
            content = yaml.load(path.read_bytes().decode("utf-8-sig"), Loader=PromiseLoader) or {}  # noqa: S506
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
            result.problems.append(f"{place}: not valid YAML: {error.problem}. Correct it.")
            continue
        except yaml.YAMLError as error:
            result.problems.append(f"{file}: not valid YAML: {' '.join(str(error).split())}. Correct it.")
            continue
        except UnicodeDecodeError as error:
            result.problems.append(f"{file}: not UTF-8: byte at offset {error.start}. Save the file as UTF-8.")
            continue
        except OSError as error:
            result.problems.append(f"{file}: cannot be read: {error.strerror}. Correct its permissions.")
            continue
        found = [f"{file}: {problem}" for problem in check_document(content)]
        result.problems += found
        if not found:
            result.documents.append({"version": match["version"], "name": path.stem, "file": file} | content)
    if not result.problems:
        result.problems += merge_promises(result.documents)[1]
    return result


def check_document(content: Any) -> Iterator[str]:
    """Yield what is wrong with the content of one file."""
    if not isinstance(content, dict):
        yield "holds no mapping. Its keys are " + ", ".join((*KINDS, "withdraws")) + "."
        return
    yield from _unknown(content, (*KINDS, "withdraws"), "")
    for kind in KINDS:
        if content.get(kind) is not None:
            yield from _check_kind(kind, content[kind])
    withdrawn = content.get("withdraws")
    if withdrawn is None:
        return
    if not isinstance(withdrawn, dict):
        yield _wrong("withdraws", dict)
        return
    yield from _unknown(withdrawn, KINDS, "withdraws.")
    for kind in KINDS:
        if kind in withdrawn:
            yield from _check_withdrawn(kind, withdrawn[kind])


def _check_kind(kind: str, content: Any) -> Iterator[str]:
    """Yield what is wrong with all promises of one kind."""
    if kind in (*NAMES, *BY_NAME):
        yield from _check_defined(kind, kind, content)
    elif kind in BY_TABLE:
        yield from _check_by_table(kind, kind, content)
    elif not isinstance(content, list):
        yield _wrong(kind, list)
    else:
        for number, entry in enumerate(content):
            yield from _check_entry(kind, entry, f"{kind}[{number}]")


def _check_withdrawn(kind: str, content: Any) -> Iterator[str]:
    """Yield what is wrong with the withdrawals of one kind."""
    where = f"withdraws.{kind}"
    if kind in (*NAMES, *BY_NAME) or IDENTITY.get(kind) == ("name",):
        yield from _check_names(where, content)
    elif kind in BY_TABLE:
        yield from _check_by_table("", where, content)
    elif not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        yield f"`{where}` is a list of mappings with {', '.join(IDENTITY[kind])}. Correct it."
    else:
        allowed = (*IDENTITY[kind], *(("key", "rows") if kind == "seeds" else ()))
        for number, entry in enumerate(content):
            yield from _unknown(entry, allowed, f"{where}[{number}].")
            if not isinstance(entry.get("table"), str):
                yield _wrong(f"{where}[{number}].table", str)


def _check_names(where: str, content: Any) -> Iterator[str]:
    """Yield what is wrong with a list of names."""
    if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
        yield f"`{where}` is a list of names. Correct it."
    elif len(set(content)) < len(content):
        yield f"`{where}` names {next(name for name in content if content.count(name) > 1)} twice. Remove one."


def _check_by_table(kind: str, where: str, content: Any) -> Iterator[str]:
    """Yield what is wrong with names, or definitions by name, listed by table."""
    if not isinstance(content, dict):
        yield f"`{where}` is a mapping from tables. Correct it."
        return
    for table, names in content.items():
        yield from _check_defined(kind, f"{where}.{table}", names)


def _check_defined(kind: str, where: str, content: Any) -> Iterator[str]:
    """Yield what is wrong with names, or with definitions by name."""
    must = "types" if kind == "columns" else "definitions" if kind in BY_NAME else ""
    if kind not in DEFINED or not (must or isinstance(content, dict)):
        yield from _check_names(where, content)
        return
    things = "columns" if kind == "columns" else "names"
    if not isinstance(content, dict) or not all(isinstance(text, str) for text in content.values()):
        yield f"`{where}` is a mapping from {things} to {must or 'definitions'}. Correct it."


def _check_entry(kind: str, entry: Any, where: str) -> Iterator[str]:
    """Yield what is wrong with one entry of a list."""
    if not isinstance(entry, dict):
        yield _wrong(where, dict)
        return
    yield from _unknown(entry, (*REQUIRED[kind], *OPTIONAL.get(kind, ())), f"{where}.")
    missing = [key for key in REQUIRED[kind] if key not in entry]
    wrong = [
        key
        for key in (*REQUIRED[kind], *OPTIONAL.get(kind, ()))
        if key in entry and key != "expect" and not isinstance(entry[key], TYPES.get(key, str))
    ]
    yield from (f"`{where}` has no `{key}`. Add it." for key in missing)
    yield from (_wrong(f"{where}.{key}", TYPES.get(key, str)) for key in wrong)
    if not missing and not wrong:
        yield from CHECKS[kind](entry, where)


def _check_seeds(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield what is wrong with seeds."""
    columns = entry["key"] + entry.get("values", [])
    for number, row in enumerate(entry["rows"]):
        if not isinstance(row, list) or len(row) != len(columns):
            yield f"`{where}.rows[{number}]` is a list of {len(columns)}: {', '.join(map(str, columns))}. Correct it."
    keys = [str(row[: len(entry["key"])]) for row in entry["rows"] if isinstance(row, list)]
    if doubled := next((key for key in keys if keys.count(key) > 1), None):
        yield f"`{where}.rows` holds the key {doubled} twice. Remove one."
    if "where" in entry:
        yield from _check_sql(f"SELECT FROM t WHERE (\n{entry['where']}\n)", f"{where}.where", "a condition")


def _check_constraint_examples(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield what is wrong with examples for a constraint."""
    examples = entry.get("accepts", []) + entry.get("refuses", [])
    if not examples:
        yield f"`{where}` has neither `accepts` nor `refuses`. Add examples."
    if "column" not in entry and not all(isinstance(example, dict) for example in examples):
        yield f"`{where}` has no `column`. Add it, or write each example as a mapping from columns to values."


def _check_generated_examples(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield what is wrong with examples for a generated column."""
    for number, example in enumerate(entry["examples"]):
        if not isinstance(example, dict) or set(example) != {"given", "expect"}:
            yield f"`{where}.examples[{number}]` is a mapping with `given` and `expect`. Correct it."
        elif not isinstance(example["given"], dict):
            yield _wrong(f"{where}.examples[{number}].given", dict)


def _check_query(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield what is wrong with a query."""
    yield from _check_sql(f"SELECT FROM (\n{entry['sql']}\n) AS q", f"{where}.sql", "one SELECT without semicolon")


def _check_plan(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield what is wrong with a plan."""
    yield from _check_query(entry, where)
    if not entry.get("scans") and not entry.get("index"):
        yield f"`{where}` has neither `scans` nor `index`. Add what the plan has to show."
    for name, value in entry.get("settings", {}).items():
        if not PLANNER_SETTING.fullmatch(name) or value not in (True, False, "on", "off"):
            yield f"`{where}.settings.{name}` is not a planner setting like `enable_seqscan: false`. Correct it."


CHECKS: dict[str, Callable[[Mapping[str, Any], str], Iterator[str]]] = {
    "seeds": _check_seeds,
    "constraint_examples": _check_constraint_examples,
    "generated_examples": _check_generated_examples,
    "queries": _check_query,
    "plans": _check_plan,
}


def _check_sql(statement: str, where: str, what: str) -> Iterator[str]:
    """Yield a sentence where PostgreSQL's parser does not find exactly one SELECT."""
    try:
        nodes = parser.parse_sql(statement)
    except parser.ParseError as error:
        yield f"`{where}` is not {what}: {error.args[0]}. Correct it."
        return
    if len(nodes) != 1 or not isinstance(nodes[0].stmt, ast.SelectStmt):
        yield f"`{where}` is not {what}. Correct it."


def _unknown(content: Mapping[str, Any], known: Iterable[str], where: str) -> Iterator[str]:
    """Yield a sentence for each key that is unknown."""
    names = tuple(known)
    for key in content:
        if key not in names:
            yield f"the key `{where}{key}` is unknown.{near(key, names) or ' Known are ' + ', '.join(names) + '.'}"


def _wrong(where: str, wanted: type) -> str:
    """Return the sentence for a value of another type than wanted."""
    return f"`{where}` is not {WORDS[wanted]}. Correct it."
