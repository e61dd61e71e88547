"""psql as the oracle: a new session per file, the file as one transaction, stop at the first error."""

from __future__ import annotations

import difflib
import re
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.driver import Driver, Outcome
from tests.fuzz.releases import File, Release
from tests.fuzz.server import Server

OURS, THEIRS = "fuzz_ours", "fuzz_psql"
QUICK: dict[str, Any] = {"lock_retries": 2, "lock_retry_pause": "10ms", "lock_retry_growth": 1.0}
LOCK_TIMEOUT = "100ms"
# What calling a function of pg_temp says in a session that had no temporary object, and in one that has none any more.
NO_FUNCTION = {"3F000", "42883"}


class DifferenceError(AssertionError):
    """Our result is another than psql's."""


@dataclass
class Told:
    """What the examples were: so that a generator that degenerates is seen."""

    counts: Counter[str] = field(default_factory=Counter)

    def note(self, what: str) -> None:
        """Count one of a kind."""
        self.counts[what] += 1

    def refused(self, message: str) -> None:
        """Count a refusal by its reason, without names and lines."""
        for line in message.splitlines():
            if match := re.match(r"\s+\S+?\.sql(?::\d+)?:? (.*)", line):
                self.counts["refused: " + re.sub(r"\"[^\"]*\"|\d+", "_", match[1])[:110]] += 1


class Psql:
    """What psql makes of a release, file by file."""

    def __init__(self, server: Server, release: Release, folder: Path) -> None:
        self.server, self.release, self.folder = server, release, folder
        self.applied: list[File] = []
        self.began: dict[str, int] = {}  # of a file without transaction: how many statements were done

    def run(self, corrected: bool = False, most: int | None = None, events: bool = True) -> tuple[str, File | None]:
        """Apply what is missing until one fails; returns SQLSTATE and file of the failure.

        Args:
            corrected: take the corrected files.
            most: stop after so many files stand.
            events: let happen what happens besides.
        """
        for number, file in enumerate(self.release.plan):
            if number < len(self.applied):
                continue
            if most is not None and len(self.applied) >= most:
                break
            killed = events and self.release.killed == number
            locked = events and self.release.locked == number
            with self.server.killing(THEIRS, killed), self.server.locked(THEIRS, locked):
                state = self._send(file, corrected, LOCK_TIMEOUT if locked else "0")
            if state and locked and self.release.patience <= QUICK["lock_retries"] and state == "55P03":
                state = self._send(file, corrected, "0")
            if state:
                return state, file
            self.applied.append(file)
        return "", None

    def _send(self, file: File, corrected: bool, lock_timeout: str) -> str:
        path = self.folder / "file.sql"
        if file.transactional:
            path.write_bytes(file.data(corrected).replace(b"\r\n", b"\n"))
            return self.server.psql(THEIRS, path, whole=True, lock_timeout=lock_timeout)
        for index in self.server.invalid(THEIRS):
            with self.server.connect(THEIRS) as connection:
                connection.execute(f"DROP INDEX CONCURRENTLY {index}".encode())
        for number, (statement, end) in enumerate(zip(file.statements, file.ends, strict=True)):
            if number < self.began.get(file.name, 0) or (corrected and number == file.fault):
                continue
            path.write_text(statement + end, newline="")
            if state := self.server.psql(THEIRS, path, whole=False, lock_timeout=lock_timeout):
                return state
            self.began[file.name] = number + 1
        return ""


def check(server: Server, release: Release, folder: Path, told: Told) -> None:
    """Deploy a release by us and by psql, with all that goes wrong, and compare.

    Raises:
        DifferenceError: where they differ.
    """
    for name in ("release", "psql"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    for name in (OURS, THEIRS):
        server.empty(name)
    _check(server, release, folder, told)


def _check(server: Server, release: Release, folder: Path, told: Told) -> None:
    psql = Psql(server, release, folder / "psql")
    ours = Driver(folder / "release", OURS, server.connection, folder, QUICK)
    release.write(ours.release)
    outcome = _first(server, release, ours)
    if outcome.refused and not server.history(OURS)[1]:
        told.note("refused")
        told.refused(outcome.refused)
        _equal("a refused release left something", server.holds(OURS), server.holds(THEIRS))
        state, failed = psql.run(events=False)
        told.note(f"refused, and psql fails with {state}" if failed else "refused, and psql applies it")
        return
    if outcome.refused:
        raise DifferenceError(f"refused in the middle of a run: {outcome.refused}")
    if outcome.failure == "gone":
        told.note("gone")
        state, failed = psql.run(most=len(server.history(OURS)[0]))
        _same(not state, f"psql fails in {failed.name if failed else ''} ({state}), which ours applied", "")
    else:
        state, failed = psql.run()
        told.note(f"failed {state}" if state else "applied")
        _same_end("first run", outcome, state, failed)
    _compare("after the first run", server, psql)

    if psql.applied == list(release.plan):
        _nothing_to_do(ours, "second")
        return

    standing = {file.name for file in psql.applied}
    for file in release.plan:
        if file.name not in standing:
            (ours.release / "migrations" / file.name).write_bytes(file.data(corrected=True))
    ours.before_step = lambda _: True
    outcome = ours.deploy()
    state, failed = psql.run(corrected=True, events=False)
    told.note(f"stuck {state}" if state else "converged")
    _same_end("second run", outcome, state, failed)
    _compare("after the second run", server, psql)
    if not state:
        # What a statement left that was corrected away is its author's to drop, as with psql.
        gone = " ".join(file.statements[file.fault] for file in release.plan if file.fault is not None)
        left = server.invalid(OURS)
        _same(all(name in gone for name in left), "invalid indexes are left", str(left))
        if left:
            told.note("left the invalid index of a statement that was corrected away")
        _nothing_to_do(ours, "third")


def _first(server: Server, release: Release, ours: Driver) -> Outcome:
    """Deploy for the first time, with what goes wrong besides."""
    if release.locked is not None:
        before = release.files[release.locked - 1]
        outcome = ours.deploy(target=version_of(before))
        if not outcome.ok:
            return outcome
        with server.locked(OURS) as holder:
            attempts = iter(range(1, 99))

            def wait() -> None:
                if next(attempts) >= release.patience:
                    holder.rollback()

            ours.before_retry = wait
            return ours.deploy(lock_timeout=LOCK_TIMEOUT)
    if release.gone is not None:
        ours.before_step = lambda number: number != release.gone
    with server.killing(OURS, release.killed is not None):
        return ours.deploy()


def _nothing_to_do(ours: Driver, which: str) -> None:
    again = ours.deploy()
    _same(again.ok and not again.sent, f"the {which} run has something to do", f"{again}")


def version_of(file: File) -> str:
    """Return the version of a file, as the history has it."""
    match = re.match(r"V?(\d+)_", file.name)
    return match[1] if match else "repeated"


def _same(holds: bool, what: str, detail: str) -> None:
    if not holds:
        raise DifferenceError(f"{what}\n{detail}")


def _same_end(when: str, outcome: Outcome, state: str, failed: File | None) -> None:
    """Compare how the runs ended: at the same file, with the same SQLSTATE where both say one."""
    if not state:
        _same(outcome.ok, f"{when}: psql applies all, ours does not", outcome.failure or outcome.refused)
        return
    assert failed
    _same(not outcome.ok, f"{when}: psql fails in {failed.name} ({state}), ours does not", "")
    _same(
        outcome.file.rpartition("/")[2] in (failed.name, ""),
        f"{when}: psql fails in {failed.name} ({state}), ours in {outcome.file}",
        outcome.failure or outcome.refused,
    )
    if outcome.sqlstate and state != "57P01":  # the end of a session is told in words
        same = outcome.sqlstate == state or {outcome.sqlstate, state} <= NO_FUNCTION
        _same(same, f"{when}: {failed.name}: psql says {state}", outcome.failure)


def _compare(when: str, server: Server, psql: Psql) -> None:
    stands, acts = server.history(OURS)
    wanted = [version_of(file) for file in psql.applied]
    _same(
        stands == wanted, f"{when}: the history is no prefix of the plan that psql applied", f"{acts}\npsql: {wanted}"
    )
    _equal(when, server.holds(OURS), server.holds(THEIRS))
    _same(not (left := server.left(OURS)), f"{when}: something is left behind", str(left))


def _equal(when: str, ours: dict[str, str], theirs: dict[str, str]) -> None:
    if ours == theirs:
        return
    parts = []
    for name in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(name, "missing"), theirs.get(name, "missing")
        if mine != other:
            diff = difflib.unified_diff(other.splitlines(), mine.splitlines(), "psql", "ours", lineterm="", n=1)
            parts.append(f"{name}:\n" + "\n".join(diff))
    raise DifferenceError(f"{when}: the databases differ\n" + "\n".join(parts)[:6000])
