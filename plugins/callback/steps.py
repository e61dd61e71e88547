# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible callback: the default output with less noise, and with progress lines for long tasks."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: steps
type: stdout
short_description: Default output with less noise
description:
  - Prints the output of P(ansible.builtin.default#callback), except included files, passed argument checks, and the
    excerpt of the playbook at an error (C(-v) shows it).
  - Names a task that takes longer than 5 seconds while it runs, with its start time, and again every 30 seconds.
  - Prints the next step where a host has become unreachable.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - set as stdout in configuration
author:
  - PhysioFlow contributors (@physioflow)
"""

import textwrap
import threading
import time
from typing import Any

from ansible import constants
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback.default import CallbackModule as Default

QUIET = "ansible.builtin.validate_argument_spec"
OUTPUT = {"rc", "stderr", "stdout", "module_stderr", "results"}  # of commands, and of loops
FIRST, THEN = 5.0, 30.0  # seconds until a task is reported as still running


class CallbackModule(Default):  # type: ignore[misc] # Ansible publishes no type information
    """The callback."""

    CALLBACK_NAME = "physioflow.database.steps"
    _timer: threading.Timer | None = None
    _fails = False  # while a failure is printed

    def _task_start(self, task: Any, prefix: str | None = None) -> None:
        self._stop()
        super()._task_start(task, prefix)
        self._watch(task, time.time(), FIRST)

    def _watch(self, task: Any, began: float, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._still, (task, began))
        self._timer.daemon = True
        self._timer.start()

    def _still(self, task: Any, began: float) -> None:
        if self._last_task_banner != task._uuid:
            self._print_task_banner(task)
        begin = time.strftime("%H:%M:%S", time.localtime(began))
        self._display.display(f"running since {begin}, {time.time() - began:.0f} s", color=constants.COLOR_VERBOSE)
        self._watch(task, began, THEN)

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _handle_exception(self, result: Any, use_stderr: bool = False) -> None:
        if self._display.verbosity:
            super()._handle_exception(result, use_stderr)
        else:
            result.pop("exception", None)  # the result has the same message

    def _dump_results(self, result: Any, *args: Any, **options: Any) -> str:
        """Return the message of a failure as it is; the default folds its lines. `-v` and commands show all."""
        message = result.get("msg")
        if self._fails and isinstance(message, str) and not self._display.verbosity and not OUTPUT & set(result):
            return "\n" + textwrap.indent(message.rstrip(), " " * 8)
        return str(super()._dump_results(result, *args, **options))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Print the message of a failure."""
        self._fails = True
        super().v2_runner_on_failed(result, ignore_errors)
        self._fails = False

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Leave out included files."""

    def v2_runner_on_ok(self, result: Any) -> None:
        """Leave out included files and passed argument checks."""
        if not (isinstance(result.task, TaskInclude) or result.task.action == QUIET) or self._display.verbosity > 1:
            super().v2_runner_on_ok(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Print the next step."""
        super().v2_runner_on_unreachable(result)
        self._display.display(
            f"{self.host_label(result)} is unreachable. If it was applying migrations, the server may still be running "
            "a file; a file in a transaction is committed together with its history row, or not at all. Next: when the "
            "host answers, run the same command again; it waits for an active run and applies what is still pending.",
            color=constants.COLOR_UNREACHABLE,
        )

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """End."""
        self._stop()
        super().v2_playbook_on_stats(stats)
