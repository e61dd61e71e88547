# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes the one script of a run: every pending file in a transaction of its own, with its history row.

The script is sent by community.postgresql.postgresql_script as one query, which costs one connection and one round
trip for any number of files. PostgreSQL parses the whole text before it runs any of it; what each file may contain is
therefore settled before, statement by statement, by `migration_catalog`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible.module_utils.migration_catalog import Migration, Statement


@dataclass(frozen=True)
class Run:
    """Who runs the migrations, recorded in each history row."""

    release: str
    run_id: str
    operator: str
    controller: str
    backup_id: str | None = None
    reason: str | None = None
    act: str = "apply"
    standing: tuple[str, ...] = ()  # the versions that stand when a rollback begins


@dataclass(frozen=True)
class Limits:
    """How long a run may wait, in PostgreSQL's notation of intervals (`5s`, `15min`; 0 is for ever)."""

    run_lock_wait: str = "60s"
    statement_timeout: str = "0"


def quote(text: str) -> str:
    """Quote a text as a dollar-quoted literal, with a tag that does not occur in it."""
    number = 0
    tag = "$sql$"
    while tag in text:
        number += 1
        tag = f"$sql{number}$"
    return f"{tag}{text}{tag}"


def write_script(
    files: Sequence[tuple[Migration, Sequence[Statement]]],
    run: Run,
    limits: Limits,
    *,
    owner: str,
    functions: str,
    history: str | None,
) -> str:
    """Return the script that applies transactional files in order.

    Args:
        files: the migrations with their statements.
        run: what the history says of this run.
        limits: how long it may wait.
        owner: the role that owns what the files make.
        functions: SQL of the functions of the run (files/session.sql).
        history: SQL of the history (files/history.sql), where the database has none yet.
    """
    parts = [_prelude(limits, functions, history)]
    parts += [_transaction(limits, _apply(owner, migration, run, statements)) for migration, statements in files]
    return "\n\n".join(parts) + "\n"


def write_count(
    files: Sequence[tuple[Migration, Sequence[Statement]]], run: Run, limits: Limits, *, owner: str, functions: str
) -> str:
    """Return the script that finds out what a rollback would lose; it ends with an error that says it.

    Args:
        files: the rollbacks in their order, with their statements.
        run: what the history would say of this run.
        limits: how long it may wait.
        owner: the role that owns what the files drop.
        functions: SQL of the functions of the run (files/session.sql and files/rollback.sql).
    """
    steps = [_step(migration, statements) for migration, statements in files]
    call = f"SELECT pg_temp.migrations_count_loss({quote(owner)},\n{_json(steps)},\n{_json(asdict(run))});"
    return f"{_prelude(limits, functions, None)}\n\n{_transaction(limits, call)}\n"


def write_rollback(
    files: Sequence[tuple[Migration, Sequence[Statement]]], run: Run, limits: Limits, *, owner: str, functions: str
) -> str:
    """Return the script that rolls back in order and refuses, file by file, to lose a row.

    Where rows may go, `write_script` does: a rollback is applied like any file. Arguments as in `write_count`.
    """
    calls = (
        f"-- {migration.file}\nSELECT pg_temp.migrations_rollback({quote(owner)},\n"
        f"{_json(_step(migration, statements))},\n{_json(asdict(run))});"
        for migration, statements in files
    )
    return "\n\n".join([_prelude(limits, functions, None), *(_transaction(limits, call) for call in calls)]) + "\n"


def write_decisions(
    files: Sequence[Migration], run: Run, limits: Limits, *, functions: str, history: str | None
) -> str:
    """Return the script that records a baseline or accepted edits, all of them in one transaction.

    Args:
        files: the migrations.
        run: what the history says of this run; its act is `baseline` or `accept`.
        limits: how long it may wait.
        functions: SQL of the functions of the run (files/session.sql and files/record.sql).
        history: SQL of the history (files/history.sql), where the database has none yet.
    """
    calls = (
        f"SELECT pg_temp.migrations_decide(\n{_json(_described(migration))},\n{_json(asdict(run))});"
        for migration in files
    )
    return f"{_prelude(limits, functions, history)}\n\n{_transaction(limits, chr(10).join(calls))}\n"


def write_queries(
    migration: Migration,
    statements: Sequence[Statement],
    run: Run,
    limits: Limits,
    *,
    owner: str,
    functions: str,
    history: str | None,
    resume: Sequence[Mapping[str, Any]] = (),
) -> list[str]:
    """Return what one session sends, one after the other, to apply a file without transaction.

    The session holds the lock of the migrations from its beginning to its end. Should it end before its last query, the
    file is in doubt, and the next plan says so. Arguments as in `write_script`; `resume` holds, for an interrupted
    file, {send, drop} for each statement: whether it is sent, and which indexes are dropped before.
    """
    sent = []
    for statement, step in zip(statements, resume or [{}] * len(statements), strict=True):
        place = _place(migration, statement, run)
        sent += [f"{place} DROP INDEX CONCURRENTLY IF EXISTS {name}" for name in step.get("drop", ())]
        sent += [f"{place} {statement.text}"] if step.get("send", True) else []
    return [
        _prelude(limits, functions, history),
        _record("start", migration, run),
        f"SELECT set_config('statement_timeout', {quote(limits.statement_timeout)}, false), "
        f"set_config('application_name', pg_temp.migrations_application({_json(_described(migration))}), false), "
        f"set_config('role', {quote(owner)}, false)",
        *sent,
        "SELECT set_config('role', 'none', false)",
        _record("apply", migration, run),
    ]


def _prelude(limits: Limits, functions: str, history: str | None) -> str:
    """Return what a script begins with: the functions of the run, and the history where there is none."""
    parts = [functions.rstrip(), f"SELECT pg_temp.migrations_lock({quote(limits.run_lock_wait)}, true);"]
    if history:
        parts.append(_transaction(limits, history.rstrip()))
    return "\n\n".join(parts)


def _json(data: object) -> str:
    """Return plain data as a literal."""
    return quote(json.dumps(data, ensure_ascii=False))


def _step(migration: Migration, statements: Sequence[Statement]) -> dict[str, object]:
    """Return a file as the functions of a rollback take it."""
    return {
        "migration": _described(migration),
        "lines": [statement.line for statement in statements],
        "statements": [statement.text for statement in statements],
    }


def _record(act: str, migration: Migration, run: Run) -> str:
    """Return the call that adds a history row for a file that runs without a transaction."""
    return f"SELECT pg_temp.migrations_record({quote(act)},\n{_json(_described(migration))},\n{_json(asdict(run))});"


def _place(migration: Migration, statement: Statement, run: Run) -> str:
    """Return a comment that says which statement this is: an error of the driver begins with its text."""
    place = {"file": migration.file, "line": statement.line, "needs": statement.needs}
    # A name may hold the end of a comment; in JSON a slash may be written so.
    return f"/* migration-statement {run.run_id} {json.dumps(place).replace('/', chr(92) + '/')} */"


def _transaction(limits: Limits, body: str) -> str:
    """Wrap SQL in a transaction that holds the lock of the migrations; afterwards no setting of a file remains."""
    return (
        "BEGIN;\n"
        "SET LOCAL statement_timeout = 0;\n"
        f"SELECT pg_temp.migrations_lock({quote(limits.run_lock_wait)});\n"
        f"SET LOCAL statement_timeout = {quote(limits.statement_timeout)};\n"
        f"{body}\n"
        "COMMIT;\n"
        "RESET ALL;"
    )


def _apply(owner: str, migration: Migration, run: Run, statements: Sequence[Statement]) -> str:
    """Return the call that runs one file."""
    lines = ",".join(str(statement.line) for statement in statements)
    texts = ",\n".join(quote(statement.text) for statement in statements)
    return (
        f"-- {migration.file}\n"
        f"SELECT pg_temp.migrations_apply({quote(owner)},\n"
        f"{_json(_described(migration))},\n"
        f"{_json(asdict(run))},\n"
        f"'{{{lines}}}',\n"
        f"ARRAY[{texts}],\n"
        f"{_json([statement.needs for statement in statements])});"
    )


def _described(migration: Migration) -> dict[str, str]:
    """Return what the history says of a file."""
    return {key: getattr(migration, key) for key in ("version", "name", "description", "file", "sha256", "sha256_raw")}
