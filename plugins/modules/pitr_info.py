#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: read the repository of pgBackRest."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pitr_info
short_description: Read which moments can be restored from the repository of pgBackRest
description:
  - Returns the backups, the spans of time that can be reached, and the missing WAL.
  - With a moment, returns the backup from which it can be reached, or fails with what can be reached instead.
  - Only reads.
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  stanza:
    description: pgBackRest's name of the cluster.
    type: str
    required: true
  timezone:
    description: Time zone of what is read and returned.
    type: str
    default: Asia/Ho_Chi_Minh
  time:
    description: A moment to reach, like C(2026-02-11 10:30).
    type: str
  lsn:
    description: A place in the log to reach.
    type: str
  oldest:
    description: Choose the oldest backup from which the newest moment can be reached.
    type: bool
    default: false
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Read the repository
  physioflow.database.pitr_info:
    stanza: physioflow
    time: "2026-02-11 10:30"
"""

RETURN = r"""
backups:
  description: Labels of the complete backups, the oldest first.
  returned: success
  type: list
  elements: str
backed_up_timeline:
  description: The newest timeline that has a backup; 0 where there is none.
  returned: success
  type: int
lines:
  description: Backups, missing WAL and the spans that can be reached, for people.
  returned: success
  type: list
  elements: str
set:
  description: Label of the backup to restore.
  returned: O(time), O(lsn) or O(oldest)
  type: str
size:
  description: Bytes of the database in that backup.
  returned: O(time), O(lsn) or O(oldest)
  type: int
timeline:
  description: Timeline to restore.
  returned: O(time), O(lsn) or O(oldest)
  type: int
target:
  description: The moment, with its time zone.
  returned: O(time)
  type: str
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.pitr.repository import (
    QUIET,
    RefusedError,
    backup_for_lsn,
    backup_for_time,
    listing,
    moment,
    reach,
    read_repository,
    spans,
    zone,
)

AS_POSTGRES = ["runuser", "-u", "postgres", "--"]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "stanza": {"type": "str", "required": True},
            "timezone": {"type": "str", "default": "Asia/Ho_Chi_Minh"},
            "time": {"type": "str"},
            "lsn": {"type": "str"},
            "oldest": {"type": "bool", "default": False},
        },
        mutually_exclusive=[["time", "lsn", "oldest"]],
        supports_check_mode=True,
    )
    params = module.params

    def ask(*arguments: str) -> str:
        """Run pgBackRest as the user that owns the repository."""
        command = [*AS_POSTGRES, "pgbackrest", f"--stanza={params['stanza']}", *QUIET, *arguments]
        # With a wrong pass phrase, its message contains what it decrypted: any bytes.
        status, out, said = module.run_command(command, errors="replace")
        if status != 0:
            words = " ".join((said or out).split())
            module.fail_json(msg=f"The repository of pgBackRest cannot be read: {words} Nothing was changed.")
        return str(out)

    found = read_repository(ask, params["stanza"])
    result: dict[str, Any] = {
        "changed": False,
        "backups": [backup.label for backup in found.backups],
        "backed_up_timeline": max((backup.timeline for backup in found.backups), default=0),
    }
    try:
        where = zone(params["timezone"])
        reachable = spans(found)
        result["lines"] = listing(found, reachable, where)
        chosen = None
        if params["time"]:
            when = moment(params["time"], where)
            result["target"] = when.isoformat(sep=" ")
            chosen = backup_for_time(when.timestamp(), reachable, time.time(), where)
        elif params["lsn"]:
            chosen = backup_for_lsn(params["lsn"], reachable, where)
        elif params["oldest"]:
            if not reachable:
                raise RefusedError(reach(reachable, where))
            chosen = reachable[-1].backups[0], reachable[-1]
        if chosen:
            backup, span = chosen
            result |= {"set": backup.label, "size": backup.size, "timeline": span.timeline}
    except RefusedError as error:
        module.fail_json(msg=f"{error} Nothing was changed.", **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
