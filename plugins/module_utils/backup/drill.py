# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The drill: restores a backup without touching live data, and proves that it equals the dumped database.

It restores into a scratch database of the same server, or, where the server programs are available, into a temporary
server. A temporary server needs no privileges on the live server, and also proves the restore of the roles.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from .archive import verify
from .database import Session
from .errors import BackupError, UnrestorableError
from .manifest import GLOBALS, update_manifest, utc_now
from .programs import Programs, programs
from .restic import obtained
from .restore import MAINTENANCE, beside, check_server, set_access, set_comment
from .settings import DISK, LATEST, OFF_HOST, Request, Settings
from .store import Store, alone_in

SUPERUSER = "postgres"
SERVER = ".drill-"  # prefix of the folder of a temporary server
KEPT = 20  # records in a manifest
# From globals.sql: roles, not tablespaces, whose folders belong to the live server.
_ROLES = re.compile(r"(CREATE|ALTER) ROLE (?!postgres\b)|GRANT ")

_SERVER_SETTINGS = """\
listen_addresses = ''
fsync = off
full_page_writes = off
maintenance_work_mem = 128MB
log_min_messages = fatal
"""


def drill(settings: Settings, request: Request) -> dict[str, Any]:
    """Restore a backup, compare it with its manifest, and write the result into the manifest.

    Raises:
        BackupError: why the backup is not proven.
    """
    if request.check_mode:
        return {"changed": False, "lines": ["A drill would be run."]}
    began = time.monotonic()
    store = Store(settings)
    own_server = request.server == "own"
    with obtained(settings, request) as backup:
        if not backup.whole:
            raise BackupError(f"{backup.id} holds single tables. A drill needs a backup of the whole database.")
        record = {
            "at": utc_now().isoformat(),
            "ok": True,
            "from": DISK if backup.folder.parent == store.directory else OFF_HOST,
            "server": "own" if own_server else "live",
        }
        notes: list[str] = []
        failure: BackupError | None = None
        try:
            notes = _prove(settings, backup, own_server)
        except BackupError as error:
            failure = error
            record |= {"ok": False, "why": str(error)}
        record["seconds"] = round(time.monotonic() - began, 2)
        with suppress(BackupError):  # no manifest to write to: not on this host, or damaged
            update_manifest(store.directory / backup.id, lambda found: {"drills": [*found["drills"], record][-KEPT:]})
        if failure:
            remedy = (
                " Do not rely on this backup: take a new one (ansible-playbook playbooks/backup.yml) and drill again."
            )
            raise BackupError(
                f"The drill failed: the restore of {backup.id} was not verified. {failure}\n"
                "The live database was not touched." + ("" if isinstance(failure, UnrestorableError) else remedy)
            ) from failure
        tables = backup.manifest["tables"]
    # `latest` skips a damaged newest backup, which must not count as success.
    damaged = store.newer_damaged(backup.number) if request.backup == LATEST else []
    problems = [f"{other.id} is newer and cannot be used: {other.damage}." for other in damaged]
    if problems:
        problems.append("Take a new backup (ansible-playbook playbooks/backup.yml) and find out what changed this one.")
    hashed = sum(table["hash"] is not None for table in tables)
    told = (
        f"{backup.id} passed the drill: {sum(table['rows'] for table in tables)} rows in {len(tables)} tables "
        f"restored and counted, {hashed} tables hashed, all equal; {record['seconds']:.1f} s"
    )
    return {
        "changed": True,
        "lines": [told],
        "warnings": notes,
        "problems": problems,
        "backup": backup.id,
        "tables": len(tables),
        "hashed": hashed,
        **record,
    }


def _prove(settings: Settings, backup: Any, own_server: bool) -> list[str]:
    notes: list[str] = []
    with ExitStack() as stack:
        if own_server:
            tools = stack.enter_context(throwaway_server(settings))
        else:
            tools = stack.enter_context(programs(settings.bin_dir, settings.connection))
        verify(tools, backup)
        server = stack.enter_context(Session(tools.conninfo(MAINTENANCE)))
        if own_server:
            for line in (backup.folder / GLOBALS).read_text(encoding="utf-8").splitlines():
                if _ROLES.match(line):
                    server.execute(line)
        check_server(server, backup)
        name = f"{settings.database[:47]}_drill"
        scratch = stack.enter_context(beside(server, tools, backup, settings, name=name, notes=notes))
        set_access(server, scratch, backup.manifest["database"])
        set_comment(server, scratch, backup.manifest["database"]["comment"])
    return notes


@contextmanager
def throwaway_server(settings: Settings) -> Iterator[Programs]:
    """Run a temporary server during the block: no network, one system user, no crash safety."""
    user = getpass.getuser()
    if os.geteuid() == 0:
        raise BackupError("PostgreSQL does not run as root. A drill on a temporary server needs another user.")
    if not (settings.bin_dir / "initdb").exists():
        raise BackupError(f"{settings.bin_dir} has no initdb. Use the live server (backup_drill_server: live).")
    tools = Programs(settings.bin_dir, {})
    with server_folders(tools, settings.directory, SERVER) as (folder, sockets):
        data = folder / "data"
        tools.run("initdb", f"--pgdata={data}", f"--username={SUPERUSER}", "--encoding=UTF8", "--locale=C", "--no-sync")
        (data / "pg_hba.conf").write_text(f"local all {SUPERUSER} peer map=drill\n", encoding="utf-8")
        (data / "pg_ident.conf").write_text(f"drill {user} {SUPERUSER}\n", encoding="utf-8")
        with (data / "postgresql.conf").open("a", encoding="utf-8") as stream:
            stream.write(f"unix_socket_directories = '{sockets}'\n{_SERVER_SETTINGS}")
        tools.run("pg_ctl", "start", f"--pgdata={data}", f"--log={folder / 'log'}", "--wait", "--silent")
        yield Programs(settings.bin_dir, {"host": str(sockets), "user": SUPERUSER})


@contextmanager
def server_folders(tools: Programs, parent: Path, prefix: str) -> Iterator[tuple[Path, Path]]:
    """Make the folder of a temporary server, and that of its socket; end the server and remove both after the block.

    Those of drills that were killed are removed first.

    Args:
        tools: programs that can stop the server whose data is in `data` of the folder.
        parent: where the folder is made.
        prefix: of its name.
    """
    for left in parent.glob(f"{prefix}*"):
        with alone_in(left) as unused:  # otherwise that drill is still running
            if unused:
                _end_server(tools, left)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    sockets = Path(tempfile.mkdtemp(prefix="physioflow-drill-"))  # a socket's path has 107 bytes at most
    with alone_in(folder):
        try:
            yield folder, sockets
        finally:
            _end_server(tools, folder)
            shutil.rmtree(sockets, ignore_errors=True)


def _end_server(tools: Programs, folder: Path) -> None:
    with suppress(BackupError):  # it may not have been started
        tools.run("pg_ctl", "stop", f"--pgdata={folder / 'data'}", "--mode=immediate", "--silent")
    shutil.rmtree(folder, ignore_errors=True)
