"""Filters: the same for every question."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import MendableError
from pipeline.queries.export import export
from pipeline.queries.filters import Filters
from pipeline.queries.journey import journey
from pipeline.queries.people import people
from pipeline.queries.pictures.render import render
from pipeline.queries.tracks import tracks
from pipeline.store.database import Store
from pipeline.store.lookups import UnknownCameraError, UnknownPersonError
from pipeline.store.open_store import open_store
from tests.store_scene import EIGHT_NS, fill

SECOND_NS = 10**9

QUESTIONS: dict[str, Callable[[Store, Path, Filters], object]] = {
    "people": lambda store, out, filters: people(store, filters),
    "tracks": lambda store, out, filters: tracks(store, filters),
    "journey": lambda store, out, filters: journey(store, 1, filters),
    "export": lambda store, out, filters: export(store, out / "a.csv", "csv", filters),
    "render": lambda store, out, filters: render(store, out / "pictures", filters),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    ("filters", "error", "words"),
    [
        (Filters(cameras=("gate", "hal")), UnknownCameraError, "no camera 'hal' .did you mean 'hall'"),
        (Filters(people=(1, 9)), UnknownPersonError, r"no person P9 \(nearest: P1, P2, P3\)"),
    ],
)
def test_who_or_what_the_store_does_not_know_is_refused_by_every_question(
    tmp_path: Path, question: str, filters: Filters, error: type[MendableError], words: str
) -> None:
    with open_store(fill(tmp_path / "a.db")) as store, pytest.raises(error, match=words):
        QUESTIONS[question](store, tmp_path, filters)
    assert not (tmp_path / "a.csv").exists() and not (tmp_path / "pictures").exists()


def test_cameras_people_and_times_all_have_to_match(tmp_path: Path) -> None:
    filters = Filters(("hall",), (1, 3), EIGHT_NS + 2 * SECOND_NS, EIGHT_NS + 59 * SECOND_NS)
    with open_store(fill(tmp_path / "a.db")) as store:
        (seen,) = tracks(store, filters).tracks
        (person,) = people(store, filters).people
        (visit,) = journey(store, 1, filters).visits
    assert (seen.camera, seen.track, seen.part, seen.person) == ("hall", 1, 1, 1)
    assert (person.person, person.cameras, person.tracklets) == (1, ("hall",), 1)
    assert visit.links == (seen,)


def test_an_end_at_the_very_time_counts(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        last = max(tracks(store).tracks, key=lambda seen: seen.end_ns)
        assert tracks(store, Filters(from_ns=last.end_ns)).tracks == (last,)
        assert tracks(store, Filters(from_ns=last.end_ns + 1)).tracks == ()
