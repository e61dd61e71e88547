"""Deploys a release, and rolls it back, as the tasks of the role migrations do, in this process.

It runs the very modules that the tasks run, ours and those of community.postgresql, with the arguments that the tasks
give them. What a playbook adds, processes and four seconds, is left out; that both agree is a test of its own.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.migrations.release import read_release
from ansible_collections.physioflow.database.plugins.module_utils.migrations.steps import ChangedError, prepare

from tests.local import ROOT

ROLE = ROOT / "roles/migrations"
MODULES = "ansible_collections.physioflow.database.plugins.modules."
COLLECTION = "ansible_collections.community.postgresql.plugins.modules."


class _Ended(BaseException):
    """How a module ended; no `except Exception` of a module takes it for an error of its own."""

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__()
        self.result = result


class _Module(AnsibleModule):  # type: ignore[misc]
    """Ansible's class with arguments from here, and an end that does not end the process."""

    arguments: dict[str, Any] = {}  # noqa: RUF012 - set for each run

    def _load_params(self) -> None:
        self.params = {"_ansible_no_log": True, **self.arguments}

    def _log_invocation(self) -> None:
        pass

    def exit_json(self, **result: Any) -> None:
        raise _Ended(result)

    def fail_json(self, msg: str, **result: Any) -> None:
        raise _Ended({"failed": True, "msg": msg, **result})


def run_module(name: str, **arguments: Any) -> dict[str, Any]:
    """Run a module and return its result."""
    module = importlib.import_module(name if "." in name else MODULES + name)
    module.AnsibleModule = type("Module", (_Module,), {"arguments": arguments})  # type: ignore[attr-defined]
    try:
        module.main()
    except _Ended as end:
        return end.result
    raise AssertionError(f"{name} ended without a result")


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        refused: why nothing was sent; empty where something was, or nothing was pending.
        failure: what migration_failure said at the end; empty where all went well.
        sqlstate: of the failure.
        file: that failed.
        sent: number of scripts sent.
        failed: how many times a script failed: more than once where it was tried again.
        said: notes of the plan, and what was said of attempts that others followed.
    """

    refused: str = ""
    failure: str = ""
    sqlstate: str = ""
    file: str = ""
    sent: int = 0
    failed: int = 0
    said: str = field(default="", compare=False)

    @property
    def ok(self) -> bool:
        """Whether the release stands."""
        return not self.refused and not self.failure

    @property
    def output(self) -> str:
        """All that was shown."""
        return f"{self.said}\n{self.refused}{self.failure}"


@dataclass
class Driver:
    """The role migrations for one release and one database.

    Attributes:
        release: folder of the release.
        database: name of the database.
        connection: what postgresql_connection holds.
        scratch: folder for the scripts of a run.
        variables: those of the role, where they are not its defaults.
        before_retry: called after an attempt that is followed by another one.
        before_step: called with the number of a script (from 0) before it is sent; False stands for a controller that
            is gone: nothing more is done, also nothing is told.
    """

    release: Path
    database: str
    connection: dict[str, Any]
    scratch: Path
    variables: dict[str, Any] = field(default_factory=dict)
    before_retry: Callable[[], None] = lambda: None
    before_step: Callable[[int], bool] = lambda _: True
    sent: int = 0
    failed: int = 0
    said: list[str] = field(default_factory=list)

    def deploy(self, **variables: Any) -> Outcome:
        """Read the release, plan, apply: what a deploy does with migrations, without backup and verification."""
        return self._run(self._variables(variables), self._apply)

    def roll_back(self, *, accept_data_loss: bool = False, **wish: str) -> Outcome:
        """Read the release, plan, count what would be lost, roll back: without backup and verification.

        Args:
            accept_data_loss: whether rows may be lost.
            wish: how far: `to`, `only` or `set`.
        """

        def back(read: dict[str, Any], plan: dict[str, Any], given: dict[str, Any]) -> Outcome:
            way = run_module(
                "migration_rollback",
                directory=str(self.release.resolve()),
                migrations=read["migrations"],
                applied=[row["version"] for row in json.loads(plan["applied"])],
                **wish,
            )
            if way.get("failed"):
                return Outcome(refused=way["msg"])
            counted = self._apply(read, way, given | {"act": "count"})
            return self._apply(read, way, given | {"act": "rollback"}) if counted.ok else counted

        return self._run(self._variables({"accept_data_loss": accept_data_loss}), back)

    def _run(self, given: dict[str, Any], act: Callable[..., Outcome]) -> Outcome:
        self.sent = self.failed = 0
        self.said = []
        read = read_release(
            str(self.release.resolve()),
            header_required=given["header_required"],
            roles=str(self.scratch / "no-roles"),  # no variables are given, so none is looked for
        )
        if read.get("failed"):
            return Outcome(refused=read["msg"])
        plan = self._plan(read, given)
        if plan.get("failed"):
            return Outcome(refused=plan["msg"])
        return dataclasses.replace(act(read, plan, given), said="\n".join(self.said))

    def _variables(self, variables: dict[str, Any]) -> dict[str, Any]:
        defaults = _variables_of("defaults")
        found = {name.removeprefix("migrations_"): value for name, value in defaults.items()}
        return found | {"act": "apply"} | self.variables | variables

    def _plan(self, read: dict[str, Any], given: dict[str, Any], pause: float = 0) -> dict[str, Any]:
        plan = run_module(
            "migration_plan",
            connection=self.connection,
            database=self.database,
            migrations=read["migrations"],
            repeatable=read["repeatable"],
            target=given["target"],
            out_of_order=given["out_of_order"],
            resolve=given["resolve"],
            run_lock_wait=given["run_lock_wait"],
            pause=pause,
        )
        self.said += plan.get("notes", [])
        return plan

    def _apply(self, read: dict[str, Any], plan: dict[str, Any], given: dict[str, Any]) -> Outcome:
        explained: dict[str, Any] = {}
        while plan["pending"]:
            run = self._write(read, plan, given, explained.get("run_id", ""))
            if run.get("failed"):
                return Outcome(refused=run["msg"])
            try:
                failed = self._send(run, given)
            finally:
                shutil.rmtree(run["directory"])
            if failed is None:
                break
            if failed.get("gone"):
                return Outcome(failure="gone", sent=self.sent, failed=self.failed)
            explained = self._explain(run, plan, failed, given, explained) | {"run_id": run["run_id"]}
            if "loss" in explained:  # counted, and none that must stay
                break
            if not explained.get("retry"):
                return Outcome(
                    failure=explained["msg"],
                    sqlstate=explained.get("sqlstate") or "",
                    file=explained.get("file") or "",
                    sent=self.sent,
                    failed=self.failed,
                )
            self.said += explained["msg"]
            self.before_retry()
            plan = self._plan(read, given, explained["pause"])
            if plan.get("failed"):
                return Outcome(failure=plan["msg"], sent=self.sent, failed=self.failed)
        return Outcome(sent=self.sent, failed=self.failed)

    def _write(self, read: dict[str, Any], plan: dict[str, Any], given: dict[str, Any], run_id: str) -> dict[str, Any]:
        """Do what the action migration_script does."""
        try:
            run = prepare(
                {
                    "directory": str(self.release.resolve()),
                    "pending": plan["pending"],
                    "action": given["act"],
                    "applied_versions": plan["applied_versions"],
                    "accept_data_loss": given["accept_data_loss"],
                    "copy": False,
                    "owner": "emr",
                    "release": read["release"],
                    "backup_id": "",
                    "reason": "",
                    "run_id": run_id,
                    "run_lock_wait": "1s",
                    "statement_timeout": given["statement_timeout"],
                    "engine": str(ROLE / "files"),
                    "has_history": plan["has_history"],
                }
            )
        except ChangedError as error:
            return {"failed": True, "msg": str(error)}
        folder = Path(tempfile.mkdtemp(prefix="physioflow-migrations-"))
        run.write(folder)
        return {"run_id": run.run_id, "directory": str(folder), "steps": run.steps}

    def _send(self, run: dict[str, Any], given: dict[str, Any]) -> dict[str, Any] | None:
        """Send one script after the other; returns the first answer that is a failure."""
        for step in run["steps"]:
            if not self.before_step(self.sent):
                return {"gone": True}
            self.sent += 1
            path = Path(run["directory"]) / step["script"]
            common = {
                **self.connection,
                "login_db": self.database,
                "encoding": "UTF8",
                "connect_params": {"options": session_settings(given), "application_name": "physioflow-migrations"},
            }
            if step["file"]:
                query = json.loads(path.read_text())
                answer = run_module(COLLECTION + "postgresql_query", query=query, autocommit=True, **common)
            else:
                answer = run_module(COLLECTION + "postgresql_script", path=str(path), **common)
            if "query_result" not in answer:
                self.failed += 1
                return {"file": step["file"], "message": answer["msg"]}
        return None

    def _explain(
        self,
        run: dict[str, Any],
        plan: dict[str, Any],
        failed: dict[str, Any],
        given: dict[str, Any],
        explained: dict[str, Any],
    ) -> dict[str, Any]:
        message = failed["message"]
        return run_module(
            "migration_failure",
            connection=self.connection,
            database=self.database,
            error=message[:8192] + message[-65536:] if len(message) > 8192 + 65536 else message,
            file=failed["file"],
            run_id=run["run_id"],
            pending=plan["pending"],
            action=given["act"],
            accept_data_loss=given["accept_data_loss"],
            attempt=explained.get("attempt", 1),
            retries=given["lock_retries"] if given["act"] == "apply" else 0,
            pause=given["lock_retry_pause"],
            growth=given["lock_retry_growth"],
            terminate_blockers=given["terminate_blockers"],
            terminated=explained.get("terminated", []),
        )


@functools.cache
def _variables_of(folder: str) -> dict[str, Any]:
    """Return the role's defaults or vars."""
    found: dict[str, Any] = yaml.safe_load((ROLE / folder / "main.yml").read_text())
    return found


def session_settings(given: dict[str, Any]) -> str:
    """Return the settings of the session that applies, as the role has them."""
    template = _variables_of("vars")["__migrations_session_settings"]
    return str(jinja2.Template(template).render({f"migrations_{name}": value for name, value in given.items()}))
