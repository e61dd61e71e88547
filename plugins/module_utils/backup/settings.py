# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The settings of backups, from the role, checked once for both the playbooks and the timer."""

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
NEWEST = "newest"  # a synonym of it
LATEST = "latest"  # the newest verified backup of the whole database
AUTO, DISK, OFF_HOST = "auto", "disk", "off_host"  # the source of a backup
FORMATS = ("auto", "custom", "directory")
PROOFS = ("counts", "hash")
# The option `restic` of a module: the attributes of Restic below.
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
        repository: the repository, as for restic's option --repo; empty for none.
        password: password of the repository.
        environment: environment variables of this kind of repository, for instance AWS_ACCESS_KEY_ID.
        only: keep no plain dump on disk, only its manifest.
        program: name or path of restic.
    """

    repository: str = ""
    password: str = field(default="", repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    only: bool = False
    program: str = "restic"


@dataclass(frozen=True)
class Settings:
    """The settings of all actions on backups.

    Attributes:
        database: name of the database to back up.
        directory: folder of the backups.
        bin_dir: folder of pg_dump, pg_restore and the others.
        connection: libpq's keywords of the server; a password among them never appears on a command line.
        role: role for SET ROLE after login for a dump; empty for none.
        format: custom (one file), directory (several tables in parallel), or auto by the size of the database.
        parallel_above: size in bytes from which auto takes the directory format.
        jobs: parallel tables in a dump; 0 means half the cores, four at most.
        restore_jobs: parallel jobs of a restore; 0 means one per core.
        compression: method and level; auto means zstd where the programs support it, else gzip, both at a fast level.
        proof: the comparison after a restore: counts, hash (counts and every row), or a list of tables whose rows are
            hashed, while all others are counted.
        globals_passwords: keep the password verifiers of the roles with the backup; needs a superuser.
        keep: retention rules: last, days, daily, weekly, monthly.
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
    """The arguments of an action; each action reads its own.

    Attributes:
        check_mode: change nothing.
        backup: id, or latest.
        source: the source of a backup: disk, off_host, or auto, which fetches a copy only if the files are not here.
        database: name of the database to restore into.
        in_place: whether to replace a database of that name; otherwise it must be missing or empty.
        tables: names of the tables to back up or to restore; a partitioned table means all its partitions, and a
            partition can be named itself. Empty means the whole database.
        existing_rows: treatment of existing rows when tables are restored: refuse, keep or replace.
        why: the reason of a backup, for its manifest.
        operator: the person who requested a backup; empty for the user of this process.
        only_with_data: take no backup of a database in which no table has a row.
        off_host: also list the copies.
        server: the server of a drill: own, a temporary one, or live, with a scratch database.
        role: the role that is to read large objects.
        warn: look for objects that PostgreSQL could not restore.
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
    """Return a request; missing or empty values get their defaults."""
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
        given: values as in the timer's settings.json; missing values get their defaults.

    Raises:
        BackupError: all invalid values, in one message.
    """
    if problems := list(_problems(given)):
        raise BackupError(f"The backup settings are invalid: {'; '.join(problems)}. Nothing was touched.")
    values = dict(given)
    values |= {name: Path(given[name]) for name in ("directory", "bin_dir")}
    values["connection"] = {name: str(value) for name, value in (given.get("connection") or {}).items()}
    values["keep"] = {name: int(value) for name, value in (given.get("keep") or {}).items()}
    proof = given.get("proof", "hash")
    values["proof"] = proof if isinstance(proof, str) else tuple(proof)
    values["restic"] = Restic(**(given.get("restic") or {}))
    return Settings(**values)


def _problems(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the missing, unknown and invalid values."""
    if unknown := sorted(set(given) - {entry.name for entry in fields(Settings)}):
        yield f"unknown settings {', '.join(unknown)}"
    for name in ("database", "directory", "bin_dir"):
        if not given.get(name):
            yield f"{name} is missing"
        elif name == "database" and not NAME.fullmatch(str(given[name])):
            yield f"{given[name]!r} is not a database name (a to z, 0 to 9 and _)"
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
        "all rules of keep are 0, so no backup would be kept": not keep or any(int(keep.get(name, 0)) for name in KEEP),
        "restic has a repository and no password": bool(restic.get("password")) or not restic.get("repository"),
        "restic.only without a repository would keep nothing": bool(restic.get("repository")) or not restic.get("only"),
    }
    yield from (problem for problem, holds in checks.items() if not holds)
    numbers = {name: given.get(name, 0) for name in ("jobs", "restore_jobs", "lock_wait", "parallel_above")}
    numbers |= {f"keep.{name}": keep.get(name, 0) for name in KEEP}
    yield from (f"{name} is {number}; it is 0 or more" for name, number in numbers.items() if float(number) < 0)
