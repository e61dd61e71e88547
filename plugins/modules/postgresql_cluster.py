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
  - Reloads; restarts, once, only where the server says that a setting waits for it.
  - Closes the folders and files of the cluster to other users of the host, and keeps what the superuser types out of a
    file; a history that is there is left, and warned of.
  - Refuses a cluster that was made with another encoding or locale or without data checksums. It never makes one anew.
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
  certificate:
    description: PEM of a new certificate of the server; empty to keep what is there.
    type: str
    default: ""
  key:
    description: PEM of its key, where the host did not make it.
    type: str
    default: ""
  ca:
    description: PEM of the CA that clients check it with; empty to keep what is there.
    type: str
    default: ""
  audit:
    description: Whether pgaudit is loaded; C(auto) where it is installed.
    type: str
    choices: [auto, "on", "off"]
    default: auto
  audit_role:
    description: Role whose privileges say which tables are read under audit.
    type: str
    default: emr_audit
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
from ansible_collections.physioflow.database.plugins.module_utils.system.files import (
    HEADER,
    SUPERUSER,
    audit_settings,
    cluster_differences,
    hba_problems,
    hba_text,
    ident_text,
    setting_problems,
    settings_text,
    unit_text,
    version_number,
)
from ansible_collections.physioflow.database.plugins.module_utils.system.look import cores, memory, read
from ansible_collections.physioflow.database.plugins.module_utils.system.server import (
    SOCKETS,
    Cluster,
    ServerError,
    server_number,
)
from ansible_collections.physioflow.database.plugins.module_utils.system.tuning import tuned_settings, usual_memory

UNCHANGED = "The former files are back and the server goes on as before."


def wanted_files(module: AnsibleModule, cluster: Cluster, megabytes: int) -> dict[Path, str]:
    """Return the texts of the files."""
    params = module.params
    usable = params["memory"] or usual_memory(megabytes)
    settings = {
        **tuned_settings(usable, cores(), params["max_connections"]),
        **params["base_settings"],
        **params["settings"],
        "port": cluster.port,
        "listen_addresses": ", ".join(params["listen_addresses"]),
        "ssl_cert_file": str(cluster.certificate),
        "ssl_key_file": str(cluster.key),
    }
    if params["audit"] != "off" and cluster.audit.exists():
        libraries = [word.strip() for word in str(settings.get("shared_preload_libraries", "")).split(",")]
        settings["shared_preload_libraries"] = ",".join(dict.fromkeys(["pgaudit", *filter(None, libraries)]))
        settings = {**audit_settings(params["audit_role"]), **settings}
    given = {cluster.certificate: "certificate", cluster.key: "key", cluster.ca: "ca"}
    return {
        cluster.unit: unit_text(),
        **{path: params[name] for path, name in given.items() if params[name]},
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
    check_version(module, state)
    if module.check_mode:
        warn_of(module, cluster, state)
        restart = ["restart"] if state["pending"] or cluster.unit in changed or cluster.waits_for_restart else []
        return [f"write {path}" for path in changed] + closing(cluster) + restart
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
        if state["pending"] or cluster.unit in changed or cluster.waits_for_restart:
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
    actions += closing(cluster)
    cluster.close()
    warn_of(module, cluster, state)
    if module.params["audit"] == "auto" and not cluster.audit.exists():
        module.warn(
            f"No audit: apt has no package postgresql-{cluster.version}-pgaudit. The log says who connects and what "
            'changes tables, not who writes rows. PGDG has the package; postgresql_audit: "off" ends this message.'
        )
    return actions


def warn_of(module: AnsibleModule, cluster: Cluster, state: dict[str, Any]) -> None:
    """Warn of what this role leaves to a person: also where it has nothing to do, and only looks."""
    for place in state["overridden"]:
        module.warn(f"The setting {place} wins over that of postgresql_settings. Remove it there, or accept it.")
    if cluster.history.is_file():
        module.warn(f"{cluster.history} keeps what the superuser typed, patients' data too. Remove it and run again.")


def closing(cluster: Cluster) -> list[str]:
    """Return what closing the cluster does."""
    link = [] if os.path.lexists(cluster.history) else [f"link {cluster.history} to /dev/null"]
    return [f"close {path} ({mode:04o})" for path, mode in cluster.open_paths().items()] + link


def keep_foreign(module: AnsibleModule, cluster: Cluster, former: dict[Path, str]) -> None:
    """Keep a copy of a file with rules that this role did not make, once: pg_hba.conf of the package is one."""
    for path in (cluster.hba, cluster.ident):
        text = former.get(path, "")
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
        raise ServerError(f"{sentence}. Nothing was changed.")
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
            "hba": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "type": {"type": "str", "choices": ["hostssl", "local"], "default": "hostssl"},
                    "databases": word,
                    "users": word,
                    "address": {"type": "str"},
                    "method": {
                        "type": "str",
                        "choices": ["scram-sha-256", "cert", "peer", "reject"],
                        "default": "scram-sha-256",
                    },
                },
            },
            "peer_users": {"type": "list", "elements": "str", "default": []},
            "certificate": {"type": "str", "default": ""},
            "key": {"type": "str", "default": "", "no_log": True},
            "ca": {"type": "str", "default": ""},
            "audit": {"type": "str", "choices": ["auto", "on", "off"], "default": "auto"},
            "audit_role": {"type": "str", "default": "emr_audit"},
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
    if problems:
        module.fail_json(msg="\n".join([*problems, "Nothing was changed. Correct it and run the same command again."]))
    megabytes = memory(read("/proc/meminfo"))
    texts = wanted_files(module, cluster, megabytes)
    changed = [path for path, text in texts.items() if read(path) != text]
    diff = [
        {"before_header": str(path), "after_header": str(path), "before": read(path), "after": texts[path]}
        for path in changed
        if path != cluster.key
    ]
    if cluster.exists and (closed := closing(cluster)):
        diff.append({"prepared": "".join(f"{line}\n" for line in closed)})
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
