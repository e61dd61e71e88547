#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: check whether a host can run PostgreSQL, what it lacks, and what runs there."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_host
short_description: Check whether a host can run PostgreSQL, what it lacks, and what runs there
description:
  - Refuses a host on which the installation would fail or do harm, a cluster with another encoding or locale or
    without data checksums, and a CA that the clients of the host do not know. Reports all reasons at once, before
    anything is changed.
  - Returns all facts from which the roles decide whether there is anything to do.
  - Only reads.
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  version:
    description: Major version of PostgreSQL.
    type: str
    required: true
  port:
    description: TCP port for the server.
    type: int
    required: true
  locale:
    description: Locale of the cluster.
    type: str
    required: true
  packages:
    description: Packages by codename of the system; C(default) holds those of all other systems.
    type: dict
    required: true
  systems:
    description: Codenames of the supported systems.
    type: list
    elements: str
    required: true
  memory:
    description: Memory for the server, in MB; 0 for all memory of the host.
    type: int
    default: 0
  max_connections:
    description: Number of concurrent sessions.
    type: int
    default: 100
  minimum_version:
    description: Oldest release that is accepted without a warning, for instance 16.15.
    type: str
    default: "0"
  minimum_version_enforced:
    description: Fail below the minimum version instead of giving a warning.
    type: bool
    default: false
  names:
    description: Names and addresses of the host, for a certificate of the private CA; empty for another certificate.
    type: list
    elements: str
    default: []
  ca:
    description: PEM of the controller's CA; empty where it has none.
    type: str
    default: ""
  ca_folder:
    description: Folder of the CA on the controller.
    type: str
    default: ""
  can_sign:
    description: Whether the folder also holds the key of the CA.
    type: bool
    default: false
  days_before:
    description: Days before its expiry at which a certificate is renewed.
    type: int
    default: 30
author:
  - PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Look at the host
  physioflow.database.postgresql_host:
    version: "16"
    port: 5432
    locale: C.UTF-8
    packages: {default: [postgresql-16, python3-psycopg]}
    systems: [bookworm, trixie]
"""

RETURN = r"""
codename:
  description: Codename of the system, for instance bookworm.
  returned: success
  type: str
missing:
  description: Packages that are not installed.
  returned: success
  type: list
  elements: str
ca_certificates:
  description: Whether the host can verify HTTPS servers.
  returned: success
  type: bool
cluster:
  description: Whether a cluster C(main) of this version exists.
  returned: success
  type: bool
interrupted:
  description: Whether a first run of this role was interrupted while dpkg was running.
  returned: success
  type: bool
audit:
  description: Whether pgaudit is installed.
  returned: success
  type: bool
audit_known:
  description: Whether apt offers the pgaudit package.
  returned: success
  type: bool
tuned:
  description: Server settings derived from the memory and cores of the host.
  returned: success
  type: dict
sha256:
  description: SHA-256 of C(sources) of apt and of the files of M(physioflow.database.postgresql_cluster), by its names.
  returned: success
  type: dict
starts:
  description: Whether the service runs and starts with the host.
  returned: success
  type: bool
connection:
  description: Connection of a superuser for the modules of community.postgresql; empty where no server runs.
  returned: success
  type: dict
waiting:
  description: What M(physioflow.database.postgresql_cluster) would do even without a new file.
  returned: success
  type: list
  elements: str
certificate_reason:
  description: Why a certificate is needed; empty where none is needed, or where it could not be checked.
  returned: success
  type: str
ca_elsewhere:
  description: Whether the host has a CA that this controller does not have.
  returned: success
  type: bool
"""

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.system.apt import REPAIR
from ansible_collections.physioflow.database.plugins.module_utils.system.files import (
    SUPERUSER,
    cluster_differences,
    version_number,
)
from ansible_collections.physioflow.database.plugins.module_utils.system.look import (
    cores,
    memory,
    os_release,
    port_holder,
    read,
    run,
    unfinished_packages,
)
from ansible_collections.physioflow.database.plugins.module_utils.system.server import (
    Cluster,
    ServerError,
    server_number,
)
from ansible_collections.physioflow.database.plugins.module_utils.system.tls import (
    ca_refusal,
    ends_within,
    renewal_reason,
    utc_now,
)
from ansible_collections.physioflow.database.plugins.module_utils.system.tuning import tuned_settings, usual_memory

# The role writes this file before it installs anything.
BEGUN = Path("/etc/postgresql-common/createcluster.d/physioflow.conf")
SOURCES = Path("/etc/apt/sources.list.d/pgdg.sources")


def installed(packages: list[str]) -> set[str]:
    """Return those packages that are completely installed."""
    lines = run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\n", *packages]).out.splitlines()
    return {line.split()[1] for line in lines if line.startswith("ii ")}


def problems_of(module: AnsibleModule, cluster: Cluster, unfinished: str) -> list[str]:
    """Return a sentence with its remedy for each reason not to install."""
    problems = []
    if os.geteuid() != 0:
        problems.append(
            "Installing a server needs root, and the modules run as an ordinary user. Allow that user sudo and give "
            "its password with --ask-become-pass."
        )
    if not Path("/run/systemd/system").exists():
        problems.append("The host does not run systemd, which starts the server. Use the provider embedded or managed.")
    read_only = [path for path in ("/etc", "/usr", "/var") if os.statvfs(path).f_flag & os.ST_RDONLY]
    if read_only:
        problems.append(
            f"{', '.join(read_only)} cannot be written: the file system is read-only, for example after a disk fault "
            "or on an immutable image. Check dmesg, then make it writable: mount -o remount,rw /"
        )
    locale = module.params["locale"]
    known = {name.lower().replace("-", "") for name in run(["locale", "-a"]).out.split()}
    if not cluster.exists and locale.lower().replace("-", "") not in known:
        problems.append(
            f"The host does not have the locale {locale} of postgresql_locale. Create it there: apt-get install "
            f"locales && localedef -i {locale.partition('.')[0]} -f UTF-8 {locale}"
        )
    if unfinished:
        problems.append(f"dpkg has half-installed packages: {' '.join(unfinished.split())} {REPAIR}")
    port = module.params["port"]
    if port != cluster.running_port and (holder := port_holder(port)):
        problems.append(f"Port {port} is taken by {holder}. Stop it, or set postgresql_port to another port.")
    return problems


def look_at_server(module: AnsibleModule, cluster: Cluster) -> dict[str, Any]:
    """Return the connection to a running server and its waiting actions; warn about manual steps."""
    state = cluster.state()
    if differences := cluster_differences(state, module.params["locale"]):
        raise ServerError(
            f"The cluster {cluster.version}/main exists with other options: {'; '.join(differences)}. A deploy "
            "never recreates it, and nothing was changed. Set postgresql_locale to its locale. To switch checksums on: "
            f"systemctl stop {cluster.service} && sudo -u {SUPERUSER} {cluster.bin}/pg_checksums --enable -D "
            f"{cluster.data} && systemctl start {cluster.service}. For another encoding, dump the databases and "
            "restore them on a new host."
        )
    minimum = module.params["minimum_version"]
    if server_number(state) < version_number(minimum):
        sentence = (
            f"The server is PostgreSQL {state['version'].split()[0]}; releases before {minimum} have known faults. "
            "Update it on the host: apt-get update && apt-get install --only-upgrade "
            f"postgresql-{cluster.version}"
        )
        if module.params["minimum_version_enforced"]:
            raise ServerError(f"{sentence}. Nothing was changed.")
        module.warn(sentence)
    for sentence in cluster.warnings(state):
        module.warn(sentence)
    restart = ["restart"] if cluster.needs_restart(state) else []
    return {"connection": cluster.connection, "waiting": cluster.closing() + restart}


def look_at_certificate(module: AnsibleModule, cluster: Cluster) -> dict[str, Any]:
    """Return why a certificate of the private CA is needed, and whether only another controller has the CA."""
    params = module.params
    known = read(cluster.ca)
    ca = params["ca"] or known
    now = utc_now()
    reason = renewal_reason(
        read(cluster.certificate),
        read(cluster.key),
        ca,
        names=params["names"],
        now=now,
        days_before=params["days_before"],
    )
    places = {"here": params["ca_folder"], "there": str(cluster.folder)}
    if refusal := ca_refusal(known, params["ca"], reason, can_sign=params["can_sign"], **places):
        raise ServerError(refusal)
    if ends_within(ca, now, params["days_before"]):
        module.warn(
            f"The CA of {params['ca_folder']} expires soon, and no certificate can outlive it: see Change the CA in "
            "docs/connect-an-application.md."
        )
    found = {"certificate_reason": reason, "ca_elsewhere": bool(known) and not params["ca"]}
    # Where it is needed, and nothing is done about it.
    preview = {"changed": True, "diff": {"prepared": f"A new server.crt, because {reason}\n"}}
    return found | (preview if reason and module.check_mode else {})


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "locale": {"type": "str", "required": True},
            "packages": {"type": "dict", "required": True},
            "systems": {"type": "list", "elements": "str", "required": True},
            "memory": {"type": "int", "default": 0},
            "max_connections": {"type": "int", "default": 100},
            "minimum_version": {"type": "str", "default": "0"},
            "minimum_version_enforced": {"type": "bool", "default": False},
            "names": {"type": "list", "elements": "str", "default": []},
            "ca": {"type": "str", "default": ""},
            "ca_folder": {"type": "str", "default": ""},
            "can_sign": {"type": "bool", "default": False},
            "days_before": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    params = module.params
    system = os_release(read("/etc/os-release"))
    codename = system.get("VERSION_CODENAME", "")
    if codename not in params["systems"]:
        module.fail_json(
            msg=f"The host runs {system.get('PRETTY_NAME', 'an unknown system')}; this role supports "
            f"{', '.join(params['systems'])}. Nothing was changed. Use one of these, or the provider managed."
        )
    audit = f"postgresql-{params['version']}-pgaudit"
    wanted = params["packages"].get(codename) or params["packages"]["default"]
    there = installed([*wanted, "ca-certificates", audit])
    missing = [name for name in wanted if name not in there]
    cluster = Cluster(params["version"], params["port"])
    unfinished = unfinished_packages() if missing else ""
    interrupted = bool(unfinished) and BEGUN.exists() and not cluster.dropin.exists()
    if problems := problems_of(module, cluster, "" if interrupted else unfinished):
        module.fail_json(msg="\n".join([*problems, "Nothing was changed."]))
    known = audit in there or "Candidate: (none)" not in (
        run(["apt-cache", "policy", audit]).out or "Candidate: (none)"
    )
    usable = params["memory"] or usual_memory(memory(read("/proc/meminfo")))
    result: dict[str, Any] = {
        "changed": False,
        "codename": codename,
        "missing": missing,
        "ca_certificates": "ca-certificates" in there,
        "cluster": cluster.exists,
        "interrupted": interrupted,
        "audit": audit in there,
        "audit_known": known,
        "tuned": tuned_settings(usable, cores(), params["max_connections"]),
        "sha256": {
            name: module.sha256(str(path)) or "" for name, path in {**cluster.files, "sources": SOURCES}.items()
        },
        "starts": all(run(["systemctl", verb, cluster.service]).ok for verb in ("is-active", "is-enabled")),
        "connection": {},
        "waiting": [],
        "certificate_reason": "",
        "ca_elsewhere": False,
    }
    try:
        if cluster.exists and not missing and cluster.running_port is not None:
            result |= look_at_server(module, cluster)
        if params["names"] and not missing:  # cryptography is installed by then
            result |= look_at_certificate(module, cluster)
    except ServerError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
