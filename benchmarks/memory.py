"""Memory of the whole process tree over a long recording: it must stay flat.

    python benchmarks/memory.py [--frames 20000] [--json]

Loops one camera of nlpr_indoor (SHARED_DATA, default ../shared). Exits 1 when memory peaks at 4 GB or
more, or grows by more than 5% from the second quarter of the run to the last.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import psutil
from end_to_end import ROOT, SHARED, resident

LIMIT_BYTES = 4e9
GROWTH = 1.05


def main() -> int:
    """Run, sample, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = looped(
            SHARED / "data/videos/nlpr_indoor/cam1.mp4", Path(folder) / "cam1.mp4", arguments.frames
        )
        samples, wall_s = sample_run(video, Path(folder) / "out.db")
    quarters = [float(np.median(part)) for part in np.array_split(np.array(samples), 4)]
    figures = {
        "frames": arguments.frames,
        "wall_s": wall_s,
        "peak_mb": max(samples) / 1e6,
        "quarter_medians_mb": [q / 1e6 for q in quarters],
        "growth": quarters[3] / quarters[1],
    }
    missed = [
        name
        for name, bad in (("peak_mb", max(samples) >= LIMIT_BYTES), ("growth", figures["growth"] > GROWTH))
        if bad
    ]
    if arguments.json:
        print(json.dumps({**figures, "missed": missed}))
    else:
        medians = ", ".join(f"{q / 1e6:.0f}" for q in quarters)
        print(f"{arguments.frames} frames in {wall_s:.0f} s; peak {figures['peak_mb']:.0f} MB")
        print(f"median MB by quarter of the run: {medians}; growth {figures['growth']:.3f} (<= {GROWTH})")
        for name in missed:
            print(f"MISSED {name}")
    return 1 if missed else 0


def sample_run(video: Path, database: Path) -> tuple[list[int], float]:
    """Resident bytes of the process tree, twice a second, and the run's length."""
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "run", str(video), "--db", str(database)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    root, samples = psutil.Process(process.pid), []
    while process.poll() is None:
        try:
            samples.append(sum(resident(p) for p in [root, *root.children(recursive=True)]))
        except psutil.Error:
            break
        time.sleep(0.5)
    if process.wait() != 0:
        raise SystemExit(f"the run failed with exit code {process.returncode}")
    return samples, time.perf_counter() - started


def looped(video: Path, out: Path, frames: int) -> Path:
    """The video over and over until it has so many frames, not re-encoded."""
    count = offset = 0
    with av.open(str(out), "w") as target:
        stream = None
        while count < frames:
            end = 0
            with av.open(str(video)) as source:
                if stream is None:
                    stream = target.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(source.streams.video[0]):
                    if packet.dts is None or count >= frames:
                        break
                    end = max(end, packet.pts + packet.duration)
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    packet.stream = stream
                    target.mux(packet)
                    count += 1
            offset += end
    return out


if __name__ == "__main__":
    sys.exit(main())
