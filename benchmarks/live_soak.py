"""A live run under random faults for a long time: nothing may leak.

    python benchmarks/live_soak.py [--minutes 60] [--seed 0] [--csv FILE] [--json]

Three cameras (see live_cameras.py); every half minute or so one of the faults happens to one of them and is
repaired. In the first 30 minutes, the warm-up, faults follow each other three times as fast, and the ReID and
match workers are stopped for some seconds now and then: so queues become as long, galleries as full and
captures as often connected as they will be. Exits 1 when memory grows by more than 1 MB an hour after that
(beyond what the scatter of the samples explains; a shorter run says nothing about memory), or open files,
threads or processes grow, or a camera is not live at the end, or anything is left behind: processes, shared
memory, temporary folders. Memory is judged by what each five minutes held most (the 90% quantile of the
moments without a fault when every process runs): a capture that was started anew is smaller for a while.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from live_cameras import FAULTS, Site, open_site
from live_judging import end_of, settle
from live_site import LiveRun, memory_by_worker

from tests.rtsp.server import missing_packages

LIMIT_MB_H = 1.0
WINDOW_S, MOST, ENOUGH = 300, 0.9, 5
"""A slope is that of this quantile of so many windows or more."""
WARM_S = 1800.0
"""Before this memory is not judged."""
STALL_S, STALLS_EVERY_S = 8.0, 240.0
"""In the warm-up a worker is stopped for so long, each in its turn: longer than any queue lasts."""
CALM_S = 5.0
"""A fault counts as over so long after its repair."""
SAMPLE_S = 5.0
FAULT_S = (2.0, 12.0)
"""A fault lasts so long."""
REST_S, WARM_REST_S = (10.0, 25.0), (3.0, 6.0)
"""And so long comes before the next; in the warm-up."""
SURE = 2.0
"""Standard errors by which the slope must exceed the limit to count."""


@dataclass(frozen=True)
class Sample:
    """What the run holds at one moment."""

    at_s: float
    workers: dict[str, int]
    """Bytes of memory by worker."""
    files: int
    """Open descriptors, sockets among them."""
    processes: int
    threads: int
    calm: bool
    """Whether no fault is on."""

    @property
    def memory_bytes(self) -> int:
        """Of the whole run."""
        return sum(self.workers.values())


def main() -> int:
    """Soak, print, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--csv", type=Path, help="write every sample there")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if missing_packages():
        raise SystemExit(missing_packages())
    left_before = leftovers()
    with tempfile.TemporaryDirectory() as folder, open_site(Path(folder)) as site:
        samples, faults = soak(site, arguments.minutes * 60, random.Random(arguments.seed))
        problems = [f"{c}: {p}" for c in site.run.names for p in settle(site, c)]
        ending = end_of(site.run)
    left = sorted(leftovers() - left_before)
    if arguments.csv:
        write_samples(arguments.csv, samples)
    figures = judged(samples)
    problems += [*figures.pop("problems"), *ending["problems"], *(f"left behind: {name}" for name in left)]
    report = {"minutes": arguments.minutes, "faults": dict(faults), **figures, "failed": problems}
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        for name, value in report.items():
            print(f"{name}: {value}")
    return 1 if problems else 0


def soak(site: Site, seconds: float, chance: random.Random) -> tuple[list[Sample], Counter[str]]:
    """Do faults at random until the time is over; what was held meanwhile."""
    samples: list[Sample] = []
    done: Counter[str] = Counter()
    began = time.monotonic()

    def rest(length_s: float, calm_after_s: float) -> None:
        rests = time.monotonic()
        until = rests + length_s
        while time.monotonic() < until:
            now = time.monotonic()
            samples.append(sample(site.run, now - began, calm=now - rests >= calm_after_s))
            time.sleep(min(SAMPLE_S, max(0.0, until - time.monotonic())))

    stalled = 0
    while (at_s := time.monotonic() - began) < seconds:
        if at_s < WARM_S and at_s > stalled * STALLS_EVERY_S:
            stall(site.run, ("reid", "match")[stalled % 2])
            stalled += 1
        fault = chance.choice(FAULTS)
        rest(chance.uniform(*(WARM_REST_S if at_s < WARM_S else REST_S)), CALM_S)
        fault.inject(site)
        done[fault.name] += 1
        say(fault.name, samples[-1])
        rest(chance.uniform(*FAULT_S), math.inf)
        fault.repair(site)
    return samples, done


def stall(run: LiveRun, worker: str) -> None:
    """Stop a worker for a while, so that everything before it waits."""
    number = run.status().get("processes", {}).get(worker)
    if number is None:
        return
    process = psutil.Process(number)
    process.suspend()
    try:
        time.sleep(STALL_S)
    finally:
        process.resume()


def say(fault: str, last: Sample) -> None:
    """Tell on stderr how far the soak is."""
    held = f"{last.memory_bytes / 1e6:.0f} MB, {last.files} files, {last.processes} processes"
    print(f"{last.at_s / 60:5.1f} min: {held}; {fault}", file=sys.stderr, flush=True)


def sample(run: LiveRun, at_s: float, *, calm: bool) -> Sample:
    """Count everything that could leak."""
    files = threads = alive = 0
    for process in run.processes():
        try:
            files += process.num_fds()
            threads += process.num_threads()
            alive += 1
        except psutil.Error:
            continue
    return Sample(at_s, memory_by_worker(run), files, alive, threads, calm)


def write_samples(path: Path, samples: list[Sample]) -> None:
    """Every sample as a row: seconds, whether all was calm, counts, MB by worker."""
    workers = sorted({name for s in samples for name in s.workers})
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["at_s", "calm", "files", "processes", "threads", *workers])
        for s in samples:
            held = [round(s.workers.get(name, 0) / 1e6, 3) for name in workers]
            rows.writerow([round(s.at_s, 1), int(s.calm), s.files, s.processes, s.threads, *held])


def judged(samples: list[Sample]) -> dict[str, Any]:
    """What grew, and the slope of the memory after the warm-up."""
    problems = []
    calm = [s for s in samples if s.at_s > WARM_S and s.calm] or samples
    for name in ("files", "processes", "threads"):
        counts = np.array([getattr(s, name) for s in calm])
        first, last = (int(np.median(part)) for part in np.array_split(counts, 4)[::3])
        if last > first + 2:
            problems.append(f"{name} grew from {first} to {last}")
    full = Counter(s.processes for s in calm).most_common(1)[0][0]
    whole = [s for s in calm if s.processes == full]
    windows = [int(s.at_s // WINDOW_S) for s in whole]
    slope_mb_h, error_mb_h = memory_slope(windows, [s.memory_bytes for s in whole])
    names = sorted(samples[-1].workers)
    slopes = {name: memory_slope(windows, [s.workers.get(name, 0) for s in whole]) for name in names}
    if slope_mb_h - SURE * error_mb_h > LIMIT_MB_H:
        problems.append(f"memory grows by {slope_mb_h:.1f} MB/h")
    if samples[-1].at_s > WARM_S + WINDOW_S * ENOUGH and len(set(windows)) < ENOUGH:
        problems.append(
            f"memory was not judged: only {len(set(windows))} windows had a moment without a fault"
        )
    return {
        "samples": [len(whole), len(samples)],
        "memory_mb": round(max(s.memory_bytes for s in samples) / 1e6, 1),
        "slope_mb_h": round(slope_mb_h, 2),
        "slope_error_mb_h": round(error_mb_h, 2),
        "workers_mb_h": {name: [round(number, 2) for number in slope] for name, slope in slopes.items()},
        "files": [samples[0].files, samples[-1].files],
        "processes": [samples[0].processes, samples[-1].processes],
        "problems": problems,
    }


def memory_slope(windows: list[int], held_bytes: list[int]) -> tuple[float, float]:
    """MB an hour with its standard error, by the window; zeros where the run was too short to tell."""
    by_window: defaultdict[int, list[int]] = defaultdict(list)
    for window, held in zip(windows, held_bytes, strict=True):
        by_window[window].append(held)
    if len(by_window) < ENOUGH:
        return 0.0, 0.0
    hours = np.array(list(by_window), float) * WINDOW_S / 3600
    slope, error = slope_of(hours, np.array([np.quantile(held, MOST) for held in by_window.values()]))
    return slope / 1e6, error / 1e6


def slope_of(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Least-squares slope and its standard error."""
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    scatter = y - y.mean() - slope * centred
    return slope, float(np.sqrt((scatter @ scatter) / max(1, len(x) - 2) / (centred @ centred)))


def leftovers() -> set[str]:
    """Names of shared memory and of folders for sockets that exist now."""
    shared = Path("/dev/shm").iterdir() if Path("/dev/shm").is_dir() else ()
    return {str(path) for path in (*shared, *Path(tempfile.gettempdir()).glob("fpr-*"))}


if __name__ == "__main__":
    sys.exit(main())
