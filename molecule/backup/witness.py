"""Looks into the command line and the environment of every process of the host until it is stopped.

Reads the secrets, one a line, from the file that is named first, and writes the JSON that is named second: the programs
that it saw, and those that showed a secret.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path


def look(secrets: list[bytes], programs: set[str], shown: set[str]) -> None:
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                text = (process / name).read_bytes()
            except OSError:  # it has ended
                continue
            if name == "cmdline":
                program = Path(text.split(b"\0", 1)[0].decode(errors="replace")).name
                programs.add(program)
            if any(secret in text for secret in secrets):
                shown.add(f"{name} of {program}")


def main() -> None:
    secrets = Path(sys.argv[1]).read_bytes().split()
    programs: set[str] = set()
    shown: set[str] = set()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while True:
            look(secrets, programs, shown)
            time.sleep(0.03)
    finally:
        Path(sys.argv[2]).write_text(json.dumps({"programs": sorted(programs), "shown": sorted(shown)}))


if __name__ == "__main__":
    main()
