"""How long `find` takes in a large store: people drawn from real embeddings, each a little changed."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline.config import Config, ReidConfig  # noqa: E402
from pipeline.messages import Crop, Embedding, TrackletClosed, TrackletEmbedded, TrackletKey  # noqa: E402
from pipeline.queries.find import Finder, Meant, Portrait  # noqa: E402
from pipeline.records import Sighting  # noqa: E402
from pipeline.shipped_files import shipped  # noqa: E402
from pipeline.store.cameras import add_camera  # noqa: E402
from pipeline.store.database import Store  # noqa: E402
from pipeline.store.identity_claims import add_sightings, new_identity  # noqa: E402
from pipeline.store.open_store import open_store  # noqa: E402
from pipeline.store.recordings import start_recording  # noqa: E402
from pipeline.store.runs import begin_run  # noqa: E402
from pipeline.store.tracklets import add_tracklets  # noqa: E402
from pipeline.store.versions import new_version  # noqa: E402
from reid.embed import Embedder, load_embedder  # noqa: E402

BATCH = 200
SEEDS = 64
"""Pictures of noise that are embedded; everybody is one of them with noise of their own."""
MOST_S = 1.0


def fill(store: Store, embedder: Embedder, people: int, crops: int) -> None:
    """Everybody once in one camera."""
    rng = np.random.default_rng(0)
    run = begin_run(store, command="benchmark", config={}, software="benchmark")
    camera = add_camera(store, "hall", clock_known=True)
    hall = start_recording(store, run=run, camera=camera, source="hall", fingerprint="f", start_ns=0)
    seeds = embedder.embed([blotches(rng) for _ in range(SEEDS)])
    jpeg = cv2.imencode(".jpg", np.zeros((128, 64, 3), np.uint8))[1].tobytes()
    for start in range(0, people, BATCH):
        batch = []
        for person in range(start, min(people, start + BATCH)):
            seed = seeds[person % SEEDS]
            own = Embedding(near(seed.cells, rng), seed.foreground, near(seed.pooled, rng))
            batch.append(presence(hall, person, own, crops, jpeg, embedder.model_id))
        add_tracklets(store, batch)
    version = new_version(store, "online")
    claims = [Sighting(t, new_identity(store), "new") for t in range(1, people + 1)]
    add_sightings(store, version, claims)


def blotches(rng: np.random.Generator) -> NDArray[np.uint8]:
    """(128, 64, 3) RGB: a few coloured rectangles."""
    colours = rng.integers(0, 256, (8, 4, 3), dtype=np.uint8)
    return np.ascontiguousarray(colours.repeat(16, 0).repeat(16, 1))


def near(vectors: NDArray[np.float16], rng: np.random.Generator) -> NDArray[np.float16]:
    """The vectors with noise of a third of their length, of unit length again."""
    noise = rng.standard_normal(vectors.shape) / (3 * np.sqrt(vectors.shape[-1]))
    changed = vectors.astype(np.float32) + noise
    return (changed / np.linalg.norm(changed, axis=-1, keepdims=True)).astype(np.float16)


def presence(
    recording: int, person: int, own: Embedding, crops: int, jpeg: bytes, model: str
) -> TrackletEmbedded:
    """One tracklet of two frames."""
    times = np.array([person, person + 1], np.int64) * 10**9
    boxes = np.float32([[0, 0, 64, 128]] * 2)
    pictures = tuple(Crop(0, int(times[0]), boxes[0], quality=1.0, jpeg=jpeg) for _ in range(crops))
    key = TrackletKey(recording, person, 0)
    numbers, confidences = np.array([0, 1], np.int32), np.float32([0.9, 0.9])
    closed = TrackletClosed(key, "hall", numbers, times, boxes, confidences, pictures)
    return TrackletEmbedded(closed, model, (own,) * crops)


def main(
    people: Annotated[int, typer.Option(min=1)] = 20_000,
    crops: Annotated[int, typer.Option(min=1)] = 4,
    repeats: Annotated[int, typer.Option(min=1)] = 3,
    keep: Annotated[Path | None, typer.Option(help="Database to make, or to use again.")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Times the search with the network loaded; exits 1 where it takes longer than a second."""
    config = Config(reid=ReidConfig(device="cpu"))
    started = time.perf_counter()
    embedder = load_embedder(shipped(config.reid.weights), device="cpu")
    load_s = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        path = keep or Path(folder) / "find.db"
        if not path.exists():
            with open_store(path, create=True, write=True) as store:
                fill(store, embedder, people, crops)
        taken = []
        picture = blotches(np.random.default_rng(1))
        with open_store(path) as store:
            finder = Finder(store, config)
            for _ in range(repeats):
                started, busy = time.perf_counter(), time.process_time()
                found = finder.search(Portrait(picture, Meant(1, None)), limit=10).found
                taken.append((time.perf_counter() - started, time.process_time() - busy))
    find_s, cpu_s = sorted(taken)[repeats // 2]
    figures = {
        "people": people,
        "crops": crops,
        "find_s": find_s,
        "find_cpu_s": cpu_s,
        "load_network_s": load_s,
    }
    typer.echo(json.dumps(figures) if as_json else f"{figures}, nearest P{found[0].person}")
    if figures["find_s"] > MOST_S:
        typer.echo(f"MISSED find: {figures['find_s']:.2f} s (<= {MOST_S} s)")
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
