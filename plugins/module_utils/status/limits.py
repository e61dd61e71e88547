# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The limits of the status screen: their names and permitted values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The keys of status_limits; the role has the default values.
LIMITS = (
    "minimum_version",
    "build_warn_days",
    "backup_warn_hours",
    "backup_fail_hours",
    "drill_warn_days",
    "drill_fail_days",
    "partition_fail_days",
    "connections_warn_percent",
    "connections_fail_percent",
    "transaction_warn_minutes",
    "lock_warn_seconds",
    "cache_warn_percent",
    "disk_warn_percent",
    "disk_fail_percent",
    "replication_warn_megabytes",
    "index_unused_megabytes",
    "scan_rows",
)


def read_limits(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the role's limits for warnings (warn) and failures; 0 disables one.

    Raises:
        ValueError: where a limit is missing, unknown, or no number of at least 0.
    """
    if wrong := sorted({*LIMITS} ^ {*given}):
        raise ValueError(f"missing or unknown limits: {', '.join(wrong)}")
    limits: dict[str, Any] = {"minimum_version": str(given["minimum_version"])}
    for name, value in given.items():
        if name not in limits:
            try:
                limits[name] = float(value)
            except (TypeError, ValueError):
                limits[name] = -1.0
            if not 0 <= limits[name] < float("inf"):
                raise ValueError(f"status_limits.{name} is {value}; it must be a number from 0, and 0 switches it off")
    return limits
