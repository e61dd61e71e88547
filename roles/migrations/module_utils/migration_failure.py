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

MARKER = re.compile(r"migration-failure (?P<run_id>[0-9a-f-]{36}) (?P<data>\{.*\})")
MODULE_MESSAGE_END = "' None: "  # what stands between the script and PostgreSQL's words
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
    for match in reversed(list(MARKER.finditer(module_message))):
        if match["run_id"] == run_id:
            data = json.loads(match["data"])
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


def explain(failure: Failure, planned: list[str], applied: set[str], in_doubt: set[str], database: str) -> str:
    """Return what to tell a person: what failed, in which state the database is, what to do next.

    Args:
        failure: why the run stopped.
        planned: names of the files of the run, in order (`migrations/007_billing_tables.sql`).
        applied: those of them that stand in the history now.
        in_doubt: those of them that began without a transaction and whose end is not recorded.
        database: name of the database.
    """
    done = [file for file in planned if file in applied]
    left = [file for file in planned if file not in applied]
    lines = [str(failure)]
    lines.append(
        f"Database {database}: {_span(done)} applied and recorded by this run; {_span(left)} not applied. "
        + (
            f"{_span([f for f in planned if f in in_doubt])} is in doubt: it runs without a transaction."
            if in_doubt
            else "The failed file left nothing behind."
        )
    )
    where = failure.file or "the cause"
    lines.append(f"Next: correct {where} and run the same command again; it goes on with the first that is missing.")
    return "\n".join(lines)


def _span(files: list[str]) -> str:
    """Return `none`, one name, or `first to last (number)`."""
    names = [file.rpartition("/")[2] for file in files]
    if len(names) <= 1:
        return names[0] if names else "none"
    return f"{names[0]} to {names[-1]} ({len(names)})"
