# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible action: read and check a release folder on the controller. Its documentation is that of the module."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars
from ansible_collections.physioflow.database.plugins.module_utils.migrations.release import read_release


class ActionModule(ActionBase):  # type: ignore[misc] # Ansible publishes no type information
    """The action."""

    _requires_connection = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Read the release."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(
            argument_spec={
                "directory": {"type": "path"},
                "header_required": {"type": "bool", "default": True},
                "roles": {"type": "path", "required": True},
                "variables": {"type": "list", "elements": "str", "default": []},
                "shared_variables": {"type": "list", "elements": "str", "default": []},
            }
        )
        return result | read_release(**given, extra_variables=sorted(map(str, load_extra_vars(self._loader))))
