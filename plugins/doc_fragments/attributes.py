# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What holds for every module of the collection; one that shows differences says so itself."""

from __future__ import annotations


class ModuleDocFragment:
    """Check mode, diff mode and platform."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in check mode and say what it would change, without changing anything.
    support: full
  diff_mode:
    description: Shows what it changes, or would change in check mode.
    support: none
  platform:
    description: Operating systems that it runs on.
    platforms: posix
    support: full
"""
