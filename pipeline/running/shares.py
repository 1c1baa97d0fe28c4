"""Which camera goes to which worker process."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pipeline.config import Config
from pipeline.running.workers.camera import CameraJob

WORKERS_PER_CORE = 2
"""Three recordings dealt out to two workers leave a core idle for a third of the time."""
LIVE_WORKERS_PER_CORE = 1
"""Live cameras share a worker's time among themselves, by policy rather than by the system's scheduler."""


def dealt(jobs: Sequence[CameraJob], config: Config) -> list[tuple[CameraJob, ...]]:
    """The cameras of each worker; live ones and recordings never share one, for recordings wait."""
    live = [job for job in jobs if job.camera.live]
    recorded = [job for job in jobs if not job.camera.live]
    return [
        share
        for kind, per_core in (
            (recorded, WORKERS_PER_CORE),
            (live, LIVE_WORKERS_PER_CORE),
        )
        if kind
        for share in share_out(kind, worker_count(config, len(kind), per_core))
    ]


def share_out(jobs: Sequence[CameraJob], workers: int) -> list[tuple[CameraJob, ...]]:
    """The cameras dealt out to so many workers, in turn."""
    return [tuple(jobs[i::workers]) for i in range(workers)]


def worker_count(config: Config, cameras: int, per_core: int) -> int:
    """Camera workers to start: as configured, else one per camera, at most `per_core` of each core."""
    return max(1, min(config.workers.cameras or per_core * cores(), cameras))


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
