"""The FPR distance against the paper's formula, and the invariances that follow from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from reid.fpr.differentiable import fpr_distance
from reid.fpr.distance import PreparedGallery, distance, prepare

Array = NDArray[np.float64]
GENERATOR = np.random.default_rng(0)


def image(cells: int = 12, channels: int = 16) -> Array:
    """Unit cells as float16 holds them, non-negative like the network's."""
    raw = np.maximum(GENERATOR.standard_normal((cells, channels)) + 0.3, 0)
    unit: Array = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float16).astype(np.float64)
    return unit


def probe(cells: int = 12, channels: int = 16) -> tuple[Array, Array]:
    return image(cells, channels), GENERATOR.random(cells)


def paper_distance(x: Array, h: Array, y: Array, ridge: float = 0.01) -> float:
    """[FPR] Eq. 3-5 as printed: one solve a pair."""
    weights = np.linalg.inv(y @ y.T + ridge * np.eye(len(y))) @ y @ x.T
    return float((h * np.linalg.norm(x.T - y.T @ weights, axis=0)).sum() / h.sum())


def stacked(*arrays: Array) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays))


def test_both_forms_equal_the_papers_formula() -> None:
    probes, gallery = [probe() for _ in range(3)], [image() for _ in range(5)]
    expected = np.array([[paper_distance(x, h, y) for y in gallery] for x, h in probes])
    np.testing.assert_allclose(distance(probes, prepare(gallery)), expected, atol=2e-6)
    x, h = stacked(*(x for x, _ in probes)), stacked(*(h for _, h in probes))
    np.testing.assert_allclose(fpr_distance(x, h, stacked(*gallery)).numpy(), expected, atol=1e-12)


def test_probes_and_images_may_have_different_numbers_of_cells() -> None:
    probes, gallery = [probe(3), probe(20), probe(7)], [image(5), image(30), image(1)]
    expected = np.array([[paper_distance(x, h, y) for y in gallery] for x, h in probes])
    np.testing.assert_allclose(distance(probes, prepare(gallery)), expected, atol=2e-6)


def test_many_probes_and_images_are_the_same_in_blocks_as_one_by_one() -> None:
    probes, gallery = [probe(70) for _ in range(40)], prepare([image(4) for _ in range(37)])
    alone = np.concatenate([distance([one], gallery, rows=range(37)) for one in probes])
    np.testing.assert_allclose(distance(probes, gallery), alone, atol=1e-6)


def test_a_probe_finds_itself_at_almost_no_distance() -> None:
    x, h = probe()
    d = distance([(x, h)], prepare([x, image()]))
    assert d[0, 0] == pytest.approx(paper_distance(x, h, x), abs=1e-6)
    assert d[0, 0] < 0.1 < d[0, 1]


def test_near_duplicates_are_as_exact_as_strangers() -> None:
    x = np.repeat(image(1), 40, axis=0)
    h = np.ones(40)
    assert distance([(x, h)], prepare([x]))[0, 0] == pytest.approx(paper_distance(x, h, x), rel=1e-4)


def test_an_image_that_shares_nothing_explains_nothing() -> None:
    x, y = np.eye(8)[:4], np.eye(8)[4:]
    assert distance([(x, np.ones(4))], prepare([y]))[0, 0] == pytest.approx(1)


def test_the_order_of_an_images_cells_does_not_matter() -> None:
    one, y = probe(), image()
    np.testing.assert_allclose(distance([one], prepare([y])), distance([one], prepare([y[::-1]])), atol=1e-6)


def test_zero_cells_in_the_gallery_do_not_matter() -> None:
    one, y = probe(), image()
    padded = np.concatenate([y, np.zeros((5, y.shape[1]))])
    np.testing.assert_allclose(distance([one], prepare([y])), distance([one], prepare([padded])), atol=1e-6)


def test_what_covers_the_person_does_not_matter_when_the_foreground_says_so() -> None:
    x, h = probe()
    h[6:] = 0
    covered = np.concatenate([x[:6], image()[6:]])
    gallery = prepare([image()])
    np.testing.assert_allclose(distance([(x, h)], gallery), distance([(covered, h)], gallery), atol=1e-6)


def test_only_the_ratio_of_the_foreground_matters() -> None:
    x, h = probe()
    gallery = prepare([image()])
    np.testing.assert_allclose(distance([(x, h)], gallery), distance([(x, h / 50)], gallery), atol=1e-6)


def test_gradients_are_those_of_finite_differences_and_finite_at_zero() -> None:
    x, h, y = (
        torch.from_numpy(a) for a in (np.stack([image(5, 7)] * 2), np.ones((2, 5)), np.stack([image(4, 7)]))
    )
    operands = tuple(a.requires_grad_() for a in (x, h, y))
    assert torch.autograd.gradcheck(fpr_distance, operands)
    twin = torch.from_numpy(np.stack([np.repeat(image(1), 3, axis=0)])).float().requires_grad_()
    (slope,) = torch.autograd.grad(fpr_distance(twin, torch.ones(1, 3), twin).sum(), twin)
    assert slope.isfinite().all()


def test_a_gallery_that_grew_equals_one_built_at_once() -> None:
    images = [image(cells) for cells in (4, 9, 2, 12, 5)]
    grown = PreparedGallery(16)
    assert [grown.append(y) for y in images] == [0, 1, 2, 3, 4]
    one = probe()
    np.testing.assert_array_equal(distance([one], grown), distance([one], prepare(images)))


def test_a_removed_row_explains_nothing_and_is_used_again() -> None:
    one = probe()
    gallery = prepare([image(), image(), image()])
    before = distance([one], gallery)
    gallery.remove(1)
    after = distance([one], gallery)
    assert after[0, 1] == pytest.approx(np.average(np.linalg.norm(one[0], axis=1), weights=one[1]), abs=1e-6)
    assert after[0, [0, 2]].tolist() == before[0, [0, 2]].tolist()
    fresh = image()
    assert gallery.append(fresh) == 1
    np.testing.assert_array_equal(distance([one], gallery, rows=[1]), distance([one], prepare([fresh])))


@pytest.mark.parametrize(
    ("cells", "foreground", "message"),
    [
        (np.zeros((3, 4)), np.ones(3), "same network"),
        (np.zeros((0, 16)), np.ones(0), "without cells"),
        (np.full((3, 16), np.nan), np.ones(3), "NaN"),
        (np.ones((3, 16)), np.ones(4), "foreground has"),
        (np.ones((3, 16)), np.zeros(3), "needs foreground"),
        (np.zeros((3, 16)), np.ones(3), "needs foreground"),
        (np.ones((3, 16)), np.array([1, -1, 1.0]), ">= 0"),
        (np.ones((3, 16)), np.array([1, np.inf, 1.0]), "finite"),
    ],
)
def test_a_probe_that_means_nothing_is_refused(cells: Array, foreground: Array, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        distance([(cells, foreground)], prepare([image()]))


def test_an_unusable_gallery_is_refused_and_leaves_the_others_alone() -> None:
    gallery = prepare([image()])
    for cells, message in (
        (np.full((3, 16), np.inf), "infinity"),
        (np.ones((3, 8)), "must be"),
        (np.ones(16), "must be"),
    ):
        with pytest.raises(ValueError, match=message):
            gallery.append(cells)
    assert len(gallery) == 1
    with pytest.raises(ValueError, match="rows must be"):
        distance([probe()], gallery, rows=[1])
    with pytest.raises(ValueError, match="no row"):
        gallery.remove(5)
    with pytest.raises(ValueError, match="at least one"):
        prepare([])


def test_the_differentiable_form_refuses_what_it_cannot_compare() -> None:
    x, h, y = torch.ones(1, 3, 4), torch.ones(1, 3), torch.ones(2, 3, 4)
    for operands, message in (
        ((x[0], h, y), "must be"),
        ((x, h, y[..., :2]), "same network"),
        ((x, h[:, :2], y), "foreground is"),
        ((x, h, y[:0]), "nothing to compare"),
        ((x * torch.nan, h, y), "probe holds NaN"),
        ((x, h * 0, y), "foreground must be"),
    ):
        with pytest.raises(ValueError, match=message):
            fpr_distance(*operands)
    with pytest.raises(ValueError, match="ridge"):
        fpr_distance(x, h, y, ridge=0)


def test_serving_needs_no_torch() -> None:
    code = "import sys, reid.fpr.distance; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0


def test_the_differentiable_form_can_be_imported_beside_the_fast_one() -> None:
    from reid.fpr.distance import fpr_distance as same

    assert same is fpr_distance
