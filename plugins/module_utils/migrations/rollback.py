# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the migrations of a requested rollback, their order, and why the rollback is impossible.

Pure functions on plain data, except that one file is read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .names import FLYWAY, UP_AND_DOWN, known_version, version_key

Row = Mapping[str, Any]
SETS_FILE = "rollback_sets.yml"


@dataclass
class Rollback:
    """The plan of a rollback.

    Attributes:
        steps: entries of the catalog to roll back, in order: dependent ones first.
        problems: sentences; while there is one, nothing may be rolled back.
    """

    steps: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_sets(release: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Read the named sets of a release, which may have none.

    Whether the release has the versions is checked when a set is used, because a missing file is reported first.

    Returns:
        The versions of each set, and a sentence for each error in the file.
    """
    path = release / SETS_FILE
    file = f"{release.name}/{SETS_FILE}"
    if not path.is_file():
        return {}, []
    try:
        # BaseLoader: 010 is a text, not the number 8.
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        return {}, [f"{file}:{line}: cannot be read as YAML in UTF-8. Correct it."]
    sets: dict[str, list[str]] = {}
    problems = []
    for name, entry in content.items() if isinstance(content, dict) else [("", None)]:
        members = entry.get("versions") if isinstance(entry, dict) else None
        if not isinstance(members, list) or not members or not all(isinstance(member, str) for member in members):
            problems.append(f"{file}: {name or 'it'} has no list `versions`, like versions: [005, 006]. Correct it.")
            continue
        sets[name] = members
    return sets, problems


def plan_rollback(
    catalog: Sequence[Row],
    applied: Collection[str],
    *,
    to: str = "",
    only: str = "",
    named: str = "",
    sets: Mapping[str, Sequence[str]] | None = None,
) -> Rollback:
    """Return the plan of a rollback.

    Args:
        catalog: entries of the release (version, name, file, depends, rollback).
        applied: the applied versions, all of them known to the release.
        to: roll back everything after this version; all zeros for everything.
        only: roll back this version.
        named: roll back the applied versions of this set, and what depends on them.
        sets: the sets of the release.

    Returns:
        The steps, or problems. There are no steps where none of the requested versions is applied.
    """
    by_version = {entry["version"]: entry for entry in catalog}
    to, only = known_version(to, by_version), known_version(only, by_version)
    if sum(map(bool, (to, only, named))) != 1:
        problem = (
            "Set exactly one of rollback_to, rollback_only, rollback_set: -e rollback_to=010 (everything after it), "
            "-e rollback_only=015 or -e rollback_set=NAME."
        )
        return Rollback(problems=[problem])
    if named:
        rollback = Rollback(problems=_not_in_sets(named, sets or {}, by_version))
        chosen = _with_dependents((sets or {}).get(named, ()), applied, by_version)
    elif only:
        rollback = Rollback(problems=_not_applied(only, by_version, applied, "rollback_only"))
        chosen = {only}
    elif to.strip("0"):
        rollback = Rollback(problems=_not_applied(to, by_version, applied, "rollback_to"))
        chosen = {version for version in applied if to in by_version and version_key(version) > version_key(to)}
    else:
        rollback, chosen = Rollback(), {*applied}
    if rollback.problems:
        return rollback

    # A file only ever depends on one with a lower number: the catalog refuses everything else.
    rollback.steps = [by_version[version] for version in sorted(chosen, key=version_key, reverse=True)]
    for entry in rollback.steps:
        holders = [
            by_version[version]["file"]
            for version in sorted(applied, key=version_key)
            if version not in chosen and entry["version"] in by_version[version]["depends"]
        ]
        if holders:
            rollback.problems.append(
                f"{entry['file']} cannot be rolled back: {_and(holders)} "
                f"{'depend' if len(holders) > 1 else 'depends'} on it and would stay. Roll back more: "
                f"-e rollback_to={_before(entry['version'], applied)} (everything after it), or name it in a set of "
                f"{SETS_FILE}, which takes only what depends on it."
            )
        if not entry["rollback"]:
            rollback.problems.append(
                f"{entry['file']} has no rollback: there is no {_way_back(entry)}. "
                "Write it, or restore a backup from before it: ansible-playbook playbooks/restore.yml"
            )
    return rollback


def _with_dependents(members: Collection[str], applied: Collection[str], by_version: Mapping[str, Row]) -> set[str]:
    """Return the applied versions of a set and those that depend on one of them, also by way of others."""
    chosen = {version for version in members if version in applied}
    for version in sorted(applied, key=version_key):  # what a file depends on comes before it
        if chosen.intersection(by_version[version]["depends"]):
            chosen.add(version)
    return chosen


def _way_back(entry: Row) -> str:
    """Return the required place of the rollback of a migration, in the style of its folder."""
    if entry.get("down_mark"):
        return f"`{entry['down_mark']}` part with a statement in the same file"
    folder, _, file = entry["file"].rpartition("/")
    if UP_AND_DOWN.fullmatch(file):
        return f"{folder}/{file.removesuffix('.up.sql')}.down.sql"
    if FLYWAY.fullmatch(file):
        return f"{folder}/U{file[1:]}"
    release, _, below = folder.partition("/")
    return f"{release}/rollbacks/{file}" if below in ("", "migrations", "migration") else f"{folder}/rollbacks/{file}"


def _not_in_sets(name: str, sets: Mapping[str, Sequence[str]], by_version: Mapping[str, Row]) -> list[str]:
    """Return the problems of a set's name or versions."""
    if name not in sets:
        known = f"it has {', '.join(sorted(sets))}" if sets else f"it has no {SETS_FILE}"
        return [f"The release has no set {name}; {known}. Correct rollback_set."]
    unknown = [version for version in sets[name] if version not in by_version]
    return [f"{SETS_FILE}: {name} has {', '.join(unknown)}, which no migration has. Correct it."] if unknown else []


def _not_applied(version: str, by_version: Mapping[str, Row], applied: Collection[str], variable: str) -> list[str]:
    """Return the problems of a version that is not applied."""
    if version not in by_version:
        return [
            f"{version} is not a version of this release, which goes from {min(by_version, key=version_key)} to "
            f"{max(by_version, key=version_key)}. Correct {variable}."
        ]
    if version not in applied:
        newest = max(applied, key=version_key, default="none")
        return [
            f"{by_version[version]['file']} is not applied; the newest applied one is {newest}. Correct {variable}."
        ]
    return []


def _before(version: str, applied: Collection[str]) -> str:
    """Return the newest applied version before the given one; zeros where there is none."""
    return max((one for one in applied if version_key(one) < version_key(version)), key=version_key, default="000")


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
