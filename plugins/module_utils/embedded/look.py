# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the state of the server and decides the actions; refuses before anything is changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checks import check_data, check_folder, check_input, check_port_is_free, pick_port
from .files import link_is, read_text
from .layout import Layout, Marker, find_layout, reachable_layout
from .packages import Pin, pins_of, software_name
from .process import running_server, server_user
from .server import Server
from .settings import read_passfile, service_text, setting_values

ACTIONS = {
    "unpack": "unpack PostgreSQL",
    "initialise": "create the data folder",
    "link": "create the links to the programs",
    "password": "set a new password of the superuser (the password file was lost)",
    "configure": "write the server settings",
    "start": "start the server",
    "restart": "restart the server",
    "write": "write the connection files",
    "reload": "reload the server settings",
}
"""Every action with its words, in the order in which they are done.

The connection files come after a restart, so that they name the port on which the server listens. A reload asks the
server by them.
"""


@dataclass(frozen=True)
class Found:
    """The state of the machine; a field is True where it needs no action."""

    software: bool  # the pinned programs are unpacked
    data: bool  # the data folder exists
    links: bool  # bin and server point where they should
    password: bool  # the password file holds the superuser's password
    settings: bool  # the configuration files are current, and no killed run left them partly loaded
    running: bool  # a server runs on the data folder
    current: bool  # it runs the pinned programs, on the wanted port
    files: bool  # marker, password file and service file are current


def plan(found: Found) -> list[str]:
    """Return the needed actions in order; none where nothing differs."""
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
    return [action for action in ACTIONS if wanted[action]]


@dataclass(frozen=True)
class Look:
    """The state of the machine, and the wanted state."""

    layout: Layout  # the paths
    marker: Marker | None  # the saved state
    pins: Mapping[str, Pin]  # this machine's packages
    server: Server  # the wanted server; its user is None where root must create that user first
    running: int | None  # TCP port on which the server runs
    service: str  # the wanted text of the service file
    actions: list[str]  # keys of ACTIONS, in order

    def ready(self) -> bool:
        """Return whether the superuser can log in now with the existing password file."""
        known = read_passfile(read_text(self.layout.passfile))
        return known is not None and known[0] == self.running and self.server.accepts(self.running)

    def difference(self) -> list[dict[str, str]]:
        """Return the present and the wanted texts of the files without secrets, for --diff."""
        texts = {**self.server.configuration(), self.layout.service_file: self.service}
        return [
            {"before_header": str(path), "after_header": str(path), "before": read_text(path), "after": text}
            for path, text in texts.items()
            if read_text(path) != text
        ]


def look(params: Mapping[str, Any]) -> Look:
    """Read the state; raise an EmbeddedError for what is impossible. Change nothing.

    Args:
        params: the module's parameters.
    """
    check_input(params)
    directory = Path(os.path.normpath(params["directory"]))
    check_folder(directory)
    marker = Marker.read(directory)
    layout = find_layout(directory, marker)
    user = server_user(layout.data, params["user"])
    if marker is None and user:
        layout = reachable_layout(layout, user, Path(params["root_directory"]))
    pins = pins_of(params["packages"])
    software = layout.home / software_name(pins)
    data = check_data(layout.data, params["major"])
    running = running_server(layout.data)
    port = params["port"] or (marker.port if marker else pick_port(directory))
    values = setting_values(port, layout.log, params["settings"])
    if running != port:
        check_port_is_free(port)
    server = Server(layout, software, user, port, values, params["timeout"])
    service = service_text(port, params["database"], params["role"], layout.passfile)
    known = read_passfile(read_text(layout.passfile))
    program = read_text(layout.data / "postmaster.opts").partition(' "')[0]
    found = Found(
        software=(software / "bin" / "psql").exists(),
        data=data,
        links=all(link_is(path, target) for path, target in layout.links(software).items()),
        password=known is not None,
        settings=(
            not (marker and marker.pending)
            and all(read_text(path) == text for path, text in server.configuration().items())
        ),
        running=running is not None,
        current=running == port and program == str((software / "bin/postgres").resolve()),
        files=(
            marker is not None
            and (marker.directory, marker.home, marker.port) == (str(directory), str(layout.home), port)
            and known is not None
            and known[0] == port
            and layout.passfile.stat().st_mode & 0o777 == 0o600  # noqa: PLR2004
            and read_text(layout.service_file) == service
        ),
    )
    return Look(layout, marker, pins, server, running, service, plan(found))
