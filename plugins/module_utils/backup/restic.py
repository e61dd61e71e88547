# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copies off the host, encrypted by restic, and the choice between local files and copies.

restic gets its password through a pipe: no file, no environment variable, no argument. The repository's address may
also hold a user and a password, so it is no argument either, because every user of the host can read arguments.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import BackupError, NoRepositoryError
from .manifest import FILE, read_manifest, utc_now
from .owner import give, owner_of
from .settings import DISK, LATEST, OFF_HOST, Request, Settings
from .store import FETCHED, Backup, Store, alone_in

CACHE = ".restic-cache"
TAG = "physioflow"
_WRONG_KEY = "wrong password or no key found"
_NO_REPOSITORY = re.compile(r"unable to open config file|Is there a repository at|repository does not exist")
_USER = re.compile(r"(?<=://)[^/\s]*@")


def shown(repository: str) -> str:
    """Return the name of a repository without a user and password in its address."""
    return _USER.sub("", repository)


def run(settings: Settings, *arguments: str) -> str:
    """Run restic and return its output.

    Raises:
        BackupError: why it failed; a wrong password and a missing repository are named explicitly.
    """
    restic = settings.restic
    # Root would create files in the repository and in the cache that the next backup cannot read.
    owner = owner_of(settings.directory)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RESTIC_")}
    reading, writing = os.pipe()
    try:
        if owner:
            os.chown(reading, owner.pw_uid, owner.pw_gid)  # it is reopened by its name
            environment["HOME"] = owner.pw_dir
        os.write(writing, restic.password.encode() + b"\n")  # far less than the capacity of a pipe
        os.close(writing)
        done = subprocess.run(  # noqa: S603 - no shell
            [
                restic.program,
                f"--password-file=/dev/fd/{reading}",
                f"--cache-dir={settings.directory / CACHE}",
                "--quiet",
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            env={**environment, **restic.environment, "RESTIC_REPOSITORY": restic.repository},
            pass_fds=(reading,),
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            extra_groups=[] if owner else None,
            check=False,
        )
    except OSError as error:
        raise BackupError(
            f"restic cannot be run ({error.strerror}): install the package restic on that host"
        ) from error
    finally:
        os.close(reading)
    if done.returncode == 0:
        return done.stdout
    place = shown(restic.repository)
    words = " ".join(done.stderr.split())
    if _WRONG_KEY in words:
        raise BackupError(f"The password of the repository {place} is wrong. Correct backup_restic_password.")
    if _NO_REPOSITORY.search(words):
        raise NoRepositoryError(f"There is no repository at {place}.")
    raise BackupError(f"restic failed on {place}: {_USER.sub('', words)[-500:] or f'exit status {done.returncode}'}")


def ensure(settings: Settings) -> None:
    """Create the repository where there is none."""
    try:
        run(settings, "unlock")  # locks of a killed restic: removes only those of ended processes
    except NoRepositoryError:
        run(settings, "init")


def copy(settings: Settings, backup: Backup) -> dict[str, Any]:
    """Copy a backup, and return the entry for its manifest: repository, snapshot, at."""
    scope = "database" if backup.whole else "tables"
    tags = f"{TAG},database={settings.database},scope={scope}"
    out = run(settings, "backup", "--json", f"--tag={tags}", str(backup.folder))
    return {
        "repository": shown(settings.restic.repository),
        "snapshot": json.loads(out.strip().splitlines()[-1])["snapshot_id"],
        "at": utc_now().isoformat(),
    }


def forget(settings: Settings, keep: Mapping[str, int]) -> None:
    """Let restic remove the snapshots that no rule keeps, and unused data."""
    if not keep:
        return
    rules = [f"--keep-{name}={keep[name]}" for name in ("last", "daily", "weekly", "monthly") if keep.get(name)]
    if keep.get("days"):
        rules.append(f"--keep-within={keep['days']}d")
    if not keep.get("last"):
        rules.append("--keep-last=1")
    # Backups of the whole database and of single tables have different tags, so restic groups them separately.
    out = run(settings, "forget", "--json", f"--tag={TAG},database={settings.database}", "--group-by=tags", *rules)
    if any(group["remove"] for group in json.loads(out.strip() or "[]")):
        run(settings, "prune")


def snapshots(settings: Settings) -> list[dict[str, Any]]:
    """Return the copies of whole and single-table backups in the repository, oldest first: snapshot, id, scope."""
    try:
        found = json.loads(run(settings, "snapshots", "--json", f"--tag={TAG},database={settings.database}")) or []
    except NoRepositoryError:
        return []
    return sorted(
        (
            {
                "snapshot": entry["id"],
                "id": Path(entry["paths"][0]).name,
                "at": entry["time"],
                "scope": next((tag[6:] for tag in entry["tags"] if tag.startswith("scope=")), ""),
            }
            for entry in found
        ),
        key=lambda entry: (entry["at"], entry["id"]),
    )


def snapshot_of(settings: Settings, name: str | None) -> str:
    """Return the snapshot of a backup; without a name, that of the newest whole backup."""
    found = [s for s in snapshots(settings) if (s["id"] == name if name else s["scope"] == "database")]
    if not found:
        raise BackupError(
            f"There is no copy of {name or f'a backup of {settings.database}'} at {shown(settings.restic.repository)}."
        )
    return str(found[-1]["snapshot"])


@contextmanager
def fetched(settings: Settings, snapshot: str) -> Iterator[Path]:
    """Provide a copy from off the host in a folder that is removed at the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix=FETCHED, dir=settings.directory))
    give(folder, settings.directory)
    with alone_in(folder):
        try:
            run(settings, "restore", snapshot, f"--target={folder}")
            manifest = next(folder.rglob(FILE), None)
            if manifest is None:
                place = shown(settings.restic.repository)
                raise BackupError(f"The copy {snapshot[:8]} at {place} holds no backup.")
            yield manifest.parent
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def obtained(settings: Settings, request: Request) -> Iterator[Backup]:
    """Provide the requested backup, with all of its files, during the block.

    Raises:
        BackupError: where it is missing in both places, or damaged.
    """
    name, source = request.backup, request.source
    store = Store(settings)
    here: Backup | None = None
    if source != OFF_HOST:
        try:
            here = store.find(name)
        except BackupError:
            if source == DISK or not settings.restic.repository:
                raise
    # Missing files without a copy were removed by hand; the verification names them.
    if here and (source == DISK or here.has_files or not here.manifest["off_host"]):
        with store.in_use(here):
            yield here
        return
    if not settings.restic.repository:
        raise BackupError(
            f"There is no repository off the host, so {name} cannot be there. Nothing was changed. Set "
            "backup_restic_repository (docs/off-site.md), or choose a backup on the host: leave out off_host."
        )
    wanted = here.id if here else name
    with fetched(settings, snapshot_of(settings, None if wanted == LATEST else wanted)) as folder:
        yield Backup(folder, read_manifest(folder))
