"""Backups of a database in use: what is in them, and that it is exactly what was there at one moment."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.backup.errors import BackupError

from tests.backups import CANARY, FEW, Clinic
from tests.local import VERSIONS

COPY_OF = FEW
WRITES = (
    "INSERT INTO tickets (code) SELECT 'w' || max(id) + 1 FROM tickets",
    "UPDATE patients SET notes = now()::text WHERE mrn = 'M1'",
    "DELETE FROM outcome_measures WHERE id = (SELECT id FROM outcome_measures LIMIT 1)",
    "UPDATE outcome_measures SET measurement_date = measurement_date - 1 WHERE id = ("
    "SELECT id FROM outcome_measures WHERE measurement_date > '2024-06-01' LIMIT 1)",  # between partitions too
)


class Writer:
    """Writes all the time, as clients do."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic = clinic
        self.end = threading.Event()
        self.writes = 0
        self.thread = threading.Thread(target=self.run)

    def __enter__(self) -> Writer:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end.set()
        self.thread.join()

    def run(self) -> None:
        with self.clinic.connect(autocommit=True) as connection:
            connection.execute("SET search_path = public")
            while not self.end.is_set():
                connection.execute(WRITES[self.writes % len(WRITES)])
                self.writes += 1


def test_is_exact_while_clients_write(clinic: Clinic) -> None:
    rows = []
    with Writer(clinic) as writer:
        for _ in range(2):
            before = writer.writes
            backup = clinic.backup()
            assert writer.writes > before
            rows.append({table["name"]: table["hash"] for table in clinic.manifest(backup)["tables"]})
        done = clinic.act("drill")
    assert done["ok"]
    assert done["backup"] == backup
    assert done["hashed"] == done["tables"] == len(rows[-1])
    assert rows[0] != rows[1]  # so a comparison with the live database would have failed
    assert [bool(entry["drilled"]) for entry in clinic.act("list")["backups"]] == [False, True]


PARTITIONS = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'outcome_measures'::regclass"
FORMATS = (("custom", "none"), ("custom", "gzip:1"), ("directory", "auto"))


def test_formats_hold_the_same(clinic: Clinic) -> None:
    rows = {
        key.replace('"Odd, (Name) ""x"" y"', 'Odd, (Name) "x" y'): int(value.split("|")[0])
        for key, value in clinic.fingerprint().items()
    }
    for format_, compression in FORMATS:
        clinic.more = {"format": format_, "compression": compression, "jobs": 2}
        backup = clinic.backup(why="try", operator="somebody")
        manifest = clinic.manifest(backup)
        assert {f"{t['schema']}.{t['name']}": t["rows"] for t in manifest["tables"]} == rows
        assert manifest["dump"]["format"] == format_
        assert (clinic.folder / backup / "database.dump").is_dir() is (format_ == "directory")
        assert (manifest["why"], manifest["operator"], manifest["status"]) == ("try", "somebody", "verified")
        assert manifest["migrations"]["version"] == VERSIONS[-1]
        assert manifest["sequences"]["public.tickets_id_seq"]["last_value"] == 20
        assert manifest["server"]["version"].startswith("16.")
        for path in (clinic.folder / backup, *(clinic.folder / backup).rglob("*")):
            assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
        globals_ = (clinic.folder / backup / "globals.sql").read_text()
        assert "CREATE ROLE emr_app" in globals_
        assert "SCRAM" not in globals_
        assert "is intact" in clinic.act("verify", backup=backup)["lines"][0]
    clinic.kept_in_order()


def test_a_compression_that_pg_dump_lacks_is_refused(clinic: Clinic) -> None:
    with pytest.raises(BackupError, match=r"built without zstd:3\. Set auto or gzip:1\.\nThere is no verified backup"):
        clinic.act("create", settings={"compression": "zstd:3"})
    clinic.kept_in_order()


def test_passwords_of_roles_are_kept_only_when_asked_for(clinic: Clinic) -> None:
    backup = clinic.act("create", tables=["tickets"], settings={"globals_passwords": True, "role": ""})["id"]
    assert "SCRAM-SHA-256" in (clinic.folder / backup / "globals.sql").read_text()


def test_named_tables_as_in_the_guide(clinic: Clinic) -> None:
    backup = clinic.backup(tables=["insurance_info", "patients"])
    assert clinic.manifest(backup)["scope"] == ["public.insurance_info", "public.patients"]
    requests: dict[str, dict[str, Any]] = {"restore": {"database": f"{clinic.name}_new"}, "drill": {}}
    for act, request in requests.items():
        with pytest.raises(BackupError, match=r"holds (only public.insurance_info, public.patients|single tables)"):
            clinic.act(act, backup=backup, **request)
    with pytest.raises(BackupError, match="There is no verified backup of the whole database"):
        clinic.act("drill")
    with pytest.raises(BackupError, match=r"the database has no table patient, x\.y\. Correct backup_tables"):
        clinic.act("create", tables=["patient", "x.y"])


def test_a_partitioned_table_is_backed_up_with_its_partitions(clinic: Clinic) -> None:
    one = clinic.manifest(clinic.backup(tables=["outcome_measures_2026"]))
    assert one["scope"] == ["public.outcome_measures_2026"]
    manifest = clinic.manifest(clinic.backup(tables=["outcome_measures"]))
    assert len(manifest["scope"]) == int(clinic.sql(PARTITIONS)) > 1
    assert sum(table["rows"] for table in manifest["tables"]) == 1000


def test_what_is_proven_is_chosen(clinic: Clinic) -> None:
    clinic.more = {"proof": ["patients", "outcome_measures"]}
    clinic.backup()
    assert clinic.act("drill")["hashed"] == 1 + int(clinic.sql(PARTITIONS))
    clinic.more = {"proof": "counts"}
    assert {table["hash"] for table in clinic.manifest(clinic.backup())["tables"]} == {None}


def test_the_list_shows_age_size_and_proof(clinic: Clinic) -> None:
    assert clinic.act("list")["lines"] == ["There is no backup yet."]
    clinic.backup(tables=["patients"])
    damaged = clinic.backup(tables=["tickets"])
    (clinic.folder / damaged / "manifest.json").write_text("{")
    done = clinic.act("list")
    by_id = {entry["id"]: entry for entry in done["backups"]}
    assert "it is damaged" in by_id[damaged]["damage"]
    text = "\n".join(done["lines"])
    assert f"{damaged}  DAMAGED" in text
    assert "0 min" in text
    assert "public.patients" in text


def test_no_backup_where_no_table_has_a_row(clinic: Clinic) -> None:
    tables = clinic.sql(
        "SELECT string_agg(c.oid::regclass::text, ', ') FROM pg_class AS c WHERE relkind IN ('r', 'p') "
        "AND relnamespace = 'public'::regnamespace"
    )
    clinic.sql(f"TRUNCATE {tables}")
    done = clinic.act("gate")
    assert (done["taken"], done["summary"]) == (False, "none needed: no table has a row")
    assert clinic.names() == []
    clinic.sql("INSERT INTO keyless VALUES ('w', 1)")
    assert clinic.act("create", check_mode=True)["lines"] == [f"A backup of {clinic.name} would be taken."]
    assert clinic.names() == []
    assert clinic.act("gate")["taken"]
    assert len(clinic.names()) == 1


def test_all_rows_are_there_also_under_forced_row_level_security(clinic: Clinic) -> None:
    table = next(t for t in clinic.manifest(clinic.backup())["tables"] if t["name"] == "secluded")
    assert table["rows"] == 5
    clinic.sql(
        f"CREATE ROLE weak_backup IN ROLE pg_read_all_data; GRANT CONNECT ON DATABASE {clinic.name} TO weak_backup",
        "postgres",
    )
    try:
        with pytest.raises(BackupError, match="row-level security"):
            clinic.act("create", settings={"role": "weak_backup"})
    finally:
        clinic.sql("DROP OWNED BY weak_backup; DROP ROLE weak_backup")
    clinic.kept_in_order()


def test_nothing_of_a_row_and_no_password_is_in_what_is_said(clinic: Clinic) -> None:
    clinic.backup()
    said = [clinic.act("list"), clinic.act("verify"), (clinic.folder / ".lock").read_text()]
    said += [path.read_text() for path in clinic.folder.rglob("manifest.json")]
    clinic.sql("CREATE UNIQUE INDEX ON insurance_info (patient_id)")
    clinic.sql("DELETE FROM outcome_measures; DELETE FROM patients WHERE mrn = 'M1'")
    with pytest.raises(BackupError, match=r"insert or update on table") as error:  # the parent is missing
        clinic.act("restore_tables", tables=["insurance_info"], existing_rows="replace")
    text = f"{said} {error.value}"
    assert CANARY not in text
    assert clinic.connection["password"] not in text
