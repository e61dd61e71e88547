"""What a person types: make, and the commands and statements of the docs."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.integration.test_deploy import GUIDE_COUNTS
from tests.local import ROOT, Local, environment

DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def make(local: Local, *arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-s", *arguments, f"LOCAL={local.server}"],
        cwd=ROOT,
        env=environment() | env,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def code_blocks(path: Path) -> list[str]:
    """Return the indented blocks of a Markdown file."""
    return [block.strip("\n") for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", path.read_text(), re.MULTILINE)]


def statements() -> list[str]:
    """Return the SQL that docs/by-hand.md and docs/monitor.md show."""
    blocks = [block for name in ("by-hand", "monitor") for block in code_blocks(ROOT / f"docs/{name}.md")]
    joined = [" ".join(statement.split()) for block in blocks for statement in block.split(";\n")]
    return [statement for statement in joined if statement.startswith(("SELECT ", "EXPLAIN "))]


def test_make_psql_reads_standard_input_and_takes_flags(local: Local) -> None:
    done = make(local, "psql", stdin="select 1", PSQL_FLAGS="-qAt")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_make_psql_opens_as_the_owner(local: Local) -> None:
    done = make(local, "psql", stdin="SELECT current_user, session_user, current_database()", PSQL_FLAGS="-qAt")
    assert done.stdout == "emr|postgres|physioflow\n"


def test_the_guides_counts_through_make_psql(local: Local) -> None:
    assert make(local, "psql", stdin=GUIDE_COUNTS, PSQL_FLAGS="-qAt").stdout == "8|56|5|18\n"


def test_make_psql_without_a_database_says_what_to_do(tmp_path: Path) -> None:
    done = make(Local(tmp_path), "psql")
    assert done.returncode != 0
    assert "There is no local database yet. Next: make deploy" in done.stderr


def test_make_psql_takes_a_folder_of_any_name(local: Local, tmp_path: Path) -> None:
    folder = tmp_path / "it's a folder"
    folder.symlink_to(local.folder)
    done = make(Local(folder), "psql", stdin="select 1", PSQL_FLAGS="-qAt")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


LOCALES = [{"LC_ALL": "C"}, {"LC_ALL": "xx_XX.UTF-8"}, {"LC_ALL": "", "LANG": "C.UTF-8", "LC_TIME": "xx_XX.UTF-8"}]


@pytest.mark.parametrize("locale", LOCALES, ids=["C", "missing", "one missing"])
def test_make_runs_whatever_the_locale(tmp_path: Path, locale: dict[str, str]) -> None:
    """Ansible itself ends before its first line where characters are not UTF-8, or a locale is not there."""
    done = make(Local(tmp_path), "--eval=characters:; @locale charmap 2>&1", "characters", **locale)
    assert done.stdout == "UTF-8\n"


def test_the_callback_of_the_project_prints_what_a_failure_says_and_one_that_the_user_names_wins(
    tmp_path: Path,
) -> None:
    """The names are refused before anything is asked for."""
    command = [
        "ansible-playbook",
        "playbooks/migrate.yml",
        "-e",
        f"local_directory={tmp_path}",
        "-e",
        "database_name=x-y",
    ]

    def printed(**env: str) -> str:
        done = subprocess.run(command, cwd=ROOT, env=environment() | env, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        return done.stdout

    said = printed()
    assert 'the first not a digit): "x-y". No host was touched. Correct database_name' in said
    assert "Origin:" not in said
    assert "PLAY RECAP" in said
    assert "PLAY RECAP" not in printed(ANSIBLE_STDOUT_CALLBACK="ansible.builtin.minimal")


def expanded(found: re.Match[str]) -> list[tuple[str, str, str]]:
    return [(found[1], each, found[3]) for each in (found[2].split(",") if found[1] else [found[2]])]


@pytest.mark.parametrize("target", sorted(TARGETS - {"psql", "destroy", "help"}))
def test_what_make_would_run_is_there(target: str) -> None:
    """The others are typed above; what these run has its own tests."""
    shown = subprocess.run(
        ["make", "-n", target, "ANSIBLE_FLAGS=-e shown=1", "PYTEST_FLAGS=-k shown"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    words = [word for line in shown.splitlines() for word in shlex.split(line)]
    # `make demo` has braces of bash.
    braces = [re.fullmatch(r"([^{]*)\{(.*)\}(.*)", word) or re.fullmatch(r"()(.*)()", word) for word in words]
    files = [begin + each + end for found in braces if found for begin, each, end in expanded(found)]
    files += [
        f"{word.replace('.', '/')}{'' if (ROOT / word.replace('.', '/')).is_dir() else '.py'}"
        for option, word in itertools.pairwise(words)
        if option == "-m" and word.startswith("tests.")
    ]
    named = [word for word in files if re.fullmatch(r"(?:playbooks|tests)/\S+|[\w-]+\.(?:yml|txt|toml)", word)]
    assert named or target == "test", shown
    assert [word for word in named if not (ROOT / word).exists()] == []
    if "ansible-playbook" in shown:
        assert "-e shown=1" in shown
    if target == "test":
        assert "-k shown" in shown


def test_make_help_lists_every_target() -> None:
    done = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"make ([a-z]+)", done.stdout))
    assert {"deploy", "migrate", "verify", "psql", "destroy", "test", "lint", "bench", "help"} <= listed
    assert listed <= TARGETS


def test_verify_shows_all_that_is_wrong_at_once(local: Local, database: str) -> None:
    local.create_database(database, "physioflow")
    local.psql("DELETE FROM pt_service_codes", database)
    local.psql("DROP TABLE bhyt_validation_rules CASCADE", database)
    done = make(local, "verify", ANSIBLE_FLAGS=f"-e local_directory={local.folder} -e database_name={database}")
    assert done.returncode != 0
    assert "pt_service_codes" in done.stdout
    assert "bhyt_validation_rules" in done.stdout


def test_migrate_on_a_server_without_the_database_says_what_to_do(local: Local) -> None:
    done = make(local, "migrate", ANSIBLE_FLAGS=f"-e local_directory={local.folder} -e database_name=not_there")
    assert done.returncode != 0
    said = "The server has no database not_there. Next: ansible-playbook deploy.yml creates it."
    assert said in " ".join(done.stdout.split())


def test_the_docs_name_only_targets_and_playbooks_that_exist() -> None:
    for path in DOCS:
        text = path.read_text()
        for target in re.findall(r"(?:^    |`)make(?: -s)? ([a-z]+)", text, re.MULTILINE):
            assert target in TARGETS, f"{path.name}: make {target}"
        for playbook in re.findall(r"ansible-playbook (?:-\S+ \S+ )*(\S+\.yml)", text):
            assert (ROOT / playbook).is_file(), f"{path.name}: {playbook}"


def test_there_are_statements_in_the_docs() -> None:
    assert len(statements()) == 9


@pytest.mark.parametrize("statement", statements())
def test_a_statement_of_the_docs_runs(local: Local, statement: str) -> None:
    local.psql(statement)


def piped() -> list[str]:
    """Return the commands of the docs that pipe a statement into make psql."""
    lines = [line.strip() for path in DOCS for line in path.read_text().splitlines()]
    return [line for line in lines if line.startswith('echo "') and line.endswith("make -s psql")]


def test_there_are_piped_commands_in_the_docs() -> None:
    assert len(piped()) == 2


@pytest.mark.parametrize("command", piped())
def test_a_piped_command_of_the_docs_runs(local: Local, command: str) -> None:
    shell = ["bash", "-c", f"{command} LOCAL={local.server}"]
    done = subprocess.run(shell, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
