# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Attributes of every module of the collection; a module with diff mode overrides that attribute."""

from __future__ import annotations


class ModuleDocFragment:
    """Check mode, diff mode and platform."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in check mode and report what it would change, without changing anything.
    support: full
  diff_mode:
    description: Shows the changes, or what would change in check mode.
    support: none
  platform:
    description: Supported operating systems.
    platforms: posix
    support: full
"""
