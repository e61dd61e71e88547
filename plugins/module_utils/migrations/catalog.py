# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the migrations of a release and refuses files that would fail or do harm on a database.

Runs on the controller, before any host is changed. PostgreSQL's own parser (pglast) checks the files, not patterns, so
the server splits a file into the same statements.

One reading finds all errors of a release. Each is a `Finding` with file, line and remedy.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pglast import ast, enums, parser

from .alone import describe, undecidable
from .locks import Reader, is_on
from .names import (
    MIGRATE,
    REPEAT,
    ROLLBACK,
    Name,
    is_flyways,
    other_name,
    read_name,
    stands_between,
    version_key,
)
from .outside import leaves, roles
from .parts import DOWN, UP, Part, read_part
from .repeatable import in_order

HEADER_LINE = re.compile(
    r"--\s*(?P<key>Migration|Rollback|Repeatable|Description|Depends on|Transactional):\s*(?P<value>.*)"
)
QUOTED_TOKEN = re.compile(r' at or near "(?P<token>.*)"$', re.DOTALL)
LONGEST_TOKEN = 30  # characters of the file that a syntax error may repeat
VERSION = re.compile(r"\d+(?:\.\d+)*")
# Required file names: migrations and rollbacks, and repeatable files.
EXAMPLES = ("NNN_name.sql (three digits, lower case, underscores)", "name.sql (lower case, underscores)")
OF_TRANSACTION = re.compile(r"transaction( snapshot)?|transaction_(isolation|deferrable|read_only)", re.IGNORECASE)
MANY = 5  # equal findings; if there are more, they are merged into one
# Invisible characters that PostgreSQL takes for letters of a name or rejects.
UNSEEN = re.compile("[\x1a\x85\xa0\xad\u1680\u2000-\u200b\u2028-\u202f\u205f-\u2064\u3000\ufeff]")
PSQL_VARIABLE = re.compile(r""":(?P<quote>['"]?)[A-Za-z_]\w{0,30}(?P=quote)""")
# White space of PostgreSQL's lexer, the end of its two kinds of comments, and the nesting of C-style comments.
SPACE = " \t\n\r\f\v"
END_OF_LINE = re.compile(r"[\n\r]")
EDGE_OF_COMMENT = re.compile(r"/\*|\*/")
IDENTIFIER = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
INSERT = re.compile(rf"INSERT\s+INTO\s+(?P<relation>{IDENTIFIER}(?:\.{IDENTIFIER})?)[\s(]", re.IGNORECASE)
OPENS = re.compile(r"(?:BEGIN|START)\b", re.IGNORECASE)
LONG_INSERT = 1_000  # characters
COPY_NEEDS_PSQL = "COPY with standard input or output works in psql only. Use INSERT."
# Kinds of statements that are allowed in any file and have no effect outside of the database.
KIND = re.compile(r'"stmt":\{"(\w+)"')
PLAIN = ("CreateStmt", "CreateTrigStmt", "CreateFunctionStmt", "DeleteStmt", "InsertStmt", "UpdateStmt", "ViewStmt")
BOM = b"\xef\xbb\xbf"

# Changes of a subscription that refresh its list of the publisher's tables by default.
REFRESHING = (
    enums.AlterSubscriptionType.ALTER_SUBSCRIPTION_REFRESH,
    enums.AlterSubscriptionType.ALTER_SUBSCRIPTION_SET_PUBLICATION,
    enums.AlterSubscriptionType.ALTER_SUBSCRIPTION_ADD_PUBLICATION,
    enums.AlterSubscriptionType.ALTER_SUBSCRIPTION_DROP_PUBLICATION,
)
# Statements that PostgreSQL refuses inside a transaction block (PreventInTransactionBlock), by their parse node, and
# the condition. Three depend on more than their text and are left to the server: REINDEX and CLUSTER of one relation
# (refused where it is partitioned), and DROP SUBSCRIPTION (refused where it has a slot).
NEVER_IN_TRANSACTION: dict[type, Callable[[Any], bool]] = {
    ast.AlterDatabaseStmt: lambda node: any(option.defname == "tablespace" for option in node.options or ()),
    ast.AlterSubscriptionStmt: lambda node: node.kind in REFRESHING and is_on(node.options, "refresh", usual=True),
    ast.AlterSystemStmt: lambda _: True,
    ast.AlterTableStmt: lambda node: any(isinstance(c.def_, ast.PartitionCmd) and c.def_.concurrent for c in node.cmds),
    ast.ClusterStmt: lambda node: node.relation is None,
    ast.CreateSubscriptionStmt: lambda node: is_on(
        node.options, "create_slot", usual=is_on(node.options, "connect", usual=True)
    ),
    ast.CreateTableSpaceStmt: lambda _: True,
    ast.CreatedbStmt: lambda _: True,
    ast.DiscardStmt: lambda node: node.target == enums.DiscardMode.DISCARD_ALL,
    ast.DropStmt: lambda node: node.concurrent,
    ast.DropTableSpaceStmt: lambda _: True,
    ast.DropdbStmt: lambda _: True,
    ast.IndexStmt: lambda node: node.concurrent,
    ast.ReindexStmt: lambda node: node.relation is None or is_on(node.params, "concurrently"),
    ast.VacuumStmt: lambda node: node.is_vacuumcmd,
}


@dataclass(frozen=True, order=True)
class Finding:
    """One error in a release, as one sentence with its place and its remedy.

    `lacks` is the missing header entry, by which equal findings of many files are merged.
    """

    file: str
    line: int
    message: str
    lacks: str = field(default="", compare=False)

    def __str__(self) -> str:
        """Return `file:line: message`, or `file: message` without a line."""
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


@dataclass(frozen=True)
class Statement:
    """One top-level statement: its text without the comments before it, and the line it starts at (from 1).

    For the statements that are sent, `needs` are the locks that it takes on relations, `outside` is its effect outside
    of the database as `outside.py` describes it, and `roles` are the roles that it creates or names. A statement that
    `renews` leaves a state that only a new session clears.
    """

    line: int
    text: str
    needs: tuple[dict[str, Any], ...] = ()
    outside: str = ""
    roles: tuple[str, ...] = ()
    renews: bool = False

    @property
    def node(self) -> Any:
        """Its parse tree, built at each call; the tree of a long INSERT lacks the rows."""
        return parser.parse_sql(self._without_rows)[0].stmt

    @property
    def is_plain(self) -> bool:
        """Whether its kind is in PLAIN; this takes a thirtieth of the time that a parse tree takes."""
        kind = KIND.search(parser.parse_sql_json(self._without_rows))
        return kind is not None and kind[1] in PLAIN

    @property
    def _without_rows(self) -> str:
        if len(self.text) > LONG_INSERT and (match := INSERT.match(self.text)):
            return f"INSERT INTO {match['relation']} DEFAULT VALUES"
        return self.text


@dataclass(frozen=True)
class SqlText:
    """The text of one SQL file as it is hashed, parsed and sent: UTF-8, LF line ends, no BOM.

    `sha256` is the hash of that text, `sha256_raw` that of the bytes on disk. Together they tell other line ends from
    an edit. In a file with a migration and its rollback, `part` says which one this is, and `sha256` covers only it.
    """

    file: str
    text: str
    sha256: str
    sha256_raw: str
    notes: tuple[str, ...] = ()
    part: Part | None = None

    @cached_property
    def header(self) -> dict[str, tuple[int, str]]:
        """The header's entries as {key: (line, value)}: the comment lines before the first statement."""
        entries: dict[str, tuple[int, str]] = {}
        for at, comment in comments_before(self.text)[1]:
            if match := HEADER_LINE.fullmatch(comment.rstrip()):
                entries.setdefault(match["key"], (self.line_of(at), match["value"].strip()))
        return entries

    def says(self, key: str, usual: str = "") -> str:
        """Return the value of an entry of the header."""
        return self.header.get(key, (0, usual))[1]

    @property
    def statements(self) -> list[Statement]:
        """Its statements; none where it cannot be parsed, which `check_statements` reports."""
        try:
            return split_file(self.text)
        except parser.ParseError:
            return []

    def line_of(self, offset: int) -> int:
        """Return the line of an offset in characters, from 1."""
        return self.text.count("\n", 0, offset) + 1

    def finding(self, line: int, message: str, lacks: str = "") -> Finding:
        """Return a finding for a line of the file; 0 is the whole file."""
        return Finding(self.file, line, message, lacks)


@dataclass(frozen=True)
class Migration:
    """One migration of a release, without its SQL.

    `steps` are the statements of a file without transaction, as `alone.py` describes them. A `linear` one
    states no dependencies, and so depends on the one before it. A repeatable file has the version R, and depends on
    names. `outside` are the statements with an effect outside of the database, {line, what}. `down_mark` is the mark
    before the rollback in a file that holds both.
    """

    version: str
    name: str
    file: str
    description: str
    depends: tuple[str, ...]
    transactional: bool
    sha256: str
    sha256_raw: str
    rollback: str | None = None
    notes: tuple[str, ...] = ()
    steps: tuple[dict[str, Any], ...] = ()
    linear: bool = False
    outside: tuple[dict[str, Any], ...] = ()
    down_mark: str = ""

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Migration:
        """Return the migration of a plan's entry, without the keys that the plan adds."""
        values: dict[str, Any] = {each.name: entry[each.name] for each in fields(cls) if each.name in entry}
        return cls(**values | {name: tuple(value) for name, value in values.items() if isinstance(value, list)})


@dataclass
class Catalog:
    """All migrations of a release in the order in which they are applied, and the findings.

    `warnings` are sentences about files in the folder that are not applied.
    """

    migrations: list[Migration] = field(default_factory=list)
    repeatable: list[Migration] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def release(self) -> str:
        """Name of this content: the first 12 hex digits of SHA-256 over versions, names and checksums."""
        lines = (f"{m.version} {m.name} {m.sha256}\n" for m in [*self.migrations, *self.repeatable])
        return hashlib.sha256("".join(lines).encode()).hexdigest()[:12]


def read_catalog(release: Path, header_required: bool = True) -> Catalog:
    """Read and check a release folder: `migrations/`, `rollbacks/` and `repeatable/`.

    Args:
        release: folder of the release.
        header_required: whether files that are named like ours must have our header.

    Returns:
        The catalog. Its migrations must not be used while it has findings.
    """
    catalog = Catalog()
    findings = catalog.findings
    files = _read_folder(release, _folder_of_migrations(release), header_required, findings, catalog.warnings)
    if not files and not findings:
        findings.append(Finding(f"{release.name}/migrations", 0, "contains no migration. Correct release_directory."))
    for folder in ("rollbacks", "repeatable"):
        files += _read_folder(release, folder, header_required, findings, catalog.warnings)

    migrations = [_check_file(sql, name, findings) for sql, name in files if name.kind == MIGRATE]
    migrations.sort(key=lambda m: version_key(m.version))
    migrations = list(_after_each_other(migrations))
    findings += duplicate_versions(migrations)
    findings += broken_dependencies(migrations)
    back = [pair for pair in files if pair[1].kind == ROLLBACK]
    back += [(part, name) for sql, name in files if (part := _down_part(release, sql)) is not None]
    ways_back = _check_rollbacks(back, migrations, findings)
    catalog.migrations = [replace(m, rollback=ways_back.get(m.version)) for m in migrations]
    repeatable = [_check_file(sql, name, findings) for sql, name in files if name.kind == REPEAT]
    catalog.repeatable = _order_repeatable(repeatable, findings)
    catalog.findings = said_once(sorted(findings))
    return catalog


def read_text(path: Path, file: str, way: str = UP) -> SqlText:
    """Read one SQL file as it will be hashed and sent. All files of a release are read here.

    Args:
        path: the file on disk.
        file: its name in messages, relative to the parent folder of the release.
        way: the part of a file with a migration and its rollback, `up` or `down`; other files are read as a whole.

    Raises:
        ValueError: with a `Finding` as its only argument, where the bytes are not UTF-8 or hold a NUL byte.
    """
    raw = path.read_bytes()
    if (at := raw.find(b"\0")) >= 0:
        words = f"NUL byte at offset {at}: programs silently truncate the file there. Remove it."
        raise ValueError(Finding(file, raw.count(b"\n", 0, at) + 1, words))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start + (len(BOM) if raw.startswith(BOM) else 0)
        words = f"not UTF-8: byte 0x{raw[at]:02X} at offset {at}. Save the file as UTF-8."
        raise ValueError(Finding(file, raw.count(b"\n", 0, at) + 1, words)) from error
    notes = []
    if raw.startswith(BOM):
        notes.append("starts with a byte order mark; read without it")
    if "\r\n" in text:
        notes.append("has CRLF line ends; read as LF")
        text = text.replace("\r\n", "\n")
    part = read_part(text, way)
    return SqlText(
        file=file,
        text=part.text if part else text,
        sha256=hashlib.sha256((part.own if part else text).encode()).hexdigest(),
        sha256_raw=hashlib.sha256(raw).hexdigest(),
        notes=tuple(notes),
        part=part,
    )


def said_once(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings, with equal findings of many files merged into one that holds their number."""
    alike: dict[str, list[Finding]] = {}
    for finding in findings:
        alike.setdefault("its header has no " if finding.lacks else finding.message, []).append(finding)
    said = []
    for same in alike.values():
        first, last = same[0], same[-1]
        files = list(dict.fromkeys(finding.file for finding in same))
        if len(files) <= MANY:
            said += same
        elif first.lacks:
            keys = " and no ".join(f"`{key}`" for key in dict.fromkeys(finding.lacks for finding in same))
            message = (
                f"the header has no {keys}, in {len(files)} files from this one to {files[-1]}. Write the headers, or "
                "deploy with -e migrations_header_required=false if the files were not written for it."
            )
            said.append(Finding(first.file, first.line, message))
        else:
            place = f"{files[-1]}:{last.line}" if last.line else files[-1]
            said.append(replace(first, message=f"{first.message} The same in {len(files) - 1} more, up to {place}."))
    return sorted(said)


def comments_before(text: str, begin: int = 0, end: int | None = None) -> tuple[int, list[tuple[int, str]]]:
    """Return where the first statement of a text begins, and the SQL-style comments before it.

    Reads like PostgreSQL's lexer: `--` ends at LF or CR, `/*` nests to any depth.

    Returns:
        The offset of the statement, or `end`; and (offset, words) of each comment that begins with `--`.
    """
    end = len(text) if end is None else end
    at, comments = begin, []
    while at < end:
        if text[at] in SPACE:
            at += 1
        elif text.startswith("--", at, end):
            stop = END_OF_LINE.search(text, at, end)
            comments.append((at, text[at : stop.start() if stop else end]))
            at = stop.start() if stop else end
        elif text.startswith("/*", at, end):
            depth = 0
            for edge in EDGE_OF_COMMENT.finditer(text, at, end):
                depth += 1 if edge[0] == "/*" else -1
                at = edge.end()
                if depth == 0:
                    break
            else:
                return end, comments
        else:
            return at, comments
    return end, comments


def split_file(text: str) -> list[Statement]:
    """Split a file into its top-level statements.

    PostgreSQL's parser splits it without returning a tree: the tree of a file of 20 MB would take gigabytes.

    Raises:
        parser.ParseError: where PostgreSQL would refuse the text; its second argument is the offset in characters.
    """
    statements = []
    line, counted = 1, 0
    for part in parser.split(text, with_parser=True, only_slices=True):
        begin, _ = comments_before(text, part.start, part.stop)
        line += text.count("\n", counted, begin)
        counted = begin
        statements.append(Statement(line, text[begin : part.stop].rstrip(SPACE)))
    return statements


def own_statements(text: str) -> list[Statement]:
    """Return the statements to send: without the BEGIN and COMMIT around the whole file, which the run replaces."""
    reader = Reader()
    return [
        replace(
            statement,
            needs=tuple(reader.needs(node)),
            outside=leaves(node),
            roles=roles(node),
            renews=_renews(statement, node),
        )
        for statement in _unwrapped(split_file(text))
        for node in [statement.node]
    ]


def _renews(statement: Statement, node: Any) -> bool:
    """Tell whether a statement leaves a state in its session that RESET ALL and DISCARD do not clear.

    A custom setting, `SET app.clinic = ...`, stays defined with an empty value; in a new session it is undefined. ALTER
    DATABASE and ALTER ROLE change the settings with which a session begins.
    """
    own = isinstance(node, ast.VariableSetStmt) and "." in (node.name or "")
    return own or bool(leaves(node)) or "set_config" in statement.text.lower()


def check_statements(sql: SqlText, transactional: bool, outside: list[dict[str, Any]] | None = None) -> list[Finding]:
    """Return findings for statements of a file that would break the run, or break out of its transaction.

    Args:
        sql: the file.
        transactional: whether it runs in a transaction.
        outside: a list to which statements with an effect outside of the database are added, {line, what}.
    """
    try:
        statements = sql.statements or split_file(sql.text)
    except parser.ParseError as error:
        return _unseen(sql) or [_syntax_finding(sql, error)]
    if not statements and not sql.part and not sql.text.strip():
        return [sql.finding(1, "contains no SQL statement. Write it, or delete the file.")]
    findings = _unseen(sql)
    own = _unwrapped(statements)
    if own != statements and statements[0].node.options:
        message = "BEGIN with transaction options: the run itself starts the transaction. Write BEGIN alone."
        findings.append(sql.finding(statements[0].line, message))
    for statement in own:
        if statement.is_plain:
            continue
        node = statement.node
        if problem := _problem(node, transactional):
            findings.append(sql.finding(statement.line, problem))
        if outside is not None and (what := leaves(node)):
            outside.append({"line": statement.line, "what": what})
    if not transactional and len(own) > 1 and (unsafe := undecidable(_steps(sql))):
        findings.append(sql.finding(*unsafe))
    return findings


def duplicate_versions(migrations: Iterable[Migration]) -> list[Finding]:
    """Return a finding for each file whose version another file already has."""
    first: dict[tuple[int, ...], Migration] = {}
    return [
        Finding(each.file, 0, f"version {each.version} is also the version of {other.file}. Renumber the newer file.")
        for each in sorted(migrations, key=lambda m: m.file)
        if (other := first.setdefault(version_key(each.version), each)) is not each
    ]


def broken_dependencies(migrations: Collection[Migration]) -> list[Finding]:
    """Return unknown dependencies, cycles (with their path) and dependencies on a later version."""
    by_version = {m.version: m for m in migrations}
    findings, on_cycle = _circles(by_version)
    for migration in migrations:
        for needed in migration.depends:
            problem = ""
            if needed not in by_version:
                problem = (
                    f"depends on {needed}, and no file has that version. Add {needed}_NAME.sql or correct `Depends on`."
                )
            elif version_key(needed) > version_key(migration.version) and migration.version not in on_cycle:
                problem = f"depends on {needed}, which is applied after it. Renumber one of the two files."
            if problem:
                findings.append(Finding(migration.file, 0, problem))
    return findings


def _circles(files: Mapping[str, Migration]) -> tuple[list[Finding], set[str]]:
    """Return a finding for each dependency cycle, and the keys of all files on a cycle."""
    findings = []
    on_circle: set[str] = set()
    ordered = {*in_order({key: file.depends for key, file in files.items()})}
    for key in files:
        if key not in ordered and key not in on_circle and (path := _circle_from(key, files)):
            on_circle.update(path)
            message = f"its dependencies form a cycle: {' -> '.join(path)}. Remove one of these `Depends on`."
            findings.append(Finding(files[key].file, 0, message))
    return findings, on_circle


def _folder_of_migrations(release: Path) -> str:
    """Return the folder of the migrations: ours, Flyway's, or the release folder itself."""
    there = [name for name in ("migrations", "migration") if (release / name).is_dir()]
    return there[0] if there else "" if any(release.glob("*.sql")) else "migrations"


def _read_folder(
    release: Path, folder: str, header_required: bool, findings: list[Finding], warnings: list[str]
) -> list[tuple[SqlText, Name]]:
    """Read every file of a folder, except hidden files and what lies beside other tools' files."""
    directory = release / folder
    paths = _listed(directory) if directory.is_dir() else []
    if folder == "":
        paths = [path for path in paths if path.name not in ("rollbacks", "repeatable")]
    names = {path: read_name(path.name, folder, header_required) for path in paths}
    below = {path: _sql_below(path) for path in paths if path.is_dir()}
    added = [path for found in below.values() for path in found]
    if any(is_flyways(path.name) for path in (*paths, *added)):
        names |= {path: read_name(path.name, folder, header_required) for path in added}
        paths, below = [path for path in paths if path not in below] + added, {}

    def called(path: Path) -> str:
        return f"{release.name}/{path.relative_to(release).as_posix()}"

    texts = _read_texts({path: called(path) for path in paths}, findings)
    for path, text in texts.items():
        if text.part and folder not in ("rollbacks", "repeatable"):
            names[path] = read_name(path.name, folder, header_required, marked=True)
    theirs = folder == "" or any(name and name.foreign for name in names.values())
    between = [called(path) for path in paths if theirs and stands_between(path.name)]
    if between:
        warnings.append(
            f"{', '.join(between)}: not SQL, so it is not applied. The tool of this folder would apply it in the order "
            "of its version: write it as SQL if other files need it."
        )
    files = []
    for path in paths:
        name, sql, message = names[path], texts.get(path), ""
        if sql and name:
            files.append((sql, name))
            if sql.part and name.kind != MIGRATE:
                message = "has an up and a down part, but is not a migration. Keep its statements and remove the marks."
        elif (path.suffix == ".sql" or not theirs or below.get(path)) and (name is None or not path.is_file()):
            message = _not_read(path, below.get(path, []), theirs)
            message = message or other_name(path.name, folder, header_required)
            example = EXAMPLES[folder == "repeatable"]
            if theirs and folder != "repeatable":
                example = "V7__name.sql, 000007_name.up.sql or NNN_name.sql"
            message = message or f"not named {example}. Rename or move it."
        if message:
            findings.append(Finding(called(path), 0, message))
    return files


def _read_texts(files: Mapping[Path, str], findings: list[Finding]) -> dict[Path, SqlText]:
    """Read the SQL files among `files`, {path: name in messages}; add unreadable ones to `findings`."""
    texts = {}
    for path, file in files.items():
        if path.suffix != ".sql" or not path.is_file():
            continue
        try:
            texts[path] = read_text(path, file)
        except ValueError as error:
            findings.append(error.args[0])
        except OSError as error:
            findings.append(Finding(file, 0, f"cannot be read: {error.strerror}. Correct its permissions."))
    return texts


def _not_read(path: Path, below: Sequence[Path], theirs: bool) -> str:
    """Return why an entry of a folder is not read; empty where only its name can tell."""
    if path.is_symlink() and not path.exists():
        return f"is a broken link: {path.readlink()} does not exist. Correct or remove it."
    if below:
        return (
            f"is a folder with SQL files ({below[0].name}); subfolders are read for Flyway only. Move the files up "
            "into the folder of the migrations, or out of it."
        )
    return "is a folder. Rename or move it." if path.is_dir() and theirs else ""


def _listed(directory: Path) -> list[Path]:
    """Return the entries of a folder that are not hidden, sorted by name."""
    return [path for path in sorted(directory.iterdir()) if not path.name.startswith(".")]


def _sql_below(directory: Path, above: tuple[Path, ...] = ()) -> list[Path]:
    """Return the SQL files of a folder and its subfolders; do not follow links that lead back up."""
    real = directory.resolve()
    if real in above:
        return []
    found = []
    for path in _listed(directory):
        if path.is_dir():
            found += _sql_below(path, (*above, real))
        elif path.suffix == ".sql":
            found.append(path)
    return found


def _down_part(release: Path, sql: SqlText) -> SqlText | None:
    """Return the rollback in the file of a migration; None where that part has no statements."""
    if not sql.part:
        return None
    down = read_text(release.parent / sql.file, sql.file, DOWN)
    empty = comments_before(down.text)[0] == len(down.text)
    return None if empty and comments_before(sql.text)[0] < len(sql.text) else down


def _check_part(sql: SqlText) -> Iterator[Finding]:
    """Yield findings for the marks of a file that holds a migration and its rollback."""
    if not sql.part:
        return
    for line, problem in sql.part.problems:
        yield sql.finding(line, problem)
    at = comments_before(sql.text, 0, sql.part.begin)[0]
    if at < sql.part.begin:
        yield sql.finding(
            sql.line_of(at), "is before the first mark, so it belongs to no part. Move it below the mark."
        )


def _check_file(sql: SqlText, name: Name, findings: list[Finding]) -> Migration:
    """Return the catalog's entry of a migration or a repeatable file; add its errors to `findings`."""
    repeatable = name.kind == REPEAT
    if not repeatable:
        findings.extend(_check_part(sql))
    if not name.foreign:
        findings.extend(_check_header(sql, "Repeatable" if repeatable else "Migration"))
    line, value = sql.header.get("Depends on", (0, "none"))
    depends = tuple(part.strip() for part in value.split(",")) if value.lower() != "none" else ()
    linear = not repeatable and name.foreign and line == 0
    transactional = True
    if repeatable:
        if _says_no_transaction(sql):
            message = "a repeatable file runs in a transaction. Make it a migration."
            findings.append(sql.finding(sql.header["Transactional"][0], message))
    else:
        transactional = _is_transactional(sql, name)
        if not all(VERSION.fullmatch(part) for part in depends):
            depends = ()
            linear = name.foreign  # the word belongs to another tool, not to our header
            if not linear:
                message = "`Depends on` must be `none` or a list of versions like `001, 002`. Correct it."
                findings.append(sql.finding(line, message))
    outside: list[dict[str, Any]] = []
    findings.extend(check_statements(sql, transactional, outside))
    return Migration(
        version=name.version,
        name=name.name,
        file=sql.file,
        description=sql.says("Description"),
        depends=depends,
        transactional=transactional,
        sha256=sql.sha256,
        sha256_raw=sql.sha256_raw,
        notes=sql.notes,
        steps=() if transactional else tuple(_steps(sql)),
        linear=linear,
        outside=tuple(outside),
        down_mark=sql.part.down_mark if sql.part else "",
    )


def _says_no_transaction(sql: SqlText) -> bool:
    """Tell whether the header says that a file runs without a transaction."""
    return sql.says("Transactional", "yes").lower() == "no"


def _is_transactional(sql: SqlText, name: Name) -> bool:
    """Tell whether a file runs in a transaction.

    A file without our header does not, if none of its statements can run in one: other tools detect that, or never use
    a transaction.
    """
    if sql.part and not sql.part.transactional:
        return False
    if not name.foreign or "Transactional" in sql.header:
        return not _says_no_transaction(sql)
    statements = sql.statements
    return not statements or not all(_needs_no_transaction(statement.node) for statement in statements)


def _after_each_other(migrations: Iterable[Migration]) -> Iterator[Migration]:
    """Let a file without stated dependencies depend on the one before it."""
    before: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    for migration in migrations:
        if not last or version_key(migration.version) != version_key(last[0]):  # else the version is refused
            before = last
        yield replace(migration, depends=before) if migration.linear else migration
        last = (migration.version,)


def _order_repeatable(files: Sequence[Migration], findings: list[Finding]) -> list[Migration]:
    """Sort repeatable files by their dependencies; add those on a cycle to `findings`."""
    by_name: dict[str, Migration] = {}
    for file in files:
        if (other := by_name.setdefault(file.name, file)) is not file:
            findings.append(Finding(file.file, 0, f"has the name of {other.file}. Rename or remove one of the two."))
        findings += [
            Finding(file.file, 0, f"depends on {needed}, and no repeatable file has that name. Correct `Depends on`.")
            for needed in file.depends
            if needed not in {each.name for each in files}
        ]
    findings += _circles(by_name)[0]
    return [by_name[name] for name in in_order({name: file.depends for name, file in by_name.items()})]


def _steps(sql: SqlText) -> list[dict[str, Any]]:
    """Describe the statements of a file without transaction; return none for a file with errors."""
    return [describe(statement.node, statement.line) for statement in _unwrapped(sql.statements)]


def _check_header(sql: SqlText, title: str) -> Iterator[Finding]:
    """Yield findings for missing or wrong entries of a header."""
    stem = Path(sql.file).stem
    for key in (title, "Description", *(["Depends on"] if title == "Migration" else [])):
        if not sql.says(key):
            example = {"Depends on": "none", title: stem}.get(key, "what it does")
            yield sql.finding(1, f"its header has no `{key}`. Add a first line like `-- {key}: {example}`.", lacks=key)
    line, named = sql.header.get(title, (0, stem))
    if named and named != stem:
        yield sql.finding(line, f"its header names it {named}. Make header and file name equal.")
    line, answer = sql.header.get("Transactional", (0, "yes"))
    if answer.lower() not in ("yes", "no"):
        yield sql.finding(line, "`Transactional` must be `yes` or `no`. Correct it.")


def _check_rollbacks(
    rollbacks: Sequence[tuple[SqlText, Name]], migrations: Sequence[Migration], findings: list[Finding]
) -> dict[str, str]:
    """Return the rollback of each version; add errors in rollbacks to `findings`."""
    by_name = {(m.version, m.name): m for m in migrations}
    by_version = {version_key(m.version): m for m in migrations}
    ways_back: dict[str, str] = {}
    for sql, name in rollbacks:
        # Other tools match a rollback by version alone; our files, and files in a folder of ours, match by name.
        paired = name.foreign and "/rollbacks/" not in sql.file
        migration = by_version.get(version_key(name.version)) if paired else by_name.get((name.version, name.name))
        if migration is None:
            message = "belongs to no migration: a rollback is named like its migration. Rename or remove it."
            findings.append(sql.finding(0, message))
        elif (other := ways_back.setdefault(migration.version, sql.file)) != sql.file:
            findings.append(sql.finding(0, f"and {other} are both rollbacks of one version. Remove one of the two."))
        else:
            if not name.foreign:
                findings.extend(_check_header(sql, "Rollback"))
            # The mark "no transaction" covers both parts of a file; the rollback runs without one only if it needs to.
            transactional = not runs_alone(sql) if sql.part else _is_transactional(sql, name)
            findings.extend(check_statements(sql, transactional))
    return ways_back


def runs_alone(sql: SqlText) -> bool:
    """Tell whether a rollback is marked to run without transaction, or has a statement that cannot run in one."""
    return _says_no_transaction(sql) or any(_needs_no_transaction(statement.node) for statement in sql.statements)


def _unseen(sql: SqlText) -> list[Finding]:
    """Return findings for invisible characters between the words of a statement."""
    if not UNSEEN.search(sql.text):
        return []
    text = sql.text
    findings: dict[int, Finding] = {}
    try:
        tokens = [token for token in parser.scan(text) if token.name == "IDENT" and text[token.start] != '"']
        pieces = [(token.start, token.end + 1) for token in tokens]
    except parser.ParseError as error:
        # The scanner stops here; either it rejects this character, or the error has another cause.
        at = error.args[1]
        pieces = [(at, at + 1)] if at is not None else []
    for begin, end in pieces:
        for match in UNSEEN.finditer(text, begin, end):
            line = sql.line_of(match.start())
            message = (
                f"{_code_point(match[0])} is between the words, where PostgreSQL reads it as a letter. Remove it, "
                "or write a space."
            )
            findings.setdefault(line, sql.finding(line, message))
    return list(findings.values())


def _code_point(character: str) -> str:
    """Name an invisible character."""
    return f"the character U+{ord(character):04X} ({unicodedata.name(character, 'a control character').lower()})"


def _unwrapped(statements: list[Statement]) -> list[Statement]:
    """Drop a BEGIN that is the first and a COMMIT that is the last statement of a file."""
    if len(statements) < 2 or not OPENS.match(statements[0].text):  # noqa: PLR2004 - a pair; cheaper than a parse
        return statements
    ends = (statements[0].node, statements[-1].node)
    kinds = [node.kind if isinstance(node, ast.TransactionStmt) else None for node in ends]
    begin = (enums.TransactionStmtKind.TRANS_STMT_BEGIN, enums.TransactionStmtKind.TRANS_STMT_START)
    end = enums.TransactionStmtKind.TRANS_STMT_COMMIT
    return statements[1:-1] if kinds[0] in begin and kinds[1] == end else statements


def _problem(node: Any, transactional: bool) -> str | None:  # noqa: PLR0911 - a table of statements
    """Return why a statement is not allowed in a migration, or None."""
    if isinstance(node, ast.TransactionStmt):
        return (
            "transaction control (BEGIN, COMMIT, ROLLBACK, SAVEPOINT): each file is one transaction together with its "
            "history row. Remove it."
        )
    if isinstance(node, ast.CopyStmt) and not node.filename:
        return COPY_NEEDS_PSQL
    if isinstance(node, ast.SelectStmt) and _selects_into(node):
        return "SELECT INTO is not supported. Write CREATE TABLE ... AS."
    setting = node.name or "" if isinstance(node, ast.VariableSetStmt) else ""
    if OF_TRANSACTION.fullmatch(setting):
        return "SET TRANSACTION: the run itself starts the transaction. Remove it."
    if setting in ("role", "session_authorization"):
        return "SET ROLE or SET SESSION AUTHORIZATION: the run sets the owner of new objects. Remove it."
    if transactional and _needs_no_transaction(node):
        return (
            "PostgreSQL does not run this statement in a transaction. Put it in a file of its own with the header line "
            "`-- Transactional: no`."
        )
    return None


def _selects_into(node: ast.SelectStmt) -> bool:
    """Tell whether a query creates a table (SELECT INTO); in a UNION, the first query tells."""
    while node.larg:
        node = node.larg
    return node.intoClause is not None


def _needs_no_transaction(node: Any) -> bool:
    """Tell whether PostgreSQL refuses a statement inside a transaction block."""
    refused = NEVER_IN_TRANSACTION.get(type(node))
    return refused is not None and bool(refused(node))


def _circle_from(start: str, files: Mapping[str, Migration]) -> list[str] | None:
    """Return a path of keys from `start` back to `start` along the dependencies, or None (depth first)."""
    stack = [(start, [start])]
    seen: set[str] = set()
    while stack:
        key, path = stack.pop()
        for needed in files[key].depends:
            if needed == start:
                return [*path, start]
            if needed in files and needed not in seen:
                seen.add(needed)
                stack.append((needed, [*path, needed]))
    return None


def _syntax_finding(sql: SqlText, error: parser.ParseError) -> Finding:
    """Turn a parser error into a finding that names the likely cause."""
    message, offset = error.args
    offset = len(sql.text.rstrip()) if offset is None else offset  # None: at the end of the text
    line = sql.line_of(offset)
    before = sql.text[:offset]
    if _ends_in_copy_from_stdin(before):
        return sql.finding(sql.line_of(len(before.rstrip())), COPY_NEEDS_PSQL)
    if sql.text[offset : offset + 1] == "\\":
        command = re.match(r"\\\S{0,20}", sql.text[offset:])
        words = f"{command[0] if command else '?'} is a psql command, not SQL. Remove it."
    elif not before.endswith(":") and (variable := PSQL_VARIABLE.match(sql.text, offset)):
        words = f"{variable[0]} is a psql variable, which is not replaced here. Write its value."
    elif UNSEEN.match(sql.text, offset):
        words = f"{_code_point(sql.text[offset])} is not SQL. Remove it."
    else:
        words = f"{shorten_token(message)}. Correct the file."
    return sql.finding(line, words)


def shorten_token(message: str) -> str:
    """Shorten the SQL that PostgreSQL repeats in a syntax error: an open quote would show the whole file."""
    match = QUOTED_TOKEN.search(message)
    if match and (len(match["token"]) > LONGEST_TOKEN or "\n" in match["token"]):
        return message[: match.start()]
    return message


def _ends_in_copy_from_stdin(text: str) -> bool:
    """Tell whether the last complete statement of a text is COPY ... FROM stdin (its data follow)."""
    statement_end = text.rfind(";")
    if statement_end < 0:
        return False
    try:
        nodes = parser.parse_sql(text[: statement_end + 1])
    except parser.ParseError:
        return False
    return bool(nodes) and isinstance(nodes[-1].stmt, ast.CopyStmt) and not nodes[-1].stmt.filename
