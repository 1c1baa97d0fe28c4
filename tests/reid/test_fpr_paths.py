"""The paths of the FPR distance agree with float64: every storage, with and without the compiled kernel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from reid.fpr import vnni
from reid.fpr.cuda import NoGpuError, device_blocks
from reid.fpr.distance import best_storage, distance, prepare, resolved, weighted_distances
from reid.fpr.gallery import Storage
from reid.fpr.int8 import QuantisedBlock, float_lengths, quantised
from reid.fpr.nearest import nearest, only_nearest, prepare_screen, screened
from reid.fpr.probes import blocks_of

Array = NDArray[np.float64]
GENERATOR = np.random.default_rng(0)
needs_kernel = pytest.mark.skipif(
    vnni.load_kernel() is None, reason="not built (python -m reid.fpr.vnni), or no AVX-512 VNNI"
)


def image(cells: int, channels: int, common: float = 0.7) -> Array:
    """Unit cells as float16 holds them, non-negative and alike, as a network's are."""
    raw = common * np.maximum(GENERATOR.standard_normal((1, channels)) + 0.2, 0)
    raw = raw + np.maximum(GENERATOR.standard_normal((cells, channels)) + 0.2, 0)
    unit: Array = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float16).astype(np.float64)
    return unit


def reference(probes: list[tuple[Array, Array]], images: list[Array]) -> Array:
    """[FPR] Eq. 3-5 in float64."""
    found = np.empty((len(probes), len(images)))
    for g, y in enumerate(images):
        for p, (x, h) in enumerate(probes):
            w = np.linalg.solve(y @ y.T + 0.01 * np.eye(len(y)), y @ x.T)
            found[p, g] = (h * np.linalg.norm(x - w.T @ y, axis=1)).sum() / h.sum()
    return found


def scene(channels: int) -> tuple[list[tuple[Array, Array]], list[Array]]:
    """Ragged probes and images: the first image is the first probe, others have repeated and zero cells."""
    images = [image(cells, channels) for cells in (20, 33, 1, 70, 20)]
    images += [
        np.repeat(image(1, channels), 20, 0),
        np.concatenate([image(5, channels), np.zeros((3, channels))]),
    ]
    probes = [(x, GENERATOR.random(len(x))) for x in (images[0], image(70, channels), image(1, channels))]
    concentrated = np.zeros(20)
    concentrated[3] = 1
    return [*probes, (images[0], concentrated)], images


@pytest.mark.parametrize("channels", [16, 112, 256])
@pytest.mark.parametrize(("storage", "error"), [("float32", 1e-6), ("float16", 2e-3), ("int8", 4e-3)])
def test_every_storage_is_as_exact_as_stated(storage: Storage, error: float, channels: int) -> None:
    probes, images = scene(channels)
    found = distance(probes, prepare(images, storage=storage))
    np.testing.assert_allclose(found, reference(probes, images), atol=error)


def test_the_fast_path_errs_by_less_than_3e_4_at_the_papers_size() -> None:
    images = [image(110, 2048) for _ in range(4)]
    probes = [(image(110, 2048), GENERATOR.random(110)) for _ in range(2)]
    found = distance(probes, prepare(images, storage="int8"))
    np.testing.assert_allclose(found, reference(probes, images), atol=3e-4)


def test_two_pictures_of_a_moment_are_as_exact_on_the_fast_path() -> None:
    images = [image(70, 112) for _ in range(3)]
    noisy = images[1] + 0.018 * GENERATOR.standard_normal((70, 112))
    probes = [(noisy / np.linalg.norm(noisy, axis=1, keepdims=True), GENERATOR.random(70))]
    found, expected = distance(probes, prepare(images, storage="int8"))[0], reference(probes, images)[0]
    assert 0.1 < expected[1] < 0.15 and abs(found[1] - expected[1]) < 1e-6 < abs(found[0] - expected[0])


@needs_kernel
@pytest.mark.parametrize("cells", [1, 64, 130])
@pytest.mark.parametrize("channels", [7, 112, 300])
def test_the_kernel_equals_float32_on_the_same_eight_bits(cells: int, channels: int) -> None:
    gallery = prepare([image(rows, channels) for rows in (1, 6, 23)], storage="int8")
    assert gallery.directions is not None
    probes = quantised(image(cells, channels).astype(np.float32), gallery.directions)
    ((_, images),) = gallery.blocks(np.arange(3), 8)
    expected = float_lengths(probes, images.form)[:, :cells]  # type: ignore[arg-type]
    np.testing.assert_allclose(QuantisedBlock(probes).lengths(images.form), expected, atol=2e-5)  # type: ignore[arg-type]


def installed_read_only(folder: Path) -> Path:
    """The kernel's source as in an installed package that cannot be written to."""
    folder.mkdir()
    source = folder / "vnni.c"
    source.write_bytes(vnni.SOURCE.read_bytes())
    return source


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The kernel's source moved to a folder that nothing can be written to, on a machine that runs it."""
    may = os.access
    source = installed_read_only(tmp_path / "site-packages")
    monkeypatch.setattr(vnni, "SOURCE", source)
    monkeypatch.setattr(vnni, "has_instructions", lambda: True)
    monkeypatch.setattr(os, "access", lambda path, mode: path != source.parent and may(path, mode))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    vnni.load_kernel.cache_clear()
    yield source
    vnni.load_kernel.cache_clear()


def test_a_missing_compiler_is_one_line_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(vnni.BuildError, match="no C compiler"):
        vnni.build()


def test_without_a_compiler_the_first_use_says_so_once_and_goes_on(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", "")
    assert best_storage() == "float32"
    probes, images = scene(16)
    np.testing.assert_allclose(
        distance(probes, prepare(images, storage="int8")), reference(probes, images), atol=4e-3
    )
    assert [record.getMessage() for record in caplog.records] == [
        "fast FPR kernel not built, float32 is used: no C compiler (cc, gcc, clang)"
    ]


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_first_use_builds_into_the_cache_where_the_package_is_read_only(
    elsewhere: Path, tmp_path: Path
) -> None:
    built = vnni.build()
    assert built.parent == tmp_path / "cache/across-cameras"
    assert list(elsewhere.parent.iterdir()) == [elsewhere]
    assert vnni.built() == built
    assert [path.suffix for path in built.parent.iterdir()] == [".so"]


def test_a_library_that_cannot_be_loaded_is_not_used(
    elsewhere: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache/across-cameras").mkdir(parents=True)
    (tmp_path / "cache/across-cameras").chmod(0o700)
    (tmp_path / "cache/across-cameras" / vnni.library_name()).write_bytes(b"")
    assert vnni.load_kernel() is None
    assert "float32 is used" in caplog.text


def test_nowhere_to_keep_the_library_is_one_line(
    elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_bytes(b"")
    monkeypatch.setattr("shutil.which", lambda name: "/bin/true")
    with pytest.raises(vnni.BuildError, match="nor a cache folder of this user can be written to"):
        vnni.build()


@pytest.mark.parametrize(("compiler", "reason"), [("false", "exit code 1"), ("missing", "No such file")])
def test_a_compiler_that_fails_is_one_line(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, compiler: str, reason: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{compiler}")
    with pytest.raises(vnni.BuildError, match=reason):
        vnni.build()


def test_auto_follows_the_gallery_and_a_path_it_has_not_is_refused() -> None:
    exact, fast = (prepare([image(4, 16)], storage=storage) for storage in ("float32", "int8"))
    assert (resolved("auto", exact), resolved("auto", fast)) == ("exact", "fast")
    with pytest.raises(ValueError, match="fast needs storage='int8'"):
        resolved("fast", exact)
    with pytest.raises(ValueError, match="must be one of auto"):
        resolved("double", exact)  # type: ignore[arg-type]
    assert best_storage() == ("float32" if vnni.load_kernel() is None else "int8")


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_the_bound_never_loses_a_neighbour(storage: Storage) -> None:
    images = [image(20, 32) for _ in range(60)]
    probes = [(image(20, 32), GENERATOR.random(20) ** 3) for _ in range(6)]
    gallery = prepare(images, storage=storage)
    gallery.remove(7)
    whole = distance(probes, gallery)
    whole[:, 7] = np.inf
    found = nearest(probes, gallery, 5)
    np.testing.assert_allclose(
        found.distances, np.sort(whole, 1)[:, :5], atol=2e-6 if storage == "float32" else 1e-3
    )
    assert 7 not in found.rows and 0 < found.compared <= 1.5


def test_only_the_nearest_get_a_distance() -> None:
    images, probes = [image(9, 16) for _ in range(20)], [(image(9, 16), np.ones(9))]
    gallery = prepare(images)
    found = only_nearest(probes, gallery, 3, rows=range(4, 20))
    whole = distance(probes, gallery, rows=range(4, 20))
    assert np.isfinite(found).sum() == 3 and found.shape == whole.shape
    np.testing.assert_allclose(
        found[np.isfinite(found)],
        np.sort(whole[0])[np.argsort(np.argsort(whole[0][np.isfinite(found[0])]))],
        atol=1e-6,
    )


def test_the_screen_finds_somebody_seen_before() -> None:
    images = [image(40, 64) for _ in range(50)]
    noisy = images[23] + 0.05 * GENERATOR.random((40, 64))
    found = screened(
        [(noisy, np.ones(40))], prepare(images), prepare_screen(images, storage="float32"), 3, kept=10
    )
    assert found.rows[0, 0] == 23 and found.rows.shape == (1, 3)


def test_a_screen_of_another_gallery_and_a_count_that_is_none_are_refused() -> None:
    images, one = [image(8, 16) for _ in range(3)], [(image(8, 16), np.ones(8))]
    with pytest.raises(ValueError, match="2 rows in the screen of 3"):
        screened(one, prepare(images), prepare_screen(images[:2], storage="float32"), 1)
    with pytest.raises(ValueError, match="count = 0"):
        nearest(one, prepare(images), 0)


def test_a_gpu_that_is_not_there_is_named() -> None:
    gallery, one = prepare([image(8, 16)]), [(image(8, 16), np.ones(8))]
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(NoGpuError, match="no CUDA device"):
        distance(one, gallery, precision="gpu")
    with pytest.raises(ValueError, match="stores int8"):
        distance(one, prepare([image(8, 16)], storage="int8"), precision="tf32")


@pytest.mark.parametrize("channels", [16, 256])
def test_the_gpus_arithmetic_is_right_where_torch_runs_it_on_a_cpu(channels: int) -> None:
    probes, images = scene(channels)
    gallery, found = prepare(images), np.empty((len(probes), len(images)))
    blocks = list(blocks_of([(x, h[None]) for x, h in probes]))
    rows, cpu = np.arange(len(images)), torch.device("cpu")
    for first, places, block in device_blocks(blocks, gallery, rows, device=cpu, half="tf32"):
        found[first : first + block.shape[2], places] = block[0].T
    np.testing.assert_allclose(found, reference(probes, images), atol=2e-6)


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "error"), [("gpu", 2e-3), ("tf32", 2e-3)])
def test_a_gpu_agrees_with_the_cpu(precision: str, error: float) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    probes, images = scene(112)
    found = distance(probes, prepare(images), precision=precision)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, reference(probes, images), atol=error)


def test_several_weightings_cost_one_comparison_and_equal_their_own() -> None:
    images, x = [image(9, 16) for _ in range(5)], image(9, 16)
    h = np.stack([np.ones(9), GENERATOR.random(9)])
    both = weighted_distances([(x, h)], prepare(images))
    np.testing.assert_allclose(both[1], distance([(x, h[1])], prepare(images)), atol=1e-6)


def test_the_exact_path_needs_no_torch() -> None:
    modules = "reid.fpr.distance, reid.fpr.disk, reid.fpr.nearest"
    code = f"import sys, {modules}; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
