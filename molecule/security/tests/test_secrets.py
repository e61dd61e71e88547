"""No secret in what a run prints that fails with it in its hands, nor in what it leaves on the host."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from testinfra.host import Host

FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
# The task that fails, and a word of its failure.
FAILURES = {
    "postgresql_input": "postgresql_tls_certificate is not a PEM certificate",
    "postgresql_cluster": "PostgreSQL refuses the settings",
    "database_setup": "work_mem",
    "host_files_info": "is not a systemd calendar time",
}


def secrets() -> list[str]:
    """Return what must not be seen: passwords, lines of the key, the password of the copies."""
    passwords = [path.read_text().strip() for path in sorted((FOLDER / "passwords").iterdir())]
    key = (FOLDER / "own.key").read_text().splitlines()[1:-1]
    copies = json.loads((FOLDER / "fail-in-host_files_info.json").read_text())["backup_restic_password"]
    assert len(passwords) >= 3
    assert copies.startswith("canary-restic-")
    return [*passwords, *key, copies]


@pytest.mark.control("S24")
@pytest.mark.parametrize("task", FAILURES)
def test_no_secret_in_the_output_of_a_run_that_fails(task: str) -> None:
    text = " ".join((FOLDER / f"fail-in-{task}.log").read_text(encoding="utf-8").split())
    assert FAILURES[task] in text
    # As loud as it can be; the first is an action, before which no module ran.
    assert ("task path: " if task == "postgresql_input" else "module_args") in text
    assert [secret[:8] for secret in secrets() if secret in text] == []


# Looked through here and not there: on the host the secrets would be on the command line of the search.
PLACES = {
    "journal": "journalctl --no-pager",
    "logs": "find /var/log -type f ! -path '/var/log/journal/*' -exec cat {} +",
    "what tasks leave": "find /tmp /var/tmp /root/.ansible /etc/postgresql -type f ! -name server.key -exec cat {} +",
    "processes": "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'",
}


@pytest.mark.control("S23")
@pytest.mark.parametrize("place", PLACES)
def test_no_secret_stays_on_the_host(host: Host, place: str) -> None:
    text = str(host.run(f"({PLACES[place]}) | tr -c '[:print:]\\n' '?'").stdout)
    assert text
    assert "SCRAM-SHA-256$4096" not in text
    assert [secret[:8] for secret in secrets() if secret in text] == []
    if place == "journal":
        assert "host_files_info" in text, "it is where the modules are told of"
