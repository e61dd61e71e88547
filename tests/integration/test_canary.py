"""No secret anywhere: passwords that are canaries, looked for in all that a run prints, shows and leaves.

The provider managed is given every secret but the key of the server, and each task that handles one is made to fail.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests import apart, undo
from tests.apart import failed_in
from tests.integration.test_managed import LOGIN, ROLES, Managed, login_role
from tests.integration.test_security import OWNER, connect
from tests.local import ROOT, Local, Result, release_up_to, until

pytestmark = [pytest.mark.control("S23"), pytest.mark.control("S24"), pytest.mark.usefixtures("restic_program")]

MARK = f"canary-of-{os.getpid()}-"  # the fixtures of another worker put theirs on command lines
FOUND = "found-canary-"  # of the test of the watch itself; other workers look for MARK meanwhile
VAULT = "physioflow-canary-vault-"
IN_ENVIRONMENT = f"{MARK}environment"  # restic takes it by no other way; only its own user and root can see that
VERIFIER = "SCRAM-SHA-256$"  # who has it can try passwords at leisure
PASSWORDS = {purpose: f"{MARK}{purpose} 'q\" $x %s đ" for purpose in ROLES}
SECRETS: dict[str, Any] = {
    "database_passwords": PASSWORDS,
    "backup_restic_password": f"{MARK}restic 'x' $y",
    "backup_restic_environment": {"AWS_SECRET_ACCESS_KEY": IN_ENVIRONMENT},
}
LOGGED = ("log_statement = 'all'", "log_min_duration_statement = 0", "log_min_error_statement = error")
NOWHERE = {"postgresql_managed_port": 1}
BAD_SQL = "-- Migration: 901_bad\n-- Description: bad\n-- Depends on: 001\n{}SELECT 1 / 0;\n"
CHANGED = {purpose: f"{secret} anew" for purpose, secret in PASSWORDS.items()}

# Each play: the playbook, what all of its hosts have alike, and for each host the task that fails and what is its own.
# {folder} holds the releases and is removed again.
PLAYS: dict[str, tuple[str, dict[str, Any], dict[str, tuple[str, dict[str, Any]]]]] = {
    "deploy": (
        "deploy.yml",
        {"release_directory": "{folder}/bad"},
        {
            "text": ("database : Validating arguments", {"database_passwords": f"{MARK}text"}),
            "twice": (
                "database : Reject weak passwords",
                {"database_strict_passwords": True, "database_passwords": PASSWORDS | {"app": PASSWORDS["owner"]}},
            ),
            "wrong": (
                "database : Read the state of roles, database, extensions and privileges",
                {"postgresql_managed_password": f"{MARK}wrong"},
            ),
            "much": (
                "database : Create roles, database, extensions and privileges",
                {"database_passwords": CHANGED, "database_role_settings": {"app": {"work_mem": "much"}}},
            ),
            "sslmode": ("postgresql_managed : Validating arguments", {"postgresql_managed_sslmode": "maybe"}),
            "nothing": ("backup : Reject values that are out of range", {"backup_restic_only": True}),
            "bad": ("migrations : Explain the failure", {"backup_before_migration": False}),
            "gate": ("backup : Take a verified backup", {"backup_directory": "/proc/none"}),
            "promising": (
                "verification : Compare the database with the promises of the release",
                {"migrations_target": "001"},
            ),
        },
    ),
    "migrate": (
        "playbooks/migrate.yml",
        {"release_directory": "{folder}/alone", "backup_before_migration": False},
        {
            "nowhere": ("migrations : Compare the release with the migration history", NOWHERE),
            "alone": ("migrations : Explain the failure", {"database_name": "canary_alone"}),
        },
    ),
    "backup": (
        "playbooks/backup.yml",
        {},
        {
            "text": ("backup : Validating arguments", {"backup_restic_environment": f"{MARK}text"}),
            "repository": ("backup : Take a verified backup", {"backup_restic_repository": "/proc/none"}),
        },
    ),
    "restore": (
        "playbooks/restore.yml",
        {},
        {
            "repository": (
                "backup : Restore",
                {
                    "restore_backup": "latest",
                    "restore_from": "off_host",
                    "backup_restic_repository": "/proc/none",
                },
            ),
            "nowhere": ("backup : Drop databases kept by restores in place", {"restore_drop_old": True} | NOWHERE),
        },
    ),
    "drill": (
        "playbooks/drill.yml",
        {},
        {"nowhere": ("backup : Restore a backup into a scratch database and compare", NOWHERE)},
    ),
}
# What fails there is not made to fail here.
ELSEWHERE = {
    "backup : Write the settings file": "molecule/security: only the provider system has it",
    "postgresql : Configure postgresql.conf, pg_hba.conf and pg_ident.conf": "molecule/security, as above",
    "postgresql : Reject insecure access rules and certificates": "molecule/security, as above",
    "postgresql : Check new settings and access rules with the server": "molecule/security, as above",
    "postgresql : Compare the files by SHA-256": "keeps the names of files",
    "pitr : Write pgbackrest.conf": "molecule/pitr: only the provider system has it",
    "pitr : Write the settings to try": "as above",
    "pitr : Read the tables of both": "molecule/pitr: by the socket, without a password",
    "pitr : Back up the restored cluster": "as above",
    "database : Configure row-level security and audit of the patients' tables": "rejected before, with the roles",
    "backup : Check for objects that PostgreSQL cannot restore": "the session of Take a verified backup",
    "migrations : Compare all definitions": "the module of Compare the database",
    "migrations : Compare all definitions again": "as above",
    "backup : List the backups": "does not fail, and says what it could not ask",
    "backup : Restore the backup into a rehearsal database": "the module of Restore",
    "backup : Drop the rehearsal database": "as above",
    "migrations : Apply the migrations": "fails in Explain the failure",
    "migrations : Apply a migration without transaction": "as above",
    "migrations : Record the failure": "as above",
    "migrations : Create a scratch database": "the session of Explain the failure, on a server that is reached by then",
    "migrations : Compare the catalogs": "as above",
    "migrations : Drop the scratch database": "as above",
    "verification : Identify the applied migrations": "the module of Compare the database",
    "status : Read the state of the database": "a server out of reach fails in Compare the release before",
    "monitoring : Write metrics for the textfile collector of node-exporter": "molecule/monitoring: as above",
    "monitoring : Configure prometheus-postgres-exporter": "as above",
    "partitions : Reject a server that is not running": "says no value, only that there is no connection",
    "seeds : Reject a server that is not running": "as above",
    "seeds : Apply files/seeds/development_data.sql": "fails in Explain a failure, with PostgreSQL's words alone",
}
HOLDS_A_SECRET = re.compile(
    r"\b(postgresql|__backup)_connection\b|__backup_restic|restic_password|_passwords\b|no_log|tls_key|__postgresql_texts"
)


def seen_in_processes(mark: str = MARK) -> set[str]:
    """Return the command lines and environments of all processes in which a canary stands."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                content = (process / name).read_bytes()
                if name == "environ":
                    content = content.replace(IN_ENVIRONMENT.encode(), b"")
            except OSError:  # it ended, or belongs to somebody else
                continue
            if mark.encode() in content:
                found.add(f"{name} of {process.name}: {content[:200]!r}")
    return found


def left_in_files(since: float, mark: str = MARK) -> set[str]:
    """Return the files where programs leave things that were written since then and in which a canary stands.

    Not looked at are the data of servers, and what stands for the vault in this test.
    """
    found = set()
    for place in (Path(tempfile.gettempdir()), Path.home() / ".ansible"):
        for folder, folders, names in os.walk(place):
            folders[:] = [name for name in folders if name != "data" and not name.startswith(VAULT)]
            for path in (Path(folder, name) for name in names):
                with suppress(OSError):  # it went away, or belongs to somebody else
                    if path.lstat().st_mtime >= since and path.is_file() and mark.encode() in path.read_bytes():
                        found.add(str(path))
    return found


@dataclass
class Watched:
    """A server that logs every statement, a folder for backups and releases, and one for what the vault would hold."""

    managed: Managed
    folder: Path
    vault: Path
    superuser: psycopg.Connection[Any]

    @property
    def settings(self) -> dict[str, Any]:
        """Every secret, and what else a playbook needs."""
        folders = {"backup_directory": str(self.folder / "backups"), "release_directory": str(self.folder / "files")}
        return self.managed.settings | SECRETS | folders

    def play(
        self, playbook: str, *options: str, without: frozenset[str] = frozenset(), **variables: Any
    ) -> tuple[Result, set[str]]:
        """Run a playbook that knows every secret; returns what was seen of them while it ran, and what is left.

        What it is to be `without` its hosts have, each its own.
        """
        began, sizes = time.time(), self.log_sizes()
        settings = {name: value for name, value in self.settings.items() if name not in without} | variables
        given = self.vault / "vault.json"
        given.write_text(json.dumps(settings).replace("{folder}", str(self.folder)))
        running = self.managed.local.start(playbook, "-vvv", "--diff", "-e", f"@{given}", *options)
        seen = set()
        while running.process.poll() is None:
            seen |= seen_in_processes() | self.seen_in_sessions()
            time.sleep(0.15)
        result = running.result()
        for name, text in (("output", result.output), ("log of the server", self.log(sizes))):
            seen |= {f"{name}: {line[:300]}" for line in text.splitlines() if MARK in line or VERIFIER in line}
        return result, seen | left_in_files(began)

    def play_apart(self, playbook: str, hosts: dict[str, dict[str, Any]], **variables: Any) -> tuple[Result, set[str]]:
        """Run a playbook with hosts of which each fails in its own way."""
        own = frozenset(name for given in hosts.values() for name in given)
        shared = {name: value for name, value in self.settings.items() if name in own}
        with tempfile.TemporaryDirectory(dir=self.vault) as folder:
            hosts = {host: shared | given for host, given in hosts.items()}
            written, *options = apart.options(Path(folder) / "play", playbook, hosts)
            return self.play(written, *options, without=own, **variables)

    def seen_in_sessions(self, mark: str = MARK) -> set[str]:
        """Return the statements of sessions, as pg_stat_activity shows them, in which a canary stands."""
        query = "SELECT query FROM pg_stat_activity WHERE query LIKE '%%' || %s || '%%'"
        return {f"statement {text}" for (text,) in self.superuser.execute(query, [mark])}

    def log_sizes(self) -> dict[Path, int]:
        """Return the files of the server's log and their sizes in bytes."""
        return {path: path.stat().st_size for path in (self.managed.local.server / "server/log").iterdir()}

    def log(self, since: dict[Path, int]) -> str:
        """Return what the log of the server holds since then."""
        return "".join(path.read_bytes()[since.get(path, 0) :].decode(errors="replace") for path in self.log_sizes())


def log_everything(local: Local, wanted: bool) -> None:
    """Switch the log of all statements on or off."""
    for setting in LOGGED:
        act = f"SET {setting}" if wanted else f"RESET {setting.split()[0]}"
        local.psql(f"ALTER SYSTEM {act}", "postgres", role="postgres")
    local.psql("SELECT pg_reload_conf()", "postgres", role="postgres")


def fill(folder: Path) -> None:
    """Write the releases: one that is well, and those of which something fails."""
    folder.chmod(0o755)
    well = release_up_to("001", folder)
    for name, more in (("bad", ""), ("alone", "-- Transactional: no\n")):
        shutil.copytree(well, folder / name)
        (folder / name / "migrations/901_bad.sql").write_text(BAD_SQL.format(more))
    promises = folder / "bad/verify/001_initial_schema.yml"
    promises.write_text(promises.read_text().replace("\ntables:\n", "\ntables:\n  nothing: ordinary\n", 1))


@pytest.fixture(scope="module")
def watched(local: Local) -> Iterator[Watched]:
    """A database that was deployed once, with what was seen meanwhile."""
    folder, vault = (Path(tempfile.mkdtemp(prefix=prefix)) for prefix in ("physioflow-canary-", VAULT))
    with (
        undo.afterwards(shutil.rmtree, folder, True),
        undo.afterwards(shutil.rmtree, vault, True),
        login_role(local, "canary_managed", f"{MARK}login 'q\" {{{{ x }}}} %s đ") as managed,
        psycopg.connect(**local.connection, dbname="postgres", autocommit=True) as superuser,
    ):
        fill(folder)
        log_everything(local, True)
        # What its provider would have to allow; a superuser may, and tests/integration/test_managed.py is without.
        quiet = "log_statement, log_min_duration_statement, log_min_duration_sample, log_min_error_statement"
        managed.sql(f"GRANT SET ON PARAMETER {quiet} TO {LOGIN}")
        yield Watched(managed, folder, vault, superuser)
        managed.sql("DROP DATABASE IF EXISTS canary_alone WITH (FORCE)")
        log_everything(local, False)


@pytest.fixture(scope="module")
def deployed(watched: Watched) -> tuple[Result, set[str]]:
    """The first deploy, which sets the passwords, by a superuser; all others are by an administrator who is none."""
    watched.managed.sql(f"ALTER ROLE {LOGIN} SUPERUSER")
    done = watched.play("deploy.yml")
    watched.managed.sql(
        f"ALTER ROLE {LOGIN} NOSUPERUSER; GRANT {', '.join(ROLES.values())} TO {LOGIN} WITH ADMIN OPTION"
    )
    watched.managed.sql(f"CREATE DATABASE canary_alone OWNER {ROLES['owner']} TEMPLATE canary_managed")
    return done


def test_a_secret_is_seen_nowhere_in_a_run_that_goes_well(watched: Watched, deployed: tuple[Result, set[str]]) -> None:
    result, seen = deployed
    assert result.status == 0, result.output
    assert not seen
    assert "CREATE TABLE patients" in watched.log({}), "the log is the one that is looked at"


@pytest.mark.parametrize("name", PLAYS)
def test_a_secret_is_seen_nowhere_when_a_task_fails(
    watched: Watched, deployed: tuple[Result, set[str]], name: str
) -> None:
    assert deployed[0].status == 0
    playbook, variables, hosts = PLAYS[name]
    result, seen = watched.play_apart(playbook, {host: given for host, (_, given) in hosts.items()}, **variables)
    assert result.status != 0
    for host, (task, _) in hosts.items():
        failed = failed_in(result, host) or failed_in(result, "localhost")  # the controller, before any host
        assert failed.startswith(task), f"{host}\n{result.output}"
    assert not seen


def test_the_watch_finds_what_is_to_be_found(watched: Watched) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()", FOUND], stdin=subprocess.PIPE) as process:
        until(lambda: seen_in_processes(FOUND), "the argument is seen")
        process.communicate(b"\n")
    began = time.time()
    left = watched.folder / "left"
    left.write_text(FOUND)
    assert str(left) in left_in_files(began - 1, FOUND)
    left.unlink()
    sizes = watched.log_sizes()
    with connect(watched.managed.local, OWNER) as session:
        session.execute(f"SELECT '{FOUND}'".encode())
        assert watched.seen_in_sessions(FOUND)
    assert FOUND in watched.log(sizes)


def tasks_of(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the tasks of the roles with their names as Ansible prints them."""
    for path in sorted(folder.glob("*/tasks/*.yml")):
        waiting = yaml.safe_load(path.read_text())
        for task in waiting:  # grows while it is walked
            waiting += [inner for part in ("block", "rescue", "always") for inner in task.pop(part, [])]
            yield f"{path.parts[-3]} : {task.get('name')}", task


def test_no_task_that_handles_a_secret_is_forgotten() -> None:
    handling = {name for name, task in tasks_of(ROOT / "roles") if HOLDS_A_SECRET.search(yaml.safe_dump(task))}
    handling -= {name for name in handling if ": Set the connection " in name}  # cannot fail
    assert {"database : Create roles, database, extensions and privileges"} < handling
    failures = {task for _, _, hosts in PLAYS.values() for task, _ in hosts.values()}
    assert handling - {*failures, *ELSEWHERE} == set()
    assert {*ELSEWHERE} - handling == set(), "an entry that nothing needs"
