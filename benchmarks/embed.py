"""Crops embedded a second by each runtime: `python benchmarks/embed.py`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reid.embed import Embedder, Runtime, load_embedder  # noqa: E402
from reid.network.weights import read_notes  # noqa: E402

WARM_UP = 4
CROP = (128, 64)  # height, width in px; Market-1501's


def crops_a_second(embedder: Embedder, crops: list[np.ndarray]) -> tuple[float, float]:  # type: ignore[type-arg]
    """Crops a second of wall time, and CPU-ms a crop over all threads."""
    embedder.embed(crops[:WARM_UP])
    wall, cpu = time.perf_counter(), time.process_time()
    embedder.embed(crops)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return len(crops) / wall, 1000 * cpu / len(crops)


def runtimes_of(weights: Path, device: str) -> list[Runtime]:
    """What can run the weights on the device."""
    if device == "cuda":
        return ["torch"]
    if read_notes(weights).spec.foreign is not None:
        return ["openvino", "openvino-bf16"]
    return ["torch", "openvino", "openvino-bf16", "onnxruntime"]


def main(
    weights: Annotated[Path, typer.Option(help="Checkpoint.")] = Path("weights/fpr_small.safetensors"),
    backbone: Annotated[
        Path | None, typer.Option(help="Foreign network, for weights that are a head.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Crops.")] = 100,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measures `Embedder.embed`: resize, network, pyramid and copies included."""
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (*CROP, 3), np.uint8) for _ in range(count)]
    rows = []
    for runtime in runtimes_of(weights, device):
        embedder = load_embedder(weights, device=device, backbone=backbone, runtime=runtime)
        rate, cost = crops_a_second(embedder, crops)
        rows.append({"runtime": runtime, "crops_per_s": round(rate, 1), "cpu_ms_per_crop": round(cost, 1)})
        if not as_json:
            typer.echo(f"{runtime:13} {rate:8.1f} crops/s  {cost:6.1f} CPU-ms a crop")
    if as_json:
        typer.echo(json.dumps({"device": device, "threads": threads, "crop": CROP, "rows": rows}))


if __name__ == "__main__":
    typer.run(main)
