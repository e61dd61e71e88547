# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Explains in one sentence why apt failed, with the remedy. Pure."""

from __future__ import annotations

import re

_SIGNATURE = re.compile(
    r"NO_PUBKEY|(EXP|REV)KEYSIG|BADSIG|EXPSIG|KEYEXPIRED|not signed|GPG error|OpenPGP|signature", re.I
)
_DPKG = re.compile(
    r"dpkg --configure|dpkg was interrupted|Sub-process /usr/bin/dpkg returned|unmet dep|--fix-broken", re.I
)
_LOCK = re.compile(r"\block\b|frontend", re.I)
_DATE = re.compile(r"not valid yet|Release file[^:]* expired", re.I)
_NETWORK = re.compile(
    r"connect|resolv|timed? ?out|Failed to fetch|404|403|unreachable|Download.*failed|Certificate", re.I
)
_MISSING = re.compile(r"No package matching '([^']+)'|Unable to locate package (\S+)|no installation candidate", re.I)
REPAIR = (
    "Repair them on the host with: dpkg --configure -a && apt-get install --fix-broken; if dpkg asks to "
    "reinstall one: apt-get install --reinstall NAME."
)
STATE = "Nothing was installed without a valid signature, and a running server was not changed."


def explain(message: str, *, repository: str, proxy: str, holder: str, unfinished: str, waited: int) -> str:
    """Return the failure, its cause, the state and the remedy.

    Args:
        message: the output of apt and Ansible's module.
        repository: address of the PostgreSQL repository; empty for that of the distribution.
        proxy: the proxy in use; empty for none.
        holder: the process that holds the lock of apt; empty for none.
        unfinished: output of `dpkg --audit`; empty where every package is complete.
        waited: seconds of waiting for the lock.
    """
    said = " ".join(message.split())
    where = repository or "the repositories of the distribution"
    missing = _MISSING.search(said)
    if _LOCK.search(said) and (holder or "Could not get lock" in said or "Failed to lock" in said):
        what = f"apt is locked by {holder or 'another process'}, and this run waited {waited} s for it: {said}"
        remedy = "Wait until that process ends, or raise postgresql_apt_lock_timeout."
    elif unfinished or _DPKG.search(said):
        what = f"dpkg has half-installed packages: {' '.join(unfinished.split())} {said}"
        remedy = REPAIR
    elif _DATE.search(said):
        what = f"apt refuses the lists of {where} because of their date: {said}"
        remedy = "Correct the clock of the host, or update the mirror."
    elif _SIGNATURE.search(said):
        what = f"apt refuses {where}: it is not signed with the required key: {said}"
        remedy = "Correct postgresql_repository_key, or the keys of the host for the distribution's own repositories."
    elif missing:
        what = f"There is no package {missing[1] or missing[2] or 'of this name'} in {where}: {said}"
        remedy = (
            "Set postgresql_version to an available version, or set another repository (postgresql_repository_url)."
        )
    elif _NETWORK.search(said):
        through = f"through the proxy {proxy}" if proxy else "without a proxy (postgresql_proxy names one)"
        what = f"The host cannot fetch packages from {where} {through}: {said}"
        remedy = "Correct postgresql_repository_url, postgresql_proxy or the network of the host."
    else:
        what = f"apt failed on the host: {said}"
        remedy = "Remove the cause."
    return f"{what} {STATE} {remedy} Then run the same command again."
