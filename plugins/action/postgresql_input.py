# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible action: refuse forbidden server options of an inventory. Its documentation is that of the module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.physioflow.database.plugins.module_utils.system.files import (
    hba_problems,
    listen_problems,
    setting_problems,
)
from ansible_collections.physioflow.database.plugins.module_utils.system.tls import (
    alternative_name,
    own_problems,
    utc_now,
)

OPEN = 0o077


def key_file_problems(path: str | None) -> list[str]:
    """Return a sentence where users other than its owner can read a key."""
    if not path:
        return []
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        return [f"postgresql_tls_key_file cannot be read: {error.strerror}: {path}."]
    if mode & OPEN:
        return [f"The key {path} can be read by others ({mode & 0o777:04o}). Run: chmod 0600 {path}."]
    return []


class ActionModule(ActionBase):  # type: ignore[misc] # Ansible publishes no type information
    """The action."""

    _requires_connection = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check the options."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(
            argument_spec={
                "hba": {"type": "list", "elements": "dict", "default": []},
                "peer_users": {"type": "list", "elements": "str", "default": []},
                "listen_addresses": {"type": "list", "elements": "str", "required": True},
                "settings": {"type": "dict", "default": {}},
                "certificate": {"type": "str", "default": ""},
                "key": {"type": "str", "default": "", "no_log": True},
                "key_file": {"type": "path", "no_log": False},
                "names": {"type": "list", "elements": "str", "required": True},
            }
        )
        problems = [
            *setting_problems(given["settings"]),
            *listen_problems(given["listen_addresses"]),
            *hba_problems(given["hba"], given["peer_users"]),
            *key_file_problems(given["key_file"]),
            *own_problems(given["certificate"], given["key"], given["names"], utc_now()),
        ]
        if problems:
            problems.append("Nothing was changed. Correct the inventory and run the same command again.")
            return result | {"failed": True, "msg": "\n".join(problems)}
        return result | {"alternative_names": sorted({alternative_name(name) for name in given["names"]})}
