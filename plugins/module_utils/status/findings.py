# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judges the facts of a database: what is in order, what needs attention, what has failed, and the next command.

The facts are those of `look.py`, and `plan` ({pending, problems}) and `drift` (lines), which are None where they were
not requested. All functions are pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from ..backup.store import size_text

Facts = Mapping[str, Any]
Limits = Mapping[str, Any]  # as limits.read_limits returns them
OK, WARN, FAIL = LEVELS = ("ok", "warn", "fail")
MINUTE, HOUR, DAY = 60, 3600, 86400  # seconds
MB = 1_000_000
FEW_BLOCKS = 100_000  # read since the statistics began; with fewer, the cache is still cold
# At 2,000 million the server stops accepting writes; autovacuum acts against it from 200 million.
TRANSACTION_IDS = 500_000_000
SHOWN = 3  # entries of a list in a sentence


@dataclass(frozen=True)
class Finding:
    """One finding about one subject.

    Attributes:
        matter: name of the subject on the screen; a subject may have several findings.
        level: ok, warn or fail.
        text: a sentence.
        next: the next command; `findings` leaves it out where nothing is wrong.
        more: further lines, shown unchanged.
    """

    matter: str
    level: str
    text: str
    next: str = ""
    more: tuple[str, ...] = ()


def findings(facts: Facts, limits: Limits) -> list[Finding]:
    """Return the findings in the order of the screen."""
    found = (finding for check in CHECKS for finding in check(facts, limits))
    return [replace(finding, next="") if finding.level == OK else finding for finding in found]


def worst(found: Sequence[Finding]) -> str:
    """Return the worst level."""
    return max((finding.level for finding in found), key=LEVELS.index, default=OK)


def verdict(found: Sequence[Finding]) -> str:
    """Return a sentence about the failures, with the first next command; empty where nothing failed."""
    failed = [finding for finding in found if finding.level == FAIL]
    matters = dict.fromkeys(finding.matter.lower() for finding in failed)
    return f"{', '.join(matters)} failed. Next: {failed[0].next}" if failed else ""


def described(found: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return findings as data."""
    return [{key: value for key, value in asdict(finding).items() if key != "more"} for finding in found]


def age_text(seconds: float) -> str:
    """Return a time span as readable text."""
    for unit, size, until in (("s", 1, 2 * MINUTE), ("min", MINUTE, 2 * HOUR), ("h", HOUR, 2 * DAY)):
        if seconds < until:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / DAY:.0f} days"


def since(facts: Facts, moment: str) -> float:
    """Return the seconds from a moment (ISO 8601) to now, by the clock of the server."""
    return (datetime.fromisoformat(facts["figures"]["now"]) - datetime.fromisoformat(moment)).total_seconds()


def covered_until(days: Sequence[Sequence[str]], today: date) -> date | None:
    """Return the first day from today on without a partition; None where today has none.

    Args:
        days: first day of each partition, and the first day after it, in order.
        today: the current day.
    """
    end = None
    for first, after in sorted((date.fromisoformat(first), date.fromisoformat(after)) for first, after in days):
        if first <= (end or today) < after:
            end = after
    return end


def _list(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _level(value: float, warn: float, fail: float = 0) -> str:
    if fail and value > fail:
        return FAIL
    return WARN if warn and value > warn else OK


def _version(text: str) -> list[int]:
    return [int(part) for part in text.split(".") if part.isdigit()]


def server(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Judge the server's version, its known faults, and its start time."""
    seen = facts["figures"]
    text = f"PostgreSQL {seen['version']}, up {age_text(seen['up'])}{', a standby' if seen['standby'] else ''}"
    built = facts.get("built")
    days = since(facts, built) / DAY if built else 0
    if built:
        text += f", built {built[:10]}"
    package = f"postgresql-{seen['version'].partition('.')[0]}"
    update = f"update the packages: apt-get update && apt-get install --only-upgrade {package}"
    if limits["minimum_version"] and _version(seen["version"]) < _version(limits["minimum_version"]):
        text, level = f"{text}: below {limits['minimum_version']}, with known faults", WARN
    elif (level := _level(days, limits["build_warn_days"])) != OK:
        text += ": PostgreSQL publishes fixes every three months"
    yield Finding("Server", level, text, update)
    if failures := seen["database"]["checksum_failures"]:
        yield Finding(
            "Server",
            FAIL,
            f"{_count(failures, 'page')} read with a wrong checksum: the disk damages data",
            "keep the backups, find the fault of the disk (journalctl -k), restore on another disk: docs/restore.md",
        )
    if seen["database"]["transaction_ids"] > TRANSACTION_IDS:
        yield Finding(
            "Server",
            WARN,
            f"autovacuum does not keep up: {seen['database']['transaction_ids'] / 1e6:.0f} million transaction ids in "
            "use, and at 2000 million the server stops writing",
            "end the oldest transactions, including prepared ones, then run vacuumdb --freeze on this database",
        )


def running(facts: Facts, _: Limits) -> Iterator[Finding]:
    """List the active runs of migrations and backups."""
    for run in facts["figures"]["runs"] or ():
        yield Finding("Running", OK, _run_text(run), more=tuple(_run_lines(run)))
    if not facts["figures"]["runs"]:
        yield Finding("Running", OK, "nothing")


def _run_text(run: Facts) -> str:
    """Return what one session works on: its file, and for how long."""
    file = run["application"].removeprefix("physioflow ").removeprefix("physioflow-")
    lasts = "" if run["age"] is None else f" for {run['age']} s"
    return f"{file}{lasts} (pid {run['pid']}{'' if run['state'] == 'active' else ', ' + str(run['state'])})"


def _run_lines(run: Facts) -> Iterator[str]:
    """Yield the progress of a run, and the sessions that it waits for."""
    for step in run["progress"] or ():
        percent = "" if step["percent"] is None else f", {step['percent']:.0f} %"
        yield f"{step['command']} on {step['relation']}: {step['phase']}{percent}"
    for blocker in run["blockers"] or ():
        yield (
            f"waits for pid {blocker['pid']}, user {blocker['user']}, application "
            f"{blocker['application'] or '(none)'}, {blocker['state']} for {blocker['age']} s"
        )


def migrations(facts: Facts, _: Limits) -> Iterator[Finding]:
    """Judge applied and pending migrations, contradictions, and files in doubt."""
    history, plan, runs = facts["history"], facts.get("plan"), facts["figures"]["runs"] or []
    pending, problems = (plan["pending"], plan["problems"]) if plan else ([], [])
    text = "no history"
    if history:
        newest = history["newest"]
        text = f"{history['applied']} applied"
        text += f", the newest {newest['version']} {newest['name']} at {newest['at']} UTC" if newest else ""
    # A file that is running has no recorded end either, and the files after it are pending.
    at_work = {run["application"].removeprefix("physioflow ") for run in runs}
    doubt = [file for file in (history or {}).get("in_doubt") or () if file.removesuffix(".sql")[:52] not in at_work]
    waiting = f"; {len(pending)} pending" if pending else ""
    if pending and not runs:
        yield Finding("Migrations", WARN, f"{text}{waiting}: {_list(pending)}", "ansible-playbook deploy.yml")
    else:
        yield Finding("Migrations", OK, text + waiting)
    for file in doubt:
        yield Finding(
            "In doubt", FAIL, f"{file} started and did not finish", "ansible-playbook deploy.yml shows what to do"
        )
    if not runs:
        for problem in problems:
            yield Finding("Migrations", FAIL, problem, "ansible-playbook playbooks/plan.yml")


def drift(facts: Facts, _: Limits) -> Iterator[Finding]:
    """Judge whether the schema matches the migrations."""
    if lines := facts.get("drift"):
        yield Finding(
            "Drift",
            FAIL,
            f"{_count(len(lines), 'difference')} between the schema and its migrations",
            "ansible-playbook playbooks/plan.yml -e plan_schema_drift=true, and write a migration for what should stay",
            tuple(lines[:SHOWN]),
        )
    elif lines is not None:
        yield Finding("Drift", OK, "none")


def backup(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Judge the age of the newest verified backup."""
    seen = facts.get("backups")
    if seen is None:
        return
    take = "ansible-playbook playbooks/backup.yml"
    asked = FAIL if limits["backup_warn_hours"] or limits["backup_fail_hours"] else OK
    newest = seen["newest"]
    if seen["problem"]:
        yield Finding("Backup", asked, f"cannot be read: {seen['problem']}", take)
    elif newest is None:
        yield Finding("Backup", asked, f"none of the whole database in {seen['directory']}", take)
    else:
        age = since(facts, newest["at"])
        level = _level(age / HOUR, limits["backup_warn_hours"], limits["backup_fail_hours"])
        away = f", off the host since {newest['off_host'][:16]}" if newest["off_host"] else ""
        text = f"{seen['count']}, the newest verified {age_text(age)} ago, {size_text(newest['size'])}{away}"
        yield Finding("Backup", level, text, f"{take}; why: journalctl -u physioflow-backup")
    if seen["damaged"]:
        yield Finding("Backup", FAIL, f"damaged, and newer than the newest intact one: {_list(seen['damaged'])}", take)


def drill(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Judge whether the last drill proved a backup, and when."""
    seen = facts.get("backups")
    if seen is None or seen["problem"]:
        return
    again = "ansible-playbook playbooks/drill.yml"
    last, proven = seen["drill"], seen["proven"]
    asked = limits["drill_warn_days"] or limits["drill_fail_days"]
    if last and not last["ok"]:
        good = f"the last successful one {age_text(since(facts, proven))} ago" if proven else "none has succeeded yet"
        yield Finding("Drill", FAIL, f"of {last['backup']} failed at {last['at'][:16]}; {good}", again)
    elif not proven:
        wanted = asked and seen["newest"] is not None
        yield Finding("Drill", WARN if wanted else OK, "no backup has been restored yet" if wanted else "none", again)
    else:
        age = since(facts, proven)
        level = _level(age / DAY, limits["drill_warn_days"], limits["drill_fail_days"])
        text = f"{last['backup']} was restored and equal {age_text(age)} ago"
        yield Finding("Drill", level, text, f"{again}; why: journalctl -u physioflow-drill")


def partitions(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Judge until which day each table partitioned by date accepts rows."""
    today = date.fromisoformat(facts["figures"]["now"][:10])
    make = "ansible-playbook playbooks/partitions.yml"
    for table, days in sorted((facts["figures"]["partitions"] or {}).items()):
        end = covered_until(days or [], today)
        if end is None:
            yield Finding("Partitions", FAIL, f"{table} has none for {today}: rows of today are rejected", make)
            continue
        last = end - timedelta(days=1)
        text = f"{table} takes rows until {last}"
        if limits["partition_fail_days"] and (end - today).days <= limits["partition_fail_days"]:
            yield Finding("Partitions", FAIL, f"{text}, {_count((last - today).days, 'day')} from now", make)
        elif end <= date(today.year + 1, 12, 31):
            yield Finding("Partitions", WARN, f"{text}: the partition of {end.year} is missing", make)
        else:
            yield Finding("Partitions", OK, text)


def connections(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Judge the connections of the server, the database or the role that is closest to its limit."""
    places = facts["figures"]["connections"]
    fullest = max(places, key=lambda place: place["used"] / place["most"])
    level = _level(
        100 * fullest["used"] / fullest["most"], limits["connections_warn_percent"], limits["connections_fail_percent"]
    )
    everywhere = next(place for place in places if place["of"] == "server")
    text = f"{everywhere['used']} of {everywhere['most']}"
    if fullest is not everywhere:
        text += f"; the fullest is {fullest['of']}, {fullest['used']} of {fullest['most']}"
    who = "SELECT usename, application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3"
    yield Finding("Connections", level, text, f"list them: {who}")


def transactions(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Judge long transactions, which hold locks and keep VACUUM from removing rows."""
    seen = facts["figures"]
    if not seen["sees_sessions"]:
        yield Finding("Transactions", OK, "cannot be seen without pg_read_all_stats")
        return
    found = seen["transactions"] or []
    long = [entry for entry in found if _level(entry["age"] / MINUTE, limits["transaction_warn_minutes"]) != OK]
    for entry in long:
        what = f"application {entry['application'] or '(none)'}, {entry['state']}, for {age_text(entry['age'])}"
        if pid := entry["pid"]:
            end = f"ask its user; SELECT pg_terminate_backend({pid}) ends it and rolls it back"
            yield Finding("Transactions", WARN, f"pid {pid}, user {entry['user']}, {what}", end)
        else:
            end = "COMMIT PREPARED or ROLLBACK PREPARED what pg_prepared_xacts shows"
            yield Finding("Transactions", WARN, f"user {entry['user']}, {what}", end)
    if not long:
        yield Finding("Transactions", OK, f"the oldest {age_text(found[0]['age'])}" if found else "none")


def locks(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Judge the sessions that wait for a lock, and their blockers."""
    waiting = facts["figures"]["locks"] or []
    long = [entry for entry in waiting if _level(entry["age"], limits["lock_warn_seconds"]) != OK]
    for entry in long:
        holders = ", ".join(map(str, entry["blockers"])) or "none any more"
        yield Finding(
            "Locks",
            WARN,
            f"pid {entry['pid']}, user {entry['user']}, application {entry['application'] or '(none)'}, waits for "
            f"{entry['relation'] or 'another transaction'} for {age_text(entry['age'])}, held by pid {holders}",
            "check what the holder does (pg_stat_activity, by its pid); SELECT pg_terminate_backend(PID) ends it",
        )
    if not long:
        yield Finding("Locks", OK, f"{_count(len(waiting), 'session')} wait{'s' if len(waiting) == 1 else ''} for one")


def cache(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Judge the share of blocks found in memory."""
    seen = facts["figures"]["database"]
    total = seen["hit"] + seen["read"]
    if not total:
        return
    percent = 100 * seen["hit"] / total
    text = f"{percent:.1f} % of the blocks were found in memory"
    low = limits["cache_warn_percent"] and total > FEW_BLOCKS and percent < limits["cache_warn_percent"]
    remedy = "give the server more memory (postgresql_memory), or see Indexes"
    yield Finding("Cache", WARN if low else OK, text, remedy)


def disks(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Judge how full the file systems of data and backups are."""
    for disk in facts.get("disks") or ():
        percent = 100 * (1 - disk["free"] / disk["bytes"]) if disk["bytes"] else 0
        level = _level(percent, limits["disk_warn_percent"], limits["disk_fail_percent"])
        text = f"{disk['folder']}: {percent:.0f} % full, {size_text(disk['free'])} free"
        yield Finding("Disk", level, text, "free disk space: keep fewer backups (backup_keep), or use a larger disk")


def archive(facts: Facts, _: Limits) -> Iterator[Finding]:
    """Judge whether WAL is archived; a server that cannot archive it keeps it until the disk is full."""
    seen = facts["figures"]["archiver"]
    if seen is None:
        return
    archived, failed = seen["archived"], seen["failed"]
    if failed and (not archived or datetime.fromisoformat(failed) > datetime.fromisoformat(archived)):
        last = (
            f"the last segment was archived {age_text(since(facts, archived))} ago"
            if archived
            else "nothing was archived yet"
        )
        why = "find the cause in the log of the server and in /var/log/pgbackrest: docs/point-in-time.md"
        yield Finding("Archive", FAIL, f"archiving WAL fails, and fills the disk; {last}", why)
    elif archived:
        yield Finding("Archive", OK, f"the last WAL segment was archived {age_text(since(facts, archived))} ago")
    else:
        yield Finding("Archive", OK, "no WAL segment was archived yet")


def last_told(drills: Sequence[Mapping[str, Any]], key: str) -> Any:
    """Return what the last of the drills that has a value under a key told; None where none has."""
    return next((drill[key] for drill in reversed(drills) if drill.get(key) is not None), None)


def restored(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Judge the last drill of point-in-time recovery, where there was one."""
    if not (drills := facts.get("restored")):
        return
    last = drills[-1]
    if not last["ok"]:
        text = f"the drill of point-in-time recovery failed at {last['at'][:16]}"
        yield Finding("Archive", FAIL, text, "journalctl -u pgbackrest-drill shows why: docs/point-in-time.md")
        return
    age = since(facts, last["at"])
    level = _level(age / DAY, limits["drill_warn_days"], limits["drill_fail_days"])
    text = f"the {last['moment']} moment was restored from {last['backup']} in {last['seconds']} s, {age_text(age)} ago"
    yield Finding("Archive", level, text, "systemctl start pgbackrest-drill; why: journalctl -u pgbackrest-drill")
    if (behind := last_told(drills, "behind")) is not None:
        yield Finding("Archive", OK, f"the newest moment was {behind} s behind the server at the last drill")


def replication(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Judge the lag of the standbys, and unused slots, whose WAL fills the disk."""
    seen = facts["figures"]
    for replica in seen["replicas"] or ():
        lag = replica["lag"]
        level = _level((lag or 0) / MB, limits["replication_warn_megabytes"])
        text = f"{replica['name']} {replica['state']}, {'unknown' if lag is None else size_text(lag)} behind"
        yield Finding("Replication", level, text, "check the replica and its network")
    for slot in seen["slots"] or ():
        if not slot["active"]:
            yield Finding(
                "Replication",
                WARN,
                f"the slot {slot['name']} has no reader and retains {size_text(slot['kept'] or 0)} of WAL",
                f"start its reader, or SELECT pg_drop_replication_slot('{slot['name']}')",
            )


def indexes(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Judge indexes that are invalid, unused or built with an old collation, and tables with many sequential scans."""
    seen = facts["figures"]
    found = list(_index_findings(seen, limits))
    yield from found or [Finding("Indexes", OK, "no invalid, unused or missing index found")]


def _index_findings(seen: Facts, limits: Limits) -> Iterator[Finding]:
    if invalid := seen["invalid"]:
        yield Finding(
            "Indexes",
            WARN,
            f"invalid (no query uses them, but they slow down writes): {_list(invalid)}",
            "REINDEX INDEX CONCURRENTLY or DROP INDEX CONCURRENTLY each",
        )
    for entry in seen["collations"] or ():
        database = entry["kind"] == "DATABASE"
        yield Finding(
            "Indexes",
            FAIL,
            f"the collation {'of the database ' if database else ''}{entry['name']} had version {entry['recorded']} "
            f"when its indexes were built and has {entry['actual']} now: indexes on text may miss rows",
            f"REINDEX DATABASE, then ALTER {entry['kind']} {entry['name']} REFRESH "
            f"{'COLLATION ' if database else ''}VERSION",
        )
    least = limits["index_unused_megabytes"] * MB
    unused = [entry for entry in seen["indexes"] or () if entry["scans"] == 0 and entry["bytes"] >= least]
    if least and unused:
        size = size_text(sum(entry["bytes"] for entry in unused))
        yield Finding(
            "Indexes",
            WARN,
            f"{size} not used since the statistics were reset: {_list([entry['name'] for entry in unused])}",
            "watch them for a month, then drop them in a migration: docs/monitor.md",
        )
    for table in seen["tables"] or ():
        if limits["scan_rows"] and table["rows"] >= limits["scan_rows"] and table["seq_scan"] > table["idx_scan"]:
            yield Finding(
                "Indexes",
                WARN,
                f"{table['name']}, about {table['rows']:,} rows: {table['seq_scan']:,} sequential scans, "
                f"{table['idx_scan']:,} index scans",
                "find the query (log_min_duration_statement) and EXPLAIN it: docs/monitor.md",
            )


def tables(facts: Facts, _: Limits) -> Iterator[Finding]:
    """List the number of tables, and the largest ones with rows and size."""
    seen = facts["figures"]
    found = seen["tables"] or []
    rows, size = sum(table["rows"] for table in found), size_text(seen["database"]["bytes"])
    shown = found[: facts.get("shown_tables", len(found))]
    width = max((len(table["name"]) for table in shown), default=0)
    lines = (f"{table['name']:{width}}  {table['rows']:>13,} rows  {size_text(table['bytes']):>9}" for table in shown)
    yield Finding("Tables", OK, f"{len(found)}, about {rows:,} rows; the database has {size}", more=tuple(lines))


CHECKS: tuple[Callable[[Facts, Limits], Iterator[Finding]], ...] = (
    server,
    running,
    migrations,
    drift,
    backup,
    drill,
    partitions,
    disks,
    connections,
    transactions,
    locks,
    archive,
    restored,
    replication,
    cache,
    indexes,
    tables,
)
