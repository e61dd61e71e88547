# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The paths of an embedded server.

=====================================  ================================================================
`DIRECTORY/.physioflow-embedded.json`  the marker: only a folder that holds it is changed or removed
`DIRECTORY/bin`                        link to all server and client programs
`DIRECTORY/pgpass`, `pg_service.conf`  password and service file for libpq programs
`DIRECTORY/server`                     the home: software-*, data, log (or a link to the home elsewhere)
=====================================  ================================================================
"""

from __future__ import annotations

import json
import os
import pwd
from dataclasses import asdict, dataclass
from pathlib import Path

from .files import MARKER, EmbeddedError, nearest_existing, short_hash, write_file
from .process import run


@dataclass(frozen=True)
class Marker:
    """The saved state of an embedded server, as JSON in its folder. Its folders are absolute."""

    directory: str  # the folder it was made for
    home: str  # the folder that holds programs, data and logs
    port: int  # TCP port that was chosen or given
    pending: bool  # settings are written but perhaps not yet loaded by the server
    format: int = 1  # version of this list

    def write(self, folder: Path) -> None:
        """Write the marker into a folder."""
        write_file(folder / MARKER, json.dumps(asdict(self), indent=2) + "\n")

    @staticmethod
    def read(folder: Path) -> Marker | None:
        """Return the marker of a folder, None where it has none."""
        path = folder / MARKER
        try:
            found = Marker(**json.loads(path.read_text(encoding="utf-8")))
            if found.format != Marker.format:
                raise ValueError
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError) as error:
            raise EmbeddedError(
                f"{path} is not a valid marker of an embedded server, so it is unknown who created "
                f"{folder}; nothing was changed; move the folder away or restore that file."
            ) from error
        return found


class Layout:
    """The paths of one server."""

    def __init__(self, directory: Path, home: Path) -> None:
        """See the class."""
        self.directory = directory  # the folder that the user named
        self.home = home  # the folder of programs, data and logs; here if the server's user can reach it:
        self.server = directory / "server"
        self.data = home / "data"
        self.log = home / "log"
        self.bin = directory / "bin"  # the link to all programs
        self.passfile = directory / "pgpass"
        self.service_file = directory / "pg_service.conf"

    def links(self, software: Path) -> dict[Path, str]:
        """Return every link with its target; targets inside the folder are relative, so that it can be moved."""
        links = {self.bin: f"server/{software.name}/bin"}
        return links if self.home == self.server else {self.server: str(self.home), **links}

    def belongings(self) -> list[Path]:
        """Return our existing paths: a home elsewhere first, the marker last."""
        elsewhere = [self.home] if self.home != self.server else []
        inside = [self.bin, self.passfile, self.service_file, self.server, self.directory / MARKER]
        return [path for path in (*elsewhere, *inside) if os.path.lexists(path)]


def find_layout(directory: Path, marker: Marker | None) -> Layout:
    """Return the paths of a server from its marker; without a marker, the default paths."""
    inside = directory / "server"
    if marker is None or Path(marker.home) == Path(marker.directory) / "server":
        return Layout(directory, inside)  # even if the folder was moved since
    home = Path(marker.home)
    owner = Marker.read(home)
    if owner and owner.directory != str(directory) and os.path.lexists(owner.directory):
        raise EmbeddedError(
            f"{directory} is a copy of {owner.directory}: both refer to the server in {home}; nothing was changed; "
            f"remove {directory}, or set postgresql_embedded_directory to a new folder."
        )
    return Layout(directory, home)


def reachable_layout(layout: Layout, user: pwd.struct_passwd, root_directory: Path) -> Layout:
    """Return the paths of a new server: the home is below the root directory if its user cannot reach the folder."""
    if run(["test", "-x", nearest_existing(layout.directory)], user).ok:
        return layout
    return Layout(layout.directory, root_directory / short_hash(str(layout.directory)))
