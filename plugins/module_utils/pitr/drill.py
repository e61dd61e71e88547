# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The drill of point-in-time recovery: restores a moment into a temporary server, and reads every page of it.

`pgbackrest verify` ends with 0 also where it prints errors (pgBackRest issue 2502), so its exit status is no proof. The
repository is only read, and the live server is not touched.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import re
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ..backup.database import Session
from ..backup.drill import SUPERUSER, server_folders
from ..backup.errors import BackupError
from ..backup.manifest import utc_now
from ..backup.programs import Programs
from .repository import QUIET, SEGMENT_BYTES, Span, lsn_number, lsn_text, read_repository, segment_name, spans

DRILLS = Path("/var/lib/physioflow-pitr/drills.json")
NEWEST, RANDOM = "newest", "random"
KEPT = 20  # records
FOLDER = "pitr-drill-"  # prefix
POLL = 0.2  # seconds
# What a standby must have as large as its primary had, by the words of pg_controldata.
CONTROLLED = (
    *("max_connections", "max_worker_processes", "max_wal_senders"),
    *("max_prepared_xacts", "max_locks_per_xact"),
)
NAMES = {"max_prepared_xacts": "max_prepared_transactions", "max_locks_per_xact": "max_locks_per_transaction"}
SERVER = "listen_addresses = ''\nshared_buffers = 128MB\nautovacuum = off\nssl = off\nlog_min_messages = fatal\n"

STATE = """
SELECT pg_is_in_recovery() AS recovering,
       to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS reached,
       pg_last_wal_replay_lsn()::text AS lsn, pg_snapshot_xmax(pg_current_snapshot())::text AS next,
       EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck') AS amcheck
"""
SOCKETS = "/var/run/postgresql"  # of the live server, where Debian has them
NEXT = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next"


def pgbackrest(stanza: str, command: str, *arguments: str) -> str:
    """Run a command of pgBackRest and return what it prints.

    Raises:
        BackupError: with its own message.
    """
    return Programs(Path("/usr/bin"), {}).run("pgbackrest", f"--stanza={stanza}", *QUIET, command, *arguments)


def target_of(moment: str, span: Span, segment_bytes: int, chance: random.Random) -> tuple[str, list[str]]:
    """Return the label of a backup and pgBackRest's options for a moment of a span.

    Args:
        moment: `newest`, or `random` for a random place in the log after a random backup.
        span: the span.
        segment_bytes: size of a WAL segment.
        chance: source of randomness.
    """
    if moment == NEWEST:
        return max(span.backups, key=lambda backup: backup.stop).label, ["--type=default"]
    backup = chance.choice(span.backups)
    # The last segment may hold little, but its beginning is always reached.
    end = span.last * segment_bytes
    if end <= backup.lsn:
        return backup.label, ["--type=immediate", "--target-action=promote"]
    lsn = lsn_text(chance.randrange(backup.lsn, end))
    return backup.label, [
        "--type=lsn", f"--target={lsn}", f"--target-timeline={span.timeline}", "--target-action=promote"
    ]  # fmt: skip


def server_settings(control: str, sockets: Path) -> str:
    """Return the settings of the temporary server.

    Args:
        control: output of pg_controldata.
        sockets: folder of its socket.
    """
    found = dict(re.findall(r"^(\w+) setting:\s+(\d+)$", control, re.MULTILINE))
    lines = [f"{NAMES.get(name, name)} = {found[name]}\n" for name in CONTROLLED if name in found]
    return f"unix_socket_directories = '{sockets}'\n{SERVER}{''.join(lines)}"


def next_transaction(tools: Programs, port: int) -> int | None:
    """Return the next transaction id of the live server; None where it does not answer."""
    server = Programs(tools.bin_dir, {"host": SOCKETS, "port": str(port), "user": SUPERUSER})
    try:
        with Session(server.conninfo("postgres", connect_timeout="10")) as session:
            return int(session.row(NEXT)["next"])
    except BackupError:
        return None


def seconds_behind(began: datetime, live: int | None, state: Mapping[str, Any]) -> int | None:
    """Return how many seconds of transactions the restored cluster lacks; None where nobody can tell.

    Args:
        began: when the drill began.
        live: next transaction id of the live server at that moment.
        state: of the restored cluster.
    """
    if live is None:
        return None
    if int(state["next"]) >= live:
        return 0
    return round((began - datetime.fromisoformat(state["reached"])).total_seconds()) if state["reached"] else None


def restore_and_check(stanza: str, tools: Programs, parent: Path, moment: str, port: int) -> dict[str, Any]:
    """Restore a moment, and check what was restored; returns backup, reached, behind, seconds and checked.

    Raises:
        BackupError: why the moment could not be restored, or what is damaged.
    """
    began, clock = utc_now(), time.monotonic()
    live = next_transaction(tools, port) if moment == NEWEST else None
    found = spans(read_repository(functools.partial(pgbackrest, stanza), stanza))
    if not found:
        raise BackupError("There is no complete backup with its WAL in the repository.")
    if moment == NEWEST and not found[-1].newest:
        last = segment_name(found[-1].timeline, found[-1].last)
        raise BackupError(f"WAL is missing after {last}: no backup reaches the newest moment.")
    label, options = target_of(moment, found[-1], SEGMENT_BYTES, random.SystemRandom())
    with server_folders(tools, parent, FOLDER) as (folder, sockets):
        data = folder / "data"
        data.mkdir(mode=0o700)
        pgbackrest(
            stanza, "restore", f"--pg1-path={data}", f"--set={label}", "--archive-mode=off",
            f"--tablespace-map-all={folder / 'tablespaces'}", *options,
        )  # fmt: skip
        control = tools.run("pg_controldata", f"--pgdata={data}")
        (data / "postgresql.conf").write_text(server_settings(control, sockets), encoding="utf-8")
        (data / "pg_hba.conf").write_text(f"local all {SUPERUSER} peer\n", encoding="utf-8")
        (data / "pg_ident.conf").write_text("", encoding="utf-8")
        start = ("start", f"--pgdata={data}", f"--log={folder / 'log'}", "--wait", "--timeout=86400", "--silent")
        tools.run("pg_ctl", *start)
        server = Programs(tools.bin_dir, {"host": str(sockets), "user": SUPERUSER})
        with Session(server.conninfo("postgres")) as session:
            while (state := session.row(STATE))["recovering"]:
                time.sleep(POLL)
            seconds = round(time.monotonic() - clock, 1)
        if moment == NEWEST and lsn_number(state["lsn"]) < found[-1].last * SEGMENT_BYTES:
            raise BackupError(f"The restored cluster ends at {state['lsn']}, before the newest WAL in the repository.")
        if state["amcheck"]:
            tools.run("pg_amcheck", f"--host={sockets}", f"--username={SUPERUSER}", "--all", "--install-missing")
        tools.run("pg_ctl", "stop", f"--pgdata={data}", "--mode=fast", "--wait", "--silent")
        tools.run("pg_checksums", "--check", f"--pgdata={data}")
    checked = ["checksums", *(["amcheck"] if state["amcheck"] else [])]
    behind = seconds_behind(began, live, state)
    return {"backup": label, "reached": state["reached"], "behind": behind, "seconds": seconds, "checked": checked}


def drill(stanza: str, bin_dir: Path, parent: Path, moment: str, port: int, *, drills: Path = DRILLS) -> dict[str, Any]:
    """Run a drill, and write its record.

    Args:
        stanza: pgBackRest's name of the cluster.
        bin_dir: folder of PostgreSQL's programs.
        parent: folder on the disk that has room for a copy of the cluster.
        moment: `newest` or `random`.
        port: of the live server.
        drills: file of the records.

    Returns:
        {at, moment, ok, why or backup, reached, behind, seconds, checked}.
    """
    record: dict[str, Any] = {"at": utc_now().isoformat(), "moment": moment, "ok": True}
    try:
        record |= restore_and_check(stanza, Programs(bin_dir, {}), parent, moment, port)
    except BackupError as error:
        record |= {"ok": False, "why": str(error)}
    former = read_drills(drills)
    fresh = drills.with_suffix(".new")
    fresh.write_text(json.dumps([*former, record][-KEPT:], indent=1) + "\n", encoding="utf-8")
    fresh.chmod(0o644)  # the status reads it
    fresh.replace(drills)
    return record


def read_drills(drills: Path = DRILLS) -> list[dict[str, Any]]:
    """Return the records, the oldest first; none where there was no drill."""
    try:
        found: list[dict[str, Any]] = json.loads(drills.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return found


def sentence(record: Mapping[str, Any]) -> str:
    """Return a record in a sentence."""
    if not record["ok"]:
        return f"The drill failed: {record['why']} The live server was not touched."
    at = f", up to the transaction of {record['reached']}" if record["reached"] else ""
    behind = f", {record['behind']} s behind the live server" if record["behind"] is not None else ""
    return (
        f"{record['backup']} was restored to the {record['moment']} moment{at}{behind}, in {record['seconds']} s; "
        f"{' and '.join(record['checked'])} found no damage."
    )


def main() -> int:
    """Run the drill of the command line, for a timer of the host."""
    parser = argparse.ArgumentParser(prog="physioflow.pyz pitr", description="Drills of point-in-time recovery.")
    parser.add_argument("action", choices=["drill"])
    parser.add_argument("--stanza", required=True)
    parser.add_argument("--bin-dir", type=Path, required=True)
    parser.add_argument("--directory", type=Path, required=True, help="where a copy of the cluster has room")
    parser.add_argument("--moment", choices=[NEWEST, RANDOM], default=NEWEST)
    parser.add_argument("--port", type=int, default=5432, help="of the live server (%(default)s)")
    arguments = parser.parse_args()
    record = drill(arguments.stanza, arguments.bin_dir, arguments.directory, arguments.moment, arguments.port)
    print(sentence(record), file=sys.stdout if record["ok"] else sys.stderr)
    return 0 if record["ok"] else 1
