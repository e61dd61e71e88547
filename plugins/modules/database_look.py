#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: look at roles, database and privileges, and verify a database that is at the release."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_look
short_description: Report what database_setup would change, and verify a database that is at its release
description:
  - Only reads. Refuses what M(physioflow.database.database_setup) would refuse.
  - Where nothing differs and nothing of O(release) is pending, it checks the promises in the same session. It reports
    no pending migration, contradiction or broken promise; M(physioflow.database.migration_plan) and
    M(physioflow.database.database_verification) do.
extends_documentation_fragment:
  - physioflow.database.attributes
  - physioflow.database.connection
  - physioflow.database.setup
options:
  coming:
    description:
      - What the provider is going to change, so that the server is judged by its future state - C(settings) by name,
        the C(version), and whether new C(software) is installed.
    type: dict
    default: {}
  release:
    description: The release to compare the database with. Leave it out to skip the migrations.
    type: dict
    suboptions:
      migrations:
        description: The catalog, as M(physioflow.database.migration_release) returns it.
        type: json
        required: true
      repeatable:
        description: The repeatable files, as M(physioflow.database.migration_release) returns them.
        type: json
        required: true
      promises:
        description: The promises, as M(physioflow.database.verification_promises) returns them.
        type: list
        elements: dict
        required: true
      statement_timeout:
        description: How long one check may take.
        type: str
        required: true
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Look at the database
  physioflow.database.database_look:
    connection: "{{ postgresql_connection }}"
    name: physioflow
    roles: {owner: emr, app: emr_app, readonly: emr_readonly, backup: emr_backup}
    connection_limits: {owner: 10, app: 60, readonly: 10, backup: 10}
    connection_limit: 95
    versions: [16]
"""

RETURN = r"""
statements:
  description: The statements that M(physioflow.database.database_setup) would run, without verifiers.
  returned: success
  type: list
  elements: str
audit:
  description: Whether reads of patients' data are to be audited.
  returned: success
  type: bool
made:
  description: Whether the database would be created.
  returned: success
  type: bool
reads:
  description: Whether the database exists and the login role may read the objects of its owner.
  returned: success
  type: bool
row_security:
  description: Whether the database has policies that tasks/patients.yml created.
  returned: success
  type: bool
plan:
  description: What M(physioflow.database.migration_plan) returns.
  returned: the database is at O(release) and keeps its promises
  type: dict
verification:
  description: What M(physioflow.database.database_verification) returns.
  returned: the database is at O(release) and keeps its promises
  type: dict
"""

import json
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.database.setup import SETUP, set_up
from ansible_collections.physioflow.database.plugins.module_utils.migrations import plan as planning
from ansible_collections.physioflow.database.plugins.module_utils.migrations.history import history_of
from ansible_collections.physioflow.database.plugins.module_utils.verification import database as verification
from ansible_collections.physioflow.database.plugins.module_utils.verification.promise import merge_promises


def at_release(connection: Any, name: str, release: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return plan and verification of a database that is at a release and keeps its promises; else an empty dict."""
    history = history_of(connection)
    plan = planning.make_plan(
        json.loads(release["migrations"]),
        history.applied,
        in_doubt=history.in_doubt,
        rolled_back=history.rolled_back,
        repeatable=json.loads(release["repeatable"]),
        repeated=history.repeated,
    )
    if plan.problems or plan.pending or history.in_doubt or not plan.applied:
        return {}
    planned = planning.outcome(plan, history, check_mode=True)
    documents = [
        json.loads(each["text"]) for each in release["promises"] if each["version"] in planned["applied_versions"]
    ]
    try:
        database = verification.Database(connection, name, release["statement_timeout"])
        checks = verification.verify(database, merge_promises(documents)[0], planned["applied_versions"])
    except (verification.VerificationError, verification.QueryError):
        return {}
    verified = verification.outcome(checks, len(planned["applied_versions"]))
    return {"plan": planned, "verification": verified} if verified["ok"] else {}


def main() -> None:
    """Run the module."""
    release = {
        "migrations": {"type": "json", "required": True},
        "repeatable": {"type": "json", "required": True},
        "promises": {"type": "list", "elements": "dict", "required": True},
        "statement_timeout": {"type": "str", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            **SETUP,
            "coming": {"type": "dict", "default": {}},
            "release": {"type": "dict", "options": release},
        },
        supports_check_mode=True,
    )
    found = set_up(module, act=False, coming=module.params["coming"])
    answers = {}
    if module.params["release"] and found.session and found.reads and not found.statements:
        answers = at_release(found.session.connection, module.params["name"], module.params["release"])
    text = json.dumps(answers, ensure_ascii=False)
    if any(secret in text for secret in module.no_log_values):  # Ansible would mask a name that equals a password
        answers = {}
    for note in answers.get("plan", {}).get("notes", ()):
        module.warn(note)
    module.exit_json(changed=False, **found.result(), **answers)


if __name__ == "__main__":
    main()
