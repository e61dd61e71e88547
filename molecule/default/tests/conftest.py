"""How the witness asks the server: by psql on the host, not by what the roles say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testinfra.host import Host


@pytest.fixture
def psql(host: Host) -> Callable[[str], str]:
    def ask(sql: str) -> str:
        return str(host.check_output("runuser -u postgres -- psql -XAtq -d physioflow -c %s", sql))

    return ask
