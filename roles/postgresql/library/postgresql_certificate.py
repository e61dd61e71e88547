#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: decide which certificate a database server has to have. Runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_certificate
short_description: Decide which certificate a database server has to have
description:
  - Checks the certificate of the inventory; without one, has a private CA sign one, where the server's own is missing,
    ends soon, is not of this CA or has other names.
  - Makes the CA, once, in a folder of the controller. Its key never leaves that folder.
  - Never fails, because a task whose result holds a key shows nothing of it; C(problems) says what is wrong.
options:
  directory:
    description: Folder of the CA on the controller.
    type: path
    required: true
  names:
    description: Names and addresses that a certificate has to carry.
    type: list
    elements: str
    default: []
  host_names:
    description: Names and addresses that the host is known by.
    type: list
    elements: str
    required: true
  current:
    description: The certificate that the host has, where its key fits.
    type: str
    default: ""
  certificate:
    description: A certificate of the inventory, as text or as a file of the controller.
    type: str
    default: ""
  key:
    description: Its key, as text or as a file of the controller.
    type: str
    default: ""
  days:
    description: How long a new certificate is valid.
    type: int
    required: true
  renew_before:
    description: Days before its end at which it is renewed.
    type: int
    required: true
attributes:
  check_mode:
    support: full
author:
  - PhysioFlow contributors
"""

EXAMPLES = r"""
- name: Decide which certificate the server has to have
  postgresql_certificate:
    directory: /home/admin/inventories/production/group_vars/tls
    host_names: [db1.example, 10.0.0.5]
    days: 825
    renew_before: 90
  delegate_to: localhost
  no_log: true
"""

RETURN = r"""
problems:
  description: Why nothing can be done, and what to do.
  returned: always
  type: list
  elements: str
warnings_of_tls:
  description: What will be a problem soon.
  returned: always
  type: list
  elements: str
certificate:
  description: The certificate as PEM; empty in check mode where it would be a new one.
  returned: always
  type: str
key:
  description: Its key as PEM; empty where the host has it already.
  returned: always
  type: str
"""

import datetime
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.postgresql_tls import (
    ends_on,
    given_problems,
    host_names,
    is_of_a_ca_of_ours,
    make_ca,
    sign,
    why_new,
)

BEGIN = "-----BEGIN"
STATE = "Nothing was changed."


class TlsError(Exception):
    """A failure that is told to the user as it stands."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder: every host of a play asks at the same time, and there shall be one CA."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def private(path: Path, what: str) -> str:
    """Return the text of a key file that nobody else can read."""
    mode = path.stat().st_mode
    if mode & 0o077:
        raise TlsError(f"{what} {path} can be read by others than its owner. {STATE} Correct it with: chmod 600 {path}")
    return path.read_text(encoding="utf-8")


def given(params: dict[str, Any], now: datetime.datetime) -> dict[str, Any]:
    """Return what the inventory gives, once it is sound."""
    texts = {}
    for name in ("certificate", "key"):
        value = params[name].strip()
        if not value:
            raise TlsError(
                f"The inventory has a certificate or a key, and postgresql_tls_{name} is empty. {STATE} Set both, or "
                "none for a certificate of the private CA."
            )
        if value.startswith(BEGIN):
            texts[name] = value + "\n"
            continue
        path = Path(value)
        try:
            texts[name] = (
                private(path, "The key file of postgresql_tls_key,") if name == "key" else path.read_text("utf-8")
            )
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) else "it is no text"
            # A key that was pasted without its first line is no path, and nothing to show.
            shown = value if name == "certificate" or ("\n" not in value and "/" in value) else "that value"
            raise TlsError(
                f"postgresql_tls_{name} is neither PEM nor a file of the controller that can be read: {shown}: {said}. "
                f"{STATE} Correct the path, or give the text from the vault."
            ) from error
    own = host_names(params["host_names"])
    problems = given_problems(texts["certificate"], texts["key"], own, params["names"], now)
    if problems:
        raise TlsError(f"{' '.join(problems)} {STATE} Correct the inventory's group_vars or the certificate.")
    warnings = []
    left = ends_on(texts["certificate"]) - now
    if left < datetime.timedelta(days=params["renew_before"]):
        warnings.append(f"postgresql_tls_certificate ends in {left.days} days. Replace it in the inventory.")
    changed = texts["certificate"] != params["current"]
    return {"certificate": texts["certificate"], "key": texts["key"], "warnings_of_tls": warnings, "changed": changed}


def signed(params: dict[str, Any], now: datetime.datetime, check: bool) -> dict[str, Any]:
    """Return a certificate of the private CA: the one that is there, or a new one."""
    names = host_names([*params["host_names"], *params["names"]])
    folder = Path(params["directory"])
    ca_file, key_file = folder / "ca.crt", folder / "ca.key"
    ca = ca_file.read_text("utf-8") if ca_file.exists() else ""
    same = {"certificate": params["current"], "key": "", "warnings_of_tls": [], "changed": False}
    reason = why_new(params["current"], ca, names, now, params["renew_before"])
    if not reason:
        return same
    if not ca and is_of_a_ca_of_ours(params["current"]):
        raise TlsError(
            f"The server needs a new certificate ({reason}), and the CA that clients trust is not in {folder}. {STATE} "
            "Copy ca.crt and ca.key there from the controller of the first deploy. For another CA, which every client "
            "then needs: remove server.crt and server.key on the host."
        )
    if check:
        return {**same, "certificate": "", "changed": True}
    with alone(folder):
        if not ca_file.exists() and not key_file.exists():
            texts = make_ca(now, secrets.token_hex(4))
            # The key first: a CA without its key would be refused by the next run.
            for path, text, mode in ((key_file, texts[1], 0o600), (ca_file, texts[0], 0o644)):
                new = path.with_suffix(".new")
                new.unlink(missing_ok=True)
                with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
                    os.fchmod(file.fileno(), mode)
                    file.write(text)
                new.replace(path)
        for path in (ca_file, key_file):
            if not path.exists():
                raise TlsError(
                    f"The server needs a new certificate ({reason}), and {path} is missing. {STATE} Copy it there from "
                    "where the CA is kept."
                )
        ca = ca_file.read_text("utf-8")
        ca_key = private(key_file, "The key of the CA,")
    if ends_on(ca) - now < datetime.timedelta(days=params["renew_before"]):
        raise TlsError(
            f"The CA {ca_file} ends on {ends_on(ca):%Y-%m-%d}. {STATE} Move ca.crt and ca.key away, run the same "
            "command again, and give the new ca.crt to every client, best together with the old one in one file."
        )
    certificate, key = sign(ca, ca_key, names, now, params["days"])
    return {"certificate": certificate, "key": key, "warnings_of_tls": [], "changed": True}


def main() -> None:
    """Run the module."""
    words = {"type": "list", "elements": "str"}
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "names": {**words, "default": []},
            "host_names": {**words, "required": True},
            "current": {"type": "str", "default": ""},
            "certificate": {"type": "str", "default": ""},
            "key": {"type": "str", "default": "", "no_log": False},  # the task has no_log; the result holds it too
            "days": {"type": "int", "required": True},
            "renew_before": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    now = datetime.datetime.now(datetime.UTC)
    result: dict[str, Any] = {"certificate": "", "key": "", "warnings_of_tls": [], "changed": False, "problems": []}
    try:
        if params["certificate"].strip() or params["key"].strip():
            result |= given(params, now)
        else:
            result |= signed(params, now, module.check_mode)
    except TlsError as error:
        result["problems"] = [str(error)]
    except (OSError, ValueError) as error:
        result["problems"] = [f"The CA in {params['directory']} cannot be used: {error}. {STATE}"]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
