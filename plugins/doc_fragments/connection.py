# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option that says how to reach the server."""

from __future__ import annotations


class ModuleDocFragment:
    """As many modules have it; `required` is that of modules which need a server."""

    DOCUMENTATION = r"""
options:
  connection:
    description:
      - How to reach the server, with the options of the module defaults group C(community.postgresql.all).
      - Left out where the server does not exist yet, which only check mode meets.
    type: dict
"""

    REQUIRED = r"""
options:
  connection:
    description: How to reach the server, with the options of the module defaults group C(community.postgresql.all).
    type: dict
    required: true
"""
