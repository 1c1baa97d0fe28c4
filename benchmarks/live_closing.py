"""How long a live run takes to close, asked to in every state it can be in.

    python benchmarks/live_closing.py [--cameras 4] [--only NAME ...] [--json]

Each row is a run of its own, stopped with SIGTERM at the worst moments: before a camera is live, while a
look back is thought over, right after a worker was killed. Exits 1 naming each state that took more than
10 s, ended with another exit code than 0, or left something behind.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from live_judging import end_of, stored, until
from live_latency import SCENE_S
from live_site import LiveRun, camera_clip

from pipeline.demo.scene import make_scene
from tests.rtsp.server import RtspServer, free_port, missing_packages

GROWN = 60
"""Tracklets stored before a worker is killed: a gallery to read again, a look back to think over."""
PATIENCE_S = 120.0
MOMENTS_S = (0.2, 1.0, 2.5)
"""After a worker was killed: it is being started, it reads its gallery, it thinks."""


@dataclass(frozen=True)
class State:
    """When a run is asked to close."""

    name: str
    reach: Callable[[LiveRun], object]
    live: bool = True
    """Whether its cameras can be reached."""


def main() -> int:
    """Close a run in every state, print, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME", help="states whose name begins so")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if missing_packages():
        raise SystemExit(missing_packages())
    with tempfile.TemporaryDirectory() as folder:
        scene = make_scene(Path(folder) / "scene", seconds=SCENE_S)
        clips = [camera_clip(c.video, Path(folder) / f"{c.name}.mp4") for c in scene.cameras]
        mounts = {f"cam{i}": clips[i % len(clips)] for i in range(arguments.cameras)}
        chosen = [state for state in states() if state.name.startswith(tuple(arguments.only))]
        ends = {state.name: closed(state, mounts) for state in chosen}
    if arguments.json:
        print(json.dumps(ends, indent=2))
    else:
        for name, end in ends.items():
            print(f"{name}: {end['stop_s']:.1f} s; {'; '.join(end['problems']) or 'ok'}")
    failed = [name for name, end in ends.items() if end["problems"]]
    for name in failed:
        print(f"FAILED {name}", file=sys.stderr)
    return 1 if failed else 0


def states() -> list[State]:
    """Every state, the quick ones first."""
    killed = [
        State(f"{name} worker killed {after_s:g} s before", partial(kill, name, after_s))
        for name in ("match", "reid")
        for after_s in MOMENTS_S
    ]
    return [
        State("starting", lambda run: until(lambda: bool(run.status()), PATIENCE_S)),
        State("no camera answers", lambda run: time.sleep(12), live=False),
        State("all live", lambda run: run.wait_live()),
        State("while a look back is thought over", look_begun),
        *killed,
    ]


def closed(state: State, mounts: dict[str, Path]) -> dict[str, Any]:
    """What came of closing a run in this state."""
    with tempfile.TemporaryDirectory() as folder, RtspServer(mounts) as server:
        nowhere = f"rtsp://127.0.0.1:{free_port()}"
        entries = [
            {"name": name, "source": server.url(name) if state.live else f"{nowhere}/{name}"}
            for name in mounts
        ]
        with LiveRun(entries, Path(folder)) as run:
            state.reach(run)
            end = end_of(run)
            said = run.words() if end["problems"] else ""
            print(f"{state.name}: {end['stop_s']:.1f} s\n{said}", end="", file=sys.stderr, flush=True)
            return end


def grown(run: LiveRun) -> None:
    """Until there is something to read again and to think over."""
    run.wait_live()
    until(lambda: stored(run) > GROWN, PATIENCE_S)


def look_begun(run: LiveRun) -> None:
    """Until a look back has begun: they begin every 5 s of video."""
    grown(run)
    time.sleep(5.5 - time.time() % 5)


def kill(name: str, after_s: float, run: LiveRun) -> None:
    """A while after a worker was killed."""
    grown(run)
    os.kill(run.status()["processes"][name], signal.SIGKILL)
    time.sleep(after_s)


if __name__ == "__main__":
    sys.exit(main())
