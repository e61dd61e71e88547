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
  - Reads the history of a database and says which migrations of the release are pending.
  - Fails, with every reason at once, where release and history contradict each other. Only reads.
options:
  connection:
    description:
      - How to reach the server, with the options of the module defaults group C(community.postgresql.all).
      - Left out where the server does not exist yet, which only check mode meets.
    type: dict
  database:
    description: Name of the database.
    type: str
    required: true
  migrations:
    description: The catalog of the release, as M(migration_release) returns it.
    type: list
    elements: dict
    required: true
  target:
    description: The last version to apply; all when empty.
    type: str
    default: ""
  out_of_order:
    description: Apply a pending migration although a later one is applied.
    type: bool
    default: false
  baseline:
    description: The version that a database without history is said to be at; nothing when empty.
    type: str
    default: ""
  report_foreign:
    description: Return the number of tables in a database without history, instead of failing. The caller refuses it.
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
attributes:
  check_mode:
    support: full
author:
  - PhysioFlow contributors
"""

EXAMPLES = r"""
- name: Compare the release with the history
  migration_plan:
    connection: "{{ postgresql_connection }}"
    database: physioflow
    migrations: "{{ migrations_release.migrations }}"
"""

RETURN = r"""
applied:
  description: What stands in the database, a row of the view C(migrations.applied) each.
  returned: success
  type: list
  elements: dict
pending:
  description: The entries of the catalog that are to be applied, in order.
  returned: success
  type: list
  elements: dict
problems:
  description: Sentences that say where release and history contradict each other; nothing may be applied then.
  returned: success
  type: list
  elements: str
notes:
  description: Sentences about harmless differences.
  returned: success
  type: list
  elements: str
in_doubt:
  description: Files without transaction that began and whose end was not recorded.
  returned: success
  type: list
  elements: dict
rolled_back:
  description: Versions that were rolled back and not applied again.
  returned: success
  type: list
  elements: dict
baseline:
  description: The entries of the catalog that are to be recorded as migrated by hand.
  returned: success
  type: list
  elements: dict
accepted:
  description: The entries of the catalog whose edit is to be recorded as reviewed.
  returned: success
  type: list
  elements: dict
foreign_tables:
  description: Number of tables in schema public of a database without history.
  returned: success
  type: int
standing:
  description: Versions that stand in the database once the plan is carried out; in check mode those that stand now.
  returned: success
  type: list
  elements: str
has_history:
  description: Whether the database has the schema C(migrations).
  returned: success
  type: bool
server_version:
  description: Version of the server, for instance 16.14; empty where there is no server or database yet.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.migration_history import history_argument_spec, read_history
from ansible.module_utils.migration_plan import make_plan


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=history_argument_spec()
        | {
            "migrations": {"type": "list", "elements": "dict", "required": True},
            "target": {"type": "str", "default": ""},
            "out_of_order": {"type": "bool", "default": False},
            "baseline": {"type": "str", "default": ""},
            "report_foreign": {"type": "bool", "default": False},
            "report": {"type": "bool", "default": False},
            "accept": {"type": "list", "elements": "str", "default": []},
            "reason": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    history = read_history(module)
    foreign_tables = 0 if history.applied or history.rolled_back or history.in_doubt else history.tables
    plan = make_plan(
        catalog=module.params["migrations"],
        applied=history.applied,
        in_doubt=history.in_doubt,
        rolled_back=history.rolled_back,
        target=module.params["target"] or None,
        out_of_order=module.params["out_of_order"],
        foreign_tables=foreign_tables,
        report_foreign=module.params["report_foreign"],
        baseline=module.params["baseline"] or None,
        accept=[version.strip() for version in module.params["accept"]],
        reason=module.params["reason"],
    )
    if plan.problems and not module.params["report"]:
        module.fail_json(
            msg="\n".join(
                [
                    f"Release and database {module.params['database']} contradict each other; nothing was changed.",
                    *(f"  {problem}" for problem in plan.problems),
                ]
            )
        )
    for note in plan.notes:
        module.warn(note)
    unwritten = {entry["version"] for entry in plan.baseline} if module.check_mode else set()
    standing = [row["version"] for row in plan.applied if row["version"] not in unwritten]
    if not module.check_mode:
        standing = sorted(standing + [entry["version"] for entry in plan.pending], key=int)
    module.exit_json(
        changed=False,
        applied=plan.applied,
        pending=plan.pending,
        problems=plan.problems,
        notes=plan.notes,
        in_doubt=history.in_doubt,
        rolled_back=history.rolled_back,
        baseline=plan.baseline,
        accepted=plan.accepted,
        foreign_tables=foreign_tables,
        standing=standing,
        has_history=history.exists,
        server_version=history.server_version,
    )


if __name__ == "__main__":
    main()
