#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: bring roles, database, extensions and privileges to what is wanted."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_setup
short_description: Make a database with its roles, extensions and privileges
description:
  - Makes what is missing and corrects what differs, in one run where the modules of community.postgresql need about
    fifteen. What it does not manage stays as it is. A server or database that does not fit is refused first.
  - The connection is that of a superuser; or of a role with CREATEROLE and CREATEDB that may give C(pg_read_all_data)
    on, as the administrators of managed servers are. Passwords are then compared by logging in with them.
  - The diff shows the statements. Passwords are sent as SCRAM-SHA-256 verifiers and compared with those that are kept.
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
  description: The statements that were run, or would be in check mode, without verifiers.
  returned: success
  type: list
  elements: str
audit:
  description: Whether reads of patients' data are to be audited.
  returned: success
  type: bool
made:
  description: Whether the database was made, or would be in check mode.
  returned: success
  type: bool
reads:
  description: Whether the database is there, and the login role may read what its owner made.
  returned: success
  type: bool
row_security:
  description: Whether the database has policies that tasks/patients.yml made.
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
