#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: compare a release with the history in a database."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: migration_plan
short_description: Compare a release with the history of migrations in a database
description:
  - Reads the history of a database and returns the pending migrations of the release.
  - Fails where release and history contradict each other, and lists all contradictions at once. Only reads.
extends_documentation_fragment:
  - physioflow.database.attributes
  - physioflow.database.connection
options:
  database:
    description: Name of the database.
    type: str
    required: true
  migrations:
    description: The catalog of the release, as M(physioflow.database.migration_release) returns it.
    type: json
    required: true
  repeatable:
    description: The repeatable files of the release, as M(physioflow.database.migration_release) returns them.
    type: json
    default: "[]"
  target:
    description: The last version to apply; empty for all.
    type: str
    default: ""
  out_of_order:
    description: Apply a pending migration although a later one is applied.
    type: bool
    default: false
  resolve:
    description:
      - Decisions about files in doubt whose progress the catalogs cannot tell, like C(016:retry) or C(016:applied),
        separated by commas.
    type: str
    default: ""
  run_lock_wait:
    description:
      - How long to wait for another run on the same database where migrations are pending, as an interval of
        PostgreSQL.
      - When empty, and in check mode, the module does not wait and does not look for a connection pooler.
    type: str
    default: ""
  pause:
    description: Seconds to wait before reading, for a further attempt of a run.
    type: float
    default: 0
  baseline:
    description: The version that the user gave for a database without history; empty for none.
    type: str
    default: ""
  report_untracked:
    description: Return the number of tables in a database without history instead of failing. The caller refuses it.
    type: bool
    default: false
  report:
    description: Return the contradictions instead of failing.
    type: bool
    default: false
  accept:
    description: Versions of applied files whose edit was reviewed.
    type: list
    elements: str
    default: []
  reason:
    description: Why they are accepted.
    type: str
    default: ""
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Compare the release with the history
  physioflow.database.migration_plan:
    connection: "{{ postgresql_connection }}"
    database: physioflow
    migrations: "{{ migrations_release.migrations }}"
"""

RETURN = r"""
applied:
  description:
    - The applied migrations, as rows of the view C(migrations.applied). A text in JSON, because thousands of rows in a
      list cost Ansible seconds in each task.
  returned: success
  type: str
applied_count:
  description: Number of applied migrations.
  returned: success
  type: int
pending:
  description:
    - The entries of the catalog to apply, in order. The entry of an interrupted file holds C(resume). The entry of a
      repeatable file has the version C(R).
  returned: success
  type: list
  elements: dict
problems:
  description: Contradictions between release and history, as sentences. While there is one, nothing may be applied.
  returned: success
  type: list
  elements: str
notes:
  description: Sentences about harmless differences.
  returned: success
  type: list
  elements: str
in_doubt:
  description: Files without transaction whose beginning is recorded, but not their end.
  returned: success
  type: list
  elements: dict
rolled_back:
  description: Versions that were rolled back and not applied again since.
  returned: success
  type: list
  elements: dict
baseline:
  description: The entries of the catalog to record as migrated by hand.
  returned: success
  type: list
  elements: dict
accepted:
  description: The entries of the catalog whose edit will be recorded as reviewed.
  returned: success
  type: list
  elements: dict
untracked_tables:
  description: Number of tables in schema public of a database without history.
  returned: success
  type: int
applied_versions:
  description: The applied versions after the plan is carried out; in check mode the currently applied versions.
  returned: success
  type: list
  elements: str
repeated:
  description: The newest history row of each repeatable file.
  returned: success
  type: list
  elements: dict
has_history:
  description: Whether the database has the schema C(migrations) in the format of this release.
  returned: success
  type: bool
server_version:
  description: Version of the server, for instance 16.14; empty where there is no server or database yet.
  returned: success
  type: str
"""

import json
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.community.postgresql.plugins.module_utils.postgres import pg_cursor_args
from ansible_collections.physioflow.database.plugins.module_utils.database.pooler import POOLED, is_pooled
from ansible_collections.physioflow.database.plugins.module_utils.migrations.doubt import (
    decide,
    edited,
    look_at,
    read_decisions,
)
from ansible_collections.physioflow.database.plugins.module_utils.migrations.history import (
    History,
    history_argument_spec,
    history_of,
    open_database,
)
from ansible_collections.physioflow.database.plugins.module_utils.migrations.names import known_version
from ansible_collections.physioflow.database.plugins.module_utils.migrations.plan import Plan, make_plan, outcome
from ansible_collections.physioflow.database.plugins.module_utils.migrations.wait import ASK, wait_for_run


def plan_of(module: AnsibleModule, history: History, connection: Any) -> Plan:
    """Compare the release with a history."""
    try:
        decisions = read_decisions(module.params["resolve"])
    except ValueError as error:
        module.fail_json(msg=f"migrations_resolve: {error}. Nothing was changed. Correct it.")
    catalog = json.loads(module.params["migrations"])
    alone = {entry["version"]: entry for entry in catalog if entry.get("steps")}
    answers = {}
    for row in (row for row in history.in_doubt if row["version"] in alone):
        entry = alone[row["version"]]
        found = look_at(connection.cursor(**pg_cursor_args), entry["steps"], not edited(row, entry))
        answers[row["version"]] = decide(found, decisions.get(known_version(row["version"], decisions)))
    plan: Plan = make_plan(
        catalog=catalog,
        applied=history.applied,
        in_doubt=history.in_doubt,
        rolled_back=history.rolled_back,
        answers=answers,
        repeatable=json.loads(module.params["repeatable"]),
        repeated=history.repeated,
        target=module.params["target"] or None,
        out_of_order=module.params["out_of_order"],
        untracked_tables=history.untracked_tables,
        report_untracked=module.params["report_untracked"],
        baseline=module.params["baseline"] or None,
        accept=[version.strip() for version in module.params["accept"]],
        reason=module.params["reason"],
        invalid=history.invalid,
    )
    return plan


def prepare_run(module: AnsibleModule, connection: Any) -> History:
    """Make sure that a run can begin, and return the history, read while no other run is active."""
    other = open_database(module)
    cursor = connection.cursor(**pg_cursor_args)
    if is_pooled(cursor, other.cursor(**pg_cursor_args)):
        module.fail_json(msg=f"{POOLED} Nothing was changed.")
    other.close()
    waited, holder = wait_for_run(cursor, module.params["run_lock_wait"])
    if holder:
        module.fail_json(
            msg=f"Nothing was changed in the database {module.params['database']}: {holder}. This run waited "
            f"{module.params['run_lock_wait']} (migrations_run_lock_wait). Next: wait until it ends, and run the same "
            "command again."
        )
    if waited >= ASK:
        module.warn(f"Waited {waited:.1f} s for another run on the database {module.params['database']}.")
    return history_of(connection)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=history_argument_spec()
        | {
            "migrations": {"type": "json", "required": True},
            "repeatable": {"type": "json", "default": "[]"},
            "target": {"type": "str", "default": ""},
            "out_of_order": {"type": "bool", "default": False},
            "resolve": {"type": "str", "default": ""},
            "run_lock_wait": {"type": "str", "default": ""},
            "pause": {"type": "float", "default": 0.0},
            "baseline": {"type": "str", "default": ""},
            "report_untracked": {"type": "bool", "default": False},
            "report": {"type": "bool", "default": False},
            "accept": {"type": "list", "elements": "str", "default": []},
            "reason": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    time.sleep(module.params["pause"])
    connection = open_database(module)
    history = history_of(connection) if connection else History()
    plan = plan_of(module, history, connection)
    to_do = plan.pending or history.in_doubt
    if to_do and connection and module.params["run_lock_wait"] and not module.check_mode:
        history = prepare_run(module, connection)
        plan = plan_of(module, history, connection)
    if plan.problems and not module.params["report"]:
        # This run may have created an empty database.
        state = "nothing was changed" if history.exists or history.untracked_tables else "no migration was applied"
        module.fail_json(
            msg="\n".join(
                [
                    f"Release and database {module.params['database']} contradict each other; {state}.",
                    *(f"  {problem}" for problem in plan.problems),
                ]
            )
        )
    for note in plan.notes:
        module.warn(note)
    module.exit_json(**outcome(plan, history, module.check_mode))


if __name__ == "__main__":
    main()
