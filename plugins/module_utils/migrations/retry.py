# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides whether and when to repeat a failed run.

Only temporary failures are retried: a lock held by another session, a deadlock, a serialization failure, and another
run of migrations at the same time. Every attempt plans anew.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from .failure import ANOTHER_RUN, APPLIED_MEANWHILE, LOCKED, Failure

DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|min|h)?")
SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, None: 1.0}
JITTER = 0.25  # a pause varies by up to this share, so that two runs do not collide again


def waits_for_application(failure: Failure) -> bool:
    """Tell whether a run failed because of another session that will end or can be ended."""
    return failure.sqlstate in LOCKED and not waits_for_run(failure)


def waited_in_vain(failure: Failure) -> bool:
    """Tell whether another session may have blocked the run: a serialization failure waits for no session."""
    return waits_for_application(failure) and failure.sqlstate != "40001"


def waits_for_run(failure: Failure) -> bool:
    """Tell whether a run failed because another run of migrations is or was active."""
    return ANOTHER_RUN in failure.message or APPLIED_MEANWHILE in failure.message


def read_duration(text: str) -> float:
    """Return a duration such as `2s`, `500ms` or `1min` in seconds.

    Raises:
        ValueError: where the text is no duration.
    """
    match = DURATION.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text} is not a duration like 500ms, 2s or 1min")
    return float(match["number"]) * SECONDS[match["unit"]]


def pause_before(
    attempt: int, pause: float, growth: float = 2.0, uniform: Callable[[float, float], float] = random.uniform
) -> float:
    """Return how many seconds to wait before an attempt; the first attempt does not wait.

    Args:
        attempt: number of the attempt, from 2.
        pause: seconds before the second attempt.
        growth: factor by which each further pause is longer.
        uniform: the random function.
    """
    return round(pause * growth ** (attempt - 2) * uniform(1 - JITTER, 1 + JITTER), 3)
