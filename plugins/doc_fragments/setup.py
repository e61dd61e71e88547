# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options that say what a database is to be."""

from __future__ import annotations


class ModuleDocFragment:
    """As the modules that make a database and that look at it have them."""

    DOCUMENTATION = r"""
options:
  name:
    description: Name of the database.
    type: str
    required: true
  roles:
    description: Names of the four roles, by purpose.
    type: dict
    required: true
    suboptions:
      owner:
        description: Owns the database and what the migrations make.
        type: str
        required: true
      app:
        description: Reads and writes rows.
        type: str
        required: true
      readonly:
        description: Reads.
        type: str
        required: true
      backup:
        description: Reads everything, also below row level security.
        type: str
        required: true
  passwords:
    description: Passwords by purpose. The password of a role that is left out is not touched.
    type: dict
    default: {}
  passwordless:
    description: Purposes of roles that get no password, or lose the one that they have, so that only peer lets them in.
    type: list
    elements: str
    default: []
  settings:
    description: Server settings of the sessions of each role, by purpose.
    type: dict
    default: {}
  connection_limits:
    description: Most sessions of each role, by purpose.
    type: dict
    required: true
  connection_limit:
    description: Most sessions in the database, whoever they are of.
    type: int
    required: true
  environment:
    description: What the database says of itself as C(physioflow.environment); empty to leave it. Takes a superuser.
    type: str
    default: ""
  locale:
    description: Locale of the database, for LC_COLLATE and LC_CTYPE.
    type: str
    default: C.UTF-8
  extensions:
    description: Extensions of the database.
    type: list
    elements: str
    default: []
  allowed_extensions:
    description: Extensions that the database may have; others are named in a warning.
    type: list
    elements: str
    default: []
  audit:
    description: Whether the role is made that pgaudit audits reads by; C(auto) is where the server has pgaudit.
    type: str
    choices: [auto, always, never]
    default: never
  audit_role:
    description: Name of that role.
    type: str
    default: emr_audit
  closed_databases:
    description: Other databases that PUBLIC may not enter.
    type: list
    elements: str
    default: []
  versions:
    description: Major versions of PostgreSQL that are accepted.
    type: list
    elements: int
    required: true
  row_level_security:
    description: Whether C(database_patients) will switch it on; refused here where the dumps would then fail.
    type: bool
    default: false
"""
