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
from pathlib import Path
from typing import Any

from ..backup.database import Session
from ..backup.drill import SUPERUSER, server_folders
from ..backup.errors import BackupError
from ..backup.manifest import utc_now
from ..backup.programs import Programs
from .repository import SEGMENT_BYTES, Span, lsn_text, read_repository, spans

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
       EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck') AS amcheck
"""


def pgbackrest(stanza: str, command: str, *arguments: str) -> str:
    """Run a command of pgBackRest and return what it prints.

    Raises:
        BackupError: with its own message.
    """
    quiet = ("--log-level-console=off", "--log-level-stderr=error", "--no-log-timestamp")
    return Programs(Path("/usr/bin"), {}).run("pgbackrest", f"--stanza={stanza}", *quiet, command, *arguments)


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
    return backup.label, ["--type=lsn", f"--target={lsn}", "--target-action=promote"]


def server_settings(control: str, sockets: Path) -> str:
    """Return the settings of the temporary server.

    Args:
        control: output of pg_controldata.
        sockets: folder of its socket.
    """
    found = dict(re.findall(r"^(\w+) setting:\s+(\d+)$", control, re.MULTILINE))
    lines = [f"{NAMES.get(name, name)} = {found[name]}\n" for name in CONTROLLED if name in found]
    return f"unix_socket_directories = '{sockets}'\n{SERVER}{''.join(lines)}"


def restore_and_check(stanza: str, tools: Programs, parent: Path, moment: str) -> dict[str, Any]:
    """Restore a moment, and check what was restored; returns backup, reached, seconds and checked.

    Raises:
        BackupError: why the moment could not be restored, or what is damaged.
    """
    began = time.monotonic()
    found = spans(*read_repository(functools.partial(pgbackrest, stanza), stanza))
    if not found:
        raise BackupError("There is no complete backup with its WAL in the repository.")
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
            seconds = round(time.monotonic() - began, 1)
        if state["amcheck"]:
            tools.run("pg_amcheck", f"--host={sockets}", f"--username={SUPERUSER}", "--all", "--install-missing")
        tools.run("pg_ctl", "stop", f"--pgdata={data}", "--mode=fast", "--wait", "--silent")
        tools.run("pg_checksums", "--check", f"--pgdata={data}")
    checked = ["checksums", *(["amcheck"] if state["amcheck"] else [])]
    return {"backup": label, "reached": state["reached"], "seconds": seconds, "checked": checked}


def drill(stanza: str, bin_dir: Path, parent: Path, moment: str, drills: Path = DRILLS) -> dict[str, Any]:
    """Run a drill, and write its record.

    Args:
        stanza: pgBackRest's name of the cluster.
        bin_dir: folder of PostgreSQL's programs.
        parent: folder on the disk that has room for a copy of the cluster.
        moment: `newest` or `random`.
        drills: file of the records.

    Returns:
        {at, moment, ok, why or backup, reached, seconds, checked}.
    """
    record: dict[str, Any] = {"at": utc_now().isoformat(), "moment": moment, "ok": True}
    try:
        record |= restore_and_check(stanza, Programs(bin_dir, {}), parent, moment)
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
    return (
        f"{record['backup']} was restored to the {record['moment']} moment{at}, in {record['seconds']} s; "
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
    arguments = parser.parse_args()
    record = drill(arguments.stanza, arguments.bin_dir, arguments.directory, arguments.moment)
    print(sentence(record), file=sys.stdout if record["ok"] else sys.stderr)
    return 0 if record["ok"] else 1
