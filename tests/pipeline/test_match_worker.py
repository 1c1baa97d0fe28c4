"""The one writer: what it stores and links does not depend on how messages happen to arrive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.config import Config
from pipeline.match_worker import MatchJob, Writer
from pipeline.messages import Embedding, Message, ModelReady, RecordingEnded, TrackletEmbedded, Watermark
from pipeline.store import Store, open_store
from reid.tracklets import Calibration
from tests import store_scene

CALIBRATION = Calibration(-4.0, -8.0, -4.0, 0.0, 0.0, 4.0, 1.0, 0.6).as_dict()
CAMERAS = ("hall", "gate", "yard")
PEOPLE = 4


def looks(person: int, count: int, noise: np.random.Generator) -> tuple[Embedding, ...]:
    """Crops of a person, a little different each time."""
    look = np.random.default_rng(person)
    cells, pooled = look.standard_normal((6, 32)), look.standard_normal(32)

    def drawn(clean: np.ndarray) -> np.ndarray:
        mixed = clean + 0.4 * noise.standard_normal(clean.shape)
        return (mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)).astype(np.float16)

    weights = np.full(6, 0.5, np.float16)
    return tuple(Embedding(drawn(cells), weights, drawn(pooled)) for _ in range(count))


def story(recording: int, camera: str) -> list[Message]:
    """What one camera tells: everybody passes twice, one of the tracks jumps to somebody else."""
    told: list[Message] = [ModelReady(store_scene.MODEL, CALIBRATION)] if recording == 1 else []
    for number in range(2 * PEOPLE):
        start_s = 20.0 * number + 5 * recording
        seen = store_scene.tracklet(recording, number + 1, start_s=start_s, crops=4, camera=camera)
        noise = np.random.default_rng((recording, number))
        first = looks(number % PEOPLE, 4, noise)
        crops = first if number != 3 else (*first[:2], *looks((number + 1) % PEOPLE, 2, noise))
        told += [
            TrackletEmbedded(seen.tracklet, seen.model, crops),
            Watermark(recording, int(seen.tracklet.times_ns[-1]) + 1),
        ]
    return [*told, RecordingEnded(recording, "done", 1000, 500)]


def identities(path: Path, order: np.random.Generator, batch: int) -> dict[tuple[str, int, int], int]:
    """The identity of every tracklet after the cameras' messages came mixed in some order."""
    with open_store(path, create=True, write=True) as store:
        run = store.begin_run(command="run", config={}, software="test")
        numbers = [store_scene.recording(store, name, run=run) for name in CAMERAS]
        stories = [story(number, name) for number, name in zip(numbers, CAMERAS, strict=True)]
        job = MatchJob("", tuple(numbers), Config(), str(path), store.new_version("online"))
        writer = Writer(store, job, lambda message: None)
        mixed = interleaved(stories, order)
        for start in range(0, len(mixed), batch):
            writer.update(mixed[start : start + batch])
            writer.link(min(writer.watermarks.values(), default=None))
        return by_key(store)


def interleaved(stories: list[list[Message]], order: np.random.Generator) -> list[Message]:
    """One list of all messages, each camera's in its own order."""
    turns = order.permutation([i for i, told in enumerate(stories) for _ in told])
    left = [iter(told) for told in stories]
    return [next(left[turn]) for turn in turns]


def test_a_matcher_started_over_in_between_says_the_same(
    tmp_path: Path, in_turn: dict[tuple[str, int, int], int]
) -> None:
    messages = interleaved([story(n + 1, name) for n, name in enumerate(CAMERAS)], np.random.default_rng(0))
    with open_store(tmp_path / "c.db", create=True, write=True) as store:
        run = store.begin_run(command="run", config={}, software="test")
        numbers = tuple(store_scene.recording(store, name, run=run) for name in CAMERAS)
        ready = ModelReady(store_scene.MODEL, CALIBRATION)
        job = MatchJob("", numbers, Config(), "c.db", store.new_version("online"), ready)
        writer = Writer(store, job, lambda message: None)
        for place, message in enumerate(messages):
            if place == len(messages) // 2:
                marks, writer = writer.watermarks, Writer(store, job, lambda message: None)
                writer.watermarks = marks
            writer.update([message])
            writer.link(min(writer.watermarks.values(), default=None))
        assert partition(by_key(store)) == partition(in_turn)


def partition(people: dict[tuple[str, int, int], int]) -> set[frozenset[tuple[str, int, int]]]:
    """Who is together, whatever the numbers."""
    return {frozenset(key for key in people if people[key] == one) for one in people.values()}


def by_key(store: Store) -> dict[tuple[str, int, int], int]:
    """The identity of every tracklet of the current version."""
    said = store.identities_of_tracklets(store.current_version() or 0)
    return {(t.camera, t.key.track, t.key.part): said[t.id] for t in store.tracklets()}


@pytest.fixture(scope="module")
def in_turn(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int, int], int]:
    """The answer when messages come one at a time."""
    return identities(tmp_path_factory.mktemp("w") / "a.db", np.random.default_rng(0), 1)


def test_people_are_linked_and_a_jump_is_cut(in_turn: dict[tuple[str, int, int], int]) -> None:
    assert len(in_turn) == len(CAMERAS) * (2 * PEOPLE + 1)
    assert len(set(in_turn.values())) < len(in_turn) / 2
    assert sum(track < 0 for _, track, _ in in_turn) == len(CAMERAS)


@pytest.mark.parametrize(("seed", "batch"), [(1, 1), (2, 3), (3, 7), (4, 64), (5, 2), (6, 16)])
def test_neither_order_nor_batch_changes_an_identity(
    tmp_path: Path, in_turn: dict[tuple[str, int, int], int], seed: int, batch: int
) -> None:
    assert identities(tmp_path / "b.db", np.random.default_rng(seed), batch) == in_turn
