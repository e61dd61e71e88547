"""Writes the definitions into the promise files of the release (make promises), for a person to review.

Each migration is applied to a scratch database of the local server. What it made or changed is what it promises. Only
the blocks of `DEFINED` are written; extensions, seeds, examples, queries and plans stay as a person wrote them.
"""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections import defaultdict
from pathlib import Path
from typing import Any

import psycopg
import yaml
from ansible_collections.physioflow.database.plugins.module_utils.database.objects import MIGRATED, PIN
from ansible_collections.physioflow.database.plugins.module_utils.migrations.catalog import own_statements
from ansible_collections.physioflow.database.plugins.module_utils.verification.definition import Key, definitions
from ansible_collections.physioflow.database.plugins.module_utils.verification.promise import BY_TABLE, DEFINED

from tests.local import ROOT, Local

SCRATCH = "physioflow_promises"
ORDER = ("extensions", "collations", "schemas", *DEFINED)
WIDTH = 70  # a long word may stand after it


def look(connection: psycopg.Connection[Any]) -> dict[Key, str]:
    """Return the definitions of a database; a partition's are those of its parent."""
    connection.execute(PIN)
    rows: list[tuple[str, str, str]] = connection.execute(MIGRATED).fetchall()
    connection.execute("RESET ALL")
    below = {name for kind, name, text in rows if kind == "table" and ", below " in text.partition("\n")[0]}
    theirs = re.compile(rf"(?:.* on )?(?:{'|'.join(map(re.escape, sorted(below))) or '(?!)'})(?:\..*)?")
    order = {
        f"{name}.{column}": place
        for kind, name, text in rows
        if kind == "order of columns"
        for place, column in enumerate(text.split(", "))
    }
    found: dict[Key, str] = definitions(
        row
        for row in sorted(
            rows, key=lambda one: (one[1].rpartition(".")[0] if one[1] in order else one[1], order.get(one[1], 0))
        )
        if row[0] in ("table", "comment")
        or not (theirs.fullmatch(row[1]) or (row[0] == "index" and " below " in row[2].partition("\n")[0]))
    )
    return found


def promised(after: dict[Key, str], before: dict[Key, str]) -> dict[str, Any]:
    """Return what a migration promises, as the content of its file."""
    content: dict[str, Any] = defaultdict(dict)
    for (kind, key), text in after.items():
        if before.get((kind, key)) != text:
            place = content[kind].setdefault(key[0], {}) if kind in BY_TABLE else content[kind]
            # Line ends count in bodies of functions and in comments only.
            place[key[-1]] = text if kind in ("functions", "comments") else " ".join(text.split())
    return content


class Writer(yaml.SafeDumper):
    """Writes texts of several lines as such."""


def _text(writer: Writer, text: str) -> yaml.ScalarNode:
    head, mark, body = text.partition("\nAS $")
    if mark:  # a function; white space in its head means nothing
        text = "\n".join(textwrap.fill(line, WIDTH) for line in head.splitlines()) + mark + body
    return writer.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else ">" if len(text) > WIDTH else None
    )


Writer.add_representer(str, _text)


def merged(text: str, content: dict[str, Any]) -> str:
    """Return the text of a promise file with the blocks of definitions replaced."""
    _, *blocks = re.split(r"(?m)^(?=[a-z_]+:)", text.removeprefix("---\n"))
    kept = {block.partition(":")[0]: block for block in blocks}
    for kind in DEFINED:
        kept.pop(kind, None)
        if content.get(kind):
            shown = yaml.dump({kind: content[kind]}, Dumper=Writer, allow_unicode=True, width=WIDTH, sort_keys=False)
            kept[kind] = shown
    names = sorted(kept, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    return "---\n" + "".join(kept[name] for name in names)


def write(local: Local, release: Path) -> list[Path]:
    """Write the promises of a release, and return the files that changed."""
    administrator = local.conninfo("postgres", options="")
    written = []
    with psycopg.connect(administrator, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {SCRATCH} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {SCRATCH} OWNER emr TEMPLATE template0")
        try:
            with psycopg.connect(local.conninfo(SCRATCH, options=""), autocommit=True) as connection:
                connection.execute(
                    'CREATE EXTENSION pg_trgm; CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION btree_gist'
                )
                connection.execute("SET SESSION AUTHORIZATION emr")
                before = look(connection)
                for migration in sorted((release / "migrations").glob("*.sql")):
                    # One by one, each committed at once: some do not run in a transaction.
                    for statement in own_statements(migration.read_text(encoding="utf-8")):
                        connection.execute(statement.text.encode())
                    after = look(connection)
                    path = release / "verify" / f"{migration.stem}.yml"
                    text = path.read_text() if path.exists() else ""
                    made = merged(text, promised(after, before))
                    if made != text:
                        path.write_text(made)
                        written.append(path)
                    before = after
        finally:
            server.execute(f"DROP DATABASE IF EXISTS {SCRATCH} WITH (FORCE)")
    return written


if __name__ == "__main__":
    os.environ |= Local(ROOT / ".local").environment()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "files"
    for changed in write(Local(ROOT / ".local"), folder):
        print(f"{changed.relative_to(Path.cwd())} was written. Next: review it with git diff.")
