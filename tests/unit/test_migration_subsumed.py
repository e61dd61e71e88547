"""Which rollbacks of a run change only rows that go with their tables anyway."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.migrations.subsumed import subsumed

ROLLBACKS = Path(__file__).resolve().parents[2] / "files/rollbacks"


def release(*versions: str) -> set[str]:
    return set(subsumed({version: next(ROLLBACKS.glob(f"{version}_*.sql")).read_text() for version in versions}))


def positions(files: tuple[str, ...]) -> set[int]:
    return {int(name) for name in subsumed({str(number): text for number, text in enumerate(files)})}


def test_seeds_of_the_release_are_subsumed_where_their_tables_go() -> None:
    everything = [f"{number:03d}" for number in range(15, 0, -1)]
    assert release(*everything) == {"014", "013", "012", "011"}
    assert release(*everything[:11]) == {"014", "013", "012", "011"}
    assert release(*everything[:5]) == set()
    assert release("012", "011", "007") == {"012"}
    whole = sorted((path.name[:3] for path in ROLLBACKS.glob("*.sql")), reverse=True)
    assert release(*whole) == {"014", "013", "012", "011", "047", "050", "051", "052", "053"}


@pytest.mark.parametrize(
    "files",
    [
        ("DELETE FROM t WHERE code LIKE 'X%';", "DROP TABLE t;"),
        ("TRUNCATE t RESTART IDENTITY;", "ALTER TABLE t DROP COLUMN x; DROP TABLE IF EXISTS u, t CASCADE;"),
        ("UPDATE t SET a = NULL; DELETE FROM t;", "COMMENT ON TABLE t IS NULL;", "DROP TABLE public.t;"),
        ("DELETE FROM u USING t WHERE t.id = u.t_id; DELETE FROM t;", "DROP TABLE u;", "DROP TABLE t;"),
        ("WITH gone AS (DELETE FROM u RETURNING id) DELETE FROM t USING gone;", "DROP TABLE t, u;"),
        ('DELETE FROM s."A b";', 'DROP TABLE s."A b";'),
        ("BEGIN; DELETE FROM t; COMMIT;", "BEGIN; DROP TABLE t; COMMIT;"),
        ("DELETE FROM t;", "DROP TABLE t; CREATE TABLE t (old int); INSERT INTO t VALUES (1);"),
        ("DELETE FROM t;", "DROP TABLE t_2; INSERT INTO keep SELECT * FROM t_3;", "DROP TABLE t;"),
    ],
)
def test_rows_that_go_with_their_tables(files: tuple[str, ...]) -> None:
    assert positions(files) == {0}


@pytest.mark.parametrize(
    "files",
    [
        ("DELETE FROM t;", "DROP TABLE u;"),  # the table stays
        ("DELETE FROM t; DELETE FROM keep;", "DROP TABLE t;"),  # one of them stays
        ("DELETE FROM t;", "DROP TABLE other.t;"),  # another table of that name
        ("DELETE FROM t;", "SET search_path = other; DROP TABLE t;"),
        ("DROP TABLE t;", "DELETE FROM t;"),  # it was dropped before
        ("DELETE FROM t; DROP TYPE kind;", "DROP TABLE t;"),  # does more
        ("DELETE FROM t; DROP TABLE t;",),
        ("DELETE FROM t RETURNING *;", "DROP TABLE t;"),
        ("INSERT INTO t VALUES (1);", "DROP TABLE t;"),
        ("TRUNCATE t CASCADE;", "DROP TABLE t CASCADE;"),  # empties whoever refers to it
        ("WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO archive SELECT * FROM gone;", "DROP TABLE t;"),
        ("WITH kept AS (INSERT INTO archive SELECT * FROM t) DELETE FROM t;", "DROP TABLE t;"),
        ("WITH gone AS (DELETE FROM keep RETURNING id) DELETE FROM t USING gone;", "DROP TABLE t;"),
        ("DELETE FROM t;", "CREATE TABLE t_old AS SELECT * FROM t; DROP TABLE t;"),  # rows live on
        ("DELETE FROM t;", "INSERT INTO keep SELECT * FROM t;", "DROP TABLE t;"),
        ("DELETE FROM t;", "DELETE FROM keep USING t WHERE keep.id = t.id; DROP TABLE t;"),
        ("DELETE FROM t;", "ALTER TABLE t RENAME TO kept; CREATE TABLE t (); DROP TABLE t;"),
        ("DELETE FROM t;", "ALTER TABLE t DETACH PARTITION t_1; DROP TABLE t;"),
        ("DELETE FROM t;", "DO $$ BEGIN EXECUTE 'CREATE TABLE k AS TABLE t'; END $$; DROP TABLE t;"),
        ("DELETE FROM t;", "DO $$ BEGIN DROP TABLE t; END $$;"),  # nobody can read it
    ],
)
def test_in_doubt_a_file_is_sent(files: tuple[str, ...]) -> None:
    assert positions(files) == set()


def test_one_that_is_sent_reads_what_another_left() -> None:
    """The second is sent, as rows of `keep` stay; so the first has to be sent as well."""
    files = ("DELETE FROM t;", "DELETE FROM u; DELETE FROM keep WHERE id IN (SELECT id FROM t);", "DROP TABLE t, u;")
    assert positions(files) == set()
