# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible action: read and check the promise files of a release on the controller. Documented as the module is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.physioflow.database.plugins.module_utils.verification.release import read_promises


class ActionModule(ActionBase):  # type: ignore[misc] # Ansible publishes no type information
    """The action."""

    _requires_connection = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Read the promises."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(
            argument_spec={
                "directory": {"type": "path", "required": True},
                "migrations_directory": {"type": "path", "required": True},
            }
        )
        migrations = [path.stem for path in Path(given["migrations_directory"]).glob("*.sql")]
        documents, problems = read_promises(Path(given["directory"]), migrations)
        if problems:
            lines = [
                "The promises of the release are refused; no host was touched.",
                *(f"  {problem}" for problem in problems),
                "Correct them and run the same command again.",
            ]
            return result | {"failed": True, "msg": "\n".join(lines)}
        texts = [{"version": each["version"], "text": json.dumps(each)} for each in documents]
        return result | {"changed": False, "promises": texts}
