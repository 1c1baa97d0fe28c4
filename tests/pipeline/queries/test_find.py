"""From a photograph to people: with the shipped weights, on a store of two people made of noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from sqlalchemy import select

from pipeline.cameras.frames import Image
from pipeline.cameras.photographs import PhotographError
from pipeline.cli.show_found import meant_text
from pipeline.config import Config, ReidConfig
from pipeline.messages import Embedding
from pipeline.queries.filters import Filters
from pipeline.queries.find import Finder, Meant, OtherWeightsError, main_person
from pipeline.records import Sighting
from pipeline.reid_weights import UnusableWeightsError
from pipeline.shipped_files import shipped
from pipeline.store.identity_claims import add_sightings, new_identity
from pipeline.store.lookups import UnknownCameraError
from pipeline.store.open_store import open_store
from pipeline.store.runs import begin_run
from pipeline.store.schema import AuditEntry
from pipeline.store.tracklets import add_tracklets, stored_tracklets
from pipeline.store.versions import new_version
from reid.embed import load_embedder
from reid.network.model import FPRNet
from reid.network.weights import load_weights, save_weights, set_calibration
from tests.crops import CALIBRATION, PAIRS
from tests.pipeline.tracking.test_detect import photograph as street
from tests.store_scene import EIGHT_NS, fill, recording, tracklet

CONFIG = Config(reid=ReidConfig(device="cpu"))


def clothes(person: int) -> Image:
    """(128, 64, 3) RGB: four bands of colours that are this person's own."""
    colours = np.random.default_rng(person).integers(0, 256, (4, 1, 3))
    return np.ascontiguousarray(np.repeat(np.repeat(colours, 32, 0), 64, 1).astype(np.uint8))


def photograph(path: Path, image: Image) -> Path:
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """P1 and P2 in the hall, each embedded from their clothes by the shipped weights."""
    return fill_with(tmp_path_factory.mktemp("find") / "a.db", CONFIG)


def own_weights(path: Path) -> Path:
    """The shipped network under another name and with other numbers."""
    net = load_weights(shipped(CONFIG.reid.weights))
    assert isinstance(net, FPRNet)
    mine = FPRNet(replace(net.spec, name="mine"))
    mine.load_state_dict({name: value * 1.01 for name, value in net.state_dict().items()})
    save_weights(path, mine, recipe={}, terms="mine")
    set_calibration(path, CALIBRATION.as_dict() | {"pairs": PAIRS.as_dict()})
    return path


def fill_with(path: Path, config: Config) -> Path:
    """A database of a run with this configuration: P1 and P2 in the hall, embedded from their clothes."""
    embedder = load_embedder(shipped(config.reid.weights), device="cpu")
    with open_store(path, create=True, write=True) as store:
        run = begin_run(store, command="run", config=config, software="test")
        hall = recording(store, "hall", run=run)
        seen = []
        for person in (1, 2):
            (found,) = embedder.embed([clothes(person)])
            one = Embedding(found.cells, found.foreground, found.pooled)
            whole = tracklet(hall, person, crops=1)
            seen.append(msgspec.structs.replace(whole, model=embedder.model_id, embeddings=(one,)))
        add_tracklets(store, seen)
        version = new_version(store, "online")
        claims = [Sighting(t.id, new_identity(store), "new") for t in stored_tracklets(store)]
        add_sightings(store, version, claims)
    return path


@pytest.fixture(scope="module")
def finder(database: Path) -> Iterator[Finder]:
    with open_store(database) as store:
        yield Finder(store, CONFIG)


def test_the_person_in_the_photograph_comes_first(finder: Finder, tmp_path: Path) -> None:
    found = finder.find(photograph(tmp_path / "two.png", clothes(2))).found
    assert [person.person for person in found] == [2, 1]
    assert found[0].probability > found[1].probability and found[0].distance < found[1].distance
    assert found[0].cameras == ("hall",)


def test_a_finder_answers_again_without_loading_anything(
    finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.queries.find.embedder_of", None)
    monkeypatch.setattr("pipeline.queries.find.load_detector", None)
    assert [finder.find(clothes(person)).found[0].person for person in (1, 2, 1)] == [1, 2, 1]


def test_no_more_are_listed_than_asked_for(finder: Finder) -> None:
    assert [p.person for p in finder.find(clothes(1), limit=1).found] == [1]


def test_only_people_who_match_the_filters_are_found(finder: Finder) -> None:
    assert [p.person for p in finder.find(clothes(1), Filters(people=(2,))).found] == [2]
    assert finder.find(clothes(1), Filters(from_ns=EIGHT_NS + 3600 * 10**9)).found == ()
    with pytest.raises(UnknownCameraError, match="did you mean 'hall'"):
        finder.find(clothes(1), Filters(cameras=("hal",)))


def test_the_question_is_audited(finder: Finder) -> None:
    finder.find(clothes(1))
    with finder.store.reading() as connection:
        actions = list(connection.scalars(select(AuditEntry.action)))
    assert actions[-1] == "find"


def test_an_empty_database_holds_nobody(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.db", create=True) as store:
        likely = Finder(store, CONFIG).find(clothes(1))
    assert (likely.found, likely.version) == ((), 0)


def test_people_embedded_by_other_weights_are_refused_not_compared(tmp_path: Path) -> None:
    refused = r"a\.db: made with other weights \(fpr-test\), not fpr_small-.*--config"
    with open_store(fill(tmp_path / "a.db")) as store, pytest.raises(OtherWeightsError, match=refused):
        Finder(store, CONFIG)


def test_a_database_made_with_weights_of_ones_own_is_searched_by_them(tmp_path: Path) -> None:
    weights = own_weights(tmp_path / "mine.safetensors")
    config = Config(reid=ReidConfig(weights=str(weights), device="cpu"))
    path = fill_with(tmp_path / "a.db", config)
    with open_store(path) as store:
        finder = Finder(store)
        assert finder.embedder.model_id.startswith("mine-")
        assert [p.person for p in finder.find(clothes(2), limit=1).found] == [2]
        with pytest.raises(OtherWeightsError, match=r"made with other weights \(mine-"):
            Finder(store, CONFIG)


def test_weights_that_are_gone_are_named(tmp_path: Path) -> None:
    weights = own_weights(tmp_path / "mine.safetensors")
    path = fill_with(tmp_path / "a.db", Config(reid=ReidConfig(weights=str(weights), device="cpu")))
    weights.unlink()
    with open_store(path) as store, pytest.raises(UnusableWeightsError, match=r"mine\.safetensors: no such"):
        Finder(store)


def test_what_is_not_a_picture_is_refused(finder: Finder, tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    with pytest.raises(PhotographError, match="not a picture"):
        finder.find(text)
    with pytest.raises(PhotographError, match="no such file"):
        finder.find(tmp_path / "gone.jpg")


def test_where_nobody_is_detected_the_whole_picture_is_meant(finder: Finder) -> None:
    portrait = main_person(clothes(1), finder.detector)
    np.testing.assert_array_equal(portrait.image, clothes(1))
    assert portrait.meant == Meant(0, None) and "nobody was detected" in meant_text(portrait.meant)


def test_of_several_people_the_largest_is_meant_and_that_is_said(finder: Finder) -> None:
    picture = street("bus.jpg")
    portrait = main_person(picture, finder.detector)
    assert portrait.image.shape[0] < picture.shape[0]
    assert portrait.meant.detected > 1 and "the largest is meant" in meant_text(portrait.meant)
