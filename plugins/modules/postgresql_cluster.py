#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: apply settings and access rules of a cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_cluster
short_description: Apply settings and access rules of a cluster
description:
  - Installs the settings file, pg_hba.conf, pg_ident.conf and the systemd drop-in of the cluster C(main) together. The
    server's own program and views check them. Where a check fails, or the server does not start with the new files,
    the module restores the former files.
  - Reloads the server. Restarts it once, only where the server reports that a setting needs it.
  - Closes the folders and files of the cluster to other users of the host, and stops psql from writing a history file
    for the superuser. An existing history file is left as it is.
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  version:
    description: Major version of PostgreSQL.
    type: str
    required: true
  port:
    description: TCP port.
    type: int
    required: true
  settings:
    description: Text of the settings file.
    type: str
    required: true
  hba:
    description: Text of pg_hba.conf.
    type: str
    required: true
  ident:
    description: Text of pg_ident.conf.
    type: str
    required: true
  unit:
    description: Text of the systemd drop-in of the service.
    type: str
    required: true
  certificate:
    description: PEM of a new server certificate; empty to keep the present one.
    type: str
    default: ""
  key:
    description: PEM of its key, where the host did not generate it.
    type: str
    default: ""
  ca:
    description: PEM of the CA with which clients check the certificate; empty to keep the present one.
    type: str
    default: ""
  audit_missing:
    description: Warn that apt does not offer pgaudit.
    type: bool
    default: false
attributes:
  diff_mode:
    support: full
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Bring settings and access rules into effect
  physioflow.database.postgresql_cluster:
    version: "16"
    port: 5432
    settings: "{{ lookup('ansible.builtin.template', 'physioflow.conf.j2') }}"
    hba: "{{ lookup('ansible.builtin.template', 'pg_hba.conf.j2') }}"
    ident: "{{ lookup('ansible.builtin.template', 'pg_ident.conf.j2') }}"
    unit: "{{ lookup('ansible.builtin.template', 'postgresql.service.d/physioflow.conf.j2') }}"
"""

RETURN = r"""
connection:
  description: Connection of a superuser for the modules of community.postgresql; empty where no server runs.
  type: dict
  returned: success
actions:
  description: The actions that were done, or would be done in check mode.
  type: list
  elements: str
  returned: success
"""

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.system.look import memory, read
from ansible_collections.physioflow.database.plugins.module_utils.system.server import Cluster, ServerError

HEADER = "# Made by the Ansible role postgresql"
UNCHANGED = "The former files were restored and the server runs with them."


def apply(module: AnsibleModule, cluster: Cluster, texts: dict[Path, str], changed: list[Path]) -> list[str]:
    """Apply changed files, with a restart where the server needs one; return the actions."""
    state = cluster.state()
    if module.check_mode:
        restart = ["restart"] if cluster.unit in changed or cluster.needs_restart(state) else []
        return [f"write {path}" for path in changed] + cluster.closing() + restart
    former = {path: read(path) for path in changed}
    actions = []
    restarting = False
    try:
        if changed:
            keep_foreign(module, cluster, former)
            cluster.write({path: texts[path] for path in changed})
            actions += [f"write {path}" for path in changed]
            state = cluster.state()
            if problems := state["hba"] + state["ident"] + state["settings"]:
                raise ServerError(f"PostgreSQL refuses the new files: {' '.join(problems)}")
            state = cluster.reload()
        if cluster.unit in changed or cluster.needs_restart(state):
            restarting = True
            state = cluster.restart()
            actions.append("restart")
    except ServerError as error:
        cluster.restore(former)
        if restarting:
            cluster.restart()
        raise ServerError(
            f"{error} {UNCHANGED} Correct postgresql_settings or postgresql_hba and run the same command again."
        ) from error
    if problems := state["hba"] + state["ident"] + state["left"]:
        raise ServerError(f"PostgreSQL finds errors in its files: {' '.join(problems)} Correct them on the host.")
    actions += cluster.closing()
    cluster.close()
    for sentence in cluster.warnings(state):
        module.warn(sentence)
    if module.params["audit_missing"]:
        module.warn(
            f"No audit: apt has no package postgresql-{cluster.version}-pgaudit. The log shows connections and "
            'DDL, not who writes rows. PGDG has the package; postgresql_audit: "off" switches this warning off.'
        )
    return actions


def keep_foreign(module: AnsibleModule, cluster: Cluster, former: dict[Path, str]) -> None:
    """Keep one copy of a rules file that this role did not write, such as the package's pg_hba.conf."""
    for path in (cluster.hba, cluster.ident):
        text = former.get(path, "")
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if lines and not text.startswith(HEADER):
            module.backup_local(str(path))


def main() -> None:
    """Run the module."""
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "version": text,
            "port": {"type": "int", "required": True},
            "settings": text,
            "hba": text,
            "ident": text,
            "unit": text,
            "certificate": {"type": "str", "default": ""},
            "key": {"type": "str", "default": "", "no_log": True},
            "ca": {"type": "str", "default": ""},
            "audit_missing": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    os.umask(0o077)
    params = module.params
    cluster = Cluster(params["version"], params["port"])
    texts = {path: params[name] for name, path in cluster.files.items() if params[name]}
    changed = [path for path, text in texts.items() if read(path) != text]
    diff = [
        {"before_header": str(path), "after_header": str(path), "before": read(path), "after": texts[path]}
        for path in changed
        if path != cluster.key
    ]
    if cluster.exists and (closed := cluster.closing()):
        diff.append({"prepared": "".join(f"{line}\n" for line in closed)})
    result: dict[str, Any] = {"connection": {}}
    try:
        if cluster.exists and cluster.dropin in changed:
            cluster.check_settings(texts[cluster.dropin], memory(read("/proc/meminfo")))
        if cluster.running_port is not None:
            result["actions"] = apply(module, cluster, texts, changed)
            result["connection"] = cluster.connection
        elif module.check_mode:
            result["actions"] = [f"write {path}" for path in changed]
        else:
            raise ServerError(
                f"{cluster.service} is not running. Nothing was changed. See: journalctl -u {cluster.service}"
            )
    except ServerError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(result["actions"]), diff=diff, **result)


if __name__ == "__main__":
    main()
