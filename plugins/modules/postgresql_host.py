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
extends_documentation_fragment:
  - physioflow.database.attributes
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
  systems:
    description: Codenames of the systems that the role knows.
    type: list
    elements: str
    required: true
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
python_debian:
  description: Whether M(ansible.builtin.deb822_repository) has the library that it needs.
  returned: success
  type: bool
cluster:
  description: Whether there is a cluster C(main) of this version.
  returned: success
  type: bool
interrupted:
  description: Whether a first run of this role ended while dpkg was at work for it.
  returned: success
  type: bool
audit:
  description: Whether pgaudit is installed.
  returned: success
  type: bool
audit_known:
  description: Whether apt knows its package.
  returned: success
  type: bool
"""

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.system.apt import REPAIR
from ansible_collections.physioflow.database.plugins.module_utils.system.look import (
    os_release,
    port_holder,
    read,
    run,
    running_port,
    unfinished_packages,
)

# The role writes it before it installs anything.
BEGUN = Path("/etc/postgresql-common/createcluster.d/physioflow.conf")


def installed(packages: list[str]) -> set[str]:
    """Return those packages that are installed, whole."""
    lines = run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\n", *packages]).out.splitlines()
    return {line.split()[1] for line in lines if line.startswith("ii ")}


def problems_of(module: AnsibleModule, cluster: bool, unfinished: str) -> list[str]:
    """Return a sentence with its remedy for each reason not to install."""
    problems = []
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
    if unfinished:
        problems.append(f"dpkg has packages that are installed by half: {' '.join(unfinished.split())} {REPAIR}")
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
    there = installed([*wanted, "python3-debian", f"postgresql-{module.params['version']}-pgaudit"])
    missing = [name for name in wanted if name not in there]
    folder = Path(f"/etc/postgresql/{module.params['version']}/main")
    cluster = (folder / "postgresql.conf").exists()
    unfinished = unfinished_packages() if missing else ""
    interrupted = bool(unfinished) and BEGUN.exists() and not (folder / "conf.d/physioflow.conf").exists()
    if problems := problems_of(module, cluster, "" if interrupted else unfinished):
        module.fail_json(msg="\n".join([*problems, "Nothing was changed."]))
    audit = f"postgresql-{module.params['version']}-pgaudit"
    audited = audit in there
    module.exit_json(
        changed=False,
        codename=codename,
        missing=missing,
        python_debian="python3-debian" in there,
        cluster=cluster,
        interrupted=interrupted,
        audit=audited,
        audit_known=audited
        or "Candidate: (none)" not in (run(["apt-cache", "policy", audit]).out or "Candidate: (none)"),
    )


if __name__ == "__main__":
    main()
