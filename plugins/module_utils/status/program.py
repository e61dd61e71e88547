# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program that a timer of the host runs: it reads the database and prints its metrics."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..backup.database import Session
from ..backup.programs import Programs
from .findings import backup, disks, drill, findings
from .limits import read_limits
from .look import look_at_database, look_at_host
from .metrics import metrics

SETTINGS = Path("/etc/physioflow-status/settings.json")


def text_of(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Return the metrics, and why the database could not be read; empty where it could.

    Args:
        settings: database, backup_directory, bin_dir, connection (libpq's keywords), limits, and release (the versions
            of the migrations that were last deployed to this host).
    """
    database, bin_dir = settings["database"], Path(settings["bin_dir"])
    limits = read_limits(settings["limits"])
    seen: dict[str, Any] = {"figures": None, "history": None}
    problem = ""
    try:
        conninfo = Programs(bin_dir, settings["connection"]).conninfo(database, application_name="physioflow-status")
        with Session(conninfo) as session:
            seen = look_at_database(session.cursor)
    except Exception as error:  # of whichever driver the host has
        problem = " ".join(str(error).split()) or type(error).__name__
    figures = seen["figures"] or {}
    facts = {
        "database": database,
        **seen,
        **look_at_host(database, Path(settings["backup_directory"]), bin_dir, figures.get("data_directory")),
        "plan": {"pending": pending(settings["release"], seen["history"]), "problems": []},
        "drift": None,
    }
    now = datetime.now(timezone.utc)  # noqa: UP017 - Ubuntu 22.04 has Python 3.10
    if seen["figures"] is None:  # judge what does not need the database
        facts["figures"] = {"now": now.isoformat()}
        found = [finding for check in (backup, drill, disks) for finding in check(facts, limits)]
        facts["figures"] = None
    else:
        found = findings(facts, limits)
    return metrics(facts, found, now), problem


def pending(release: list[str], history: Mapping[str, Any] | None) -> list[str]:
    """Return the versions of a release that are not applied."""
    standing = set((history or {}).get("versions") or ())
    return [version for version in release if version not in standing]


def main() -> int:
    """Print the metrics; an unreadable database is a metric, not a failure of this program."""
    parser = argparse.ArgumentParser(prog="physioflow.pyz status", description="Metrics of the PhysioFlow database.")
    parser.add_argument("--settings", type=Path, default=SETTINGS)
    text, problem = text_of(json.loads(parser.parse_args().settings.read_text(encoding="utf-8")))
    print(text, end="")
    if problem:
        print(f"physioflow-status: the database cannot be read: {problem}", file=sys.stderr)
    return 0
