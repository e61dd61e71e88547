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
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ansible.module_utils.migration_alone import describe, undecidable
from ansible.module_utils.migration_locks import needed_locks
from ansible.module_utils.migration_names import MIGRATE, REPEAT, ROLLBACK, Name, read_name, version_key
from ansible.module_utils.migration_repeatable import in_order
from pglast import ast, enums, parser

HEADER_LINE = re.compile(
    r"--\s*(?P<key>Migration|Rollback|Repeatable|Description|Depends on|Transactional):\s*(?P<value>.*)"
)
QUOTED_TOKEN = re.compile(r' at or near "(?P<token>.*)"$', re.DOTALL)
LONGEST_TOKEN = 30  # characters of the file that a syntax error may repeat
VERSION = re.compile(r"\d+(?:\.\d+)*")
# How files have to be named: migrations and rollbacks, and repeatable files.
EXAMPLES = ("NNN_name.sql (three digits, lower case, underscores)", "name.sql (lower case, underscores)")
# White space and comments before a statement; comments in C's style may hold others, one level is enough in practice.
BEFORE_STATEMENT = re.compile(r"(?:\s+|--[^\n]*|/\*(?:[^*/]|\*(?!/)|/(?!\*)|/\*.*?\*/)*\*/)*", re.DOTALL)
IDENTIFIER = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
INSERT = re.compile(rf"INSERT\s+INTO\s+(?P<relation>{IDENTIFIER}(?:\.{IDENTIFIER})?)[\s(]", re.IGNORECASE)
OPENS = re.compile(r"(?:BEGIN|START)\b", re.IGNORECASE)
LONG_INSERT = 1_000  # characters
BOM = b"\xef\xbb\xbf"

# Statements that PostgreSQL refuses inside a transaction block, by their parse node.
NEVER_IN_TRANSACTION = (
    ast.AlterSystemStmt,
    ast.CreatedbStmt,
    ast.CreateTableSpaceStmt,
    ast.DropTableSpaceStmt,
    ast.DropdbStmt,
    ast.VacuumStmt,
)


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong with a release, as one sentence with its place and its remedy."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        """Return `file:line: message`, or `file: message` where no line is meant."""
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


@dataclass(frozen=True)
class Statement:
    """One top-level statement: its text without the comments before it, and the line it starts at (from 1).

    `needs` are the locks that it takes on relations, for the statements that are sent.
    """

    line: int
    text: str
    needs: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class SqlText:
    """The text of one SQL file as it is hashed, parsed and sent: UTF-8, LF line ends, no BOM.

    `sha256` is of that text, `sha256_raw` of the bytes on disk: equal content with other line ends can be told from
    an edited file.
    """

    file: str
    text: str
    sha256: str
    sha256_raw: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Migration:
    """One migration of a release; everything but its SQL.

    `steps` are the statements of a file without transaction, as `migration_alone` describes them. A `linear` one
    did not say what it depends on, and so depends on the one before it. A repeatable file has the version R, and
    depends on names.
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

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for Ansible."""
        return asdict(self) | {"depends": list(self.depends), "notes": list(self.notes), "steps": list(self.steps)}

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Migration:
        """Return the migration of which `as_dict` made an entry of a plan; what a plan adds to it is left out."""
        names = {each.name for each in fields(cls)}
        values: dict[str, Any] = {name: value for name, value in entry.items() if name in names}
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**(values | lists))


@dataclass
class Catalog:
    """All migrations of a release in the order in which they are applied, and what was found wrong."""

    migrations: list[Migration] = field(default_factory=list)
    repeatable: list[Migration] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

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
    files = _read_folder(release, folder, header_required, catalog.findings)
    if not files and not catalog.findings:
        catalog.findings.append(
            Finding(f"{release.name}/migrations", 0, "holds no migration. Correct release_directory.")
        )
    files += _read_folder(release, "rollbacks", header_required, catalog.findings)
    files += _read_folder(release, "repeatable", header_required, catalog.findings)

    migrations = [_check_migration(sql, name, catalog.findings) for sql, name in files if name.kind == MIGRATE]
    migrations.sort(key=lambda m: version_key(m.version))
    migrations = list(_after_each_other(migrations))
    catalog.findings += duplicate_versions(migrations)
    catalog.findings += broken_dependencies(migrations)
    ways_back = _check_rollbacks([pair for pair in files if pair[1].kind == ROLLBACK], migrations, catalog.findings)
    catalog.migrations = [replace(m, rollback=ways_back.get(m.version)) for m in migrations]
    repeatable = [_check_repeatable(sql, name, catalog.findings) for sql, name in files if name.kind == REPEAT]
    catalog.repeatable = _order_repeatable(repeatable, catalog.findings)
    catalog.findings.sort()
    return catalog


def read_text(path: Path, file: str) -> SqlText:
    """Read one SQL file as it will be hashed and sent.

    Args:
        path: the file on disk.
        file: its name in messages: relative to the folder that holds the release.

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
    return SqlText(
        file=file,
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        sha256_raw=hashlib.sha256(raw).hexdigest(),
        notes=tuple(notes),
    )


def read_header(text: str) -> dict[str, tuple[int, str]]:
    """Return the header's entries as {key: (line, value)}: the comment lines before the first statement."""
    entries: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not line.startswith("--"):
            break
        if match := HEADER_LINE.fullmatch(line.rstrip()):
            entries.setdefault(match["key"], (number, match["value"].strip()))
    return entries


def split_file(text: str) -> list[Statement]:
    """Split a file into its top-level statements.

    PostgreSQL's parser splits it without handing out a tree: that of a file of 20 MB would take gigabytes.

    Raises:
        parser.ParseError: where PostgreSQL would refuse the text; its second argument is the offset in characters.
    """
    statements = []
    line, counted = 1, 0
    for part in parser.split(text, with_parser=True, only_slices=True):
        before = BEFORE_STATEMENT.match(text[part])
        begin = part.start + (before.end() if before else 0)
        line += text.count("\n", counted, begin)
        counted = begin
        statements.append(Statement(line, text[begin : part.stop].rstrip()))
    return statements


def node_of(statement: Statement) -> Any:
    """Return the parse tree of one statement; of a long INSERT, one without its rows."""
    text = statement.text
    if len(text) > LONG_INSERT and (match := INSERT.match(text)):
        text = f"INSERT INTO {match['relation']} DEFAULT VALUES"
    return parser.parse_sql(text)[0].stmt


def split_statements(text: str) -> list[tuple[Statement, Any]]:
    """Split a file into its top-level statements, each with its parse tree. Raises as `split_file` does."""
    return [(statement, node_of(statement)) for statement in split_file(text)]


def own_statements(text: str) -> list[Statement]:
    """Return the statements to send: without the BEGIN and COMMIT around the whole file, which the run replaces."""
    return [
        replace(statement, needs=tuple(needed_locks(node_of(statement)))) for statement in _unwrapped(split_file(text))
    ]


def check_statements(sql: SqlText, transactional: bool) -> list[Finding]:
    """Return what in a file's statements would break the run, or break out of it."""
    try:
        statements = split_file(sql.text)
    except parser.ParseError as error:
        return [_syntax_finding(sql, error)]
    if not statements:
        return [Finding(sql.file, 1, "holds no SQL statement. Write it, or delete the file.")]
    statements = _unwrapped(statements)
    findings = [
        Finding(sql.file, statement.line, problem)
        for statement in statements
        if (problem := _problem(node_of(statement), transactional))
    ]
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
    release: Path, folder: str, header_required: bool, findings: list[Finding]
) -> list[tuple[SqlText, Name]]:
    """Read every file of a folder; hidden files are none of our business, nor what lies beside other tools' files."""
    directory = release / folder
    paths = (
        [path for path in sorted(directory.iterdir()) if not path.name.startswith(".")] if directory.is_dir() else []
    )
    names = {path: read_name(path.name, folder, header_required) for path in paths}
    theirs = folder == "" or any(name and name.foreign for name in names.values())
    files: list[tuple[SqlText, Name]] = []
    for path in paths:
        file = "/".join(part for part in (release.name, folder, path.name) if part)
        name = names[path]
        if theirs and path.suffix != ".sql":
            continue
        if not path.is_file() or name is None:
            findings.append(Finding(file, 0, f"not named {EXAMPLES[folder == 'repeatable']}. Rename or move it."))
            continue
        try:
            files.append((read_text(path, file), name))
        except ValueError as error:
            findings.append(error.args[0])
        except OSError as error:
            findings.append(Finding(file, 0, f"cannot be read: {error.strerror}. Correct its permissions."))
    return files


def _check_migration(sql: SqlText, name: Name, findings: list[Finding]) -> Migration:
    """Make the catalog's entry of a file, and add to `findings` what is wrong with it."""
    header = read_header(sql.text)
    if not name.foreign:
        findings.extend(_check_header(sql, header, "Migration"))
    transactional = _is_transactional(sql, header, name)
    line, value = header.get("Depends on", (0, "none"))
    depends = tuple(part.strip() for part in value.split(",")) if value.lower() != "none" else ()
    if not all(VERSION.fullmatch(part) for part in depends):
        findings.append(
            Finding(sql.file, line, "`Depends on` is `none` or a list of versions like `001, 002`. Correct it.")
        )
        depends = ()
    findings.extend(check_statements(sql, transactional))
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
        linear=name.foreign and "Depends on" not in header,
    )


def _is_transactional(sql: SqlText, header: dict[str, tuple[int, str]], name: Name) -> bool:
    """Tell whether a file runs in a transaction.

    Without our header, it does not where none of its statements can: other tools find that out, or do not ask.
    """
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
    for migration in migrations:
        yield replace(migration, depends=before) if migration.linear else migration
        before = (migration.version,)


def _check_repeatable(sql: SqlText, name: Name, findings: list[Finding]) -> Migration:
    """Make the catalog's entry of a repeatable file, and add to `findings` what is wrong with it."""
    header = read_header(sql.text)
    if not name.foreign:
        findings.extend(_check_header(sql, header, "Repeatable"))
    if header.get("Transactional", (0, "yes"))[1].lower() == "no":
        line = header["Transactional"][0]
        findings.append(Finding(sql.file, line, "a repeatable file runs in a transaction. Make it a migration."))
    value = header.get("Depends on", (0, "none"))[1]
    findings.extend(check_statements(sql, transactional=True))
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
            yield Finding(sql.file, 1, f"its header has no `{key}`. Add a first line like `-- {key}: {example}`.")
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
    known = {(m.version, m.name): m for m in migrations}
    ways_back: dict[str, str] = {}
    for sql, name in rollbacks:
        if (name.version, name.name) not in known:
            findings.append(
                Finding(
                    sql.file, 0, "belongs to no migration: a rollback is named like its migration. Rename or remove it."
                )
            )
            continue
        header = read_header(sql.text)
        if not name.foreign:
            findings.extend(_check_header(sql, header, "Rollback"))
        findings.extend(check_statements(sql, _is_transactional(sql, header, name)))
        ways_back[name.version] = sql.file
    return ways_back


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
    if isinstance(node, ast.SelectStmt) and node.intoClause:
        return "SELECT INTO cannot be sent by the run. Write CREATE TABLE ... AS."
    if isinstance(node, ast.VariableSetStmt) and node.name in ("role", "session_authorization"):
        return "SET ROLE or SET SESSION AUTHORIZATION: the run decides who owns what is made. Remove it."
    if transactional and _needs_no_transaction(node):
        return (
            "PostgreSQL does not run this statement in a transaction. Put it in a file of its own with the header line "
            "`-- Transactional: no`."
        )
    return None


def _needs_no_transaction(node: Any) -> bool:
    """Tell whether PostgreSQL refuses a statement inside a transaction block (PreventInTransactionBlock)."""
    if isinstance(node, ast.VacuumStmt):
        return bool(node.is_vacuumcmd)
    if isinstance(node, ast.ReindexStmt):
        concurrently = any(option.defname == "concurrently" for option in node.params or ())
        whole = (enums.ReindexObjectType.REINDEX_OBJECT_SYSTEM, enums.ReindexObjectType.REINDEX_OBJECT_DATABASE)
        return concurrently or node.kind in whole
    return isinstance(node, NEVER_IN_TRANSACTION) or bool(getattr(node, "concurrent", False))


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
