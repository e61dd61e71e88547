"""Up and down: all that Molecule needs, and the end of what was started for it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import yaml

from tests import undo
from tests.hosts import engine, images, mirror, repository
from tests.hosts.system import CACHE, ROOT, Process, locked

# Molecule reads this file by itself.
ENVIRONMENT = ROOT / ".env.yml"
# Another checkout has its own mirror and its own containers.
RUN = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
STATE = CACHE / f"run-{RUN}"
STATE_FILE = STATE / "processes.json"
# Of roles/postgresql, as extra variables.
VARIABLES = STATE / "repository.yml"
# There from `up` to `down` of a person: sessions end nothing then.
KEPT = STATE / "kept"
# Every session holds a shared lock of it. The system takes it from one that was killed.
USERS = STATE / "users"


def up() -> dict[str, str]:
    """Make what is missing, and return the environment of Molecule. A second call finds everything there."""
    with _one_at_a_time():
        KEPT.touch()
        return _up()


def _up() -> dict[str, str]:
    state = processes()
    client, started = engine.ensure()
    if started:
        _remember(state := state | {"engine": started})
    variables = {f"PHYSIOFLOW_DEBIAN_{release}": image for release, image in images.ensure(client).items()}
    variables |= {"PHYSIOFLOW_RUN": RUN[:4]} | _repository(client, state)
    _write(ENVIRONMENT, yaml.safe_dump(variables))
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
            _write(address, url)
        key = folder / repository.KEY
        settings = {
            "postgresql_repository_url": address.read_text(encoding="utf-8"),
            "postgresql_repository_key": key.read_text(encoding="utf-8"),
        }
        told["POSTGRESQL_REPOSITORY_URL"] = settings["postgresql_repository_url"]
        told["POSTGRESQL_REPOSITORY_KEY_FILE"] = str(key)
    _write(VARIABLES, yaml.safe_dump(settings))
    return told | {"PHYSIOFLOW_REPOSITORY": str(VARIABLES)}


def down() -> list[str]:
    """End what was started, and nothing else, as soon as no session needs it; return what was done."""
    with _one_at_a_time():
        KEPT.unlink(missing_ok=True)
        return ["tests run; what was started goes when they end"] if _used() else _down()


def _down() -> list[str]:
    done = []
    state = {name: process for name, process in processes().items() if process.alive}
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
    """Have hosts for as long as the block lasts. Of several sessions the first makes them and the last ends them."""
    STATE.mkdir(parents=True, exist_ok=True)
    with undo.afterwards(end_unused), USERS.open("w") as users:
        with _one_at_a_time():
            fcntl.flock(users, fcntl.LOCK_SH)
            found = _up()
        yield found


def end_unused() -> None:
    """End what was started, unless a session needs it or a person keeps it."""
    with _one_at_a_time():
        if not KEPT.exists() and not _used():
            _down()


def _used() -> bool:
    with USERS.open("w") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    STATE.mkdir(parents=True, exist_ok=True)
    with locked(f"hosts-{RUN}"):
        yield


def processes() -> dict[str, Process]:
    """Return what was started and may run still, by name."""
    if not STATE_FILE.exists():
        return {}
    return {name: Process(*fields) for name, fields in json.loads(STATE_FILE.read_text(encoding="utf-8")).items()}


def _remember(state: dict[str, Process]) -> None:
    _write(STATE_FILE, json.dumps(state))


def _write(path: Path, text: str) -> None:
    # In one step: a scenario of another process may be about to read it.
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
