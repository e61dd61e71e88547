"""The alert rules, judged by Prometheus' own promtool: each figure that is bad raises its alert, and only that."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

RULES = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "files/monitoring/physioflow.rules.yml"
HOUR, DAY = 3600, 86400
STEPS = 333  # the clock of promtool begins at 0 and goes on by the hour, past all that can be late
NOW = STEPS * HOUR
AS_NOW = f"0+{HOUR}x{STEPS}"


def steady(value: float) -> str:
    return f"{value}x{STEPS}"


# By metric and labels.
WELL = {
    "physioflow_up": steady(1),
    "physioflow_status_timestamp_seconds": AS_NOW,
    "physioflow_migrations_pending": steady(0),
    "physioflow_migrations_in_doubt": steady(0),
    "physioflow_backup_last_success_timestamp_seconds": AS_NOW,
    "physioflow_backups_damaged": steady(0),
    "physioflow_drill_failed": steady(0),
    "physioflow_drill_last_success_timestamp_seconds": AS_NOW,
    'physioflow_check{check="archive"}': steady(1),
    'physioflow_partition_end_timestamp_seconds{table="outcome_measures"}': steady(NOW + 32 * DAY),
    'physioflow_connections{of="role",name="emr_app"}': steady(47),
    'physioflow_connections_limit{of="role",name="emr_app"}': steady(60),
    "physioflow_transaction_oldest_seconds": steady(899),
    "physioflow_lock_longest_wait_seconds": steady(29),
    'physioflow_disk_free_bytes{folder="/data"}': steady(21),
    'physioflow_disk_size_bytes{folder="/data"}': steady(100),
    "physioflow_checksum_failures": steady(0),
}
# What is bad, and the alerts that it raises.
BAD = [
    ("physioflow_up", steady(0), ["DatabaseDown"]),
    ("physioflow_status_timestamp_seconds", steady(NOW - 601), ["MetricsStale"]),
    ("physioflow_migrations_pending", steady(1), ["MigrationsPending"]),
    ("physioflow_migrations_in_doubt", steady(1), ["MigrationInDoubt"]),
    ("physioflow_backup_last_success_timestamp_seconds", steady(NOW - 29 * HOUR), ["BackupLate"]),
    ("physioflow_backup_last_success_timestamp_seconds", steady(0), ["BackupLate", "BackupMissing"]),
    ("physioflow_backups_damaged", steady(1), ["BackupDamaged"]),
    ("physioflow_drill_failed", steady(1), ["DrillFailed"]),
    ("physioflow_drill_last_success_timestamp_seconds", steady(NOW - 9 * DAY), ["DrillLate"]),
    ('physioflow_check{check="archive"}', steady(2), ["Archive"]),
    (
        'physioflow_partition_end_timestamp_seconds{table="outcome_measures"}',
        steady(NOW + 30 * DAY),
        ["PartitionMissing"],
    ),
    ('physioflow_connections{of="role",name="emr_app"}', steady(49), ["ConnectionsFull"]),
    ("physioflow_transaction_oldest_seconds", steady(901), ["TransactionLong"]),
    ("physioflow_lock_longest_wait_seconds", steady(31), ["LockWaits"]),
    ('physioflow_disk_free_bytes{folder="/data"}', steady(19), ["DiskFull"]),
    ("physioflow_checksum_failures", steady(1), ["ChecksumFailures"]),
]
FIRING = 'count by (alertname) (ALERTS{alertstate="firing"})'


def case(figures: dict[str, str], alerts: list[str]) -> dict[str, Any]:
    """Return a test of promtool."""
    samples = [{"labels": f'{{alertname="PhysioFlow{name}"}}', "value": 1} for name in alerts]
    return {
        "interval": "1h",
        "input_series": [{"series": series, "values": values} for series, values in figures.items()],
        "promql_expr_test": [{"expr": FIRING, "eval_time": f"{NOW}s", "exp_samples": samples}],
    }


@pytest.fixture(scope="module")
def promtool(host: Host) -> str:
    """Prometheus itself is not installed, only its tool is taken out of Debian's package, which is another since 13."""
    get = "apt-get -qq download promtool 2>/dev/null || apt-get -qq download prometheus"
    host.check_output(f"mkdir -p /root/rules && cd /root/rules && {{ {get}; }} && dpkg -x *.deb .")
    return "/root/rules/usr/bin/promtool"


def write(host: Host, name: str, content: bytes) -> None:
    host.check_output(f"base64 -d > /root/rules/{name} <<'EOF'\n{base64.encodebytes(content).decode()}EOF")


def test_every_rule_has_a_case() -> None:
    text = RULES.read_text()
    assert {name for _, _, names in BAD for name in names} == {
        line.split("PhysioFlow")[1] for line in text.splitlines() if "- alert:" in line
    }


def test_what_is_bad_raises_its_alert(host: Host, promtool: str) -> None:
    write(host, RULES.name, RULES.read_bytes())
    tests = {
        "rule_files": [RULES.name],
        "evaluation_interval": "1h",
        "tests": [case(WELL, []), *(case(WELL | {series: values}, names) for series, values, names in BAD)],
    }
    write(host, "test.yml", json.dumps(tests).encode())
    assert "SUCCESS" in host.check_output(f"cd /root/rules && {promtool} check rules {RULES.name}")
    done = host.run(f"cd /root/rules && {promtool} test rules test.yml")
    assert done.rc == 0, done.stdout + done.stderr
