#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: explain why a run failed and which state the database is in."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: migration_failure
short_description: Explain why a run of migrations failed
description:
  - Fails with the place of the error, the state of the database and the next step. Leaves out the SQL text and the
    rows in the message of M(community.postgresql.postgresql_script).
  - Succeeds and returns RV(retry=true) where another attempt may work. Names the blocking sessions in both cases.
  - Also succeeds where O(action=count) found no row that a rollback would lose, or where losing them is accepted.
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
    description: The pending entries of the run.
    type: list
    elements: dict
    required: true
  attempt:
    description: Number of the attempt that failed, from 1.
    type: int
    default: 1
  retries:
    description: Number of further attempts after a lock timeout, a deadlock or a serialization failure.
    type: int
    default: 0
  pause:
    description: How long to wait before the second attempt, like C(2s).
    type: str
    default: 2s
  growth:
    description: Factor by which each further pause is longer.
    type: float
    default: 2
  terminate_blockers:
    description: If another attempt follows, end the sessions that hold the lock for which the run waited.
    type: bool
    default: false
  terminated:
    description: RV(terminated) of the attempts before.
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
    description: The file without transaction that the failed script consisted of, if any.
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
  description: Whether to try again. Each attempt plans anew.
  returned: always
  type: bool
attempt:
  description: Number of the next attempt.
  returned: success
  type: int
pause:
  description: Seconds to wait before the next attempt.
  returned: success
  type: float
terminated:
  description: Sentences about the sessions ended in all attempts so far. Also set as a fact
    C(migrations_terminated).
  returned: success
  type: list
  elements: str
loss:
  description: The rows that a rollback would lose, by table.
  returned: success
  type: list
  elements: dict
sqlstate:
  description: SQLSTATE of the failure, where PostgreSQL reported one.
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

# State of a file after success, by action.
DONE = {
    "apply": "applied",
    "count": "rolled back",
    "rollback": "rolled back",
    "baseline": "adopted",
    "accept": "accepted",
}
RECOVERY = 60.0  # seconds that a server may need after a crash


def files_of(params: dict[str, Any], history: History) -> tuple[set[str], set[str], set[str]]:
    """Return the files that this run has done, those that another run did meanwhile, and those in doubt."""
    standing = {row["version"] for row in history.applied}
    done, rows = standing, history.applied
    if params["action"] == "accept":  # they were applied before
        done, rows = set(), [row for row in rows if row["act"] == "accept"]
    elif DONE[params["action"]] == "rolled back":  # done are those that are no longer applied
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
    """Return the file that the run was processing when its session ended: the first that is not done."""
    applied = {row["version"] for row in history.applied}
    back = DONE[params["action"]] == "rolled back"
    return next((entry["file"] for entry in params["pending"] if (entry["version"] in applied) is back), None)


def close_attempts(module: AnsibleModule, cursor: Any, history: History, line: int | None) -> list[str]:
    """Record files in doubt that left nothing behind as failed; return sentences about the others.

    Args:
        module: the module.
        cursor: of a connection in autocommit.
        history: the history of migrations in the database.
        line: line of the failed statement; None where it is unknown or the session ended.
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
    """End the module with success: another attempt follows."""
    for sentence in terminated:
        module.warn(sentence)
    attempt = module.params["attempt"] + 1
    pause = 0.0  # the plan of the next attempt waits for the other run
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
            # Holds the whole SQL text of the run, which must not be logged on the host.
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
        f"{failure}\nThe run was at {at} when the server stopped answering. Files applied before are recorded; "
        "the running file left no changes.\n"
    )
    connection = open_database(module, patience=RECOVERY, before=ended)
    history = history_of(connection)
    if lost(failure) and failure.file is None:
        failure = dataclasses.replace(failure, file=next_file(params, history))
    cursor = connection.cursor(**pg_cursor_args)
    blockers = find_blockers(cursor, failure.needs) if waited_in_vain(failure) else []
    found = [f"Blocked by: {blocker}." for blocker in blockers]
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
        terminating=params["terminate_blockers"],
        findings=found,
    )
    module.fail_json(msg=words, retry=False, **failure.place)


if __name__ == "__main__":
    main()
