# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads a dump back in full: decodes every data block and counts every row.

pg_restore succeeds on many damaged dumps: it lists truncated ones, and accepts an empty data file of the directory
format. So its exit status alone is no proof.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from .errors import BackupError, DamagedError
from .manifest import DUMP
from .programs import Programs, check_ended
from .store import CHUNK, Backup, sha256_of

# The output of pg_restore for the rows of a table and the value of a sequence. Names are quoted where necessary.
_QUOTED = rb'(?:"(?:[^"]|"")*"|[^" (.]+)'
_COPY = re.compile(rb"^COPY (%s\.%s) (?:\((.*)\))? FROM stdin;$" % (_QUOTED, _QUOTED))
_SETVAL = re.compile(rb"^SELECT pg_catalog\.setval\('((?:[^']|'')+)', (-?\d+), (true|false)\);$")
_END = b"\\.\n"
_RANDOM = re.compile(r"^\\(un)?restrict ")  # a line that differs in every output


class Contents(NamedTuple):
    """The contents of a dump."""

    rows: dict[str, int]  # number by schema.table
    sequences: dict[str, tuple[int, bool]]  # last value and is_called, by schema.sequence


def read_contents(programs: Programs, dump: Path) -> Contents:
    """Decode all data of a dump and count it. Memory does not grow with the dump.

    Raises:
        BackupError: where pg_restore cannot read it.
    """
    with data_of(programs, dump) as stream:
        return count_contents(stream)


@contextmanager
def data_of(programs: Programs, dump: Path, *options: str) -> Iterator[IO[bytes]]:
    """Provide the output of pg_restore --data-only for a dump, and check its exit status.

    Raises:
        BackupError: where pg_restore cannot read it.
    """
    child = programs.start("pg_restore", "--data-only", "--file=-", *options, dump, stdout=subprocess.PIPE)
    stream = cast("IO[bytes]", child.stdout)  # a pipe
    with suppress(OSError, AttributeError):
        fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, CHUNK)
    try:
        yield stream
    finally:
        stream.close()
        _, err = child.communicate()
    check_ended("pg_restore", child.returncode, err)


def count_contents(stream: IO[bytes]) -> Contents:
    """Count the rows in the output of pg_restore."""
    contents = Contents({}, {})
    for item in read_items(stream):
        if isinstance(item, Rows):
            contents.rows[item.key] = sum(chunk.count(b"\n") for chunk in item.chunks)
        else:
            contents.sequences[item.key] = (item.last_value, item.is_called)
    return contents


@dataclass(frozen=True)
class Rows:
    """The rows of one table in a dump; they must be read before the next item."""

    key: str  # schema.table
    columns: str  # as in COPY
    chunks: Iterator[bytes]


@dataclass(frozen=True)
class SequenceValue:
    """The value of one sequence in a dump."""

    key: str  # schema.sequence
    last_value: int
    is_called: bool


def read_items(stream: IO[bytes]) -> Iterator[Rows | SequenceValue]:
    """Yield the items in the output of pg_restore --data-only, in its order."""
    lines = _Lines(stream)
    while (line := lines.next()) is not None:
        if copy := _COPY.match(line):
            yield Rows(_key(copy[1]), (copy[2] or b"").decode(), lines.to_end())
        elif setval := _SETVAL.match(line):
            yield SequenceValue(_key(setval[1].replace(b"''", b"'")), int(setval[2]), setval[3] == b"true")


class _Lines:
    """Reads a stream by lines, and rows by the megabyte."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.buffer = b""

    def _more(self) -> bool:
        chunk = self.stream.read(CHUNK)
        self.buffer += chunk
        return bool(chunk)

    def next(self) -> bytes | None:
        """Return the next line without its end, None at the end of the stream."""
        while (end := self.buffer.find(b"\n")) < 0:
            if not self._more():
                return None
        line, self.buffer = self.buffer[:end], self.buffer[end + 1 :]
        return line

    def to_end(self) -> Iterator[bytes]:
        """Yield the lines up to the mark that ends a table's rows, in chunks."""
        self.buffer = b"\n" + self.buffer  # so that the end mark of a table without rows also begins a line
        skip = 1
        while True:
            end = self.buffer.find(b"\n" + _END)
            # No mark in the chunk; it may begin in this chunk and end in the next one.
            upto = end + 1 if end >= 0 else len(self.buffer) - len(_END)
            if upto > skip:
                yield self.buffer[skip:upto]
            if end >= 0:
                self.buffer = self.buffer[end + 1 + len(_END) :]
                return
            if upto > skip:
                self.buffer, skip = self.buffer[upto:], 0
            if not self._more():
                raise BackupError("the rows of a table have no end marker: the dump is truncated")


def _key(name: bytes) -> str:
    """Return schema.name of a quoted or plain qualified name."""
    parts = re.findall(r'"((?:[^"]|"")*)"|([^."]+)', name.decode("utf-8"))
    return ".".join(quoted.replace('""', '"') or plain for quoted, plain in parts)


def schema_sha256(text: str) -> str:
    """Return a checksum of a schema from pg_dump, without its order and the lines that differ in every output."""
    lines = [line for line in text.splitlines() if line and not line.startswith("--") and not _RANDOM.match(line)]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def verify(programs: Programs, backup: Backup, *, decode: bool = False) -> None:
    """Compare a backup with its manifest: every byte of every file, and with `decode` the contents of the dump.

    An equal SHA-256 proves that a file is the one that was read back in full. So a restore, which decodes it anyway,
    need not read it back again.

    Args:
        programs: of the server to restore to; their pg_restore must be able to read the dump.
        backup: the backup, with its manifest read.
        decode: read the dump in full and count its rows.

    Raises:
        BackupError: with the first missing, changed or additional file, or the first difference of the dump.
    """
    manifest = backup.manifest
    check_files(backup.folder, manifest["files"])
    programs.run("pg_restore", "--list", backup.folder / DUMP)
    if decode:
        contents = read_contents(programs, backup.folder / DUMP)
        if problem := contents_problem(contents, manifest["tables"], manifest["sequences"]):
            raise BackupError(f"The dump of {backup.id} does not match its manifest: {problem}")


def check_files(folder: Path, wanted: Mapping[str, Mapping[str, Any]]) -> None:
    """Compare the files of a backup with their sizes and checksums."""
    found = sha256_of(folder)
    for name, entry in wanted.items():
        if name not in found:
            raise DamagedError(f"{folder / name} is missing")
        if found[name]["size"] != entry["size"]:
            raise DamagedError(f"{folder / name} has {found[name]['size']} bytes, not {entry['size']}")
        if found[name]["sha256"] != entry["sha256"]:
            raise DamagedError(f"{folder / name} was changed after it was written: its SHA-256 differs")
    if more := sorted(set(found) - set(wanted)):
        raise DamagedError(f"{folder / more[0]} does not belong to the backup")


def contents_problem(
    contents: Contents, tables: list[dict[str, Any]], sequences: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return the first difference between a dump and the counts of its snapshot; empty where there is none."""
    wanted = {f"{table['schema']}.{table['name']}": table["rows"] for table in tables}
    for key, rows in wanted.items():
        if key not in contents.rows:
            return f"it has no rows of {key}, expected {rows}"
        if contents.rows[key] != rows:
            return f"it has {contents.rows[key]} rows of {key}, expected {rows}"
    if more := sorted(set(contents.rows) - set(wanted)):
        return f"it has rows of the unexpected table {more[0]}"
    for key, entry in sequences.items():
        if list(contents.sequences.get(key, ())) != [entry["last_value"], entry["is_called"]]:
            return f"its value of the sequence {key} differs"
    return ""


def entries(programs: Programs, dump: Path) -> Iterator[tuple[str, str]]:
    """Yield the table of contents of a dump: each line in the form of pg_restore's --use-list, and its description.

    The description is that of pg_restore -l: `TABLE public patients emr`.
    """
    for line in programs.run("pg_restore", "--list", dump).splitlines():
        if match := re.match(r"\d+; \d+ \d+ (.+)$", line):
            yield line, match[1]
