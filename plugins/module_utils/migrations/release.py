# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads and checks a release folder, and the names of the variables that were given for its deploy.

Variables that were meant for a role and that no role knows are found here: Ansible itself would ignore them.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from .catalog import Catalog, read_catalog
from .rollback import read_sets

# The first words of our roles' variables. In an inventory they are also those of others: nobody owns `backup_server`.
OURS = re.compile(
    r"_*(postgresql|database|migrations|status|verification|release|backup|restore|drill|rollback|plan)_\w+"
)
CLOSE = 0.75  # similarity of two names from which on one is proposed for the other
SAME = 0.9  # and from which on it is hardly somebody else's: one letter or two are wrong


def read_release(
    directory: str | None,
    *,
    header_required: bool,
    roles: str,
    variables: Sequence[str] = (),
    extra_variables: Sequence[str] = (),
    shared_variables: Sequence[str] = (),
) -> dict[str, Any]:
    """Read and check a release; the arguments are those of the action `migration_release`, and so is the result."""
    catalog = Catalog()
    problems: list[str] = []
    if directory:
        if not Path(directory).is_dir():
            words = f"There is no release folder {directory}. Nothing was touched. Correct release_directory."
            return {"failed": True, "msg": words}
        catalog = read_catalog(Path(directory), header_required)
        problems = [*map(str, catalog.findings), *read_sets(Path(directory))[1]]
    known = [*shared_variables, *declared_variables(Path(roles))]
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


def declared_variables(roles: Path) -> list[str]:
    """Return the names of all options in the `meta/argument_specs.yml` of the roles in a folder."""
    names: list[str] = []
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        specs = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
        for entry_point in specs.values():
            names += entry_point.get("options", {})
    return names


def resembling_variables(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return a sentence for each variable of the inventory that is nearly called as one of ours.

    An inventory serves other roles, too, so this refuses nothing, and other names that begin as ours are not mentioned.

    Args:
        names: names found in the inventory.
        known: names in the roles' argument specs.
    """
    near = {name: _near(name, known, SAME) for name in sorted({*names} - {*known})}
    return [
        f"The variable {name} is known to no role of ours. Did you mean {one}?" for name, one in near.items() if one
    ]


def unknown_variables(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return a sentence for each variable of a command that starts like one of ours and is declared by no role.

    Args:
        names: names given with -e: they are meant for this command.
        known: names in the roles' argument specs.
    """
    sentences = []
    for name in sorted({*names} - {*known}):
        if OURS.fullmatch(name) or _near(name, known, SAME):
            near = _near(name, known, CLOSE)
            advice = f"Did you mean {near}?" if near else "Remove it, or correct its name."
            sentences.append(f"The variable {name} is known to no role. {advice}")
    return sentences


def _near(name: str, known: Iterable[str], similarity: float) -> str:
    """Return the name that is most like another one, or nothing."""
    return next(iter(difflib.get_close_matches(name, sorted({*known}), 1, similarity)), "")
