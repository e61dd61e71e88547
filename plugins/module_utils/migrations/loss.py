# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads and shows what a rollback would lose: tables and numbers, never rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .failure import Failure

ACCEPT = "rollback_accept_data_loss=true"


def read_loss(module_message: str, run_id: str) -> list[dict[str, Any]] | None:
    """Return what files/rollback.sql found, [{table, rows, what}], or None where it did not come to that.

    Args:
        module_message: `msg` of the failed postgresql_script task; holds the script and must not be shown.
        run_id: id of the run, to tell its words from any text in a file.
    """
    _, marked, rest = module_message.rpartition(f"migration-loss {run_id} ")
    if not marked:
        return None
    found, _ = json.JSONDecoder().raw_decode(rest)
    return [entry | {"table": entry["table"].removeprefix("public.")} for entry in found]


def loss_table(loss: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a table of what is lost."""
    width = max([5, *(len(entry["table"]) for entry in loss)])
    lines = [f"{'table':<{width}} {'rows':>9}  what"]
    lines += [f"{entry['table']:<{width}} {entry['rows']:>9}  {entry['what']}" for entry in loss]
    return lines


def loss_failure(loss: Sequence[Mapping[str, Any]]) -> Failure:
    """Return the refusal of a rollback that would lose rows."""
    lines = "\n".join(f"  {line}" for line in loss_table(loss))
    return Failure(
        message=f"The rollback would lose rows and was not told that it may:\n{lines}",
        remedy=f"look at these rows; where they may go, run the same command again with -e {ACCEPT}",
    )
