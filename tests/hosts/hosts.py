"""Up and down: all that Molecule needs, and the end of what was started for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import yaml

from tests.hosts import engine, images, mirror, repository
from tests.hosts.system import CACHE, ROOT, Process

# Molecule reads this file by itself.
ENVIRONMENT = ROOT / ".env.yml"
STATE = CACHE / f"run-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]}"
STATE_FILE = STATE / "processes.json"


def up() -> dict[str, str]:
    """Make what is missing, and return the environment of Molecule. A second call finds everything there."""
    state = _state()
    client, started = engine.ensure()
    if started:
        _remember(state := state | {"engine": started})
    variables = {f"PHYSIOFLOW_DEBIAN_{release}": image for release, image in images.ensure(client).items()}
    variables |= _repository(client, state)
    ENVIRONMENT.write_text(yaml.safe_dump(variables), encoding="utf-8")
    return variables


def _repository(client: docker.DockerClient, state: dict[str, Process]) -> dict[str, str]:
    if url := mirror.pgdg():
        return {"POSTGRESQL_REPOSITORY_URL": url, "POSTGRESQL_REPOSITORY_KEY_FILE": ""}
    folder = mirror.ensure()
    log = STATE / "mirror.log"
    address = STATE / "mirror.url"
    if not ("mirror" in state and state["mirror"].alive):
        url, process = mirror.serve(folder, engine.bridge_address(client), log)
        _remember(state | {"mirror": process})
        address.write_text(url, encoding="utf-8")
    return {
        "POSTGRESQL_REPOSITORY_URL": address.read_text(encoding="utf-8"),
        "POSTGRESQL_REPOSITORY_KEY_FILE": str(folder / repository.KEY),
    }


def down() -> list[str]:
    """End what `up` started, and nothing else; return what was done."""
    done = []
    state = _state()
    if process := state.pop("mirror", None):
        process.end()
        done.append("mirror stopped")
    if (process := state.get("engine")) and process.alive:
        done.append(engine.stop(process))
    _remember({name: process for name, process in state.items() if process.alive})
    ENVIRONMENT.unlink(missing_ok=True)
    return done or ["nothing of ours ran"]


@contextmanager
def session() -> Iterator[dict[str, str]]:
    """Have hosts for as long as the block lasts, or longer where somebody had them up already."""
    theirs = any(process.alive for process in _state().values())
    try:
        yield up()
    finally:
        if not theirs:
            down()


def _state() -> dict[str, Process]:
    if not STATE_FILE.exists():
        return {}
    return {name: Process(*fields) for name, fields in json.loads(STATE_FILE.read_text(encoding="utf-8")).items()}


def _remember(state: dict[str, Process]) -> None:
    STATE.mkdir(parents=True, exist_ok=True)
    STATE_FILE.write_text(json.dumps(state), encoding="utf-8")
