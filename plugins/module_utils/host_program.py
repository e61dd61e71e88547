# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program that the timers of a host run without Ansible; the lookup host_program builds it."""

from __future__ import annotations

import sys

from .backup import actions
from .pitr import drill
from .status import program

COMMANDS = {"backup": actions.main, "pitr": drill.main, "status": program.main}


def main() -> int:
    """Run the command named by the first argument; the command parses the others itself."""
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        print(f"usage: {sys.argv[0]} {{{','.join(COMMANDS)}}} ...", file=sys.stderr)
        return 2
    return COMMANDS[name]()
