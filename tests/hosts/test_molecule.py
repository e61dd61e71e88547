"""The scenarios of Molecule as tests, so that one command brings everything up and says what it did."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.hosts import hosts
from tests.hosts.system import HostsError
from tests.local import BIN, ROOT, environment

SCENARIOS = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
SECONDS = 900  # a scenario that takes longer hangs


@pytest.fixture(scope="session")
def _up() -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(hosts.session())
        except HostsError as error:
            # A build machine without Docker tests nothing and must not look green.
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no hosts for Molecule: {error}")
        yield


def test_there_are_scenarios() -> None:
    assert {"default", "unprivileged", "upgrade"} <= set(SCENARIOS)


@pytest.mark.usefixtures("_up")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str) -> None:
    def molecule(act: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "molecule", act, "--scenario-name", scenario],
            cwd=ROOT,
            env=environment() | {"MOLECULE_COMMAND_BORDERS": "false", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    try:
        done = molecule("test")
    except BaseException:
        molecule("destroy")
        raise
    assert done.returncode == 0, done.stdout
