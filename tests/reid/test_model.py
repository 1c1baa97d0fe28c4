"""The network: cell counts, unit lengths, sizes, and equality with the network its backbone begins as."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from reid.network.model import FPRNet, PositionPool, pyramid, pyramid_means
from reid.network.openvino_core import openvino_core
from reid.network.openvino_weights import InitialWeightsMismatch, initialise_from_openvino
from reid.network.resnet import HalfInstanceNorm
from reid.network.spec import Backbone, ModelSpec

SHARED = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[3] / "shared"))
RETAIL = SHARED / "weights/reid_peers/person-reidentification-retail-0277.xml"
TINY = ModelSpec(width=0.5)


@pytest.fixture(scope="module")
def net() -> FPRNet:
    torch.manual_seed(0)
    return FPRNet(TINY).eval().requires_grad_(False)


@pytest.mark.parametrize(("size", "cells"), [((256, 128), 70), ((128, 128), 30), ((32, 32), 4)])
def test_the_number_of_cells_follows_from_the_crop(net: FPRNet, size: tuple[int, int], cells: int) -> None:
    assert net(torch.zeros(1, 3, *size)).cells.shape == (1, cells, TINY.cell_channels)


def test_a_whole_body_in_half_precision_fits_16_kilobytes(net: FPRNet) -> None:
    assert net(torch.zeros(1, 3, 256, 128)).cells.numel() * 2 <= 16 << 10


def test_cells_have_unit_length(net: FPRNet) -> None:
    cells = net(torch.rand(2, 3, 128, 64) * 255).cells
    torch.testing.assert_close(cells.norm(dim=2), torch.ones(2, cells.shape[1]))


def test_who_shares_a_batch_does_not_matter(net: FPRNet) -> None:
    images = torch.rand(3, 3, 128, 64) * 255
    torch.testing.assert_close(net(images).cells[1:2], net(images[1:2]).cells, atol=1e-4, rtol=0)


def test_bytes_and_floats_are_the_same_picture(net: FPRNet) -> None:
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    torch.testing.assert_close(net(images).pooled, net(images.float()).pooled)


def test_the_first_cell_is_the_maximum_of_the_first_window() -> None:
    features = torch.rand(1, 3, 4, 4)
    assert torch.equal(pyramid(features, (2, 8))[0, :, 0], features[0, :, :2, :2].amax((1, 2)))


def test_a_window_larger_than_the_map_sees_all_of_it() -> None:
    features = torch.rand(1, 3, 4, 2)
    assert torch.equal(pyramid(features, (8,))[0, :, 0], features[0].amax((1, 2)))


def test_labels_come_in_the_order_of_the_cells() -> None:
    grid = (torch.rand(2, 9, 6) > 0.5).float()
    full = pyramid_means(grid, (2, 4)) == 1
    none = pyramid(1 - grid[:, None], (2, 4))[:, 0] == 0
    assert torch.equal(full, none)


def test_the_pooled_vector_ignores_what_is_no_foreground() -> None:
    pool = PositionPool(4, 3, (4, 2))
    features, foreground = torch.rand(1, 4, 4, 2), torch.ones(1, 4, 2)
    foreground[:, 2:] = 0
    changed = features.clone()
    changed[:, :, 2:] += 5
    torch.testing.assert_close(pool(features, foreground), pool(changed, foreground))


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(ValueError, match="known: omni_scale"):
        FPRNet(ModelSpec(backbone="resnet"))  # type: ignore[arg-type]


@pytest.mark.parametrize(("backbone", "width"), [("omni_scale", 0.4), ("resnet50", 0.01)])
def test_a_backbone_too_narrow_for_its_layers_is_refused(backbone: Backbone, width: float) -> None:
    with pytest.raises(ValueError, match=f"width = {width}, must be >="):
        FPRNet(ModelSpec(backbone=backbone, width=width))


@pytest.mark.parametrize("backbone", ["omni_scale_bn", "resnet50", "resnet50_ibn_a"])
def test_every_backbone_makes_a_map_of_sixteenths_of_any_picture(backbone: Backbone) -> None:
    spec = ModelSpec(backbone=backbone, width=0.5 if backbone == "omni_scale_bn" else 0.125)
    net = FPRNet(spec).eval()
    for size in ((32, 16), (256, 128), (384, 128)):
        output = net(torch.zeros(1, 3, *size))
        assert output.map.shape[2:] == (size[0] // 16, size[1] // 16) and (output.map >= 0).all()
        assert output.pooled.shape == (1, net.pooled_channels)


def test_the_backbone_to_train_from_scratch_has_less_than_5_million_weights() -> None:
    net = FPRNet(ModelSpec(backbone="omni_scale_bn"))
    assert sum(parameter.numel() for parameter in net.parameters()) < 5_000_000


def test_a_paper_strict_network_has_the_backbones_channels_and_110_cells() -> None:
    spec = ModelSpec(backbone="resnet50", width=0.125, cell_channels=None, pooled_dim=None, box=(384, 128))
    output = FPRNet(spec).eval()(torch.rand(1, 3, 384, 128) * 255)
    assert output.cells.shape == (1, 110, 256)
    torch.testing.assert_close(output.pooled, output.map.mean((2, 3)))


def test_resnet_has_the_keys_of_torchvision(shared_data: Path) -> None:
    from reid.training.initialise import read_state

    ours = FPRNet(ModelSpec(backbone="resnet50")).backbone.state_dict()
    theirs = read_state(shared_data / "weights/resnet50_imagenet_nc.npz")
    shapes = {name: tuple(value.shape) for name, value in theirs.items() if not name.startswith("fc.")}
    assert {name: tuple(value.shape) for name, value in ours.items()} == shapes


def test_instance_norm_on_half_the_channels_forgets_the_contrast_of_that_half() -> None:
    norm = HalfInstanceNorm(8).eval()
    features = torch.randn(2, 8, 4, 4)
    ours, brighter = norm(features), norm(3 * features)
    torch.testing.assert_close(ours[:, :4], brighter[:, :4], atol=1e-3, rtol=1e-3)
    assert not torch.allclose(ours[:, 4:], brighter[:, 4:], atol=0.1)


def test_a_network_begun_from_openvino_answers_as_openvino_does() -> None:
    if not RETAIL.is_file():
        pytest.skip(f"{RETAIL.name} is not in SHARED_DATA")
    net = FPRNet(ModelSpec()).eval()
    initialise_from_openvino(net, RETAIL)
    torch.nn.init.zeros_(net.foreground.weight)
    bgr = np.random.default_rng(0).integers(0, 256, (1, 3, 256, 128)).astype(np.float32)
    core = openvino_core()
    reference = core.compile_model(core.read_model(RETAIL), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with torch.no_grad():
        ours = net(torch.from_numpy(bgr[:, ::-1].copy())).pooled
    theirs = torch.from_numpy(np.asarray(reference(bgr)[0]))
    assert functional.cosine_similarity(ours, theirs).item() > 0.99999


def test_another_network_is_not_taken_for_the_teacher() -> None:
    if not RETAIL.is_file():
        pytest.skip(f"{RETAIL.name} is not in SHARED_DATA")
    with pytest.raises(InitialWeightsMismatch):
        initialise_from_openvino(FPRNet(TINY), RETAIL)
