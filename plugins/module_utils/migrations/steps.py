# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Divides a run into scripts that are sent in order, each in a session of its own."""

from __future__ import annotations

import getpass
import json
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .catalog import Migration, Statement, own_statements, read_text
from .parts import DOWN, UP
from .script import Run, Script

# The act in the history for each action, and the state of the files after it.
ACTS = {"apply": "apply", "count": "rollback", "rollback": "rollback", "baseline": "baseline", "accept": "accept"}
KINDS = {
    "apply": "pending migrations",
    "rollback": "rollbacks",
    "baseline": "migrations to adopt",
    "accept": "edited migrations to accept",
}


class ChangedError(Exception):
    """A file changed between the plan and the script."""


@dataclass(frozen=True)
class Prepared:
    """The scripts of a run.

    Attributes:
        run_id: of the run in the history.
        texts: each script by its name, in order: SQL for postgresql_script, or a list of queries for postgresql_query.
        alone: for each script, the file without transaction in it; empty for other scripts.
        title: the kind and number of the files.
        shown: the SQL of the files, to show to the user.
    """

    run_id: str
    texts: dict[str, str]
    alone: dict[str, str]
    title: str
    shown: str

    @property
    def steps(self) -> list[dict[str, str]]:
        """Return the scripts in order, as the action migration_script does."""
        return [{"script": name, "file": file} for name, file in self.alone.items()]

    def write(self, folder: Path) -> None:
        """Write the scripts into a folder."""
        for name, text in self.texts.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")


def prepare(params: Mapping[str, Any]) -> Prepared:
    """Read the pending files and write their scripts.

    Args:
        params: the options of migration_script, as documented there.

    Raises:
        ChangedError: a file changed since the plan.
    """
    files = read_pending(params)
    run = Run(
        release=params["release"],
        run_id=params["run_id"] or str(uuid.uuid4()),
        operator=getpass.getuser(),
        controller=socket.gethostname(),
        backup_id=params["backup_id"] or None,
        reason=params["reason"] or None,
        act=ACTS[params["action"]],
        applied_versions=tuple(params["applied_versions"]),
        copy=params["copy"],
    )
    texts, alone = {}, {}
    for number, (file, sent) in enumerate(steps_of(params, files, run), start=1):
        name = f"{number:03d}.{'json' if file else 'sql'}"
        texts[name] = json.dumps(sent, ensure_ascii=False) if file else "\n\n".join(sent) + "\n"
        alone[name] = file
    shown = "\n".join(f"-- {migration.file}\n{text}" for migration, text in files)
    return Prepared(run.run_id, texts, alone, f"{len(files)} {KINDS[run.act]}", shown)


def read_pending(params: Mapping[str, Any]) -> list[tuple[Migration, str]]:
    """Read the pending files with their text."""
    files = []
    way = DOWN if ACTS[params["action"]] == "rollback" else UP
    for entry in params["pending"]:
        migration = Migration.of(entry)
        sql = read_text(Path(params["directory"]).parent / migration.file, migration.file, way)
        if sql.sha256 != migration.sha256:
            raise ChangedError(f"{migration.file} changed while the run was planned. Nothing was applied. Run again.")
        files.append((migration, sql.text))
    return files


def steps_of(params: Mapping[str, Any], files: list[tuple[Migration, str]], run: Run) -> list[tuple[str, list[str]]]:
    """Return for each script of a run its file without transaction, or an empty name, and its queries."""
    script = Script(Path(params["engine"]), run, params["owner"], params["run_lock_wait"], params["statement_timeout"])
    begin = script.begin(history=not params["has_history"])
    if run.act in ("baseline", "accept"):
        return [("", [*begin, *script.decide(file for file, _ in files)])]
    subsumed = {entry["file"] for entry in params["pending"] if entry.get("subsumed")}
    parsed = [(file, [] if file.file in subsumed else own_statements(text)) for file, text in files]
    if params["action"] == "count":
        return [("", [*begin, *script.count(parsed)])]
    if run.act == "rollback" and not params["accept_data_loss"]:
        return [("", [*begin, *script.rollback(parsed)])]
    resumed = {entry["file"]: entry["resume"] for entry in params["pending"] if entry.get("resume")}
    steps: list[tuple[str, list[str]]] = []
    for group in in_sessions(parsed):
        migration, statements = group[0]
        if migration.transactional:
            steps.append(("", [*begin, *script.apply(group)]))
        else:
            queries = script.alone(migration, statements, resumed.get(migration.file, ()))
            steps.append((migration.file, [*begin, *queries]))
        begin = script.begin(history=False)
    return steps


def in_sessions(files: Sequence[tuple[Migration, list[Statement]]]) -> list[list[tuple[Migration, list[Statement]]]]:
    """Return the files grouped by session.

    A file without transaction has a session of its own. A new session also begins after a file that changes the initial
    settings of a session (ALTER DATABASE ... SET, ALTER ROLE ... SET) or leaves a setting behind (SET app.clinic).
    """
    sessions: list[list[tuple[Migration, list[Statement]]]] = []
    joins = False
    for migration, statements in files:
        if joins and migration.transactional:
            sessions[-1].append((migration, statements))
        else:
            sessions.append([(migration, statements)])
        joins = migration.transactional and not any(statement.renews for statement in statements)
    return sessions
