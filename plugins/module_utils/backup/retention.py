# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which backups stay and which go. Pure: the order of numbers decides, never the clock of this moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from .store import Backup

_PERIODS: dict[str, Callable[[datetime], object]] = {
    "daily": lambda time: time.date(),
    "weekly": lambda time: time.isocalendar()[:2],
    "monthly": lambda time: (time.year, time.month),
}


def to_remove(backups: Sequence[Backup], keep: Mapping[str, int]) -> list[Backup]:
    """Return the backups that no rule keeps.

    The rules count backups and periods that have one, as restic does, so a clock that jumped ahead makes no backup
    old: `days` counts back from the newest backup, and only keeps more. The newest verified one always stays, and
    what is damaged is never counted and never removed: somebody has to look at it.

    Args:
        backups: of one database.
        keep: last, days, daily, weekly, monthly; 0 or missing keeps nothing by that rule. Empty keeps everything.
    """
    if not keep:
        return []
    going: list[Backup] = []
    for whole in (True, False):
        chain = [b for b in backups if not b.damage and b.manifest["status"] == "verified" and b.whole is whole]
        going += _of_chain(sorted(chain, key=lambda backup: backup.number, reverse=True), keep)
    return going


def _of_chain(newest_first: list[Backup], keep: Mapping[str, int]) -> list[Backup]:
    if not newest_first:
        return []
    kept = {backup.id for backup in newest_first[: max(1, keep.get("last", 0))]}
    since = newest_first[0].finished - timedelta(days=keep.get("days", 0))
    if keep.get("days", 0):
        kept |= {backup.id for backup in newest_first if backup.finished >= since}
    for rule, period_of in _PERIODS.items():
        periods: set[object] = set()
        for backup in newest_first:
            period = period_of(backup.finished)
            if period not in periods and len(periods) < keep.get(rule, 0):
                periods.add(period)
                kept.add(backup.id)
    return [backup for backup in newest_first if backup.id not in kept]


def clock_problem(backups: Sequence[Backup], now: datetime) -> str:
    """Return why the clock is not to be trusted with removing backups; empty where it is."""
    ahead = [backup for backup in backups if not backup.damage and backup.finished > now + timedelta(minutes=5)]
    if not ahead:
        return ""
    return (
        f"{ahead[-1].id} was finished at {ahead[-1].finished:%Y-%m-%d %H:%M} UTC, and this host's clock says "
        f"{now:%Y-%m-%d %H:%M}: one of them is wrong, so no backup was removed"
    )
