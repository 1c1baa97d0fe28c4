"""Embeddings kept on disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reid.data.samples import Sample
from reid.network.spec import Runtime
from reid.scoring.embeddings import CachedEmbedding, Embeddings
from reid.sets.baselines import CellGrid


def picture(person: int) -> Sample:
    encoded = cv2.imencode(".png", np.full((4, 4, 3), person, np.uint8))[1].tobytes()
    return Sample(f"made/test/{person}.png", person, 1, encoded)


class Counting:
    """A network whose crops have as many cells as their colour says, and that counts its work."""

    def __init__(self) -> None:
        self.crops = 0

    def embed(self, crops: list[NDArray[np.uint8]], /) -> list[CachedEmbedding]:
        self.crops += len(crops)
        found = []
        for crop in crops:
            count = int(crop[0, 0, 0]) + 1
            cells = np.full((count, 4), count, np.float16)
            found.append(CachedEmbedding(cells, np.ones(count), np.arange(5.0) + count))
        return found


def embeddings(folder: Path | None, model: str = "net-1", runtime: Runtime = "auto") -> Embeddings:
    return Embeddings(Counting(), model, CellGrid(), folder, runtime=runtime)


def crops_seen(network: Embeddings) -> int:
    assert isinstance(network.embedder, Counting)
    return network.embedder.crops


SAMPLES = [picture(i) for i in range(3)]


def test_what_was_computed_once_is_read_again_in_any_order(tmp_path: Path) -> None:
    first = embeddings(tmp_path).of(SAMPLES, "")
    again = embeddings(tmp_path)
    for one, other in zip(first[::-1], again.of(SAMPLES[::-1], ""), strict=True):
        np.testing.assert_array_equal(one.cells, other.cells)
        np.testing.assert_array_equal(one.foreground, other.foreground)
        np.testing.assert_array_equal(one.pooled, other.pooled)
    assert crops_seen(again) == 0


def test_what_another_runtime_said_is_not_read(tmp_path: Path) -> None:
    runtimes: tuple[Runtime, ...] = ("openvino-bf16", "openvino", "auto")
    for runtime in runtimes:
        network = embeddings(tmp_path, runtime=runtime)
        network.of(SAMPLES, "")
        assert crops_seen(network) == len(SAMPLES)


def test_only_pictures_not_seen_before_are_computed(tmp_path: Path) -> None:
    embeddings(tmp_path).of(SAMPLES[:2], "")
    network = embeddings(tmp_path)
    assert [len(e.cells) for e in network.of([*SAMPLES, SAMPLES[2]], "")] == [1, 2, 3, 3]
    assert crops_seen(network) == 1


def test_another_network_reads_nothing_of_it(tmp_path: Path) -> None:
    embeddings(tmp_path).of(SAMPLES, "")
    other = embeddings(tmp_path, "net-2")
    other.of(SAMPLES, "")
    assert crops_seen(other) == 3


def test_half_a_file_is_computed_anew(tmp_path: Path) -> None:
    embeddings(tmp_path).of(SAMPLES, "")
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    network = embeddings(tmp_path)
    network.of(SAMPLES, "")
    assert crops_seen(network) == 3


@pytest.mark.parametrize("folder", [None, Path("made")])
def test_nothing_is_written_before_anything_is_embedded(
    folder: Path | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert embeddings(folder).of([], "") == []
    assert not list(tmp_path.iterdir())
