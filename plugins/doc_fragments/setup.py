# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options that describe the wanted database."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of the modules that create a database or compare it with them."""

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
        description: Owns the database and the objects of the migrations.
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
        description: Reads everything, also with row level security.
        type: str
        required: true
  passwords:
    description: Passwords by purpose. Without an entry, the password of a role stays as it is.
    type: dict
    default: {}
  passwordless:
    description: Purposes of roles without password, which can only log in by peer. An existing password is removed.
    type: list
    elements: str
    default: []
  settings:
    description: Server settings of the sessions of each role, by purpose.
    type: dict
    default: {}
  connection_limits:
    description: Maximum number of sessions of each role, by purpose.
    type: dict
    required: true
  connection_limit:
    description: Maximum number of sessions in the database, of all roles together.
    type: int
    required: true
  environment:
    description: Value of C(physioflow.environment) in the database; empty to leave it. Setting it needs a superuser.
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
    description: Extensions that the database may have; a warning names any others.
    type: list
    elements: str
    default: []
  audit:
    description: Whether to create the audit role of pgaudit; C(auto) creates it where the server has pgaudit.
    type: str
    choices: [auto, always, never]
    default: never
  audit_role:
    description: Name of the audit role.
    type: str
    default: emr_audit
  closed_databases:
    description: Other databases to which PUBLIC may not connect.
    type: list
    elements: str
    default: []
  versions:
    description: Major versions of PostgreSQL that are accepted.
    type: list
    elements: int
    required: true
  row_level_security:
    description: Whether C(database_patients) will enable it; refused here where the dumps would then fail.
    type: bool
    default: false
"""
