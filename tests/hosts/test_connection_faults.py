"""Between controller and host: ssh that is cut (row 5), a network that goes (row 12), a host that hangs (row 13).

Each happens while a file of the release runs. The run ends by itself and says that the host is unreachable; whatever
became of the file, the same command brings the release to its end.
"""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.host import Host, docker, refused
from tests.local import ROOT, VERSIONS, until

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("deployed")]

HOOK = 777  # the advisory lock that stops a file in its middle
FILE = """\
-- Migration: {name}
-- Description: for the test
-- Depends on: 001

CREATE TABLE {table} (n integer CONSTRAINT {table}_pkey PRIMARY KEY);
SELECT pg_advisory_lock_shared(777), pg_advisory_unlock_shared(777);
"""
BACK = "-- Rollback: {name}\n-- Description: for the test\n\nDROP TABLE {table};\n"
RUNNING_SINCE = re.compile(r"^running since \d\d:\d\d:\d\d, \d+ s$", re.MULTILINE)
AT_WORK = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'physioflow {name}' {more}"
STANDS = "SELECT count(*), max(version), (SELECT count(*) FROM pg_index WHERE NOT indisvalid) FROM migrations.applied"


@pytest.fixture(scope="module")
def host(deployed: Host, tmp_path_factory: Any) -> Host:
    """A host with the release that is reached as servers are, by ssh."""
    return replace(deployed, connection=by_ssh(deployed, tmp_path_factory.mktemp("ssh")))


@pytest.fixture(scope="module")
def release(host: Host, tmp_path_factory: Any) -> Iterator[Path]:
    """The release, to which each test adds a file, and from which all of them are taken back in the end."""
    folder = Path(shutil.copytree(ROOT / "files", tmp_path_factory.mktemp("release") / "files"))
    yield folder
    back = {"rollback_to": VERSIONS[-1], "rollback_accept_data_loss": True, "backup_before_migration": False}
    done = reached(host).play("playbooks/rollback.yml", release_directory=str(folder), **back)
    assert done.status == 0, done.output


def by_ssh(host: Host, folder: Path) -> dict[str, Any]:
    """Let the controller in by a key of its own; returns the variables of the connection, without the address."""
    key, known = folder / "id", folder / "known_hosts"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    host.run(f"install -d -m 0700 /root/.ssh && echo '{public}' > /root/.ssh/authorized_keys")
    known.write_text(f"{host.name} {host.run('cat /etc/ssh/ssh_host_ed25519_key.pub')}\n")
    settings = configparser.ConfigParser()
    settings.read(ROOT / "ansible.cfg")
    given = settings["ssh_connection"]["ssh_args"]
    assert "ServerAliveInterval=15 " in given
    return {
        "ansible_connection": "ansible.builtin.ssh",
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_args": given.replace("ServerAliveInterval=15 ", "ServerAliveInterval=1 "),  # a minute is long
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={known} -o HostKeyAlias={host.name}",
    }


def reached(host: Host) -> Host:
    """Return the host with the address that it has now; as ssh's own option, as ansible_host goes into certificates."""
    address = docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", host.name)
    arguments = f"{host.connection['ansible_ssh_common_args']} -o HostName={address}"
    return replace(host, connection=host.connection | {"ansible_ssh_common_args": arguments})


def cut_ssh(host: Host) -> None:
    """End the process that serves the connection."""
    host.run("pkill -KILL -f '[s]shd.*: root@notty'")


def nothing(_: Host) -> None:
    """Bring nothing back."""


# What cuts the controller off, and what brings the host back.
CUTS: dict[str, tuple[Callable[[Host], object], Callable[[Host], object]]] = {
    "ssh": (cut_ssh, nothing),
    "network": (
        lambda host: docker("network", "disconnect", "bridge", host.name),
        lambda host: docker("network", "connect", "bridge", host.name),
    ),
    "hang": (lambda host: docker("pause", host.name), lambda host: docker("unpause", host.name)),
}


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param("ssh", marks=pytest.mark.fault(5)),
        pytest.param("network", marks=pytest.mark.fault(12)),
        pytest.param("hang", marks=pytest.mark.fault(13)),
    ],
)
def test_a_host_that_is_lost_while_a_file_runs(host: Host, release: Path, cut: str) -> None:
    version = str(901 + len(list((release / "migrations").glob("9*.sql"))))
    name = f"{version}_{cut}"
    (release / f"migrations/{name}.sql").write_text(FILE.format(name=name, table=f"lost_{cut}"))
    (release / f"rollbacks/{name}.sql").write_text(BACK.format(name=name, table=f"lost_{cut}"))
    lose, bring_back = CUTS[cut]
    variables: dict[str, Any] = {"release_directory": str(release), "backup_before_migration": False}
    at_work = AT_WORK.format(name=name, more="")
    with host.holding(f"SELECT pg_advisory_lock({HOOK})"):
        run = reached(host).start("deploy.yml", **variables, migrations_lock_timeout="300s")
        waits = AT_WORK.format(name=name, more="AND wait_event = 'advisory'")
        until(lambda: host.sql(waits) == "1" or run.process.poll() is not None, "the file runs")
        assert run.process.poll() is None, run.output
        until(lambda: RUNNING_SINCE.search(run.output), "the callback names the task that takes long")
        lose(host)
        try:
            refused(run.result(), f"{host.name} is unreachable.", "Next: when the host answers, run the same")
        finally:
            bring_back(host)
        assert host.sql(at_work) == "1", "nobody told the server"
    until(lambda: host.sql(at_work) == "0", "the file comes to its end")
    again = reached(host).deploy(**variables)
    assert again.status == 0, again.output
    assert host.sql(STANDS, "physioflow") == f"{len(VERSIONS) + int(version) - 900}|{version}|0"
