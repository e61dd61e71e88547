# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides what has to be done, from what was found. Pure."""

from __future__ import annotations

from dataclasses import dataclass

ACTS = {
    "unpack": "unpack PostgreSQL",
    "initialise": "make the data folder",
    "link": "make the links to the programs",
    "password": "give the superuser a new password (the password file was lost)",
    "configure": "write the server settings",
    "start": "start the server",
    "restart": "restart the server",
    "write": "write the connection files",
    "reload": "reload the server settings",
}
"""Every act with its words, in the order in which acts are done.

The connection files come after a restart, so that they name the port on which the server listens. A reload asks the
server by them.
"""


@dataclass(frozen=True)
class Found:
    """What a look at the machine found; every field is True where nothing is to be done for it."""

    software: bool  # the pinned programs are unpacked
    data: bool  # there is a data folder
    links: bool  # bin and server point where they should
    password: bool  # the password file holds the superuser's password
    settings: bool  # the configuration files say what they should, and no killed run left them half taken up
    running: bool  # a server runs on the data folder
    current: bool  # it runs the pinned programs, on the wanted port
    files: bool  # marker, password file and service file say what they should


def plan(found: Found) -> list[str]:
    """Return the acts that are needed, in order; none where everything is as it should be."""
    password = found.data and not found.password
    start = not found.running or password  # a new password is set while the server is stopped
    restart = not start and not found.current
    wanted = {
        "unpack": not found.software,
        "initialise": not found.data,
        "link": not found.links,
        "password": password,
        "configure": not found.settings,
        "start": start,
        "restart": restart,
        "write": not found.files,
        "reload": not found.settings and not start and not restart,
    }
    return [act for act in ACTS if wanted[act]]
