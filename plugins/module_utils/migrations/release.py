# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads and checks a release folder and the names of the variables for its deploy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .catalog import Catalog, read_catalog
from .rollback import read_sets
from .variables import (
    REMOVED,
    RENAMED,
    declared_variables,
    former_variables,
    resembling_variables,
    unknown_variables,
)


def read_release(
    directory: str | None,
    *,
    header_required: bool,
    roles: str,
    variables: Sequence[str] = (),
    extra_variables: Sequence[str] = (),
    shared_variables: Sequence[str] = (),
) -> dict[str, Any]:
    """Read and check a release; arguments and result are those of the action `migration_release`."""
    catalog = Catalog()
    problems: list[str] = []
    if directory:
        if not Path(directory).is_dir():
            words = f"There is no release folder {directory}. Nothing was touched. Correct release_directory."
            return {"failed": True, "msg": words}
        catalog = read_catalog(Path(directory), header_required)
        problems = [*map(str, catalog.findings), *read_sets(Path(directory))[1]]
    known = [*shared_variables, *declared_variables(Path(roles)), *RENAMED, *REMOVED]
    problems += unknown_variables(extra_variables, known)
    if problems:
        lines = [
            "The release or the inventory is refused; no host was touched.",
            *(f"  {problem}" for problem in problems),
            "Correct it and run the same command again.",
        ]
        return {"failed": True, "msg": "\n".join(lines)}
    warnings = [
        *catalog.warnings,
        *former_variables([*variables, *extra_variables]),
        *resembling_variables(set(variables) - set(extra_variables), known),
        *(f"{each.file} {note}." for each in [*catalog.migrations, *catalog.repeatable] for note in each.notes),
    ]
    return {
        "changed": False,
        "warnings": warnings,
        "migrations": json.dumps([asdict(migration) for migration in catalog.migrations]),
        "repeatable": json.dumps([asdict(file) for file in catalog.repeatable]),
        "release": catalog.release,
    }
