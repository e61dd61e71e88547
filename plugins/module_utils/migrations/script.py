# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes the SQL of a run: every pending file in a transaction of its own, with its history row.

Consecutive files share one script that community.postgresql.postgresql_script sends as one query. This costs one
connection and one round trip for any number of files. PostgreSQL parses the whole text before it runs any of it.
Therefore `catalog.py` has checked each statement of each file before.

The SQL is in the role's files/*.sql, one subject per file, with `'@name@'` as the placeholder of a literal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .catalog import Migration, Statement, split_file

PLACE = re.compile(r"'@(?P<name>[a-z_]+)@'")
LONGEST_NAME = 63  # bytes of an application_name

Files = Sequence[tuple[Migration, Sequence[Statement]]]


@dataclass(frozen=True)
class Run:
    """The data of a run, recorded in each history row.

    Attributes:
        act: the act in the history: apply, rollback, baseline or accept.
        applied_versions: the applied versions at the beginning of a rollback.
        copy: whether the database is a copy that is dropped later; no file may then have an effect outside of it.
    """

    release: str
    run_id: str
    operator: str
    controller: str
    backup_id: str | None = None
    reason: str | None = None
    act: str = "apply"
    applied_versions: tuple[str, ...] = ()
    copy: bool = False


def quote(text: str) -> str:
    """Return a text as a dollar-quoted literal, with a tag that the text does not contain or begin at its end."""
    number = 0
    tag = "$sql"
    while tag in text:
        number += 1
        tag = f"$sql{number}"
    return f"{tag}${text}{tag}$"


class Script:
    """Fills in the SQL of the engine for one run."""

    def __init__(
        self, folder: Path, run: Run, owner: str, run_lock_wait: str = "60s", statement_timeout: str = "0"
    ) -> None:
        """Read the SQL.

        Args:
            folder: the role's `files`.
            run: the data of this run for the history.
            owner: the role that owns the objects of the files.
            run_lock_wait: time limit of the wait for another run, as an interval of PostgreSQL; 0 means no limit.
            statement_timeout: time limit of one file.
        """
        self.sql = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.sql")}
        self.run, self.owner, self.run_lock_wait, self.statement_timeout = run, owner, run_lock_wait, statement_timeout
        self.fresh = [statement.text for statement in split_file(self.sql["fresh"])]
        self.left_out: set[str] = set()  # the roles of statements that are left out in a copy

    def begin(self, history: bool) -> list[str]:
        """Return the SQL at the beginning of every session: the lock, and the history where the database has none."""
        # In a transaction of its own: without one, its settings would last into that of the first file.
        lock = "\n".join(["BEGIN;", self._fill("lock", wait=self.run_lock_wait), "COMMIT;"])
        return [lock, self._transaction(self.sql["history"].strip())] if history else [lock]

    def apply(self, files: Files) -> list[str]:
        """Return the transactions that run files, one each."""
        return [
            self._transaction(self._apply(self.run, file, statements), self._record(self._act(file), file))
            for file, statements in files
        ]

    def count(self, files: Files) -> list[str]:
        """Return the transaction that finds the rows that rollbacks would lose together; it ends with an error."""
        return [self._transaction(self._rollback("count", files))]

    def rollback(self, files: Files) -> list[str]:
        """Return the transactions that roll back in order; each file is refused if it would lose a row."""
        return [
            self._transaction(self._rollback("rollback", [file]), self._record("rollback", file[0])) for file in files
        ]

    def decide(self, files: Iterable[Migration]) -> list[str]:
        """Return the one transaction that records a baseline or accepted edits."""
        return [self._transaction(*(self._record(self.run.act, migration) for migration in files))]

    def alone(
        self, migration: Migration, statements: Sequence[Statement], resume: Sequence[Mapping[str, Any]]
    ) -> list[str]:
        """Return the queries that one session sends in order to apply a file without transaction.

        The session holds the lock of the migrations from its beginning to its end. If it ends before its last query,
        the file is in doubt, and the next plan reports it.

        Args:
            migration: the file.
            statements: its statements.
            resume: for an interrupted file, {send, drop} for each statement: whether it is sent, and which indexes are
                dropped before.
        """
        keep = self.sql["keep_lock"].strip()
        first: list[str] = []
        sent: list[str] = []
        for statement, step in zip(statements, resume or [{}] * len(statements), strict=True):
            place = self._place(migration, statement)
            for name in step.get("drop", ()):
                # The owner of a table cannot access the index of its TOAST table, so the login role drops it.
                drops = first if name.startswith("pg_toast.") else sent
                drops.append(f"{place} DROP INDEX CONCURRENTLY IF EXISTS {name}")
            if step.get("send", True) and not (self.run.copy and statement.outside):
                sent += [f"{place} {statement.text}", keep]
        return [
            self._record("start", migration),
            *first,
            f"SELECT set_config('statement_timeout', {quote(self.statement_timeout)}, false), "
            f"set_config('application_name', {quote(application_name(migration))}, false), "
            f"set_config('role', {quote(self.owner)}, false)",
            *sent,
            "SET SESSION AUTHORIZATION DEFAULT",
            "RESET ROLE",
            self._record("apply", migration),
        ]

    def _act(self, migration: Migration) -> str:
        return "repeat" if migration.version == "R" else self.run.act

    def _apply(self, run: Run, migration: Migration, statements: Sequence[Statement]) -> str:
        """Return the statement that runs one file."""
        sent, lacking = statements, set[str]()
        if run.copy:
            sent = [statement for statement in statements if not statement.outside]
            self.left_out.update(role for statement in statements if statement.outside for role in statement.roles)
            lacking = self.left_out
        return self._fill(
            "apply",
            run=_json(asdict(run)),
            migration=_described(migration),
            lines="{" + ",".join(str(statement.line) for statement in sent) + "}",
            needs=_json([statement.needs for statement in sent]),
            roles=_json([sorted(lacking.intersection(statement.roles)) for statement in sent]),
            statements=[statement.text for statement in sent],
            application=application_name(migration),
            owner=self.owner,
        )

    def _rollback(self, mode: str, files: Files) -> str:
        """Return the statement that finds the rows that rollbacks lose, and in mode `rollback` rolls one back."""
        tried = replace(self.run, copy=True)
        return self._fill(
            "rollback",
            mode=mode,
            owner=self.owner,
            run_id=self.run.run_id,
            tried=[self._apply(tried, *file) for file in files],
            file=[self._apply(self.run, *file) for file in files if mode == "rollback"],
            fresh=self.fresh,
        )

    def _record(self, act: str, migration: Migration) -> str:
        """Return the statement that adds a history row."""
        return self._fill("record", act=act, run=_json(asdict(self.run)), migration=_described(migration))

    def _transaction(self, *statements: str) -> str:
        """Wrap statements in a transaction, after which the session keeps no state but the lock."""
        timeout = f"SET LOCAL statement_timeout = {quote(self.statement_timeout)};"
        return "\n".join(["BEGIN;", timeout, *statements, *(f"{statement};" for statement in self.fresh), "COMMIT;"])

    def _place(self, migration: Migration, statement: Statement) -> str:
        """Return a comment that says which statement this is: an error of the driver begins with its text."""
        place = {"file": migration.file, "line": statement.line, "needs": statement.needs}
        # A name may hold the end of a comment; in JSON a slash may be written so.
        return f"/* migration-statement {self.run.run_id} {json.dumps(place).replace('/', chr(92) + '/')} */"

    def _fill(self, name: str, **values: str | list[str]) -> str:
        """Return the SQL of a file with its literals, its comments before the first statement left out."""
        text = self.sql[name]
        text = text[text.index("DO $physioflow$") :].strip()

        def literal(match: re.Match[str]) -> str:
            value = values[match["name"]]
            return quote(value) if isinstance(value, str) else ",\n".join(map(quote, value))

        body = PLACE.sub(literal, text.removeprefix("DO $physioflow$").removesuffix("$physioflow$;"))
        return f"DO {quote(body)};"


def application_name(migration: Migration) -> str:
    """Return the application_name of the session while it applies a file."""
    name = migration.file.rpartition("/")[2].removesuffix(".sql")
    return f"physioflow {name}".encode()[:LONGEST_NAME].decode(errors="ignore")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _described(migration: Migration) -> str:
    """Return the description of a file in the history, as JSON."""
    names = ("version", "name", "description", "file", "sha256", "sha256_raw")
    return _json({name: getattr(migration, name) for name in names})
