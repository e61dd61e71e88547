"""Which statements do something outside of the database that they are sent to."""

from __future__ import annotations

import pglast
from ansible_collections.physioflow.database.plugins.module_utils.migrations.outside import leaves, roles

LEAVES = {
    "ALTER DATABASE a SET work_mem = '1MB'": "ALTER DATABASE",
    "ALTER DATABASE a RENAME TO b": "ALTER DATABASE",
    "ALTER DATABASE a OWNER TO b": "ALTER DATABASE",
    "COMMENT ON DATABASE a IS 'x'": "COMMENT ON DATABASE",
    "ALTER SYSTEM SET work_mem = '1MB'": "ALTER SYSTEM",
    "CREATE ROLE a": "CREATE ROLE",
    "CREATE USER a": "CREATE ROLE",
    "ALTER ROLE a RENAME TO b": "ALTER ROLE",
    "ALTER ROLE a SET work_mem = '1MB'": "ALTER ROLE",
    "GRANT a TO b": "GRANT of a role",
    "REVOKE a FROM b": "REVOKE of a role",
    "GRANT CONNECT ON DATABASE a TO b": "GRANT ON DATABASE",
    "GRANT SET ON PARAMETER work_mem TO b": "GRANT ON PARAMETER",
    "REASSIGN OWNED BY a TO b": "REASSIGN OWNED",  # of databases and tablespaces, too
    "DROP OWNED BY a": "DROP OWNED",
    "CREATE TABLESPACE a LOCATION '/a'": "CREATE TABLESPACE",
    "ALTER SUBSCRIPTION a OWNER TO b": "ALTER SUBSCRIPTION",
    "COPY a TO PROGRAM 'x'": "COPY TO PROGRAM",
    "COPY a FROM PROGRAM 'x'": "COPY FROM PROGRAM",
    "COPY a TO '/x'": "COPY TO a file",
}
STAYS = (
    "COPY a FROM '/x'",
    "COPY a TO STDOUT",
    "GRANT SELECT ON a TO b",
    "ALTER TABLE a OWNER TO b",
    "COMMENT ON TABLE a IS 'x'",
    "CREATE PUBLICATION a",
    "SET ROLE a",
)


def test_what_leaves_the_database_is_named() -> None:
    assert {sql: leaves(pglast.parse_sql(sql)[0].stmt) for sql in LEAVES} == LEAVES
    assert [sql for sql in STAYS if leaves(pglast.parse_sql(sql)[0].stmt)] == []


def test_the_roles_that_a_statement_makes_or_speaks_of() -> None:
    for sql, names in {
        "CREATE ROLE a": ("a",),
        "ALTER ROLE a RENAME TO b": ("b",),
        "GRANT SELECT ON t TO a, PUBLIC": ("a",),
        "ALTER TABLE t OWNER TO a": ("a",),
        "CREATE POLICY p ON t TO a, b": ("a", "b"),
        "ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT SELECT ON TABLES TO b": ("a", "b"),
        "CREATE SCHEMA s AUTHORIZATION a": ("a",),
        "SELECT 1": (),
    }.items():
        assert roles(pglast.parse_sql(sql)[0].stmt) == names, sql
