"""What the deploy costs beside what else one could use: `make bench`.

Every way applies the same files to an empty database of one embedded server. The ways are measured in rotation, so
that a busy moment of the machine hits all of them; each figure is the median of the rounds. CPU is that of the
client's processes plus that of the server, in seconds. Figures are printed, never asserted: a machine has its moods.

Python keeps the bytecode of what it imports, as it does for a user whose second run this is.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.local import BIN, ROOT, Local, environment, release_up_to

DBMATE = "dbmate@2.36.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "physioflow-database" / "bench"
TICKS = os.sysconf("SC_CLK_TCK")

EMPTY_PLAY = """
- hosts: database_servers
  gather_facts: false
"""
ROLE_PLAY = """
- hosts: database_servers
  gather_facts: false
  vars:
    database_name: "{{ bench_db }}"
    database_owner: emr
    postgresql_connection:
      login_host: 127.0.0.1
      login_port: "{{ bench_port }}"
      connect_params: {passfile: "{{ bench_passfile }}"}
  module_defaults:
    group/community.postgresql.all: "{{ postgresql_connection }}"
  tasks:
    - import_role: {name: physioflow.database.migrations, tasks_from: release}
    - import_role: {name: physioflow.database.migrations, tasks_from: plan}
    - import_role: {name: physioflow.database.migrations, tasks_from: apply}
"""


@dataclass(frozen=True)
class Cost:
    """Wall-clock and CPU seconds of one run."""

    wall: float
    cpu: float


class Bench:
    """One server, a scratch folder, and the ways to apply a folder of migrations."""

    def __init__(self, local: Local, scratch: Path) -> None:
        """Remember where the server is and write the plays."""
        self.local = local
        self.scratch = scratch
        self.port = local.psql("SHOW port", "postgres", role="postgres")
        self.env = environment() | {"PGSERVICEFILE": str(local.server / "pg_service.conf")}
        self.printed = ""
        for name, text in (("empty", EMPTY_PLAY), ("role", ROLE_PLAY)):
            (scratch / f"{name}.yml").write_text(text)

    def server_cpu(self) -> float:
        """Return the CPU seconds that the server's processes used so far, ended ones included."""
        postmaster = self.local.postmaster
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        ticks = 0
        for pid in [str(postmaster), *children]:
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended between the two readings; its time went to the postmaster
            ticks += sum(map(int, fields[11:15] if pid == str(postmaster) else fields[11:13]))
        return ticks / TICKS

    def run(self, command: list[str | Path], **env: str) -> Cost:
        """Run a command and return its cost, that of its children and that of the server; keeps what it printed."""
        before, server = resource.getrusage(resource.RUSAGE_CHILDREN), self.server_cpu()
        began = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, env=self.env | env, capture_output=True, text=True, check=False)
        wall = time.perf_counter() - began
        if done.returncode:
            sys.exit(f"{command}\n{done.stdout}\n{done.stderr}")
        self.printed = done.stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        client = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return Cost(wall, client + self.server_cpu() - server)

    def psql(self, database: str) -> list[str | Path]:
        """Return the command of a psql session that reads no file of its user."""
        return [
            self.local.server / "bin/psql",
            "-XqAt",
            "-v",
            "ON_ERROR_STOP=1",
            f"service=physioflow dbname={database}",
        ]

    def playbook(self, name: str | Path, **variables: str) -> list[str | Path]:
        """Return the command that runs a playbook on the server of this bench."""
        extra = [f"{key}={value}" for key, value in variables.items()]
        return [BIN / "ansible-playbook", name, *(x for pair in extra for x in ("-e", pair))]

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database with the extensions, and drop it afterwards."""
        name = f"bench_{time.monotonic_ns()}"
        self.local.create_database(name, "template0")
        self.local.psql('CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION pg_trgm', name, role="postgres")
        yield name
        self.local.drop_database(name)

    # The ways. Each takes a release folder and returns its cost.

    def empty(self, _release: Path) -> Cost:
        """Run a play without tasks."""
        return self.run(self.playbook(self.scratch / "empty.yml"))

    def psql_session(self, release: Path) -> Cost:
        """Send all files through one psql."""
        with self.database() as name:
            files = sorted((release / "migrations").iterdir(), key=lambda path: int(path.name.split("_")[0]))
            return self.run([*self.psql(name), *(x for path in files for x in ("-f", path))])

    def psql_loop(self, release: Path) -> Cost:
        """Send each file through a psql of its own, as the guide's loop does."""
        with self.database() as name:
            loop = 'for file in "$0"/migrations/*.sql; do "$@" -f "$file" || exit 1; done'
            return self.run(["bash", "-c", loop, release, *self.psql(name)])

    def dbmate(self, release: Path) -> Cost:
        """Apply with dbmate, whose files carry a line of its own."""
        folder = self.scratch / f"dbmate-{release.name}"
        if not folder.exists():
            folder.mkdir()
            for path in (release / "migrations").iterdir():
                (folder / path.name).write_text(f"-- migrate:up\n{path.read_text()}\n-- migrate:down\n")
        password = self.local.connection["password"]
        with self.database() as name:
            url = f"postgres://postgres:{password}@127.0.0.1:{self.port}/{name}?sslmode=disable"
            program = CACHE / "node_modules/.bin/dbmate"
            return self.run([program, "-d", folder, "--no-dump-schema", "migrate"], DATABASE_URL=url)

    def ours_role(self, release: Path) -> Cost:
        """Check the release, plan, apply, read the history again: the whole role migrations."""
        with self.database() as name:
            play = self.scratch / "role.yml"
            return self.run(self.playbook(play, release_directory=str(release), **self.connection(name)))

    def deploy(self, *options: str, **variables: str) -> Cost:
        """Run the whole main job; without variables there is nothing to do."""
        usual = {"local_directory": str(self.local.folder), "postgresql_embedded_database": "physioflow"}
        return self.run([*self.playbook("deploy.yml", **usual, **variables), *options])

    def module_runs(self) -> int:
        """Return how many modules the main job runs where nothing is to do."""
        self.deploy("-vvv")
        return self.printed.count("Using module file")

    @contextmanager
    def applied(self, release: Path) -> Iterator[dict[str, str]]:
        """Make a database whose history holds a whole release, and yield the variables of its deploy.

        It is adopted, and has the tables of the first file alone: thousands of others would not be the history's cost.
        """
        with self.database() as name:
            first, *_, last = sorted((release / "migrations").iterdir())
            self.run([*self.psql(name), "-f", first])
            variables = {"database_name": name, "release_directory": str(release)}
            version = last.name.partition("_")[0]
            adopt = {"migrations_baseline": version, "migrations_baseline_unproven": "true"}
            self.deploy(**variables, **adopt, migrations_reason="bench")
            yield variables

    def connection(self, database: str) -> dict[str, str]:
        """Return the variables of the plays above."""
        return {"bench_db": database, "bench_port": self.port, "bench_passfile": str(self.local.server / "pgpass")}


def generate(folder: Path, number: int) -> Path:
    """Write a release of many small migrations."""
    (folder / "migrations").mkdir(parents=True)
    for version in range(1, number + 1):
        (folder / "migrations" / f"{version:05d}_table.sql").write_text(
            f"-- Migration: {version:05d}_table\n-- Description: generated\n-- Depends on: none\n\n"
            f"CREATE TABLE t{version} (id integer CONSTRAINT t{version}_pkey PRIMARY KEY, name text NOT NULL);\n"
        )
    return folder


def compare(
    title: str, ways: dict[str, Callable[[Path], Cost]], release: Path, rounds: int, to: tuple[str, ...]
) -> dict[str, Cost]:
    """Measure the ways in rotation, print them side by side with their CPU to that of some, and return the medians."""
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            costs[name].append(way(release))
    median = {
        name: Cost(statistics.median(c.wall for c in runs), statistics.median(c.cpu for c in runs))
        for name, runs in costs.items()
    }
    print(f"\n{title} (median of {rounds} rounds in rotation)")
    print(f"  {'way':44} {'wall s':>7} {'CPU s':>7}" + "".join(f"  CPU to {name}" for name in to))
    for name, cost in median.items():
        ratios = "".join(f"  {cost.cpu / median[one].cpu:{len('CPU to ' + one)}.1f}" for one in to)
        print(f"  {name:44} {cost.wall:7.2f} {cost.cpu:7.2f}{ratios}")
    return median


def measure_nothing(bench: Bench, rounds: int, applied: int) -> None:
    """Measure the main job where nothing is to do, and what a long history adds to it."""
    release = generate(bench.scratch / "applied", applied)
    with bench.applied(release) as variables:
        few, many = "deploy.yml", f"deploy.yml, {applied} applied files"
        ways = {"empty play": bench.empty, few: lambda _: bench.deploy(), many: lambda _: bench.deploy(**variables)}
        median = compare("Nothing to do", ways, release, rounds, ("empty play",))
    print(f"  Module runs of deploy.yml: {bench.module_runs()}")
    print(f"  CPU s of {applied} applied files: {median[many].cpu - median[few].cpu:.1f}")


def measure(local: Local, scratch: Path, *, rounds: int, many: int, applied: int) -> None:
    """Measure all ways on a server that the project is deployed to.

    Args:
        local: the server.
        scratch: a folder.
        rounds: how often.
        many: files of the generated release.
        applied: files of another one, of a database that holds it.
    """
    bench = Bench(local, scratch)
    ways: dict[str, Callable[[Path], Cost]] = {
        "one psql session": bench.psql_session,
        "psql a file (the guide's loop)": bench.psql_loop,
        "dbmate": bench.dbmate,
        "ours, role migrations from check to history": bench.ours_role,
    }
    generated, to = generate(scratch / "many", many), ("one psql session",)
    measure_nothing(bench, rounds, applied)
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["npm", "install", "--silent", "--prefix", CACHE, DBMATE], check=True)
    guide = release_up_to("015", scratch / "guide")  # dbmate cannot send the later files that need no transaction
    compare("The guide's 15 files", ways, guide, rounds, to)
    compare(f"{many} generated files", ways, generated, max(1, rounds // 2), to)


def main() -> None:
    """Make a server, measure, remove the server."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--many", type=int, default=1000, help="files of the generated release (%(default)s)")
    arguments.add_argument("--applied", type=int, default=10000, help="applied files beside ours (%(default)s)")
    given = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="physioflow-bench-"))
    folder.chmod(0o755)
    local = Local(folder / "local")
    try:
        began = time.perf_counter()
        local.deploy()
        print(f"make deploy from nothing, downloads at hand: {time.perf_counter() - began:.1f} s")
        scratch = folder / "scratch"
        scratch.mkdir()
        measure(local, scratch, rounds=given.rounds, many=given.many, applied=given.applied)
    finally:
        local.play("playbooks/destroy.yml", destroy_confirmed=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
