"""The Docker engine: the one that runs, or one that is started here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import docker
import docker.errors

from tests.hosts.system import CACHE, HostsError, Process, is_debian, locked, need, run, start, wait


def connect() -> docker.DockerClient | None:
    """Return a client of the engine that runs, None where none answers."""
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException:
        return None
    return client


def ensure() -> tuple[docker.DockerClient, Process | None]:
    """Return a client, and the engine's process where it had to be started here."""
    started = None
    with locked("engine"):
        client = connect()
        if client is None:
            started = _start()
            client = connect()
    if client is None:
        raise HostsError("the Docker engine does not answer any more")
    need("docker", "docker-cli", "docker.io")  # Ansible's connection calls it
    return client, started


def _start() -> Process | None:
    if place := os.environ.get("DOCKER_HOST"):
        raise HostsError(f"no Docker engine answers at DOCKER_HOST={place}; start it, or unset DOCKER_HOST")
    if os.geteuid() != 0 or not is_debian():
        raise HostsError("no Docker engine answers, and one is started here only by root on Debian; start Docker")
    need("dockerd", "docker.io", "docker-cli", "iptables")
    if Path("/run/systemd/system").exists():
        run("systemctl", "start", "docker.service")
        return None  # systemd's from now on
    log = CACHE / "dockerd.log"
    engine = start(["dockerd"], log)
    wait(lambda: connect() is not None or engine.poll() is not None, f"dockerd does not answer; see {log}")
    if engine.poll() is not None:
        raise HostsError(f"dockerd ended at once: {log.read_text(encoding='utf-8').splitlines()[-1]}")
    return Process.of(engine.pid)


def stop(engine: Process) -> str:
    """End an engine that was started here, unless somebody's containers run on it; return what was done."""
    client = connect()
    if client and (running := [container.name for container in client.containers.list()]):
        return f"Docker goes on: there are containers ({', '.join(sorted(running))})"
    engine.end()
    return "Docker stopped"


def bridge_address(client: docker.DockerClient) -> str:
    """Return the address at which containers reach this machine."""
    settings = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
    if "Gateway" in settings:
        return str(settings["Gateway"])
    # An engine without containers yet does not tell; the kernel does.
    try:
        words = run("ip", "-4", "-oneline", "address", "show", "docker0").split()
    except (HostsError, FileNotFoundError, subprocess.SubprocessError) as error:
        raise HostsError("the address of Docker's bridge is unknown") from error
    return words[words.index("inet") + 1].partition("/")[0]
