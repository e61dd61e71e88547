"""Makes the Python of the roles importable the way Ansible does it.

A role's ``module_utils/NAME.py`` becomes ``ansible.module_utils.NAME``; a role's ``library/NAME.py`` becomes
the module ``NAME``. Nothing is copied: the tests run the files that Ansible runs.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class _RoleFinder:
    """A finder for sys.meta_path that knows the Python folders of the roles."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> object:
        """Return the spec of a role's module, or None where another finder has to answer."""
        prefix = "ansible.module_utils."
        folder = "module_utils" if name.startswith(prefix) else "library"
        found = sorted(ROOT.glob(f"roles/*/{folder}/{name.removeprefix(prefix)}.py"))
        if not found or "." in name.removeprefix(prefix):
            return None
        return importlib.util.spec_from_file_location(name, found[0])


importlib.import_module("ansible.module_utils")
sys.meta_path.append(_RoleFinder)  # type: ignore[arg-type]
