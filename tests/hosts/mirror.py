"""Where the hosts get PostgreSQL 16 from: PGDG, or a mirror made and served here."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import shutil
import sys
import tempfile
import urllib.request
from pathlib import Path

import yaml

from tests.hosts import images, packages, repository
from tests.hosts.system import CACHE, ROOT, HostsError, Process, locked, need, start, wait


def reaches_pgdg() -> bool:
    """Whether the repository that the role uses by itself answers here."""
    defaults = ROOT / "roles/postgresql/defaults/main.yml"
    url = yaml.safe_load(defaults.read_text(encoding="utf-8"))["postgresql_repository_url"]
    try:
        urllib.request.urlopen(f"{url}/dists/{images.SUITES['12']}-pgdg/InRelease", timeout=10).close()
    except (OSError, http.client.HTTPException):
        return False
    return True


def ensure() -> Path:
    """Return the folder of the mirror, built where it is absent; it is named by what it is made of."""
    sources = [Path(packages.__file__), Path(repository.__file__)]
    recipe = json.dumps([packages.pins(), sorted(images.SUITES.values()), [path.read_text() for path in sources]])
    folder = CACHE / f"mirror-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    with locked("mirror"):
        if not folder.exists():
            need("gpg", "gnupg")
            if not shutil.which("dpkg-deb"):
                raise HostsError("neither PGDG can be reached nor is there dpkg-deb to build packages with")
            with tempfile.TemporaryDirectory(dir=CACHE) as work:
                root = Path(work) / "mirror"
                built = packages.build(root, Path(work))
                repository.publish(root, [f"{suite}-pgdg" for suite in images.SUITES.values()], built)
                root.rename(folder)
    return folder


def serve(folder: Path, address: str, log: Path) -> tuple[str, Process]:
    """Serve a mirror on the bridge of Docker, on a port that is free; return its address and process."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", address, "--directory", str(folder)]
    server = start(command, log)
    told = re.compile(r"port (\d+)")
    wait(lambda: bool(told.search(log.read_text())) or server.poll() is not None, "the mirror does not start")
    if not (port := told.search(log.read_text())):
        raise HostsError(f"the mirror cannot be served at {address}: {log.read_text().splitlines()[-1]}")
    return f"http://{address}:{port[1]}", Process.of(server.pid)
