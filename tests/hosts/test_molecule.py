"""The scenarios of Molecule as tests, so that one command brings everything up and says what it did."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NoReturn

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
            give_up(error)
        yield


def give_up(reason: HostsError) -> NoReturn:
    """End without hosts; where CI is set that is a failure, as a build that tested nothing must not look green."""
    text = f"no hosts for Molecule: {reason}"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)


def test_there_are_scenarios() -> None:
    assert {"backup", "default", "unprivileged", "upgrade"} <= set(SCENARIOS)


def test_no_hosts_is_a_skip_by_name_and_in_ci_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no hosts for Molecule: start Docker"):
        give_up(HostsError("start Docker"))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no hosts for Molecule: start Docker"):
        give_up(HostsError("start Docker"))


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
