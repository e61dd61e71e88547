#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the Ansible action of this name: write the scripts of a run."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: migration_script
short_description: Write the scripts that apply pending migrations
description:
  - Reads the pending files again, makes sure that they have not changed since the plan, and writes the scripts for
    M(community.postgresql.postgresql_script) into a new folder on the host that only its user can read.
  - Writes one script for each unbroken sequence of transactional files, which is one script for most runs. A file with
    C(Transactional no) is sent alone, as a list of queries for one session that records its beginning and its end.
  - Runs on the controller as an action, without a process of its own. Check mode writes nothing. C(--diff) shows the
    SQL of the pending files.
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  directory:
    description: Folder of the release.
    type: path
    required: true
  pending:
    description: What M(physioflow.database.migration_plan) returned as pending.
    type: list
    elements: dict
    required: true
  engine:
    description: Folder with the SQL of the engine, the C(files) of the role.
    type: path
    required: true
  action:
    description:
      - What to do with the files. V(count) finds the rows that a rollback would lose, and changes nothing.
      - V(baseline) and V(accept) record the files without running them.
    type: str
    choices: [apply, count, rollback, baseline, accept]
    default: apply
  applied_versions:
    description: The applied versions at the beginning of a rollback.
    type: list
    elements: str
    default: []
  accept_data_loss:
    description: Roll back although rows are lost.
    type: bool
    default: false
  has_history:
    description: Whether the database has the history in the format of this release.
    type: bool
    default: true
  copy:
    description:
      - Whether the database is a copy that is dropped later. Statements with an effect outside of the database are left
        out. A file that has such an effect in another way fails.
    type: bool
    default: false
  owner:
    description: Role that owns the objects of the files.
    type: str
    required: true
  release:
    description: Name of the release for the history.
    type: str
    required: true
  backup_id:
    description: Id of the backup taken before the run; empty where none was taken.
    type: str
    default: ""
  reason:
    description: Reason of the run, for the history.
    type: str
    default: ""
  run_id:
    description: Id of the run; empty for a new one. Further attempts of a run use the id of the first.
    type: str
    default: ""
  run_lock_wait:
    description: How long to wait for another run, as an interval of PostgreSQL.
    type: str
    required: true
  statement_timeout:
    description: Time limit of one file, as an interval of PostgreSQL; 0 means no limit.
    type: str
    required: true
attributes:
  diff_mode:
    support: full
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Write the scripts of the run
  physioflow.database.migration_script:
    directory: "{{ release_directory }}"
    pending: "{{ migrations_plan.pending }}"
    engine: "{{ role_path }}/files"
    has_history: "{{ migrations_plan.has_history }}"
    owner: emr
    release: "{{ migrations_release.release }}"
    run_lock_wait: 60s
    statement_timeout: 1h
"""

RETURN = r"""
directory:
  description: Folder with the scripts on the controller. Ansible removes it when it exits.
  returned: not in check mode
  type: str
host_directory:
  description: Folder with the scripts on the host. The caller removes it, unless it is RV(directory).
  returned: not in check mode
  type: str
steps:
  description: The scripts in the order in which the caller must send them.
  returned: success
  type: list
  elements: dict
  contains:
    script:
      description: Name of the script in the folder.
      type: str
    file:
      description:
        - The file without transaction in this script; empty for other scripts. Such a script is a list of queries as
          JSON, for M(community.postgresql.postgresql_query).
      type: str
run_id:
  description: Id of the run in the history.
  returned: success
  type: str
"""
