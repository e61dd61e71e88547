# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the promise files of a release and refuses files with errors.

Runs on the controller, before any host is changed. One reading finds all errors; each is a sentence with file, key
and remedy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
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
# Keys of the entries in lists, with the types of their values; those with a question mark may be left out.
KEYS: dict[str, dict[str, type]] = {
    "seeds": {"table": str, "key": list, "rows": list, "where?": str, "values?": list, "filled?": list},
    "constraint_examples": {"table": str, "constraint": str, "column?": str, "accepts?": list, "refuses?": list},
    "generated_examples": {"table": str, "column": str, "examples": list},
    "queries": {"name": str, "sql": str, "expect": object, "show?": bool, "only_fresh?": bool},
    "plans": {"name": str, "sql": str, "scans?": list, "index?": str, "settings?": dict},
}
WORDS: dict[type, str] = {str: "a text", list: "a list", dict: "a mapping", bool: "true or false"}


class PromiseLoader(Loader):
    """YAML in which all scalars but `true`, `false`, `null` and decimal numbers are texts.

    YAML 1.1 would read 012 and 12:30 as numbers, 2026-01-01 as a date and NO as a boolean.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own name


PromiseLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(?:true|false)$"), list("tf"))
PromiseLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(?:null|~|)$"), ["n", "~", ""])
PromiseLoader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?(?:0|[1-9]\d*)$"), list("-0123456789"))
PromiseLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"-?(?:0|[1-9]\d*)\.\d+$"), list("-0123456789")
)


def _mapping(loader: PromiseLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    """Return a mapping; unlike PyYAML itself, refuse duplicate keys."""
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str) or key in seen:
            problem = "appears twice" if isinstance(key, str) else "is not a text: quote it"
            raise yaml.constructor.ConstructorError(None, None, f"the key {key} {problem}", key_node.start_mark)
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


PromiseLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_promises(directory: Path, migrations: Iterable[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Read and check a folder of promise files.

    Args:
        directory: the folder; a release without it has no promises.
        migrations: names of the release's migrations, like `001_initial_schema`.

    Returns:
        The contents of the files, each with `version`, `name` and `file`, and their problems. While there are problems,
        nothing may be verified.
    """
    known = sorted(migrations)
    documents: list[dict[str, Any]] = []
    problems: list[str] = []
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        if path.name.startswith("."):
            continue
        file = f"{directory.parent.name}/{directory.name}/{path.name}"
        match = FILE_NAME.fullmatch(path.stem)
        if path.suffix != ".yml" or not match:
            problems.append(f"{file}: not named NNN_name.yml like its migration. Rename or move it.")
            continue
        if path.stem not in known:
            advice = near(path.stem, known) or " Rename or remove it."
            problems.append(f"{file}: promises for a migration that does not exist.{advice}")
        try:
            content = yaml.load(path.read_bytes().decode("utf-8-sig"), Loader=PromiseLoader) or {}  # noqa: S506
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            problems.append(file + _unreadable(error))
            continue
        found = [f"{file}: {problem}" for problem in check_document(content)]
        problems += found
        if not found:
            documents.append({"version": match["version"], "name": path.stem, "file": file} | content)
    return documents, problems or merge_promises(documents)[1]


def _unreadable(error: Exception) -> str:
    """Return why a file cannot be read, in words that follow the name of the file."""
    if isinstance(error, UnicodeDecodeError):
        return f": not UTF-8: byte at offset {error.start}. Save the file as UTF-8."
    if isinstance(error, OSError):
        return f": cannot be read: {error.strerror}. Correct its permissions."
    mark = getattr(error, "problem_mark", None)
    place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
    words = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"{place}: not valid YAML: {words}. Correct it."


def check_document(content: Any) -> Iterator[str]:
    """Yield the errors in the content of one file."""
    if not isinstance(content, dict):
        yield "is not a mapping. Its keys are " + ", ".join((*KINDS, "withdraws")) + "."
        return
    yield from _unknown(content, (*KINDS, "withdraws"), "")
    for kind in KINDS:
        if content.get(kind) is not None:
            yield from _check_kind(kind, content[kind], kind)
    withdrawn = content.get("withdraws")
    if isinstance(withdrawn, dict):
        yield from _unknown(withdrawn, KINDS, "withdraws.")
        for kind in KINDS:
            if kind in withdrawn:
                yield from _check_kind(kind, withdrawn[kind], f"withdraws.{kind}", withdrawn=True)
    elif withdrawn is not None:
        yield _wrong("withdraws", dict)


def _check_kind(kind: str, content: Any, where: str, withdrawn: bool = False) -> Iterator[str]:
    """Yield the errors in all promises, or all withdrawals, of one kind."""
    if kind in (*NAMES, *BY_NAME) or (withdrawn and IDENTITY.get(kind) == ("name",)):
        yield from _check_names(kind, content, where, withdrawn)
    elif kind in BY_TABLE and not isinstance(content, dict):
        yield f"`{where}` must be a mapping from tables. Correct it."
    elif kind in BY_TABLE:
        for table, names in content.items():
            yield from _check_names(kind, names, f"{where}.{table}", withdrawn)
    elif withdrawn and (not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content)):
        yield f"`{where}` must be a list of mappings with {', '.join(IDENTITY[kind])}. Correct it."
    elif withdrawn:
        allowed = (*IDENTITY[kind], *(("key", "rows") if kind == "seeds" else ()))
        for number, entry in enumerate(content):
            yield from _unknown(entry, allowed, f"{where}[{number}].")
            if not isinstance(entry.get("table"), str):
                yield _wrong(f"{where}[{number}].table", str)
    elif not isinstance(content, list):
        yield _wrong(kind, list)
    else:
        for number, entry in enumerate(content):
            yield from _check_entry(kind, entry, f"{kind}[{number}]")


def _check_names(kind: str, content: Any, where: str, withdrawn: bool) -> Iterator[str]:
    """Yield the errors in a list of names, or in definitions by name."""
    must = "types" if kind == "columns" else "definitions" if kind in BY_NAME else ""
    if kind in DEFINED and not withdrawn and (must or isinstance(content, dict)):
        things = "columns" if kind == "columns" else "names"
        if not isinstance(content, dict) or not all(isinstance(text, str) for text in content.values()):
            yield f"`{where}` must be a mapping from {things} to {must or 'definitions'}. Correct it."
    elif not isinstance(content, list) or not all(isinstance(name, str) for name in content):
        yield f"`{where}` must be a list of names. Correct it."
    elif len(set(content)) < len(content):
        yield f"`{where}` names {next(name for name in content if content.count(name) > 1)} twice. Remove one."


def _check_entry(kind: str, entry: Any, where: str) -> Iterator[str]:
    """Yield the errors in one entry of a list."""
    if not isinstance(entry, dict):
        yield _wrong(where, dict)
        return
    types = {key.rstrip("?"): wanted for key, wanted in KEYS[kind].items()}
    yield from _unknown(entry, types, f"{where}.")
    missing = [key for key in types if key in KEYS[kind] and key not in entry]
    wrong = [key for key, wanted in types.items() if key in entry and not isinstance(entry[key], wanted)]
    yield from (f"`{where}` has no `{key}`. Add it." for key in missing)
    yield from (_wrong(f"{where}.{key}", types[key]) for key in wrong)
    if not missing and not wrong:
        yield from CHECKS[kind](entry, where)


def _check_seeds(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield the errors in seeds."""
    columns = entry["key"] + entry.get("values", [])
    for number, row in enumerate(entry["rows"]):
        if not isinstance(row, list) or len(row) != len(columns):
            yield f"`{where}.rows[{number}]` needs {len(columns)} values: {', '.join(map(str, columns))}. Correct it."
    keys = [str(row[: len(entry["key"])]) for row in entry["rows"] if isinstance(row, list)]
    if doubled := next((key for key in keys if keys.count(key) > 1), None):
        yield f"`{where}.rows` has the key {doubled} twice. Remove one."
    if "where" in entry:
        yield from _check_sql(f"SELECT FROM t WHERE (\n{entry['where']}\n)", f"{where}.where", "a condition")


def _check_constraint_examples(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield the errors in examples for a constraint."""
    examples = entry.get("accepts", []) + entry.get("refuses", [])
    if not examples:
        yield f"`{where}` has neither `accepts` nor `refuses`. Add examples."
    if "column" not in entry and not all(isinstance(example, dict) for example in examples):
        yield f"`{where}` has no `column`. Add it, or write each example as a mapping from columns to values."


def _check_generated_examples(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield the errors in examples for a generated column."""
    for number, example in enumerate(entry["examples"]):
        if not isinstance(example, dict) or set(example) != {"given", "expect"}:
            yield f"`{where}.examples[{number}]` must be a mapping with `given` and `expect`. Correct it."
        elif not isinstance(example["given"], dict):
            yield _wrong(f"{where}.examples[{number}].given", dict)


def _check_query(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield the errors in a query."""
    yield from _check_sql(f"SELECT FROM (\n{entry['sql']}\n) AS q", f"{where}.sql", "one SELECT without semicolon")


def _check_plan(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield the errors in a plan."""
    yield from _check_query(entry, where)
    if not entry.get("scans") and not entry.get("index"):
        yield f"`{where}` has neither `scans` nor `index`. Add what the plan must show."
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
    """Yield a sentence if PostgreSQL's parser does not find exactly one SELECT."""
    try:
        nodes = parser.parse_sql(statement)
    except parser.ParseError as error:
        yield f"`{where}` is not {what}: {error.args[0]}. Correct it."
        return
    if len(nodes) != 1 or not isinstance(nodes[0].stmt, ast.SelectStmt):
        yield f"`{where}` is not {what}. Correct it."


def _unknown(content: Mapping[str, Any], known: Iterable[str], where: str) -> Iterator[str]:
    """Yield a sentence for each unknown key."""
    names = tuple(known)
    for key in content:
        if key not in names:
            yield f"the key `{where}{key}` is unknown.{near(key, names) or ' Known keys: ' + ', '.join(names) + '.'}"


def _wrong(where: str, wanted: type) -> str:
    """Return the sentence for a value of another type than wanted."""
    return f"`{where}` is not {WORDS[wanted]}. Correct it."
