"""The newest Ansible as controller: Debian 13 has Python 3.13, for which requirements-dev.txt pins Ansible 14."""

from __future__ import annotations

import hashlib
import io
import platform
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.hosts.host import Host, docker, made
from tests.local import ROOT, VERSIONS, Result, known_files

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("controller")]

PYTHON = "3.13"
CACHE = Path.home() / ".cache/physioflow-database"
HOME = "/home/developer"
CHECKOUT = f"{HOME}/database"


def pins() -> str:
    """Return those lines of requirements-dev.txt that count for that Python, without their markers."""
    there = {"python_version": PYTHON, "python_full_version": f"{PYTHON}.0", "implementation_name": "cpython"}
    entries: list[list[str]] = []
    for line in (ROOT / "requirements-dev.txt").read_text().splitlines():
        if line.startswith((" ", "#")):
            entries[-1].append(line)
        else:
            entries.append([line])
    wanted = []
    for first, *rest in entries:
        requirement = Requirement(first.removesuffix("\\").strip())
        if requirement.marker is None or requirement.marker.evaluate(there):
            hashes = [line for line in rest if "--hash" in line]
            wanted.append("\n".join([f"{requirement.name}{requirement.specifier} \\", *hashes]))
    return "\n".join(wanted) + "\n"


@pytest.fixture(scope="module")
def wheels() -> Path:
    """A folder with the wheels that are pinned for that Python, by pip."""
    text = pins()
    folder = CACHE / f"wheels-{PYTHON}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    if not (folder / "requirements.txt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pins").write_text(text)
        machine = platform.machine()
        platforms = [part for glibc in ("17", "28") for part in ("--platform", f"manylinux_2_{glibc}_{machine}")]
        options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version", PYTHON, *platforms]
        options += ["--platform", f"manylinux2014_{machine}", "--quiet", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "download", *options, "-d", str(folder), "-r", str(folder / "pins")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (folder / "pins").rename(folder / "requirements.txt")
    return folder


@pytest.fixture(scope="module")
def controller(variables: dict[str, str], wheels: Path, tmp_path_factory: Any) -> Iterator[Host]:
    """A host with the checkout and its requirements, in the home of an ordinary user."""
    with made(tmp_path_factory.mktemp("controller"), variables, "13") as host:
        host.run("apt-get update -qq && apt-get install -qq --no-install-recommends git python3-venv")
        host.run("useradd --create-home --shell /bin/bash developer")
        docker("cp", str(wheels), f"{host.name}:{HOME}/wheels")
        copy_checkout(host)
        host.run(f"mkdir -p {HOME}/.cache/physioflow-database")
        for part in CACHE.iterdir():  # what an embedded server is made of, where it was downloaded before
            if part.is_file():
                docker("cp", str(part), f"{host.name}:{HOME}/.cache/physioflow-database/{part.name}")
        host.run(f"chown -R developer: {HOME}")
        user(host, "git init --quiet && git add --all")  # some tests ask git what belongs to the checkout
        user(
            host,
            "python3 -m venv .venv && .venv/bin/pip install --quiet --no-compile --no-index "
            f"--find-links {HOME}/wheels --no-deps --require-hashes -r {HOME}/wheels/requirements.txt",
        )
        yield host


def copy_checkout(host: Host) -> None:
    """Put on the host what git knows of the checkout."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in known_files():
            tar.add(ROOT / name, f"database/{name}", recursive=False)
    subprocess.run(
        ["docker", "cp", "-", f"{host.name}:{HOME}"], input=archive.getvalue(), capture_output=True, check=True
    )


def user(host: Host, command: str) -> str:
    """Run a command of the shell in the checkout, as the ordinary user."""
    path = f"export PATH={CHECKOUT}/.venv/bin:$PATH LC_ALL=C.UTF-8"
    return docker("exec", "--user", "developer", "--workdir", CHECKOUT, host.name, "bash", "-c", f"{path}; {command}")


def test_deploys_and_changes_nothing_the_second_time(controller: Host) -> None:
    assert "core 2.2" in user(controller, "ansible --version")
    first = user(controller, "ansible-playbook deploy.yml")
    assert f"{len(VERSIONS)} applied now" in first
    again = user(controller, "ansible-playbook deploy.yml")
    assert Result(0, again).changed == 0
    assert "0 applied now" in again


def test_passes_the_unit_tests(controller: Host) -> None:
    """But for pgspot, which uv would fetch; /tmp of the host holds no programs."""
    options = f"-q -p no:cacheprovider --ignore tests/unit/test_spot.py --basetemp {HOME}/tmp"
    printed = user(controller, f"python -m pytest tests/unit {options} 2>&1 || true")
    assert re.search(r"^\d+ passed(, \d+ skipped)? in", printed, re.MULTILINE), printed
