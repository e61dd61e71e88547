"""Many cases in one run of a playbook: each is a host of its own, like `local` of the inventory of that name.

A host that fails stops all others, as on real servers. Where each is to go on, `play` takes copies of the playbooks
with one word changed.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.local import ROOT, Local, Result

LOCAL: dict[str, Any] = {
    "ansible_connection": "local",
    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
}
STOPS_ALL = "any_errors_fatal: true"
PARTS = {"deploy.yml": "playbooks/deploy.yml"}


def inventory(folder: Path, hosts: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write an inventory like `local` with these hosts and their variables; again: with others."""
    folder.mkdir(parents=True, exist_ok=True)
    # JSON, in which a value can be marked as no template.
    (folder / "hosts.yml").write_text(
        json.dumps({"database_servers": {"hosts": {host: LOCAL | dict(given) for host, given in hosts.items()}}})
    )
    if not (folder / "group_vars").is_symlink():
        (folder / "group_vars").symlink_to(ROOT / "inventories/local/group_vars")
    return folder


def playbooks(folder: Path) -> Path:
    """Copy the playbooks so that a host which fails leaves the others alone; what is looked at first stops all yet."""
    for name in ("files", ".squawk.toml"):
        (folder / name).symlink_to(ROOT / name)
    copy = Path(shutil.copytree(ROOT / "playbooks", folder / "playbooks"))
    for path in copy.glob("*.yml"):
        if path.name != "preflight.yml":
            path.write_text(path.read_text().replace(STOPS_ALL, "any_errors_fatal: false"))
    assert STOPS_ALL in (ROOT / "playbooks/deploy.yml").read_text()
    return copy


def options(folder: Path, playbook: str, hosts: Mapping[str, Mapping[str, Any]], *more: str) -> tuple[str, ...]:
    """Return playbook and options of a run with these hosts; what it needs is written into a new folder."""
    written = inventory(folder / "inventory", hosts)
    return str(playbooks(folder).parent / PARTS.get(playbook, playbook)), "-i", str(written), *more


def play(
    local: Local,
    folder: Path,
    playbook: str,
    hosts: Mapping[str, Mapping[str, Any]],
    *more: str,
    **variables: Any,
) -> Result:
    """Run a playbook with these hosts, each on its own; `variables` are those that all have alike."""
    return local.play(*options(folder, playbook, hosts, *more), **variables)


def answers_of(result: Result, host: str) -> list[tuple[str, str]]:
    """Return what a play said of one host: (ok, changed, fatal, ..., the text) of each task, whoever did it for it."""
    begin = rf"^(\w+): \[{re.escape(host)}(?: -> [^\]]*)?\]"
    return re.findall(rf"{begin}(.*?)(?=^\S|\Z)", result.output, re.MULTILINE | re.DOTALL)


def failure_of(result: Result, host: str) -> str:
    """Return what a play said of the failure of one host, on one line; empty where it did not fail."""
    return " ".join(" ".join(text for how, text in answers_of(result, host) if how == "fatal").split())


def said_of(result: Result, host: str) -> str:
    """Return what a play said of one host, on one line: of its failure where it failed."""
    said = failure_of(result, host)
    return said or " ".join(" ".join(text for _, text in answers_of(result, host)).split())


def failed_in(result: Result, host: str) -> str:
    """Return the name of the task that failed for one host; empty where none did."""
    found = re.search(rf"^fatal: \[{host}[\] ]", result.output, re.MULTILINE)
    before = Result(result.status, result.output[: found.start()] if found else "")
    return before.tasks[-1] if before.tasks else ""


def changed_of(result: Result, host: str) -> int:
    """Return the number of changed tasks of one host, which has to have come to its end."""
    found = re.search(rf"^{host} +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=(\d+)", result.output, re.MULTILINE)
    assert found, result.output
    assert found[2] == "0", f"{host}\n{result.output}"
    return int(found[1])
