#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: set up row level security and the audit of reads."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_patients
short_description: Protect the tables that hold rows of a clinic
description:
  - Finds in the catalogs the tables of the owner that belong to a clinic, by C(clinic_id) or by foreign keys, and
    corrects their policies and the privileges of the audit role, in one transaction.
  - Policies with other names stay as they are. The diff shows the statements.
extends_documentation_fragment:
  - physioflow.database.attributes
  - physioflow.database.connection.required
options:
  name:
    description: Name of the database.
    type: str
    required: true
  owner:
    description: Owner of the tables. It sees all rows, in its own sessions and in those of members that SET ROLE to it.
    type: str
    required: true
  app:
    description: Role of the application. With row level security on, it may only read the tables that clinics refer to.
    type: str
    required: true
  backup:
    description: Role that runs the dumps. It needs BYPASSRLS where row level security is on; otherwise a dump fails.
    type: str
    required: true
  row_level_security:
    description: Whether each session sees only the rows of the clinic that C(app.clinic_id) names.
    type: bool
    default: false
  audit:
    description:
      - Whether the audit role, where it exists, holds the privileges whose use pgaudit logs. C(auto) means yes where
        the server has pgaudit.
    type: str
    choices: [auto, always, never]
    default: never
  audit_role:
    description: Name of the audit role.
    type: str
    required: true
attributes:
  diff_mode:
    support: full
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Protect the tables of the clinics
  physioflow.database.database_patients:
    connection: "{{ postgresql_connection }}"
    name: physioflow
    owner: emr
    app: emr_app
    backup: emr_backup
    row_level_security: true
    audit_role: emr_audit
"""

RETURN = r"""
statements:
  description: The statements that were run, or would be run in check mode.
  returned: success
  type: list
  elements: str
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.database.patients import (
    TABLES,
    audit_statements,
    protection_statements,
)
from ansible_collections.physioflow.database.plugins.module_utils.database.session import Session, refuse
from ansible_collections.physioflow.database.plugins.module_utils.database.wanted import AUDIT, Statement, audit_is_on
from ansible_collections.physioflow.database.plugins.module_utils.server import connection_argument_spec
from ansible_collections.physioflow.database.plugins.module_utils.sql import identifier

LOCK_TIMEOUT = "5s"  # ALTER TABLE waits for readers, and later sessions wait for it
AUDITED = """SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %(name)s) AS there,
                    (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries') AS preloaded"""
BYPASS = "SELECT coalesce(bool_or(rolbypassrls OR rolsuper), false) AS may FROM pg_roles WHERE rolname = %(name)s"


def main() -> None:
    """Run the module."""
    name = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            **connection_argument_spec(required=True),
            "name": name,
            "owner": name,
            "app": name,
            "backup": name,
            "row_level_security": {"type": "bool", "default": False},
            "audit": {"type": "str", "choices": list(AUDIT), "default": "never"},
            "audit_role": name,
        },
        supports_check_mode=True,
    )
    params = module.params
    session = Session(module, params["name"])
    if not module.check_mode:
        session.lock()
    session.cursor.execute("SET search_path = pg_catalog")
    session.cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
    if params["row_level_security"] and not session.row(BYPASS, name=params["backup"])["may"]:
        refuse(
            module,
            [
                f"database_row_level_security is on, and {params['backup']} has no BYPASSRLS: its dumps would fail. "
                f"As a superuser: ALTER ROLE {identifier(params['backup'])} BYPASSRLS; or switch "
                "database_row_level_security off."
            ],
        )
    tables = json.loads(session.row(TABLES, **{key: params[key] for key in ("owner", "app", "audit_role")})["j"])
    found = session.row(AUDITED, name=params["audit_role"])
    audit = found["there"] and audit_is_on(params["audit"], found["preloaded"])
    shown = protection_statements(tables, params["owner"], params["app"], params["row_level_security"])
    shown += audit_statements(tables, params["audit_role"], audit)
    if not module.check_mode:
        session.run([*map(Statement, shown)], [])
    module.exit_json(
        changed=bool(shown),
        statements=shown,
        diff={"before": "", "after": "".join(f"{text};\n" for text in shown)},
    )


if __name__ == "__main__":
    main()
