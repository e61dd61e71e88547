"""Row S16 where apt has pgaudit: who wrote, and who read the patients, without a value."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testinfra.host import Host

Ask = Callable[[str], str]
testinfra_hosts = ["ansible://audited"]


def logged(host: Host, psql: Ask, version: str, sql: str) -> list[str]:
    """Return what the audit writes into the server's log while SQL runs."""
    assert "pgaudit" in psql("SHOW shared_preload_libraries")
    log = f"/var/log/postgresql/postgresql-{version}-main.log"
    before = len(host.file(log).content_string)
    psql(sql)
    return [line for line in host.file(log).content_string[before:].splitlines() if "AUDIT:" in line]


@pytest.mark.control("S16")
def test_writes_are_audited_without_their_values(host: Host, psql: Ask, version: str) -> None:
    lines = logged(host, psql, version, "BEGIN; INSERT INTO organizations (name) VALUES ('canary-tran'); ROLLBACK")
    assert any("INSERT" in line and "organizations" in line for line in lines)
    assert "canary" not in " ".join(lines)


@pytest.mark.control("S16")
def test_reads_of_patients_are_audited_and_those_of_other_tables_are_not(host: Host, psql: Ask, version: str) -> None:
    assert psql("SHOW pgaudit.role") == "emr_audit"
    read = "SET ROLE emr_app; SELECT count(*) FROM patients WHERE last_name = 'canary-tran'"
    lines = logged(host, psql, version, read)
    assert any("OBJECT," in line and "READ,SELECT,TABLE,public.patients" in line for line in lines), lines
    assert "canary" not in " ".join(lines)
    assert logged(host, psql, version, "SET ROLE emr_app; SELECT count(*) FROM clinics") == []
