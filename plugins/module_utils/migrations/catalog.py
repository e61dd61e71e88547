# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the migrations of a release and refuses what would fail, or worse succeed, on a database.

Runs on the controller, before any host is touched. A file is judged by PostgreSQL's own parser (pglast), never by
patterns: what passes here is text that the server will split into the same statements.

Everything wrong with a release is found in one reading: each problem is a `Finding` with file, line and remedy.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
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
# How files have to be named: migrations and rollbacks, and repeatable files.
EXAMPLES = ("NNN_name.sql (three digits, lower case, underscores)", "name.sql (lower case, underscores)")
OF_TRANSACTION = re.compile(r"transaction( snapshot)?|transaction_(isolation|deferrable|read_only)", re.IGNORECASE)
THEIR_EXAMPLES = "V7__name.sql, 000007_name.up.sql or NNN_name.sql"
MANY = 5  # findings that say the same; more of them become one
# Characters that nobody sees, and that PostgreSQL takes for letters of a name or does not know.
UNSEEN = re.compile("[\x1a\x85\xa0\xad\u1680\u2000-\u200b\u2028-\u202f\u205f-\u2064\u3000\ufeff]")
PSQL_VARIABLE = re.compile(r""":(?P<quote>['"]?)[A-Za-z_]\w{0,30}(?P=quote)""")
# White space of PostgreSQL's lexer, where its two kinds of comments end, and where those in C's style nest.
SPACE = " \t\n\r\f\v"
END_OF_LINE = re.compile(r"[\n\r]")
EDGE_OF_COMMENT = re.compile(r"/\*|\*/")
IDENTIFIER = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
INSERT = re.compile(rf"INSERT\s+INTO\s+(?P<relation>{IDENTIFIER}(?:\.{IDENTIFIER})?)[\s(]", re.IGNORECASE)
OPENS = re.compile(r"(?:BEGIN|START)\b", re.IGNORECASE)
LONG_INSERT = 1_000  # characters
# Kinds of statements that may stand in any file, and whose effect never leaves the database.
KIND = re.compile(r'"stmt":\{"(\w+)"')
PLAIN = ("CreateStmt", "CreateTrigStmt", "CreateFunctionStmt", "DeleteStmt", "InsertStmt", "UpdateStmt", "ViewStmt")
BOM = b"\xef\xbb\xbf"

# Changes of a subscription that look at the publisher's tables again, unless they are told not to.
REFRESHING = (
    enums.AlterSubscriptionType.ALTER_SUBSCRIPTION_REFRESH,
    enums.AlterSubscriptionType.ALTER_SUBSCRIPTION_SET_PUBLICATION,
    enums.AlterSubscriptionType.ALTER_SUBSCRIPTION_ADD_PUBLICATION,
    enums.AlterSubscriptionType.ALTER_SUBSCRIPTION_DROP_PUBLICATION,
)
# Statements that PostgreSQL refuses inside a transaction block (PreventInTransactionBlock), by their parse node, and
# when. Three depend on more than their text, and are left to the server: REINDEX and CLUSTER of one relation (refused
# where it is partitioned), and DROP SUBSCRIPTION (refused where it has a slot).
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
    """One thing that is wrong with a release, as one sentence with its place and its remedy.

    `lacks` is the entry that a header lacks: what is said of many files is said once.
    """

    file: str
    line: int
    message: str
    lacks: str = field(default="", compare=False)

    def __str__(self) -> str:
        """Return `file:line: message`, or `file: message` where no line is meant."""
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


@dataclass(frozen=True)
class Statement:
    """One top-level statement: its text without the comments before it, and the line it starts at (from 1).

    For the statements that are sent, `needs` are the locks that it takes on relations, and `outside` says what it does
    outside of the database, as `migration_outside` does; `roles` are those that it makes or speaks of. One that
    `renews` leaves something that only a new session forgets.
    """

    line: int
    text: str
    needs: tuple[dict[str, Any], ...] = ()
    outside: str = ""
    roles: tuple[str, ...] = ()
    renews: bool = False


@dataclass(frozen=True)
class SqlText:
    """The text of one SQL file as it is hashed, parsed and sent: UTF-8, LF line ends, no BOM.

    `sha256` is of that text, `sha256_raw` of the bytes on disk: equal content with other line ends can be told from
    an edited file. Of a file that holds both ways, `part` says which one this is, and `sha256` is of its lines alone.
    """

    file: str
    text: str
    sha256: str
    sha256_raw: str
    notes: tuple[str, ...] = ()
    part: Part | None = None


@dataclass(frozen=True)
class Migration:
    """One migration of a release; everything but its SQL.

    `steps` are the statements of a file without transaction, as `migration_alone` describes them. A `linear` one
    did not say what it depends on, and so depends on the one before it. A repeatable file has the version R, and
    depends on names. `outside` are the statements whose effect leaves the database, {line, what}. `down_mark` begins
    the way back in a file that holds both.
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

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for Ansible."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Migration:
        """Return the migration of which `as_dict` made an entry of a plan; what a plan adds to it is left out."""
        names = {each.name for each in fields(cls)}
        values: dict[str, Any] = {name: value for name, value in entry.items() if name in names}
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**(values | lists))


@dataclass
class Catalog:
    """All migrations of a release in the order in which they are applied, and what was found wrong.

    `warnings` are sentences about what lies in the folder and is not applied.
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
        header_required: whether files that are named like ours have to have our header.

    Returns:
        The catalog. Nothing may be done with its migrations while it has findings.
    """
    catalog = Catalog()
    folder = _folder_of_migrations(release)
    files = _read_folder(release, folder, header_required, catalog.findings, catalog.warnings)
    if not files and not catalog.findings:
        catalog.findings.append(
            Finding(f"{release.name}/migrations", 0, "holds no migration. Correct release_directory.")
        )
    files += _read_folder(release, "rollbacks", header_required, catalog.findings, catalog.warnings)
    files += _read_folder(release, "repeatable", header_required, catalog.findings, catalog.warnings)

    migrations = [_check_migration(sql, name, catalog.findings) for sql, name in files if name.kind == MIGRATE]
    migrations.sort(key=lambda m: version_key(m.version))
    migrations = list(_after_each_other(migrations))
    catalog.findings += duplicate_versions(migrations)
    catalog.findings += broken_dependencies(migrations)
    back = [pair for pair in files if pair[1].kind == ROLLBACK]
    back += [(part, name) for sql, name in files if (part := _down_part(release, sql)) is not None]
    ways_back = _check_rollbacks(back, migrations, catalog.findings)
    catalog.migrations = [replace(m, rollback=ways_back.get(m.version)) for m in migrations]
    repeatable = [_check_repeatable(sql, name, catalog.findings) for sql, name in files if name.kind == REPEAT]
    catalog.repeatable = _order_repeatable(repeatable, catalog.findings)
    catalog.findings = said_once(sorted(catalog.findings))
    return catalog


def read_text(path: Path, file: str, way: str = UP) -> SqlText:
    """Read one SQL file as it will be hashed and sent. Whoever reads a file of a release reads it here.

    Args:
        path: the file on disk.
        file: its name in messages: relative to the folder that holds the release.
        way: which part of a file that holds both ways, `up` or `down`; other files are read as a whole.

    Raises:
        ValueError: with a `Finding` as its only argument, where the bytes are not UTF-8 or hold a NUL byte.
    """
    raw = path.read_bytes()
    if (nul := raw.find(b"\0")) >= 0:
        raise ValueError(
            Finding(
                file,
                raw.count(b"\n", 0, nul) + 1,
                f"NUL byte at offset {nul}: programs cut the file there without a word. Remove it.",
            )
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start + (len(BOM) if raw.startswith(BOM) else 0)
        raise ValueError(
            Finding(
                file,
                raw.count(b"\n", 0, at) + 1,
                f"not UTF-8: byte 0x{raw[at]:02X} at offset {at}. Save the file as UTF-8.",
            )
        ) from error
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
    """Return findings with those that say the same of many files said once, with their number."""
    alike: dict[str, list[Finding]] = {}
    for finding in findings:
        alike.setdefault("its header has no " if finding.lacks else finding.message, []).append(finding)
    said = []
    for same in alike.values():
        files = list(dict.fromkeys(finding.file for finding in same))
        if len(files) <= MANY:
            said += same
        elif same[0].lacks:
            keys = " and no ".join(f"`{key}`" for key in dict.fromkeys(finding.lacks for finding in same))
            message = (
                f"the header has no {keys}, in {len(files)} files from this one to {files[-1]}. Write the headers, or "
                "deploy with -e migrations_header_required=false where the files were not written for it."
            )
            said.append(Finding(same[0].file, same[0].line, message))
        else:
            last = f"{files[-1]}:{same[-1].line}" if same[-1].line else files[-1]
            said.append(replace(same[0], message=f"{same[0].message} The same in {len(files) - 1} more, up to {last}."))
    return sorted(said)


def read_header(text: str) -> dict[str, tuple[int, str]]:
    """Return the header's entries as {key: (line, value)}: the comment lines before the first statement."""
    entries: dict[str, tuple[int, str]] = {}
    for at, comment in comments_before(text)[1]:
        if match := HEADER_LINE.fullmatch(comment.rstrip()):
            entries.setdefault(match["key"], (text.count("\n", 0, at) + 1, match["value"].strip()))
    return entries


def comments_before(text: str, begin: int = 0, end: int | None = None) -> tuple[int, list[tuple[int, str]]]:
    """Return where the first statement of a piece of text begins, and the comments in SQL's style before it.

    Reads as PostgreSQL's lexer does: `--` ends at LF or CR, `/*` nests to any depth.

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

    PostgreSQL's parser splits it without handing out a tree: that of a file of 20 MB would take gigabytes.

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


def node_of(statement: Statement) -> Any:
    """Return the parse tree of one statement; of a long INSERT, one without its rows."""
    return parser.parse_sql(_without_rows(statement.text))[0].stmt


def _without_rows(text: str) -> str:
    """Return a statement for the parser; a long INSERT without its rows."""
    if len(text) > LONG_INSERT and (match := INSERT.match(text)):
        return f"INSERT INTO {match['relation']} DEFAULT VALUES"
    return text


def _is_plain(statement: Statement) -> bool:
    """Tell whether a statement is of a kind in PLAIN: the parser says that in a thirtieth of the time of a tree."""
    kind = KIND.search(parser.parse_sql_json(_without_rows(statement.text)))
    return kind is not None and kind[1] in PLAIN


def split_statements(text: str) -> list[tuple[Statement, Any]]:
    """Split a file into its top-level statements, each with its parse tree. Raises as `split_file` does."""
    return [(statement, node_of(statement)) for statement in split_file(text)]


def own_statements(text: str) -> list[Statement]:
    """Return the statements to send: without the BEGIN and COMMIT around the whole file, which the run replaces."""
    reader = Reader()
    found = ((statement, node_of(statement)) for statement in _unwrapped(split_file(text)))
    return [
        replace(
            statement,
            needs=tuple(reader.needs(node)),
            outside=leaves(node),
            roles=roles(node),
            renews=_renews(statement, node),
        )
        for statement, node in found
    ]


def _renews(statement: Statement, node: Any) -> bool:
    """Tell whether a statement leaves something in its session that RESET ALL and DISCARD do not take away.

    That is a setting of one's own, `SET app.clinic = ...`: it is empty from then on, where a new session has none. And
    what a session begins with is changed by ALTER DATABASE or ALTER ROLE.
    """
    own = isinstance(node, ast.VariableSetStmt) and "." in (node.name or "")
    return own or bool(leaves(node)) or "set_config" in statement.text.lower()


def check_statements(sql: SqlText, transactional: bool, outside: list[dict[str, Any]] | None = None) -> list[Finding]:
    """Return what in a file's statements would break the run, or break out of it.

    Args:
        sql: the file.
        transactional: whether it runs in a transaction.
        outside: where to add the statements whose effect leaves the database, {line, what}.
    """
    try:
        statements = split_file(sql.text)
    except parser.ParseError as error:
        return _unseen(sql) or [_syntax_finding(sql, error)]
    if not statements and not sql.part and not sql.text.strip():
        return [Finding(sql.file, 1, "holds no SQL statement. Write it, or delete the file.")]
    first = statements[:1]
    statements = _unwrapped(statements)
    findings = _unseen(sql)
    if first != statements[:1] and node_of(first[0]).options:
        message = "BEGIN with properties of the transaction, which the run begins itself. Write BEGIN alone."
        findings.append(Finding(sql.file, first[0].line, message))
    for statement in statements:
        if _is_plain(statement):
            continue
        node = node_of(statement)
        if problem := _problem(node, transactional):
            findings.append(Finding(sql.file, statement.line, problem))
        if outside is not None and (what := leaves(node)):
            outside.append({"line": statement.line, "what": what})
    if not transactional and len(statements) > 1:
        unsafe = undecidable([describe(node_of(statement), statement.line) for statement in statements])
        findings += [Finding(sql.file, *unsafe)] if unsafe else []
    return findings


def duplicate_versions(migrations: Iterable[Migration]) -> list[Finding]:
    """Return a finding for each file that takes a version another file has."""
    first: dict[tuple[int, ...], Migration] = {}
    findings = []
    for migration in sorted((m for m in migrations), key=lambda m: m.file):
        other = first.setdefault(version_key(migration.version), migration)
        if other is not migration:
            findings.append(
                Finding(
                    migration.file,
                    0,
                    f"version {migration.version} is also the version of {other.file}. Renumber the newer file.",
                )
            )
    return findings


def broken_dependencies(migrations: Collection[Migration]) -> list[Finding]:
    """Return unknown dependencies, cycles (with their path) and dependencies on a later version."""
    by_version = {m.version: m for m in migrations}
    findings = []
    on_cycle: set[str] = set()
    circling = by_version.keys() - in_order({version: m.depends for version, m in by_version.items()})
    for version in sorted(circling, key=version_key):
        if version not in on_cycle and (path := _cycle_from(version, by_version)):
            on_cycle.update(path)
            findings.append(
                Finding(
                    by_version[version].file,
                    0,
                    f"its dependencies run in a circle: {' -> '.join(path)}. Remove one of these `Depends on`.",
                )
            )
    for migration in migrations:
        version = migration.version
        for needed in migration.depends:
            if needed not in by_version:
                findings.append(
                    Finding(
                        migration.file,
                        0,
                        f"depends on {needed}, and no file has that version. Add {needed}_NAME.sql or correct "
                        "`Depends on`.",
                    )
                )
            elif version_key(needed) > version_key(version) and version not in on_cycle:
                findings.append(
                    Finding(
                        migration.file,
                        0,
                        f"depends on {needed}, which is applied after it. Renumber one of the two files.",
                    )
                )
    return findings


def _folder_of_migrations(release: Path) -> str:
    """Return the folder of the migrations: ours, Flyway's, or the release folder itself."""
    there = [name for name in ("migrations", "migration") if (release / name).is_dir()]
    return there[0] if there else "" if any(release.glob("*.sql")) else "migrations"


def _read_folder(
    release: Path, folder: str, header_required: bool, findings: list[Finding], warnings: list[str]
) -> list[tuple[SqlText, Name]]:
    """Read every file of a folder; hidden files are none of our business, nor what lies beside other tools' files."""
    directory = release / folder
    paths = _listed(directory) if directory.is_dir() else []
    if folder == "":
        paths = [path for path in paths if path.name not in ("rollbacks", "repeatable")]
    names = {path: read_name(path.name, folder, header_required) for path in paths}
    below = {path: _sql_below(path) for path in paths if path.is_dir()}
    if any(is_flyways(path.name) for path in (*paths, *(each for found in below.values() for each in found))):
        added = {path: read_name(path.name, folder, header_required) for found in below.values() for path in found}
        paths, names, below = [path for path in paths if path not in below] + list(added), names | added, {}

    def called(path: Path) -> str:
        return f"{release.name}/{path.relative_to(release).as_posix()}"

    texts = _read_texts({path: called(path) for path in paths}, findings)
    for path, sql in texts.items():
        if sql.part and folder not in ("rollbacks", "repeatable"):
            names[path] = read_name(path.name, folder, header_required, marked=True)
    theirs = folder == "" or any(name and name.foreign for name in names.values())
    between = [called(path) for path in paths if theirs and stands_between(path.name)]
    if between:
        warnings.append(
            f"{', '.join(between)}: no SQL, and not applied. The tool of this folder would apply it between others, "
            "in the order of its version: write it as SQL where they need it."
        )
    files = []
    for path in paths:
        name = names[path]
        if path in texts and name is not None:
            if texts[path].part and name.kind != MIGRATE:
                message = "holds an up and a down part, and is no migration. Leave its statements, without the marks."
                findings.append(Finding(called(path), 0, message))
            files.append((texts[path], name))
        elif path.suffix == ".sql" or not theirs or below.get(path):
            message = _not_read(path, below.get(path, []), theirs)
            message = message or other_name(path.name, folder, header_required)
            message = message or f"not named {_example(folder, theirs)}. Rename or move it."
            if name is None or not path.is_file():
                findings.append(Finding(called(path), 0, message))
    return files


def _read_texts(files: Mapping[Path, str], findings: list[Finding]) -> dict[Path, SqlText]:
    """Read the SQL files among some, {path: name in messages}, and add to `findings` those that cannot be read."""
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
    """Return why something in a folder is no file of it; empty where only its name can say so."""
    if path.is_symlink() and not path.exists():
        return f"is a link that leads nowhere: there is no {path.readlink()}. Correct or remove it."
    if below:
        return (
            f"is a folder with SQL files ({below[0].name}), and folders in it are read of Flyway only. Move them up "
            "into the folder of the migrations, or out of it."
        )
    return "is a folder. Rename or move it." if path.is_dir() and theirs else ""


def _example(folder: str, theirs: bool) -> str:
    """Return how files of a folder have to be named."""
    return THEIR_EXAMPLES if theirs and folder != "repeatable" else EXAMPLES[folder == "repeatable"]


def _listed(directory: Path) -> list[Path]:
    """Return what lies in a folder and is not hidden, by name."""
    return [path for path in sorted(directory.iterdir()) if not path.name.startswith(".")]


def _sql_below(directory: Path, above: tuple[Path, ...] = ()) -> list[Path]:
    """Return the SQL files of a folder and of those in it; a link that leads back up is not followed."""
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
    """Return the way back that a file holds beside its migration; a part without statements is none."""
    if not sql.part:
        return None
    down = read_text(release.parent / sql.file, sql.file, DOWN)
    empty = comments_before(down.text)[0] == len(down.text)
    return None if empty and comments_before(sql.text)[0] < len(sql.text) else down


def _check_part(sql: SqlText) -> Iterator[Finding]:
    """Yield what is wrong with the marks of a file that holds both ways."""
    if not sql.part:
        return
    for line, problem in sql.part.problems:
        yield Finding(sql.file, line, problem)
    at = comments_before(sql.text, 0, sql.part.begin)[0]
    if at < sql.part.begin:
        message = "stands before the first mark, so it belongs to no part. Move it below the mark."
        yield Finding(sql.file, sql.text.count("\n", 0, at) + 1, message)


def _check_migration(sql: SqlText, name: Name, findings: list[Finding]) -> Migration:
    """Make the catalog's entry of a file, and add to `findings` what is wrong with it."""
    header = read_header(sql.text)
    findings.extend(_check_part(sql))
    if not name.foreign:
        findings.extend(_check_header(sql, header, "Migration"))
    transactional = _is_transactional(sql, header, name)
    line, value = header.get("Depends on", (0, "none"))
    depends = tuple(part.strip() for part in value.split(",")) if value.lower() != "none" else ()
    theirs = name.foreign and not all(VERSION.fullmatch(part) for part in depends)
    if theirs:  # a word of theirs, and no header of ours
        depends = ()
    elif not all(VERSION.fullmatch(part) for part in depends):
        findings.append(
            Finding(sql.file, line, "`Depends on` is `none` or a list of versions like `001, 002`. Correct it.")
        )
        depends = ()
    outside: list[dict[str, Any]] = []
    findings.extend(check_statements(sql, transactional, outside))
    return Migration(
        version=name.version,
        name=name.name,
        file=sql.file,
        description=header.get("Description", (0, ""))[1],
        depends=depends,
        transactional=transactional,
        sha256=sql.sha256,
        sha256_raw=sql.sha256_raw,
        notes=sql.notes,
        steps=() if transactional else _steps(sql),
        linear=theirs or (name.foreign and "Depends on" not in header),
        outside=tuple(outside),
        down_mark=sql.part.down_mark if sql.part else "",
    )


def _is_transactional(sql: SqlText, header: dict[str, tuple[int, str]], name: Name) -> bool:
    """Tell whether a file runs in a transaction.

    Without our header, it does not where none of its statements can: other tools find that out, or do not ask.
    """
    if sql.part and not sql.part.transactional:
        return False
    if not name.foreign or "Transactional" in header:
        return header.get("Transactional", (0, "yes"))[1].lower() != "no"
    try:
        statements = split_file(sql.text)
    except parser.ParseError:
        return True
    return not statements or not all(_needs_no_transaction(node_of(statement)) for statement in statements)


def _after_each_other(migrations: Iterable[Migration]) -> Iterator[Migration]:
    """Let a file that does not say what it depends on depend on the one before it."""
    before: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    for migration in migrations:
        if not last or version_key(migration.version) != version_key(last[0]):  # else it is refused for its version
            before = last
        yield replace(migration, depends=before) if migration.linear else migration
        last = (migration.version,)


def _check_repeatable(sql: SqlText, name: Name, findings: list[Finding]) -> Migration:
    """Make the catalog's entry of a repeatable file, and add to `findings` what is wrong with it."""
    header = read_header(sql.text)
    if not name.foreign:
        findings.extend(_check_header(sql, header, "Repeatable"))
    if header.get("Transactional", (0, "yes"))[1].lower() == "no":
        line = header["Transactional"][0]
        findings.append(Finding(sql.file, line, "a repeatable file runs in a transaction. Make it a migration."))
    value = header.get("Depends on", (0, "none"))[1]
    outside: list[dict[str, Any]] = []
    findings.extend(check_statements(sql, transactional=True, outside=outside))
    return Migration(
        version=name.version,
        name=name.name,
        file=sql.file,
        description=header.get("Description", (0, ""))[1],
        depends=tuple(part.strip() for part in value.split(",")) if value.lower() != "none" else (),
        transactional=True,
        sha256=sql.sha256,
        sha256_raw=sql.sha256_raw,
        notes=sql.notes,
        outside=tuple(outside),
    )


def _order_repeatable(files: Sequence[Migration], findings: list[Finding]) -> list[Migration]:
    """Bring repeatable files into their order, and add to `findings` those that have none."""
    by_name: dict[str, Migration] = {}
    for file in files:
        if (other := by_name.setdefault(file.name, file)) is not file:
            findings.append(Finding(file.file, 0, f"has the name of {other.file}. Rename or remove one of the two."))
        findings += [
            Finding(file.file, 0, f"depends on {needed}, and no repeatable file has that name. Correct `Depends on`.")
            for needed in file.depends
            if needed not in {each.name for each in files}
        ]
    order = in_order({name: file.depends for name, file in by_name.items()})
    circle = sorted(set(by_name) - set(order))
    if circle and (path := next(filter(None, (_cycle_from(name, by_name) for name in circle)), None)):
        findings.append(
            Finding(
                by_name[path[0]].file,
                0,
                f"its dependencies run in a circle: {' -> '.join(path)}. Remove one of these `Depends on`.",
            )
        )
    return [by_name[name] for name in order]


def _steps(sql: SqlText) -> tuple[dict[str, Any], ...]:
    """Describe the statements of a file without transaction; of a file with errors there are none."""
    try:
        statements = _unwrapped(split_file(sql.text))
    except parser.ParseError:
        return ()
    return tuple(describe(node_of(statement), statement.line) for statement in statements)


def _check_header(sql: SqlText, header: dict[str, tuple[int, str]], title: str) -> Iterator[Finding]:
    """Yield what is missing or wrong in a header."""
    stem = Path(sql.file).stem
    required = (title, "Description", "Depends on") if title == "Migration" else (title, "Description")
    for key in required:
        if not header.get(key, (0, ""))[1]:
            example = {"Depends on": "none", title: stem}.get(key, "what it does")
            message = f"its header has no `{key}`. Add a first line like `-- {key}: {example}`."
            yield Finding(sql.file, 1, message, lacks=key)
    line, named = header.get(title, (0, stem))
    if named and named != stem:
        yield Finding(sql.file, line, f"its header calls it {named}. Make header and file name equal.")
    line, answer = header.get("Transactional", (0, "yes"))
    if answer.lower() not in ("yes", "no"):
        yield Finding(sql.file, line, "`Transactional` is `yes` or `no`. Correct it.")


def _check_rollbacks(
    rollbacks: Sequence[tuple[SqlText, Name]], migrations: Iterable[Migration], findings: list[Finding]
) -> dict[str, str]:
    """Return the way back of each version, and add to `findings` what is wrong with them."""
    migrations = list(migrations)
    by_name = {(m.version, m.name): m for m in migrations}
    by_version = {version_key(m.version): m for m in migrations}
    ways_back: dict[str, str] = {}
    for sql, name in rollbacks:
        # Other tools pair the two ways by their version alone; ours, and what lies in a folder of ours, by the name.
        paired = name.foreign and "/rollbacks/" not in sql.file
        migration = by_version.get(version_key(name.version)) if paired else by_name.get((name.version, name.name))
        if migration is None:
            findings.append(
                Finding(
                    sql.file, 0, "belongs to no migration: a rollback is named like its migration. Rename or remove it."
                )
            )
            continue
        if (other := ways_back.setdefault(migration.version, sql.file)) != sql.file:
            findings.append(
                Finding(sql.file, 0, f"and {other} are two ways back of one version. Remove one of the two.")
            )
            continue
        header = read_header(sql.text)
        if not name.foreign:
            findings.extend(_check_header(sql, header, "Rollback"))
        # A mark without transaction is of both ways of a file; the way back has none only where it needs that.
        transactional = not runs_alone(sql) if sql.part else _is_transactional(sql, header, name)
        findings.extend(check_statements(sql, transactional))
    return ways_back


def runs_alone(sql: SqlText) -> bool:
    """Tell whether a way back says that it needs no transaction, or has a statement that PostgreSQL runs in none."""
    if read_header(sql.text).get("Transactional", (0, "yes"))[1].lower() == "no":
        return True
    try:
        statements = split_file(sql.text)
    except parser.ParseError:
        return False
    return any(_needs_no_transaction(node_of(statement)) for statement in statements)


def _unseen(sql: SqlText) -> list[Finding]:
    """Return the places where a character that nobody sees stands between the words of a statement."""
    if not UNSEEN.search(sql.text):
        return []
    text = sql.text
    findings: dict[int, Finding] = {}
    try:
        tokens = [token for token in parser.scan(text) if token.name == "IDENT" and text[token.start] != '"']
        pieces = [(token.start, token.end + 1) for token in tokens]
    except parser.ParseError as error:
        # The scanner stops there; the character is the one that it does not know, or is not at fault.
        at = error.args[1]
        pieces = [(at, at + 1)] if at is not None else []
    for begin, end in pieces:
        for match in UNSEEN.finditer(text, begin, end):
            line = text.count("\n", 0, match.start()) + 1
            findings.setdefault(
                line,
                Finding(
                    sql.file,
                    line,
                    f"{_code_point(match[0])} stands between the words, where "
                    "PostgreSQL takes it for a letter. Remove it, or write a space.",
                ),
            )
    return list(findings.values())


def _code_point(character: str) -> str:
    """Name a character that nobody sees."""
    return f"the character U+{ord(character):04X} ({unicodedata.name(character, 'a control character').lower()})"


def _unwrapped(statements: list[Statement]) -> list[Statement]:
    """Drop a BEGIN that is the first and a COMMIT that is the last statement of a file."""
    if len(statements) < 2 or not OPENS.match(statements[0].text):  # noqa: PLR2004 - a pair; a parse would cost more
        return statements
    ends = [node_of(statement) for statement in (statements[0], statements[-1])]
    kinds = [node.kind if isinstance(node, ast.TransactionStmt) else None for node in ends]
    begin = (enums.TransactionStmtKind.TRANS_STMT_BEGIN, enums.TransactionStmtKind.TRANS_STMT_START)
    end = enums.TransactionStmtKind.TRANS_STMT_COMMIT
    return statements[1:-1] if kinds[0] in begin and kinds[1] == end else statements


def _problem(node: Any, transactional: bool) -> str | None:
    """Return why a statement cannot stand in a migration, or None."""
    if isinstance(node, ast.TransactionStmt):
        return (
            "transaction control (BEGIN, COMMIT, ROLLBACK, SAVEPOINT): each file is one transaction together with its "
            "history row. Remove it."
        )
    if isinstance(node, ast.CopyStmt) and not node.filename:
        return "COPY with standard input or output works in psql only. Use INSERT."
    if isinstance(node, ast.SelectStmt) and _selects_into(node):
        return "SELECT INTO cannot be sent by the run. Write CREATE TABLE ... AS."
    if isinstance(node, ast.VariableSetStmt) and (problem := _setting_problem(node.name or "")):
        return problem
    if transactional and _needs_no_transaction(node):
        return (
            "PostgreSQL does not run this statement in a transaction. Put it in a file of its own with the header line "
            "`-- Transactional: no`."
        )
    return None


def _setting_problem(name: str) -> str | None:
    """Return why a setting is none for a file to make, or None."""
    if OF_TRANSACTION.fullmatch(name):
        return "SET TRANSACTION: the run begins the transaction, with its history row. Remove it."
    if name in ("role", "session_authorization"):
        return "SET ROLE or SET SESSION AUTHORIZATION: the run decides who owns what is made. Remove it."
    return None


def _selects_into(node: ast.SelectStmt) -> bool:
    """Tell whether a query makes a table; of a UNION, the first one says so."""
    while node.larg:
        node = node.larg
    return node.intoClause is not None


def _needs_no_transaction(node: Any) -> bool:
    """Tell whether PostgreSQL refuses a statement inside a transaction block."""
    refused = NEVER_IN_TRANSACTION.get(type(node))
    return refused is not None and bool(refused(node))


def _cycle_from(start: str, by_version: dict[str, Migration]) -> list[str] | None:
    """Return a path of versions from `start` back to `start` along the dependencies, or None (depth first)."""
    stack = [(start, [start])]
    seen: set[str] = set()
    while stack:
        version, path = stack.pop()
        for needed in by_version[version].depends:
            if needed == start:
                return [*path, start]
            if needed in by_version and needed not in seen:
                seen.add(needed)
                stack.append((needed, [*path, needed]))
    return None


def _syntax_finding(sql: SqlText, error: parser.ParseError) -> Finding:
    """Turn a parser's error into a finding that names the cause a person would name."""
    message, offset = error.args
    offset = len(sql.text.rstrip()) if offset is None else offset  # None: at the end of the text
    line = sql.text.count("\n", 0, offset) + 1
    before = sql.text[:offset]
    if _ends_in_copy_from_stdin(before):
        line = before.rstrip().count("\n") + 1
        return Finding(sql.file, line, "COPY with standard input or output works in psql only. Use INSERT.")
    if sql.text[offset : offset + 1] == "\\":
        command = re.match(r"\\\S{0,20}", sql.text[offset:])
        return Finding(
            sql.file,
            line,
            f"{command[0] if command else '?'} is a command of psql, not SQL, and would run nowhere else. Remove it.",
        )
    if not before.endswith(":") and (variable := PSQL_VARIABLE.match(sql.text, offset)):
        return Finding(
            sql.file, line, f"{variable[0]} is a variable of psql, which nothing fills in here. Write its value."
        )
    if UNSEEN.match(sql.text, offset):
        return Finding(sql.file, line, f"{_code_point(sql.text[offset])} is no SQL. Remove it.")
    return Finding(sql.file, line, f"{shorten_token(message)}. Correct the file.")


def shorten_token(message: str) -> str:
    """Cut the piece of SQL that PostgreSQL repeats in a syntax error: an open quote would show the whole file."""
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
