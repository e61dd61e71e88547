"""The hosts, one session of them for each process that runs tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NoReturn

import pytest

from tests.hosts import hosts
from tests.hosts.host import Host, made
from tests.hosts.system import HostsError


@pytest.fixture(scope="session")
def variables() -> Iterator[dict[str, str]]:
    """What Molecule is told: the images and the repository."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(hosts.session())
        except HostsError as error:
            give_up(error)
        yield found


@pytest.fixture(scope="session")
def deployed(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host with the release, for the tests of the group `deployed`; each leaves it as it was."""
    with made(tmp_path_factory.mktemp("deployed"), variables, "12") as host:
        result = host.deploy()
        assert result.status == 0, result.output
        yield host


def give_up(reason: HostsError) -> NoReturn:
    """End without hosts; where CI is set that is a failure, as a build that tested nothing must not look green."""
    text = f"no hosts for Molecule: {reason}"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)
