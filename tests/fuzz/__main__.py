"""The large run: `make fuzz`. Prints seed, number, refusals by reason, time, differences; ends with 1 if one is."""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz import backups, oracle
from tests.fuzz.releases import releases
from tests.fuzz.schemas import schemas
from tests.fuzz.server import Server
from tests.local import Local

CHUNK = 50  # examples of one seed


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=int, default=2000)
    parser.add_argument("--backups", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shrink", action="store_true", help="make what differs small: takes minutes")
    arguments = parser.parse_args()
    for end in (signal.SIGINT, signal.SIGTERM):  # a background process of a shell ignores the first
        signal.signal(end, signal.default_int_handler)

    folder = Path(tempfile.mkdtemp(prefix="physioflow-fuzz-"))
    folder.chmod(0o755)
    local = Local(folder / "local")
    try:
        local.deploy()
        server = Server.of(local)
        told = oracle.Told()
        found = _run(
            "releases",
            number=arguments.releases,
            first=arguments.seed,
            shrink=arguments.shrink,
            strategy=releases(),
            check=lambda drawn: oracle.check(server, drawn, folder, told),
        )
        found += _run(
            "backups",
            number=arguments.backups,
            first=arguments.seed,
            shrink=arguments.shrink,
            strategy=schemas(),
            check=lambda drawn: backups.check(server, drawn, folder, told),
        )
        for what, count in sorted(told.counts.items()):
            print(f"{count:6} {what}")
    finally:
        local.remove()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if found else 0


def _run(
    what: str, *, number: int, first: int, shrink: bool, strategy: st.SearchStrategy[Any], check: Callable[[Any], None]
) -> int:
    """Try examples, and print one difference of each kind: the shortest, or with `shrink` one that was made small."""
    began = time.monotonic()
    different: set[str] = set()
    found: dict[str, list[str]] = {}
    tried = 0

    def examples(drawn: Any) -> None:
        nonlocal tried
        tried += 1
        different.add(repr(drawn))
        try:
            check(drawn)
        except Exception as error:  # one of ours is a difference too: psql had none
            kind = re.sub(r"\S*\d\S*", "N", str(error).partition("\n")[0])
            found.setdefault(kind, []).append(f"{type(error).__name__}: {error}\n{drawn!r}")
            if shrink:
                raise

    for start in range(0, number, CHUNK):
        limits = settings(
            max_examples=min(CHUNK, number - start),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        )
        with contextlib.suppress(Exception):  # is in `found`
            seed(first + start)(limits(given(strategy)(examples)))()
        print(f"{what}: {tried} of {number}, {len(found)} kinds of differences", file=sys.stderr, flush=True)
    for kind, shown in found.items():
        print(f"\n{len(shown)} times: {kind}\n{min(shown, key=len)}")
    print(
        f"{what}: seed {first}, {tried} tried, {len(different)} different ones, "
        f"{sum(map(len, found.values()))} differences, {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return len(found)


if __name__ == "__main__":
    sys.exit(main())
