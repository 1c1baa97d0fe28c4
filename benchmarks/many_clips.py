"""What it costs to read a camera's clips rather than one film of the same length.

Usage: python benchmarks/many_clips.py [--clips 1000] [--seconds 4] [--size 640x480] [--rounds 3]

Makes one film and the same pictures cut into clips, and reads both as a camera worker does (every frame is
decoded, 12.5 a second made RGB), in turn; prints the CPU time of each and the ratio of medians. Then lists
50,000 empty clips.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from pipeline.cameras.clips import find
from pipeline.cameras.frames import Grid
from pipeline.cameras.recordings import open_source
from pipeline.cameras.starts import with_starts
from pipeline.config import CameraConfig
from tests.video_files import moving_scene, write_clip

FPS = 25
BLOCK = 100
"""Different clips made; the others are copies of them."""


def made_films(folder: Path, clips: int, seconds: int, width: int, height: int) -> tuple[Path, Path]:
    """One film, and a folder of clips that hold the same pictures."""
    pictures = [moving_scene(index, width, height) for index in range(seconds * FPS)]
    rng = np.random.default_rng(0)
    noise = rng.integers(-6, 7, pictures[0].shape, np.int16)
    pictures = [
        np.clip(picture + np.roll(noise, i * 31, 1), 0, 255).astype(np.uint8)
        for i, picture in enumerate(pictures)
    ]
    first = write_clip(folder / "first.mp4", pictures, fps=FPS, gop=FPS)
    data = first.read_bytes()
    many = folder / "clips"
    for number in range(clips):
        at = time.gmtime(1_769_846_400 + number * seconds)
        path = many / time.strftime("%Y-%m-%d/%H-%M-%S.mp4", at)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return joined(first, folder / "film.mp4", clips), many


def joined(first: Path, target: Path, times: int) -> Path:
    """A film that holds another one so often, one after the other."""
    import av

    with av.open(str(first)) as source, av.open(str(target), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        packets = [
            (bytes(p), p.pts, p.dts, p.is_keyframe, p.time_base)
            for p in source.demux(video=0)
            if p.pts is not None
        ]
        length = max(p[1] for p in packets) + packets[1][1] - packets[0][1]
        for number in range(times):
            for data, pts, dts, key, base in packets:
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, base
                packet.pts, packet.dts, packet.is_keyframe = pts + number * length, dts + number * length, key
                container.mux(packet)
    return target


def cost_s(source: Path) -> tuple[float, float, int]:
    """CPU seconds, wall seconds and frames of reading a camera as its worker does."""
    (camera,) = with_starts([CameraConfig(name="hall", source=str(source), timezone="Etc/UTC")]).cameras
    grid, count = Grid(12.5), 0
    wall, cpu = time.perf_counter(), time.process_time()
    with open_source(camera) as opened:
        for frame in opened:
            count += 1
            if grid.due(frame.time_ns):
                frame.image  # noqa: B018
    assert opened.shortfall is None, opened.shortfall
    return time.process_time() - cpu, time.perf_counter() - wall, count


def main() -> None:
    """Print both costs and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    width, height = (int(part) for part in options.size.split("x"))
    with tempfile.TemporaryDirectory() as name:
        film, clips = made_films(Path(name), options.clips, options.seconds, width, height)
        costs: dict[Path, list[float]] = {film: [], clips: []}
        for _ in range(options.rounds):
            for source in costs:
                cpu_s, wall_s, frames = cost_s(source)
                costs[source].append(cpu_s)
                print(f"{source.name:10} {frames} frames, CPU {cpu_s:.2f} s, wall {wall_s:.2f} s", flush=True)
        one, many = median(costs[film]), median(costs[clips])
        print(f"clips / film: {many / one:.3f}; {(many - one) / options.clips * 1000:.2f} ms CPU a clip")
        empty = Path(name) / "empty"
        for number in range(50_000):
            at = time.gmtime(1_769_846_400 + number * 4)
            path = empty / time.strftime("%Y-%m-%d/%H-%M-%S.mp4", at)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        started = time.perf_counter()
        found = find(CameraConfig(name="hall", source=str(empty)))
        print(f"{len(found.clips)} clips listed and dated in {time.perf_counter() - started:.2f} s")


if __name__ == "__main__":
    main()
