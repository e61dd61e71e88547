"""The commands of README and docs, as they stand there, typed into a fresh clone: the walk of somebody who reads them.

Every command is walked, or `ELSEWHERE` says why not. The clone's path has a space in it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import undo
from tests.local import ROOT, SECONDS, VERSIONS, Local, environment, known_files

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = (
    *("make", "ansible", "ansible-playbook", "ansible-galaxy", "ansible-vault", "molecule", "pytest", "psql", "pip"),
    *("python", "python3", ".venv/bin/python", ".venv/bin/pip", "echo", "."),
)

# Commands (patterns of their text) that are not walked.
ELSEWHERE = {
    r"-i inventories/(staging|production)|^ansible-vault|inventories/production/\.tls": "hosts: tests/hosts, molecule",
    r"^make (test|test-hosts|lint)\b|^pytest ": "what runs this",
    r"^make (fuzz|bench)\b|bench/queries\.py": "test_fuzz.py and test_bench.py run them small",
    r"^make docs": "test_docs.py",
    r"^make lock|^(\.venv/bin/)?pip |^python3 -m venv": "downloads",
    r"^molecule |tests\.hosts|^\. \.venv": "tests/hosts/test_molecule.py",
    r"ansible-galaxy|physioflow\.database\.deploy": "test_collection.py",
    r"^psql -U emr": "a server that listens to psql as it is installed; test_seeds.py runs the file",
    r"off_host": "test_backup_off_host.py has a repository",
    r"backup_list|restore_backup|restore_drop_old|drill_backup": "test_backup_playbooks.py",
    r"--check --diff": "test_deploy.py, test_plan.py",
    r"seed_set|partitions\.yml": "test_seeds.py, test_partitions.py",
    r"tests\.browser": "test_report.py",
    r"migrations_baseline": "test_adopt.py has databases that were made by hand",
    r"migrations_resolve": "test_faults_alone.py has a file in doubt",
    r"seed_scale=100": "minutes; test_seeds.py has another scale",
    r"local_directory=/srv": "a place outside the checkout",
    r"^make (status|report)$|playbooks/(backup|drill|seed)\.yml$": "`make demo` runs these",
    r"^ansible-playbook deploy\.yml$": "`make deploy` is this",
    r"backup_before_migration|terminate_blockers": "with something pending: test_apply.py, test_faults_locks.py",
    r"report\.yml -e report_language|status_file": "test_report.py, test_status.py",
    r"rollback_only|rollback_set": "test_rollback.py",
    r"clinic-release": "test_deploy.py",
}


class Step(NamedTuple):
    """A command, the words that it prints, and how it ends; before it what the page takes for granted."""

    command: str
    words: str = ""
    status: int = 0
    before: Callable[[Path], object] = lambda _: None


def beside(name: str) -> Callable[[Path], object]:
    """Return what copies the migrations into a folder beside the clone."""
    return lambda clone: shutil.copytree(clone / "files/migrations", clone.parent / name / "migrations")


def edit(clone: Path) -> None:
    """Edit two applied files by a comment."""
    for path in (path for version in ("007", "008") for path in (clone / "files/migrations").glob(f"{version}_*.sql")):
        path.write_text(f"{path.read_text()}-- reviewed\n")


PLAY = "ansible-playbook"
STEPS = [
    Step(f"{PLAY} deploy.yml -e migrations_target=010", "10 applied now"),
    Step("make demo", f"{len(VERSIONS) - 10} applied now"),
    Step("make deploy", f"0 applied now in 0 ms, {len(VERSIONS)} before"),
    Step("make psql", "PostgreSQL 16"),
    Step('echo "SET ROLE NONE; SELECT version, name', "bhyt_validation_rules"),
    Step('echo "SELECT indexrelid::regclass'),
    Step("make migrate", "0 applied now"),
    Step("make verify", "pt_service_codes"),
    Step("make promises"),
    Step(f"{PLAY} playbooks/plan.yml", f"0 pending, {len(VERSIONS)} applied"),
    Step(f"{PLAY} playbooks/status.yml -e status_format=json", '"database": "physioflow"'),
    Step(f"{PLAY} playbooks/report.yml -e report_directory=/srv/reports", "/reports"),
    Step(f"{PLAY} playbooks/rollback.yml -e rollback_to=010", "The rollback would lose rows", 2),
    Step(
        f"{PLAY} deploy.yml -e release_directory=../service/db", f"{len(VERSIONS)} applied now", 0, beside("service/db")
    ),
    Step(f"{PLAY} deploy.yml -e migrations_accept=007,008", "its edit is accepted", 0, edit),
    Step("make destroy"),
]


def commands() -> dict[str, str]:
    """Return the commands of the pages, each on one line and without its comment, with the place of its first."""
    found: dict[str, str] = {}
    for page in PAGES:
        text = re.sub(r" \\\n +", "  ", page.read_text())  # a line that goes on
        for number, line in enumerate(text.splitlines(), 1):
            command = " ".join(re.sub(r" +# .*", "", line).split())
            if line.startswith("   ") and command.split(" ")[0] in PROGRAMS:
                found.setdefault(command, f"{page.name}:{number}")
    return found


def test_each_command_of_the_pages_is_walked_or_tested_elsewhere() -> None:
    left = {
        command: place
        for command, place in commands().items()
        if not any(re.search(pattern, command) for pattern in ELSEWHERE)
    }
    walked = {step.command: [command for command in left if is_of(step, command)] for step in STEPS}
    assert {command: place for command, place in left.items() if [command] not in walked.values()} == {}
    assert [step for step, found in walked.items() if len(found) != 1] == []
    idle = [pattern for pattern in ELSEWHERE if not any(re.search(pattern, command) for command in commands())]
    assert idle == []


def is_of(step: Step, command: str) -> bool:
    """Whether a command is the one of a step: the same, or one that begins so where no other step is the same."""
    same = {each.command for each in STEPS}
    longest = max((each for each in same if command.startswith(each)), key=len, default="")
    return step.command == longest


@pytest.fixture
def clone() -> Iterator[Path]:
    """A copy of the checkout with its packages, and what it makes gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="physioflow-test-a clone-"))
    folder.chmod(0o755)
    made = folder / "physioflow database"
    with undo.afterwards(shutil.rmtree, folder, True), undo.afterwards(Local(made / ".local").remove):
        for name in known_files():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, made / name, follow_symlinks=False)
        (made / ".venv").symlink_to(ROOT / ".venv")
        yield made


def test_the_commands_of_the_pages_do_what_they_say(clone: Path, tmp_path: Path) -> None:
    listed = [command for command in commands() if not any(re.search(pattern, command) for pattern in ELSEWHERE)]
    for step in STEPS:
        [command] = [command for command in listed if is_of(step, command)]
        typed = command.replace("/srv/", f"{tmp_path}/")
        step.before(clone)
        done = subprocess.run(
            ["bash", "-c", f'PATH="$PWD/.venv/bin:$PATH"; {typed}'],
            cwd=clone,
            env=environment() | {"FORCE": "1"},
            input="SELECT version();",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        place = commands()[command]
        assert done.returncode == step.status, f"{place}: {typed}\n{done.stdout}"
        assert step.words in " ".join(done.stdout.split()), f"{place}: {typed}\n{done.stdout}"
    assert not (clone / ".local/postgresql").exists()
