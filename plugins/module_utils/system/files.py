# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Problems of the server options in an inventory: settings, access rules and cluster. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

SUPERUSER = "postgres"

_SETTING = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_WORD = re.compile(r"[\w+./:$-]+")  # in pg_hba.conf: needs no quotes and is a single word
_ROLE = re.compile(r"[a-z_][a-z0-9_]*")
_NOT_ONE_ROLE = (SUPERUSER, "all", "samerole", "samegroup", "replication")
_TYPES = ("hostssl", "local")
_METHODS = ("scram-sha-256", "cert", "peer", "reject")
_WIDEST = {4: 8, 6: 32}  # minimum prefix length of a network, by IP version
_EVERYWHERE = ("*", "0.0.0.0", "::")  # noqa: S104 - refused
# Refused in any inventory, because they weaken the guarantees of the role.
_WEAK = {
    "ssl": ("off", "false", "no", "0"),
    "password_encryption": ("md5",),
    "ssl_min_protocol_version": ("", "tlsv1", "tlsv1.1"),
    "data_checksums": ("off",),
    "log_statement": ("mod", "all"),
}
_ELSEWHERE = {
    **dict.fromkeys(("ssl_cert_file", "ssl_key_file"), "postgresql_tls_certificate and postgresql_tls_key"),
    "port": "postgresql_port",
    "listen_addresses": "postgresql_listen_addresses",
    **dict.fromkeys(("data_directory", "config_file", "hba_file", "ident_file", "external_pid_file"), "the package"),
    "unix_socket_directories": "the package",
}


def setting_problems(settings: Mapping[Any, object]) -> list[str]:
    """Return a sentence for each entry of `postgresql_settings` that can be refused without a server."""
    problems = []
    for name, value in settings.items():
        if not isinstance(name, str) or not _SETTING.fullmatch(name):
            problems.append(f"{name!r} is not the name of a server setting (lower-case letters, digits and _).")
        elif name in _ELSEWHERE:
            problems.append(f"The server setting {name} is set by {_ELSEWHERE[name]}.")
        elif not isinstance(value, (str, int, float)) or re.search(r"[\0\r\n]", str(value)):
            problems.append(f"The server setting {name} is not one line of text, a number or true/false.")
        elif _setting_text(value).strip("'").lower() in _WEAK.get(name, ()):
            problems.append(
                f"The server setting {name} = {_setting_text(value)} is weaker than this role allows. Remove it from "
                "postgresql_settings."
            )
    return problems


def _setting_text(value: object) -> str:
    """Return a value in the notation of the server's file: texts in quotes, YAML's true and false as on and off."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else repr(value)


def listen_problems(addresses: Iterable[str]) -> list[str]:
    """Return a sentence for each entry of `postgresql_listen_addresses` that means every network of the host."""
    return [
        f"postgresql_listen_addresses has {address!r}, which is every network of the host, including future ones. "
        "Name the address in the application's network, for instance 10.0.0.5."
        for address in addresses
        if address in _EVERYWHERE
    ]


def _address_problem(address: str) -> str:
    """Return the problem of a rule's client address; empty for host names and narrow networks."""
    if address == "all":
        return "allows all addresses. Name the application's network, for instance 10.0.0.0/24."
    try:
        network = ipaddress.ip_network(address, strict=False)
    except ValueError:
        return ""  # a host name, samehost, samenet; the server refuses anything else
    if network.prefixlen < _WIDEST[network.version]:
        return (
            f"allows {address}, which is wider than /{_WIDEST[network.version]}. Name the application's network, for "
            "instance 10.0.0.0/24."
        )
    return ""


def _access_problems(rule: Mapping[str, Any]) -> list[str]:
    """Return the forbidden accesses that a rule allows; each text completes "Rule 1 of postgresql_hba"."""
    problems = []
    if rule["type"] not in _TYPES:
        problems.append(f"is of type {rule['type']}. Use hostssl (over the network, with TLS) or local (the socket).")
    if rule["method"] not in _METHODS:
        problems.append(
            f"has the method {rule['method']}, which proves no identity or exposes the password. Use scram-sha-256, "
            "cert, or peer on the socket."
        )
    for what in ("databases", "users"):
        if "all" in rule[what]:
            problems.append(f"has all in {what}. List the names, so that new ones are not allowed by default.")
    if SUPERUSER in rule["users"]:
        problems.append(
            f"allows {SUPERUSER}, the superuser. It connects only on the host: sudo -u {SUPERUSER} psql. Use a role "
            "with fewer privileges."
        )
    if wide := _address_problem(rule.get("address") or ""):
        problems.append(wide)
    return problems


def hba_problems(rules: Iterable[Mapping[str, Any]], peers: Iterable[str] = ()) -> list[str]:
    """Return a sentence for each forbidden rule or role, and each rule that is not one line of pg_hba.conf."""
    problems = [
        f"postgresql_peer_users has {name!r}, which is not the name of one role."
        for name in peers
        if name in _NOT_ONE_ROLE or not _ROLE.fullmatch(name)
    ]
    for number, given in enumerate(rules, start=1):
        rule = {"type": "hostssl", "method": "scram-sha-256", **given}
        address = rule.get("address") or ""
        words = [*rule["databases"], *rule["users"], *([address] if address else [])]
        where = f"Rule {number} of postgresql_hba"
        if not rule["databases"] or not rule["users"]:
            problems.append(f"{where} names no database or no user.")
        problems += [
            f"{where} has {word!r}, which is not one word." for word in words if not _WORD.fullmatch(str(word))
        ]
        if (rule["type"] == "local") is bool(address):
            problems.append(f"{where} is of type {rule['type']} and {'has an' if address else 'has no'} address.")
        problems += [f"{where} {what}" for what in _access_problems(rule)]
    return problems


def version_number(text: str) -> int:
    """Return a version like 16.14 in the server's numeric form, 160014."""
    major, _, minor = text.partition(".")
    return int(major) * 10000 + int(minor or 0)


def cluster_differences(found: Mapping[str, Any], locale: str) -> list[str]:
    """Return the differences of an existing cluster that were fixed at its creation.

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
