# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a backup is to be: the settings of the role, checked once, for the playbooks and for the timer alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
COMPRESSION = re.compile(r"auto|none|gzip:[1-9]|zstd:([1-9]|1[0-9])|lz4:([1-9]|1[0-2])")
KEEP = ("last", "days", "daily", "weekly", "monthly")
PROOFS = ("counts", "hash")


class BackupError(Exception):
    """A failure that is told to the user as it stands: what, why, in which state everything is, what to do next."""


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
    """All that an act on backups has to know.

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


def read_settings(given: Mapping[str, Any]) -> Settings:
    """Return checked settings.

    Args:
        given: as in the timer's settings.json; what is left out has its default.

    Raises:
        BackupError: every value that cannot be right, in one message.
    """
    problems = []
    known = {entry.name for entry in fields(Settings)}
    if unknown := sorted(set(given) - known):
        problems.append(f"unknown settings {', '.join(unknown)}")
    for name in ("database", "directory", "bin_dir"):
        if not given.get(name):
            problems.append(f"{name} is missing")
    if not NAME.fullmatch(str(given.get("database") or "x")):
        problems.append(f"{given['database']!r} is no name of a database (a to z, 0 to 9 and _)")
    for name in ("directory", "bin_dir"):
        if given.get(name) and not Path(given[name]).is_absolute():
            problems.append(f"{name} is {given[name]}, not an absolute path")
    if given.get("format", "auto") not in ("auto", "custom", "directory"):
        problems.append(f"format is {given['format']}; it is auto, custom or directory")
    if not COMPRESSION.fullmatch(str(given.get("compression", "auto"))):
        problems.append(f"compression is {given['compression']}; it is auto, none, gzip:1-9, zstd:1-19 or lz4:1-12")
    proof = given.get("proof", "hash")
    if isinstance(proof, str) and proof not in PROOFS:
        problems.append(f"proof is {proof}; it is counts, hash or a list of tables")
    keep = given.get("keep", {})
    problems += [f"keep has {name}; it takes {', '.join(KEEP)}" for name in sorted(set(keep) - set(KEEP))]
    problems += [f"keep.{name} is {keep[name]}; it is 0 or more" for name in KEEP if int(keep.get(name, 0)) < 0]
    if keep and not any(int(keep.get(name, 0)) for name in KEEP):
        problems.append("keep is 0 in everything, and would keep nothing")
    problems += [
        f"{name} is {given[name]}; it is 0 or more"
        for name in ("jobs", "restore_jobs", "lock_wait", "parallel_above")
        if float(given.get(name, 0)) < 0
    ]
    restic = given.get("restic") or {}
    if restic.get("repository") and not restic.get("password"):
        problems.append("restic has a repository and no password")
    if restic.get("only") and not restic.get("repository"):
        problems.append("restic.only without a repository would keep nothing")
    if problems:
        raise BackupError(f"The settings of the backup cannot be right: {'; '.join(problems)}. Nothing was touched.")
    values = dict(given)
    values |= {name: Path(given[name]) for name in ("directory", "bin_dir")}
    values["connection"] = {name: str(value) for name, value in (given.get("connection") or {}).items()}
    values["keep"] = {name: int(value) for name, value in keep.items()}
    values["proof"] = proof if isinstance(proof, str) else tuple(proof)
    values["restic"] = Restic(**restic)
    return Settings(**values)


def libpq_keywords(connection: Mapping[str, Any]) -> dict[str, str]:
    """Return the variable `postgresql_connection` in libpq's keywords."""
    names = {
        "login_host": "host",
        "login_unix_socket": "host",
        "login_port": "port",
        "login_user": "user",
        "login_password": "password",
        "ssl_mode": "sslmode",
        "ca_cert": "sslrootcert",
        "ssl_cert": "sslcert",
        "ssl_key": "sslkey",
    }
    found = {names[key]: str(value) for key, value in connection.items() if key in names and value not in (None, "")}
    return found | {key: str(value) for key, value in (connection.get("connect_params") or {}).items()}
