"""`ansible-test sanity` of the collection: those checks that need nothing from the network. Part of `make lint`.

The checkout is copied to where ansible-test wants it, a real folder `ansible_collections/physioflow/database`. The
check of modules, which ansible-test would run in an environment that it downloads, runs in ours, where what modules
import is installed: so their argument specs are compared with their documentation, too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import ansible_collections
import ansible_test

from tests.local import BIN, ROOT, known_files

CHECKS = (
    "action-plugin-docs",
    "compile",
    "empty-init",
    "ignores",
    "line-endings",
    "no-assert",
    "no-get-exception",
    "no-illegal-filenames",
    "no-smart-quotes",
    "replace-urlopen",
    "shebang",
    "symlinks",
    "use-argspec-type-path",
    "use-compat-six",
)
VALIDATE = Path(ansible_test.__file__).parent / "_util/controller/sanity/validate-modules/validate.py"
NAME = "ansible_collections/physioflow/database"


def copy(folder: Path) -> Path:
    """Copy what git knows, without the link of the checkout to itself; the collections that ours needs are linked."""
    checkout = folder / NAME
    for name in known_files():
        if not name.startswith("collections/"):
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, checkout / name)
    [community] = [path for path in map(Path, ansible_collections.__path__) if (path / "community").is_dir()]
    (folder / "ansible_collections/community").symlink_to(community / "community")
    return checkout


def main() -> int:
    """Run the checks, and print what they find; return how the program ends."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = copy(Path(folder))
        variables = {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": folder, "ANSIBLE_COLLECTIONS_PATH": folder}

        def run(*command: str | Path) -> list[str]:
            done = subprocess.run(
                command, cwd=checkout, env=os.environ | variables, capture_output=True, text=True, check=False
            )
            told = (done.stdout + done.stderr).splitlines()
            return [line for line in told if not line.startswith(("WARNING", "Running"))] if done.returncode else []

        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        checks = [part for check in CHECKS for part in ("--test", check)]
        found = run(BIN / "ansible-test", "sanity", "--python", version, "--color", "no", *checks)
        modules = sorted(str(path.relative_to(checkout)) for path in (checkout / "plugins/modules").glob("*.py"))
        found += run(sys.executable, VALIDATE, "--arg-spec", "--collection", NAME, *modules)
    print("\n".join(found), end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
