"""Run pgspot over SQL files: `python -m tests.spot [--ignore CODE]... FILE...`, for tests/lint.

pgspot looks for what another role of the database could slip in between: search_path, SECURITY DEFINER and the like.
It wants pglast 7 and we parse with 6, so uv runs it in an environment of its own. Release 0.9.4 ends in the middle of a
file at a function whose body is plain SQL (RETURN ... or BEGIN ATOMIC); those are left out for it: PostgreSQL binds the
names in them when they are made, so no search path matters later. Their SECURITY DEFINER is looked for here.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pglast

PGSPOT = ["uvx", "--quiet", "--from", "pgspot==0.9.4", "--with", "pglast==7.21", "pgspot"]


def without_plain_bodies(text: str) -> tuple[str, list[str]]:
    """Return a file with those functions blanked, and a sentence for each that is SECURITY DEFINER."""
    rest = text  # pglast counts characters
    problems = []
    for statement in reversed(pglast.parse_sql(text)):
        function = statement.stmt
        if not isinstance(function, pglast.ast.CreateFunctionStmt) or function.sql_body is None:
            continue
        name = ".".join(part.sval for part in function.funcname)
        if any(option.defname == "security" for option in function.options or ()):
            problems.append(f"{name} is SECURITY DEFINER and has a body that pgspot cannot look at")
        end = statement.stmt_location + (statement.stmt_len or len(text) - statement.stmt_location)
        lines = rest[statement.stmt_location : end].count("\n")
        rest = rest[: statement.stmt_location] + "\n" * lines + rest[end:].removeprefix(";")
    return rest, problems


def main() -> int:
    """Print what is found; 0 where nothing is."""
    files = [Path(word) for word in sys.argv[1:] if word.endswith(".sql")]
    options = [word for word in sys.argv[1:] if not word.endswith(".sql")]
    assert files, "no file to look at"
    bad = []
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(files):
            text, problems = without_plain_bodies(path.read_text(encoding="utf-8"))
            bad += [f"{path}: {problem}" for problem in problems]
            (Path(folder) / f"{number:03d}-{path.name}").write_text(text, encoding="utf-8")
        copies = sorted(str(copy) for copy in Path(folder).iterdir())
        done = subprocess.run([*PGSPOT, *options, *copies], capture_output=True, text=True, check=False)
    if bad or done.returncode:
        print("\n".join([*bad, done.stdout, done.stderr]))
    return 1 if bad or done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
