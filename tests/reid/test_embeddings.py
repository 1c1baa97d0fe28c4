"""Embeddings kept on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reid.embeddings import CachedEmbedding, cached
from reid.samples import Sample

SAMPLES = [Sample(f"made/test/{i}.png", i, 1, bytes([i])) for i in range(3)]


def made(samples: Sequence[Sample]) -> list[CachedEmbedding]:
    """A crop's number of cells is its person's number + 1."""
    return [
        CachedEmbedding(np.full((s.pid + 1, 4), s.pid, np.float16), np.ones(s.pid + 1), np.arange(5.0))
        for s in samples
    ]


def refuse(samples: Sequence[Sample]) -> list[CachedEmbedding]:
    raise AssertionError("computed again")


def test_what_was_computed_once_is_read_again(tmp_path: Path) -> None:
    first = cached(tmp_path, "net-1", SAMPLES, made)
    again = cached(tmp_path, "net-1", SAMPLES, refuse)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.cells, other.cells)
        np.testing.assert_array_equal(one.foreground, other.foreground)
        np.testing.assert_array_equal(one.pooled, other.pooled)


def test_another_network_and_other_pictures_are_computed_anew(tmp_path: Path) -> None:
    cached(tmp_path, "net-1", SAMPLES, made)
    assert len(cached(tmp_path, "net-2", SAMPLES, made)) == 3
    assert len(cached(tmp_path, "net-1", SAMPLES[:2], made)) == 2
    assert len(list(tmp_path.iterdir())) == 3


def test_half_a_file_is_computed_anew(tmp_path: Path) -> None:
    cached(tmp_path, "net-1", SAMPLES, made)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    assert len(cached(tmp_path, "net-1", SAMPLES, made)) == 3


def test_without_a_folder_nothing_is_kept() -> None:
    assert len(cached(None, "net-1", SAMPLES, made)) == 3
