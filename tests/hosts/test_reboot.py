"""Row 14: the host loses its power in the middle of each task of a deploy that changes it, one after the other.

A run is ended by the reboot at the first task that no run before was ended in; the next one is the same command again,
without any other step. So every task is met while it has its work still to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.host import Host, docker, made
from tests.local import TASK, Result, Running, release_up_to, until

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("reboot")]

CANARY = (
    "CREATE TABLE canary (n integer CONSTRAINT canary_pkey PRIMARY KEY, note text NOT NULL);"
    " INSERT INTO canary SELECT n, md5(n::text) FROM generate_series(1, 1000) AS n"
)
CANARY_HASH = "SELECT count(*), md5(string_agg(c::text, '' ORDER BY n)) FROM canary AS c"
STANDS = (
    "SELECT (SELECT string_agg(version, ' ' ORDER BY version) FROM migrations.applied),"
    " (SELECT count(*) FROM pg_index WHERE NOT indisvalid),"
    " (SELECT count(*) FROM pg_database WHERE datname NOT IN ('physioflow', 'postgres') AND NOT datistemplate)"
)
# A task that only looks is ended with the state in which the next one begins.
LOOKS = ("Check", "Compare", "Find", "Identify", "Read", "Reject", "Set", "Show", "Validating")
FIRST = "postgresql : Read the state of the host"  # those before it are on the controller
PACKAGES = "postgresql : Install the packages"
FINISH = "postgresql : Finish an interrupted package installation"
AGAIN = "postgresql : Reinstall half-unpacked packages"
# What dpkg writes before it unpacks: the power was cut there, which this test alone would meet by chance only.
UNPACKED_BY_HALF = (
    "sed -i '/^Package: ca-certificates$/,/^$/ s/^Status: .*/Status: install reinstreq unpacked/' /var/lib/dpkg/status"
)
CLUSTER = "postgresql : Configure postgresql.conf, pg_hba.conf and pg_ident.conf"
ROLES = "database : Create roles, database, extensions and privileges"
SCRIPTS = "migrations : Apply the migrations"
RELEASE = {
    "backup : Take a verified backup",
    "backup : Restore the backup into a rehearsal database",
    "backup : Drop the rehearsal database",
    "migrations : Apply a migration without transaction",
}
# Without a transaction: the way of a file with one was met in the first deploy.
NEW = """\
-- Migration: 901_patients
-- Description: for the test
-- Depends on: 001
-- Transactional: no

CREATE INDEX CONCURRENTLY idx_patients_reboot ON patients (id);
"""


@pytest.fixture(scope="module")
def host(variables: dict[str, str], tmp_path_factory: Any) -> Iterator[Host]:
    """A bare host."""
    with made(tmp_path_factory.mktemp("reboot"), variables, "13") as bare:
        yield bare


def begun(output: str) -> list[str]:
    """Return the tasks that were begun, on the host only."""
    names = Result(0, output).tasks
    return names[names.index(FIRST) :] if FIRST in names else []


def tasks(output: str) -> list[str]:
    """Return those that do not only look."""
    return [name for name in begun(output) if not name.partition(" : ")[2].startswith(LOOKS)]


def reboot_in_every_task(host: Host, met: set[str], **variables: Any) -> tuple[list[str], set[str]]:
    """Deploy until a run comes to its end without a task that is new.

    Args:
        host: goes down in each task that works on it, and comes up when the run is over.
        met: the tasks that need no reboot any more; those of this call are added.
        variables: extra variables.

    Returns: the tasks in which it went down, and those that changed something in one of the runs.
    """
    down: list[str] = []
    changed: set[str] = set()
    skipped: set[str] = set()
    while True:
        run = host.start("deploy.yml", **variables)
        while task := next_task(run, met):
            met.add(task)
            if works_on_host(host, run, task):
                docker("kill", host.name)
                down.append(task)
                assert run.result().status != 0, run.output
                docker("start", host.name)
                host.wait_until_up()
                if task == PACKAGES:
                    host.run(UNPACKED_BY_HALF)
                break
        else:
            assert run.result().status == 0, run.output
        changed |= tasks_that(run, "changed")
        skipped |= tasks_that(run, "skipping")
        if run.result().status == 0:
            met -= skipped - set(down)  # they may have work to do in a run of another kind
            return down, changed


def tasks_that(run: Running, word: str) -> set[str]:
    """Return the tasks after whose name a word stands: changed, skipping."""
    return set(re.findall(rf"{TASK} \**\n(?:running since .*\n)*{word}", run.output, re.MULTILINE))


def next_task(run: Running, met: set[str]) -> str:
    """Wait for a task that is new, and return it; empty where the run ends without one."""
    until(
        lambda: set(tasks(run.output)) - met or run.process.poll() is not None, "the deploy comes to another task", 0.02
    )
    return next((name for name in tasks(run.output) if name not in met), "")


def works_on_host(host: Host, run: Running, task: str) -> bool:
    """Wait until a task is in its middle on the host; False where it is one of the controller's."""

    def is_in_its_middle() -> bool:
        if task == PACKAGES:
            return bool(re.search(r"^\d", host.run("ls /var/lib/dpkg/updates", check=False)))  # dpkg's journal
        return "python3" in docker("top", host.name, "-eo", "pid,comm").split()

    found = [False]

    def seen() -> bool:
        goes_on = begun(run.output)[-1:] == [task] and run.process.poll() is None
        found[0] = goes_on and is_in_its_middle()
        return found[0] or not goes_on

    until(seen, f"the task {task} works", 0.02)
    return found[0]


@pytest.mark.fault(14)
def test_a_reboot_in_any_task_is_made_good_by_the_same_command(host: Host, tmp_path: Path) -> None:
    release = release_up_to("002", tmp_path)
    met: set[str] = set()
    down, changed = reboot_in_every_task(host, met, release_directory=str(release))
    assert {PACKAGES, CLUSTER, ROLES, SCRIPTS} <= set(down)
    assert {FINISH, AGAIN} <= changed
    assert host.sql(STANDS, "physioflow") == "001 002|0|0"

    # The tasks of a release on top of it, in a database with rows.
    (release / "migrations/901_patients.sql").write_text(NEW)
    host.sql(CANARY, "physioflow")
    before = host.sql(CANARY_HASH, "physioflow")
    down, _ = reboot_in_every_task(host, met, release_directory=str(release), rehearse=True)
    assert set(down) >= RELEASE
    third = host.deploy(release_directory=str(release), rehearse=True)
    assert (third.status, third.changed) == (0, 0), third.output
    assert host.sql(CANARY_HASH, "physioflow") == before
    assert host.sql(STANDS, "physioflow") == "001 002 901|0|0"
