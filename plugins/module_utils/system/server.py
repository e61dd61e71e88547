# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A cluster of Debian's packages: its files, its service, and the state of the server."""

from __future__ import annotations

import json
import os
import pwd
import re
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .files import SUPERUSER, version_number
from .look import read, run, running_port

SOCKETS = "/var/run/postgresql"
SECONDS = 60  # time limit of a start or reload
FILE_MODE = 0o640
KEY_MODE = 0o600
UNIT_MODE = 0o644
OTHERS = 0o007  # permission bits of other users

# The state that decides the actions. pg_file_settings also reports settings as errors that only need a restart (and,
# without a file, those that a restart will reset): before the reload by the context, after it by pending_restart.
_STATE = """
SET lc_messages = 'C';
SELECT json_build_object(
    'version', current_setting('server_version'),
    'loaded', pg_conf_load_time(),
    'checksums', current_setting('data_checksums'),
    'encoding', (SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'template0'),
    'collate', (SELECT datcollate FROM pg_database WHERE datname = 'template0'),
    'ctype', (SELECT datctype FROM pg_database WHERE datname = 'template0'),
    'pending', (SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM pg_settings WHERE pending_restart),
    'hba', (SELECT coalesce(json_agg(format('pg_hba.conf:%s: %s', line_number, error)), '[]')
            FROM pg_hba_file_rules WHERE error IS NOT NULL),
    'ident', (SELECT coalesce(json_agg(format('pg_ident.conf:%s: %s', line_number, error)), '[]')
              FROM pg_ident_file_mappings WHERE error IS NOT NULL),
    'settings', (SELECT coalesce(json_agg(format('%s:%s: %s: %s', f.sourcefile, f.sourceline, name, error)), '[]')
                 FROM pg_file_settings AS f LEFT JOIN pg_settings AS s USING (name)
                 WHERE error IS NOT NULL AND f.sourcefile IS NOT NULL AND s.context IS DISTINCT FROM 'postmaster'),
    'left', (SELECT coalesce(json_agg(format('%s:%s: %s: %s', f.sourcefile, f.sourceline, name, error)), '[]')
             FROM pg_file_settings AS f LEFT JOIN pg_settings AS s USING (name)
             WHERE error IS NOT NULL AND f.sourcefile IS NOT NULL AND s.pending_restart IS NOT TRUE),
    'overridden', (SELECT coalesce(json_agg(DISTINCT name || ' in ' || later.sourcefile), '[]')
                   FROM pg_file_settings AS ours JOIN pg_file_settings AS later USING (name)
                   WHERE ours.sourcefile = :'dropin' AND later.sourcefile <> :'dropin' AND later.seqno > ours.seqno)
)
"""


class ServerError(Exception):
    """An error that is shown to the user unchanged."""


class Cluster:
    """The cluster `main` of one version."""

    def __init__(self, version: str, port: int) -> None:
        """Set the paths.

        Args:
            version: major version.
            port: port that the server listens on once it is configured.
        """
        self.version = version
        self.port = port
        self.bin = Path(f"/usr/lib/postgresql/{version}/bin")
        self.data = Path(f"/var/lib/postgresql/{version}/main")
        self.folder = Path(f"/etc/postgresql/{version}/main")
        self.dropin = self.folder / "conf.d/physioflow.conf"
        self.hba = self.folder / "pg_hba.conf"
        self.ident = self.folder / "pg_ident.conf"
        self.service = f"postgresql@{version}-main"
        self.certificate = self.folder / "server.crt"
        self.key = self.folder / "server.key"
        self.ca = self.folder / "ca.crt"
        self.unit = Path(f"/etc/systemd/system/{self.service}.service.d/physioflow.conf")
        self.home = self.data.parents[1]  # home of the user postgres
        self.history = self.home / ".psql_history"
        # By the names of their texts in the module postgresql_cluster, in the order in which they are written.
        self.files = {
            "unit": self.unit,
            "certificate": self.certificate,
            "key": self.key,
            "ca": self.ca,
            "settings": self.dropin,
            "hba": self.hba,
            "ident": self.ident,
        }

    @property
    def exists(self) -> bool:
        """Whether the cluster exists."""
        return (self.folder / "postgresql.conf").exists()

    @property
    def running_port(self) -> int | None:
        """The port of the running server, None where none runs."""
        port: int | None = running_port(self.data)
        return port

    @property
    def waits_for_restart(self) -> bool:
        """Whether the running server was started without the drop-in of its service, as after an interrupted run."""
        pid = read(self.data / "postmaster.pid").partition("\n")[0]
        return "NoNewPrivs:\t0" in read(f"/proc/{pid}/status")

    @property
    def connection(self) -> dict[str, Any]:
        """The superuser connection of the modules of community.postgresql to the running server."""
        port = self.running_port or self.port
        return {"login_unix_socket": SOCKETS, "login_port": port, "login_user": SUPERUSER}

    def needs_restart(self, state: Mapping[str, Any]) -> bool:
        """Return whether a change of the running server needs a restart."""
        return bool(state["pending"]) or self.waits_for_restart

    def state(self) -> dict[str, Any]:
        """Return the state of the running server."""
        psql = [str(self.bin / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-v", f"dropin={self.dropin}"]
        place = ["-h", SOCKETS, "-p", str(self.running_port or self.port), "-U", SUPERUSER, "-d", "postgres"]
        done = run([*psql, *place], user=SUPERUSER, text=_STATE, seconds=SECONDS)
        if not done.ok:
            raise ServerError(f"The server {self.service} does not answer: {done.err}")
        found: dict[str, Any] = json.loads(done.out)
        return found

    def check_settings(self, text: str, memory: int) -> None:
        """Let the server's program check a new settings file before it replaces the old one."""
        with tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8") as candidate:
            candidate.write(text)
            candidate.flush()
            options = ["-D", str(self.data), "-c", f"config_file={candidate.name}"]
            done = run([str(self.bin / "postgres"), "-C", "shared_buffers", *options])
            words = plain_words(done.err.replace(candidate.name, str(self.dropin)))
        if not done.ok:
            raise ServerError(
                f"PostgreSQL refuses the settings: {words} Nothing was changed, and the server keeps its "
                "current settings. Correct postgresql_settings and run the same command again."
            )
        if int(done.out or 0) // 128 > memory:  # pages of 8 kB
            raise ServerError(
                f"shared_buffers is {int(done.out) // 128} MB, and the host has {memory} MB of memory. Nothing was "
                "changed. Correct postgresql_settings and run the same command again."
            )

    def write(self, texts: Mapping[Path, str]) -> None:
        """Write files of the server, each atomically."""
        postgres = pwd.getpwnam(SUPERUSER)
        for path, text in texts.items():
            path.parent.mkdir(mode=0o755, exist_ok=True)
            user, group, mode = postgres.pw_uid, postgres.pw_gid, KEY_MODE if path == self.key else FILE_MODE
            if path == self.unit:
                path.parent.chmod(0o755)  # whatever the umask
                user, group, mode = 0, 0, UNIT_MODE
            descriptor, name = tempfile.mkstemp(prefix=".physioflow-", dir=path.parent)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                os.fchown(descriptor, user, group)
                os.fchmod(descriptor, mode)
                os.fsync(descriptor)
            Path(name).replace(path)

    def restore(self, former: Mapping[Path, str]) -> None:
        """Restore former files; remove files that did not exist before."""
        self.write({path: text for path, text in former.items() if text})
        for path, text in former.items():
            if not text:
                path.unlink(missing_ok=True)

    def open_paths(self) -> dict[Path, int]:
        """Return the paths that the packages leave open to all users of the host, with the mode that closes them.

        The log folder is left out, because systemd-tmpfiles opens it again at each start of the host. So is the content
        of folders of mode 0700, such as the data folder.
        """
        found = {}
        for top in (self.folder.parents[1], self.home):
            for name, folders, files in os.walk(top):
                if not Path(name).stat().st_mode & 0o077:
                    folders.clear()
                    continue
                for path in (Path(name), *(Path(name, file) for file in files)):
                    mode = path.lstat().st_mode
                    if mode & OTHERS and not stat.S_ISLNK(mode):
                        found[path] = stat.S_IMODE(mode) & ~OTHERS
        return found

    def warnings(self, state: Mapping[str, Any]) -> list[str]:
        """Return warnings about manual steps."""
        typed = f"{self.history} contains what the superuser typed, possibly patients' data. Remove it and run again."
        return [
            f"The setting {place} overrides postgresql_settings. Remove it there, or accept it."
            for place in state["overridden"]
        ] + ([typed] if self.history.is_file() else [])

    def closing(self) -> list[str]:
        """Return the actions that close the cluster."""
        link = [] if os.path.lexists(self.history) else [f"link {self.history} to /dev/null"]
        return [f"chmod {mode:04o} {path}" for path, mode in self.open_paths().items()] + link

    def close(self) -> None:
        """Close the files to other users of the host, and disable the psql history of the superuser."""
        for path, mode in self.open_paths().items():
            path.chmod(mode)
        if not os.path.lexists(self.history):
            self.history.symlink_to("/dev/null")

    def reload(self) -> dict[str, Any]:
        """Reload the server, and return its state after that."""
        before = self.state()["loaded"]
        done = run(["systemctl", "reload", self.service], seconds=SECONDS)
        if not done.ok:
            raise ServerError(f"{self.service} cannot be reloaded: {done.err}")
        return self._await(lambda state: bool(state["loaded"] != before), "did not reload its files")

    def restart(self) -> dict[str, Any]:
        """Restart the server, and return its state after that."""
        log = Path(f"/var/log/postgresql/postgresql-{self.version}-main.log")
        before = len(read(log))
        run(["systemctl", "daemon-reload"], seconds=SECONDS)  # for the drop-in of the service
        done = run(["systemctl", "restart", self.service], seconds=SECONDS)
        if not done.ok:
            words = "\n".join(line for line in read(log)[before:].splitlines() if " LOG: " not in line)
            raise ServerError(f"{self.service} does not start: {plain_words(words) or done.err}")
        return self._await(lambda _: True, "did not answer after its restart")

    def _await(self, ready: Callable[[dict[str, Any]], bool], complaint: str) -> dict[str, Any]:
        end = time.monotonic() + SECONDS
        while True:
            try:
                if ready(state := self.state()):
                    return state
            except ServerError:
                if time.monotonic() > end:
                    raise
            if time.monotonic() > end:
                raise ServerError(f"{self.service} {complaint} within {SECONDS} s.")
            time.sleep(0.05)


def plain_words(log: str) -> str:
    """Return lines of the server log as one sentence, without time, process and level."""
    lines = [re.sub(r"^(\d{4}-\d\d-\d\d \S+ \S+ \[\d+\] )?([A-Z]+: +)?", "", line.strip()) for line in log.splitlines()]
    return "".join(f"{line.rstrip('.')}. " for line in lines if line).strip()


def server_number(state: Mapping[str, Any]) -> int:
    """Return the version of a state as a number; the text may have a suffix, as on Debian."""
    number: int = version_number(state["version"].split()[0])
    return number
