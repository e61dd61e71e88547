#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: the program, settings and timer with which a host writes metrics of its database."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: monitoring_host
short_description: Let a host write metrics of its database by a timer
description:
  - Puts program, settings and units of systemd in place, in one run, and starts the timer. The program is the Python of
    the roles status and backup, as Ansible sent it with this module.
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  program:
    description: Folder of the program.
    type: path
    required: true
  command:
    description: Text of the command in that folder.
    type: str
    required: true
  user:
    description: User of the host whom it runs as, who reads the backups.
    type: str
    required: true
  directory:
    description: Folder that the metrics are written to; made where it is missing.
    type: path
    required: true
  settings:
    description: The settings of the program. They hold no secret.
    type: dict
    required: true
  units:
    description: Units of systemd, by name.
    type: dict
    required: true
attributes:
  diff_mode:
    support: partial
    details: Of the program only the names of its files are shown.
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Put program, settings and timer in place
  physioflow.database.monitoring_host:
    program: /usr/local/lib/physioflow-status
    command: "#!/usr/bin/python3"
    user: emr_backup
    directory: /var/lib/prometheus/node-exporter
    settings: {database: physioflow}
    units: {physioflow-status.timer: "[Timer]"}
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode.
  type: list
  elements: str
  returned: success
"""

import os
import pwd
from pathlib import Path

import ansible_collections.physioflow.database.plugins.module_utils.status.program  # noqa: F401 - with all that it imports: what the timer runs
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.system.host_program import (
    File,
    Host,
    json_text,
    program_files,
)

SETTINGS = Path("/etc/physioflow-status/settings.json")


def bring_about(host: Host) -> None:
    """Do it all."""
    params = host.params
    try:
        group = pwd.getpwnam(params["user"]).pw_gid
    except KeyError:
        if not host.module.check_mode:
            host.fail(f"The host has no user {params['user']}. Next: ansible-playbook deploy.yml makes it.")
        group = 0
    files = program_files(
        Path(params["program"]),
        command="physioflow-status",
        text=params["command"],
        settings=File(SETTINGS, json_text(params["settings"]), 0o640, group),
        units=params["units"],
    )
    host.check_calendars(files, "monitoring_timer")
    directory = Path(params["directory"])
    if not directory.is_dir() and host.note(f"make {directory}"):
        directory.mkdir(mode=0o755, parents=True)
    host.put(Path(params["program"]), files, {"physioflow-status.timer": True})


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "program": {"type": "path", "required": True},
            "command": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "settings": {"type": "dict", "required": True},
            "units": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    host = Host(module)
    try:
        bring_about(host)
    except OSError as error:
        module.fail_json(
            msg=f"{error.filename} cannot be written: {error.strerror}. Remove the cause and run the same command "
            "again.",
            actions=host.done,
        )
    module.exit_json(changed=bool(host.done), actions=host.done, diff=host.diff)


if __name__ == "__main__":
    main()
