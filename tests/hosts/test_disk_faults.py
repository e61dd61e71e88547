"""A disk that fills: of the data (row 8), of the write-ahead log (row 9), of the server's log (row 11).

Each is a small file system of its own. Whatever becomes of the server, what was there before the file is there
after it, and the same command without any other step, but for the space, brings the release to its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.host import Host, made, refused
from tests.local import release_up_to

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("disk_faults")]

SERVICE = "postgresql@16-main"
CLUSTER = "/var/lib/postgresql/16/main"
WAL = "/wal"
LOG = "/var/log/postgresql"
SMALL_WAL = {"min_wal_size": "32MB", "max_wal_size": "64MB"}
HEAD = "-- Migration: 901_measurements\n-- Description: for the test\n-- Depends on: 001\n\n"
# About 150 MB of rows, and more of log.
LARGE = """\
CREATE TABLE measurements (n integer CONSTRAINT measurements_pkey PRIMARY KEY, words text NOT NULL);
INSERT INTO measurements SELECT n, repeat(md5(n::text), 4) FROM generate_series(1, 900000) AS n;
"""
STANDS = (
    "SELECT (SELECT count(*) FROM migrations.applied), to_regclass('measurements') IS NULL,"
    " (SELECT md5(string_agg(o::text, '' ORDER BY name)) FROM organizations AS o),"
    " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), (SELECT count(*) FROM pg_index WHERE NOT indisvalid)"
)


@pytest.fixture(scope="module")
def host(variables: dict[str, str], tmp_path_factory: Any) -> Iterator[Host]:
    """A host with the beginning of the release and some rows, whose data and log are on small disks."""
    folder = tmp_path_factory.mktemp("disks")
    sizes = ("/var/lib/postgresql:size=420m,mode=0755", f"{WAL}:size=256m,mode=0777", f"{LOG}:size=8m,mode=1777")
    disks = [word for size in sizes for word in ("--tmpfs", size)]
    with made(folder, variables, "13", *disks) as deployed:
        deployed.variables["postgresql_settings"] = SMALL_WAL
        deployed.variables["release_directory"] = str(release_up_to("001", folder))
        result = deployed.deploy()
        assert result.status == 0, result.output
        deployed.run(
            f"systemctl stop {SERVICE} && cp -a {CLUSTER}/pg_wal {WAL}/ && rm -r {CLUSTER}/pg_wal"
            f" && ln -s {WAL}/pg_wal {CLUSTER}/pg_wal && systemctl start {SERVICE}"
        )
        deployed.sql("INSERT INTO organizations (name) SELECT n FROM generate_series(1, 1000) AS n", "physioflow")
        yield deployed


@pytest.fixture
def release(tmp_path: Path) -> str:
    """That release with a file that needs more room than there is."""
    folder = release_up_to("001", tmp_path)
    (folder / "migrations/901_measurements.sql").write_text(HEAD + LARGE)
    (folder / "rollbacks/901_measurements.sql").write_text(
        "-- Rollback: 901_measurements\n-- Description: for the test\n\nDROP TABLE measurements;\n"
    )
    return str(folder)


def converges(host: Host, release: str) -> None:
    """Run again and once more; then go back, for the next test."""
    again = host.deploy(release_directory=release)
    assert again.status == 0, again.output
    assert "1 applied now" in again.output
    assert host.sql("SELECT count(*) FROM measurements", "physioflow") == "900000"
    assert host.deploy(release_directory=release).changed == 0
    back = host.play(
        "playbooks/rollback.yml", release_directory=release, rollback_only="901", rollback_accept_data_loss=True
    )
    assert back.status == 0, back.output
    host.sql("CHECKPOINT")


@pytest.mark.fault(8)
def test_a_full_disk_of_data_takes_nothing_along(host: Host, release: str) -> None:
    before = host.sql(STANDS, "physioflow")
    started = host.sql("SELECT pg_postmaster_start_time()")
    filler = host.fill("/var/lib/postgresql", 30)
    result = host.deploy(release_directory=release)
    refused(
        result,
        "files/migrations/901_measurements.sql:6: [53100] could not extend file",
        "No space left on device",
        "901_measurements.sql not applied",
        "run the same command again",
    )
    assert host.sql(STANDS, "physioflow") == before
    assert host.sql("SELECT pg_postmaster_start_time()") == started
    host.run(f"rm {filler}")
    converges(host, release)


@pytest.mark.fault(9)
def test_a_full_disk_of_the_log_is_recovered_from(host: Host, release: str) -> None:
    before = host.sql(STANDS, "physioflow")
    filler = host.fill(WAL, 8)
    result = host.deploy(release_directory=release)
    refused(
        result,
        "The run was at 901_measurements.sql when the server stopped answering",
        "start the server",
        "run the same command again",
    )
    host.run(f"rm {filler}")
    # systemd has tried since, and starts the server without anybody.
    host.wait_for("psql -h /var/run/postgresql -U postgres -XAtc 'SELECT 1' | grep -q 1")
    assert "PANIC" in host.run("cat /var/log/postgresql/postgresql-16-main.log")
    assert host.sql(STANDS, "physioflow") == before
    converges(host, release)


@pytest.mark.fault(11)
def test_a_full_disk_of_the_servers_log_stops_nothing(host: Host) -> None:
    """The server loses words, and no more: sessions, a reload and a deploy go on."""
    ask = "psql -h /var/run/postgresql -U postgres -XAtc"
    started = host.sql("SELECT pg_postmaster_start_time()")
    filler = host.fill(LOG, 0)
    host.run(f"{ask} \"SELECT repeat('x', 9000)::int\"", check=False)  # the rest of the log's last page
    host.run(f"{ask} 'SELECT lost_word'", check=False)
    result = host.deploy(postgresql_settings=SMALL_WAL | {"work_mem": "5MB"})
    assert result.status == 0, result.output
    assert host.sql("SHOW work_mem") == "5MB"
    assert host.deploy(postgresql_settings=SMALL_WAL | {"work_mem": "5MB"}).changed == 0
    assert host.sql("SELECT pg_postmaster_start_time()") == started
    host.run(f"rm {filler}")
    host.run(f"{ask} 'SELECT kept_word'", check=False)
    host.wait_for(f"grep -q kept_word {LOG}/postgresql-16-main.log")
    assert host.run(f"grep -c lost_word {LOG}/postgresql-16-main.log", check=False) == "0"
