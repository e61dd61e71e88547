#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: create a scratch database like another one, compare the two, and drop it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: migration_scratch
short_description: Create a scratch database beside another one, compare their catalogs, drop it
description:
  - A scratch database has the encoding, locale and owner of the other one, and the extensions that existed before the
    first migration. Its comment marks it as a scratch database. Leftovers of a killed run are dropped when the next
    one is created.
  - Reads catalogs only, never a row of a table.
extends_documentation_fragment:
  - physioflow.database.attributes
  - physioflow.database.connection.required
options:
  database:
    description: Name of the database.
    type: str
    required: true
  scratch:
    description: Name of the scratch database; generated with O(action=make).
    type: str
    default: ""
  owner:
    description: Role that owns the scratch database.
    type: str
    default: ""
  extensions:
    description: Extensions that exist before the first migration, with O(action=make).
    type: list
    elements: str
    default: []
  action:
    description: What to do.
    type: str
    choices: [make, compare, drop]
    required: true
attributes:
  check_mode:
    support: none
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Make a scratch database
  physioflow.database.migration_scratch:
    connection: "{{ postgresql_connection }}"
    database: physioflow
    owner: emr
    action: make
"""

RETURN = r"""
scratch:
  description: Name of the scratch database.
  returned: success
  type: str
differences:
  description: Differences, with C(kind), C(name) and C(difference).
  returned: O(action=compare)
  type: list
  elements: dict
lines:
  description: The differences as lines of text.
  returned: O(action=compare)
  type: list
  elements: str
"""

import uuid
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.community.postgresql.plugins.module_utils.postgres import pg_cursor_args
from ansible_collections.physioflow.database.plugins.module_utils.database.objects import (
    MIGRATED,
    PIN,
    differing,
    objects_of,
)
from ansible_collections.physioflow.database.plugins.module_utils.migrations.drift import differences, lines
from ansible_collections.physioflow.database.plugins.module_utils.server import (
    UnreachableError,
    connection_argument_spec,
    open_session,
)
from ansible_collections.physioflow.database.plugins.module_utils.sql import identifier

MARK = "PhysioFlow Database: scratch for a comparison, may be dropped"
LONGEST_NAME = 63
FORM = """
SELECT format('ENCODING %L LC_COLLATE %L LC_CTYPE %L', pg_encoding_to_char(encoding), datcollate, datctype)
       || CASE datlocprovider WHEN 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L', coalesce(
              to_jsonb(d) ->> 'daticulocale', to_jsonb(d) ->> 'datlocale')) ELSE '' END AS form -- as in PostgreSQL 17
FROM pg_database AS d WHERE datname = %s
"""
LEFT_OVER = """
SELECT datname FROM pg_database AS d
WHERE shobj_description(oid, 'pg_database') = %s AND left(datname, length(%s)) = %s
  AND NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.datname = d.datname)
"""
WORDS = "SELECT shobj_description(oid, 'pg_database') AS words FROM pg_database WHERE datname = %s"
EXTENSIONS = """
SELECT wanted AS name, coalesce(extnamespace::regnamespace::text, 'public') AS space
FROM (SELECT unnest(%s::text[]) AS wanted UNION SELECT extname FROM pg_extension WHERE extname = 'pgaudit') AS made
LEFT JOIN pg_extension ON extname = wanted
"""


class Session:
    """A connection to one database of the server, in autocommit."""

    def __init__(self, module: AnsibleModule, database: str) -> None:
        """Connect; fail the module where that does not work."""
        try:
            self.cursor = open_session(module, database).cursor(**pg_cursor_args)
        except UnreachableError as error:
            module.fail_json(msg=f"The database {database} cannot be reached: {error}")

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Run SQL, and return its rows, if any."""
        self.cursor.execute(sql, values or None)
        return [dict(row) for row in self.cursor.fetchall()] if self.cursor.description else []

    def execute(self, sql: str) -> None:
        """Run SQL without values."""
        self.cursor.execute(sql)

    def objects(self) -> dict[tuple[str, str], str]:
        """Return the definition of every object by kind and name."""
        self.execute(PIN)
        found: dict[tuple[str, str], str] = objects_of(self.rows(MIGRATED))
        return found


def compare(server: Session, scratch: Session) -> dict[str, Any]:
    """Return the differences between a database and its scratch database."""
    live, promised = server.objects(), scratch.objects()
    found = differences(live, promised, differing(scratch, live, promised))
    return {"differences": found, "lines": lines(found)}


def make(module: AnsibleModule, server: Session, owner: str, extensions: list[str]) -> str:
    """Create a scratch database like the one that the first migration found, and return its name."""
    database = module.params["database"]
    ending = f"_scratch_{uuid.uuid4().hex[:8]}"
    prefix = database[: LONGEST_NAME - len(ending)]
    name: str = prefix + ending
    for row in server.rows(LEFT_OVER, MARK, f"{prefix}_scratch_", f"{prefix}_scratch_"):
        drop(server, row["datname"])
    [form] = server.rows(FORM.replace("%L", "%%L"), database)
    server.execute(f"CREATE DATABASE {identifier(name)} OWNER {identifier(owner)} TEMPLATE template0 {form['form']}")
    server.execute(f"COMMENT ON DATABASE {identifier(name)} IS '{MARK}'")
    server.execute(f"REVOKE ALL ON DATABASE {identifier(name)} FROM PUBLIC")
    scratch = Session(module, name)
    for extension in server.rows(EXTENSIONS, extensions):
        scratch.execute(f"CREATE SCHEMA IF NOT EXISTS {extension['space']}")
        scratch.execute(f"CREATE EXTENSION {identifier(extension['name'])} SCHEMA {extension['space']}")
    return name


def drop(server: Session, scratch: str) -> None:
    """Drop a scratch database; leave a database that is not marked as such."""
    if any(row["words"] == MARK for row in server.rows(WORDS, scratch)):
        server.execute(f"DROP DATABASE {identifier(scratch)} WITH (FORCE)")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **connection_argument_spec(required=True),
            "database": {"type": "str", "required": True},
            "scratch": {"type": "str", "default": ""},
            "owner": {"type": "str", "default": ""},
            "extensions": {"type": "list", "elements": "str", "default": []},
            "action": {"type": "str", "choices": ["make", "compare", "drop"], "required": True},
        },
    )
    database, scratch = module.params["database"], module.params["scratch"]
    result: dict[str, Any] = {"changed": False, "scratch": scratch}  # created and dropped by the same run
    try:
        server = Session(module, database)
        if module.params["action"] == "make":
            result["scratch"] = make(module, server, module.params["owner"], module.params["extensions"])
        elif module.params["action"] == "drop":
            drop(server, scratch)
        else:
            result |= compare(server, Session(module, scratch))
    except Exception as error:  # of whichever driver the host has
        words = " ".join(str(error).split())
        module.fail_json(msg=f"The scratch database of {database} failed: {words} {database} itself was not touched.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
