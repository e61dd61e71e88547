# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the place and the cause of a failed run in the message of community.postgresql.postgresql_script.

That message repeats the whole script, and PostgreSQL shows rows in DETAIL. This module passes on neither: only the
place, the SQLSTATE, the message and the hint.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MODULE_MESSAGE_END = "' None: "  # between the script and PostgreSQL's message
QUERY_LIST = ", query list: ["  # postgresql_query adds it after PostgreSQL's message
ANOTHER_RUN = "another run holds the lock"  # text in files/lock.sql, apply.sql and keep_lock.sql
APPLIED_MEANWHILE = "another run has applied it"  # text in files/apply.sql and record.sql
STATEMENT_BEGIN = "Cannot execute SQL '/* migration-statement"  # a statement of a file without transaction
# Where only PostgreSQL's message is available, its English text tells the SQLSTATE.
SQLSTATE_OF_WORDS = {
    "canceling statement due to lock timeout": "55P03",
    "could not obtain lock": "55P03",
    "another run holds the lock": "55P03",
    "deadlock detected": "40P01",
    "could not serialize access": "40001",
    "canceling statement due to statement timeout": "57014",
    "terminating connection due to administrator command": "57P01",
    "cannot run inside a transaction block": "25001",
}
OVERTAKEN = "another run changed the applied migrations"  # text in files/apply.sql and record.sql
QUOTED_VALUE = re.compile(r'"[^"]*"')
# Another session was in the way: lock_not_available, deadlock_detected, serialization_failure.
# The session ended, and no message names the file.
LOST = ("server closed the connection", "terminating connection", "connection already closed", "connection is closed")
OUTSIDE = "PF003"  # of files/apply.sql: in a copy of the database, a file would have an effect outside of it
LOCKED = ("55P03", "40P01", "40001")
# Classes of SQLSTATE whose messages quote values of rows, not names: data exception, invalid text representation.
DATA_CLASSES = ("22",)


@dataclass(frozen=True)
class Failure:
    """Why a run stopped. `file` is None where the failure belongs to no file (connection, lock, crash).

    `needs` are the locks of the failed statement, as `locks.py` returns them.
    """

    message: str
    sqlstate: str | None = None
    file: str | None = None
    line: int | None = None
    hint: str | None = None
    needs: tuple[dict[str, Any], ...] = ()
    remedy: str | None = None

    @property
    def place(self) -> dict[str, Any]:
        """Return the module's return values for it, besides the message."""
        return {"sqlstate": self.sqlstate, "file": self.file}

    def __str__(self) -> str:
        """Return one line: place, SQLSTATE, message, hint."""
        place = "".join([self.file or "", f":{self.line}" if self.line else "", ": " if self.file else ""])
        state = f"[{self.sqlstate}] " if self.sqlstate else ""
        hint = f" (hint: {self.hint})" if self.hint else ""
        return f"{place}{state}{self.message}{hint}"


def read_failure(module_message: str, run_id: str) -> Failure:
    """Read the message of the failed task of postgresql_script or postgresql_query.

    Args:
        module_message: `msg` of the failed result; holds the script and must not be shown.
        run_id: id of the run, which tells its failure from any text in a file.
    """
    _, marked, rest = module_message.rpartition(f"migration-failure {run_id} ")
    if marked:
        data, _ = json.JSONDecoder().raw_decode(rest)
        return Failure(
            message=without_values(data["message"], data["sqlstate"]),
            sqlstate=data["sqlstate"],
            file=data["file"],
            line=data["line"],
            hint=data["hint"] or None,
            needs=tuple(data.get("needs") or ()),
        )
    place: dict[str, Any] = {}
    if module_message.startswith(f"{STATEMENT_BEGIN} {run_id} "):
        place, _ = json.JSONDecoder().raw_decode(module_message.removeprefix(f"{STATEMENT_BEGIN} {run_id} "))
        place["needs"] = tuple(place["needs"])
    text = module_message.rpartition(QUERY_LIST)[0] or module_message
    _, found, words = text.rpartition(MODULE_MESSAGE_END)
    if not found and "Cannot execute SQL" in module_message:
        return Failure("the run failed, and PostgreSQL's message cannot be separated from the SQL text", **place)
    lines = (words if found else text).strip().splitlines()
    message = lines[0] if lines else "the connection ended without an error message"
    return Failure(message, sqlstate=sqlstate_of(message), **place)


def read_loss(module_message: str, run_id: str) -> list[dict[str, Any]] | None:
    """Return what files/rollback.sql found, [{table, rows, what}], or None where it did not get that far.

    The arguments are those of `read_failure`.
    """
    _, marked, rest = module_message.rpartition(f"migration-loss {run_id} ")
    if not marked:
        return None
    found, _ = json.JSONDecoder().raw_decode(rest)
    return [entry | {"table": entry["table"].removeprefix("public.")} for entry in found]


def loss_failure(loss: Sequence[Mapping[str, Any]]) -> Failure:
    """Return the refusal of a rollback that would lose rows: tables and numbers, never rows."""
    width = max([5, *(len(entry["table"]) for entry in loss)])
    lines = [f"  {'table':<{width}} {'rows':>9}  what"]
    lines += [f"  {entry['table']:<{width}} {entry['rows']:>9}  {entry['what']}" for entry in loss]
    return Failure(
        message="\n".join(["The rollback would lose rows, and rollback_accept_data_loss is not set:", *lines]),
        remedy="check these rows; if you can lose them, run the same command again with "
        "-e rollback_accept_data_loss=true",
    )


def sqlstate_of(message: str) -> str | None:
    """Return the SQLSTATE of a message, if its text tells it."""
    return next((state for words, state in SQLSTATE_OF_WORDS.items() if words in message), None)


def lost(failure: Failure) -> bool:
    """Tell whether the session was lost: a crash, an administrator, the network."""
    return any(words in failure.message for words in LOST)


def without_values(message: str, sqlstate: str) -> str:
    """Return a message without the values of rows: `invalid input syntax for type integer: "…"`."""
    if sqlstate.startswith(DATA_CLASSES):
        return QUOTED_VALUE.sub('"…"', message)
    return message


def explain(
    failure: Failure,
    *,
    planned: list[str],
    applied: set[str],
    theirs: set[str],
    in_doubt: set[str],
    database: str,
    done: str = "applied",
    counting: bool = False,
    terminating: bool = False,
    findings: Sequence[str] = (),
) -> str:
    """Return the error message: what failed, the state of the database, and the next step.

    Args:
        failure: why the run stopped.
        planned: names of the files of the run, in order (`migrations/007_billing_tables.sql`).
        applied: the files that this run applied.
        theirs: the files that another run applied meanwhile.
        in_doubt: the files without transaction whose beginning is recorded, but not their end.
        database: name of the database.
        done: what the run does to the files: `applied`, `rolled back`, ...
        counting: whether the run only tried what a rollback would do.
        terminating: whether the run was allowed to end the sessions that certainly block.
        findings: sentences about lock holders and about leftovers of an interrupted file.
    """
    spans = {
        "ours": span([file for file in planned if file in applied]),
        "theirs": span([file for file in planned if file in theirs]),
        "left": span([file for file in planned if file not in applied | theirs]),
        "doubt": span([file for file in planned if file in in_doubt]),
    }
    if counting:
        state, rest = "nothing was changed", "The rollback was tried in a transaction and reverted."
    else:
        meanwhile = f"; {spans['theirs']} {done} by another run meanwhile" if theirs else ""
        state = f"{spans['ours']} {done} and recorded by this run{meanwhile}; {spans['left']} not {done}"
        rest = "The failed file left no changes."
        if in_doubt:
            rest = f"{spans['doubt']} is in doubt: it runs without a transaction."
    remedy = _remedy(
        failure,
        overtaken=bool(theirs),
        in_doubt=bool(in_doubt),
        back=done == "rolled back",
        terminating=terminating,
    )
    return "\n".join([str(failure), f"Database {database}: {state}. {rest}", *findings, f"Next: {remedy}"])


# By whether it was tried: the deploy does not end a session that only may be in the way.
_TERMINATE = {
    False: "-e migrations_terminate_blockers=true",
    True: "SELECT pg_terminate_backend(PID), as a session that only may be the blocker is not terminated by a deploy",
}


def _remedy(failure: Failure, *, overtaken: bool, in_doubt: bool, back: bool, terminating: bool) -> str:
    """Return what to do next."""
    again = "run the same command again"
    from_missing = "it continues with the first missing file."
    needs_none = (
        f"into a file of its own with the header line `-- Transactional: no`, out of {failure.file or 'its file'}"
    )
    state = "" if in_doubt else failure.sqlstate
    remedies = (
        (failure.remedy, failure.remedy),
        (overtaken or OVERTAKEN in failure.message, f"{again}; it continues from the current state."),
        (ANOTHER_RUN in failure.message, f"wait until that run ends, and {again}."),
        (lost(failure), f"{again}; {from_missing}"),
        (
            failure.sqlstate in LOCKED,
            f"{again} when they have ended, or terminate them with {_TERMINATE[terminating]}; {from_missing}",
        ),
        (
            failure.sqlstate == OUTSIDE,
            f"make this change outside of the migrations; or, if the file is correct as it is, {again} with "
            "-e rehearse=false.",
        ),
        (
            state == "2D000",
            "a procedure with COMMIT or ROLLBACK runs only outside of a transaction: put the CALL "
            f"{needs_none}, and {again}.",
        ),
        (state == "25001", f"put that statement {needs_none}, and {again}."),
        (back, f"read in the header of {failure.file or 'the rollback'} when it fails, remove the cause and {again}."),
        (True, f"correct {failure.file or 'the cause'} and {again}; {from_missing}"),
    )
    return next(words for applies, words in remedies if applies and words)


def span(files: list[str]) -> str:
    """Return `none`, one name, or `first to last (number)`."""
    names = [file.rpartition("/")[2] for file in files]
    if len(names) <= 1:
        return names[0] if names else "none"
    return f"{names[0]} to {names[-1]} ({len(names)})"
