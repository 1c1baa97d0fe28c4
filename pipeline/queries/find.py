"""From a photograph to the people in the database it may show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.cameras.photographs import read_photograph
from pipeline.config import Config
from pipeline.errors import MendableError
from pipeline.linking.gallery import FprGallery
from pipeline.linking.match import Candidate
from pipeline.queries.filters import Filters
from pipeline.queries.people import Person, people
from pipeline.queries.recall import other_models, pooled_identities, sightings_of
from pipeline.reid_weights import UnusableWeightsError, embedder_of
from pipeline.store.audit import audit
from pipeline.store.database import Store
from pipeline.store.open_store import open_store
from pipeline.store.versions import current_version
from pipeline.tracking.detect import load_detector
from reid.embed import Embedder
from reid.sets.tracklets import Calibration, CalibrationError

Image = NDArray[np.uint8]  # (H, W, 3) RGB
CLEAR_CONFIDENCE = 0.4
"""A box this certain is the person of the photograph; without one, the whole picture is."""


class OtherWeightsError(MendableError, kind="wrong input"):
    """Everybody in the database was embedded by other weights, which are never compared."""


class Found(msgspec.Struct, frozen=True):
    """One person the photograph may show."""

    person: int
    probability: float
    """Calibrated probability that it is the same person."""
    distance: float
    """FPR distance of sets; small = same."""
    cameras: tuple[str, ...]
    first_ns: int
    last_ns: int
    clock_known: bool


def find_people(
    database: str, image: Path, config: Config, *, top: int, say: Callable[[str], None] = lambda text: None
) -> list[Found]:
    """The people in the newest identity version that the photograph shows most likely, best first. Audited.

    The largest clear person in the picture is meant; where none is detected, the whole picture.

    Args:
        database: SQLite file or URL.
        image: a picture file.
        config: which weights to use.
        top: at most so many.
        say: told who is meant, where the picture leaves that open.

    Raises:
        PhotographError: not a picture.
        OtherWeightsError, StoreError: the database was made with other weights, or cannot be read.
        UnusableWeightsError, DetectorError: weights that cannot be used.
    """
    picture = read_photograph(image)
    with open_store(database) as store:
        audit(store, "find", "image", {"top": top})
        return search(store, embedder_of(config.reid), main_person(picture, config, say), config, top)


def search(store: Store, embedder: Embedder, crop: Image, config: Config, top: int) -> list[Found]:
    """The people a crop may show.

    Raises:
        OtherWeightsError: everybody was embedded by other weights.
    """
    version = current_version(store)
    if version is None:
        return []
    known = pooled_identities(store, version, embedder.model_id)
    others = [] if len(known.identities) else other_models(store, embedder.model_id)
    if others:
        raise OtherWeightsError(f"made with other weights ({', '.join(others)}): run again with --fresh")
    embeddings = embedder.embed([crop])
    recalled = known.nearest(embeddings[0].pooled, max(top, config.matcher.shortlist))
    try:
        calibration = Calibration.from_dict(embedder.calibration)
    except CalibrationError as error:
        raise UnusableWeightsError(str(error)) from error
    gallery = FprGallery(config.matcher.exemplars, calibration)
    for identity, tracklet in sightings_of(store, version, recalled):
        if tracklet.model == embedder.model_id:
            gallery.append(identity, tracklet.embeddings)
    candidates = gallery.candidates(embeddings, lambda _: True, len(recalled))[:top]
    there = {
        person.person: person
        for person in people(store, Filters(people=tuple(c.identity for c in candidates))).people
    }
    return [found(candidate, there[candidate.identity]) for candidate in candidates]


def found(candidate: Candidate, person: Person) -> Found:
    """A candidate with where they were seen."""
    return Found(
        candidate.identity,
        candidate.probability,
        candidate.distance,
        tuple(person.cameras),
        person.first_ns,
        person.last_ns,
        person.clock_known,
    )


def main_person(picture: Image, config: Config, say: Callable[[str], None] = lambda text: None) -> Image:
    """The largest clear person in a picture, cut out; the whole picture where there is none."""
    found = load_detector(config.detector, threads=1).detect([picture])[0]
    boxes = found.boxes[found.confidences >= CLEAR_CONFIDENCE]
    if not len(boxes):
        say("nobody was detected in the picture: all of it is taken for the person")
        return picture
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    x1, y1, x2, y2 = boxes[int(areas.argmax())].round().astype(int)
    if len(boxes) > 1:
        where = f"x {x1} to {x2}, y {y1} to {y2}"
        say(f"{len(boxes)} people in the picture: the largest is meant ({where}); cut out whom else you mean")
    return np.ascontiguousarray(picture[max(0, y1) : y2 + 1, max(0, x1) : x2 + 1])
