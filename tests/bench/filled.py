"""A server of its own with a database full of invented patients, for the benches that need one."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.local import Local


@contextmanager
def filled(description: str | None, scale: int, **variables: Any) -> Iterator[tuple[Local, int]]:
    """Read the command line, deploy and seed; yields the server and the scale, and removes the server.

    Args:
        description: what `--help` says.
        scale: times 200 patients, unless `--scale` says another number.
        variables: extra variables of the deploy.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=scale, help="times 200 patients (%(default)s)")
    scale = parser.parse_args().scale
    folder = Path(tempfile.mkdtemp(prefix="physioflow-bench-"))
    folder.chmod(0o755)
    local = Local(folder)
    try:
        local.deploy(**variables)
        begin = time.monotonic()
        seeded = local.play("playbooks/seed.yml", seed_scale=scale)
        assert seeded.status == 0, seeded.output
        print(f"seeded in {time.monotonic() - begin:.0f} s")
        yield local, scale
    finally:
        local.remove()
