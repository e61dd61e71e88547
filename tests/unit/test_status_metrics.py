"""The text that node-exporter reads, and that alert rules and dashboard know no other metrics."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import yaml
from ansible_collections.physioflow.database.plugins.module_utils.status.findings import findings
from ansible_collections.physioflow.database.plugins.module_utils.status.metrics import HELP, metrics
from ansible_collections.physioflow.database.plugins.module_utils.status.program import pending

from tests.local import ROOT
from tests.unit.test_status import BACKUPS, FACTS, FIGURES, LIMITS, RESTORED, SESSION, WAITER

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ALL: dict[str, Any] = FACTS | {
    "restored": [RESTORED | {"behind": 12}, RESTORED | {"seconds": 4.5, "behind": None}],
    "figures": FIGURES
    | {
        "transactions": [SESSION],
        "locks": [WAITER],
        "replicas": [{"name": "b", "state": "streaming", "lag": 7}],
        "partitions": {'odd "name"\\': [["2026-01-01", "2027-01-01"]]},
    },
}
RULES = ROOT / "files/monitoring/physioflow.rules.yml"
DASHBOARD = ROOT / "files/monitoring/physioflow.dashboard.json"


def text(facts: dict[str, Any]) -> str:
    found = findings(facts, LIMITS) if facts["figures"] else []
    return str(metrics(facts, found, NOW))


def figures(facts: dict[str, Any]) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in text(facts).splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in lines}


def names(words: str) -> set[str]:
    return set(re.findall(r"physioflow_\w+", words))


def test_every_metric_is_written_with_what_it_says() -> None:
    found = figures(ALL)
    assert {series.partition("{")[0] for series in found} == set(HELP)
    assert len(found) == len([line for line in text(ALL).splitlines() if not line.startswith("#")])
    for name in HELP:
        assert f"# TYPE {name} gauge\n{name}" in text(ALL)


def test_the_figures_are_those_of_the_facts() -> None:
    found = figures(ALL)
    assert found["physioflow_up"] == 1
    assert found['physioflow_connections{of="role",name="emr_app"}'] == 6
    assert found['physioflow_connections_limit{of="server",name=""}'] == 97
    assert (
        found["physioflow_backup_last_success_timestamp_seconds"] == datetime(2026, 11, 26, 2, tzinfo=UTC).timestamp()
    )
    assert found['physioflow_partition_end_timestamp_seconds{table="odd \\"name\\"\\\\"}'] == (
        datetime(2027, 1, 1, tzinfo=UTC).timestamp()
    )
    assert found['physioflow_check{check="transactions"}'] == 1
    assert found['physioflow_check{check="backup"}'] == 0


def test_a_database_that_is_down_leaves_what_the_host_knows() -> None:
    found = figures(FACTS | {"figures": None, "history": None})
    assert found["physioflow_up"] == 0
    assert found["physioflow_backups"] == 3
    assert found['physioflow_disk_free_bytes{folder="/data"}'] == 50e9
    assert not names(" ".join(found)) & {"physioflow_migrations_applied", "physioflow_connections"}


def test_no_backup_at_all_is_older_than_any_limit() -> None:
    found = figures(FACTS | {"backups": BACKUPS | {"newest": None, "proven": None, "drill": None}})
    assert found["physioflow_backup_last_success_timestamp_seconds"] == 0
    assert (found["physioflow_drill_last_success_timestamp_seconds"], found["physioflow_drill_failed"]) == (0, 0)


def test_each_figure_of_point_in_time_recovery_is_of_the_last_drill_that_told_it() -> None:
    found = figures(ALL)
    assert (found["physioflow_pitr_restore_seconds"], found["physioflow_pitr_behind_seconds"]) == (4.5, 12)
    assert "physioflow_pitr_behind_seconds" not in figures(FACTS | {"restored": [RESTORED]})


def test_pending_is_what_the_release_has_and_the_database_has_not() -> None:
    assert pending(["001", "002"], {"versions": ["001"]}) == ["002"]
    assert pending(["001"], None) == ["001"]
    assert pending(["001"], {"versions": ["001", "000"]}) == []


def test_rules_and_dashboard_name_only_metrics_that_are_written() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(rules) >= 6
    assert len(expressions) >= 6
    for words in [*(rule["expr"] for rule in rules), *expressions]:
        assert names(words), words
        assert names(words) <= set(HELP), words
    playbooks = re.findall(r"ansible-playbook (\S+\.yml)", RULES.read_text() + DASHBOARD.read_text())
    assert playbooks
    assert {name for name in playbooks if not (ROOT / name).is_file()} == set()
