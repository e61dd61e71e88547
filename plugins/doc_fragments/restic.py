# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option with the repository for copies of backups."""

from __future__ import annotations


class ModuleDocFragment:
    """The option of the modules that take backups or install the programs for it."""

    DOCUMENTATION = r"""
options:
  restic:
    description: The repository for copies off the host.
    type: dict
    default: {}
    suboptions:
      repository:
        description: The repository, as for restic's option C(--repo); empty for none.
        type: str
        default: ""
      password:
        description: Password of the repository.
        type: str
        default: ""
      environment:
        description: Environment variables that this kind of repository needs.
        type: dict
        default: {}
      only:
        description: Keep no plain dump on the host.
        type: bool
        default: false
"""
