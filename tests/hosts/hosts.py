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
# Another checkout has its own mirror and its own containers.
RUN = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
STATE = CACHE / f"run-{RUN}"
STATE_FILE = STATE / "processes.json"
# Of roles/postgresql, as extra variables.
VARIABLES = STATE / "repository.yml"


def up() -> dict[str, str]:
    """Make what is missing, and return the environment of Molecule. A second call finds everything there."""
    state = _state()
    client, started = engine.ensure()
    if started:
        _remember(state := state | {"engine": started})
    variables = {f"PHYSIOFLOW_DEBIAN_{release}": image for release, image in images.ensure(client).items()}
    variables |= {"PHYSIOFLOW_RUN": RUN[:4]} | _repository(client, state)
    ENVIRONMENT.write_text(yaml.safe_dump(variables), encoding="utf-8")
    return variables


def _repository(client: docker.DockerClient, state: dict[str, Process]) -> dict[str, str]:
    # Where PGDG answers, the role finds it and its key by itself.
    told, settings = {}, {}
    if not mirror.reaches_pgdg():
        folder = mirror.ensure()
        address = STATE / f"{folder.name}.url"
        if not (folder.name in state and state[folder.name].alive):
            url, process = mirror.serve(folder, engine.bridge_address(client), STATE / f"{folder.name}.log")
            _remember(state | {folder.name: process})
            address.write_text(url, encoding="utf-8")
        key = folder / repository.KEY
        settings = {
            "postgresql_repository_url": address.read_text(encoding="utf-8"),
            "postgresql_repository_key": key.read_text(encoding="utf-8"),
        }
        told["POSTGRESQL_REPOSITORY_URL"] = settings["postgresql_repository_url"]
        told["POSTGRESQL_REPOSITORY_KEY_FILE"] = str(key)
    STATE.mkdir(parents=True, exist_ok=True)
    VARIABLES.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return told | {"PHYSIOFLOW_REPOSITORY": str(VARIABLES)}


def down() -> list[str]:
    """End what `up` started, and nothing else; return what was done."""
    done = []
    state = {name: process for name, process in _state().items() if process.alive}
    for name in sorted(state, reverse=True):  # mirrors first
        if name == "engine":
            done.append(engine.stop(state[name]))
        else:
            state[name].end()
            done.append(f"{name} stopped")
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
