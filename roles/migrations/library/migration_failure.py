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
  - Fails with the place of the error, the state of the database and the next step, and without the SQL text
    and the rows that the message of M(community.postgresql.postgresql_script) holds.
  - Ends well only where rows were counted that a rollback would lose (O(act=count)) and there are none, or they may go.
options:
  connection:
    description: How to reach the server, with the options of C(community.postgresql.all).
    type: dict
    required: true
  database:
    description: Name of the database.
    type: str
    required: true
  message:
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
  act:
    description: As for M(migration_script).
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
attributes:
  check_mode:
    support: full
author:
  - PhysioFlow contributors
"""

EXAMPLES = r"""
- name: Explain the failure
  migration_failure:
    connection: "{{ postgresql_connection }}"
    database: physioflow
    message: "{{ ansible_failed_result.msg }}"
    run_id: "{{ migrations_run.run_id }}"
    pending: "{{ migrations_plan.pending }}"
"""

RETURN = r"""
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
line:
  description: Line of the statement that failed.
  returned: always
  type: int
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.migration_failure import explain, read_failure
from ansible.module_utils.migration_history import history_argument_spec, read_history
from ansible.module_utils.migration_loss import loss_failure, read_loss

# What became of a file, by what was asked for.
DONE = {
    "apply": "applied",
    "count": "rolled back",
    "rollback": "rolled back",
    "baseline": "adopted",
    "accept": "accepted",
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=history_argument_spec()
        | {
            # Holds the whole SQL text of the run: not to be logged on the host.
            "message": {"type": "str", "required": True, "no_log": True},
            "run_id": {"type": "str", "required": True, "no_log": False},
            "pending": {"type": "list", "elements": "dict", "required": True},
            "act": {"type": "str", "choices": list(DONE), "default": "apply"},
            "accept_data_loss": {"type": "bool", "default": False},
            "file": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    loss = read_loss(module.params["message"], module.params["run_id"])
    if loss is not None and module.params["act"] == "count" and (not loss or module.params["accept_data_loss"]):
        module.exit_json(changed=False, loss=loss)
    failure = loss_failure(loss) if loss else read_failure(module.params["message"], module.params["run_id"])
    if failure.file is None and module.params["file"]:
        failure = dataclasses.replace(failure, file=module.params["file"], line=1)
    history = read_history(module)
    applied = {row["version"] for row in history.applied}
    if DONE[module.params["act"]] == "rolled back":  # then the files that are done are those that do not stand any more
        done, rows = {entry["version"] for entry in module.params["pending"]} - applied, history.rolled_back
    else:
        done, rows = applied, history.applied
    if module.params["act"] == "accept":  # they stood before
        rows = [row for row in rows if row["act"] == "accept"]
        done = {row["version"] for row in rows if row["run_id"] == module.params["run_id"]}
    ours = {row["version"] for row in rows if row["run_id"] == module.params["run_id"]}
    in_doubt = {row["version"] for row in history.in_doubt}
    files = {entry["file"]: entry["version"] for entry in module.params["pending"]}
    module.fail_json(
        msg=explain(
            failure,
            planned=list(files),
            applied={file for file, version in files.items() if version in ours},
            theirs={file for file, version in files.items() if version in done - ours},
            in_doubt={file for file, version in files.items() if version in in_doubt},
            database=module.params["database"],
            done=DONE[module.params["act"]],
            counting=module.params["act"] == "count",
        ),
        sqlstate=failure.sqlstate,
        file=failure.file,
        line=failure.line,
    )


if __name__ == "__main__":
    main()
