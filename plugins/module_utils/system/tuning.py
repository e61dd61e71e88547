# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Derives server settings from the memory and the cores of a host. Pure."""

from __future__ import annotations

GIGABYTE = 1024  # in MB, like all sizes here


def usual_memory(found: int) -> int:
    """Return the nominal memory of a host.

    A kernel reserves some memory, and the amount changes with its updates. Without rounding, the settings would change
    too, and the server would restart needlessly.
    """
    step = GIGABYTE if found >= 4 * GIGABYTE else 256
    return -(-found // step) * step


def tuned_settings(memory: int, cores: int, max_connections: int) -> dict[str, object]:
    """Return settings for a server that has a host, or `memory` of it, to itself.

    Args:
        memory: memory for the server, in MB.
        cores: cores of the host.
        max_connections: number of concurrent sessions; each may use `work_mem` several times.
    """
    shared = memory // 4
    return {
        "max_connections": max_connections,
        "shared_buffers": f"{shared}MB",
        "effective_cache_size": f"{memory * 3 // 4}MB",
        "maintenance_work_mem": f"{min(memory // 16, 2 * GIGABYTE)}MB",
        "work_mem": f"{min(max((memory - shared) // (3 * max_connections), 4), 64)}MB",
        "max_worker_processes": max(8, cores),
        "max_parallel_workers": cores,
        "max_parallel_workers_per_gather": min(4, cores // 2),
        "max_parallel_maintenance_workers": min(4, max(1, cores // 2)),
    }
