# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible lookup: the names of what was given with -e."""

from __future__ import annotations

DOCUMENTATION = r"""
name: extra_variables
author:
  - PhysioFlow contributors
short_description: Names of the variables that were given with -e
description:
  - Returns the names of all extra variables, also of those in files. Among the variables of a host they cannot be told
    from those of the inventory, and a mistake in them is one of this very command.
"""

EXAMPLES = r"""
- name: Show what was given
  ansible.builtin.debug:
    msg: "{{ query('extra_variables') }}"
"""

RETURN = r"""
_raw:
  description: The names.
  type: list
  elements: str
"""

from ansible.plugins.lookup import LookupBase
from ansible.utils.vars import load_extra_vars


class LookupModule(LookupBase):  # type: ignore[misc] # Ansible publishes no type information
    """The lookup."""

    def run(self, _terms: list[str], variables: object = None, **_options: object) -> list[str]:  # noqa: ARG002
        """Return the names."""
        return sorted(map(str, load_extra_vars(self._loader)))
