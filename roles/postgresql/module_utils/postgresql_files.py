# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The texts of PostgreSQL's files: settings, pg_hba.conf, pg_ident.conf; and what is wrong with their input. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

HEADER = "# Made by the Ansible role postgresql"
MAP = "physioflow"  # of pg_ident.conf
SUPERUSER = "postgres"

_SETTING = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_WORD = re.compile(r"[\w+./:$-]+")  # of pg_hba.conf: it needs no quotes and cannot be two words
_ROLE = re.compile(r"[a-z_][a-z0-9_]*")
_NOT_ONE_ROLE = (SUPERUSER, "all", "samerole", "samegroup", "replication")
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
        if (rule["type"] == "local") is bool(address):
            problems.append(f"{where} is of type {rule['type']} and {'has an' if address else 'has no'} address.")
    return problems


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
