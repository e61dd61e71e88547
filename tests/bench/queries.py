"""The queries an EMR runs all day, on a database full of invented patients: `make bench`.

200,000 patients and about a million outcome measures by default (seed_scale 1000). Each query runs with the same values
every time, on a warm cache, over one connection of the role of the application. What is shown: the median and the 95th
percentile in milliseconds, how PostgreSQL comes to the rows, and how many times longer the median takes without the
indexes of the migrations (keys stay; they are dropped in a transaction that is taken back). Nothing is asserted: a
machine has its moods. That an index serves each query is a test, tests/integration/test_seeds.py.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.filled import filled
from tests.local import Local

VALUES = 100
SLOW_VALUES = 5  # without indexes
BIG = 10_000  # rows; reading a smaller table from end to end is no fault
LOOKUP, OTHER = 10.0, 50.0  # milliseconds
Session = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True)
class Query:
    """A query, the query that finds its values, and how long it may take (95 of 100, in milliseconds)."""

    text: str
    values: str
    target: float


# Typed in the order of Vietnamese names: the family name, then the name that one is called by. Within a clinic all of
# its patients are looked through, which takes as long for every name; idx_patients_name_trgm is for a search over all.
PATIENT = (
    "SELECT id, mrn, first_name_vi, last_name_vi, date_of_birth FROM patients WHERE clinic_id = %(clinic)s"
    " AND lower({family} || ' ' || {given}) LIKE lower(%(typed)s) ORDER BY last_name, first_name LIMIT 20"
)
NAMES = (
    "SELECT clinic_id AS clinic, '%' || {family} || '%' || regexp_replace({given}, '^.* ', '') AS typed"
    " FROM patients ORDER BY md5(mrn)"
)
PLAIN = {"family": "last_name", "given": "first_name"}
VIETNAMESE = {"family": "last_name_vi", "given": "first_name_vi"}
QUERIES = {
    "patient by name, without diacritics": Query(PATIENT.format(**PLAIN), NAMES.format(**PLAIN), OTHER),
    "patient by name, with diacritics": Query(PATIENT.format(**VIETNAMESE), NAMES.format(**VIETNAMESE), OTHER),
    "patient by name, in all clinics": Query(
        "SELECT id, mrn, first_name_vi, last_name_vi FROM patients"
        " WHERE (first_name || ' ' || last_name) ILIKE %(typed)s LIMIT 20",
        "SELECT '%' || first_name || ' ' || last_name || '%' AS typed FROM patients ORDER BY md5(mrn)",
        OTHER,
    ),
    "patient by number": Query(
        "SELECT * FROM patients WHERE clinic_id = %(clinic)s AND mrn = %(mrn)s",
        "SELECT clinic_id AS clinic, mrn FROM patients ORDER BY md5(mrn)",
        LOOKUP,
    ),
    "term autocomplete, English": Query(
        "SELECT term_en, term_vi FROM vietnamese_medical_terms WHERE is_active AND term_en ILIKE %(typed)s"
        " ORDER BY term_en LIMIT 10",
        "SELECT '%' || left(term_en, 4) || '%' AS typed FROM vietnamese_medical_terms ORDER BY term_en",
        LOOKUP,
    ),
    "term autocomplete, Vietnamese without diacritics": Query(
        "SELECT term_en, term_vi FROM vietnamese_medical_terms WHERE is_active"
        " AND vietnamese_unaccent(term_vi) LIKE %(typed)s ORDER BY term_vi LIMIT 10",
        "SELECT '%' || vietnamese_unaccent(left(term_vi, 4)) || '%' AS typed FROM vietnamese_medical_terms"
        " ORDER BY term_vi",
        LOOKUP,
    ),
    "outcome trend of a patient over years": Query(
        "SELECT measurement_date, current_score, mcid_met FROM outcome_measures WHERE patient_id = %(patient)s"
        " AND measure_type = %(measure)s ORDER BY measurement_date",
        "SELECT patient_id AS patient, measure_type AS measure FROM outcome_measures GROUP BY 1, 2 HAVING count(*) > 4"
        " ORDER BY 1",
        OTHER,
    ),
    "unpaid invoices of a clinic": Query(
        "SELECT i.id, invoice_number, invoice_date, balance_due, last_name_vi, first_name_vi FROM invoices AS i"
        " JOIN patients AS p ON p.id = i.patient_id WHERE i.clinic_id = %(clinic)s AND balance_due > 0"
        " AND status IN ('pending', 'partially_paid') ORDER BY invoice_date LIMIT 50",
        "SELECT id AS clinic FROM clinics ORDER BY id",
        OTHER,
    ),
    "appointments of a week": Query(
        "SELECT appointment_date, start_time, status, last_name_vi, first_name_vi FROM appointments AS a"
        " JOIN patients AS p ON p.id = a.patient_id WHERE a.clinic_id = %(clinic)s"
        " AND appointment_date BETWEEN %(day)s AND %(day)s::date + 6 ORDER BY appointment_date, start_time",
        "SELECT id AS clinic, current_date - 60 + 7 * n AS day FROM clinics, generate_series(0, 9) AS n ORDER BY 1, 2",
        OTHER,
    ),
    "card: lookup and validation": Query(
        "SELECT patient_id, v.* FROM insurance_info, validate_bhyt_card(bhyt_card_number) AS v"
        " WHERE bhyt_card_number = %(card)s",
        "SELECT bhyt_card_number AS card FROM insurance_info WHERE bhyt_card_number IS NOT NULL ORDER BY md5(id::text)",
        LOOKUP,
    ),
    "protocol by diagnosis": Query(
        "SELECT protocol_name, protocol_name_vi, exercises FROM clinical_protocols WHERE is_active"
        " AND applicable_diagnoses @> ARRAY[%(code)s] AND (clinic_id IS NULL OR clinic_id = %(clinic)s)",
        "SELECT DISTINCT code, c.id AS clinic FROM clinical_protocols AS p, unnest(applicable_diagnoses) AS code,"
        " (SELECT id FROM clinics ORDER BY id LIMIT 5) AS c (id)",
        LOOKUP,
    ),
    "discharge with comparison": Query(
        "SELECT d.id, d.discharge_reason, s.summary_text_vi, scores.* FROM discharge_plans AS d"
        " JOIN discharge_summaries AS s ON s.discharge_plan_id = d.id"
        " CROSS JOIN LATERAL (SELECT measure_type, min(current_score), max(current_score), bool_or(mcid_met)"
        " FROM outcome_measures AS m WHERE m.patient_id = d.patient_id GROUP BY measure_type) AS scores"
        " WHERE d.patient_id = %(patient)s",
        "SELECT patient_id AS patient FROM discharge_plans ORDER BY md5(id::text)",
        OTHER,
    ),
}


def values_of(session: Session, query: Query) -> list[dict[str, Any]]:
    """Return the values that a query runs with; every one is found in the database, so that none runs for nothing."""
    found = session.execute(f"{query.values} LIMIT {VALUES}".encode()).fetchall()
    assert found, query.values
    return found


def times(session: Session, query: Query, values: list[dict[str, Any]]) -> list[float]:
    """Return how long the query took with each value, in milliseconds."""
    found = []
    for value in values:
        begin = time.perf_counter()
        session.execute(query.text.encode(), value).fetchall()
        found.append((time.perf_counter() - begin) * 1000)
    return found


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield each node of a plan."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def plan_of(session: Session, query: Query, value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the nodes of the plan of a query."""
    row = session.execute(f"EXPLAIN (FORMAT JSON) {query.text}".encode(), value).fetchone()
    assert row is not None
    return list(nodes(row["QUERY PLAN"][0]["Plan"]))


def big_tables(session: Session) -> set[str]:
    """Return the tables that have so many rows that reading all of them is a fault."""
    rows = session.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > %s AND relnamespace = 'public'::regnamespace",
        [BIG],
    ).fetchall()
    return {row["relname"] for row in rows}


def scans(found: list[Mapping[str, Any]]) -> dict[str, str]:
    """Return how the plan comes to each table: `Seq Scan`, or the index."""
    ways: dict[str, str] = {}
    for node in found:
        name = node.get("Relation Name")
        if name and node["Node Type"] in ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan"):
            below = [n["Index Name"] for n in nodes(node) if "Index Name" in n]
            ways[name] = ", ".join(below) or node["Node Type"]
    return ways


def without_indexes(session: Session, query: Query, tables: set[str], values: list[dict[str, Any]]) -> float:
    """Return the median without the indexes of the query's tables, in milliseconds; they are back afterwards."""
    rows = session.execute(
        "SELECT indexrelid::regclass::text AS name FROM pg_index AS i JOIN pg_class AS c ON c.oid = indrelid"
        " WHERE (relname = ANY (%(tables)s) OR relname = 'outcome_measures' AND 'outcome_measures' = ANY (%(tables)s))"
        " AND NOT indisunique AND NOT indisexclusion AND NOT relispartition",
        {"tables": sorted(tables)},
    ).fetchall()
    session.execute("BEGIN")
    try:
        session.execute("SET LOCAL statement_timeout = 0")
        if rows:
            session.execute(f"DROP INDEX {', '.join(row['name'] for row in rows)}".encode())
        return statistics.median(times(session, query, values[:SLOW_VALUES]))
    finally:
        session.execute("ROLLBACK")


def warm_times(session: Session, query: Query, values: list[dict[str, Any]]) -> tuple[float, float]:
    """Return the median and the 95th percentile of a query on a warm cache, in milliseconds."""
    times(session, query, values)
    found = sorted(times(session, query, values))
    return statistics.median(found), found[math.ceil(len(found) * 0.95) - 1]


def measure(session: Session, name: str, query: Query, big: set[str]) -> None:
    """Print the line of a query: ok where it is as fast as it should be, and reads no big table from end to end."""
    values = values_of(session, query)
    median, p95 = warm_times(session, query, values)
    ways = scans(plan_of(session, query, values[0]))
    whole = sorted(table for table, way in ways.items() if way == "Seq Scan" and table in big)
    roots = {"outcome_measures" if table.startswith("outcome_measures_2") else table for table in ways}
    slow = without_indexes(session, query, roots, values)
    verdict = "ok" if p95 <= query.target and not whole else "SLOW" if p95 > query.target else f"reads all of {whole}"
    print(f"{name:50} {median:8.2f} {p95:8.2f} {query.target:8.0f} {slow / median:9.1f}x  {verdict}")
    for way in sorted(set(ways.values())):
        print(f"{'':8}{way}")


def connect(local: Local, database: str) -> Session:
    """Connect as the owner to a database that is deployed and seeded, with its statistics made."""
    local.psql("VACUUM ANALYZE", database, role="postgres")
    who = {"dbname": database, "user": "emr", "password": local.password("emr")}
    return psycopg.connect(**local.connection | who, autocommit=True, row_factory=dict_row)


def measure_all(local: Local, database: str) -> None:
    """Measure on a database that is deployed and seeded."""
    with connect(local, database) as session:
        counts = session.execute(
            "SELECT (SELECT count(*) FROM patients) AS patients, (SELECT count(*) FROM outcome_measures) AS scores"
        ).fetchone()
        print(f"{counts}\n{'query':50} {'p50 ms':>8} {'p95 ms':>8} {'may ms':>8} {'no index':>10}")
        big = big_tables(session)
        for name, query in QUERIES.items():
            measure(session, name, query, big)


if __name__ == "__main__":
    with filled(__doc__, 1000) as (server, _):
        measure_all(server, "physioflow")
