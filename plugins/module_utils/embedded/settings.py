# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The texts of PostgreSQL's files: server settings, pg_hba.conf, password file, connection service file. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from .files import EmbeddedError

HOST = "127.0.0.1"
SERVICE = "physioflow"
SUPERUSER = "postgres"
HBA_TEXT = """\
# Made by the Ansible role postgresql_embedded; a change made here is undone by the next run.
# TYPE  DATABASE  USER  ADDRESS       METHOD
host    all       all   127.0.0.1/32  scram-sha-256
host    all       all   ::1/128       scram-sha-256
"""
INCLUDE_TEXT = "\n# Added by the Ansible role postgresql_embedded.\ninclude_if_exists = 'physioflow.conf'\n"
"""The end of postgresql.conf, so that our settings win over those of initdb."""

_SETTING = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_FIXED = {"data_directory", "hba_file", "ident_file", "config_file", "log_directory", "external_pid_file"}


def setting_values(port: int, log: Path, overrides: Mapping[str, object]) -> dict[str, object]:
    """Return the server settings.

    The log holds no data of a statement (no parameters, no failed statement, no row in a DETAIL line), because more
    people read a log than a patient's record.

    Args:
        port: TCP port to listen on.
        log: folder of the server's log, absolute.
        overrides: settings of the user, which take precedence. One that is no setting, has its own variable, or has an
            impossible value raises EmbeddedError.

    Returns:
        Values by name: str, bool, int or float.
    """
    for name, value in overrides.items():
        if not isinstance(name, str) or not _SETTING.fullmatch(name):
            message = f"{name!r} is not the name of a server setting (lower-case letters, digits and _)"
        elif name == "port":
            message = "The server setting port is set by postgresql_embedded_port"
        elif name in _FIXED:
            message = f"The server setting {name} is set by postgresql_embedded_directory"
        elif not isinstance(value, str | int | float) or re.search(r"[\0\r\n]", str(value)):
            message = f"The server setting {name} has a value that is not one line of text, a number or true/false"
        else:
            continue
        raise EmbeddedError(f"{message}; nothing was changed; correct postgresql_embedded_settings.")
    return {
        "listen_addresses": HOST,
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "logging_collector": True,
        "log_filename": "postgresql-%a.log",
        "log_truncate_on_rotation": True,
        "log_rotation_age": "1d",
        "log_rotation_size": 0,
        "log_file_mode": "0600",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %u@%d %a ",
        "log_lock_waits": True,
        "log_parameter_max_length": 0,
        "log_parameter_max_length_on_error": 0,
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        **overrides,
        "port": port,
        "log_directory": str(log),
    }


def setting_text(value: object) -> str:
    """Return a setting's value in the form of a server command line."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def settings_text(values: Mapping[str, object]) -> str:
    """Return the text of our settings file."""
    lines = ["# Made by the Ansible role postgresql_embedded; set postgresql_embedded_settings instead of editing."]
    for name in sorted(values):
        text = setting_text(values[name])
        if isinstance(values[name], str):
            text = "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
        lines.append(f"{name} = {text}")
    return "\n".join(lines) + "\n"


def passfile_text(port: int, password: str) -> str:
    """Return the text of the superuser's libpq password file; the password needs no escapes."""
    return f"{HOST}:{port}:*:{SUPERUSER}:{password}\n"


def read_passfile(text: str) -> tuple[int, str] | None:
    """Return port and password from our password file; None where it does not hold our line."""
    found = re.fullmatch(rf"{re.escape(HOST)}:(\d+):\*:{SUPERUSER}:([^:\\\s]+)\n?", text)
    return (int(found[1]), found[2]) if found else None


def service_text(port: int, database: str, role: str, passfile: Path) -> str:
    """Return the text of the connection service file, by which ``psql service=physioflow`` opens a database.

    The session does SET ROLE after login; with an empty role it stays the superuser. The file holds no password.
    """
    lines = [
        "# Made by the Ansible role postgresql_embedded.",
        f"[{SERVICE}]",
        f"host={HOST}",
        f"port={port}",
        f"user={SUPERUSER}",
        f"dbname={database}",
        f"passfile={passfile}",
        *([f"options=-crole={role}"] if role else []),
    ]
    return "\n".join(lines) + "\n"
