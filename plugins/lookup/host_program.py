# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible lookup: the program that the timers of a host run, as one file."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: host_program
short_description: Build the program that the timers of a host run
description:
  - Packs plugins/module_utils into a zip that Python can run, in the temporary folder of the run, and returns its
    path. The same sources give the same bytes on every controller.
author:
  - PhysioFlow contributors
"""

EXAMPLES = r"""
- name: Put the program of the timers in place
  ansible.builtin.copy:
    src: "{{ lookup('physioflow.database.host_program').path }}"
    dest: /usr/local/lib/physioflow/physioflow.pyz
    owner: root
    group: root
    mode: "0755"
"""

RETURN = r"""
_raw:
  description: Path of the file on the controller, and its sha256.
  type: list
  elements: dict
"""

import hashlib
import io
import os
import zipfile
from pathlib import Path

from ansible import constants
from ansible.plugins.lookup import LookupBase
from ansible_collections.physioflow.database.plugins import module_utils

PACKAGE = "ansible_collections/physioflow/database/plugins/module_utils"
SHEBANG = b"#!/usr/bin/python3 -IB\n"
MAIN = f"import sys\n\nfrom {PACKAGE.replace('/', '.')}.host_program import main\n\nsys.exit(main())\n"
NOT_THERE = {"embedded", "system"}  # packages that serve modules only


def program(folder: Path) -> bytes:
    """Return the program: the Python files of a folder under the name of the collection, and a start script."""
    found = {path.relative_to(folder): path.read_text(encoding="utf-8") for path in folder.rglob("*.py")}
    files = {f"{PACKAGE}/{path}": text for path, text in found.items() if path.parts[0] not in NOT_THERE}
    files |= {f"{parent}/__init__.py": "" for parent in list(Path(PACKAGE).parents)[:-1]}
    files["__main__.py"] = MAIN
    stream = io.BytesIO(SHEBANG)
    # Not compressed, because the result depends on the zlib version; each entry has the default date of ZipInfo.
    with zipfile.ZipFile(stream, "a") as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name])
    return stream.getvalue()


class LookupModule(LookupBase):  # type: ignore[misc] # Ansible publishes no type information
    """The lookup."""

    def run(self, *_: object, **__: object) -> list[dict[str, str]]:
        """Build the program."""
        content = program(Path(module_utils.__path__[0]))
        path = Path(constants.DEFAULT_LOCAL_TMP, "physioflow.pyz")
        if not path.exists():  # atomically, as all hosts of a play share it
            fresh = path.with_suffix(f".{os.getpid()}")
            fresh.write_bytes(content)
            fresh.replace(path)
        return [{"path": str(path), "sha256": hashlib.sha256(content).hexdigest()}]
