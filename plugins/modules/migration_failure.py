#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: say why a run failed and in which state the database is."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: migration_failure
short_description: Explain why a run of migrations failed
description:
  - Fails with the place of the error, the state of the database and the next step, and without the SQL text and the
    rows that the message of M(community.postgresql.postgresql_script) holds.
  - Succeeds with RV(retry) where another attempt may work; names the sessions that were in the way both times.
  - Succeeds too where O(action=count) found no row that a rollback would lose, or they may go.
extends_documentation_fragment:
  - physioflow.database.attributes
  - physioflow.database.connection
options:
  database:
    description: Name of the database.
    type: str
    required: true
  error:
    description: The message of the failed task.
    type: str
    required: true
  run_id:
    description: Id of the run.
    type: str
    required: true
  pending:
    description: What the run was to apply.
    type: list
    elements: dict
    required: true
  attempt:
    description: Number of the attempt that failed, from 1.
    type: int
    default: 1
  retries:
    description: How many further attempts a lock, a deadlock or a serialization failure is worth.
    type: int
    default: 0
  pause:
    description: How long to wait before the second attempt, like C(2s).
    type: str
    default: 2s
  growth:
    description: By how much each further pause is longer.
    type: float
    default: 2
  terminate_blockers:
    description: End the sessions that hold the lock that the run waited for, if another attempt follows.
    type: bool
    default: false
  terminated:
    description: What RV(terminated) was in the attempts before.
    type: list
    elements: str
    default: []
  action:
    description: As for M(physioflow.database.migration_script).
    type: str
    choices: [apply, count, rollback, baseline, accept]
    default: apply
  accept_data_loss:
    description: Whether a rollback may lose rows.
    type: bool
    default: false
  file:
    description: The file that went alone in the failed script, if there was one.
    type: str
    default: ""
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Explain the failure
  physioflow.database.migration_failure:
    connection: "{{ postgresql_connection }}"
    database: physioflow
    error: "{{ ansible_failed_result.msg }}"
    run_id: "{{ migrations_run.run_id }}"
    pending: "{{ migrations_plan.pending }}"
"""

RETURN = r"""
retry:
  description: Whether the run is worth another attempt, which has to plan anew.
  returned: always
  type: bool
attempt:
  description: Number of the next attempt.
  returned: success
  type: int
pause:
  description: Seconds to wait before it.
  returned: success
  type: float
terminated:
  description: Sentences on the sessions that were ended, of all attempts so far. Also set as a fact
    C(migrations_terminated).
  returned: success
  type: list
  elements: str
loss:
  description: What a rollback would lose, by table.
  returned: success
  type: list
  elements: dict
sqlstate:
  description: SQLSTATE of the failure, where PostgreSQL gave one.
  returned: always
  type: str
file:
  description: The file that failed.
  returned: always
  type: str
"""

import dataclasses
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.community.postgresql.plugins.module_utils.postgres import pg_cursor_args
from ansible_collections.physioflow.database.plugins.module_utils.migrations.blockers import find_blockers, terminate
from ansible_collections.physioflow.database.plugins.module_utils.migrations.doubt import (
    edited,
    left_nothing,
    look_at,
    sentences,
)
from ansible_collections.physioflow.database.plugins.module_utils.migrations.failure import (
    Failure,
    explain,
    loss_failure,
    lost,
    read_failure,
    read_loss,
    span,
)
from ansible_collections.physioflow.database.plugins.module_utils.migrations.history import (
    FAIL,
    History,
    history_argument_spec,
    history_of,
    open_database,
)
from ansible_collections.physioflow.database.plugins.module_utils.migrations.names import REPEATABLE
from ansible_collections.physioflow.database.plugins.module_utils.migrations.retry import (
    pause_before,
    read_duration,
    waited_in_vain,
    waits_for_application,
    waits_for_run,
)

# What became of a file, by what was asked for.
DONE = {
    "apply": "applied",
    "count": "rolled back",
    "rollback": "rolled back",
    "baseline": "adopted",
    "accept": "accepted",
}
RECOVERY = 60.0  # seconds that a server may need after a crash


def files_of(params: dict[str, Any], history: History) -> tuple[set[str], set[str], set[str]]:
    """Return which files of the run it has done itself, which another run did meanwhile, and which are in doubt."""
    standing = {row["version"] for row in history.applied}
    done, rows = standing, history.applied
    if params["action"] == "accept":  # they stood before
        done, rows = set(), [row for row in rows if row["act"] == "accept"]
    elif DONE[params["action"]] == "rolled back":  # then those are done that do not stand any more
        done, rows = {entry["version"] for entry in params["pending"]} - standing, history.rolled_back

    def of_this_run(rows: list[dict[str, Any]], key: str) -> set[str]:
        return {row[key] for row in rows if row["run_id"] == params["run_id"]}

    def files(key: str, values: set[str], repeatable: bool = False) -> set[str]:
        return {
            entry["file"]
            for entry in params["pending"]
            if entry[key] in values and (entry["version"] == REPEATABLE) is repeatable
        }

    ours = of_this_run(rows, "version")
    mine = files("version", ours) | files("name", of_this_run(history.repeated, "name"), repeatable=True)
    return mine, files("version", done - ours), files("version", {row["version"] for row in history.in_doubt})


def next_file(params: dict[str, Any], history: History) -> str | None:
    """Return the file that the run was at when its session ended: the first that is not done."""
    applied = {row["version"] for row in history.applied}
    back = DONE[params["action"]] == "rolled back"
    return next((entry["file"] for entry in params["pending"] if (entry["version"] in applied) is back), None)


def close_attempts(module: AnsibleModule, cursor: Any, history: History, line: int | None) -> list[str]:
    """Record that files in doubt which left nothing behind have failed; return sentences on the others.

    Args:
        module: the module.
        cursor: of a connection in autocommit.
        history: what the database says of its migrations.
        line: where the statement stands that failed; None where it is not known, or the session is gone.
    """
    alone = {entry["version"]: entry for entry in module.params["pending"] if entry.get("steps")}
    found = []
    for row in (row for row in history.in_doubt if row["version"] in alone):
        entry = alone[row["version"]]
        answers = look_at(cursor, entry["steps"], not edited(row, entry))
        if row["run_id"] == module.params["run_id"] and left_nothing(entry["steps"], answers, line):
            cursor.execute(FAIL, {"version": row["version"], "run_id": row["run_id"]})
        else:
            found += [f"{row['version']}_{row['name']}.sql: {words}." for words in sentences(answers)]
    return found


def go_on(module: AnsibleModule, failure: Failure, found: list[str], terminated: list[str]) -> None:
    """End the module well: another attempt follows."""
    for sentence in terminated:
        module.warn(sentence)
    attempt = module.params["attempt"] + 1
    pause = 0.0  # for another run, the plan waits
    if waits_for_application(failure) and not terminated:
        pause = pause_before(attempt, read_duration(module.params["pause"]), module.params["growth"])
    terminated = module.params["terminated"] + terminated
    module.exit_json(
        changed=False,
        msg=[
            str(failure),
            *found,
            *terminated,
            f"Attempt {attempt} of {module.params['retries'] + 1} begins in {pause:.1f} s, with a new plan.",
        ],
        retry=True,
        attempt=attempt,
        pause=pause,
        terminated=terminated,
        ansible_facts={"migrations_terminated": terminated},
        **failure.place,
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=history_argument_spec()
        | {
            # Holds the whole SQL text of the run: not to be logged on the host.
            "error": {"type": "str", "required": True, "no_log": True},
            "run_id": {"type": "str", "required": True, "no_log": False},
            "pending": {"type": "list", "elements": "dict", "required": True},
            "attempt": {"type": "int", "default": 1},
            "retries": {"type": "int", "default": 0},
            "pause": {"type": "str", "default": "2s"},
            "growth": {"type": "float", "default": 2.0},
            "terminate_blockers": {"type": "bool", "default": False},
            "terminated": {"type": "list", "elements": "str", "default": []},
            "action": {"type": "str", "choices": list(DONE), "default": "apply"},
            "accept_data_loss": {"type": "bool", "default": False},
            "file": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    try:
        read_duration(module.params["pause"])
    except ValueError as error:
        module.fail_json(msg=f"migrations_lock_retry_pause: {error}. Correct it and run the same command again.")
    params = module.params
    loss = read_loss(params["error"], params["run_id"])
    if loss is not None and params["action"] == "count" and (not loss or params["accept_data_loss"]):
        module.exit_json(changed=False, loss=loss)
    failure = loss_failure(loss) if loss else read_failure(params["error"], params["run_id"])
    failed_line = failure.line  # of the statement; a failure between the statements of a file has none
    if failure.file is None and params["file"]:
        failure = dataclasses.replace(failure, file=params["file"], line=1)
    planned = [entry["file"] for entry in params["pending"]]
    at = failure.file or span(planned).partition(" (")[0]
    ended = (
        f"{failure}\nThe run was at {at}, and the server does not answer since. What was applied before is recorded; "
        "the file that ran left nothing behind.\n"
    )
    connection = open_database(module, patience=RECOVERY, before=ended)
    history = history_of(connection)
    if lost(failure) and failure.file is None:
        failure = dataclasses.replace(failure, file=next_file(params, history))
    cursor = connection.cursor(**pg_cursor_args)
    blockers = find_blockers(cursor, failure.needs) if waited_in_vain(failure) else []
    found = [f"In the way: {blocker}." for blocker in blockers]
    found += close_attempts(module, cursor, history, None if lost(failure) else failed_line)
    history = history_of(connection)
    if params["attempt"] <= params["retries"] and (waits_for_application(failure) or waits_for_run(failure)):
        go_on(module, failure, found, terminate(cursor, blockers) if params["terminate_blockers"] else [])
    applied, theirs, in_doubt = files_of(params, history)
    words = explain(
        failure,
        planned=planned,
        applied=applied,
        theirs=theirs,
        in_doubt=in_doubt,
        database=params["database"],
        done=DONE[params["action"]],
        counting=params["action"] == "count",
        findings=found,
    )
    module.fail_json(msg=words, retry=False, **failure.place)


if __name__ == "__main__":
    main()
