"""What was entered before the upgrade is there after it, byte for byte."""

from __future__ import annotations

from pathlib import Path

from testinfra.host import Host

RELEASE = len(list((Path(__file__).resolve().parents[3] / "files/migrations").glob("*.sql")))
PATIENTS = 500
QUERY = "cd /var/lib/postgresql && runuser -u postgres -- psql -XqAt -v ON_ERROR_STOP=1 -f query.sql physioflow"


def test_every_row_is_as_it_was(host: Host) -> None:
    before = host.file("/var/lib/postgresql/rows-before").content_string
    assert len(before.splitlines()) > PATIENTS
    assert host.check_output(QUERY) == before.strip()


def test_the_history_tells_both_runs(host: Host) -> None:
    query = "SELECT string_agg(n::text, ' ' ORDER BY first) FROM (SELECT count(*) n, min(id) first"
    query += " FROM migrations.history WHERE act = 'apply' GROUP BY run_id) runs"
    assert host.check_output("runuser -u postgres -- psql -XqAt physioflow -c %s", query) == f"10 {RELEASE - 10}"
