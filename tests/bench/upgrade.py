"""What an application waits while a used database goes from 015 to the release: `make bench`.

20,000 patients by default (seed_scale 100). Three sessions of the application read and write all tables that a clinic
fills, without a pause, while the playbook deploys, and again after a rollback to 015, for which an application is
stopped. What is shown for each: its seconds, the number of statements, and the longest of them in milliseconds. And
what each query of `queries.py` takes in a copy from before and in the database, in turns, as the median in
milliseconds. Nothing is asserted: a machine has its moods. No statement should take longer than a second, and no query
longer than before.
"""

from __future__ import annotations

import itertools
import random
import sys
import threading
import time
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench import queries
from tests.bench.filled import filled
from tests.local import Local

BEFORE = "015"
COPY = "physioflow_before"
TURNS = 5  # of a query in each of both databases; the best median counts
SESSIONS = 3
ROWS = 1000  # of each table that the application works on
# The tables whose rows an application edits.
EDITED = """
SELECT c.relname FROM pg_class AS c JOIN pg_attribute AS a ON attrelid = c.oid AND attname = 'updated_at'
JOIN pg_attribute AS i ON i.attrelid = c.oid AND i.attname = 'id'
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1
"""


class Application:
    """Sessions of the application that read and write all tables with rows, while a block runs."""

    def __init__(self, local: Local, database: str) -> None:
        """Choose the rows."""
        who = {"user": "emr_app", "password": local.password("emr_app")}
        self._place = local.connection | {"dbname": database} | who
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=[number]) for number in range(SESSIONS)]
        self.statements = 0
        self.longest = (0.0, "")  # milliseconds, and of which statement
        self.errors: set[str] = set()
        self._rows: dict[str, list[str]] = {}
        with psycopg.connect(**self._place) as session:
            for (table,) in session.execute(EDITED).fetchall():
                rows = session.execute(f"SELECT id FROM {table} ORDER BY id LIMIT {ROWS}".encode()).fetchall()
                if rows:
                    self._rows[table] = [str(row[0]) for row in rows]

    def __enter__(self) -> Application:
        """Begin to work."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _work(self, seed: int) -> None:
        chance = random.Random(seed)
        with psycopg.connect(**self._place, autocommit=True) as session:
            for table in itertools.cycle(chance.sample(sorted(self._rows), len(self._rows))):
                if self._ended.is_set():
                    return
                row = chance.choice(self._rows[table])
                for verb in ("SELECT id FROM {} WHERE id = %s", "UPDATE {} SET updated_at = updated_at WHERE id = %s"):
                    self._run(session, verb.format(table), row)

    def _run(self, session: psycopg.Connection[tuple[object, ...]], statement: str, row: str) -> None:
        began = time.perf_counter()
        try:
            session.execute(statement.encode(), [row])
        except psycopg.Error as error:
            self.errors.add(f"{error.sqlstate} {statement}")
        took = (time.perf_counter() - began) * 1000
        self.statements += 1  # of a few threads; a lost one does not matter
        self.longest = max(self.longest, (took, statement))

    def __str__(self) -> str:
        """Return the line of the bench."""
        longest, statement = self.longest
        failed = f"; FAILED: {', '.join(sorted(self.errors))}" if self.errors else ""
        return f"{self.statements} statements, the longest {longest:.0f} ms ({statement}){failed}"


def deploy(local: Local, what: str) -> None:
    """Deploy under the eyes of the application, and print the line of the bench."""
    began = time.monotonic()
    with Application(local, "physioflow") as application:
        local.deploy(rehearse=True)
    print(f"  {what:14} {time.monotonic() - began:5.0f} s  {application}")


def compare_queries(local: Local) -> None:
    """Print the times of each query in the copy from before and in the database, measured in turns."""
    for database in (COPY, "physioflow"):  # not of the rows that were updated
        local.psql("VACUUM FULL", database, role="postgres")
    print(f"  {'query':50} {BEFORE + ' ms':>8} {'after':>8}")
    with queries.connect(local, COPY) as before, queries.connect(local, "physioflow") as after:
        for name, query in queries.QUERIES.items():
            values = queries.values_of(before, query)
            turns = [
                [queries.warm_times(session, query, values)[0] for session in (before, after)] for _ in range(TURNS)
            ]
            print(f"  {name:50} " + " ".join(f"{min(medians):8.2f}" for medians in zip(*turns, strict=True)))


def measure(local: Local) -> None:
    """Deploy, roll back without the application, and deploy again."""
    local.create_database(COPY, "physioflow")
    deploy(local, "deploy")
    compare_queries(local)
    local.drop_database(COPY)
    back = local.play("playbooks/rollback.yml", rollback_to=BEFORE, rollback_accept_data_loss=True)
    assert back.status == 0, back.output
    deploy(local, "deploy again")


if __name__ == "__main__":
    with filled(__doc__, 100, migrations_target=BEFORE) as (server, scale):
        print(f"From {BEFORE} to the release, with {scale * 200} patients and {SESSIONS} sessions of the application:")
        measure(server)
