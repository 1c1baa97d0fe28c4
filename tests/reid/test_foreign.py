"""A network of somebody else's as the FCN: found, checked, headed, evaluated like one of ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from reid.embed import load_embedder
from reid.network.foreign import ForeignMismatch, ForeignNetwork
from reid.network.model import ForeignHead
from reid.network.spec import ForeignSpec, ModelSpec
from reid.network.weights import WeightsError, save_weights
from reid.training.map_cache import MapsStale, load_maps, spread, write_maps
from reid.training.recipe import MapCache, Recipe
from tests.reid.tiny_training import FOREIGN, TinyNetwork, tiny_network, tiny_recipe, tiny_samples

BOX = (128, 64)
SPEC = ModelSpec(name="tiny_head", backbone="foreign", foreign=FOREIGN, cell_channels=16, box=BOX)
RETAIL = "weights/reid_peers/person-reidentification-retail-0277.xml"
OSNET = "weights/reid_peers/osnet_x0_25_msmt17.onnx"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_network(tmp_path_factory.mktemp("foreign") / "tiny.onnx")


@pytest.fixture
def head(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_weights(tmp_path / "head.safetensors", ForeignHead(SPEC), recipe={}, terms="test")
    return tmp_path / "head.safetensors"


def crop(height: int = 128, width: int = 64) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_map_and_embedding_are_what_torch_says(network: Path) -> None:
    torch.manual_seed(0)
    theirs, image = TinyNetwork(), crop()
    scaled = (image - np.array(FOREIGN.mean)) / np.array(FOREIGN.std)
    with torch.no_grad():
        embedding, features = theirs(torch.from_numpy(scaled.astype(np.float32)).permute(2, 0, 1)[None])
    answer = ForeignNetwork(network, FOREIGN, BOX).run([image])
    np.testing.assert_allclose(answer.maps, features, atol=1e-4)
    np.testing.assert_allclose(answer.embeddings, embedding, atol=1e-4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"map_name": "nowhere"}, "no spatial map 'nowhere'"),
        ({"channels": 32}, r"the head needs \(B, 32, h, w\)"),
        ({"map_name": "embedding"}, r"the head needs \(B, 24, h, w\)"),
    ],
)
def test_a_network_without_the_heads_map_is_refused(
    network: Path, changed: dict[str, object], message: str
) -> None:
    with pytest.raises(ForeignMismatch, match=message):
        ForeignNetwork(network, replace(FOREIGN, **changed), BOX)  # type: ignore[arg-type]


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_text("hello")
    with pytest.raises(ForeignMismatch, match="not an ONNX or OpenVINO network"):
        ForeignNetwork(tmp_path / "a.onnx", FOREIGN, BOX)


def test_a_head_on_its_network_embeds_crops_of_any_size(head: Path, network: Path) -> None:
    embedder = load_embedder(head, backbone=network)
    found = embedder.embed([crop(), crop(40, 90), crop(1, 1)])
    assert {e.cells.shape for e in found} == {found[0].cells.shape} and found[0].cells.shape[1] == 16
    assert found[0].pooled.shape == (8,)


def test_a_head_says_which_network_it_needs(head: Path) -> None:
    with pytest.raises(WeightsError, match=r"only a head for tiny: give that network's ONNX"):
        load_embedder(head)


def test_a_head_with_a_missing_network_is_one_clear_error(head: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.onnx: no such file; the head was trained on tiny"):
        load_embedder(head, backbone=Path("none.onnx"))


def cached_recipe(folder: Path) -> Recipe:
    return tiny_recipe(model=SPEC, map_cache=MapCache(network="tiny.onnx", folder=str(folder)))


def test_a_cache_of_maps_holds_every_view_and_what_covers_it(network: Path, tmp_path: Path) -> None:
    recipe, samples = cached_recipe(tmp_path), tiny_samples()
    list(write_maps(samples, ForeignNetwork(network, FOREIGN, BOX), recipe))
    cached = load_maps(samples, recipe)
    assert cached.maps.shape == (len(samples), 3, 24, 8, 4)
    assert (cached.visible[:, 0] == 1).all() and (cached.visible[:, 1].min((1, 2)) < 0.5).all()
    assert (cached.foreground <= cached.visible + 1e-3).all()


def test_without_occlusion_no_view_is_covered_and_caches_with_it_are_stale(
    network: Path, tmp_path: Path
) -> None:
    covered, samples = cached_recipe(tmp_path), tiny_samples()
    bare = msgspec.structs.replace(covered, occlusion=0)
    list(write_maps(samples, ForeignNetwork(network, FOREIGN, BOX), bare))
    assert (load_maps(samples, bare).visible == 1).all()
    with pytest.raises(MapsStale):
        load_maps(samples, covered)


def test_a_cache_of_other_crops_or_of_another_map_is_stale(network: Path, tmp_path: Path) -> None:
    recipe, samples = cached_recipe(tmp_path), tiny_samples()
    with pytest.raises(MapsStale, match="delete it"):
        load_maps(samples, recipe)
    list(write_maps(samples, ForeignNetwork(network, FOREIGN, BOX), recipe))
    with pytest.raises(MapsStale):
        load_maps(samples[1:], recipe)


def test_few_crops_are_taken_evenly_over_the_people() -> None:
    chosen = spread(tiny_samples(), 13)
    assert sorted(sum(s.pid == pid for s in chosen) for pid in range(6)) == [2, 2, 2, 2, 2, 3]


@pytest.mark.parametrize(
    ("file", "spec"),
    [
        (RETAIL, ForeignSpec("retail", "Relu 1126", 512, 256, "bgr", (0, 0, 0), (1, 1, 1))),
        (OSNET, ForeignSpec("osnet", "/conv5/relu/Relu_output_0", 128, 512)),
    ],
)
def test_published_networks_serve_as_they_are(shared_data: Path, file: str, spec: ForeignSpec) -> None:
    answer = ForeignNetwork(shared_data / file, spec, (256, 128)).run([crop(), crop(90, 40)])
    assert answer.maps.shape == (2, spec.channels, 16, 8) and (answer.maps >= 0).all()
    assert answer.embeddings.shape == (2, spec.embedding)


def test_the_head_that_ships_fits_its_network_and_16_kilobytes_a_crop(shared_data: Path) -> None:
    shipped = Path(__file__).parents[2] / "weights/head_0277.safetensors"
    if not shipped.is_file():
        pytest.skip("weights/head_0277.safetensors is not there")
    found = load_embedder(shipped, backbone=shared_data / RETAIL).embed([crop()])[0]
    assert found.cells.nbytes <= 16 << 10 and found.pooled.shape == (256,)
