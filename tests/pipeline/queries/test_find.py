"""From a photograph to people: with the shipped weights, on a store of two people made of noise."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from sqlalchemy import select

from pipeline.cameras.frames import Image
from pipeline.cameras.photographs import PhotographError
from pipeline.config import Config, ReidConfig
from pipeline.messages import Embedding
from pipeline.queries.find import OtherWeightsError, find_people, main_person
from pipeline.records import Sighting
from pipeline.shipped_files import shipped
from pipeline.store.identity_claims import add_sightings, new_identity
from pipeline.store.open_store import open_store
from pipeline.store.schema import AuditEntry
from pipeline.store.tracklets import add_tracklets, stored_tracklets
from pipeline.store.versions import new_version
from reid.embed import load_embedder
from tests.pipeline.tracking.test_detect import photograph as street
from tests.store_scene import fill, recording, tracklet

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
    """P1 and P2 in the hall, each embedded from their clothes."""
    path = tmp_path_factory.mktemp("find") / "a.db"
    embedder = load_embedder(shipped(CONFIG.reid.weights), device="cpu")
    with open_store(path, create=True, write=True) as store:
        hall = recording(store, "hall")
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


def test_the_person_in_the_photograph_comes_first(database: Path, tmp_path: Path) -> None:
    image = photograph(tmp_path / "two.png", clothes(2))
    found = find_people(str(database), image, CONFIG, top=5)
    assert [person.person for person in found] == [2, 1]
    assert found[0].probability > found[1].probability and found[0].distance < found[1].distance
    assert found[0].cameras == ("hall",)


def test_no_more_are_listed_than_asked_for(database: Path, tmp_path: Path) -> None:
    image = photograph(tmp_path / "one.png", clothes(1))
    assert [p.person for p in find_people(str(database), image, CONFIG, top=1)] == [1]


def test_the_question_is_audited(database: Path, tmp_path: Path) -> None:
    find_people(str(database), photograph(tmp_path / "one.png", clothes(1)), CONFIG, top=1)
    with open_store(database) as store, store.reading() as connection:
        actions = list(connection.scalars(select(AuditEntry.action)))
    assert actions[-1] == "find"


def test_an_empty_database_holds_nobody(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.db", create=True):
        pass
    image = photograph(tmp_path / "one.png", clothes(1))
    assert find_people(str(tmp_path / "a.db"), image, CONFIG, top=5) == []


def test_people_embedded_by_other_weights_are_refused_not_compared(tmp_path: Path) -> None:
    image = photograph(tmp_path / "one.png", clothes(1))
    with pytest.raises(OtherWeightsError, match=r"made with other weights \(fpr-test\)"):
        find_people(str(fill(tmp_path / "a.db")), image, CONFIG, top=5)


def test_what_is_not_a_picture_is_refused(database: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    with pytest.raises(PhotographError, match="not a picture"):
        find_people(str(database), text, CONFIG, top=5)
    with pytest.raises(PhotographError, match="no such file"):
        find_people(str(database), tmp_path / "gone.jpg", CONFIG, top=5)


def test_where_nobody_is_detected_the_whole_picture_is_meant() -> None:
    said: list[str] = []
    np.testing.assert_array_equal(main_person(clothes(1), CONFIG, said.append), clothes(1))
    assert "nobody was detected" in said[0]


def test_of_several_people_the_largest_is_meant_and_that_is_said() -> None:
    said: list[str] = []
    picture = street("bus.jpg")
    assert main_person(picture, CONFIG, said.append).shape[0] < picture.shape[0]
    assert "the largest is meant" in said[0]
