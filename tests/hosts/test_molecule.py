"""The scenarios of Molecule as tests, so that one command brings everything up and says what it did."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from tests import rows, undo
from tests.hosts.conftest import give_up
from tests.hosts.system import HostsError
from tests.local import BIN, ROOT, environment

SCENARIOS = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
# The oldest that Ansible 12 and one that Ansible 14 is chosen for (pyproject.toml).
PYTHONS = ["3.11", "3.13"]
SECONDS = 1800  # a scenario that takes longer hangs


def test_the_workflow_runs_every_scenario_on_both_ansibles_with_actions_pinned_by_commit() -> None:
    text = (ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    wanted = [f"test_scenario[{name}]" for name in SCENARIOS if name != "default"]
    assert jobs["hosts"]["strategy"]["matrix"] == {"python": PYTHONS, "tests": [*wanted, "not test_scenario"]}
    assert jobs["test"]["strategy"]["matrix"] == {"python": PYTHONS}
    assert "default" in SCENARIOS
    uses = re.findall(r"uses: (.*)", text)
    assert uses
    assert [action for action in uses if not re.fullmatch(r"\S+@[0-9a-f]{40} # v[\d.]+", action)] == []


def test_no_hosts_is_a_skip_by_name_and_in_ci_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no hosts for Molecule: start Docker"):
        give_up(HostsError("start Docker"))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no hosts for Molecule: start Docker"):
        give_up(HostsError("start Docker"))


def molecule(act: str, scenario: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "molecule", act, "--scenario-name", scenario],
        cwd=ROOT,
        env=environment() | {"MOLECULE_COMMAND_BORDERS": "false", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(
            name,
            marks=[
                *rows.marks_of(ROOT / "molecule" / name),
                *([] if name == "default" else [pytest.mark.hosts]),
            ],
        )
        for name in SCENARIOS
    ],
)
def test_scenario(scenario: str) -> None:
    with undo.unless_it_ends(molecule, "destroy", scenario):
        done = molecule("test", scenario)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b\d+ passed", done.stdout), f"no test was run\n{done.stdout}"
    assert not re.search(r"\b\d+ skipped", done.stdout), done.stdout
