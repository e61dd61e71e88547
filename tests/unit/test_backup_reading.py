"""What is read of a dump: rows across chunks, odd names, streams that are cut off; what belongs to which table."""

from __future__ import annotations

import io
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.backup import archive as backup_archive
from ansible_collections.physioflow.database.plugins.module_utils.backup.archive import (
    Rows,
    contents_problem,
    count_contents,
    read_items,
    schema_sha256,
)
from ansible_collections.physioflow.database.plugins.module_utils.backup.database import _Reader, is_named
from ansible_collections.physioflow.database.plugins.module_utils.backup.errors import BackupError
from ansible_collections.physioflow.database.plugins.module_utils.backup.merge import names_of, parents_first
from ansible_collections.physioflow.database.plugins.module_utils.backup.selection import select, table_of
from ansible_collections.physioflow.database.plugins.module_utils.sql import identifier

DUMP = rb"""--
SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Data for Name: patients; Type: TABLE DATA
--

COPY public.patients (id, "a,b", name) FROM stdin;
1	\\.	COPY public.x (y) FROM stdin;
2	\N	SELECT pg_catalog.setval('public.no', 7, true);
3		a\n\\.\nb
\.


COPY public.empty (id) FROM stdin;
\.


COPY "Odd (a) FROM"."T ""x"". y" ("c (d)") FROM stdin;
one
\.


COPY public.bare  FROM stdin;

\.


SELECT pg_catalog.setval('public.patients_id_seq', 3, true);
SELECT pg_catalog.setval('public."it''s ""odd"" x"', -5, false);
"""
ROWS = {"public.patients": 3, "public.empty": 0, 'Odd (a) FROM.T "x". y': 1, "public.bare": 1}


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 5, 7, 64, 1 << 20])
def test_rows_are_counted_across_chunks(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(backup_archive, "CHUNK", chunk)
    contents = count_contents(io.BytesIO(DUMP))
    assert contents.rows == ROWS
    assert contents.sequences == {"public.patients_id_seq": (3, True), 'public.it\'s "odd" x': (-5, False)}


@pytest.mark.parametrize("chunk", [1, 3, 1 << 20])
def test_rows_come_out_as_they_went_in(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(backup_archive, "CHUNK", chunk)
    found = {}
    for item in read_items(io.BytesIO(DUMP)):
        if isinstance(item, Rows):
            found[item.key] = (item.columns, b"".join(item.chunks))
    start = DUMP.index(b"1\t\\\\.")
    assert found["public.patients"] == ('id, "a,b", name', DUMP[start : DUMP.index(b"\\.\n", start + 60)])
    assert found["public.empty"][1] == b""
    assert found["public.bare"] == ("", b"\n")


@pytest.mark.parametrize("end", [b"1\t\\\\.", b"3\t\ta", b'"c (d)") FROM stdin;\n', b"one\n", b"one\n\\."])
def test_rows_without_their_end_are_cut_off(end: bytes) -> None:
    with pytest.raises(BackupError, match="cut off"):
        count_contents(io.BytesIO(DUMP[: DUMP.index(end) + len(end)]))


def test_what_a_dump_lacks_is_said() -> None:
    tables = [{"schema": "s", "name": "t", "rows": 2}]
    sequences = {"s.q": {"last_value": 1, "is_called": True}}

    def problem(rows: dict[str, int], values: dict[str, tuple[int, bool]]) -> str:
        return str(contents_problem(backup_archive.Contents(rows, values), tables, sequences))

    assert problem({"s.t": 2}, {"s.q": (1, True)}) == ""
    assert problem({}, {}) == "it has no rows of s.t, of which there were 2"
    assert problem({"s.t": 1}, {}) == "it has 1 rows of s.t, not 2"
    assert problem({"s.t": 2, "s.u": 0}, {}) == "it has rows of s.u, which was not there"
    assert problem({"s.t": 2}, {"s.q": (2, True)}) == "it has another value of the sequence s.q"
    assert problem({"s.t": 2}, {}) == "it has another value of the sequence s.q"


def test_the_checksum_of_a_schema_knows_what_changes_nothing() -> None:
    one = "-- Name: x\n\\restrict abc\nCREATE TABLE x (\n    y int\n);\n\n\\unrestrict abc\n"
    assert schema_sha256(one) == schema_sha256(one.replace("abc", "def").replace("-- Name: x\n", "-- other\n"))
    assert schema_sha256(one) != schema_sha256(one.replace("int", "text"))


MANIFEST: dict[str, Any] = {
    "tables": [{"schema": "public", "name": name} for name in ("patients", "part", 'T "x" y', "T", "child")],
    "partitioned": ["public.whole"],
    "indexes": {"public.idx": "public.patients", "public.part_pkey": "public.part"},
    "sequences": {"public.q": {"table": "public.patients"}, "public.free": {"table": None}},
    "statistics": {"public.st": "public.patients"},
}


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("TABLE public patients emr", ("TABLE", "public.patients", "patients")),
        ('TABLE DATA public T "x" y emr', ("TABLE DATA", 'public.T "x" y', 'T "x" y')),
        ("TABLE ATTACH public part emr", ("TABLE ATTACH", "public.part", "part")),
        ("ROW SECURITY public patients emr", ("ROW SECURITY", "public.patients", "patients")),
        ("CONSTRAINT public patients patients_pkey emr", ("CONSTRAINT", "public.patients", "patients_pkey")),
        ('CONSTRAINT public T "x" y t_pkey emr', ("CONSTRAINT", 'public.T "x" y', "t_pkey")),
        ("FK CONSTRAINT public whole a key emr", ("FK CONSTRAINT", "public.whole", "a key")),
        ("CHECK CONSTRAINT public T c emr", ("CHECK CONSTRAINT", "public.T", "c")),
        ("DEFAULT public patients id emr", ("DEFAULT", "public.patients", "id")),
        ("TRIGGER public patients trg emr", ("TRIGGER", "public.patients", "trg")),
        ("POLICY public patients p emr", ("POLICY", "public.patients", "p")),
        ("INDEX public idx emr", ("INDEX", "public.patients", "idx")),
        ("INDEX ATTACH public part_pkey emr", ("INDEX ATTACH", "public.part", "part_pkey")),
        ("SEQUENCE public q emr", ("SEQUENCE", "public.patients", "q")),
        ("SEQUENCE SET public q emr", ("SEQUENCE SET", "public.patients", "q")),
        ("SEQUENCE OWNED BY public q emr", ("SEQUENCE OWNED BY", "public.patients", "q")),
        ("SEQUENCE public free emr", ("SEQUENCE", "", "free")),
        ("STATISTICS public st emr", ("STATISTICS", "public.patients", "st")),
        ("COMMENT public TABLE patients emr", ("COMMENT", "public.patients", "TABLE patients")),
        ('COMMENT public COLUMN "T ""x"" y"."a.b" emr', ("COMMENT", 'public.T "x" y', 'COLUMN "T ""x"" y"."a.b"')),
        ("COMMENT public TRIGGER trg ON patients emr", ("COMMENT", "public.patients", "TRIGGER trg ON patients")),
        ("COMMENT public INDEX idx emr", ("COMMENT", "public.patients", "INDEX idx")),
        ("COMMENT public SEQUENCE q emr", ("COMMENT", "public.patients", "SEQUENCE q")),
        ("ACL public TABLE patients emr", ("ACL", "public.patients", "TABLE patients")),
        ("ACL public COLUMN patients.name emr", ("ACL", "public.patients", "COLUMN patients.name")),
        ("COMMENT - EXTENSION pg_trgm ", ("COMMENT", "", "EXTENSION pg_trgm")),
        ("COMMENT public TYPE gender emr", ("COMMENT", "", "TYPE gender")),
        ("FUNCTION public f(integer, text) emr", ("", "", "")),
        ("DATABASE - physioflow emr", ("", "", "")),
    ],
)
def test_each_kind_of_entry_knows_its_table(entry: str, found: tuple[str, str, str]) -> None:
    assert table_of(entry, MANIFEST) == found


def test_only_what_belongs_to_the_chosen_tables_is_taken() -> None:
    entries = [
        "TABLE public part emr",
        "TABLE ATTACH public part emr",
        "TABLE public patients emr",
        "TABLE DATA public part emr",
        "TABLE DATA public patients emr",
        "SEQUENCE SET public q emr",
        "CONSTRAINT public part part_pkey emr",
        "INDEX ATTACH public part_pkey emr",
        "FK CONSTRAINT public child child_part_fkey emr",
        "FK CONSTRAINT public child other_fkey emr",
        "COMMENT public CONSTRAINT child_part_fkey ON child emr",
        "COMMENT public CONSTRAINT other_fkey ON child emr",
        "COMMENT public COLUMN child.child_part_fkey emr",
    ]
    lines = select(
        [(str(number), entry) for number, entry in enumerate(entries)],
        MANIFEST,
        missing={"public.part"},
        loaded={"public.patients"},
        attached={"public.part"},
        lost_keys={("public.child", "child_part_fkey")},
    )
    assert lines == ["0", "1", "3", "4", "5", "8", "10"]


def test_columns_and_names_are_taken_apart() -> None:
    assert names_of('id, "a,b", "c ""d"" (e)", đường') == ["id", "a,b", 'c "d" (e)', "đường"]
    assert identifier("public", 'a"b') == '"public"."a""b"'
    table = {"schema": "public", "name": "part", "root": "public.whole"}
    assert is_named(table, ["part"])
    assert is_named(table, ["public.whole"])
    assert not is_named(table, ["other.part", "public.x"])


def test_parents_come_before_children() -> None:
    class Place:
        def __init__(self, place: str) -> None:
            self.place = place

    places: Any = map(Place, "abcxy")
    keys = [
        {"table": "a", "references": "b"},
        {"table": "b", "references": "c"},
        {"table": "c", "references": "c"},
        {"table": "x", "references": "y"},
        {"table": "y", "references": "x"},
    ]
    assert [merge.place for merge in parents_first(places, keys)] == ["c", "b", "a", "x", "y"]


@pytest.mark.parametrize("size", [1, 3, 8192])
def test_psycopg2_reads_chunks_as_a_file(size: int) -> None:
    reader = _Reader(iter([b"abc", b"defgh", b"i"]))
    found = []
    while piece := reader.read(size):
        assert len(piece) <= size
        found.append(piece)
    assert b"".join(found) == b"abcdefghi"
