"""What a file finds when it begins, and what happens after one that fails: as psql does it, a new session a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.driver import Driver, Outcome
from tests.fuzz.server import Server
from tests.local import Local

ROOMS = "CREATE TABLE rooms (id int PRIMARY KEY, name text); INSERT INTO rooms VALUES (1, 'a'), (2, NULL);"
TEMP = "CREATE TEMP TABLE pick AS SELECT {0} AS n; CREATE TABLE kept_{0} AS SELECT n FROM pick;"
# Releases that psql applies to their end.
WHOLE = {
    "temporary tables": [ROOMS, TEMP.format(1), TEMP.format(2)],
    "a temporary table of a real one's name": [
        ROOMS,
        "CREATE TEMP TABLE rooms AS TABLE rooms; DELETE FROM public.rooms WHERE id NOT IN (SELECT id FROM rooms);",
        "ALTER TABLE rooms ADD COLUMN note text DEFAULT 'none'; UPDATE rooms SET note = 'seen' WHERE id = 2;",
    ],
    "search_path": [ROOMS, "CREATE SCHEMA wing; SET search_path = wing;", "CREATE TABLE beds (n int);"],
    "settings and characteristics": [
        ROOMS,
        "SET work_mem = '1MB'; SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; SET DateStyle = 'SQL, DMY';",
        "CREATE TABLE found AS SELECT current_setting('work_mem') AS memory, '01/02/2026'::date AS day;",
    ],
    "prepared statements": [ROOMS, "PREPARE p AS SELECT 1;", "PREPARE p AS SELECT 2;"],
    "a cursor that outlives its transaction": [
        ROOMS,
        "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM rooms;",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1;",
    ],
    "all locks given away": [ROOMS, "SELECT pg_advisory_unlock_all();", "CREATE TABLE beds (n int);"],
    "everything temporary thrown away": [ROOMS, "DISCARD TEMP;", "CREATE TABLE beds (n int);"],
    "ON COMMIT DROP": [ROOMS, "CREATE TEMP TABLE t ON COMMIT DROP AS SELECT 1 AS n;", "CREATE TABLE t (n int);"],
    "comments in comments": [
        ROOMS,
        "/* off /* and /* deeper */ before */\nDELETE FROM rooms;\n-- */ INSERT INTO rooms VALUES (3, 'c');",
    ],
    "a lone carriage return": [ROOMS, "-- keep\rINSERT INTO rooms\nSELECT 4, 'd';\nDELETE FROM rooms WHERE id = 1;"],
    "all white space": [ROOMS, "\f\r-- x\f\r\fINSERT\fINTO\rrooms\tVALUES (5, '\f\v'); \f"],
    "what a new session begins with": [
        ROOMS,
        "ALTER DATABASE {database} SET work_mem = '2MB';",
        "CREATE TABLE found AS SELECT current_setting('work_mem') AS memory;",
    ],
}
# Releases with a failure: the acts of the history, and of the history once the last text has replaced the failed file.
BROKEN: dict[str, tuple[list[str], str, str, str]] = {
    "nothing follows a failure": (
        [
            ROOMS + "CREATE TABLE archive (id int, name text NOT NULL);",
            "INSERT INTO archive SELECT id, name FROM rooms;",
            "CREATE INDEX CONCURRENTLY idx_archive ON archive (name);",
            "DROP TABLE rooms;",
        ],
        "apply 1",
        "INSERT INTO archive SELECT id, 'x' FROM rooms;",
        "apply 1, apply 2, start 3, apply 3, apply 4",
    ),
    "what left nothing is corrected": (
        [
            "CREATE TABLE ev (id int) PARTITION BY LIST (id); CREATE TABLE ev_1 PARTITION OF ev FOR VALUES IN (1);",
            "CREATE INDEX CONCURRENTLY idx_ev ON ev (id);",
            "CREATE TABLE after (n int);",
        ],
        "apply 1, start 2, fail 2",
        "CREATE INDEX idx_ev ON ev (id);",
        "apply 1, start 2, fail 2, apply 2, apply 3",
    ),
    "what left an index is made again": (
        [
            "CREATE TABLE a (id int); INSERT INTO a VALUES (1), (1);",
            "CREATE UNIQUE INDEX CONCURRENTLY idx_a ON a (id);",
            "CREATE TABLE after (n int);",
        ],
        "apply 1, start 2",
        "CREATE INDEX CONCURRENTLY idx_a ON a (id);",
        "apply 1, start 2, start 2, apply 2, apply 3",
    ),
    "a procedure with COMMIT says how": (
        [
            "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;",
            "CALL p();",
            "CREATE TABLE after (n int);",
        ],
        "apply 1",
        "-- Transactional: no\nCALL p();",
        "apply 1, start 2, apply 2, apply 3",
    ),
}


@pytest.fixture(scope="module")
def server(local: Local) -> Iterator[Server]:
    made = Server.of(local)
    yield made
    for name in ("apply_ours", "apply_psql"):
        made.drop(name)
    made.admin.close()


def write(folder: Path, texts: list[str]) -> Path:
    (folder / "migrations").mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts, start=1):
        (folder / f"migrations/V{number}__x.sql").write_bytes(text.replace("{database}", "apply_ours").encode())
    return folder


def by_psql(server: Server, folder: Path, number: int) -> None:
    """Send the first files with psql, each in a session and a transaction of its own."""
    server.empty("apply_psql")
    for path in folder.rglob("*.sql"):
        path.write_bytes(path.read_bytes().replace(b"DATABASE apply_ours", b"DATABASE apply_psql"))
    for version in range(1, number + 1):
        path = folder / f"migrations/V{version}__x.sql"
        alone = b"CONCURRENTLY" in path.read_bytes() or b"Transactional: no" in path.read_bytes()
        assert server.psql("apply_psql", path, whole=not alone) == "", path


def deploy(server: Server, folder: Path) -> tuple[Driver, Outcome]:
    server.empty("apply_ours")
    driver = Driver(folder, "apply_ours", server.connection, folder.parent, {"lock_retries": 0})
    return driver, driver.deploy()


@pytest.mark.parametrize("case", WHOLE)
def test_each_file_finds_a_session_like_a_new_one(server: Server, tmp_path: Path, case: str) -> None:
    folder = write(tmp_path / "release", WHOLE[case])
    driver, outcome = deploy(server, folder)
    assert outcome.ok, outcome
    assert driver.deploy().sent == 0
    assert not server.left("apply_ours")
    by_psql(server, folder, len(WHOLE[case]))
    assert server.holds("apply_ours") == server.holds("apply_psql")


@pytest.mark.parametrize("case", BROKEN)
def test_nothing_is_sent_after_a_failure_and_the_corrected_file_goes_on(
    server: Server, tmp_path: Path, case: str
) -> None:
    texts, history, corrected, end = BROKEN[case]
    folder = write(tmp_path / "release", texts)
    driver, outcome = deploy(server, folder)
    assert outcome.file.endswith("V2__x.sql"), outcome
    assert "Transactional: no" in outcome.failure or "CALL" not in texts[1]
    assert server.history("apply_ours")[1] == history
    (folder / "migrations/V2__x.sql").write_text(corrected)
    again = driver.deploy()
    assert again.ok, again
    assert server.history("apply_ours")[1] == end
    by_psql(server, folder, len(texts))
    assert server.holds("apply_ours") == server.holds("apply_psql")


def test_a_lost_lock_outside_of_a_transaction_is_taken_again(server: Server, tmp_path: Path) -> None:
    alone = "-- Transactional: no\nDISCARD ALL;"
    driver, outcome = deploy(server, write(tmp_path / "release", [ROOMS, alone]))
    assert outcome.ok, outcome
    assert server.history("apply_ours")[1] == "apply 1, start 2, apply 2"
    assert driver.deploy().sent == 0
