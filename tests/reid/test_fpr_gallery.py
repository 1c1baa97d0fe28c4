"""Prepared galleries: what they cost, how they grow, that a folder holds them, and what is refused."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from reid.fpr.disk import GalleryFileError, open_gallery, prepare_on_disk, save_gallery
from reid.fpr.distance import GalleryTooLargeError, PreparedGallery, distance, prepare
from reid.fpr.gallery import CHUNK, Storage, image_bytes

Array = NDArray[np.float64]
STORAGES: tuple[Storage, ...] = ("float32", "float16", "int8")
GENERATOR = np.random.default_rng(0)


def image(cells: int = 6, channels: int = 16) -> Array:
    raw = np.maximum(GENERATOR.standard_normal((cells, channels)) + 0.3, 0)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def probe() -> tuple[Array, Array]:
    return image(), GENERATOR.random(6)


@pytest.mark.parametrize(("storage", "size"), [("float32", 65_856), ("float16", 40_768), ("int8", 32_144)])
def test_an_image_of_the_shipped_size_costs_what_is_stated(storage: Storage, size: int) -> None:
    assert image_bytes(70, 112, storage) == size
    assert prepare([image(70, 112)], storage=storage).memory_bytes == size


def test_ten_thousand_images_added_one_by_one_cost_the_same_each() -> None:
    gallery, seconds = PreparedGallery(16), []
    for _ in range(10):
        start = time.process_time()
        for _ in range(1000):
            gallery.append(image(4))
        seconds.append(time.process_time() - start)
    assert min(seconds[5:]) < 2 * min(seconds[:5])
    each = image_bytes(4, 16, "float32")
    assert 10_000 * each <= gallery.memory_bytes <= (10_000 + CHUNK) * each


def test_adding_an_image_leaves_the_arrays_of_the_others_where_they_are() -> None:
    gallery = prepare([image() for _ in range(CHUNK)])
    before = gallery.chunks[0]["form"]
    gallery.append(image(9))
    assert gallery.chunks[0]["form"] is before and len(gallery.chunks) == 2


@pytest.mark.parametrize("storage", STORAGES)
def test_a_saved_gallery_says_the_same_and_is_mapped(storage: Storage, tmp_path: Path) -> None:
    images = [image(cells) for cells in (6, 2, 9)] * 100
    gallery, one = prepare(images, storage=storage), probe()
    gallery.remove(4)
    save_gallery(gallery, tmp_path / "g")
    opened = open_gallery(tmp_path / "g")
    np.testing.assert_allclose(distance([one], opened), distance([one], gallery), atol=1e-6)
    assert isinstance(opened.chunks[0]["cells"].base, np.memmap) and opened.append(image()) == 4


def test_an_opened_gallery_grows_in_memory_and_its_files_stay(tmp_path: Path) -> None:
    save_gallery(prepare([image(), image()]), tmp_path / "g")
    opened, fresh = open_gallery(tmp_path / "g"), image()
    opened.replace(0, fresh)
    one = probe()
    np.testing.assert_allclose(
        distance([one], opened)[0, 0], distance([one], prepare([fresh]))[0, 0], atol=1e-6
    )
    assert len(open_gallery(tmp_path / "g")) == 2


@pytest.mark.parametrize("storage", STORAGES)
def test_a_gallery_beyond_memory_is_prepared_on_disk(storage: Storage, tmp_path: Path) -> None:
    images, one = [image(cells) for cells in (6, 2, 9)] * 100, probe()
    mapped = prepare_on_disk(images, tmp_path / "g", storage=storage)
    np.testing.assert_allclose(
        distance([one], mapped), distance([one], prepare(images, storage=storage)), atol=1e-6
    )


def test_a_million_images_beyond_memory_are_refused_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 16_000_000_000}))
    with pytest.raises(
        GalleryTooLargeError, match=r"65,856,000,000 bytes.*prepare_on_disk or storage='int8'"
    ):
        prepare([image(70, 112)] * 1_000_000)


def test_a_folder_that_is_no_gallery_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GalleryFileError, match="not a saved gallery"):
        open_gallery(tmp_path)
    save_gallery(prepare([image()]), tmp_path / "g")
    header = json.loads((tmp_path / "g/gallery.json").read_text()) | {"format": 99}
    (tmp_path / "g/gallery.json").write_text(json.dumps(header))
    with pytest.raises(GalleryFileError, match="format 99"):
        open_gallery(tmp_path / "g")
    with pytest.raises(ValueError, match="empty gallery"):
        save_gallery(PreparedGallery(16), tmp_path / "e")


def test_a_storage_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of float32"):
        PreparedGallery(16, storage="int4")  # type: ignore[arg-type]
