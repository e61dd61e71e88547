"""Which tables a statement locks, and how strongly."""

from __future__ import annotations

import pytest
from ansible.module_utils.migration_catalog import split_statements
from ansible.module_utils.migration_locks import needed_locks

EXCLUSIVE, SHARE_ROW, SHARE, SHARE_UPDATE = (
    "AccessExclusiveLock",
    "ShareRowExclusiveLock",
    "ShareLock",
    "ShareUpdateExclusiveLock",
)
WRITE, READ = "RowExclusiveLock", "AccessShareLock"


@pytest.mark.parametrize(
    ("sql", "locks"),
    [
        ("ALTER TABLE a ADD COLUMN b int", {'"a"': EXCLUSIVE}),
        ('ALTER TABLE s."A b" DROP COLUMN b', {'"s"."A b"': EXCLUSIVE}),
        ("ALTER TABLE a VALIDATE CONSTRAINT c", {'"a"': SHARE_UPDATE}),
        ("ALTER TABLE a VALIDATE CONSTRAINT c, ALTER b SET NOT NULL", {'"a"': EXCLUSIVE}),
        ("ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES b (y)", {'"a"': SHARE_ROW, '"b"': SHARE_ROW}),
        ("ALTER TABLE a ATTACH PARTITION b DEFAULT", {'"a"': SHARE_UPDATE, '"b"': EXCLUSIVE}),
        ("CREATE TABLE a (x int REFERENCES b)", {'"a"': EXCLUSIVE, '"b"': SHARE_ROW}),
        ("CREATE TABLE a PARTITION OF b DEFAULT", {'"a"': EXCLUSIVE, '"b"': EXCLUSIVE}),
        ("CREATE INDEX i ON a (b)", {'"a"': SHARE}),
        ("CREATE INDEX CONCURRENTLY i ON a (b)", {'"a"': SHARE}),
        ("DROP INDEX CONCURRENTLY i", {'"i"': EXCLUSIVE}),
        ("DROP TABLE a, s.b CASCADE", {'"a"': EXCLUSIVE, '"s"."b"': EXCLUSIVE}),
        ("DROP TRIGGER t ON a", {'"a"': EXCLUSIVE}),
        ("DROP FUNCTION f()", {}),
        ("CREATE TRIGGER t BEFORE INSERT ON a EXECUTE FUNCTION f()", {'"a"': SHARE_ROW}),
        ("COMMENT ON TABLE a IS 'x'", {'"a"': SHARE_UPDATE}),
        ("COMMENT ON COLUMN s.a.b IS 'x'", {'"s"."a"': SHARE_UPDATE}),
        ("LOCK TABLE a, b IN SHARE MODE", {'"a"': SHARE, '"b"': SHARE}),
        ("TRUNCATE a, b", {'"a"': EXCLUSIVE, '"b"': EXCLUSIVE}),
        ("VACUUM a", {'"a"': SHARE_UPDATE}),
        ("VACUUM FULL a", {'"a"': EXCLUSIVE}),
        ("UPDATE a SET x = 1 FROM b", {'"a"': WRITE, '"b"': READ}),
        ("INSERT INTO a SELECT * FROM a, b", {'"a"': WRITE, '"b"': READ}),
        ("CREATE VIEW v AS SELECT * FROM a", {'"v"': EXCLUSIVE, '"a"': READ}),
        ("SELECT 1", {}),
        ("DO $$ BEGIN END $$", {}),
    ],
)
def test_a_statement_says_what_it_locks(sql: str, locks: dict[str, str]) -> None:
    [(_, node)] = split_statements(sql)
    assert {lock["relation"]: lock["mode"] for lock in needed_locks(node)} == locks
