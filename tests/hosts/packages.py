"""PostgreSQL 16 as .debs where PGDG is out of reach: the files of the embedded server, packed like PGDG's.

The programs are those that roles/postgresql_embedded pins, downloads and verifies. The packages behave like PGDG's in
what a role sees: names, dependencies, places below /usr/lib/postgresql/16, the cluster `main` that postgresql-common
makes on installation, and its end on removal.
"""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.hosts.system import ROOT, run

MAJOR = "16"
MAINTAINER = "PhysioFlow tests <tests@localhost>"
DEPENDS = {
    "server": f"postgresql-client-{MAJOR}, postgresql-common (>= 241~), ssl-cert, locales, tzdata",
    "client": "postgresql-client-common (>= 182~)",
}
NAMES = {"server": f"postgresql-{MAJOR}", "client": f"postgresql-client-{MAJOR}"}
PROVIDES = {"server": f"postgresql-contrib-{MAJOR}", "client": "postgresql-client"}
COMMON = "#!/bin/sh\nset -e\n. /usr/share/postgresql-common/maintscripts-functions\n"
SCRIPTS = {
    "postinst": COMMON + f'if [ "$1" = configure ]; then configure_version {MAJOR} "$2"; fi\n',
    "prerm": COMMON + f'stop_version {MAJOR}\nif [ "$1" = remove ]; then remove_version {MAJOR}; fi\n',
}


def pins() -> dict[str, dict[str, str]]:
    """Return what is pinned for this machine, by part."""
    variables = yaml.safe_load((ROOT / "roles/postgresql_embedded/vars/main.yml").read_text(encoding="utf-8"))
    found: dict[str, dict[str, str]] = _embedded().pins_of(variables["__postgresql_embedded_packages"])
    return found


def build(target: Path, work: Path) -> list[dict[str, str]]:
    """Build both .debs into a folder; return their control fields with the file's path."""
    embedded = _embedded()
    tree = work / "tree"
    embedded.unpack(embedded.fetch(pins(), embedded.cache_folder("")), tree)
    version = run(str(tree / "bin/postgres"), "--version").split()[-1]
    roots = {part: work / part for part in NAMES}
    homes = {part: root / "usr/lib/postgresql" / MAJOR for part, root in roots.items()}
    (homes["client"] / "bin").mkdir(parents=True)
    for program in sorted((tree / "bin").iterdir()):
        if program.is_symlink():  # into client/
            program.rename(homes["client"] / "bin" / program.name)
    (tree / "client").rename(homes["client"] / "client")
    shutil.copytree(tree, homes["server"], symlinks=True)
    return [_deb(part, version, roots[part], target) for part in NAMES]


def _embedded() -> Any:
    return importlib.import_module("ansible_collections.physioflow.database.plugins.module_utils.embedded.packages")


def _deb(part: str, version: str, root: Path, target: Path) -> dict[str, str]:
    size = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file()) // 1024
    fields = {
        "Package": NAMES[part],
        "Version": f"{version}-0+repackaged1",
        "Architecture": run("dpkg", "--print-architecture").strip(),
        "Maintainer": MAINTAINER,
        "Installed-Size": str(size),
        "Depends": DEPENDS[part],
        "Provides": PROVIDES[part],
        "Section": "database",
        "Priority": "optional",
        "Description": f"PostgreSQL {MAJOR} for tests, repackaged from the embedded server",
    }
    control = root / "DEBIAN"
    control.mkdir()
    (control / "control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()), encoding="utf-8")
    for name, text in SCRIPTS.items() if part == "server" else ():
        (control / name).write_text(text, encoding="utf-8")
        (control / name).chmod(0o755)
    for path in (root, *root.rglob("*")):  # whatever the umask here is
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    folder = target / "pool/main/p" / fields["Package"]
    folder.mkdir(parents=True)
    file = folder / f"{fields['Package']}_{fields['Version']}_{fields['Architecture']}.deb"
    run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(root), str(file))
    return fields | {"Filename": str(file.relative_to(target))}
