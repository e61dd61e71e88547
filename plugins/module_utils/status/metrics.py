# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The figures of a database as Prometheus metrics, in the text format that node-exporter reads from a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timezone
from typing import Any, NamedTuple

from .findings import LEVELS, Facts, Finding, covered_until, last_told

UTC = timezone.utc  # noqa: UP017 - Ubuntu 22.04 has Python 3.10


class Sample(NamedTuple):
    """One figure, by the name of its metric; times are seconds since 1970."""

    name: str
    value: float
    labels: Mapping[str, str] = {}


# All metrics with their help texts. All are gauges.
HELP = {
    "physioflow_up": "Whether the database could be read",
    "physioflow_check": "0: ok, 1: warning, 2: failure, with the limits of the status screen",
    "physioflow_server_info": "1, with the version of the server",
    "physioflow_server_uptime_seconds": "Seconds since the server was started",
    "physioflow_migrations_applied": "Migrations applied to the database",
    "physioflow_migrations_pending": "Migrations of the last deployed release that are not applied",
    "physioflow_migrations_in_doubt": "Files without transaction that started and did not finish",
    "physioflow_backup_last_success_timestamp_seconds": "When the newest verified backup of the database was finished",
    "physioflow_backup_size_bytes": "Size of that backup",
    "physioflow_backups": "Number of backups",
    "physioflow_backups_damaged": "Damaged backups that are newer than the newest intact one",
    "physioflow_drill_last_success_timestamp_seconds": "When a drill last succeeded",
    "physioflow_drill_failed": "Whether the last drill failed",
    "physioflow_pitr_restore_seconds": "How long the last drill of point-in-time recovery took to restore",
    "physioflow_pitr_behind_seconds": "Transactions that were not in the repository yet at the last drill",
    "physioflow_partition_end_timestamp_seconds": "First day without a partition of a table partitioned by date",
    "physioflow_connections": "Sessions of the server, of the database and of each role",
    "physioflow_connections_limit": "Limit of these sessions",
    "physioflow_transaction_oldest_seconds": "Age of the oldest transaction",
    "physioflow_lock_waiting_sessions": "Sessions that wait for a lock",
    "physioflow_lock_longest_wait_seconds": "How long the longest of them waits",
    "physioflow_cache_hit_ratio": "Share of blocks found in memory since the statistics were reset",
    "physioflow_checksum_failures": "Pages read with a wrong checksum",
    "physioflow_transaction_ids": "Transaction ids in use, of 2000 million",
    "physioflow_database_size_bytes": "Size of the database",
    "physioflow_table_rows": "Estimated rows of a table, including all its partitions",
    "physioflow_table_size_bytes": "Size of a table with its indexes, as VACUUM or ANALYZE last saw it",
    "physioflow_table_sequential_scans": "Sequential scans of a table",
    "physioflow_table_index_scans": "Index scans of a table",
    "physioflow_index_unused_bytes": "Size of the indexes not used since the statistics were reset",
    "physioflow_indexes_invalid": "Invalid indexes",
    "physioflow_disk_size_bytes": "Size of the file system of a folder",
    "physioflow_disk_free_bytes": "Free space in the file system of a folder",
    "physioflow_replica_lag_bytes": "WAL not yet replayed by a replica",
    "physioflow_status_timestamp_seconds": "When these figures were read",
}


def metrics(facts: Facts, found: list[Finding], now: datetime) -> str:
    """Return the text of a file for node-exporter.

    Args:
        facts: the facts of `look.py`; `figures` is None where the database could not be read.
        found: the findings of these facts.
        now: the time of reading.
    """
    samples = [Sample("physioflow_up", float(facts["figures"] is not None)), *_checks(found), *_backups(facts)]
    samples += _drills(facts.get("restored") or ())
    if facts["figures"] is not None:
        samples += [*_database(facts["figures"]), *_migrations(facts), *_tables(facts["figures"])]
    for disk in facts["disks"]:
        folder = {"folder": disk["folder"]}
        samples.append(Sample("physioflow_disk_size_bytes", disk["bytes"], folder))
        samples.append(Sample("physioflow_disk_free_bytes", disk["free"], folder))
    samples.append(Sample("physioflow_status_timestamp_seconds", now.timestamp()))
    lines = []
    for name, text in HELP.items():
        of_name = [sample for sample in samples if sample.name == name]
        if of_name:
            lines += [f"# HELP {name} {text}.", f"# TYPE {name} gauge", *map(_line, of_name)]
    return "".join(f"{line}\n" for line in lines)


def _line(sample: Sample) -> str:
    labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())
    number = int(sample.value) if float(sample.value).is_integer() else sample.value
    return f"{sample.name}{{{labels}}} {number}" if labels else f"{sample.name} {number}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _checks(found: list[Finding]) -> Iterator[Sample]:
    worst: dict[str, int] = {}
    for finding in found:
        worst[finding.matter] = max(worst.get(finding.matter, 0), LEVELS.index(finding.level))
    for matter, level in worst.items():
        yield Sample("physioflow_check", level, {"check": matter.lower().replace(" ", "_")})


def _backups(facts: Facts) -> Iterator[Sample]:
    seen = facts["backups"]
    if seen["problem"]:
        return
    yield Sample("physioflow_backups", seen["count"])
    yield Sample("physioflow_backups_damaged", len(seen["damaged"]))
    # 0 means 1970, older than any limit.
    newest = seen["newest"]
    yield Sample("physioflow_backup_last_success_timestamp_seconds", _seconds(newest["at"]) if newest else 0)
    yield Sample("physioflow_backup_size_bytes", newest["size"] if newest else 0)
    yield Sample("physioflow_drill_last_success_timestamp_seconds", _seconds(seen["proven"]) if seen["proven"] else 0)
    yield Sample("physioflow_drill_failed", float(bool(seen["drill"]) and not seen["drill"]["ok"]))


def _drills(restored: Sequence[Mapping[str, Any]]) -> Iterator[Sample]:
    """Yield RTO and RPO of point-in-time recovery, where a drill told them; physioflow_check tells failures."""
    for name, key in (("physioflow_pitr_restore_seconds", "seconds"), ("physioflow_pitr_behind_seconds", "behind")):
        if (told := last_told(restored, key)) is not None:
            yield Sample(name, told)


def _migrations(facts: Facts) -> Iterator[Sample]:
    history, plan = facts["history"] or {}, facts["plan"]
    yield Sample("physioflow_migrations_applied", history.get("applied", 0))
    yield Sample("physioflow_migrations_in_doubt", len(history.get("in_doubt") or ()))
    if plan:
        yield Sample("physioflow_migrations_pending", len(plan["pending"]))


def _database(seen: Facts) -> Iterator[Sample]:
    database = seen["database"]
    blocks = database["hit"] + database["read"]
    yield Sample("physioflow_server_info", 1, {"version": seen["version"]})
    yield Sample("physioflow_server_uptime_seconds", seen["up"])
    for place in seen["connections"]:
        kind, _, name = place["of"].partition(" ")
        labels = {"of": kind, "name": name}
        yield Sample("physioflow_connections", place["used"], labels)
        yield Sample("physioflow_connections_limit", place["most"], labels)
    if seen["sees_sessions"]:
        oldest = max((entry["age"] for entry in seen["transactions"] or ()), default=0)
        yield Sample("physioflow_transaction_oldest_seconds", oldest)
    waiting = seen["locks"] or []
    yield Sample("physioflow_lock_waiting_sessions", len(waiting))
    yield Sample("physioflow_lock_longest_wait_seconds", max((entry["age"] for entry in waiting), default=0))
    yield Sample("physioflow_cache_hit_ratio", database["hit"] / blocks if blocks else 1)
    yield Sample("physioflow_checksum_failures", database["checksum_failures"])
    yield Sample("physioflow_transaction_ids", database["transaction_ids"])
    yield Sample("physioflow_database_size_bytes", database["bytes"])
    for replica in seen["replicas"] or ():
        if replica["lag"] is not None:
            yield Sample("physioflow_replica_lag_bytes", replica["lag"], {"replica": replica["name"]})
    today = date.fromisoformat(seen["now"][:10])
    for table, days in (seen["partitions"] or {}).items():
        end = covered_until(days or [], today) or today
        midnight = datetime(end.year, end.month, end.day, tzinfo=UTC)
        yield Sample("physioflow_partition_end_timestamp_seconds", midnight.timestamp(), {"table": table})


def _tables(seen: Facts) -> Iterator[Sample]:
    for table in seen["tables"] or ():
        labels = {"table": table["name"]}
        yield Sample("physioflow_table_rows", table["rows"], labels)
        yield Sample("physioflow_table_size_bytes", table["bytes"], labels)
        yield Sample("physioflow_table_sequential_scans", table["seq_scan"], labels)
        yield Sample("physioflow_table_index_scans", table["idx_scan"], labels)
    unused = sum(entry["bytes"] for entry in seen["indexes"] or () if not entry["scans"])
    yield Sample("physioflow_index_unused_bytes", unused)
    yield Sample("physioflow_indexes_invalid", len(seen["invalid"] or ()))
