"""What a backup and a restore cost beside the guide's commands: the second half of `make bench`.

The same database for all ways, of tables like those of an EMR, on an embedded server. The ways are measured in
rotation. Client CPU is that of the programs on the client's side, server CPU that of PostgreSQL; what verification
takes of ours is shown by itself. Figures are printed, never asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.bench import Bench
from tests.local import ROOT, Local

TABLES = 8
# A row has about 230 bytes: ids that do not compress, and words that do, as a clinic's rows.
ROWS_PER_MEGABYTE = 2900
FILL = """
CREATE TABLE visits_{n} (
    id uuid CONSTRAINT visits_{n}_pkey PRIMARY KEY, patient_id uuid NOT NULL, seen_at timestamptz NOT NULL,
    score numeric(5, 2), note text NOT NULL);
INSERT INTO visits_{n}
SELECT md5(i::text || '{n}')::uuid, md5((i % 20000)::text)::uuid, '2024-01-01'::timestamptz + i * '7 min'::interval,
       (hashint4(i) % 10000) / 100.0,
       (ARRAY['Đau thắt lưng', 'Thoái hóa khớp gối', 'Đau vai', 'Phục hồi sau đột quỵ', 'Đau cổ'])[1 + i % 5]
       || ': tập luyện trị liệu ' || hashint4(i) % 90 || ' phút, mức đau ' || i % 11 || '/10, '
       || (ARRAY['đỡ nhiều', 'như tuần trước', 'tê tay phải', 'đi lại dễ hơn'])[1 + (hashint4(i / 3) & 3)]
       || '; lần khám sau ' || to_char('2024-01-08'::date + i % 900, 'DD/MM/YYYY')
       || ', cân nặng ' || 40 + i % 57 || ' kg'
FROM generate_series(1, {rows}) AS i;
CREATE INDEX idx_visits_{n}_patient ON visits_{n} (patient_id, seen_at);
CREATE INDEX idx_visits_{n}_seen ON visits_{n} (seen_at);
"""
# Runs an act of the role as the timers do: a process of its own.
ACT = """
import json, sys
sys.path.insert(0, {collections!r})
from ansible_collections.physioflow.database.plugins.module_utils.backup.actions import perform
print(json.dumps(perform(*json.load(sys.stdin))))
"""


@dataclass(frozen=True)
class Cost:
    """Seconds, and the largest process in MB."""

    wall: float
    client: float
    server: float
    memory: float


class Backups:
    """A server with a database of some size, and the ways to save and restore it."""

    def __init__(self, local: Local, scratch: Path, megabytes: int) -> None:
        """Fill the database."""
        self.local = local
        self.scratch = scratch
        self.bench = Bench(local, scratch)
        local.create_database("clinic", "template0")
        rows = megabytes * ROWS_PER_MEGABYTE // TABLES
        for number in range(TABLES):
            local.psql(FILL.format(n=number, rows=rows), "clinic")
        local.psql("GRANT CONNECT ON DATABASE clinic TO emr_backup", "clinic", role="postgres")
        local.psql("VACUUM ANALYZE", "clinic", role="postgres")
        self.size = local.psql("SELECT pg_size_pretty(pg_database_size('clinic'))", "clinic")
        self.settings = {
            "database": "clinic",
            "directory": str(scratch / "backups"),
            "bin_dir": str(local.server / "bin"),
            "connection": {
                "host": "127.0.0.1",
                "port": self.bench.port,
                "user": "postgres",
                "passfile": str(local.server / "pgpass"),
            },
            "keep": {"last": 1},
        }
        (scratch / "backups").mkdir(mode=0o700)

    def measure(self, command: list[str | Path], text: str = "") -> Cost:
        """Run a command in a process of its own, so that its largest process is told from ours."""
        script = (
            "import json, resource, subprocess, sys, time\n"
            "began = time.perf_counter()\n"
            "done = subprocess.run(sys.argv[1:], capture_output=True)\n"
            "if done.returncode: sys.exit(done.stderr.decode())\n"
            "use = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
            "wall = time.perf_counter() - began\n"
            "print(json.dumps([wall, use.ru_utime + use.ru_stime, use.ru_maxrss / 1024]))\n"
        )
        before = self.bench.server_cpu()
        done = subprocess.run(
            [sys.executable, "-c", script, *command],
            input=text,
            env=self.bench.env,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{command}\n{done.stderr}")
        wall, client, memory = json.loads(done.stdout)
        return Cost(wall, client, self.bench.server_cpu() - before, memory)

    def act(self, act: str, **request: object) -> Cost:
        """Run an act of the role."""
        role = "emr_backup" if act == "create" else ""
        text = json.dumps([act, self.settings | {"role": role}, request])
        return self.measure([sys.executable, "-c", ACT.format(collections=str(ROOT / "collections"))], text)

    # The ways.

    def guide_dump(self) -> Cost:
        """Dump as the guide does."""
        dump = self.scratch / "guide.dump"
        return self.measure([self.local.server / "bin/pg_dump", "-F", "c", "-f", dump, self.conninfo("clinic")])

    def ours_dump(self) -> Cost:
        """Take a verified backup."""
        return self.act("create", why="bench")

    def ours_pg_dump(self) -> Cost:
        """Only what dumping takes of it: pg_dump as ours runs it."""
        dump = self.scratch / "ours.dump"
        options = ["--format=custom", "--compress=gzip:1", f"--file={dump}"]
        return self.measure([self.local.server / "bin/pg_dump", *options, self.conninfo("clinic")])

    def ours_read_back(self) -> Cost:
        """Only what reading back takes of it."""
        return self.act("verify", backup="latest")

    def guide_restore(self) -> Cost:
        """Restore as the guide does, into a new database."""
        self.local.psql("CREATE DATABASE guide_restore TEMPLATE template0", "postgres", role="postgres")
        program = self.local.server / "bin/pg_restore"
        cost = self.measure([program, "-d", self.conninfo("guide_restore"), self.scratch / "guide.dump"])
        self.local.drop_database("guide_restore")
        return cost

    def ours_restore(self) -> Cost:
        """Verify, restore, compare every row, analyze, rename."""
        cost = self.act("restore", backup="latest", database="ours_restore")
        self.local.drop_database("ours_restore")
        return cost

    def ours_load(self) -> Cost:
        """Only what loading takes of it: pg_restore as ours runs it."""
        self.local.psql("CREATE DATABASE ours_load TEMPLATE template0", "postgres", role="postgres")
        dump = next((self.scratch / "backups").glob("clinic_backup_*")) / "database.dump"
        jobs = f"--jobs={os.cpu_count()}"
        program = self.local.server / "bin/pg_restore"
        cost = self.measure([program, "--exit-on-error", jobs, "-d", self.conninfo("ours_load"), dump])
        self.local.drop_database("ours_load")
        return cost

    def conninfo(self, database: str) -> str:
        """Return how the guide's commands reach the server, as superuser."""
        return self.local.conninfo(database, options="")


def compare(title: str, ways: dict[str, Callable[[], Cost]], rounds: int) -> None:
    """Measure ways in rotation, and print them with ratios to the first one."""
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            costs[name].append(way())
    print(f"\n{title} (median of {rounds} rounds in rotation; ratios to the guide: larger is better)")
    print(f"  {'way':44} {'wall s':>7} {'ratio':>6} {'client CPU s':>13} {'ratio':>6} {'server CPU s':>13} {'MB':>6}")
    guide: Cost | None = None
    for name, runs in costs.items():
        cost = Cost(*(statistics.median(figures) for figures in zip(*map(astuple, runs), strict=True)))
        guide = guide or cost
        print(
            f"  {name:44} {cost.wall:7.1f} {guide.wall / cost.wall:6.1f} {cost.client:13.1f} "
            f"{guide.client / cost.client:6.1f} {cost.server:13.1f} {cost.memory:6.0f}"
        )


def measure(local: Local, scratch: Path, rounds: int, megabytes: int) -> None:
    """Fill a database on a server, and measure all ways."""
    backups = Backups(local, scratch, megabytes)
    compare(
        f"Backup of {backups.size}",
        {
            "the guide: pg_dump -F c": backups.guide_dump,
            "ours: dump, hash, read back": backups.ours_dump,
            "  of which dumping": backups.ours_pg_dump,
            "  of which reading back": backups.ours_read_back,
        },
        rounds,
    )
    compare(
        f"Restore of {backups.size}",
        {
            "the guide: pg_restore": backups.guide_restore,
            "ours: verify, restore, compare, analyze": backups.ours_restore,
            "  of which loading": backups.ours_load,
        },
        rounds,
    )


def main() -> None:
    """Make a server, fill it, measure, remove it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--megabytes", type=int, default=1000)
    given = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="physioflow-bench-"))
    folder.chmod(0o755)
    local = Local(folder / "local")
    try:
        local.deploy()
        scratch = folder / "scratch"
        scratch.mkdir()
        measure(local, scratch, given.rounds, given.megabytes)
    finally:
        local.play("playbooks/destroy.yml", destroy_confirmed=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
