"""The match worker alone on a live site, as fast as it can: does its memory stay flat?

    python benchmarks/matcher_memory.py [--tracklets 12000] [--people 80] [--json] [--objects]

The real writer with a real SQLite store in a temporary folder; three cameras close 3.4 tracklets a second of
event time, a batch of 1 to 6 at a time, as the hour of live_soak.py does; 50 identities are remembered.
Looks are random vectors in the shape of the shipped weights' (70 cells of 112 channels), so who is who means
nothing. The first half warms up, the second is judged: exits 1 when own memory (see live_site.py) grows there
by more than 1 MB an hour of event time, beyond two standard errors. `--objects` prints which lines of code
hold more after the second half than before (tracemalloc: much slower; nothing is judged then).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

if "MALLOC_TRIM_THRESHOLD_" not in os.environ:  # read by the C library when a process starts
    from_here = {
        "MALLOC_MMAP_THRESHOLD_": "131072",
        "MALLOC_TRIM_THRESHOLD_": "131072",
        "OMP_NUM_THREADS": "1",
    }
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **from_here})

import numpy as np  # noqa: E402
from live_site import own_bytes  # noqa: E402
from live_soak import LIMIT_MB_H, SURE, slope_of  # noqa: E402

from pipeline.config import Config, MatcherConfig  # noqa: E402
from pipeline.messages import (  # noqa: E402
    Crop,
    Embedding,
    Message,
    ModelReady,
    TrackletClosed,
    TrackletEmbedded,
    TrackletKey,
    Watermark,
)
from pipeline.running.workers.match import MatchJob, Writer  # noqa: E402
from pipeline.store.cameras import add_camera  # noqa: E402
from pipeline.store.open_store import open_store  # noqa: E402
from pipeline.store.recordings import start_recording  # noqa: E402
from pipeline.store.runs import begin_run  # noqa: E402
from pipeline.store.versions import new_version  # noqa: E402
from reid.sets.affinity import PairCalibration  # noqa: E402
from reid.sets.tracklets import Calibration  # noqa: E402

CAMERAS = ("hall", "gate", "yard")
RATE_HZ = 3.4
CELLS, CHANNELS, DIM, CROPS = 70, 112, 256, 5
IDENTITIES = 50
BATCH = 6
JPEG = bytes.fromhex("ffd8") + bytes(6000)
CALIBRATION = Calibration(-0.18, -27.3, -12.2, 0.0, 6.8, 1.87, 0.7, 0.31).as_dict() | {
    "pairs": PairCalibration(-20.0, -20.0, -7.5, 0.9, 0.32).as_dict()
}
EVERY = 50
"""Tracklets between two samples."""
ORIGIN_NS = 1_769_846_400 * 10**9


def main() -> int:
    """Drive, print, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracklets", type=int, default=12000)
    parser.add_argument("--people", type=int, default=80)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--objects", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = drive(Path(folder), arguments.tracklets, arguments.people, arguments.objects)
    grows = figures["slope_mb_h"] - SURE * figures["slope_error_mb_h"] > LIMIT_MB_H
    print(json.dumps(figures) if arguments.json else "\n".join(f"{k}: {v}" for k, v in figures.items()))
    return int(grows and not arguments.objects)


def drive(folder: Path, tracklets: int, people: int, objects: bool) -> dict[str, float]:
    """The slope of the second half, MB an hour of event time, with its standard error."""
    samples: list[tuple[float, int]] = []
    before = None
    with open_store(folder / "site.db", create=True, write=True) as store:
        run = begin_run(store, command="run", config={}, software="test")
        numbers = []
        for name in CAMERAS:
            camera = add_camera(store, name, clock_known=True)
            numbers.append(
                start_recording(store, run=run, camera=camera, source=name, fingerprint=None, start_ns=0)
            )
        config = Config(matcher=MatcherConfig(identities=IDENTITIES))
        writer = Writer(store, MatchJob("", tuple(numbers), config, "", new_version(store, "online")), print)
        writer.update([ModelReady("fpr-small", CALIBRATION)])
        began_s = time.process_time()
        for count, messages in enumerate(told(numbers, tracklets, people)):
            writer.update(messages)
            writer.link(min(writer.watermarks.values()))
            if objects and before is None and writer.linked >= tracklets // 2:
                tracemalloc.start(8)
                before = tracemalloc.take_snapshot()
            if count % (EVERY // 3) == 0:
                samples.append((writer.linked / RATE_HZ / 3600, own_bytes(os.getpid())))
            if count % 300 == 0:
                show(writer, samples[-1][1], time.process_time() - began_s)
        if before is not None:
            gc.collect()
            report(before)
        warm = samples[len(samples) // 2 :]
        slope, error = slope_of(np.array([t for t, _ in warm]), np.array([b / 1e6 for _, b in warm]))
        return {
            "tracklets": writer.linked,
            "identities": len(writer.matcher.matcher.known) if writer.matcher else 0,
            "own_mb_half_way": round(warm[0][1] / 1e6, 1),
            "own_mb_at_the_end": round(warm[-1][1] / 1e6, 1),
            "slope_mb_h": round(slope, 2),
            "slope_error_mb_h": round(error, 2),
        }


def show(writer: Writer, held_bytes: int, spent_s: float) -> None:
    """Tell on stderr how far it is."""
    sqlite = ctypes.CDLL("libsqlite3.so.0").sqlite3_memory_used
    sqlite.restype = ctypes.c_int64
    matcher = writer.matcher
    kept = (matcher.matcher.gallery.known, matcher.pairs.gallery) if matcher else ()  # type: ignore[attr-defined]
    prepared = [gallery.prepared.memory_bytes / 1e6 for gallery in kept if gallery.prepared]
    print(
        f"{writer.linked} linked in {spent_s:.0f} CPU s: {held_bytes / 1e6:.1f} MB, "
        f"SQLite {sqlite() / 1e6:.2f} MB, galleries {' and '.join(f'{mb:.1f}' for mb in prepared)} MB",
        file=sys.stderr,
        flush=True,
    )


def report(before: tracemalloc.Snapshot) -> None:
    """Which lines hold more than before."""
    for entry in tracemalloc.take_snapshot().compare_to(before, "lineno")[:25]:
        print(entry, file=sys.stderr)


def told(recordings: list[int], tracklets: int, people: int) -> Iterator[list[Message]]:
    """Batches of tracklets in the order of their end, each followed by every camera's watermark."""
    noise = np.random.default_rng(0)
    looks = [(noise.standard_normal((CELLS, CHANNELS)), noise.standard_normal(DIM)) for _ in range(people)]
    track, now_s = 0, 0.0
    while track < tracklets:
        batch: list[Message] = []
        for _ in range(int(noise.integers(1, BATCH + 1))):
            track, now_s = track + 1, now_s + noise.exponential(1 / RATE_HZ)
            camera = int(noise.integers(len(CAMERAS)))
            batch.append(passage(recordings[camera], CAMERAS[camera], track, now_s, looks, noise))
        marks = [Watermark(recording, ORIGIN_NS + round(now_s * 1e9) + 1) for recording in recordings]
        yield [*batch, *marks]


def passage(
    recording: int,
    camera: str,
    track: int,
    end_s: float,
    looks: list[tuple[np.ndarray, np.ndarray]],
    noise: np.random.Generator,
) -> TrackletEmbedded:
    """Somebody passes a camera for one to four seconds."""
    frames = int(noise.integers(5, 20))
    times = ORIGIN_NS + np.round((end_s - np.arange(frames)[::-1] / 5) * 1e9).astype(np.int64)
    boxes = np.float32([10, 20, 50, 120]) + noise.random((frames, 4), dtype=np.float32)
    cells, pooled = looks[int(noise.integers(len(looks)))]
    count = int(noise.integers(1, CROPS + 1))
    crops = tuple(Crop(n, int(times[n]), boxes[n], n / 10, JPEG) for n in range(count))
    closed = TrackletClosed(
        TrackletKey(recording, track, 0),
        camera,
        np.arange(frames, dtype=np.int32),
        times,
        boxes,
        np.full(frames, 0.9, np.float32),
        crops,
    )
    embeddings = tuple(
        Embedding(drawn(cells, noise), np.full(CELLS, 0.5, np.float16), drawn(pooled, noise)) for _ in crops
    )
    return TrackletEmbedded(closed, "fpr-small", embeddings)


def drawn(clean: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Unit vectors near these."""
    mixed = clean + 0.5 * noise.standard_normal(clean.shape)
    return np.asarray(mixed / np.linalg.norm(mixed, axis=-1, keepdims=True), np.float16)


if __name__ == "__main__":
    sys.exit(main())
