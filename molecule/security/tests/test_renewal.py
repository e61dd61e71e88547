"""Row S5 on the host whose certificate the side effect has renewed."""

from __future__ import annotations

import pytest
from testinfra.host import Host

testinfra_hosts = ["ansible://renewed"]


@pytest.mark.control("S5")
def test_a_certificate_is_renewed_by_a_reload(host: Host) -> None:
    now = host.check_output("openssl x509 -noout -serial -in /etc/postgresql/16/main/server.crt")
    assert now != host.file("/root/serial-before").content_string.strip()
    served = "openssl s_client -connect 127.0.0.1:5432 -starttls postgres </dev/null 2>/dev/null"
    assert host.check_output(f"{served} | openssl x509 -noout -serial") == now
    pid = host.check_output("head -1 /var/lib/postgresql/16/main/postmaster.pid")
    assert pid == host.file("/root/pid-before").content_string.strip()
