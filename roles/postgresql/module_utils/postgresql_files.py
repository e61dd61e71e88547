# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The texts of PostgreSQL's files: settings, pg_hba.conf, pg_ident.conf; and what is wrong with their input. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

HEADER = "# Made by the Ansible role postgresql"
MAP = "physioflow"  # of pg_ident.conf
SUPERUSER = "postgres"
# pgaudit without a statement's text and parameters: a literal may be a patient's name. What stays is who did what to
# which table when, and how many rows it was.
AUDIT_SETTINGS = {
    "pgaudit.log": "write, ddl, role",
    "pgaudit.log_statement": False,
    "pgaudit.log_parameter": False,
    "pgaudit.log_relation": True,
    "pgaudit.log_rows": True,
    "pgaudit.log_catalog": False,
    "pgaudit.log_client": False,
}
# Of the modules that take rules: how AnsibleModule reads `postgresql_hba`.
HBA_ARGUMENT: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "type": {"type": "str", "choices": ["hostssl", "local"], "default": "hostssl"},
        "databases": {"type": "list", "elements": "str", "required": True},
        "users": {"type": "list", "elements": "str", "required": True},
        "address": {"type": "str"},
        "method": {
            "type": "str",
            "choices": ["scram-sha-256", "cert", "peer", "reject"],
            "default": "scram-sha-256",
        },
    },
}
_WIDEST = {4: 8, 6: 32}  # bits of a network's prefix

_SETTING = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_WORD = re.compile(r"[\w+./:$-]+")  # of pg_hba.conf: it needs no quotes and cannot be two words
_ROLE = re.compile(r"[a-z_][a-z0-9_]*")
_NOT_ONE_ROLE = (SUPERUSER, "all", "samerole", "samegroup", "replication")
_EVERY_DATABASE = ("all", "sameuser", "samerole", "samegroup")
_EVERYWHERE = ("*", "0.0.0.0", "::")  # noqa: S104 - they are refused
_ELSEWHERE = {
    "port": "postgresql_port",
    "listen_addresses": "postgresql_listen_addresses",
    **dict.fromkeys(("data_directory", "config_file", "hba_file", "ident_file", "external_pid_file"), "the package"),
    "unix_socket_directories": "the package",
}


def setting_problems(settings: Mapping[Any, object]) -> list[str]:
    """Return a sentence for each entry of `postgresql_settings` that no server has to see to refuse it."""
    problems = []
    for name, value in settings.items():
        if not isinstance(name, str) or not _SETTING.fullmatch(name):
            problems.append(f"{name!r} is not the name of a server setting (lower-case letters, digits and _).")
        elif name in _ELSEWHERE:
            problems.append(f"The server setting {name} is decided by {_ELSEWHERE[name]}.")
        elif not isinstance(value, (str, int, float)) or re.search(r"[\0\r\n]", str(value)):
            problems.append(f"The server setting {name} is not one line of text, a number or true/false.")
    return problems


def setting_text(value: object) -> str:
    """Return a value as the server's file has it: a text in quotes, YAML's true and false as on and off."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    return str(value)


def settings_text(settings: Mapping[str, object]) -> str:
    """Write the drop-in file of our server settings."""
    lines = [f"{HEADER}; set postgresql_settings instead of editing."]
    lines += [f"{name} = {setting_text(settings[name])}" for name in sorted(settings)]
    return "\n".join(lines) + "\n"


def hba_problems(rules: Iterable[Mapping[str, Any]], peers: Iterable[str] = ()) -> list[str]:
    """Return a sentence for each rule that would not be one line of pg_hba.conf; the server checks what it says."""
    problems = [
        f"postgresql_peer_users has {name!r}, which is not the name of one role."
        for name in peers
        if name in _NOT_ONE_ROLE or not _ROLE.fullmatch(name)
    ]
    for number, rule in enumerate(rules, start=1):
        address = rule.get("address") or ""
        words = [*rule["databases"], *rule["users"], *([address] if address else [])]
        where = f"Rule {number} of postgresql_hba"
        if not rule["databases"] or not rule["users"]:
            problems.append(f"{where} names no database or no user.")
        problems += [
            f"{where} has {word!r}, which is not one word." for word in words if not _WORD.fullmatch(str(word))
        ]
        problems += [f"{where} {said}" for said in _too_wide(rule, address)]
        if (rule["type"] == "local") is bool(address):
            problems.append(f"{where} is of type {rule['type']} and {'has an' if address else 'has no'} address.")
    return problems


def _too_wide(rule: Mapping[str, Any], address: str) -> list[str]:
    """Return what a rule lets in that nobody meant; rows S1 to S3 of the checklist of security."""
    problems = []
    if set(rule["databases"]).intersection(_EVERY_DATABASE):
        problems.append("is for all databases. Name those that its users need.")
    if "all" in rule["users"]:
        problems.append("is for all users. Name them.")
    if rule["type"] == "local":
        if rule["method"] not in ("peer", "reject"):
            problems.append(
                "lets somebody in by the socket with a password. Use the method peer, or postgresql_peer_users."
            )
        return problems
    if {SUPERUSER, f"+{SUPERUSER}"}.intersection(rule["users"]) and rule["method"] != "reject":
        problems.append(
            f"lets the superuser {SUPERUSER} in over the network. Log in to the host and use: sudo -u {SUPERUSER} psql"
        )
    if rule["method"] == "peer":
        problems.append("has the method peer, which only the socket has. Use scram-sha-256.")
    if address in ("all", "samenet"):
        problems.append(f"is for the address {address}. Name the network of the application, for instance 10.0.0.0/24.")
    try:
        network = ipaddress.ip_network(address, strict=False)
    except ValueError:  # a host name, or something that the server refuses
        return problems
    if network.prefixlen < _WIDEST[network.version]:
        problems.append(
            f"is for {address}, which is wider than /{_WIDEST[network.version]}. Name the network of the application, "
            "for instance 10.0.0.0/24."
        )
    return problems


def listen_problems(addresses: Iterable[str]) -> list[str]:
    """Return a sentence for each address that stands for all of the host's, those that it will have, too."""
    return [
        f"postgresql_listen_addresses has {address!r}, which is every network of the host, also one that is added "
        "later. Name the address of the application's network, or the host's own name where its address changes."
        for address in addresses
        if address.strip() in _EVERYWHERE
    ]


def with_audit(settings: Mapping[str, Any], role: str) -> dict[str, Any]:
    """Return settings with pgaudit loaded beside other libraries; a setting of the inventory wins.

    Args:
        settings: entries of `postgresql_settings`.
        role: role whose privileges name the tables that are audited when they are read; empty for none.
    """
    loaded = str(settings.get("shared_preload_libraries", ""))
    libraries = [name.strip() for name in loaded.split(",") if name.strip()]
    libraries += [] if "pgaudit" in libraries else ["pgaudit"]
    audit = {**AUDIT_SETTINGS, **({"pgaudit.role": role} if role else {})}
    return {**audit, **settings, "shared_preload_libraries": ", ".join(libraries)}


def unit_text() -> str:
    """Write the drop-in of the service: what a server that was taken over cannot do to the host.

    ProtectSystem is not `strict`, because tablespaces and pg_wal may lie on other disks. The restart is for a server
    that was killed (as by the kernel out of memory); one that does not start is not tried for ever. ExecStop is the
    package's, with a `-`: there is nothing to stop in a server that was killed, and without the `-` that failure of
    pg_ctlcluster takes the place of the signal, and systemd does not restart.
    """
    return f"""{HEADER}.
[Service]
UMask=0077
NoNewPrivileges=yes
PrivateTmp=yes
ProtectHome=yes
ProtectSystem=full
ProtectControlGroups=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
ExecStop=
ExecStop=-/usr/bin/pg_ctlcluster --skip-systemctl-redirect -m fast %i stop
Restart=on-abnormal
RestartSec=5s
"""


def hba_text(rules: Iterable[Mapping[str, Any]], peers: Iterable[str] = ()) -> str:
    """Write pg_hba.conf. Whom no rule names is not let in.

    Args:
        rules: entries of `postgresql_hba`.
        peers: roles that the user of the host of the same name comes in as.
    """
    lines = [
        f"{HEADER}; set postgresql_hba instead of editing.",
        "# TYPE DATABASE USER ADDRESS METHOD",
        "# The administrator of this host and the user postgres; nobody comes in as superuser over the network.",
        f"local all {SUPERUSER} peer map={MAP}",
        *(f"local all {name} peer" for name in peers),
    ]
    for rule in rules:
        parts = [rule["type"], ",".join(rule["databases"]), ",".join(rule["users"])]
        lines.append(" ".join([*parts, *([rule["address"]] if rule.get("address") else []), rule["method"]]))
    return "\n".join(lines) + "\n"


def ident_text() -> str:
    """Write pg_ident.conf: which users of the host are the superuser.

    Root can become any of them anyway. With it in the map, Ansible's modules run as the user that Ansible becomes
    everywhere else, and need neither a second change of user nor files that a second user can read.
    """
    users = "".join(f"{MAP} {user} {SUPERUSER}\n" for user in ("root", SUPERUSER))
    return f"{HEADER}.\n# MAPNAME SYSTEM-USERNAME PG-USERNAME\n{users}"


def version_number(text: str) -> int:
    """Return a version like 16.14 as the server counts it, 160014."""
    major, _, minor = text.partition(".")
    return int(major) * 10000 + int(minor or 0)


def cluster_differences(found: Mapping[str, Any], locale: str) -> list[str]:
    """Return what of a cluster that is there was decided otherwise when it was made.

    Args:
        found: checksums, encoding, collate and ctype of the cluster.
        locale: the locale that is wanted.
    """

    def plain(name: str) -> str:
        return name.lower().replace("-", "")

    differences = []
    if found["checksums"] != "on":
        differences.append("data checksums: off, wanted on")
    if found["encoding"] != "UTF8":
        differences.append(f"encoding: {found['encoding']}, wanted UTF8")
    for what, is_ in (("collation", found["collate"]), ("character classes", found["ctype"])):
        if plain(is_) != plain(locale):
            differences.append(f"{what}: {is_}, wanted {locale}")
    return differences
