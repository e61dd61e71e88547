#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: look in a live database whether the promises of its migrations are kept."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_verification
short_description: Check what migrations promise in the live database
description:
  - Compares a database with the promises of its migrations, all of them in one read-only transaction that is rolled
    back. Fails with everything that is wrong at once.
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
      - Versions that stand in the view C(migrations.applied), no more and no fewer.
      - Left out to leave the history alone.
    type: list
    elements: str
  fresh:
    description:
      - Whether nobody but the migrations wrote into the database. Then seeded rows are exact in number and values;
        otherwise each has to be there, and more are fine.
    type: bool
    default: false
  statement_timeout:
    description: How long one check may take.
    type: str
    default: 10s
  show_table:
    description: Return the table also when something is wrong.
    type: bool
    default: false
  survey:
    description:
      - Say which migrations a database without history holds, instead of whether it keeps all promises. Fails where it
        is not exactly at C(baseline), with what is there and what is missing.
    type: dict
    suboptions:
      baseline:
        description: The version that the database is said to be at; empty where nothing was said.
        type: str
        default: ""
      tables:
        description: Number of tables in schema public.
        type: int
        required: true
  proof:
    description:
      - Say whether a database holds exactly what a release makes, instead of whether it keeps all promises. Fails with
        a line for each definition that differs from the one in a scratch database.
    type: dict
    suboptions:
      scratch:
        description: Name of the scratch database, to which the migrations up to O(proof.version) were applied.
        type: str
        required: true
      version:
        description: The version that the database is said to be at.
        type: str
        required: true
      following:
        description: Version and file of the migration after that one, where the scratch database holds it too.
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
  description: Lines of a table of what was expected and found, by migration.
  returned: success, or O(show_table)
  type: list
  elements: str
files:
  description: For each file how many things were C(expected), and how many of them C(found).
  returned: always
  type: list
  elements: dict
failures:
  description: A sentence for each broken promise.
  returned: always
  type: list
  elements: str
differences:
  description: What differs from the scratch database, with C(name), C(state) and C(words).
  returned: O(proof)
  type: list
  elements: dict
lines:
  description: The refusal that follows from them.
  returned: O(proof)
  type: list
  elements: str
definitions:
  description: Number of definitions in the scratch database.
  returned: O(proof)
  type: int
"""

import json
from decimal import Decimal
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.community.postgresql.plugins.module_utils.postgres import pg_cursor_args
from ansible_collections.physioflow.database.plugins.module_utils.database.objects import MIGRATED, PIN
from ansible_collections.physioflow.database.plugins.module_utils.server import (
    UnreachableError,
    connection_argument_spec,
    open_session,
)
from ansible_collections.physioflow.database.plugins.module_utils.verification.check import (
    Catalog,
    Check,
    check_catalog,
    check_error,
    check_examples,
    check_history,
    check_plan,
    check_query,
    check_seeds,
    counted,
    example_rows,
    expression_of,
    failure_message,
    failure_sentences,
    missing_in,
    render_table,
    seed_totals,
)
from ansible_collections.physioflow.database.plugins.module_utils.verification.definition import definitions
from ansible_collections.physioflow.database.plugins.module_utils.verification.promise import (
    DEFINED,
    Promise,
    merge_promises,
)
from ansible_collections.physioflow.database.plugins.module_utils.verification.proof import (
    Difference,
    differences,
    refusal,
)
from ansible_collections.physioflow.database.plugins.module_utils.verification.sql import (
    HISTORY,
    batch_sql,
    begin_sql,
    catalog_sql,
    examples_sql,
    plan_sql,
    query_sql,
    seeds_sql,
)
from ansible_collections.physioflow.database.plugins.module_utils.verification.survey import SURVEYED, survey, verdict

UNCHANGED = "Nothing was changed."
NOTHING_YET = "nothing to verify yet"
# SQLSTATE classes whose messages repeat values: data exceptions, integrity violations, a function's own words.
MESSAGES_WITH_VALUES = ("22", "23", "P0")


class QueryError(Exception):
    """A statement failed; its text says why without a value of any row."""


class Database:
    """The one connection with its one read-only transaction."""

    def __init__(self, module: AnsibleModule, name: str = "") -> None:
        """Connect and begin; fails the module where that does not work."""
        self.module = module
        name = name or module.params["database"]
        try:
            self.connection = open_session(module, name, "physioflow-verification")
        except UnreachableError as error:
            if error.missing:
                self.fail(f"The server has no database {name}. Next: ansible-playbook deploy.yml makes it.")
            self.fail(
                f"The database {name} cannot be reached: {error} "
                "Start the server or correct the connection, and run the same command again."
            )
        self.cursor = self.connection.cursor(**pg_cursor_args)
        self.execute_or_fail(begin_sql(module.params["statement_timeout"]))

    def fail(self, sentence: str) -> NoReturn:
        """Fail the module."""
        self.module.fail_json(msg=f"{sentence} {UNCHANGED}", ok=False, checks=0, failures=[sentence])
        raise AssertionError  # fail_json does not return

    def execute(self, sql: str, hidden: tuple[str, ...] = MESSAGES_WITH_VALUES) -> None:
        """Run statements; raises QueryError, without the message for the SQLSTATE classes in `hidden`."""
        try:
            self.cursor.execute(sql)
            if hasattr(self.connection, "pgconn"):  # psycopg 3 stands on the first result, psycopg2 on the last
                while self.cursor.nextset():
                    pass
        except Exception as error:  # psycopg's and psycopg2's errors share no other ancestor
            state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
            words = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
            if state.startswith(hidden):
                raise QueryError(f"an error (SQLSTATE {state})") from None
            raise QueryError(f"an error ({words}, SQLSTATE {state})" if state else f"an error ({words})") from None

    def execute_or_fail(self, sql: str) -> None:
        """Run our own statements, without which nothing can be verified; they read no table."""
        try:
            self.execute(sql, hidden=())
        except QueryError as error:
            name = self.module.params["database"]
            self.fail(f"The database {name} cannot be verified: the server answers with {error}.")

    def json(self, sql: str) -> Any:
        """Return the one value of a query, which is JSON."""
        self.execute(sql)
        return as_json(dict(self.cursor.fetchone()).popitem()[1])

    def guarded_json(self, sql: str) -> Any:
        """As `json`, but an error leaves the transaction usable."""
        self.execute("SAVEPOINT guard")
        try:
            return self.json(sql)
        finally:
            self.execute("ROLLBACK TO SAVEPOINT guard; RELEASE SAVEPOINT guard")

    def batch(self, queries: list[str]) -> list[Any]:
        """Return the result of each query, or its QueryError: together, and one by one where one fails."""
        if not queries:
            return []
        self.execute("SAVEPOINT batch")
        try:
            self.execute(batch_sql(queries))
            rows = sorted((dict(row) for row in self.cursor.fetchall()), key=lambda row: row["n"])
            return [as_json(row["j"]) for row in rows]
        except QueryError:
            self.execute("ROLLBACK TO SAVEPOINT batch")
        results: list[Any] = []
        for query in queries:
            try:
                results.append(self.guarded_json(f"SELECT ({query})::text AS j"))
            except QueryError as error:
                results.append(error)
        return results

    def objects(self) -> list[tuple[str, str, str]]:
        """Return kind, name and definition of every object."""
        self.execute_or_fail(f"SAVEPOINT look; {PIN.replace('SET ', 'SET LOCAL ')}")
        self.execute_or_fail(MIGRATED)
        found = [(row["kind"], row["name"], row["definition"] or "") for row in map(dict, self.cursor.fetchall())]
        self.execute_or_fail("ROLLBACK TO SAVEPOINT look; RELEASE SAVEPOINT look")
        return found

    def plan(self, entry: dict[str, Any]) -> Any:
        """Return the plan of a query; raises QueryError."""
        try:
            self.execute(plan_sql(entry))
            plan = dict(self.cursor.fetchone()).popitem()[1]
            return json.loads(plan) if isinstance(plan, str) else plan
        finally:
            self.execute("ROLLBACK TO SAVEPOINT plan; RELEASE SAVEPOINT plan")

    def close(self) -> None:
        """Roll back and close."""
        self.execute("ROLLBACK")
        self.connection.close()


def as_json(text: str | None) -> Any:
    """Return the value of a JSON text with exact numbers."""
    return None if text is None else json.loads(text, parse_float=Decimal, object_pairs_hook=as_object)


def as_object(pairs: list[tuple[str, Any]]) -> dict[Any, Any]:
    """Return a JSON object; columns of one name, as in SELECT 1, 2, are all kept."""
    made = dict(pairs)
    return made if len(made) == len(pairs) else dict(enumerate(value for _, value in pairs))


def as_rows(text: Any) -> list[list[Any]]:
    """Return rows that came as JSON objects as lists."""
    return [list(row.values()) for row in text or ()]


def verify(module: AnsibleModule, promises: list[Promise]) -> list[Check]:
    """Compare everything."""
    database = Database(module)
    tables = {promise.table for promise in promises if promise.table}
    schemas = {"public", *(table.partition(".")[0] for table in tables if "." in table)}
    schemas |= {promise.key[0] for promise in promises if promise.kind == "schemas"}
    database.execute_or_fail(catalog_sql(schemas))
    names = as_json(dict(database.cursor.fetchone()).popitem()[1])
    defined = any(promise.kind in DEFINED and promise.data is not None for promise in promises)
    catalog = Catalog(names, database.objects() if defined else ())
    checks: list[Check] = []
    history = module.params["history"]
    if history is not None:
        applied = None
        if catalog.has_history:
            try:
                applied = database.guarded_json(HISTORY) or []
            except QueryError as error:
                database.fail(f"The history of {module.params['database']} cannot be read: {error}.")
        checks += check_history(history, applied)
    checks += check_catalog(promises, catalog)
    checks += check_data(database, promises, catalog)
    for promise in promises:
        if promise.kind == "plans":
            try:
                checks += check_plan(promise, database.plan(promise.data))
            except QueryError as error:
                checks.append(check_error(promise, str(error)))
    database.close()
    return checks


def prove(
    module: AnsibleModule, scratch: str, version: str, following: list[str], before: list[Difference]
) -> dict[str, Any]:
    """Compare all definitions with those of a scratch database."""
    found = []
    for name in (module.params["database"], scratch):
        database = Database(module, name)
        found.append(definitions(database.objects()))
        database.close()
    now = differences(*found)
    name = module.params["database"]
    if following:
        lines = refusal(name, version, before, now, (following[0], following[1]))
    else:
        lines = refusal(name, version, now)
    return {"differences": now, "lines": lines, "definitions": len(found[1])}


def check_data(database: Database, promises: list[Promise], catalog: Catalog) -> list[Check]:
    """Compare what takes a query of its own: seeds, examples and queries, all in one."""
    fresh = database.module.params["fresh"]
    totals = seed_totals(promises) if fresh else {}
    checks: list[Check] = []
    queries: dict[Promise, str] = {}
    for promise in promises:
        if promise.kind == "queries":
            if fresh or not promise.data.get("only_fresh"):
                queries[promise] = query_sql(promise.data["sql"])
        elif promise.kind not in ("seeds", "constraint_examples", "generated_examples"):
            continue
        elif reason := missing_in(promise, catalog):
            checks.append(check_error(promise, reason))
        elif promise.kind == "seeds":
            queries[promise] = seeds_sql(promise.data, fresh)
        elif expression := expression_of(promise, catalog):
            columns = catalog.columns[promise.data["table"]]
            queries[promise] = examples_sql(expression, columns, example_rows(promise))
    for promise, found in zip(queries, database.batch(list(queries.values())), strict=True):
        if isinstance(found, QueryError):
            checks.append(check_error(promise, str(found)))
        elif promise.kind == "queries":
            checks.append(check_query(promise, as_rows(found)))
        elif promise.kind == "seeds":
            checks += check_seeds(promise, found, totals.get(promise.key))
        else:
            checks += check_examples(promise, found)
    return checks


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
        module.fail_json(msg="postgresql_connection is empty: the provider did not say where the server is.")
    if module.params["proof"]:
        module.exit_json(changed=False, ok=True, checks=0, failures=[], **prove(module, **module.params["proof"]))
    promises, _ = merge_promises(documents)
    if module.params["survey"]:
        promises = [promise for promise in promises if promise.kind in SURVEYED]
    try:
        checks = verify(module, promises)
    except QueryError as error:
        module.fail_json(msg=f"The verification of {module.params['database']} ended early: {error}. {UNCHANGED}")
    if module.params["survey"]:
        refusal = verdict(survey(checks, documents), **module.params["survey"], database=module.params["database"])
        if refusal:
            module.fail_json(msg="\n".join(refusal), ok=False, checks=len(checks), failures=[])
        module.exit_json(changed=False, ok=True, checks=len(checks), summary="", table=[], failures=[])
    failures = failure_sentences(checks)
    result: dict[str, Any] = {"changed": False, "ok": not failures, "checks": len(checks), "failures": failures}
    result["files"] = counted(checks)
    if module.params["show_table"] or not failures:
        result["table"] = render_table(checks)
    if failures:
        module.fail_json(msg=failure_message(module.params["database"], checks), **result)
    migrations = len(documents if module.params["history"] is None else module.params["history"])
    module.exit_json(summary=f"{len(checks)} checks of {migrations} migrations hold", **result)


if __name__ == "__main__":
    main()
