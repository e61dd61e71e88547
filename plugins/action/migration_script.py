# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible action: write the scripts of a run on the host. Its documentation is that of the module."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible_collections.physioflow.database.plugins.module_utils.migrations.steps import ACTS, ChangedError, prepare


class ActionModule(ActionBase):  # type: ignore[misc] # Ansible publishes no type information
    """The action."""

    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write the scripts."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(
            argument_spec={
                "directory": {"type": "path", "required": True},
                "pending": {"type": "list", "elements": "dict", "required": True},
                "engine": {"type": "path", "required": True},
                "action": {"type": "str", "choices": list(ACTS), "default": "apply"},
                "applied_versions": {"type": "list", "elements": "str", "default": []},
                "accept_data_loss": {"type": "bool", "default": False},
                "has_history": {"type": "bool", "default": True},
                "copy": {"type": "bool", "default": False},
                "owner": {"type": "str", "required": True},
                "release": {"type": "str", "required": True},
                "backup_id": {"type": "str", "default": ""},
                "reason": {"type": "str", "default": ""},
                "run_id": {"type": "str", "default": ""},
                "run_lock_wait": {"type": "str", "required": True},
                "statement_timeout": {"type": "str", "required": True},
            }
        )
        try:
            run = prepare(given)
        except ChangedError as error:
            return result | {"failed": True, "msg": str(error)}
        counts = given["action"] == "count"
        result |= {
            "changed": not counts,
            "run_id": run.run_id,
            "steps": run.steps,
        }
        if self._task.diff and not counts:
            result["diff"] = {"before": "", "after": run.shown, "after_header": run.title}
        if self._task.check_mode:
            return result
        folder = Path(tempfile.mkdtemp(prefix="physioflow-migrations-", dir=constants.DEFAULT_LOCAL_TMP))
        run.write(folder)
        return result | {"directory": str(folder), "host_directory": self._on_host(folder, run.alone)}

    def _on_host(self, folder: Path, alone: dict[str, str]) -> str:
        """Copy the scripts to the host, except those of files without transaction, sent as arguments."""
        if self._connection.transport == "local" and not self._connection.become:
            return str(folder)
        shell = self._connection._shell
        place = str(self._make_tmp_path())
        shell.tmpdir = None  # else Ansible would remove it at the end of this task
        sent = [
            self._transfer_file(str(folder / name), shell.join_path(place, name))
            for name, file in alone.items()
            if not file
        ]
        self._fixup_perms2([place, *sent])
        return place
