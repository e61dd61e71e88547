# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restores single tables into the live database, in one transaction that commits only after a comparison.

A missing table is recreated with everything that belongs to it. For an existing table, the user must choose: keep its
rows and add the missing ones, or replace them by the rows of the backup.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..sql import literal
from .archive import Rows, data_of, entries, read_items, verify
from .database import CONTENTS, Session, key_of, place_of, tables_named
from .errors import BackupError
from .manifest import DUMP
from .merge import Merge, parents_first
from .programs import Programs, programs
from .restic import obtained
from .restore import MAINTENANCE, check_server, compare_tables
from .selection import select
from .settings import Request, Settings
from .store import Backup

REFUSE, KEEP, REPLACE = "refuse", "keep", "replace"
LOCK_TIMEOUT = "30s"


def restore_tables(settings: Settings, request: Request) -> dict[str, Any]:
    """Restore single tables into the live database; check mode does the same and rolls back.

    Raises:
        BackupError: why the restore failed. The live database is unchanged.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        try:
            backup = stack.enter_context(obtained(settings, request))
            tools = stack.enter_context(programs(settings.bin_dir, settings.connection))
            verify(tools, backup)
            with Session(tools.conninfo(MAINTENANCE)) as server:
                check_server(server, backup)
            session = stack.enter_context(Session(tools.conninfo(settings.database)))
            done = _Restoring(session, tools, backup, request).run()
        except BackupError as error:
            raise BackupError(f"{error}\nThe database {settings.database} was not changed.") from error
    if request.check_mode:
        head = f"Would be restored from {backup.id} into {settings.database}, tried and rolled back:"
    else:
        head = f"From {backup.id} into {settings.database}, {time.monotonic() - began:.1f} s:"
    return {"changed": True, "lines": [head, *report(done)], "tables": done}


class _Restoring:
    """The state of a restore of tables."""

    def __init__(self, session: Session, tools: Programs, backup: Backup, request: Request) -> None:
        self.session = session
        self.tools = tools
        self.backup = backup
        self.manifest = backup.manifest
        self.request = request
        self.live = session.json(CONTENTS)
        self.there = {key_of(table) for table in self.live["tables"]} | set(self.live["partitioned"])
        self.wanted = self._wanted()
        roots = {table["root"] for table in self.wanted if table["root"]} - self.there
        leaves = {key_of(table) for table in self.wanted}
        self.missing = (leaves - self.there) | roots
        self.loaded = leaves & self.there

    def _wanted(self) -> list[dict[str, Any]]:
        """Return the requested tables of the manifest."""
        refusal = f"{self.backup.id} has no table {{}}. Correct restore_tables."
        _, wanted = tables_named(self.request.tables, self.manifest, refusal)
        if any(table["schema"] == "migrations" for table in wanted):
            raise BackupError("The history of migrations cannot be restored alone: it would contradict the tables.")
        return wanted

    def run(self) -> list[dict[str, Any]]:
        """Restore, compare, commit."""
        merges = self._merges()
        lost_keys, lost_views = self._lost_keys(), self._lost_views()
        attached = {key_of(t) for t in self.wanted if t["root"] in self.there and key_of(t) in self.missing}
        with tempfile.TemporaryDirectory(prefix="physioflow-restore-") as folder:
            chosen = Path(folder) / "toc"
            lines = select(
                entries(self.tools, self.backup.folder / DUMP),
                self.manifest,
                missing=self.missing | lost_views,
                loaded=self.loaded,
                attached=attached,
                lost_keys=lost_keys,
            )
            chosen.write_text("\n".join(lines) + "\n", encoding="utf-8")
            self.session.execute(f"BEGIN; SET LOCAL lock_timeout = {literal(LOCK_TIMEOUT)}")
            self._define("pre-data", chosen)
            for merge in merges:
                merge.prepare()
            self._load(chosen, {key: merge for merge in merges for key in merge.keys})
            self.session.pin()
            for merge in reversed(merges):
                merge.remove()
            done = [merge.add() for merge in merges]
            # Keys of missing tables come last: they may refer to rows that were just restored.
            self.session.execute("SET CONSTRAINTS ALL IMMEDIATE")
            self._define("post-data", chosen)
            self.session.pin()
            for merge in merges:
                merge.release()
        done += [
            {"table": key_of(t), "how": "made", "rows": t["rows"]} for t in self.wanted if key_of(t) in self.missing
        ]
        done += [{"table": view, "how": "view"} for view in sorted(lost_views)]
        self._compare()
        if self.request.check_mode:
            self.session.execute("ROLLBACK")
            return done
        self.session.execute("COMMIT")
        places = {place_of(t["root"] or key_of(t), self.manifest) for t in self.wanted}
        self.session.execute(f"ANALYZE {', '.join(sorted(places))}")
        return done

    def _merges(self) -> list[Merge]:
        """Return the merges for existing tables, or refuse."""
        places: dict[str, list[str]] = {}
        for table in self.wanted:
            if key_of(table) in self.loaded:
                places.setdefault(table["root"] or key_of(table), []).append(key_of(table))
        replace = self.request.existing_rows == REPLACE
        merges = [
            Merge(self.session, key, {each: place_of(each, self.live) for each in [key, *keys]}, keys, replace=replace)
            for key, keys in places.items()
        ]
        if self.request.existing_rows == REFUSE and (full := [merge for merge in merges if merge.rows]):
            shown = ", ".join(f"{merge.place} ({merge.rows} rows)" for merge in full)
            raise BackupError(
                f"There are rows in {shown}. Choose what happens to them: -e restore_existing_rows=keep leaves them "
                "unchanged and restores the missing ones; =replace makes the tables equal to the backup."
            )
        return list(parents_first(merges, self.live["foreign_keys"]))

    def _lost_keys(self) -> set[tuple[str, str]]:
        """Return the foreign keys of other tables that were dropped with a missing one; refuse unmet references."""
        present = {(entry["table"], entry["name"]) for entry in self.live["foreign_keys"]}
        lost = set()
        for entry in self.manifest["foreign_keys"]:
            if entry["table"] in self.missing and entry["references"] not in self.missing | self.there:
                raise BackupError(
                    f"{entry['table']} references {entry['references']}, which is also missing: name both in "
                    "restore_tables."
                )
            key = (entry["table"], entry["name"])
            if entry["references"] in self.missing and entry["table"] in self.there and key not in present:
                lost.add(key)
        return lost

    def _lost_views(self) -> set[str]:
        """Return the views that were dropped with a missing table, and whose tables are all there again."""
        return {
            view
            for view, tables in self.manifest.get("views", {}).items()  # not in backups of earlier releases
            if view not in self.live["views"]
            and self.missing.intersection(tables)
            and self.missing | self.there >= {*tables}
        }

    def _define(self, section: str, chosen: Path) -> None:
        """Create the objects that belong to missing tables."""
        text = self.tools.run(
            "pg_restore", f"--section={section}", f"--use-list={chosen}", "--file=-", self.backup.folder / DUMP
        )
        # psql commands, which newer versions of pg_restore write.
        self.session.execute("\n".join(line for line in text.splitlines() if not line.startswith("\\")))

    def _load(self, chosen: Path, merges: dict[str, Merge]) -> None:
        """Load rows: of missing tables directly, of existing ones into temporary tables."""
        with data_of(self.tools, self.backup.folder / DUMP, f"--use-list={chosen}") as stream:
            for item in read_items(stream):
                place = place_of(item.key, self.manifest)
                if isinstance(item, Rows):
                    target = merges[item.key].stage(item.columns) if item.key in merges else place
                    columns = f"({item.columns})" if item.columns else ""
                    self.session.copy(f"COPY {target} {columns} FROM STDIN", item.chunks)
                else:
                    value, called = item.last_value, str(item.is_called).lower()
                    # Never backwards: a sequence value must not be issued twice.
                    self.session.execute(
                        f"SELECT setval({literal(place)}, {value}, {called}) FROM {place} "
                        f"WHERE (last_value, is_called) < ({value}, {called})"
                    )

    def _compare(self) -> None:
        """Compare every table that must equal its former state."""
        exact = self.missing | (self.loaded if self.request.existing_rows == REPLACE else set())
        manifest = {**self.manifest, "tables": [t for t in self.wanted if key_of(t) in exact]}
        there = [t for t in self.session.json(CONTENTS)["tables"] if key_of(t) in exact]
        if differences := compare_tables([self.session], there, manifest):
            raise BackupError(f"The restored rows do not match the manifest: {'; '.join(differences)}")


def report(done: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line for each table."""
    lines = [
        {
            "made": "{table}: created again with {rows} rows",
            "kept": "{table}: {inserted} rows restored, {rows} existing rows unchanged",
            "replaced": "{table}: {rows} rows as in the backup ({removed} newer rows removed)",
            "view": "{table}: view created again",
        }[entry["how"]].format(**entry)
        for entry in done
    ]
    return lines + [
        f"{entry['table']}: {entry['refused']} rows of the backup were NOT restored: newer rows have the same values "
        "in another unique key"
        for entry in done
        if entry.get("refused")
    ]
