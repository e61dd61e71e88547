# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds variables that were meant for a role but that no role knows, which Ansible itself would ignore."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from ..status.limits import LIMITS

# Prefixes of our roles' variables. In an inventory other variables may have them, too, such as `backup_server`.
OURS = re.compile(
    r"_*(postgresql|database|migrations|status|verification|release|backup|restore|drill|rollback|plan|pitr)_\w+"
)
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, if available, takes a tenth of the time
CLOSE = 0.75  # minimum similarity to propose one name for another
SAME = 0.9  # minimum similarity to assume a typing error of one or two letters

# Former names of variables and their successors. They work for one more release; the role says how.
RENAMED = {f"status_{limit}": f"status_limits.{limit}" for limit in LIMITS}

# Former variables without a successor.
REMOVED = frozenset(
    {
        "backup_lock_wait",
        "backup_restore_jobs",
        "backup_timer_delay",
        "migrations_extensions",
        "migrations_release_name",
        "migrations_report_foreign",
        "partitions_lock_timeout",
        "postgresql_embedded_cache_directory",
        "postgresql_embedded_locale",
        "postgresql_embedded_timeout",
        "postgresql_timeout",
        "report_backup_directory",
        "report_database",
    }
)


def declared_variables(roles: Path) -> list[str]:
    """Return the names of all options in the `meta/argument_specs.yml` of the roles in a folder."""
    names: list[str] = []
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        specs = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)["argument_specs"]  # noqa: S506 - a safe one
        for entry_point in specs.values():
            names += entry_point.get("options", {})
    return names


def former_variables(names: Iterable[str]) -> list[str]:
    """Return a sentence for each variable of inventory or command that was renamed or removed."""
    given = set(names)
    return [
        f"The variable {name} was renamed to {RENAMED[name]}. The old name works until the next release."
        for name in sorted(RENAMED.keys() & given)
    ] + [f"The variable {name} is no longer used. Remove it." for name in sorted(REMOVED & given)]


def resembling_variables(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return a sentence for each inventory variable whose name resembles one of ours.

    An inventory serves other roles, too. So nothing is refused, and other names with our prefixes are not mentioned.

    Args:
        names: names found in the inventory.
        known: names in the roles' argument specs.
    """
    near = {name: _near(name, known, SAME) for name in sorted({*names} - {*known})}
    return [
        f"The variable {name} is unknown to all roles of this collection. Did you mean {one}?"
        for name, one in near.items()
        if one
    ]


def unknown_variables(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return a sentence for each variable of a command that has one of our prefixes but that no role declares.

    Args:
        names: names given with -e, which are meant for this command.
        known: names in the roles' argument specs.
    """
    sentences = []
    for name in sorted({*names} - {*known}):
        if OURS.fullmatch(name) or _near(name, known, SAME):
            near = _near(name, known, CLOSE)
            advice = f"Did you mean {near}?" if near else "Remove it, or correct its name."
            sentences.append(f"The variable {name} is unknown. {advice}")
    return sentences


def _near(name: str, known: Iterable[str], similarity: float) -> str:
    """Return the most similar name, or an empty string."""
    return next(iter(difflib.get_close_matches(name, sorted({*known}), 1, similarity)), "")
