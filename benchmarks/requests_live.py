"""How soon a run that writes answers whoever wants something changed, and what the cameras lose meanwhile.

    python benchmarks/requests_live.py [--cameras 4] [--clips FILE ...] [--merges 30] [--erasures 5]

Cameras are our own RTSP server's: the demo scene at 25 fps, or clips of real cameras, again and again, of
which 5 frames a second are detected. People are merged and the
merges undone, then some are erased. The limits hold for 4 cameras on 2 cores: 95% of the merges answered
within 2 s, every erasure within 10 s, no more frames dropped a second than before anything was asked, and no
row left of anybody who was erased, also after the run has ended.
The time is the answer's, from the request on; a command's own start comes on top (`python -X importtime`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from live_site import LiveRun, camera_clip, frames_dropped

from pipeline.demo.scene import make_scene
from pipeline.queries.people import people
from pipeline.running.requests import Forget, Forgotten, Merge, Merged, RefusedRequest, Undo, Undone, ask
from pipeline.store.open_store import open_store
from tests.rtsp.server import RtspServer, missing_packages

SCENE_S = 12.0
KNOWN = 6
"""So many people are known before anything is asked."""
KNOWN_WITHIN_S = 120.0
LIMITS = {"merge_p95_s": 2.0, "erasure_max_s": 10.0}


@dataclass(frozen=True)
class Answers:
    """What was measured."""

    cameras: int
    merges: int
    merge_p50_s: float
    merge_p95_s: float
    erasures: int
    erasure_max_s: float
    dropped_before_hz: float
    """Frames dropped a second, all cameras together, before anything was asked."""
    dropped_meanwhile_hz: float
    rows_left: int
    """Rows that name somebody who was erased."""


def main() -> int:
    """Measure and print; 1 where a limit is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--clips", type=Path, nargs="+", metavar="FILE", help="in place of the demo's scene")
    parser.add_argument("--merges", type=int, default=30)
    parser.add_argument("--erasures", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if missing_packages():
        raise SystemExit(missing_packages())
    with tempfile.TemporaryDirectory() as folder:
        videos = arguments.clips or [
            camera.video for camera in make_scene(Path(folder) / "scene", seconds=SCENE_S).cameras
        ]
        clips = [camera_clip(v, Path(folder) / f"clip{n}.mp4") for n, v in enumerate(videos)]
        mounts = {f"cam{i}": clips[i % len(clips)] for i in range(arguments.cameras)}
        with RtspServer(mounts) as server:
            entries = [{"name": name, "source": server.url(name)} for name in mounts]
            with LiveRun(entries, Path(folder)) as run:
                run.wait_live(patience=3.0)
                found = measure(run, arguments.merges, arguments.erasures)
                run.stop()
                found = replace(found, rows_left=found.rows_left + rows_left(run))
    missed = [name for name, limit in LIMITS.items() if getattr(found, name) > limit]
    missed += ["rows left"] if found.rows_left else []
    missed += ["dropped"] if found.dropped_meanwhile_hz > found.dropped_before_hz + 0.1 else []
    print(json.dumps({**asdict(found), "missed": missed}, indent=None if arguments.json else 2))
    for name in missed:
        print(f"MISSED {name}", file=sys.stderr)
    return 1 if missed else 0


def measure(run: LiveRun, merges: int, erasures: int) -> Answers:
    """Ask for all of it, and note how long each answer took."""
    until_s = time.monotonic() + KNOWN_WITHIN_S
    while len(known(run)) < KNOWN and time.monotonic() < until_s:
        time.sleep(0.5)
    before, quiet_s = dropped(run), time.monotonic()
    time.sleep(15.0)
    started, quiet_s = dropped(run), time.monotonic() - quiet_s
    began_s, merged, erased = time.monotonic(), [], []
    for _ in range(merges):
        first, second, *_ = known(run)
        merged.append(timed(lambda a=first, b=second: ask(str(run.database), Merge((a, b)), Merged)))
        timed(lambda: ask(str(run.database), Undo(None), Undone))
        time.sleep(0.5)
    for _ in range(erasures):
        last = known(run)[-1]
        erased.append(timed(lambda p=last: ask(str(run.database), Forget(p), Forgotten)))
        time.sleep(2.0)
    return Answers(
        cameras=len(run.names),
        merges=merges,
        merge_p50_s=round(float(np.quantile(merged, 0.5)), 3),
        merge_p95_s=round(float(np.quantile(merged, 0.95)), 3),
        erasures=erasures,
        erasure_max_s=round(max(erased), 3),
        dropped_before_hz=round((started - before) / quiet_s, 2),
        dropped_meanwhile_hz=round((dropped(run) - started) / (time.monotonic() - began_s), 2),
        rows_left=rows_left(run),
    )


def timed(request: Callable[[], object]) -> float:
    """How long an answer took, s; one that was refused counts like any other."""
    began_s = time.monotonic()
    try:
        request()
    except RefusedRequest as refused:
        print(f"refused: {refused}", file=sys.stderr)
    return time.monotonic() - began_s


def known(run: LiveRun) -> list[int]:
    """Everybody known by now."""
    with open_store(str(run.database)) as store:
        return [person.person for person in people(store).people]


def rows_left(run: LiveRun) -> int:
    """Rows that name somebody who was erased."""
    gone = "(SELECT CAST(substr(subject, 2) AS INTEGER) FROM audit WHERE action = 'forget')"
    where = {
        "sightings": f"identity IN {gone} OR runner_up IN {gone}",
        "identities": f"id IN {gone}",
        "correction_members": f"before IN {gone} OR after IN {gone}",
    }
    counts = [run.rows(f"SELECT count(*) FROM {table} WHERE {which}") for table, which in where.items()]
    return sum(int(count) for ((count,),) in counts)


def dropped(run: LiveRun) -> int:
    """Frames dropped so far, all cameras together."""
    return sum(sum(frames_dropped(report).values()) for report in run.cameras().values())


if __name__ == "__main__":
    sys.exit(main())
