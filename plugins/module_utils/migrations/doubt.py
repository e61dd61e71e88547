# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads from the catalogs how far an interrupted file without transaction came.

Each statement has one of these answers: it was done; it must still be done; it left an INVALID index behind, which is
dropped before the statement is sent again; or it is unknown, and a person has to decide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..sql import unquoted

DONE, TO_DO, AGAIN, OPEN = "done", "to do", "again", "open"
RETRY, APPLIED = "retry", "applied"
DECISION = re.compile(r"(?P<version>[^:,\s]+):(?P<word>retry|applied)")

# The catalog entries for each statement. `found` is null where the object does not exist.
LOOK = """
SELECT json_build_object('found', (
    SELECT json_build_object(
        'name', format('%%I.%%I', c.relnamespace::regnamespace, c.relname), 'valid', i.indisvalid,
        'same_table', i.indrelid = to_regclass(s.step ->> 'table'), 'definition', pg_get_indexdef(c.oid))
    FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
    WHERE s.step ->> 'kind' = 'index' AND c.relname = s.step ->> 'name'
      AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(s.step ->> 'table'))
), 'left_to_drop', EXISTS (
    SELECT FROM jsonb_array_elements_text(s.step -> 'names') AS n (name) WHERE to_regclass(n.name) IS NOT NULL
), 'remains', (
    SELECT json_agg(json_build_array(format('%%I.%%I', c.relnamespace::regnamespace, c.relname),
           has_schema_privilege(c.relnamespace, 'USAGE')) ORDER BY c.relname)
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        LEFT JOIN pg_class AS t ON t.reltoastrelid = i.indrelid
        JOIN pg_class AS r ON r.oid = COALESCE(t.oid, i.indrelid)
    WHERE s.step ->> 'kind' = 'reindex' AND NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$'
      AND CASE WHEN s.step ? 'relation' THEN r.oid IN (
              SELECT w.oid UNION ALL SELECT p.relid FROM pg_partition_tree(w.oid) AS p)
          WHEN s.step ? 'schema' THEN r.relnamespace = to_regnamespace(s.step ->> 'schema')
          ELSE TRUE END
), 'has_value', EXISTS (
    SELECT FROM pg_enum WHERE s.step ->> 'kind' = 'value'
        AND enumtypid = to_regtype(s.step ->> 'type') AND enumlabel = s.step ->> 'value'
))::text AS known
FROM jsonb_array_elements(%(steps)s::jsonb) WITH ORDINALITY AS s (step, ordinality), LATERAL (
    SELECT COALESCE((SELECT x.indrelid FROM pg_index AS x WHERE x.indexrelid = o.oid), o.oid) AS oid
    FROM (SELECT to_regclass(s.step ->> 'relation')::oid AS oid) AS o) AS w ORDER BY s.ordinality
"""
PROBE_TABLE = "CREATE TEMPORARY TABLE physioflow_probe (LIKE {table} INCLUDING GENERATED)"
PROBE_DEFINITION = "SELECT pg_get_indexdef(format('pg_temp.%%I', %(name)s::text)::regclass) AS definition"


@dataclass(frozen=True)
class Answer:
    """The progress of one statement.

    Attributes:
        line: line of the statement.
        state: DONE, TO_DO, AGAIN or OPEN.
        drop: the invalid indexes to drop before it is sent again.
        stay: invalid indexes of TOAST tables that only a superuser can drop, where the session is none.
        look: the query by which a person can check, where the state is OPEN.
    """

    line: int
    state: str
    drop: tuple[str, ...] = ()
    stay: tuple[str, ...] = ()
    look: str = ""


def edited(begun: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    """Tell whether a file changed since it began, from its history row and its catalog entry."""
    return begun.get("sha256") not in (None, entry["sha256"])


def look_at(cursor: Any, steps: Sequence[Mapping[str, Any]], in_order: bool = True) -> list[Answer]:
    """Ask the catalogs for each statement of a file.

    Args:
        cursor: of a connection in autocommit.
        steps: the statements as `alone.py` describes them.
        in_order: whether no statement can be done after one that was not; False where the file was edited.
    """
    cursor.execute(LOOK, {"steps": json.dumps(list(steps))})
    known = [json.loads(dict(row)["known"]) for row in cursor.fetchall()]
    answers = [_answer(cursor, step, about) for step, about in zip(steps, known, strict=True)]
    made = {step.get("name") for step, answer in zip(steps, answers, strict=True) if answer.state == DONE}
    stopped, found = False, []
    for step, answer in zip(steps, answers, strict=True):
        state = answer.state
        if step["kind"] == "drop" and {unquoted(name.rpartition(".")[2]) for name in step["names"]} <= made:
            state = DONE  # dropped and recreated in one file: if it exists again, it was dropped
        # Statements after one that was not done are sent. If their object exists, it existed before, and is an error.
        found.append(Answer(answer.line, TO_DO) if stopped and state == DONE else replace(answer, state=state))
        stopped |= in_order and (state == AGAIN or (state == TO_DO and step["kind"] in ("index", "drop", "value")))
    return found


def left_nothing(steps: Sequence[Mapping[str, Any]], answers: Sequence[Answer], line: int | None) -> bool:
    """Tell whether a file that failed with an error left nothing behind.

    An error undoes its own statement, except for an INVALID index and for statements that commit in between. The
    statements before it in the file were done, unless they may be repeated.

    Args:
        steps: the statements as `alone.py` describes them.
        answers: the progress of each statement.
        line: line of the failed statement.
    """
    pairs = list(zip(steps, answers, strict=True))
    failed = [(step["kind"], answer.state) for step, answer in pairs if step["line"] == line]
    before = [(step["kind"], answer.state) for step, answer in pairs if line is not None and step["line"] < line]
    return (
        len(failed) == 1
        and failed[0][0] != "steps"
        and all(state != AGAIN for _, state in failed + before)
        and all(kind in ("repeat", "reindex") for kind, _ in before)
    )


def read_decisions(text: str) -> dict[str, str]:
    """Parse the decisions of a person: `016:retry,017:applied`.

    Raises:
        ValueError: where the text has another form.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    matches = [DECISION.fullmatch(part) for part in parts]
    if not all(matches):
        raise ValueError(f"{text} is not a decision like 016:retry or 016:applied")
    return {match["version"]: match["word"] for match in matches if match}


def decide(answers: Sequence[Answer], decision: str | None) -> list[Answer]:
    """Use a person's decision where the catalogs cannot tell; `applied` also overrides the catalogs."""
    if decision == APPLIED:
        return [Answer(answer.line, DONE) for answer in answers]
    if decision == RETRY:
        return [Answer(answer.line, TO_DO) if answer.state == OPEN else answer for answer in answers]
    return list(answers)


def sentences(answers: Sequence[Answer]) -> list[str]:
    """Return what the next run does with each statement, and the manual alternative."""
    words = []
    for answer in answers:
        if answer.drop:
            words.append(
                f"line {answer.line} left the INVALID index {', '.join(answer.drop)} behind: the next run drops it and "
                f"creates it again (by hand: {drops(answer.drop)})"
            )
        if answer.stay:
            words.append(
                f"line {answer.line} left the INVALID index {', '.join(answer.stay)} of a TOAST table behind, which "
                f"slows down every write: the next run creates it again, and a superuser drops the rest: "
                f"{drops(answer.stay)}"
            )
        if answer.state == DONE:
            words.append(f"line {answer.line} was executed and is not sent again")
        elif answer.state == OPEN:
            words.append(f"it is unknown whether line {answer.line} was executed; check: {answer.look}")
    return words


def drops(names: Sequence[str]) -> str:
    """Return the statements that drop indexes manually."""
    return "; ".join(f"DROP INDEX CONCURRENTLY {name}" for name in names)


def _answer(cursor: Any, step: Mapping[str, Any], known: Mapping[str, Any]) -> Answer:
    """Judge one statement by its catalog entries."""
    line, kind = step["line"], step["kind"]
    look = "read the statement, and check whether its result exists"
    done = {"drop": not known["left_to_drop"], "value": known["has_value"], "repeat": False}
    if kind == "index" and (index := known["found"]):
        look = f"SELECT pg_get_indexdef('{index['name']}'::regclass)"
        if index["same_table"] and not index["valid"]:
            return Answer(line, AGAIN, (index["name"],))
        if index["same_table"] and _definition(cursor, step) == _comparable(index["definition"]):
            return Answer(line, DONE)
    elif kind in ("index", "reindex"):
        remains = known["remains"] or []
        drop, stay = (tuple(name for name, mine in remains if mine is reachable) for reachable in (True, False))
        return Answer(line, AGAIN if remains else TO_DO, drop, stay)
    elif kind in done:
        return Answer(line, DONE if done[kind] else TO_DO)
    return Answer(line, OPEN, look=look)


def _definition(cursor: Any, step: Mapping[str, Any]) -> str | None:
    """Return the definition that the index of a statement would have, created on an empty copy of its table."""
    cursor.execute("BEGIN")
    try:
        cursor.execute(PROBE_TABLE.format(table=step["table"]))
        cursor.execute(step["probe"])
        cursor.execute(PROBE_DEFINITION, {"name": step["name"]})
        return _comparable(dict(cursor.fetchone())["definition"])
    except Exception:
        return None
    finally:
        cursor.execute("ROLLBACK")


def _comparable(definition: str) -> str:
    """Return a definition without the names of index and table."""
    kind, _, rest = definition.partition(" INDEX ")
    return f"{kind} {rest.partition(' USING ')[2]}"
