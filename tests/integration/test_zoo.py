"""A database with every kind of object that PostgreSQL has, backed up and restored by all ways.

The oracle is PostgreSQL's own: what pg_dump writes of a database that was restored with pg_restore once more. The first
dump of a database and the dump of its copy differ in words (`IN` of a varchar gains casts), the next ones do not.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.physioflow.database.plugins.module_utils.database.objects import OBJECTS, PIN

from tests.backups import Clinic, drop_clinic
from tests.local import Local

ZOO = Path(__file__).with_name("zoo.sql")
SETTINGS = """
ALTER DATABASE {0} SET search_path = "old clinic", public, "x""y, z";
ALTER ROLE emr_app IN DATABASE {0} SET search_path = '';
ALTER ROLE emr_readonly IN DATABASE {0} SET DateStyle = 'SQL, DMY';
ALTER DATABASE {0} SET temp_tablespaces = '';
ALTER DATABASE {0} SET "app.clinic" = 'it''s, "x"';
ALTER DATABASE {0} SET default_transaction_read_only = on;
ALTER DATABASE {0} CONNECTION LIMIT 77;
COMMENT ON DATABASE {0} IS 'it''s a zoo';
REVOKE ALL ON DATABASE {0} FROM PUBLIC;
GRANT CONNECT ON DATABASE {0} TO emr_app WITH GRANT OPTION;
GRANT CONNECT ON DATABASE {0} TO emr_backup;
"""
PROPERTIES = """
SELECT (SELECT string_agg(acl::text, ' ' ORDER BY acl::text) FROM unnest(datacl) AS acl), datconnlimit,
       pg_get_userbyid(datdba), shobj_description(d.oid, 'pg_database'),
       (SELECT string_agg(concat(setrole, setting), ' ' ORDER BY setrole, setting)
        FROM pg_db_role_setting, unnest(setconfig) AS setting WHERE setdatabase = d.oid)
FROM pg_database AS d WHERE datname = '{}'
"""
LARGE_OBJECTS = """
SELECT string_agg(concat_ws(' ', oid, lomowner::regrole, lomacl, obj_description(oid, 'pg_largeobject'),
                            md5(lo_get(oid))), E'\n' ORDER BY oid) FROM pg_largeobject_metadata
"""


@pytest.fixture(scope="module")
def zoo(local: Local) -> Iterator[Clinic]:
    """The zoo, and a folder for its backups with one backup in it."""
    path = Path(tempfile.mkdtemp(prefix="physioflow-zoo-"))
    path.chmod(0o755)
    (path / "backups").mkdir(mode=0o700)
    made = Clinic(local, "zoo", path / "backups")
    local.drop_database("zoo")
    made.sql("CREATE DATABASE zoo OWNER emr TEMPLATE template0 LOCALE 'C.UTF-8'", "postgres")
    try:
        done = local.run_psql("-f", str(ZOO), database="zoo", role="postgres")
        assert done.returncode == 0, done.stderr
        made.sql(SETTINGS.format("zoo"), "postgres")
        made.backup()
        yield made
    finally:
        drop_clinic(made)
        shutil.rmtree(path, ignore_errors=True)


def again(zoo: Clinic, database: str) -> str:
    """Restore a dump of a database with PostgreSQL's programs alone, and return the schema of what came of it."""
    name = "zoo_again"
    zoo.local.drop_database(name)
    zoo.sql(f"CREATE DATABASE {name} OWNER emr TEMPLATE template0 LOCALE 'C.UTF-8'", "postgres")
    dump = zoo.folder.parent / "again.dump"
    conninfo = {key: zoo.local.conninfo(key, options="") for key in (database, name)}
    for program, *arguments in (
        ("pg_dump", "--format=custom", f"--file={dump}", conninfo[database]),
        ("pg_restore", "--exit-on-error", f"--dbname={conninfo[name]}", str(dump)),
    ):
        done: subprocess.CompletedProcess[str] = zoo.local.run_program(program, *arguments)
        assert done.returncode == 0, done.stderr
    # Attached partitions come in another order.
    return "\n".join(sorted(re.split(r"\n(?=-- Name: )", zoo.local.catalogs(name))))


def looked_at(zoo: Clinic, database: str) -> dict[Any, str]:
    with zoo.connect(database) as connection:
        connection.execute(PIN)
        return {(kind, name): definition for kind, name, definition in connection.execute(OBJECTS).fetchall()}


def rows_by_name(zoo: Clinic, database: str) -> dict[str, str]:
    """Return a hash of the rows of every table, with columns in the order of their names: json in, md5 out."""
    tables = zoo.sql(
        "SELECT c.oid::regclass FROM pg_class AS c WHERE relkind = 'r' AND oid >= 16384 ORDER BY 1::text", database
    ).splitlines()
    return {
        table: zoo.sql(
            f"SELECT md5(string_agg(to_jsonb(t)::text, '' ORDER BY to_jsonb(t)::text)) FROM ONLY {table} AS t", database
        )
        for table in tables
    }


def assert_equal(zoo: Clinic, database: str, source: str = "zoo") -> None:
    assert rows_by_name(zoo, database) == rows_by_name(zoo, source)
    assert zoo.sql(LARGE_OBJECTS, database) == zoo.sql(LARGE_OBJECTS, source)
    assert again(zoo, database) == again(zoo, source)


def test_every_object_is_looked_at(zoo: Clinic) -> None:
    kinds = {kind for kind, _ in looked_at(zoo, "zoo")}
    assert kinds >= {
        *("access method", "aggregate", "cast", "collation", "column", "comment", "constraint", "conversion"),
        *("default privileges", "depends on extension", "event trigger", "extension", "foreign-data wrapper"),
        *("function", "index", "language", "materialized view", "operator", "operator class", "operator family"),
        *("operator of access method", "function of access method", "order of columns", "policy", "privileges"),
        *("procedure", "publication", "publication of schema", "publication of table", "rule", "schema", "sequence"),
        *("server", "statistics", "table", "text search configuration", "text search dictionary"),
        *("text search parser", "text search template", "transform", "trigger", "type", "user mapping", "view"),
    }


def test_into_a_new_database(zoo: Clinic) -> None:
    done = zoo.act("restore", database="zoo_new")
    assert done["warnings"] == []
    assert_equal(zoo, "zoo_new")
    assert zoo.sql(PROPERTIES.format("zoo_new"), "postgres") == zoo.sql(PROPERTIES.format("zoo"), "postgres")


def test_in_place(zoo: Clinic) -> None:
    properties = zoo.sql(PROPERTIES.format("zoo"), "postgres")
    old = zoo.act("restore", database="zoo", in_place=True)["old"]
    assert_equal(zoo, "zoo", old)
    assert zoo.sql(PROPERTIES.format("zoo"), "postgres") == properties
    zoo.act("drop_old")


def test_drill_and_copy(zoo: Clinic) -> None:
    assert "passed the drill" in zoo.act("drill", server="live")["lines"][0]
    backup = zoo.backup()
    zoo.act("copy", backup=backup, database="zoo_copy")
    assert_equal(zoo, "zoo_copy")
    zoo.act("drop_copy", database="zoo_copy")


@pytest.mark.parametrize("how", ["keep", "replace"])
def test_rows_of_single_tables_come_back_as_they_were(zoo: Clinic, how: str) -> None:
    before, catalog = rows_by_name(zoo, "zoo"), looked_at(zoo, "zoo")
    zoo.sql(
        "SET TRANSACTION READ WRITE; SET search_path = public; SET session_replication_role = replica;"
        "ALTER TABLE thing DISABLE TRIGGER ALL; ALTER TABLE ruled DISABLE RULE ruled_note;"
        """DELETE FROM thing WHERE id = 1; DELETE FROM ruled WHERE id = 2; DELETE FROM "old clinic".bed;
        DELETE FROM "a.b"; DELETE FROM by_word WHERE n < 3;
        ALTER TABLE ruled ENABLE RULE ruled_note; ALTER TABLE thing ENABLE TRIGGER ALL;
        ALTER TABLE thing ENABLE ALWAYS TRIGGER thing_always; ALTER TABLE thing ENABLE REPLICA TRIGGER thing_replica;
        ALTER TABLE thing DISABLE TRIGGER thing_off"""
    )
    assert looked_at(zoo, "zoo") == catalog
    tables = ['"old clinic".bed', '"a.b"', "thing", "ruled"] + (["by_word"] if how == "replace" else [])
    zoo.act("restore_tables", tables=tables, existing_rows=how)
    after = rows_by_name(zoo, "zoo")
    chosen = {key for key in after if how == "replace" or not key.startswith(("by_word", "public.by_word"))}
    assert {key: after[key] for key in chosen} == {key: before[key] for key in chosen}
    assert looked_at(zoo, "zoo") == catalog
    zoo.act("restore_tables", tables=["by_word"], existing_rows="replace")
    assert rows_by_name(zoo, "zoo") == before


CHANGES = (
    "ALTER TABLE kinds DROP CONSTRAINT kinds_s, ADD CONSTRAINT kinds_s CHECK (s IN ('x', 'y', 'z'))",
    "ALTER TABLE kinds DROP CONSTRAINT kinds_s, ADD CONSTRAINT kinds_s CHECK (s IN ('x', 'y')) NOT VALID",
    "ALTER TABLE kinds ALTER COLUMN s SET DEFAULT 'y'",
    "CREATE OR REPLACE FUNCTION add(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a - b'",
    "DROP INDEX kinds_s_idx; CREATE INDEX kinds_s_idx ON kinds (s) WHERE s IN ('x', 'y')",
    "ALTER TABLE thing ENABLE TRIGGER thing_always",
    "GRANT SELECT ON bare TO PUBLIC",
    "COMMENT ON TABLE kinds IS 'other'",
    "ALTER SEQUENCE free MAXVALUE 8",
    "ALTER TABLE kinds ALTER COLUMN j SET STORAGE MAIN",
    "ALTER DOMAIN code DROP CONSTRAINT code_kind",
    "ALTER POLICY ruled_all ON ruled USING (false)",
    "ALTER VIEW seen RESET (check_option)",
    "DROP RULE ruled_note ON ruled",
    "ALTER TABLE hen DROP CONSTRAINT hen_egg",
)


def test_what_differs_is_seen(zoo: Clinic) -> None:
    from ansible_collections.physioflow.database.plugins.module_utils.backup.database import Session  # noqa: PLC0415
    from ansible_collections.physioflow.database.plugins.module_utils.backup.programs import programs  # noqa: PLC0415
    from ansible_collections.physioflow.database.plugins.module_utils.backup.restore import compare_objects  # noqa: PLC0415

    wanted = looked_at(zoo, "zoo")
    with programs(zoo.local.server / "bin", zoo.connection) as tools, Session(tools.conninfo("zoo")) as session:
        assert compare_objects(session, wanted) == []
        for change in CHANGES:
            session.execute(f"BEGIN; SET search_path = public; {change}; SET search_path = pg_catalog")
            assert compare_objects(session, wanted), change
            session.execute("ROLLBACK")
        assert compare_objects(session, wanted) == []
