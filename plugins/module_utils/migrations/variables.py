# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds variables that were meant for a role and that no role knows: Ansible itself would ignore them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

import yaml

# The first words of our roles' variables. In an inventory they are also those of others: nobody owns `backup_server`.
OURS = re.compile(
    r"_*(postgresql|database|migrations|status|verification|release|backup|restore|drill|rollback|plan)_\w+"
)
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where PyYAML has it, takes a tenth of the time
CLOSE = 0.75  # similarity of two names from which on one is proposed for the other
SAME = 0.9  # and from which on it is hardly somebody else's: one letter or two are wrong


def declared_variables(roles: Path) -> list[str]:
    """Return the names of all options in the `meta/argument_specs.yml` of the roles in a folder."""
    names: list[str] = []
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        specs = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)["argument_specs"]  # noqa: S506 - a safe one
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
    declared = sorted(set(known))
    near = {name: difflib.get_close_matches(name, declared, 1, SAME) for name in sorted(set(names) - set(declared))}
    return [
        f"The variable {name} is known to no role of ours. Did you mean {found[0]}?"
        for name, found in near.items()
        if found
    ]


def unknown_variables(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return a sentence for each variable of a command that starts like one of ours and is declared by no role.

    Args:
        names: names given with -e: they are meant for this command.
        known: names in the roles' argument specs.
    """
    declared = sorted(set(known))
    sentences = []
    for name in sorted(set(names)):
        if name in declared or not (OURS.fullmatch(name) or difflib.get_close_matches(name, declared, 1, SAME)):
            continue
        near = difflib.get_close_matches(name, declared, 1, CLOSE)
        advice = f" Did you mean {near[0]}?" if near else " Remove it, or correct its name."
        sentences.append(f"The variable {name} is known to no role.{advice}")
    return sentences
