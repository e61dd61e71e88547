"""The repository as the collection that somebody installs: built, documented, run from outside a checkout."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from tests import undo
from tests.integration.conftest import place
from tests.local import BIN, ROOT, SECONDS, VERSIONS, environment, known_files

NAME = "physioflow.database"
# What serves the work on the collection and no user of it.
OURS = {".ci", ".config", ".github", ".venv", "collections", "molecule", "tests"}
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
ROLES = sorted(path.parents[1].name for path in ROOT.glob("roles/*/meta/argument_specs.yml"))


def run(folder: Path, program: str, *arguments: str, **variables: str) -> str:
    """Run a program of Ansible in a folder, where no ansible.cfg is."""
    done = subprocess.run(
        [BIN / program, *arguments],
        cwd=folder,
        env=environment() | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that `ansible-galaxy collection install` takes."""
    folder = tmp_path_factory.mktemp("artefact")
    run(ROOT, "ansible-galaxy", "collection", "build", "--output-path", str(folder))
    [built] = folder.glob("physioflow-database-*.tar.gz")
    return built


@pytest.fixture(scope="module")
def installed(artefact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing in it but the installed collection."""
    folder = tmp_path_factory.mktemp("installed")
    options = ["--collections-path", str(folder), "--no-deps", "--offline"]
    run(folder, "ansible-galaxy", "collection", "install", str(artefact), *options)
    return folder


def test_the_artefact_holds_what_a_deploy_needs_and_nothing_of_the_work_on_it(artefact: Path) -> None:
    with tarfile.open(artefact) as archive:
        names = {member.name for member in archive if member.isfile()}
    tracked = set(known_files(new=False))
    assert names - tracked == {"FILES.json", "MANIFEST.json"}, "no password, no key, no report of this checkout"
    assert {name.partition("/")[0] for name in names} & OURS == set()
    needed = ("deploy.yml", "files/", "meta/", "playbooks/", "plugins/", "roles/")
    assert {name for name in tracked if name.startswith(needed)} <= names


def test_ansible_doc_shows_each_module_and_each_role(installed: Path) -> None:
    where = {"ANSIBLE_COLLECTIONS_PATH": str(installed)}
    listed = json.loads(run(installed, "ansible-doc", "--json", "--list", NAME, **where))
    assert sorted(listed) == [f"{NAME}.{module}" for module in MODULES]
    assert all(listed.values())
    shown = run(installed, "ansible-doc", *listed, **where)
    assert shown.count("EXAMPLES") == len(MODULES)
    roles = json.loads(run(installed, "ansible-doc", "--json", "--list", "--type", "role", NAME, **where))
    assert sorted(roles) == [f"{NAME}.{role}" for role in ROLES]


def test_a_deploy_runs_from_outside_a_checkout(installed: Path, tmp_path: Path) -> None:
    server = place()
    variables = {
        "postgresql_provider": "embedded",
        "postgresql_embedded_directory": str(server.server),
        "backup_directory": str(server.folder / "backups"),
        "database_passwords": {purpose: os.urandom(16).hex() for purpose in ("owner", "app", "readonly", "backup")},
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"database_servers": {"hosts": {"clinic": variables}}}))
    with undo.afterwards(server.remove):
        where = {"ANSIBLE_COLLECTIONS_PATH": str(installed)}
        said = run(tmp_path, "ansible-playbook", f"{NAME}.deploy", "-i", str(inventory), **where)
        assert f"{len(VERSIONS)} applied now" in " ".join(said.split())
        assert server.psql("SELECT count(*) FROM migrations.applied", role="postgres") == str(len(VERSIONS))
