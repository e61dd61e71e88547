"""Images of Debian under systemd, named by what they are made of and built only where they are absent."""

from __future__ import annotations

import hashlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import docker.errors

from tests.hosts.system import CACHE, HostsError, locked, need, run

SUITES = {"12": "bookworm", "13": "trixie"}
REPOSITORY = "physioflow-debian"
PACKAGES = [
    *("systemd", "systemd-sysv", "dbus"),
    *("openssh-server", "sudo", "python3", "python3-apt"),
    *("ca-certificates", "locales", "procps"),
    "iproute2",  # with it the tests see what listens
]
DOCKERFILE = Path(__file__).with_name("Dockerfile")


def name(release: str) -> str:
    """Return the name of an image; another recipe is another name, and an older one stays usable."""
    recipe = f"{SUITES[release]} {' '.join(PACKAGES)} {DOCKERFILE.read_text(encoding='utf-8')}"
    return f"{REPOSITORY}:{release}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def ensure(client: docker.DockerClient) -> dict[str, str]:
    """Return the images by release, all of them there."""
    with locked("images"), ThreadPoolExecutor() as pool:
        missing = [release for release in SUITES if not client.images.list(name(release))]
        if missing:
            build = _build if _registry_answers(client, SUITES[missing[0]]) else _bootstrap
            list(pool.map(lambda release: build(client, release), missing))
        for release in SUITES:  # for people
            client.images.get(name(release)).tag(REPOSITORY, release)
    return {release: name(release) for release in SUITES}


def _registry_answers(client: docker.DockerClient, suite: str) -> bool:
    try:
        client.images.pull("debian", tag=suite)
    except docker.errors.APIError:
        return False
    return True


def _build(client: docker.DockerClient, release: str) -> None:
    arguments = {"SUITE": SUITES[release], "PACKAGES": " ".join(PACKAGES)}
    try:
        client.images.build(path=str(DOCKERFILE.parent), tag=name(release), buildargs=arguments, rm=True)
    except docker.errors.BuildError as error:
        raise HostsError(f"the image {name(release)} cannot be built: {error}") from error


def _bootstrap(client: docker.DockerClient, release: str) -> None:
    try:
        need("mmdebstrap", "mmdebstrap")
    except HostsError as error:
        raise HostsError(f"debian:{SUITES[release]} cannot be pulled, and without a registry {error}") from error
    # By way of a file: an interrupted stream would be imported as far as it came.
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        archive = Path(folder) / "root.tar"
        run("mmdebstrap", "--variant=apt", f"--include={','.join(PACKAGES)}", SUITES[release], str(archive))
        repository, tag = name(release).split(":")
        client.api.import_image_from_file(str(archive), repository=repository, tag=tag)
    client.images.get(name(release))  # the import reports a failure in what it prints only
