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
    if problems := [*_shape_problems(given), *_value_problems(given)]:
        raise BackupError(f"The settings of the backup cannot be right: {'; '.join(problems)}. Nothing was touched.")
    values = dict(given)
    values |= {name: Path(given[name]) for name in ("directory", "bin_dir")}
    values["connection"] = {name: str(value) for name, value in (given.get("connection") or {}).items()}
    values["keep"] = {name: int(value) for name, value in (given.get("keep") or {}).items()}
    proof = given.get("proof", "hash")
    values["proof"] = proof if isinstance(proof, str) else tuple(proof)
    values["restic"] = Restic(**(given.get("restic") or {}))
    return Settings(**values)


def _shape_problems(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is missing, unknown or no path."""
    if unknown := sorted(set(given) - {entry.name for entry in fields(Settings)}):
        yield f"unknown settings {', '.join(unknown)}"
    for name in ("database", "directory", "bin_dir"):
        if not given.get(name):
            yield f"{name} is missing"
        elif name == "database" and not NAME.fullmatch(str(given[name])):
            yield f"{given[name]!r} is no name of a database (a to z, 0 to 9 and _)"
        elif name != "database" and not Path(given[name]).is_absolute():
            yield f"{name} is {given[name]}, not an absolute path"


def _value_problems(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the values that are out of their range."""
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
