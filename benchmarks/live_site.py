"""A live run of the product on cameras of our own, for the live benchmarks: start it, ask it, stop it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import repeat
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
import psutil
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.rtsp.server import free_port  # noqa: E402

POLL_S = 0.1
CROPS = ":crops"
"""Counted by the crop, not by the frame."""
STILL = 6
"""An encoder sharpens a still picture for a while: the loop must be longer than what counts as frozen."""
START_S = 90.0
"""Models load and every camera is live within this."""


class LiveRun:
    """`run_pipeline.py run` on live cameras; a context manager that stops it.

    Args:
        cameras: entries of the configuration.
        folder: for the configuration, the database and what the run says.
        settings: further keys of the configuration.
        environment: added to ours.
    """

    def __init__(
        self,
        cameras: Sequence[dict[str, Any]],
        folder: Path,
        *,
        settings: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.names = [camera["name"] for camera in cameras]
        self.folder, self.database, self.port = folder, folder / "live.db", free_port()
        self.site = {"cameras": list(cameras), "status": {"port": self.port}, **(settings or {})}
        self.environment = {**os.environ, **(environment or {})}

    def __enter__(self) -> Self:
        path = self.folder / "site.yaml"
        path.write_text(yaml.safe_dump(self.site))
        self.said = (self.folder / "said.txt").open("w+")
        command = [
            sys.executable,
            str(ROOT / "run_pipeline.py"),
            "run",
            str(path),
            "--db",
            str(self.database),
        ]
        self.process = subprocess.Popen(command, stdout=self.said, stderr=self.said, env=self.environment)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
        self.said.close()

    def stop(self) -> float:
        """Ask the run to end; how long that took, s."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            for process in (*psutil.Process(self.process.pid).children(recursive=True), self.process):
                process.kill()
            self.process.wait()
        return time.monotonic() - started

    def status(self) -> dict[str, Any]:
        """What /health tells; empty while it is not there yet."""
        if self.process.poll() is not None:
            raise SystemExit(f"the run ended with exit code {self.process.returncode}:\n{self.words()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
                return dict(json.loads(answer.read()))
        except OSError:
            return {}

    def cameras(self) -> dict[str, dict[str, Any]]:
        """Each camera's last report by name, with `heard_ns`."""
        reports = self.status().get("cameras", ())
        return {c["health"]["camera"]: {**c["health"], "heard_ns": c["heard_ns"]} for c in reports}

    def wait(self, condition: Callable[[dict[str, dict[str, Any]]], bool], timeout_s: float) -> float | None:
        """Seconds until the cameras' reports meet the condition; None: they did not in time."""
        started = time.monotonic()
        while (waited := time.monotonic() - started) < timeout_s:
            reports = self.cameras()
            if len(reports) == len(self.names) and condition(reports):
                return waited
            time.sleep(POLL_S)
        return None

    def wait_live(self, patience: float = 1.0) -> None:
        """Until every camera is live and detected, `patience` times as long as that may take."""

        def live(reports: dict[str, dict[str, Any]]) -> bool:
            return all(r["state"] == "live" and r["frames_detected"] > 0 for r in reports.values())

        if self.wait(live, START_S * patience) is None:
            raise SystemExit(f"not every camera came up: {self.cameras()}\n{self.words()}")

    def fresh(self, camera: str) -> dict[str, Any]:
        """A camera's next report, just when it arrives."""
        before = self.cameras().get(camera, {}).get("heard_ns")
        self.wait(lambda reports: reports[camera]["heard_ns"] != before, 5.0)
        return self.cameras()[camera]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the run's database, read beside the writer."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5)) as connection:
            return connection.execute(query).fetchall()

    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def words(self) -> str:
        """What the run has said so far."""
        return (self.folder / "said.txt").read_text()


def frames_dropped(report: dict[str, Any]) -> dict[str, int]:
    """What a camera's report counts by the frame or packet; not the crops of tracklets."""
    return {what: count for what, count in report["dropped"].items() if not what.endswith(CROPS)}


def crops_dropped(report: dict[str, Any]) -> int:
    """How many crops of tracklets were not embedded."""
    return sum(count for what, count in report["dropped"].items() if what.endswith(CROPS))


def memory_bytes(run: LiveRun) -> int:
    """Memory of the whole run, see `own_bytes`."""
    return sum(memory_by_worker(run).values())


def memory_by_worker(run: LiveRun) -> dict[str, int]:
    """The same by worker; `captures` are all below the camera workers, `run` is the supervisor."""
    names = {number: name for name, number in run.status().get("processes", {}).items()}
    names[run.process.pid] = "run"
    held: Counter[str] = Counter()
    for process in run.processes():
        try:
            held[names.get(process.pid, "captures")] += own_bytes(process.pid)
        except (psutil.Error, OSError):
            continue
    return dict(held)


def own_bytes(pid: int) -> int:
    """Memory that a process has allocated and touched (Linux: anonymous pages, and shared memory).

    Not what is called private, or unique, memory: pages of libraries count there as soon as no other program
    has them mapped, so that it jumps by 10 MB a process whenever a program with the same libraries begins or
    ends anywhere on the machine.
    """
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return sum(int(words[1]) for words in lines if words[0] in ("RssAnon:", "RssShmem:")) * 1024


def camera_clip(
    source: Path, out: Path, *, codec: str = "libx264", height_px: int = 0, still: bool = False
) -> Path:
    """A recording encoded as a camera would: a key frame every second, no frames out of order.

    Args:
        source: any video.
        out: where to.
        codec: encoder.
        height_px: scaled to this; 0: as it is.
        still: only the first picture, STILL times as long.
    """
    with av.open(str(source)) as given, av.open(str(out), "w") as target:
        stream_in = given.streams.video[0]
        rate = stream_in.average_rate
        stream = target.add_stream(codec, rate=rate)
        scale = height_px / stream_in.height if height_px else 1.0
        stream.width, stream.height = (round(n * scale / 2) * 2 for n in (stream_in.width, stream_in.height))
        stream.pix_fmt, stream.gop_size = "yuv420p", round(rate)
        quiet = {"x265-params": "log-level=none:bframes=0"} if codec == "libx265" else {"bf": "0"}
        stream.options = {"preset": "ultrafast", "crf": "23", **quiet}
        for index, picture in enumerate(pictures(given, still=still)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(stream.width, stream.height)
            frame.pts = index
            frame.time_base = 1 / rate
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return out


def pictures(container: Any, *, still: bool) -> Iterator[np.ndarray]:
    """The pictures of a video, or its first one STILL times as often."""
    for frame in container.decode(video=0):
        picture = frame.to_ndarray(format="rgb24")
        if still:
            yield from repeat(picture, STILL * container.streams.video[0].frames)
            return
        yield picture


def rate_of(video: Path) -> float:
    """Frames a second."""
    with av.open(str(video)) as container:
        return float(container.streams.video[0].average_rate or 0)
