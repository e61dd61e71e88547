# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs PostgreSQL's programs: their connection to the server, and the parts of their messages that may be shown."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import BackupError

APPLICATION = "physioflow-backup"
# A row value in a message of PostgreSQL: after a colon at the end, or named as a value. It may span several lines.
_VALUE = re.compile(
    r"""(?<=: )".*"\s*$|(?<=value )".*?"(?= )|".*?"(?= is (?:out of range|not a valid)| not recognized)""", re.DOTALL
)
_ENDS = re.compile(r"^(?:\w+: )?(DETAIL|CONTEXT|HINT|STATEMENT|Command was|detail|hint):?", re.MULTILINE)


class Programs:
    """The programs of one installation, and the connection to one server."""

    def __init__(self, bin_dir: Path, connection: Mapping[str, str], passfile: Path | None = None) -> None:
        """Store the locations.

        Args:
            bin_dir: folder of the programs.
            connection: libpq's keywords without a password.
            passfile: file with the password, if any.
        """
        self.bin_dir = bin_dir
        self.connection = dict(connection) | ({"passfile": str(passfile)} if passfile else {})

    def conninfo(self, database: str, **more: str) -> str:
        """Return the connection string of a database; it never holds a password."""
        keywords = self.connection | {"dbname": database, "fallback_application_name": APPLICATION} | more
        return " ".join(f"{key}={_quoted(value)}" for key, value in keywords.items())

    def start(self, program: str, *arguments: str | Path, **options: Any) -> Any:
        """Start a program with English messages; return its subprocess.Popen.

        Args:
            program: name of the program.
            arguments: its arguments, never a secret.
            options: of subprocess.Popen.
        """
        path = self.bin_dir / program
        try:
            return subprocess.Popen(  # noqa: S603 - no shell
                [str(path), *map(str, arguments)],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                **({"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE} | options),
            )
        except OSError as error:
            raise BackupError(
                f"{path} cannot be run: {error.strerror}. Install PostgreSQL's client programs there, or correct "
                "postgresql_bin_dir."
            ) from error

    def run(self, program: str, *arguments: str | Path, **options: Any) -> str:
        """Run a program to its end and return its output.

        Raises:
            BackupError: with the program's own message, where it fails.
        """
        child = self.start(program, *arguments, **{"stdout": subprocess.PIPE} | options)
        out, err = child.communicate()
        check_ended(program, child.returncode, err)
        return (out or b"").decode("utf-8", "replace")

    def version(self, program: str) -> str:
        """Return the version of a program, for instance 16.14."""
        return self.run(program, "--version").split()[2]

    def compresses_with(self, method: str) -> bool:
        """Tell whether pg_dump supports a compression method; it checks that before it connects."""
        child = self.start("pg_dump", "-Fc", "-Z", method, "-f", os.devnull, "host=/nonexistent")
        _, err = child.communicate()
        return b"does not support compression" not in err


def check_ended(program: str, status: int, err: bytes) -> None:
    """Raise a BackupError with a program's message where it failed."""
    if status < 0:
        raise BackupError(f"{program} was terminated by {signal.Signals(-status).name}")
    if status:
        raise BackupError(f"{program} failed: {plain_words(program, err)}")


def plain_words(program: str, err: bytes) -> str:
    """Return the first error of a program's output, without rows of data.

    PostgreSQL shows rows in DETAIL and CONTEXT, and single values at the end of a message.
    """
    text = err.decode("utf-8", "replace")
    lines = [line for line in text.splitlines() if line.strip()]
    first = next((number for number, line in enumerate(lines) if "error:" in line), 0)
    words = "\n".join(lines[first:])
    if end := _ENDS.search(words):
        words = words[: end.start()]
    plain = (line.removeprefix(f"{program}: ").removeprefix("error: ").strip() for line in words.splitlines())
    return without_values(" ".join(plain)) or "it printed no message"


def without_values(words: str) -> str:
    """Return a message of PostgreSQL without row values."""
    return _VALUE.sub('"…"', words)


@contextmanager
def without_pg_variables() -> Iterator[None]:
    """Hide the PG* variables of the user from libpq in this process, for the same reason as in `_environment`."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PG")}
    os.environ["PGCONNECT_TIMEOUT"] = "10"
    try:
        yield
    finally:
        del os.environ["PGCONNECT_TIMEOUT"]
        os.environ.update(hidden)


def _environment() -> dict[str, str]:
    # No PG* variable of the user may direct a program to another server.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C", "PGCONNECT_TIMEOUT": "10"}


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


@contextmanager
def programs(bin_dir: Path, connection: Mapping[str, str]) -> Iterator[Programs]:
    """Provide the programs; during the block, a password is in a file of mode 0600."""
    keywords = {key: value for key, value in connection.items() if key != "password"}
    if not connection.get("password"):
        yield Programs(bin_dir, keywords)
        return
    with tempfile.TemporaryDirectory(prefix="physioflow-backup-") as folder:
        passfile = Path(folder) / "pgpass"
        descriptor = os.open(passfile, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            escaped = connection["password"].replace("\\", "\\\\").replace(":", "\\:")
            stream.write(f"*:*:*:*:{escaped}\n")
        yield Programs(bin_dir, keywords, passfile)
