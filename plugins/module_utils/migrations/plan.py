# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares a release with the history in a database: the pending migrations, and whatever makes a run unsafe.

Pure functions on plain data. A plan with problems is never carried out; each problem names its remedy.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .doubt import DONE, OPEN, Answer, drops, edited, sentences
from .history import FORMAT, History
from .names import REPEATABLE, known_version, version_key
from .repeatable import due

Row = Mapping[str, Any]
# Columns that a history row has and a catalog entry lacks, for a row that is not written yet.
NOT_YET = {"run_id": "", "backup_id": None, "release": "", "started_at": "", "duration_ms": 0.0}


@dataclass
class Plan:
    """The plan of a run.

    Attributes:
        applied: rows of the view migrations.applied, in order of version.
        pending: entries of the catalog to apply, in order.
        problems: sentences; while there is one, nothing may be applied.
        notes: sentences about differences that are harmless.
        baseline: entries of the catalog to record only, because the database was migrated by hand.
        accepted: entries whose edit will be recorded as reviewed.
    """

    applied: list[Row] = field(default_factory=list)
    pending: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    baseline: list[Row] = field(default_factory=list)
    accepted: list[Row] = field(default_factory=list)


def make_plan(
    catalog: Sequence[Row],
    applied: Sequence[Row],
    *,
    in_doubt: Sequence[Row] = (),
    answers: Mapping[str, Sequence[Answer]] | None = None,
    repeatable: Sequence[Row] = (),
    repeated: Sequence[Row] = (),
    rolled_back: Sequence[Row] = (),
    target: str | None = None,
    out_of_order: bool = False,
    untracked_tables: int = 0,
    report_untracked: bool = False,
    baseline: str | None = None,
    accept: Collection[str] = (),
    reason: str = "",
    invalid: Sequence[str] = (),
) -> Plan:
    """Compare the catalog of a release with the history of a database.

    Args:
        catalog: entries of the release (version, name, file, sha256, sha256_raw, depends) in order of version.
        applied: rows of migrations.applied (version, name, sha256, sha256_raw).
        in_doubt: the newest history rows of versions with `start` as their last act.
        answers: the progress of the files in doubt, by version, including the decisions of a person.
        repeatable: entries of the repeatable files, in order; they run after the last version of the release.
        repeated: the newest history row of each of them.
        rolled_back: the newest history rows of rolled-back versions; these are pending and never count as late.
        target: the last version to apply; None means the last of the release.
        out_of_order: apply a pending file although a later one is applied.
        untracked_tables: number of tables in schema public where there is no history at all.
        report_untracked: whether the caller examines these tables and refuses them.
        baseline: the version that the user gave for a database without history.
        accept: versions whose edit was reviewed.
        reason: why the edit is accepted.
        invalid: names of INVALID indexes of the database, where a file is in doubt.

    Returns:
        The plan, with problems where release and history contradict each other.
    """
    by_version = {entry["version"]: entry for entry in catalog}
    target = None if target is None else known_version(target, by_version)
    baseline = None if baseline is None else known_version(baseline, by_version)
    accept = [known_version(version, by_version) for version in accept]
    plan = Plan()
    if baseline is not None:
        _adopt(plan, catalog, applied, baseline, untracked_tables)
    applied = [*applied, *({**NOT_YET, **entry, "act": "baseline"} for entry in plan.baseline)]
    plan.applied = sorted(applied, key=_number)
    done = {row["version"] for row in applied}
    went_back = {row["version"] for row in rolled_back}
    newest = max((_number(row) for row in applied), default=())

    plan.problems += _unknown_target(by_version, target, plan.applied)
    if untracked_tables and not applied and not report_untracked and not plan.problems:
        plan.problems.append(
            f"The database has {untracked_tables} tables in schema public and no history of migrations: it was "
            "created by hand or by another tool. Adopt it with ansible-playbook deploy.yml "
            "-e migrations_baseline=VERSION, deploy into an empty database (-e database_name=...), or restore a backup "
            "that has its history."
        )
    newer = _newer(plan.applied, catalog)
    if newer:
        plan.problems.append(
            f"{newer[0]['version']} to {newer[-1]['version']} are applied, but this release ends at "
            f"{catalog[-1]['version']}: it is older than the database. Use the newer release, or correct "
            "release_directory or database_name."
        )
    for row in plan.applied:
        if row not in newer:
            _compare(row, by_version, plan, accept)
    plan.problems += _not_acceptable(plan, applied, accept, reason)
    resumed = {
        row["version"]: _resume(row, by_version, (answers or {}).get(row["version"], ()), plan, invalid)
        for row in in_doubt
    }
    last = _number({"version": target}) if target in by_version else None
    for entry in catalog:
        if entry["version"] in done or (last is not None and _number(entry) > last):
            continue
        late = _number(entry) < newest and entry["version"] not in went_back
        if late and not out_of_order and not _renamed(entry, plan.applied, by_version):
            plan.problems.append(
                f"{entry['file']} is not applied, but the later {_last_name(plan.applied)} is. Give it the next free "
                "number; or, if it is safe after the later ones, apply it with -e migrations_out_of_order=true."
            )
        resume = resumed.get(entry["version"])
        plan.pending.append({**entry, "resume": resume} if resume else entry)
    if last is None or last == max(map(_number, catalog)):
        plan.pending += due(repeatable, repeated)
    return plan


def outcome(plan: Plan, history: History, check_mode: bool) -> dict[str, Any]:
    """Return the result of the module `migration_plan`."""
    unwritten = {entry["version"] for entry in plan.baseline} if check_mode else set()
    standing = [row["version"] for row in plan.applied if row["version"] not in unwritten]
    if not check_mode:
        added = [entry["version"] for entry in plan.pending if entry["version"] != REPEATABLE]
        standing = sorted(standing + added, key=version_key)
    return {
        "changed": False,
        "applied": json.dumps(plan.applied, default=str),
        "applied_count": len(plan.applied),
        "pending": plan.pending,
        "problems": plan.problems,
        "notes": plan.notes,
        "in_doubt": history.in_doubt,
        "rolled_back": history.rolled_back,
        "baseline": plan.baseline,
        "accepted": plan.accepted,
        "untracked_tables": history.untracked_tables,
        "applied_versions": standing,
        "repeated": history.repeated,
        "has_history": history.exists and history.format >= FORMAT,
        "server_version": history.server_version,
    }


def _resume(
    row: Row, by_version: Mapping[str, Row], answers: Sequence[Answer], plan: Plan, invalid: Sequence[str]
) -> list[dict[str, Any]] | None:
    """Return how an interrupted file without transaction continues; None, with a problem, where that is unknown."""
    name = f"{row['version']}_{row['name']}.sql"
    begun = f"started at {row['started_at']} and its end was not recorded"
    doubt = f"{name} is in doubt: it runs without a transaction, {begun}"
    if row["version"] not in by_version:
        plan.problems.append(f"{doubt}; the release has no such file. Bring it back (git log --diff-filter=D).")
        return None
    said = sentences(answers)
    if not answers and invalid:
        held = f"the database has the INVALID index {', '.join(invalid)}"
        said = [f"{held}, which it may have left behind: {drops(invalid)}"]
    if not answers or any(answer.state == OPEN for answer in answers):
        plan.problems.append(
            f"{'; '.join([doubt, *said])}. Then decide: -e migrations_resolve={row['version']}:retry sends the "
            f"statement again, -e migrations_resolve={row['version']}:applied records the file as applied."
        )
        return None
    plan.notes.append("; ".join([doubt, *said, "the next run continues it"]) + ".")
    if edited(row, by_version[row["version"]]):
        plan.notes.append(f"{name} was edited after it started: objects that only the old version creates still exist.")
        left = sorted(set(invalid) - {index for answer in answers for index in answer.drop + answer.stay})
        if left:
            plan.notes.append(
                f"INVALID indexes that it may have left behind, and that slow down every write: {drops(left)}."
            )
    return [{"send": answer.state != DONE, "drop": list(answer.drop)} for answer in answers]


def _newer(applied: Sequence[Row], catalog: Sequence[Row]) -> list[Row]:
    """Return the applied rows after the last version of the release; none where a single file is missing or renamed."""
    last = max((_number(entry) for entry in catalog), default=())
    content = {entry["sha256"] for entry in catalog}
    rows = [row for row in applied if catalog and _number(row) > last and row["sha256"] not in content]
    return rows if rows[1:] else []


def _number(row: Row) -> tuple[int, ...]:
    key: tuple[int, ...] = version_key(row["version"])
    return key


def _last_name(applied: Sequence[Row]) -> str:
    last = applied[-1]
    return f"{last['version']}_{last['name']}.sql"


def _unknown_target(by_version: Mapping[str, Row], target: str | None, applied: Sequence[Row]) -> list[str]:
    """Return the problems of a target version."""
    if target is None:
        return []
    if target not in by_version:
        return [
            f"The target {target} is not a version of this release, which goes from "
            f"{min(by_version, key=version_key)} to {max(by_version, key=version_key)}. Correct migrations_target."
        ]
    if applied and version_key(target) < _number(applied[-1]):
        return [
            f"The target {target} is before {applied[-1]['version']}, which is applied. A deploy never rolls back: "
            "remove migrations_target."
        ]
    return []


def _adopt(plan: Plan, catalog: Sequence[Row], applied: Sequence[Row], baseline: str, tables: int) -> None:
    """Add the entries of a baseline, or its problems, to a plan."""
    if all(entry["version"] != baseline for entry in catalog):
        plan.problems.append(
            f"The baseline {baseline} is not a version of this release, which goes from {catalog[0]['version']} to "
            f"{catalog[-1]['version']}. Correct migrations_baseline."
        )
        return
    meant = [entry for entry in catalog if _number(entry) <= version_key(baseline)]
    standing = {row["version"] for row in applied}
    if not applied and tables:
        plan.baseline = meant
    elif not applied:
        plan.problems.append(
            "The database has no tables in schema public, so there is nothing to adopt. Remove migrations_baseline."
        )
    elif missing := [entry["version"] for entry in meant if entry["version"] not in standing]:
        plan.problems.append(
            f"The database has a history, and {', '.join(missing)} of the baseline {baseline} are not in it. A "
            "baseline is for a database without a history: remove migrations_baseline."
        )


def _not_acceptable(plan: Plan, applied: Sequence[Row], accept: Collection[str], reason: str) -> list[str]:
    """Return the problems of a request to accept edited files."""
    problems = []
    if accept and not reason.strip():
        problems.append(
            "migrations_accept needs a reason, which the history records: "
            "-e \"migrations_reason='who reviewed the edit, and why it is harmless'\"."
        )
    accepted = {entry["version"] for entry in plan.accepted}
    by_version = {row["version"]: row for row in applied}
    for version in sorted(set(accept) - accepted):
        if version in by_version:
            problems.append(
                f"{version}_{by_version[version]['name']}.sql was not edited since it was applied, so there is nothing "
                "to accept. Remove it from migrations_accept."
            )
        else:
            problems.append(f"{version} is not applied, so there is no edit to accept. Correct migrations_accept.")
    return problems


def _compare(row: Row, by_version: Mapping[str, Row], plan: Plan, accept: Collection[str]) -> None:
    """Compare one applied migration with the release."""
    recorded = f"{row['version']}_{row['name']}.sql"
    entry = by_version.get(row["version"])
    if entry is None:
        twin = next((e for e in by_version.values() if e["sha256"] == row["sha256"]), None)
        if twin:
            plan.problems.append(
                f"{recorded} is applied, and its content is now in {twin['file']}. Rename the file back to {recorded}."
            )
        else:
            plan.problems.append(
                f"{recorded} is applied, but missing in the release. Bring the file back "
                f"(git log --diff-filter=D -- '*{row['version']}*{row['name']}*')."
            )
    elif entry["name"] != row["name"]:
        edited = ", and its content differs" if entry["sha256"] != row["sha256"] else ""
        plan.problems.append(
            f"{recorded} is applied and is now called {entry['file']}{edited}. Rename the file back"
            f"{' and undo the edit' if edited else ''}."
        )
    elif entry["sha256"] != row["sha256"] and row["version"] in accept:
        plan.accepted.append(entry)
        plan.notes.append(f"{entry['file']} was edited after it was applied; the edit is accepted.")
    elif entry["sha256"] != row["sha256"]:
        plan.problems.append(
            f"{entry['file']} was edited after it was applied: recorded SHA-256 {row['sha256'][:12]}, the file's "
            f"{entry['sha256'][:12]}. Undo the edit and write the change as a new migration; or, if it was reviewed "
            f"and changes nothing in the database, accept it: -e migrations_accept={entry['version']} "
            "-e \"migrations_reason='...'\"."
        )
    elif entry["sha256_raw"] != row["sha256_raw"]:
        plan.notes.append(f"{entry['file']} differs from what was applied in line ends or byte order mark only.")


def _renamed(entry: Row, applied: Sequence[Row], by_version: Mapping[str, Row]) -> bool:
    """Tell whether an entry is an applied file under another version (reported once, by `_compare`)."""
    return any(row["sha256"] == entry["sha256"] and row["version"] not in by_version for row in applied)
