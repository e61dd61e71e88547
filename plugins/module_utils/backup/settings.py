# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a backup is to be: the settings of the role, checked once, for the playbooks and for the timer alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .errors import BackupError

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
COMPRESSION = re.compile(r"auto|none|gzip:[1-9]|zstd:([1-9]|1[0-9])|lz4:([1-9]|1[0-2])")
KEEP = ("last", "days", "daily", "weekly", "monthly")
NEWEST = "newest"  # another word for it
LATEST = "latest"  # the newest verified backup of the whole database
AUTO, DISK, OFF_HOST = "auto", "disk", "off_host"  # where a backup is read
FORMATS = ("auto", "custom", "directory")
PROOFS = ("counts", "hash")
# Of a module's option `restic`: the attributes of Restic below.
RESTIC_OPTIONS = {
    "repository": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "environment": {"type": "dict", "default": {}, "no_log": True},
    "only": {"type": "bool", "default": False},
}


@dataclass(frozen=True)
class Restic:
    """The repository for copies off the host, encrypted by restic.

    Attributes:
        repository: as restic's option --repo takes it; empty is none.
        password: of the repository.
        environment: variables that the kind of repository needs, for instance AWS_ACCESS_KEY_ID.
        only: no plain dump stays on disk: only its manifest does.
        program: name or path of restic.
    """

    repository: str = ""
    password: str = field(default="", repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    only: bool = False
    program: str = "restic"


@dataclass(frozen=True)
class Settings:
    """All that an action on backups has to know.

    Attributes:
        database: name of the database that is backed up.
        directory: folder of the backups.
        bin_dir: folder of pg_dump, pg_restore and the others.
        connection: how to reach the server, by libpq's keywords; a password among them goes into no command line.
        role: role to become after login for a dump; empty is none.
        format: custom (one file), directory (several at once), or auto by the size of the database.
        parallel_above: size in bytes from which auto takes the directory format.
        jobs: tables at once in a dump; 0 is half the cores, four at most.
        restore_jobs: the same for a restore; 0 is one for each core.
        compression: method and level; auto is zstd where the programs have it, else gzip, both fast.
        proof: what is compared after a restore: counts, hash (counts and every row), or a list of tables whose rows
            are hashed, all others being counted.
        globals_passwords: keep the verifiers of the roles' passwords with the backup; takes a superuser.
        keep: how many backups stay: last, days, daily, weekly, monthly.
        lock_wait: seconds to wait for a run of migrations.
        restic: the copies off the host.
    """

    database: str
    directory: Path
    bin_dir: Path
    connection: Mapping[str, str] = field(default_factory=dict, repr=False)
    role: str = ""
    format: str = "auto"
    parallel_above: int = 1_000_000_000
    jobs: int = 0
    restore_jobs: int = 0
    compression: str = "auto"
    proof: str | tuple[str, ...] = "hash"
    globals_passwords: bool = False
    keep: Mapping[str, int] = field(default_factory=dict)
    lock_wait: float = 600
    restic: Restic = field(default_factory=Restic)


@dataclass(frozen=True)
class Request:
    """What an action is asked for; each reads what concerns it.

    Attributes:
        check_mode: change nothing.
        backup: id, or latest.
        source: where a backup is read: disk, off_host, or auto: off the host only what is not here.
        database: name of the database to restore into.
        in_place: whether a database of that name is replaced; otherwise it has to be missing or empty.
        tables: names of the only tables to back up or to restore; of a partitioned one all partitions, or a partition
            by its own name. Empty is the whole database.
        existing_rows: what happens to rows that are there when tables are restored: refuse, keep or replace.
        why: the reason of a backup, for its manifest.
        operator: who asked for a backup; empty is the user of this process.
        only_with_data: take no backup of a database in which no table has a row.
        off_host: list the copies too.
        server: of a drill: own, made for it and thrown away, or live, in a scratch database.
        role: that shall read large objects.
        warn: look for what PostgreSQL could not restore.
    """

    check_mode: bool = False
    backup: str = LATEST
    source: str = AUTO
    database: str = ""
    in_place: bool = False
    tables: tuple[str, ...] = ()
    existing_rows: str = "refuse"
    why: str = "by hand"
    operator: str = ""
    only_with_data: bool = False
    off_host: bool = False
    server: str = "live"
    role: str = ""
    warn: bool = True


def read_request(given: Mapping[str, Any], *, check_mode: bool) -> Request:
    """Return a request; what is left out or empty has its default."""
    values = {name: value for name, value in given.items() if value not in (None, "")}
    tables = given.get("tables") or ()
    if isinstance(tables, str):  # -e restore_tables=patients,visits
        tables = [name.strip() for name in tables.split(",") if name.strip()]
    if values.get("backup") == NEWEST:
        values["backup"] = LATEST
    return Request(check_mode=check_mode, **values | {"tables": tuple(tables)})


def read_settings(given: Mapping[str, Any]) -> Settings:
    """Return checked settings.

    Args:
        given: as in the timer's settings.json; what is left out has its default.

    Raises:
        BackupError: every value that cannot be right, in one message.
    """
    if problems := list(_problems(given)):
        raise BackupError(f"The settings of the backup cannot be right: {'; '.join(problems)}. Nothing was touched.")
    values = dict(given)
    values |= {name: Path(given[name]) for name in ("directory", "bin_dir")}
    values["connection"] = {name: str(value) for name, value in (given.get("connection") or {}).items()}
    values["keep"] = {name: int(value) for name, value in (given.get("keep") or {}).items()}
    proof = given.get("proof", "hash")
    values["proof"] = proof if isinstance(proof, str) else tuple(proof)
    values["restic"] = Restic(**(given.get("restic") or {}))
    return Settings(**values)


def _problems(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is missing, unknown, no path, or out of its range."""
    if unknown := sorted(set(given) - {entry.name for entry in fields(Settings)}):
        yield f"unknown settings {', '.join(unknown)}"
    for name in ("database", "directory", "bin_dir"):
        if not given.get(name):
            yield f"{name} is missing"
        elif name == "database" and not NAME.fullmatch(str(given[name])):
            yield f"{given[name]!r} is no name of a database (a to z, 0 to 9 and _)"
        elif name != "database" and not Path(given[name]).is_absolute():
            yield f"{name} is {given[name]}, not an absolute path"
    proof, keep, restic = given.get("proof", "hash"), given.get("keep") or {}, given.get("restic") or {}
    checks = {
        f"format is {given.get('format')}; it is auto, custom or directory": given.get("format", "auto") in FORMATS,
        f"compression is {given.get('compression')}; it is auto, none, gzip:1-9, zstd:1-19 or lz4:1-12": bool(
            COMPRESSION.fullmatch(str(given.get("compression", "auto")))
        ),
        f"proof is {proof}; it is counts, hash or a list of tables": not isinstance(proof, str) or proof in PROOFS,
        f"keep takes {', '.join(KEEP)}, and no other rule": set(keep) <= set(KEEP),
        "keep is 0 in everything, and would keep nothing": not keep or any(int(keep.get(name, 0)) for name in KEEP),
        "restic has a repository and no password": bool(restic.get("password")) or not restic.get("repository"),
        "restic.only without a repository would keep nothing": bool(restic.get("repository")) or not restic.get("only"),
    }
    yield from (problem for problem, holds in checks.items() if not holds)
    numbers = {name: given.get(name, 0) for name in ("jobs", "restore_jobs", "lock_wait", "parallel_above")}
    numbers |= {f"keep.{name}": keep.get(name, 0) for name in KEEP}
    yield from (f"{name} is {number}; it is 0 or more" for name, number in numbers.items() if float(number) < 0)
