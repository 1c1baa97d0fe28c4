"""The matcher's gallery with real cells: who is near, who is allowed, who is forgotten."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.linking.gallery import FprGallery
from pipeline.messages import Embedding
from tests.crops import CALIBRATION
from tests.store_scene import embedding


def look(person: int, crops: int = 3) -> list[Embedding]:
    """Crops of one person: the same cells each time."""
    return [embedding(np.random.default_rng(person)) for _ in range(crops)]


def gallery(*people: int) -> FprGallery:
    made = FprGallery(4, CALIBRATION)
    for person in people:
        made.append(person, look(person))
    return made


def test_the_person_who_looks_the_same_comes_first() -> None:
    found = gallery(1, 2, 3).candidates(look(2), lambda _: True, shortlist=3)
    assert found[0].identity == 2 and len(found) == 3
    assert found[0].probability > 0.5 > found[1].probability
    assert found[0].distance < found[1].distance


def test_nobody_known_means_no_candidate() -> None:
    assert gallery().candidates(look(1), lambda _: True, shortlist=3) == []


def test_somebody_who_is_elsewhere_is_no_candidate_but_still_a_stranger_to_beat() -> None:
    known = gallery(1, 2, 3, 4, 5)
    all_allowed = {c.identity: c for c in known.candidates(look(2), lambda _: True, shortlist=5)}
    (only,) = known.candidates(look(2), lambda identity: identity == 1, shortlist=5)
    (alone,) = gallery(1).candidates(look(2), lambda _: True, shortlist=5)
    assert only == all_allowed[1]
    assert only.probability != pytest.approx(alone.probability, rel=0.1)


def test_a_removed_identity_is_forgotten() -> None:
    known = gallery(1, 2)
    known.remove(2)
    assert [c.identity for c in known.candidates(look(2), lambda _: True, shortlist=2)] == [1]
