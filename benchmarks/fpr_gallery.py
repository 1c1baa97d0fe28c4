"""A large gallery: what it occupies, what adding an image costs first and last, CPU seconds a probe.

    OMP_NUM_THREADS=1 python benchmarks/fpr_gallery.py [--people 100000 --exemplars 4] [--json]

Images are random cells of the shipped network's size: no two are alike, as nearly all are on a site.
Exits 1 where memory is not what `image_bytes` states, or adding costs more at the end than at the start.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import psutil
import typer
from fpr_distance import unit_images

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reid.fpr.distance import best_storage, distance  # noqa: E402
from reid.fpr.forms import common_directions  # noqa: E402
from reid.fpr.gallery import SAMPLED, PreparedGallery, check_memory, image_bytes  # noqa: E402
from reid.fpr.nearest import coarse, screened  # noqa: E402

CELLS, CHANNELS = 70, 112
"""Of the shipped network."""
PROBES = 16
KEPT, NEAREST = 75, 10
PART = 10_000
"""Images whose cost is compared, at the start and at the end."""
GROWTH = 1.25
"""What an image may cost at the end, in units of what it costs at the start."""


class Filling:
    """A gallery and its screen while they grow."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Empty ones, with the common directions of some images."""
        some = unit_images(rng, SAMPLED, CELLS, CHANNELS)
        small = [coarse(cells) for cells in some]
        self.gallery, self.screen = (
            PreparedGallery(
                CHANNELS, storage=best_storage(), directions=common_directions(np.concatenate(xs))
            )
            for xs in (some, small)
        )
        self.rng = rng
        self.image_s: list[float] = []
        """CPU seconds of each addition to the gallery."""

    def add(self) -> None:
        """File one image in both."""
        cells = unit_images(self.rng, 1, CELLS, CHANNELS)[0]
        started = time.process_time()
        self.gallery.append(cells)
        self.image_s.append(time.process_time() - started)
        self.screen.append(coarse(cells))


def main(
    people: Annotated[int, typer.Option(min=1)] = 100_000,
    exemplars: Annotated[int, typer.Option(min=1)] = 4,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Fills a gallery image by image, then asks it."""
    rng = np.random.default_rng(0)
    images = people * exemplars
    check_memory(images, CELLS + len(coarse(np.empty((CELLS, CHANNELS)))), CHANNELS, best_storage())
    filling = Filling(rng)
    for _ in range(images):
        filling.add()
    gallery, screen = filling.gallery, filling.screen
    part = min(PART, images // 2)
    first_s, last_s = (float(np.mean(some)) for some in (filling.image_s[:part], filling.image_s[-part:]))
    probes = [(x, np.float32(rng.random(CELLS))) for x in unit_images(rng, PROBES, CELLS, CHANNELS)]
    stated = images * image_bytes(CELLS, CHANNELS, gallery.storage)
    figures = {
        "images": images,
        "storage": gallery.storage,
        "stated_gb": stated / 1e9,
        "gallery_gb": gallery.memory_bytes / 1e9,
        "screen_gb": screen.memory_bytes / 1e9,
        "process_gb": psutil.Process().memory_info().rss / 1e9,
        "add_first_ms": first_s * 1e3,
        "add_last_ms": last_s * 1e3,
        "all_cpu_s_per_probe": seconds(lambda: distance(probes, gallery)) / PROBES,
        "all_cpu_s_one_probe": seconds(lambda: distance(probes[:1], gallery)),
        "screened_cpu_s_per_probe": seconds(lambda: screened(probes, gallery, screen, NEAREST, kept=KEPT))
        / PROBES,
        "screened_cpu_s_one_probe": seconds(
            lambda: screened(probes[:1], gallery, screen, NEAREST, kept=KEPT)
        ),
    }
    typer.echo(json.dumps(figures) if as_json else "\n".join(f"{k}: {v}" for k, v in figures.items()))
    room = 256 * image_bytes(CELLS, CHANNELS, gallery.storage)
    if not stated <= gallery.memory_bytes <= stated + room:
        typer.echo(f"MISSED memory: {gallery.memory_bytes:,} bytes, stated are {stated:,}")
        raise typer.Exit(1)
    if last_s > GROWTH * first_s:
        typer.echo(f"MISSED adding: {last_s * 1e3:.2f} ms at the end, {first_s * 1e3:.2f} ms at the start")
        raise typer.Exit(1)


def seconds(ask: Callable[[], object]) -> float:
    """Of the CPU, for one call."""
    started = time.process_time()
    ask()
    return time.process_time() - started


if __name__ == "__main__":
    typer.run(main)
