# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the place and the cause of a failed run in what community.postgresql.postgresql_script says of it.

That module repeats the whole script in its message, and PostgreSQL shows rows in DETAIL. Nothing of either passes
through here: only the place, the SQLSTATE, the message and the hint.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

MODULE_MESSAGE_END = "' None: "  # what stands between the script and PostgreSQL's words
ANOTHER_RUN = "another run holds the lock"  # words of files/session.sql
OVERTAKEN = "another run changed what stands"  # words of files/rollback.sql
QUOTED_VALUE = re.compile(r'"[^"]*"')
# Classes of SQLSTATE whose messages quote values of rows, not names: data exception, invalid text representation.
DATA_CLASSES = ("22",)


@dataclass(frozen=True)
class Failure:
    """Why a run stopped. `file` is None where the failure belongs to no file (connection, lock, crash)."""

    message: str
    sqlstate: str | None = None
    file: str | None = None
    line: int | None = None
    hint: str | None = None
    remedy: str | None = None

    def __str__(self) -> str:
        """Return one line: place, SQLSTATE, message, hint."""
        place = f"{self.file}:{self.line}: " if self.file else ""
        state = f"[{self.sqlstate}] " if self.sqlstate else ""
        hint = f" (hint: {self.hint})" if self.hint else ""
        return f"{place}{state}{self.message}{hint}"


def read_failure(module_message: str, run_id: str) -> Failure:
    """Read the message of the failed postgresql_script task.

    Args:
        module_message: `msg` of the failed result; holds the script and must not be shown.
        run_id: id of the run, to tell its failure from any text in a file.
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
        )
    _, found, words = module_message.rpartition(MODULE_MESSAGE_END)
    if not found and "Cannot execute SQL" in module_message:
        return Failure("the run failed, and PostgreSQL's words cannot be told from the SQL text")
    lines = (words if found else module_message).strip().splitlines()
    return Failure(lines[0] if lines else "the connection ended without a word")


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
) -> str:
    """Return what to tell a person: what failed, in which state the database is, what to do next.

    Args:
        failure: why the run stopped.
        planned: names of the files of the run, in order (`migrations/007_billing_tables.sql`).
        applied: those of them that this run applied.
        theirs: those of them that another run applied meanwhile.
        in_doubt: those of them that began without a transaction and whose end is not recorded.
        database: name of the database.
        done: what the run does to the files: `applied`, `rolled back`, ...
        counting: whether the run only tried what a rollback would do.
    """
    left = [file for file in planned if file not in applied | theirs]
    state = [f"{_span([file for file in planned if file in applied])} {done} and recorded by this run"]
    if theirs:
        state.append(f"{_span([file for file in planned if file in theirs])} {done} by another run meanwhile")
    state.append(f"{_span(left)} not {done}")
    doubt = _span([file for file in planned if file in in_doubt])
    rest = (
        f"{doubt} is in doubt: it runs without a transaction." if in_doubt else "The failed file left nothing behind."
    )
    if counting:
        state, rest = ["nothing was changed"], "The rollback was tried in a transaction that was taken back."
    if failure.remedy:
        remedy = failure.remedy
    elif theirs or OVERTAKEN in failure.message:
        remedy = "run the same command again; it goes on from what stands now."
    elif ANOTHER_RUN in failure.message:
        remedy = "wait for the end of that run, and run the same command again."
    elif done == "rolled back":
        remedy = (
            f"read at the head of {failure.file or 'the rollback'} when it fails, remove the cause and run the same "
            "command again."
        )
    else:
        remedy = (
            f"correct {failure.file or 'the cause'} and run the same command again; it goes on with the first that is "
            "missing."
        )
    return f"{failure}\nDatabase {database}: {'; '.join(state)}. {rest}\nNext: {remedy}"


def _span(files: list[str]) -> str:
    """Return `none`, one name, or `first to last (number)`."""
    names = [file.rpartition("/")[2] for file in files]
    if len(names) <= 1:
        return names[0] if names else "none"
    return f"{names[0]} to {names[-1]} ({len(names)})"
