#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: write the scripts of a run."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: migration_script
short_description: Write the scripts that apply pending migrations
description:
  - Reads the pending files once more, makes sure that they are the files that were planned, and writes the scripts for
    M(community.postgresql.postgresql_script) into a new folder that only the caller can read.
  - One script for each unbroken row of transactional files (one for most runs); a file with C(Transactional no) goes
    alone, as a list of queries for one session that records its begin and its end.
  - Runs on the controller. In check mode nothing is written; with C(--diff) the SQL of the pending files is shown.
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
  standing:
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
  delegate_to: localhost
"""

RETURN = r"""
directory:
  description: Folder with the scripts; the caller removes it.
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

import getpass
import json
import socket
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import (
    Migration,
    Statement,
    own_statements,
    read_text,
)
from ansible_collections.physioflow.database.plugins.module_utils.migrations.parts import DOWN, UP
from ansible_collections.physioflow.database.plugins.module_utils.migrations.script import Run, Script

# What is asked for, and the act in the history; and what the files are then.
ACTS = {"apply": "apply", "count": "rollback", "rollback": "rollback", "baseline": "baseline", "accept": "accept"}
KINDS = {
    "apply": "pending migrations",
    "rollback": "rollbacks",
    "baseline": "migrations to adopt",
    "accept": "edited migrations to accept",
}


def read_pending(module: AnsibleModule) -> list[tuple[Migration, str]]:
    """Read the pending files with their text, and refuse one that changed since it was planned."""
    files = []
    way = DOWN if ACTS[module.params["action"]] == "rollback" else UP
    for entry in module.params["pending"]:
        migration = Migration.of(entry)
        sql = read_text(Path(module.params["directory"]).parent / migration.file, migration.file, way)
        if sql.sha256 != migration.sha256:
            module.fail_json(msg=f"{migration.file} changed while the run was planned. Nothing was applied. Run again.")
        files.append((migration, sql.text))
    return files


def steps_of(module: AnsibleModule, files: list[tuple[Migration, str]], run: Run) -> list[tuple[str, list[str]]]:
    """Return what each script of a run sends, after the name of the file that goes alone in it, if one does."""
    params = module.params
    script = Script(Path(params["engine"]), run, params["owner"], params["run_lock_wait"], params["statement_timeout"])
    begin = script.begin(history=not params["has_history"])
    if run.act in ("baseline", "accept"):
        return [("", [*begin, *script.decide(file for file, _ in files)])]
    subsumed = {entry["file"] for entry in params["pending"] if entry.get("subsumed")}
    parsed = [(file, [] if file.file in subsumed else own_statements(text)) for file, text in files]
    if params["action"] == "count":
        return [("", [*begin, *script.count(parsed)])]
    if run.act == "rollback" and not params["accept_data_loss"]:
        return [("", [*begin, *script.rollback(parsed)])]
    resumed = {entry["file"]: entry["resume"] for entry in params["pending"] if entry.get("resume")}
    steps: list[tuple[str, list[str]]] = []
    for group in in_sessions(parsed):
        migration, statements = group[0]
        if migration.transactional:
            steps.append(("", [*begin, *script.apply(group)]))
        else:
            queries = script.alone(migration, statements, resumed.get(migration.file, ()))
            steps.append((migration.file, [*begin, *queries]))
        begin = script.begin(history=False)
    return steps


def in_sessions(files: Sequence[tuple[Migration, list[Statement]]]) -> list[list[tuple[Migration, list[Statement]]]]:
    """Return the files by the session that they share.

    A file without transaction has one of its own. After a file that changes what a new session begins with (ALTER
    DATABASE ... SET, ALTER ROLE ... SET) or leaves what only a new session forgets (SET app.clinic), a new one begins.
    """
    sessions: list[list[tuple[Migration, list[Statement]]]] = []
    joins = False
    for migration, statements in files:
        if joins and migration.transactional:
            sessions[-1].append((migration, statements))
        else:
            sessions.append([(migration, statements)])
        joins = migration.transactional and not any(statement.renews for statement in statements)
    return sessions


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "pending": {"type": "list", "elements": "dict", "required": True},
            "engine": {"type": "path", "required": True},
            "action": {"type": "str", "choices": list(ACTS), "default": "apply"},
            "standing": {"type": "list", "elements": "str", "default": []},
            "accept_data_loss": {"type": "bool", "default": False},
            "has_history": {"type": "bool", "default": True},
            "copy": {"type": "bool", "default": False},
            "owner": {"type": "str", "required": True},
            "release": {"type": "str", "required": True},
            "backup_id": {"type": "str", "default": ""},
            "reason": {"type": "str", "default": ""},
            "run_id": {"type": "str", "default": "", "no_log": False},
            "run_lock_wait": {"type": "str", "required": True},
            "statement_timeout": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    files = read_pending(module)
    run = Run(
        release=module.params["release"],
        run_id=module.params["run_id"] or str(uuid.uuid4()),
        operator=getpass.getuser(),
        controller=socket.gethostname(),
        backup_id=module.params["backup_id"] or None,
        reason=module.params["reason"] or None,
        act=ACTS[module.params["action"]],
        standing=tuple(module.params["standing"]),
        copy=module.params["copy"],
    )
    steps = {
        f"{number:03d}.{'json' if file else 'sql'}": (file, sent)
        for number, (file, sent) in enumerate(steps_of(module, files, run), start=1)
    }
    result: dict[str, Any] = {"changed": module.params["action"] != "count", "run_id": run.run_id}
    if module._diff and module.params["action"] != "count":
        shown = "\n".join(f"-- {migration.file}\n{text}" for migration, text in files)
        kind = KINDS[run.act]
        result["diff"] = {"before": "", "after": shown, "after_header": f"{len(files)} {kind}"}
    if not module.check_mode:
        folder = Path(tempfile.mkdtemp(prefix="physioflow-migrations-"))
        for name, (file, sent) in steps.items():  # SQL for postgresql_script, a list of queries for postgresql_query
            text = json.dumps(sent, ensure_ascii=False) if file else "\n\n".join(sent) + "\n"
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
        result["directory"] = str(folder)
    result["steps"] = [{"script": name, "file": file} for name, (file, _) in steps.items()]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
