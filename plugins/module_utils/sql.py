# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes names and texts as SQL. Also runs on hosts without Ansible."""

from __future__ import annotations


def literal(text: str) -> str:
    """Return a text as an SQL literal (standard_conforming_strings is on)."""
    return "'" + text.replace("'", "''") + "'"


def identifier(*parts: str | None) -> str:
    """Return a name as an SQL identifier, qualified with its schema if any."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts if part)


def unquoted(name: str) -> str:
    """Return an identifier without its quotes."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
