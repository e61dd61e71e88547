# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Merges the rows of a backup into an existing table.

The rows are loaded into a temporary table and merged in SQL, all in the caller's transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..sql import identifier, literal
from .database import Session
from .errors import BackupError

_KEY = """
SELECT a.attname AS name FROM pg_index AS i
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = {place}::regclass AND i.indisprimary ORDER BY array_position(i.indkey, a.attnum)
"""
_COLUMNS = """
SELECT attname AS name, attidentity = 'a' AS identity FROM pg_attribute
WHERE attrelid = {place}::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""
# Enabled triggers and rules that would change rows.
_ACTIVE = """
SELECT kind, place::text, name, CASE enabled WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END AS state FROM (
    SELECT 'TRIGGER', tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT 'RULE', ev_class::regclass, rulename, ev_enabled FROM pg_rewrite WHERE rulename <> '_RETURN'
) AS active (kind, place, name, enabled) WHERE place IN ({places}) AND enabled IN ('O', 'A') ORDER BY 1, 2, 3
"""
_RULED = "SELECT oid FROM pg_rewrite WHERE ev_class IN ({places}) AND rulename <> '_RETURN'"
# Foreign keys of other tables (c) to this one (t), and their equality condition.
_REFERRING = """
SELECT conname AS name, conrelid::regclass::text AS child, (
    SELECT string_agg(format('c.%I = t.%I', c.attname, t.attname), ' AND ')
    FROM unnest(conkey, confkey) AS key (child, parent)
    JOIN pg_attribute AS c ON c.attrelid = conrelid AND c.attnum = child
    JOIN pg_attribute AS t ON t.attrelid = confrelid AND t.attnum = parent) AS refers
FROM pg_constraint
WHERE contype = 'f' AND confrelid = {place}::regclass AND conrelid <> confrelid AND conparentid = 0
"""


# A name in the list of columns of a COPY, quoted or plain.
_NAME = re.compile(r'"(?:[^"]|"")*"|[^", ]+')


class Merge:
    """One table, with all its partitions, and the rows to merge into it."""

    def __init__(
        self, session: Session, place: str, identifiers: Mapping[str, str], keys: list[str], *, replace: bool
    ) -> None:
        """Read the table.

        Args:
            session: on the live database.
            place: schema.name of the target table.
            identifiers: of that table and of `keys`, by schema.name.
            keys: the tables whose rows are restored: itself, or some of its partitions.
            replace: restore the former state; False only adds missing rows.
        """
        self.session = session
        self.place = place
        self.keys = keys
        self.replace = replace
        self.table = identifiers[place]
        self.regclass = literal(self.table)
        self.staging = f"pg_temp.{identifier(f'restored {place}'[:63])}"
        self.columns: list[str] = []  # of the dump, as identifiers
        self.silenced: list[str] = []  # statements that restore the disabled triggers and rules
        self.places = ", ".join(literal(name) + "::regclass" for name in identifiers.values())
        self.removed = 0
        # Rows of partitions that are not restored do not count.
        restored = ", ".join(literal(identifiers[key]) + "::regclass" for key in keys)
        self.mine = f"t.tableoid IN ({restored})"
        self.rows = self._number(f"SELECT count(*) AS n FROM {self.table} AS t WHERE {self.mine}")
        self.key = [row["name"] for row in session.rows(_KEY.format(place=self.regclass))]
        if not self.key and self.rows and not replace:
            raise BackupError(
                f"{place} has no primary key, so its missing rows cannot be determined. Use "
                "restore_existing_rows=replace, or restore into a new database."
            )

    def prepare(self) -> None:
        """Block writers but not readers, and disable triggers and rules that would change rows."""
        self.session.execute(f"LOCK TABLE {self.table} IN SHARE ROW EXCLUSIVE MODE")
        for row in self.session.rows(_ACTIVE.format(places=self.places)):
            what = f"{row['kind']} {identifier(row['name'])}"
            # ONLY: a partition may have another state than the whole table.
            self.session.execute(f"ALTER TABLE ONLY {row['place']} DISABLE {what}")
            self.silenced.append(f"ALTER TABLE ONLY {row['place']} {row['state']} {what}")

    def stage(self, columns: str) -> str:
        """Return the table to load rows into; create it where it does not exist yet.

        Args:
            columns: the columns of the dump, as in COPY.
        """
        if self.columns:
            return self.staging
        there = self.session.rows(_COLUMNS.format(place=self.regclass))
        quoted = {identifier(row["name"]) for row in there}
        self.columns = [identifier(name) for name in names_of(columns)]
        self.fixed = {identifier(row["name"]) for row in there if row["identity"]}
        if lost := [name for name in self.columns if name not in quoted]:
            raise BackupError(
                f"{self.place} no longer has the column {', '.join(lost)} of the backup: it was migrated since. "
                "Restore the backup into a new database and copy what you need from there."
            )
        self.session.execute(
            f"CREATE TEMPORARY TABLE {self.staging.partition('.')[2]} (LIKE {self.table}) ON COMMIT DROP"
        )
        for row in there:  # newer columns have no value in the dump
            self.session.execute(f"ALTER TABLE {self.staging} ALTER COLUMN {identifier(row['name'])} DROP NOT NULL")
        return self.staging

    def remove(self) -> None:
        """Remove the rows that the backup lacks, where the former state is restored."""
        if self.columns and self.replace:
            self.removed = self._remove_later()

    def add(self) -> dict[str, Any]:
        """Merge the rows, and return the result: table, how, rows, and inserted or removed."""
        if not self.columns:  # the dump had no data entry for it
            return {"table": self.place, "how": "kept", "rows": self.rows, "inserted": 0, "refused": 0}
        names = ", ".join(self.columns)
        insert = f"INSERT INTO {self.table} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {self.staging}"
        ruled = bool(self.session.rows(_RULED.format(places=self.places)))
        if self.key and (self.replace or ruled):  # with rules, even disabled ones, ON CONFLICT is refused
            others = [name for name in self.columns if name not in self.fixed | {identifier(name) for name in self.key}]
            if self.replace and others:
                change = ", ".join(f"{name} = s.{name}" for name in others)
                self.session.execute(
                    f"UPDATE {self.table} AS t SET {change} FROM {self.staging} AS s WHERE {self._same_key('s', 't')}"
                )
            self.session.execute(
                f"{insert} AS s WHERE NOT EXISTS (SELECT FROM {self.table} AS t WHERE {self._same_key('s', 't')})"
            )
        else:
            self.session.execute(insert if self.replace else f"{insert} ON CONFLICT DO NOTHING")
        after = self._number(f"SELECT count(*) AS n FROM {self.table} AS t WHERE {self.mine}")
        if self.replace:
            return {"table": self.place, "how": "replaced", "rows": after, "removed": self.removed}
        # The key is free, but the row was not inserted: a newer row has the same value in another unique key.
        refused = self.key and self._number(
            f"SELECT count(*) AS n FROM {self.staging} AS s "
            f"WHERE NOT EXISTS (SELECT FROM {self.table} AS t WHERE {self._same_key('s', 't')})"
        )
        return {
            "table": self.place,
            "how": "kept",
            "rows": self.rows,
            "inserted": after - self.rows,
            "refused": refused or 0,
        }

    def release(self) -> None:
        """Restore the disabled triggers and rules to their former state."""
        for statement in self.silenced:
            self.session.execute(statement)

    def _remove_later(self) -> int:
        """Remove the rows that are not in the backup, unless other tables refer to them."""
        later = f"{self.mine} AND NOT EXISTS (SELECT FROM {self.staging} AS s WHERE {self._same_key('s', 't')})"
        for key in self.session.rows(_REFERRING.format(place=self.regclass)):
            child = key["child"]
            number = self._number(
                f"SELECT count(*) AS n FROM {child} AS c "
                f"WHERE EXISTS (SELECT FROM {self.table} AS t WHERE {key['refers']} AND {later})"
            )
            if number:
                raise BackupError(
                    f"{number} rows of {child} reference ({key['name']}) rows of {self.place} that are newer than "
                    "the backup and would be removed. Use restore_existing_rows=keep, or restore into a new database."
                )
        before = self._number(f"SELECT count(*) AS n FROM {self.table} AS t WHERE {later}")
        self.session.execute(f"DELETE FROM {self.table} AS t WHERE {later}")
        return before

    def _same_key(self, left: str, right: str) -> str:
        if not self.key:
            return "false"
        return " AND ".join(f"{left}.{identifier(name)} = {right}.{identifier(name)}" for name in self.key)

    def _number(self, sql: str) -> int:
        return int(self.session.row(sql)["n"])


def parents_first(merges: Iterable[Merge], foreign_keys: Iterable[Mapping[str, Any]]) -> list[Merge]:
    """Return merges in an order in which referenced rows come first, as far as one exists."""
    left = {merge.place: merge for merge in merges}
    refers = [(key["table"], key["references"]) for key in foreign_keys if key["table"] != key["references"]]
    ordered = []
    while left:
        free = [place for place in left if not any(child == place and parent in left for child, parent in refers)]
        ordered += [left.pop(place) for place in free or list(left)]  # a cycle has no order
    return ordered


def names_of(columns: str) -> list[str]:
    """Return the names in a column list of COPY."""
    return [name[1:-1].replace('""', '"') if name[0] == '"' else name for name in _NAME.findall(columns)]
