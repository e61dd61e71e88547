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
  - Reads the pending files once more, makes sure that they are the files that were planned, and writes the scripts for
    M(community.postgresql.postgresql_script) into a new folder on the host that only its user can read.
  - One script for each unbroken row of transactional files (one for most runs); a file with C(Transactional no) goes
    alone, as a list of queries for one session that records its begin and its end.
  - Runs on the controller as an action, without a process of its own. In check mode nothing is written; with C(--diff)
    the SQL of the pending files is shown.
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
    description: Folder with the SQL of the engine, the C(files) of this role.
    type: path
    required: true
  action:
    description:
      - What is done with the files. V(count) finds out what rolling them back would lose, and does nothing.
      - V(baseline) and V(accept) record them and run none.
    type: str
    choices: [apply, count, rollback, baseline, accept]
    default: apply
  applied_versions:
    description: Versions that stand when a rollback begins.
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
      - Whether the database is a copy that is dropped again. Statements whose effect leaves the database are left out,
        and a file that reaches outside of it in another way fails.
    type: bool
    default: false
  owner:
    description: Role that owns what the files make.
    type: str
    required: true
  release:
    description: Name of the release for the history.
    type: str
    required: true
  backup_id:
    description: Backup taken before the run; empty where none was.
    type: str
    default: ""
  reason:
    description: What else the history is to say of the run.
    type: str
    default: ""
  run_id:
    description: Id of the run; empty for a new one. The further attempts of a run have that of the first.
    type: str
    default: ""
  run_lock_wait:
    description: How long to wait for another run, as an interval of PostgreSQL.
    type: str
    required: true
  statement_timeout:
    description: How long one file may take, as an interval of PostgreSQL; 0 is for ever.
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
  description: Folder of the controller with the scripts. Ansible removes it at its end.
  returned: not in check mode
  type: str
host_directory:
  description: Folder of the host with them; the caller removes it, unless it is RV(directory).
  returned: not in check mode
  type: str
steps:
  description: The scripts in the order in which they are to be sent.
  returned: success
  type: list
  elements: dict
  contains:
    script:
      description: Name of the script in the folder.
      type: str
    file:
      description:
        - The migration that goes alone in this script; empty for the others. Such a script is a list of queries as
          JSON, for M(community.postgresql.postgresql_query).
      type: str
run_id:
  description: Id of the run in the history.
  returned: success
  type: str
"""
