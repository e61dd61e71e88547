#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: set up roles, database, extensions and privileges."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_setup
short_description: Create a database with its roles, extensions and privileges
description:
  - Creates missing objects and corrects differing ones in one task, where the modules of community.postgresql need
    about fifteen. Other objects stay as they are. An unsuitable server or database is refused first.
  - Connects as a superuser, or as a role with CREATEROLE and CREATEDB that may grant C(pg_read_all_data), like the
    administrators of managed servers. Without a superuser, passwords are compared by logging in with them.
  - The diff shows the statements. Passwords are sent as SCRAM-SHA-256 verifiers and compared with the stored
    verifiers.
extends_documentation_fragment:
  - physioflow.database.attributes
  - physioflow.database.connection
  - physioflow.database.setup
attributes:
  diff_mode:
    support: full
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Make the database
  physioflow.database.database_setup:
    connection: "{{ postgresql_connection }}"
    name: physioflow
    roles:
      owner: emr
      app: emr_app
      readonly: emr_readonly
      backup: emr_backup
    extensions: [uuid-ossp, pg_trgm]
    connection_limits: {owner: 10, app: 60, readonly: 10, backup: 10}
    connection_limit: 95
    allowed_extensions: [uuid-ossp, pg_trgm]
    versions: [16]
"""

RETURN = r"""
statements:
  description: The statements that were run, or would be run in check mode, without verifiers.
  returned: success
  type: list
  elements: str
audit:
  description: Whether reads of patients' data are to be audited.
  returned: success
  type: bool
made:
  description: Whether the database was created, or would be created in check mode.
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
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.database.setup import SETUP, set_up


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=SETUP, supports_check_mode=True)
    result = set_up(module, act=not module.check_mode, coming={}).result()
    diff = {"before": "", "after": "".join(f"{text};\n" for text in result["statements"])}
    module.exit_json(changed=bool(result["statements"]), diff=diff, **result)


if __name__ == "__main__":
    main()
