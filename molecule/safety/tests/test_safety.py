"""What a rehearsed release, a session in its way and a rollback leave behind, seen by psql and systemctl."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testinfra.host import Host

PATIENTS = 500
HISTORY = "FROM migrations.history WHERE version IN ('015', '901')"


@pytest.fixture
def psql(host: Host) -> Callable[[str], str]:
    def ask(sql: str) -> str:
        return str(host.check_output("runuser -u postgres -- psql -XAtq -d physioflow -c %s", sql))

    return ask


def test_the_history_tells_the_way_forth_back_and_forth(psql: Callable[[str], str]) -> None:
    acts = psql(f"SELECT string_agg(act || ' ' || version, ', ' ORDER BY id) {HISTORY}")
    assert acts == "apply 015, apply 901, rollback 901, rollback 015, apply 015, apply 901"


def test_every_step_had_its_backup_and_it_is_there(host: Host, psql: Callable[[str], str]) -> None:
    assert psql(f"SELECT count(*) {HISTORY} AND backup_id IS NULL") == "0"
    names = psql(f"SELECT DISTINCT backup_id {HISTORY} ORDER BY 1").split()
    assert len(names) == 3
    for name in names:
        assert host.file(f"/var/backups/physioflow/{name}/manifest.json").is_file


def test_nothing_of_the_rehearsals_is_left(psql: Callable[[str], str]) -> None:
    assert psql("SELECT datname FROM pg_database ORDER BY 1").split() == [
        "physioflow",
        "postgres",
        "template0",
        "template1",
    ]


def test_the_session_in_the_way_was_ended(host: Host, psql: Callable[[str], str]) -> None:
    assert psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'clinic'") == "0"
    assert host.run("systemctl is-active clinic").stdout.strip() != "active"
    assert "terminating connection due to administrator command" in host.check_output("journalctl -u clinic -o cat")


def test_the_rows_of_the_clinic_are_there(psql: Callable[[str], str]) -> None:
    assert psql("SELECT count(*), count(DISTINCT mrn) FROM patients") == f"{PATIENTS}|{PATIENTS}"
    assert psql("SELECT count(*) FROM insurance_info WHERE bhyt_card_number LIKE 'DN1%'") == str(PATIENTS)
    assert psql("SELECT motto IS NULL FROM clinics") == "t"
    assert psql("SELECT count(*) FROM bhyt_validation_rules") == "18"
