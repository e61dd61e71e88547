#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: check the promises of the migrations in a live database."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_verification
short_description: Check the promises of the migrations in the live database
description:
  - Compares a database with the promises of its migrations, in one read-only transaction that is rolled back. A
    failure lists all broken promises at once.
extends_documentation_fragment:
  - physioflow.database.attributes
  - physioflow.database.connection
options:
  database:
    description: Name of the database.
    type: str
    required: true
  promises:
    description: Promises of the applied migrations, as M(physioflow.database.verification_promises) returns them.
    type: list
    elements: dict
    default: []
  history:
    description:
      - The exact versions expected in the view C(migrations.applied).
      - Leave it out to skip the history.
    type: list
    elements: str
  fresh:
    description:
      - Whether only the migrations wrote to the database. If so, the seeded rows must match exactly in number and
        values. Otherwise each seeded row must exist, and more rows are allowed.
    type: bool
    default: false
  statement_timeout:
    description: Time limit of one check.
    type: str
    default: 10s
  show_table:
    description: Return the table also where a promise is broken.
    type: bool
    default: false
  survey:
    description:
      - Report which migrations a database without history holds, instead of checking all promises. Fails where the
        database is not exactly at C(baseline), and lists the objects that exist and those that are missing.
    type: dict
    suboptions:
      baseline:
        description: The version that the user gave for the database; empty where none was given.
        type: str
        default: ""
      tables:
        description: Number of tables in schema public.
        type: int
        required: true
  proof:
    description:
      - Check whether a database holds exactly the definitions of a release, instead of checking all promises. Fails
        with a line for each definition that differs from the one in a scratch database.
    type: dict
    suboptions:
      scratch:
        description: Name of the scratch database, to which the migrations up to O(proof.version) were applied.
        type: str
        required: true
      version:
        description: The version that the user gave for the database.
        type: str
        required: true
      following:
        description: Version and file of the next migration, where it was applied to the scratch database too.
        type: list
        elements: str
        default: []
      before:
        description: The RV(differences) that were found before O(proof.following) was applied there.
        type: list
        elements: dict
        default: []
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Check the promises
  physioflow.database.database_verification:
    connection: "{{ postgresql_connection }}"
    database: physioflow
    promises: "{{ verification_promises.promises }}"
    history: ["001", "002"]
    fresh: true
"""

RETURN = r"""
ok:
  description: Whether every promise is kept.
  returned: always
  type: bool
checks:
  description: Number of comparisons.
  returned: always
  type: int
summary:
  description: The result in one line.
  returned: success
  type: str
table:
  description: Lines of a table of expected and found objects, by migration.
  returned: success, or O(show_table)
  type: list
  elements: str
files:
  description: For each file the numbers of C(expected) and C(found) objects.
  returned: always
  type: list
  elements: dict
failures:
  description: A sentence for each broken promise.
  returned: always
  type: list
  elements: str
applied:
  description: The rows of migrations.applied, as JSON.
  returned: the database has a history
  type: str
applied_count:
  description: Number of these rows.
  returned: the database has a history
  type: int
repeated:
  description: The newest row of each repeatable file.
  returned: the database has a history
  type: list
  elements: dict
differences:
  description: Differences from the scratch database, with C(name), C(state) and C(words).
  returned: O(proof)
  type: list
  elements: dict
lines:
  description: The resulting error message.
  returned: O(proof)
  type: list
  elements: str
definitions:
  description: Number of definitions in the scratch database.
  returned: O(proof)
  type: int
"""

import json
from collections.abc import Collection
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.migrations.history import history_of
from ansible_collections.physioflow.database.plugins.module_utils.server import (
    UnreachableError,
    connection_argument_spec,
    open_session,
)
from ansible_collections.physioflow.database.plugins.module_utils.verification.check import failure_message
from ansible_collections.physioflow.database.plugins.module_utils.verification.database import (
    Database,
    QueryError,
    VerificationError,
    outcome,
    verify,
)
from ansible_collections.physioflow.database.plugins.module_utils.verification.definition import definitions
from ansible_collections.physioflow.database.plugins.module_utils.verification.promise import merge_promises
from ansible_collections.physioflow.database.plugins.module_utils.verification.proof import (
    Difference,
    differences,
    refusal,
)
from ansible_collections.physioflow.database.plugins.module_utils.verification.survey import (
    SURVEYED,
    corrections,
    survey,
    verdict,
)

UNCHANGED = "Nothing was changed."
NOTHING_YET = "nothing to verify yet"


def connect(module: AnsibleModule, name: str) -> Database:
    """Open a session for the checks; raises VerificationError."""
    try:
        connection = open_session(module, name, "physioflow-verification")
    except UnreachableError as error:
        if error.missing:
            sentence = f"The server has no database {name}. Next: ansible-playbook deploy.yml creates it."
        else:
            sentence = (
                f"The database {name} cannot be reached: {error} "
                "Start the server or correct the connection, and run the same command again."
            )
        raise VerificationError(sentence) from error
    return Database(connection, module.params["database"], module.params["statement_timeout"])


def prove(
    module: AnsibleModule, scratch: str, version: str, following: list[str], before: list[Difference]
) -> dict[str, Any]:
    """Compare all definitions with those of a scratch database."""
    found = []
    for name in (module.params["database"], scratch):
        found.append(definitions(connect(module, name).objects()))
    now = differences(*found)
    name = module.params["database"]
    if following:
        lines = refusal(name, version, before, now, (following[0], following[1]))
    else:
        lines = refusal(name, version, now)
    return {"differences": now, "lines": lines, "definitions": len(found[1])}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **connection_argument_spec(),
            "database": {"type": "str", "required": True},
            "promises": {"type": "list", "elements": "dict", "default": []},
            "history": {"type": "list", "elements": "str"},
            "fresh": {"type": "bool", "default": False},
            "statement_timeout": {"type": "str", "default": "10s"},
            "show_table": {"type": "bool", "default": False},
            "proof": {
                "type": "dict",
                "options": {
                    "scratch": {"type": "str", "required": True},
                    "version": {"type": "str", "required": True},
                    "following": {"type": "list", "elements": "str", "default": []},
                    "before": {"type": "list", "elements": "dict", "default": []},
                },
            },
            "survey": {
                "type": "dict",
                "options": {
                    "baseline": {"type": "str", "default": ""},
                    "tables": {"type": "int", "required": True},
                },
            },
        },
        supports_check_mode=True,
    )
    documents = [json.loads(promise["text"]) for promise in module.params["promises"]]
    nothing = not any([documents, *(module.params[name] for name in ("history", "proof", "survey"))])
    if module.check_mode and (module.params["connection"] is None or nothing):
        module.exit_json(
            changed=False, ok=True, checks=0, summary=NOTHING_YET, table=[NOTHING_YET], files=[], failures=[]
        )
    if module.params["connection"] is None:
        module.fail_json(msg="postgresql_connection is empty: the provider did not set it.")
    promises, _ = merge_promises(documents)
    corrected: Collection[tuple[str, str]] = ()
    if module.params["survey"]:
        promises = [promise for promise in promises if promise.kind in SURVEYED]
        corrected = corrections(documents)
    history = module.params["history"]
    try:
        if module.params["proof"]:
            module.exit_json(changed=False, ok=True, checks=0, failures=[], **prove(module, **module.params["proof"]))
        database = connect(module, module.params["database"])
        checks = verify(database, promises, history, module.params["fresh"], corrected)
    except VerificationError as error:
        module.fail_json(msg=f"{error} {UNCHANGED}", ok=False, checks=0, failures=[str(error)])
    except QueryError as error:
        module.fail_json(msg=f"The verification of {module.params['database']} ended early: {error}. {UNCHANGED}")
    if module.params["survey"]:
        refusal = verdict(survey(checks, documents), **module.params["survey"], database=module.params["database"])
        if refusal:
            module.fail_json(msg="\n".join(refusal), ok=False, checks=len(checks), failures=[])
        module.exit_json(changed=False, ok=True, checks=len(checks), summary="", table=[], failures=[])
    result = outcome(checks, len(documents if history is None else history), module.params["show_table"])
    if (found := history_of(database.connection)).exists:
        result |= {
            "applied": json.dumps(found.applied, default=str),
            "applied_count": len(found.applied),
            "repeated": found.repeated,
        }
    if not result["ok"]:
        module.fail_json(msg=failure_message(module.params["database"], checks), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
