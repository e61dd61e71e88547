# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option that says where copies of backups go."""

from __future__ import annotations


class ModuleDocFragment:
    """As the modules have it that take backups, or put there what takes them."""

    DOCUMENTATION = r"""
options:
  restic:
    description: The repository for copies off the host.
    type: dict
    default: {}
    suboptions:
      repository:
        description: As restic's option C(--repo) takes it; empty for none.
        type: str
        default: ""
      password:
        description: Password of the repository.
        type: str
        default: ""
      environment:
        description: Variables that the kind of repository needs.
        type: dict
        default: {}
      only:
        description: Let no plain dump stay on the host.
        type: bool
        default: false
"""
