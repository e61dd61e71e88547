"""The command: python -m tests.hosts up|down."""

from __future__ import annotations

import argparse
import sys

from tests.hosts import hosts
from tests.hosts.system import HostsError


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.hosts", description="Hosts for Molecule.")
    parser.add_argument("act", choices=["up", "down"])
    try:
        if parser.parse_args().act == "down":
            print("\n".join(hosts.down()))
        else:
            print("\n".join(f"{name}={value}" for name, value in hosts.up().items()))
            print(f"Molecule finds this in {hosts.ENVIRONMENT.name}. Next: molecule test -s default")
    except HostsError as error:
        print(f"No hosts on this machine: {error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
