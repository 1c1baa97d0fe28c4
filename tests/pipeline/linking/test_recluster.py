"""Looking at everything at once: better identities, the operator's word, every change told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from pipeline.config import MatcherConfig
from pipeline.linking.recluster import recluster
from pipeline.messages import Embedding, TrackletEmbedded
from pipeline.records import Sighting
from pipeline.store import corrections
from pipeline.store.database import Store
from pipeline.store.identity_claims import add_sightings, identities_of_tracklets, load_gallery, new_identity
from pipeline.store.models import keep_calibration
from pipeline.store.open_store import open_store
from pipeline.store.recordings import recording_cameras
from pipeline.store.runs import begin_run
from pipeline.store.tracklets import add_tracklets, stored_tracklets
from pipeline.store.versions import current_version, new_version
from tests import store_scene
from tests.crops import NOTES

PEOPLE = {1: "anna", 2: "boris", 3: "clara"}


def looking_like(person: int, seen: TrackletEmbedded) -> TrackletEmbedded:
    """The tracklet with the looks of a person, a little noise on top."""
    noise = np.random.default_rng(seen.tracklet.key.track + 10 * seen.tracklet.key.recording)
    look = np.random.default_rng(person)

    def drawn(shape: tuple[int, ...]) -> np.ndarray:
        mixed = look.standard_normal(shape) + 0.15 * noise.standard_normal(shape)
        return (mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)).astype(np.float16)

    one = Embedding(drawn((6, 32)), np.full(6, 0.5, np.float16), drawn((32,)))
    return TrackletEmbedded(seen.tracklet, seen.model, tuple(one for _ in seen.embeddings))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Everybody goes through hall and gate twice; an online run had found nobody again."""
    with open_store(tmp_path / "x.db", create=True, write=True) as opened:
        run = begin_run(opened, command="run", config={}, software="test")
        cameras = {name: store_scene.recording(opened, name, run=run) for name in ("hall", "gate")}
        batch = [
            looking_like(
                person,
                store_scene.tracklet(
                    number, 10 * lap + person, start_s=60 * lap + 5 * person + shift, camera=name
                ),
            )
            for lap in range(2)
            for person in PEOPLE
            for shift, (name, number) in zip((0, 20), cameras.items(), strict=True)
        ]
        add_tracklets(opened, batch)
        keep_calibration(opened, store_scene.MODEL, NOTES)
        version = new_version(opened, "online")
        add_sightings(
            opened, version, [Sighting(t.id, new_identity(opened), "new") for t in stored_tracklets(opened)]
        )
        yield opened


def people_of(store: Store) -> dict[int, set[int]]:
    """Which people each identity holds, by the person their track number ends with."""
    identities = identities_of_tracklets(store, current_version(store) or 0)
    found: dict[int, set[int]] = {}
    for tracklet in stored_tracklets(store):
        found.setdefault(identities[tracklet.id], set()).add(tracklet.key.track % 10)
    return found


def test_people_whom_the_run_did_not_recognise_are_put_together(store: Store) -> None:
    done = recluster(store, MatcherConfig())
    assert sorted(people_of(store).values()) == [{1}, {2}, {3}]
    assert (done.tracklets, done.identities_before, done.identities) == (12, 12, 3)
    assert {change.kind for change in done.changes} == {"merged"} and len(done.changes) == 9


@pytest.mark.parametrize(("aside_px", "identities"), [(3, 3), (100, 4)])
def test_a_second_track_on_the_same_body_is_the_same_person_and_one_beside_is_not(
    store: Store, aside_px: int, identities: int
) -> None:
    hall = min(recording_cameras(store))
    seen = looking_like(1, store_scene.tracklet(hall, 31, start_s=5, camera="hall"))
    moved = seen.tracklet.boxes + np.float32([aside_px, 0, aside_px, 0])
    add_tracklets(store, [replace(seen, tracklet=replace(seen.tracklet, boxes=moved))])
    assert recluster(store, MatcherConfig()).identities == identities


def test_the_version_before_is_kept(store: Store) -> None:
    before = current_version(store)
    recluster(store, MatcherConfig())
    assert current_version(store) != before
    assert len(set(identities_of_tracklets(store, before or 0).values())) == 12


def test_doing_it_twice_changes_nothing(store: Store) -> None:
    first = recluster(store, MatcherConfig())
    again = recluster(store, MatcherConfig())
    assert again.changes == () and first.version != again.version


def test_what_the_run_wrongly_put_together_is_split(store: Store) -> None:
    one = new_identity(store)
    version = new_version(store, "online")
    add_sightings(store, version, [Sighting(t.id, one, "linked") for t in stored_tracklets(store)])
    done = recluster(store, MatcherConfig())
    assert sorted(people_of(store).values()) == [{1}, {2}, {3}]
    assert [change.kind for change in done.changes] == ["split", "split"]


def test_an_operators_word_holds(store: Store) -> None:
    recluster(store, MatcherConfig())
    anna = next(name for name, people in people_of(store).items() if people == {1})
    boris = next(name for name, people in people_of(store).items() if people == {2})
    corrections.merge(store, [anna, boris])
    recluster(store, MatcherConfig())
    assert sorted(people_of(store).values(), key=len) == [{3}, {1, 2}]


def test_every_claim_but_an_identitys_first_states_a_probability(store: Store) -> None:
    version = recluster(store, MatcherConfig()).version
    claims = [linked.sighting for linked in load_gallery(store, version)]
    assert sorted(claim.state for claim in claims) == ["linked"] * 9 + ["new"] * 3
    assert all((claim.probability is None) == (claim.state == "new") for claim in claims)


def test_an_empty_store_has_nobody(tmp_path: Path) -> None:
    with open_store(tmp_path / "empty.db", create=True, write=True) as empty:
        assert recluster(empty, MatcherConfig()).identities == 0
