"""The commands of README and docs, as they stand there, typed into a fresh clone: the walk of somebody who reads them.

Every command is walked, or `ELSEWHERE` says why not. The clone's path has a space in it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

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
    r"migrations_accept": "test_adopt.py",
    r"migrations_resolve": "test_faults_alone.py has a file in doubt",
    r"seed_scale=100": "minutes; test_seeds.py has another scale",
    r"local_directory=/srv": "a place outside the checkout",
    r"^make (status|report)$|playbooks/(backup|drill|seed)\.yml$": "`make demo` runs these",
    r"^(make deploy|ansible-playbook deploy\.yml)$": "`make demo` begins with this",
    r"^make (migrate|verify)$|^echo ": "test_commands.py",
    r"playbooks/plan\.yml": "test_plan.py",
    r"backup_before_migration|terminate_blockers": "with something pending: test_apply.py, test_faults_locks.py",
    r"report\.yml -e report_|status_file|status_format": "test_report.py, test_status.py",
    r"rollback_to|rollback_only|rollback_set": "test_rollback.py",
    r"clinic-release|migrations_target": "test_deploy.py",
}


# Commands that are walked, by how they begin, and words that they print.
STEPS = {
    "make demo": f"{len(VERSIONS)} applied now",
    "make psql": "PostgreSQL 16",
    "make promises": "",
    "ansible-playbook deploy.yml -e release_directory=../service/db": "1 applied now",
    "make destroy": "",
}


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


def walked() -> dict[str, str]:
    """Return those of them that are walked here."""
    return {
        command: place
        for command, place in commands().items()
        if not any(re.search(pattern, command) for pattern in ELSEWHERE)
    }


def test_each_command_of_the_pages_is_walked_or_tested_elsewhere() -> None:
    left = walked()
    assert {command: place for command, place in left.items() if not command.startswith(tuple(STEPS))} == {}
    assert [step for step in STEPS if sum(command.startswith(step) for command in left) != 1] == []
    idle = [pattern for pattern in ELSEWHERE if not any(re.search(pattern, command) for command in commands())]
    assert idle == []


@pytest.fixture
def clone() -> Iterator[Path]:
    """A copy of the checkout with its packages, and a release beside it; what it makes is gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="physioflow-test-a clone-"))
    folder.chmod(0o755)
    made = folder / "physioflow database"
    with undo.afterwards(shutil.rmtree, folder, True), undo.afterwards(Local(made / ".local").remove):
        for name in known_files():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, made / name, follow_symlinks=False)
        (made / ".venv").symlink_to(ROOT / ".venv")
        (folder / "service/db/migrations").mkdir(parents=True)
        shutil.copy2(next(made.glob("files/migrations/001_*")), folder / "service/db/migrations")
        yield made


def test_the_commands_of_the_pages_do_what_they_say(clone: Path) -> None:
    for step, words in STEPS.items():
        [(typed, place)] = [(command, place) for command, place in walked().items() if command.startswith(step)]
        if step == "make promises":
            for path in clone.glob("files/migrations/0[1-9]*"):  # nine are enough of them
                path.unlink()
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
        assert done.returncode == 0, f"{place}: {typed}\n{done.stdout}"
        assert words in " ".join(done.stdout.split()), f"{place}: {typed}\n{done.stdout}"
    assert not (clone / ".local/postgresql").exists()
