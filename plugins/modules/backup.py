#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: take, list, verify, restore and drill backups."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup
short_description: Take, list, verify, restore and drill backups of a PostgreSQL database
description:
  - A backup is a folder with a dump, the roles and a manifest. It gets its final name only after it was read back in
    full. The counts and hashes in the manifest come from the snapshot of the dump.
  - Restored data are compared with the manifest before they are used.
extends_documentation_fragment:
  - physioflow.database.attributes
  - physioflow.database.connection.required
  - physioflow.database.connection.administrator
  - physioflow.database.restic
options:
  action:
    description: What to do.
    type: str
    required: true
    choices: [create, gate, list, verify, restore, restore_tables, drill, copy, drop_copy, prune, restorable, drop_old]
  settings:
    description: Settings of the backups, without the connection and the repository.
    type: dict
    required: true
  request:
    description: The arguments of the action.
    type: dict
    default: {}
  user:
    description: System user to switch to where the module runs as root. Empty for none.
    type: str
    default: ""
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Take a backup
  physioflow.database.backup:
    action: create
    connection: "{{ postgresql_connection }}"
    settings:
      database: physioflow
      directory: /var/backups/physioflow
      bin_dir: /usr/lib/postgresql/16/bin
    request:
      why: before the move
"""

RETURN = r"""
lines:
  description: The output for the user.
  type: list
  elements: str
  returned: success
id:
  description: Id of the new backup; empty where none was taken.
  type: str
  returned: with action create or gate
taken:
  description: Whether a backup was taken.
  type: bool
  returned: with action create or gate
summary:
  description: One line about the backup.
  type: str
  returned: with action create or gate
reason:
  description: The reason to record in the history where no backup was taken although the database has rows.
  type: str
  returned: with action gate
backups:
  description: The existing backups.
  type: list
  elements: dict
  returned: with action list
"""

import json
import os
import pwd
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.community.postgresql.plugins.module_utils.postgres import (
    get_conn_params,
    postgres_common_argument_spec,
)
from ansible_collections.physioflow.database.plugins.module_utils.backup.actions import ACTIONS, perform
from ansible_collections.physioflow.database.plugins.module_utils.backup.errors import BackupError
from ansible_collections.physioflow.database.plugins.module_utils.backup.owner import become
from ansible_collections.physioflow.database.plugins.module_utils.backup.settings import RESTIC_OPTIONS

MAKES_FOLDER = ("create", "gate")
FETCHES = ("restore", "restore_tables", "drill", "verify")


def make_folder(path: Path, owner: pwd.struct_passwd | None) -> None:
    """Make the folder of the backups, closed to other users. An existing folder is left as it is."""
    if os.path.lexists(path):
        return
    path.mkdir(mode=0o700, parents=True)
    if owner and os.geteuid() == 0:
        os.chown(path, owner.pw_uid, owner.pw_gid)


def perform_as(owner: pwd.struct_passwd | None, *arguments: Any, **options: Any) -> dict[str, Any]:
    """Run an action in a child process under another system user; return its result, or {"error": why}."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        result: dict[str, Any] = {"error": "its process ended without a result"}
        try:
            if owner and os.geteuid() == 0:
                become(owner)
            result = perform(*arguments, **options)
        except BackupError as error:
            result = {"error": str(error)}
        except BaseException as error:
            result = {"error": f"{type(error).__name__}: {error}"}
        finally:
            try:
                with os.fdopen(writing, "w", encoding="utf-8") as stream:
                    json.dump(result, stream)
            finally:
                os._exit(0)  # also where the reader of the pipe is gone
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stream:
        text = stream.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {"error": "its process was killed. Run the same command again."}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "action": {"type": "str", "required": True, "choices": list(ACTIONS)},
            "connection": {"type": "dict", "required": True, "options": postgres_common_argument_spec()},
            "settings": {"type": "dict", "required": True},
            "administrator": {"type": "dict", "options": postgres_common_argument_spec()},
            "restic": {"type": "dict", "default": {}, "options": RESTIC_OPTIONS},
            "request": {"type": "dict", "default": {}},
            "user": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    os.umask(0o077)
    params = module.params
    owner = None
    if params["user"]:
        try:
            owner = pwd.getpwnam(params["user"])
        except KeyError:
            module.fail_json(
                msg=f"The host has no user {params['user']}, which takes the backups. Next: ansible-playbook "
                "deploy.yml creates it."
            )
    settings = {
        **params["settings"],
        "connection": get_conn_params(module, params["connection"], warn_db_default=False),
        "restic": params["restic"] or {},
    }
    # A host that lost its folder needs it again for backups that are fetched from the repository.
    fetches = params["action"] in FETCHES and (params["restic"] or {}).get("repository")
    if (params["action"] in MAKES_FOLDER or fetches) and not module.check_mode:
        try:
            make_folder(Path(params["settings"]["directory"]), owner)
        except OSError as error:
            module.fail_json(
                msg=f"The folder of the backups, {params['settings']['directory']}, cannot be created: "
                f"{error.strerror} ({error.filename}). No backup was made. Correct backup_directory."
            )
    if params["action"] in MAKES_FOLDER and params["administrator"] and not module.check_mode:
        connection = get_conn_params(module, params["administrator"], warn_db_default=False)
        administrator = {**settings, "connection": connection}
        perform_as(None, "restorable", administrator, {"role": settings["connection"]["user"], "warn": False})
    done = perform_as(owner, params["action"], settings, params["request"], check_mode=module.check_mode)
    if "error" in done:
        module.fail_json(msg=done["error"])
    for warning in done.pop("warnings"):
        module.warn(warning)
    if problems := done.get("problems"):
        module.fail_json(
            msg="\n".join([*done["lines"], *problems]), **{k: v for k, v in done.items() if k != "changed"}
        )
    module.exit_json(**done)


if __name__ == "__main__":
    main()
