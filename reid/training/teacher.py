"""What an OpenVINO ReID network says about every training crop, computed once and kept on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reid.data.datasets import Sample
from reid.network.openvino_core import openvino_core

TEACHER_INPUT = (256, 128)  # height, width of person-reidentification-retail-0277
TEACHER_MAP = "Relu_1126"
"""The network's last spatial map, before its pooling; a '_' here may be a '/' or a space in the file."""
BATCH = 16
PROJECTED = 64
"""Channels kept of each map position: the leading directions of the positions of `FIT_SAMPLES` crops."""
FIT_SAMPLES = 1_000


class TeacherMissing(FileNotFoundError):
    """The teacher's file is not there, or cannot be run."""


class TeacherStale(ValueError):
    """The cache on disk is of other crops or unfinished."""


@dataclass(frozen=True)
class TeacherOutput:
    """The teacher's answer for a batch of crops."""

    embeddings: NDArray[np.float32]  # (B, D)
    maps: NDArray[np.float32]  # (B, C, 16, 8), >= 0


@dataclass(frozen=True)
class TeacherCache:
    """The teacher's answers for S crops, in their order; large arrays stay on disk until read."""

    embeddings: NDArray[np.float16]  # (S, D)
    maps: NDArray[np.float16]  # (S, 16, 8, PROJECTED) unit cells on the projection's directions
    norms: NDArray[np.float16]  # (S, 16, 8) length of each position's vector: where the teacher sees a person
    projection: NDArray[np.float32]  # (PROJECTED, C) orthonormal rows


class Teacher:
    """An OpenVINO ReID network with its spatial map."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        """Compile the network of an OpenVINO .xml file.

        Raises:
            TeacherMissing: no such file, or no node with the spatial map in it.
        """
        if not path.is_file():
            raise TeacherMissing(f"{path}: no teacher; it is listed in shared/README.md under reid_peers")
        core = openvino_core()
        model = core.read_model(path)
        model.reshape([BATCH, 3, *TEACHER_INPUT])
        model.add_outputs([spatial_map(model, path).output(0)])
        threads_hint = {"INFERENCE_NUM_THREADS": threads}
        self.compiled = core.compile_model(model, "CPU", threads_hint)

    def run(self, crops: Sequence[NDArray[np.uint8]]) -> TeacherOutput:
        """Embeddings and maps of up to `BATCH` (H, W, 3) RGB crops."""
        batch = np.zeros((BATCH, 3, *TEACHER_INPUT), np.float32)
        for row, crop in zip(batch, crops, strict=False):
            row[:] = teacher_input(crop)
        answer = self.compiled(batch)
        embeddings, maps = (np.asarray(answer[index])[: len(crops)] for index in (0, 1))
        return TeacherOutput(embeddings.astype(np.float32), maps.astype(np.float32))


def teacher_input(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(3, 256, 128) BGR in 0..255 of an RGB crop."""
    resized = cv2.resize(crop, TEACHER_INPUT[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized[..., ::-1].transpose(2, 0, 1), np.float32)


def spatial_map(model: Any, path: Path) -> Any:
    """The node of the graph that gives the spatial map."""
    wanted = TEACHER_MAP.removeprefix("Relu_")
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Relu" and node.get_friendly_name() == wanted:
            return node
    raise TeacherMissing(f"{path}: no {TEACHER_MAP} in it; only person-reidentification-retail-0277 is known")


def cache_teacher(samples: Sequence[Sample], teacher: Teacher, folder: Path) -> Iterator[int]:
    """Write the teacher's answers for all samples to `folder`; yields the number done after each batch."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "names.json").unlink(missing_ok=True)
    step = max(1, len(samples) // FIT_SAMPLES)
    projection = leading_directions(run_all(teacher, samples[::step]))
    np.save(folder / "projection.npy", projection)
    count = len(samples)
    maps = open_array(
        folder / "maps.npy", (count, TEACHER_INPUT[0] // 16, TEACHER_INPUT[1] // 16, len(projection))
    )
    norms = open_array(folder / "norms.npy", maps.shape[:3])
    embeddings: NDArray[np.float16] | None = None
    done = 0
    for output in run_all(teacher, samples):
        stop = done + len(output.maps)
        if embeddings is None:
            embeddings = open_array(folder / "embeddings.npy", (count, output.embeddings.shape[1]))
        lengths = np.linalg.norm(output.maps, axis=1, keepdims=True)
        cells = output.maps / np.maximum(lengths, 1e-6)
        maps[done:stop] = np.einsum("bchw,pc->bhwp", cells, projection)
        norms[done:stop] = lengths[:, 0]
        embeddings[done:stop] = output.embeddings
        done = stop
        yield done
    for array in (maps, norms, embeddings):
        if isinstance(array, np.memmap):
            array.flush()
    (folder / "names.json").write_text(json.dumps([sample.name for sample in samples]))


def load_cache(folder: Path, samples: Sequence[Sample]) -> TeacherCache:
    """The teacher's answers for `samples`, in their order.

    Raises:
        TeacherStale: nothing there, an unfinished run, or other samples.
    """
    names = folder / "names.json"
    if not names.is_file() or json.loads(names.read_text()) != [sample.name for sample in samples]:
        raise TeacherStale(
            f"{folder}: no finished teacher cache of these {len(samples)} crops; delete it and run again"
        )
    return TeacherCache(
        embeddings=np.load(folder / "embeddings.npy", mmap_mode="r"),
        maps=np.load(folder / "maps.npy", mmap_mode="r"),
        norms=np.load(folder / "norms.npy", mmap_mode="r"),
        projection=np.load(folder / "projection.npy"),
    )


def run_all(teacher: Teacher, samples: Iterable[Sample]) -> Iterator[TeacherOutput]:
    """The teacher's answers, batch by batch."""
    batch: list[Sample] = []
    for sample in samples:
        batch.append(sample)
        if len(batch) == BATCH:
            yield teacher.run([sample.image for sample in batch])
            batch = []
    if batch:
        yield teacher.run([sample.image for sample in batch])


def leading_directions(outputs: Iterable[TeacherOutput]) -> NDArray[np.float32]:
    """(PROJECTED, C) orthonormal directions that hold most of the unit cells' energy (not centred)."""
    moment: NDArray[np.float64] | None = None
    for output in outputs:
        cells = output.maps.transpose(0, 2, 3, 1).reshape(-1, output.maps.shape[1]).astype(np.float64)
        cells /= np.maximum(np.linalg.norm(cells, axis=1, keepdims=True), 1e-6)
        moment = cells.T @ cells + (0 if moment is None else moment)
    if moment is None:
        raise ValueError("no crops to fit the projection on")
    _, vectors = np.linalg.eigh(moment)
    return np.asarray(vectors[:, ::-1][:, :PROJECTED].T, np.float32)


def open_array(path: Path, shape: tuple[int, ...]) -> NDArray[np.float16]:
    """A new float16 array on disk."""
    return np.lib.format.open_memmap(path, "w+", np.float16, shape)
