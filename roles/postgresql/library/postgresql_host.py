#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: look whether a host can have the server, and what it lacks."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_host
short_description: Look whether a host can have PostgreSQL, and what it lacks
description:
  - Refuses, all at once and before anything is changed, a host on which the installation would fail or harm something.
  - Only reads.
options:
  version:
    description: Major version of PostgreSQL.
    type: str
    required: true
  port:
    description: TCP port that the server shall listen on.
    type: int
    required: true
  locale:
    description: Locale of the cluster.
    type: str
    required: true
  packages:
    description: Packages by codename of the system, and C(default) for all others.
    type: dict
    required: true
  listen_addresses:
    description: Addresses that the server shall listen on.
    type: list
    elements: str
    default: []
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
  systems:
    description: Codenames of the systems that the role knows.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    support: full
author:
  - PhysioFlow contributors
"""

EXAMPLES = r"""
- name: Look at the host
  postgresql_host:
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
python_debian:
  description: Whether M(ansible.builtin.deb822_repository) has the library that it needs.
  returned: success
  type: bool
audit:
  description: The package of pgaudit, where it is not installed and apt knows it, or may know it after this run.
  returned: success
  type: str
certificate:
  description: The server's certificate as PEM, where its key fits.
  returned: success
  type: str
hostname:
  description: Name of the host.
  returned: success
  type: str
cluster:
  description: Whether there is a cluster C(main) of this version.
  returned: success
  type: bool
"""

import os
import socket
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.postgresql_files import HBA_ARGUMENT, hba_problems, listen_problems
from ansible.module_utils.postgresql_look import os_release, port_holder, read, run, running_port


def installed(packages: list[str]) -> set[str]:
    """Return those packages that are installed, whole."""
    lines = run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\n", *packages]).out.splitlines()
    return {line.split()[1] for line in lines if line.startswith("ii ")}


def audit_package(version: str, missing: list[str]) -> str:
    """Return the package of pgaudit, empty where it is installed or apt does not know it.

    On a host that lacks the server apt has not read the repository's lists yet.
    """
    name = f"postgresql-{version}-pgaudit"
    if installed([name]):
        return ""
    return name if missing or run(["apt-cache", "show", "--no-all-versions", name]).out else ""


def certificate_of(version: str) -> str:
    """Return the server's certificate, empty where it has none or its key is another's."""
    folder = Path(f"/etc/postgresql/{version}/main")
    text = read(folder / "server.crt")
    if not text:
        return ""
    public = run(["openssl", "x509", "-in", str(folder / "server.crt"), "-noout", "-pubkey"])
    own = run(["openssl", "pkey", "-in", str(folder / "server.key"), "-pubout"])
    return text if public.ok and public.out == own.out else ""


def problems_of(module: AnsibleModule, missing: list[str], cluster: bool) -> list[str]:
    """Return a sentence with its remedy for each reason not to install."""
    params = module.params
    problems: list[str] = hba_problems(params["hba"], params["peer_users"]) + listen_problems(
        params["listen_addresses"]
    )
    if os.geteuid() != 0:
        problems.append(
            "Installing a server needs root, and the modules run as an ordinary user. Let that user use sudo and give "
            "its password with --ask-become-pass."
        )
    if not Path("/run/systemd/system").exists():
        problems.append("The host does not run systemd, which starts the server. Use the provider embedded or managed.")
    read_only = [path for path in ("/etc", "/usr", "/var") if os.statvfs(path).f_flag & os.ST_RDONLY]
    if read_only:
        problems.append(
            f"{', '.join(read_only)} cannot be written: the file system is read-only, as after a fault of the disk or "
            "on an image host. Look at dmesg, make it writable with: mount -o remount,rw /"
        )
    locale = module.params["locale"]
    known = {name.lower().replace("-", "") for name in run(["locale", "-a"]).out.split()}
    if not cluster and locale.lower().replace("-", "") not in known:
        problems.append(
            f"The host does not have the locale {locale} of postgresql_locale. Make it there with: apt-get install "
            f"locales && localedef -i {locale.partition('.')[0]} -f UTF-8 {locale}"
        )
    if missing and (unfinished := run(["dpkg", "--audit"]).out):
        problems.append(
            f"dpkg has packages that are installed by half: {' '.join(unfinished.split())} Repair them on the host "
            "with: dpkg --configure -a && apt-get install --fix-broken"
        )
    port = module.params["port"]
    ours = running_port(Path(f"/var/lib/postgresql/{module.params['version']}/main"))
    if port != ours and (holder := port_holder(port)):
        problems.append(f"Port {port} is taken by {holder}. Stop that, or set postgresql_port to another port.")
    return problems


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "locale": {"type": "str", "required": True},
            "packages": {"type": "dict", "required": True},
            "listen_addresses": {"type": "list", "elements": "str", "default": []},
            "hba": HBA_ARGUMENT,
            "peer_users": {"type": "list", "elements": "str", "default": []},
            "systems": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    system = os_release(read("/etc/os-release"))
    codename = system.get("VERSION_CODENAME", "")
    if codename not in module.params["systems"]:
        module.fail_json(
            msg=f"The host runs {system.get('PRETTY_NAME', 'an unknown system')}; this role knows "
            f"{', '.join(module.params['systems'])}. Nothing was changed. Use one of these, or the provider managed."
        )
    wanted = module.params["packages"].get(codename) or module.params["packages"]["default"]
    there = installed([*wanted, "python3-debian"])
    missing = [name for name in wanted if name not in there]
    cluster = Path(f"/etc/postgresql/{module.params['version']}/main/postgresql.conf").exists()
    if problems := problems_of(module, missing, cluster):
        module.fail_json(msg="\n".join([*problems, "Nothing was changed."]))
    module.exit_json(
        changed=False,
        codename=codename,
        missing=missing,
        python_debian="python3-debian" in there,
        cluster=cluster,
        audit=audit_package(module.params["version"], missing),
        certificate=certificate_of(module.params["version"]),
        hostname=socket.gethostname(),
    )


if __name__ == "__main__":
    main()
