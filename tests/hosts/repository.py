"""An apt repository laid out like PGDG: suite CODENAME-pgdg, component main, signed with a key of its own."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from tests.hosts.system import run

KEY = "repository-key.asc"


def index(packages: Iterable[Mapping[str, str]], root: Path) -> str:
    """Return the list of packages as apt reads it."""
    stanzas = []
    for fields in packages:
        content = (root / fields["Filename"]).read_bytes()
        found = {"Size": str(len(content)), "SHA256": hashlib.sha256(content).hexdigest()}
        stanzas.append("".join(f"{key}: {value}\n" for key, value in {**fields, **found}.items()))
    return "\n".join(stanzas)


def release(suite: str, architecture: str, files: Mapping[str, bytes]) -> str:
    """Return the Release file of a suite, which vouches for the lists by their hashes."""
    fields = {
        "Origin": "physioflow-tests",
        "Label": "PostgreSQL for the tests of PhysioFlow",
        "Suite": suite,
        "Codename": suite,
        "Date": format_datetime(datetime.now(UTC), usegmt=True),
        "Architectures": architecture,
        "Components": "main",
    }
    head = "".join(f"{key}: {value}\n" for key, value in fields.items())
    hashes = "".join(f" {hashlib.sha256(text).hexdigest()} {len(text)} {name}\n" for name, text in files.items())
    return f"{head}SHA256:\n{hashes}"


def publish(root: Path, suites: Iterable[str], packages: list[dict[str, str]]) -> None:
    """Write the lists of all suites, sign them, and put the public key beside them.

    The private key is thrown away: nothing else can ever be signed with it.
    """
    architecture = packages[0]["Architecture"]
    lists = index(packages, root).encode()
    folder = f"main/binary-{architecture}"
    files = {f"{folder}/Packages": lists, f"{folder}/Packages.gz": gzip.compress(lists, mtime=0)}
    # Not below root: the agent's socket needs a short path.
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:
        gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"]
        run(*gpg, "--quick-generate-key", "PhysioFlow tests", "ed25519", "sign", "never")
        try:
            for suite in suites:
                place = root / "dists" / suite
                (place / folder).mkdir(parents=True)
                for name, content in files.items():
                    (place / name).write_bytes(content)
                (place / "Release").write_text(release(suite, architecture, files), encoding="utf-8")
                run(*gpg, "--clearsign", "--output", "InRelease", "Release", cwd=place)
                run(*gpg, "--armor", "--detach-sign", "--output", "Release.gpg", "Release", cwd=place)
            run(*gpg, "--armor", "--export", "--output", str(root / KEY))
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
