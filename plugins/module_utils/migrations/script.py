# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes what a run sends: every pending file in a transaction of its own, with its history row.

Consecutive files go in one script that community.postgresql.postgresql_script sends as one query, which costs one
connection and one round trip for any number of files. PostgreSQL parses the whole text before it runs any of it; what
each file may contain is therefore settled before, statement by statement, by `catalog.py`.

The SQL stands in the role's files/*.sql, one subject a file, with `'@name@'` where a literal is filled in.
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
    """Who runs the migrations, recorded in each history row.

    Attributes:
        act: what the history calls it: apply, rollback, baseline or accept.
        applied_versions: the versions that stand when a rollback begins.
        copy: whether the database is a copy that is dropped again: then nothing may reach outside of it.
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
    """Quote a text as a dollar-quoted literal, with a tag that neither occurs in it nor begins at its end."""
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
            run: what the history says of this run.
            owner: the role that owns what the files make.
            run_lock_wait: how long it may wait for another run, as an interval of PostgreSQL; 0 is for ever.
            statement_timeout: how long one file may take.
        """
        self.sql = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.sql")}
        self.run, self.owner, self.run_lock_wait, self.statement_timeout = run, owner, run_lock_wait, statement_timeout
        self.fresh = [statement.text for statement in split_file(self.sql["fresh"])]
        self.left_out: set[str] = set()  # the roles of statements that a copy does not see

    def begin(self, history: bool) -> list[str]:
        """Return what every session begins with: the lock, and the history where the database has none."""
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
        """Return the transaction that finds out what rollbacks would lose together; it ends with an error."""
        return [self._transaction(self._rollback("count", files))]

    def rollback(self, files: Files) -> list[str]:
        """Return the transactions that roll back in order and refuse, file by file, to lose a row."""
        return [
            self._transaction(self._rollback("rollback", [file]), self._record("rollback", file[0])) for file in files
        ]

    def decide(self, files: Iterable[Migration]) -> list[str]:
        """Return the one transaction that records a baseline or accepted edits."""
        return [self._transaction(*(self._record(self.run.act, migration) for migration in files))]

    def alone(
        self, migration: Migration, statements: Sequence[Statement], resume: Sequence[Mapping[str, Any]]
    ) -> list[str]:
        """Return what one session sends, one after the other, to apply a file without transaction.

        The session holds the lock of the migrations from its beginning to its end. Should it end before its last query,
        the file is in doubt, and the next plan says so.

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
                # The owner of a table cannot reach the index of its TOAST table: that one is dropped by the login.
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
        """Return the statement that finds out what rollbacks lose, and in mode `rollback` rolls one back."""
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
        """Wrap statements in a transaction, after which nothing of the session remains but the lock."""
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
    """Return the name that the session carries while it is at a file."""
    name = migration.file.rpartition("/")[2].removesuffix(".sql")
    return f"physioflow {name}".encode()[:LONGEST_NAME].decode(errors="ignore")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _described(migration: Migration) -> str:
    """Return what the history says of a file, as JSON."""
    names = ("version", "name", "description", "file", "sha256", "sha256_raw")
    return _json({name: getattr(migration, name) for name in names})
