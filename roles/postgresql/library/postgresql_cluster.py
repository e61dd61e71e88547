#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: bring settings and access rules of a cluster into effect."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_cluster
short_description: Bring settings and access rules of a cluster into effect
description:
  - Writes one drop-in of settings, pg_hba.conf and pg_ident.conf of the cluster C(main), as one act. The server's own
    program and views check them. Where they refuse, or the server does not start with them, the former files are back.
  - The certificate of the server, the drop-in of its service and the modes of its files belong to that act.
  - Reloads; restarts, once, only where the server says that a setting waits for it, or
    where the drop-in of the service is newer than its start.
  - Refuses a cluster that was made with another encoding or locale or without data checksums. It never makes one anew.
options:
  version:
    description: Major version of PostgreSQL.
    type: str
    required: true
  port:
    description: TCP port.
    type: int
    required: true
  listen_addresses:
    description: Addresses that the server listens on.
    type: list
    elements: str
    required: true
  locale:
    description: Locale that the cluster has to have.
    type: str
    required: true
  memory:
    description: MB of memory that the server may use; 0 for all that the host has.
    type: int
    default: 0
  max_connections:
    description: Sessions at once.
    type: int
    default: 100
  base_settings:
    description: Settings that do not depend on the host.
    type: dict
    default: {}
  settings:
    description: Settings that win over all others.
    type: dict
    default: {}
  hba:
    description: Rules of pg_hba.conf.
    type: list
    elements: dict
    default: []
    suboptions:
      type:
        description: Over the network with TLS, or by the socket of the host.
        type: str
        choices: [hostssl, local]
        default: hostssl
      databases:
        description: Names of databases.
        type: list
        elements: str
        required: true
      users:
        description: Names of roles.
        type: list
        elements: str
        required: true
      address:
        description: From where, for C(hostssl).
        type: str
      method:
        description: How the user proves to be who it is.
        type: str
        choices: [scram-sha-256, cert, peer, reject]
        default: scram-sha-256
  peer_users:
    description: Roles that the user of the host of the same name comes in as, by the socket.
    type: list
    elements: str
    default: []
  audit:
    description: Load pgaudit where it is installed; C(on) where it has to be.
    type: str
    choices: ["auto", "on", "off"]
    default: auto
  audit_role:
    description: Role whose privileges name the tables that are audited when they are read; empty for none.
    type: str
    default: ""
  certificate:
    description: Certificate of the server as PEM; empty to leave the one that is there.
    type: str
    default: ""
  key:
    description: Its key as PEM; empty to leave the one that is there.
    type: str
    default: ""
  hardened:
    description: Whether the service gets the drop-in that takes rights from it.
    type: bool
    default: true
  minimum_version:
    description: Oldest release that is accepted without a word, for instance 16.15.
    type: str
    default: "0"
  minimum_version_enforced:
    description: Fail below the minimum version, where otherwise a warning is given.
    type: bool
    default: false
  timeout:
    description: Seconds that a start may take.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author:
  - PhysioFlow contributors
"""

EXAMPLES = r"""
- name: Bring settings and access rules into effect
  postgresql_cluster:
    version: "16"
    port: 5432
    listen_addresses: [localhost, 10.0.0.5]
    locale: C.UTF-8
    hba:
      - databases: [physioflow]
        users: [emr_app]
        address: 10.0.0.0/24
"""

RETURN = r"""
connection:
  description: How the modules of community.postgresql get in as superuser; empty where no server runs.
  type: dict
  returned: success
bin_dir:
  description: The folder of the server's programs.
  type: str
  returned: success
actions:
  description: What was done, or would be in check mode.
  type: list
  elements: str
  returned: success
"""

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.postgresql_files import (
    HBA_ARGUMENT,
    HEADER,
    SUPERUSER,
    cluster_differences,
    hba_problems,
    hba_text,
    ident_text,
    listen_problems,
    setting_problems,
    settings_text,
    unit_text,
    version_number,
    with_audit,
)
from ansible.module_utils.postgresql_look import cores, memory, read
from ansible.module_utils.postgresql_server import SOCKETS, Cluster, ServerError, server_number
from ansible.module_utils.postgresql_tuning import tuned_settings, usual_memory

UNCHANGED = "The former files are back and the server goes on as before."


def wanted_files(module: AnsibleModule, cluster: Cluster, megabytes: int) -> dict[Path, str]:
    """Return the texts of the files."""
    params = module.params
    usable = params["memory"] or usual_memory(megabytes)
    audit = params["audit"] != "off" and (cluster.library / "pgaudit.so").exists()
    if params["audit"] == "on" and not audit and cluster.exists:
        raise ServerError(f"postgresql_audit is on, and pgaudit is not in {cluster.library}. Nothing was changed.")
    wanted = with_audit(params["settings"], params["audit_role"]) if audit else params["settings"]
    settings = {
        **tuned_settings(usable, cores(), params["max_connections"]),
        **params["base_settings"],
        **wanted,
        "port": cluster.port,
        "listen_addresses": ", ".join(params["listen_addresses"]),
        "ssl_cert_file": str(cluster.certificate),
        "ssl_key_file": str(cluster.key),
    }
    # The key first: the server reads both as soon as it finds the settings.
    own = {cluster.key: params["key"], cluster.certificate: params["certificate"]}
    return {
        **{path: text for path, text in own.items() if text},
        cluster.unit: unit_text() if params["hardened"] else "",
        cluster.dropin: settings_text(settings),
        cluster.hba: hba_text(params["hba"], params["peer_users"]),
        cluster.ident: ident_text(),
    }


def apply(module: AnsibleModule, cluster: Cluster, texts: dict[Path, str], changed: list[Path]) -> list[str]:
    """Bring changed files into effect, with a restart where the server asks for it; return what was done."""
    state = cluster.state()
    differences = cluster_differences(state, module.params["locale"])
    if differences:
        raise ServerError(
            f"The cluster {cluster.version}/main is there and was made otherwise: {'; '.join(differences)}. It is "
            "never made anew, and nothing was changed. Set postgresql_locale to what it has; checksums are switched on "
            f"with: systemctl stop {cluster.service} && sudo -u {SUPERUSER} {cluster.bin}/pg_checksums --enable -D "
            f"{cluster.data} && systemctl start {cluster.service}. For another encoding, dump the databases and "
            "restore them on a new host."
        )
    if module.check_mode:
        restart = state["pending"] or cluster.unit in changed or cluster.unit_waits
        modes = [f"close {path}" for path in cluster.open_paths()]
        return [f"write {path}" for path in changed] + modes + (["restart"] if restart else [])
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
        actions += close(cluster)
        if state["pending"] or cluster.unit in changed or cluster.unit_waits:
            restarting = True
            state = cluster.restart()
            actions.append("restart")
        if cluster.certificate in changed and not shows(cluster, texts[cluster.certificate]):
            raise ServerError("The server does not show its new certificate to who comes in by TCP.")
    except ServerError as error:
        cluster.restore(former)
        if restarting:
            cluster.restart()
        elif changed:
            cluster.reload()
        raise ServerError(
            f"{error} {UNCHANGED} Correct postgresql_settings or postgresql_hba and run the same command again."
        ) from error
    if problems := state["hba"] + state["ident"] + state["left"]:
        raise ServerError(f"PostgreSQL finds errors in its files: {' '.join(problems)} Correct them on the host.")
    warn_of_history(module, cluster)
    for place in state["overridden"]:
        module.warn(f"The setting {place} wins over that of postgresql_settings. Remove it there, or accept it.")
    check_version(module, state)
    return actions


def shows(cluster: Cluster, certificate: str) -> bool:
    """Return whether the server shows a certificate; a reload goes on with the old one where it cannot read the new."""
    found = cluster.served().strip()
    return bool(found) and found in certificate


def close(cluster: Cluster) -> list[str]:
    """Take what is open to every user of the host from them; return what was done."""
    actions = []
    for path, mode in cluster.open_paths().items():
        path.chmod(path.stat().st_mode & (mode | 0o7000))
        actions.append(f"close {path}")
    history = history_of(cluster)
    if not history.exists() and not history.is_symlink():
        history.symlink_to("/dev/null")
        actions.append(f"link {history} to /dev/null")
    return actions


def history_of(cluster: Cluster) -> Path:
    """Return where psql keeps what the superuser types: statements with names of patients in them."""
    folder: Path = cluster.data.parent.parent
    return folder / ".psql_history"


def warn_of_history(module: AnsibleModule, cluster: Cluster) -> None:
    """Leave a history that somebody wrote, and say so."""
    history = history_of(cluster)
    if history.is_file() and not history.is_symlink():
        module.warn(f"{history} keeps statements of the superuser. Remove it: the next run links it to /dev/null.")


def keep_foreign(module: AnsibleModule, cluster: Cluster, former: dict[Path, str]) -> None:
    """Keep a copy of a file with rules that this role did not make, once: pg_hba.conf of the package is one."""
    for path in {cluster.hba, cluster.ident, cluster.dropin}.intersection(former):
        text = former[path]
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if lines and not text.startswith(HEADER):
            module.backup_local(str(path))


def check_version(module: AnsibleModule, state: dict[str, Any]) -> None:
    """Warn of a server that lacks known repairs, or refuse it."""
    minimum = module.params["minimum_version"]
    if server_number(state) >= version_number(minimum):
        return
    sentence = (
        f"The server is PostgreSQL {state['version'].split()[0]}; releases before {minimum} have known faults. Bring "
        "it up to date on the host: apt-get update && apt-get install --only-upgrade "
        f"postgresql-{module.params['version']}"
    )
    if module.params["minimum_version_enforced"]:
        raise ServerError(f"{sentence}. The database was not touched.")
    module.warn(sentence)


def main() -> None:
    """Run the module."""
    word = {"type": "list", "elements": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "listen_addresses": word,
            "locale": {"type": "str", "required": True},
            "memory": {"type": "int", "default": 0},
            "max_connections": {"type": "int", "default": 100},
            "base_settings": {"type": "dict", "default": {}},
            "settings": {"type": "dict", "default": {}},
            "hba": HBA_ARGUMENT,
            "peer_users": {"type": "list", "elements": "str", "default": []},
            "audit": {"type": "str", "choices": ["auto", "on", "off"], "default": "auto"},
            "audit_role": {"type": "str", "default": ""},
            "certificate": {"type": "str", "default": ""},
            "key": {"type": "str", "default": "", "no_log": True},
            "hardened": {"type": "bool", "default": True},
            "minimum_version": {"type": "str", "default": "0"},
            "minimum_version_enforced": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    os.umask(0o077)
    params = module.params
    cluster = Cluster(params["version"], params["port"], params["timeout"])
    problems = setting_problems(params["settings"]) + hba_problems(params["hba"], params["peer_users"])
    problems += listen_problems(params["listen_addresses"])
    if problems:
        module.fail_json(msg="\n".join([*problems, "Nothing was changed. Correct it and run the same command again."]))
    megabytes = memory(read("/proc/meminfo"))
    try:
        texts = wanted_files(module, cluster, megabytes)
    except ServerError as error:
        module.fail_json(msg=str(error))
    changed = [path for path, text in texts.items() if read(path) != text]
    diff = [
        {"before_header": str(path), "after_header": str(path), "before": read(path), "after": texts[path]}
        for path in changed
        if path != cluster.key
    ]
    result: dict[str, Any] = {"connection": {}, "bin_dir": str(cluster.bin)}
    try:
        if cluster.exists and cluster.dropin in changed:
            cluster.check_settings(texts[cluster.dropin], megabytes)
        if cluster.running_port is not None:
            result["actions"] = apply(module, cluster, texts, changed)
            port = cluster.running_port or cluster.port
            result["connection"] = {"login_unix_socket": SOCKETS, "login_port": port, "login_user": SUPERUSER}
        elif module.check_mode:
            result["actions"] = [f"write {path}" for path in changed]
        else:
            raise ServerError(
                f"{cluster.service} does not run. Nothing was changed. Look at: journalctl -u {cluster.service}"
            )
    except ServerError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(result["actions"]), diff=diff, **result)


if __name__ == "__main__":
    main()
