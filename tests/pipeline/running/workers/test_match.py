"""The one writer: what it stores and links does not depend on how messages happen to arrive."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pipeline.config import Config, MatcherConfig
from pipeline.linking.recluster import recluster
from pipeline.messages import (
    Embedding,
    Message,
    ModelReady,
    Notice,
    RecordingEnded,
    TrackletEmbedded,
    Watermark,
)
from pipeline.running.requests import (
    Answer,
    Forget,
    Merge,
    Parted,
    Refused,
    Request,
    Split,
    Undo,
    carried_out,
)
from pipeline.running.workers import match as match_worker
from pipeline.running.workers.match import MatchJob, Writer
from pipeline.store.database import Store
from pipeline.store.identity_claims import identities_of_tracklets, unlinked_tracklets
from pipeline.store.open_store import open_store
from pipeline.store.runs import begin_run
from pipeline.store.tracklets import stored_tracklets
from pipeline.store.versions import current_version, new_version
from reid.sets.tracklets import Calibration
from tests import store_scene
from tests.crops import PAIRS

CALIBRATION = Calibration(-4.0, -8.0, -4.0, 0.0, 0.0, 4.0, 1.0, 0.6).as_dict() | {"pairs": PAIRS.as_dict()}
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
        run = begin_run(store, command="run", config={}, software="test")
        numbers = [store_scene.recording(store, name, run=run) for name in CAMERAS]
        stories = [story(number, name) for number, name in zip(numbers, CAMERAS, strict=True)]
        job = MatchJob("", tuple(numbers), Config(), str(path), new_version(store, "online"))
        writer = Writer(store, job, lambda message: None)
        mixed = interleaved(stories, order)
        for start in range(0, len(mixed), batch):
            writer.update(mixed[start : start + batch])
            writer.link(min(writer.watermarks.values(), default=None))
        return by_key(store)


def writer_of(store: Store) -> tuple[Writer, list[Message]]:
    """A writer for a new run of all cameras, and what it reports."""
    run, told = begin_run(store, command="run", config={}, software="test"), list[Message]()
    numbers = tuple(store_scene.recording(store, name, run=run) for name in CAMERAS)
    job = MatchJob("", numbers, Config(), "", new_version(store, "online"))
    return Writer(store, job, told.append), told


def everything(order: np.random.Generator) -> list[Message]:
    """What all cameras tell, mixed."""
    return interleaved([story(n + 1, name) for n, name in enumerate(CAMERAS)], order)


def interleaved(stories: list[list[Message]], order: np.random.Generator) -> list[Message]:
    """One list of all messages, each camera's in its own order."""
    turns = order.permutation([i for i, told in enumerate(stories) for _ in told])
    left = [iter(told) for told in stories]
    return [next(left[turn]) for turn in turns]


def test_the_writer_leaves_nothing_unlinked_though_it_looks_only_at_what_is_new(tmp_path: Path) -> None:
    with open_store(tmp_path / "f.db", create=True, write=True) as store:
        writer, _ = writer_of(store)
        for message in everything(np.random.default_rng(5)):
            writer.update([message])
            writer.link(min(writer.watermarks.values(), default=None))
            first = next(iter(unlinked_tracklets(store, None, writer.job.version)), None)
            assert first is None or first.id > writer.all_linked
        assert first is None and writer.all_linked == max(t.id for t in stored_tracklets(store))


def test_a_matcher_started_over_in_between_says_the_same(
    tmp_path: Path, in_turn: dict[tuple[str, int, int], int]
) -> None:
    messages = interleaved([story(n + 1, name) for n, name in enumerate(CAMERAS)], np.random.default_rng(0))
    with open_store(tmp_path / "c.db", create=True, write=True) as store:
        run = begin_run(store, command="run", config={}, software="test")
        numbers = tuple(store_scene.recording(store, name, run=run) for name in CAMERAS)
        ready = ModelReady(store_scene.MODEL, CALIBRATION)
        job = MatchJob("", numbers, Config(), "c.db", new_version(store, "online"), ready)
        writer = Writer(store, job, lambda message: None)
        for place, message in enumerate(messages):
            if place == len(messages) // 2:
                marks, writer = writer.watermarks, Writer(store, job, lambda message: None)
                writer.watermarks = marks
            writer.update([message])
            writer.link(min(writer.watermarks.values(), default=None))
        assert partition(by_key(store)) == partition(in_turn)


@pytest.mark.parametrize("seed", range(4))
def test_storing_while_linking_pauses_changes_no_identity(
    tmp_path: Path, in_turn: dict[tuple[str, int, int], int], seed: int
) -> None:
    chance = np.random.default_rng(seed)
    with open_store(tmp_path / "p.db", create=True, write=True) as store:
        writer, _ = writer_of(store)
        stored_meanwhile = 0
        for message in everything(chance):
            writer.update([message])
            stored_meanwhile += isinstance(message, TrackletEmbedded) and writer.work is not None
            writer.work = writer.work or writer.linking(min(writer.watermarks.values(), default=None))
            some = itertools.islice(writer.work, int(chance.integers(1, 4)))
            if not list(some):
                writer.work = None
        writer.close(lambda: True, lambda: False)
        assert stored_meanwhile > 5
        assert by_key(store) == in_turn


def test_what_comes_is_in_the_store_before_linking_goes_on(tmp_path: Path) -> None:
    with (
        open_store(tmp_path / "s.db", create=True, write=True) as store,
        open_store(tmp_path / "s.db") as eye,
    ):
        writer, _ = writer_of(store)
        messages = everything(np.random.default_rng(0))
        *_, late = [message for message in messages if isinstance(message, TrackletEmbedded)]
        writer.update([message for message in messages if message is not late])
        next(writer.linking(None))
        before = len(list(stored_tracklets(eye)))
        writer.update([late])
        assert len(list(stored_tracklets(eye))) == before + 1
        assert 0 < len(identities_of_tracklets(eye, 1)) < before


def test_a_matcher_that_is_started_over_stores_before_it_knows_everybody_again(tmp_path: Path) -> None:
    with open_store(tmp_path / "r.db", create=True, write=True) as store:
        first, _ = writer_of(store)
        messages = everything(np.random.default_rng(0))
        first.update(messages[:-5])
        first.link(None)
        job = msgspec.structs.replace(first.job, ready=ModelReady(store_scene.MODEL, CALIBRATION))
        second = Writer(store, job, lambda message: None)
        next(second.linking(None))
        assert second.matcher is None, "it is still reading"
        second.update(messages[-5:])
        second.link(None)
        assert len(by_key(store)) == len(list(stored_tracklets(store)))


def test_a_reid_worker_that_is_started_over_leaves_the_matcher_as_it_is(
    tmp_path: Path,
) -> None:
    with open_store(tmp_path / "m.db", create=True, write=True) as store:
        writer, _ = writer_of(store)
        writer.update([ModelReady(store_scene.MODEL, CALIBRATION)])
        writer.link(None)
        before = writer.matcher
        writer.update([ModelReady(store_scene.MODEL, CALIBRATION)])
        assert before is not None and writer.matcher is before


def test_a_run_that_is_stopped_ends_soon_and_says_what_it_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(match_worker, "TURN_S", 0.0)
    monkeypatch.setattr(match_worker, "LINKS_S", 0.0)
    with open_store(tmp_path / "e.db", create=True, write=True) as store:
        writer, told = writer_of(store)
        writer.update(everything(np.random.default_rng(0)))
        writer.close(lambda: True, lambda: True)
        assert any(isinstance(said, Notice) and "recluster" in said.text for said in told)
        assert len(list(unlinked_tracklets(store, None, 1))) > 0
        recluster(store, MatcherConfig())
        assert len(by_key(store)) == len(list(stored_tracklets(store)))


def test_a_run_that_is_stopped_gives_up_looking_back_before_it_gives_up_linking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(match_worker, "TURN_S", 0.0)
    monkeypatch.setattr(match_worker, "LOOKS_S", 0.0)
    monkeypatch.setattr(match_worker, "LINKS_S", 1e9)
    with open_store(tmp_path / "g.db", create=True, write=True) as store:
        writer, told = writer_of(store)
        writer.update(everything(np.random.default_rng(0)))
        writer.close(lambda: True, lambda: True)
        assert writer.matcher is not None and not writer.matcher.looks
        assert len(by_key(store)) == len(list(stored_tracklets(store))) and not told


def partition(people: dict[tuple[str, int, int], int]) -> set[frozenset[tuple[str, int, int]]]:
    """Who is together, whatever the numbers."""
    return {frozenset(key for key in people if people[key] == one) for one in people.values()}


def by_key(store: Store) -> dict[tuple[str, int, int], int]:
    """The identity of every tracklet of the current version."""
    said = identities_of_tracklets(store, current_version(store) or 0)
    return {(t.camera, t.key.track, t.key.part): said[t.id] for t in stored_tracklets(store)}


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


class Operator:
    """Requests that somebody made of a writer that is at work."""

    def __init__(self, store: Store, asked: list[Request]) -> None:
        self.store, self.asked = store, asked
        self.answers: list[Answer] = []

    def waits(self) -> bool:
        return bool(self.asked)

    def attend(self) -> int:
        self.answers = [carried_out(self.store, request) for request in self.asked]
        self.asked.clear()
        return sum(not isinstance(answer, Refused) for answer in self.answers)


def test_what_an_operator_says_meanwhile_holds_for_who_comes_next(tmp_path: Path) -> None:
    """Two people are said to be one; later pieces of either are filed under the number that stays."""
    with open_store(tmp_path / "f.db", create=True, write=True) as store:
        writer, _ = writer_of(store)
        (telling, *_) = [story(n + 1, name) for n, name in enumerate(CAMERAS)]
        half = len(telling) // 2
        writer.update(telling[:half])
        writer.link(2 * 10**18)
        before = identities_of_tracklets(store, writer.version)
        first, second = sorted(set(before.values()))[:2]
        asked: list[Request] = [Merge((first, second))]
        writer.requests = Operator(store, asked)
        writer.listen()
        assert writer.version == current_version(store) != writer.job.version
        writer.update(telling[half:])
        writer.link(None)
        after = identities_of_tracklets(store, writer.version)
    assert second not in after.values() and len(after) > len(before)
    assert {t: first if person == second else person for t, person in before.items()}.items() <= after.items()


def test_nobody_is_filed_under_who_was_erased_meanwhile(tmp_path: Path) -> None:
    with open_store(tmp_path / "f.db", create=True, write=True) as store:
        writer, _ = writer_of(store)
        (telling, *_) = [story(n + 1, name) for n, name in enumerate(CAMERAS)]
        half = len(telling) // 2
        writer.update(telling[:half])
        writer.link(2 * 10**18)
        gone = min(identities_of_tracklets(store, writer.version).values())
        erased = [t for t, p in identities_of_tracklets(store, writer.version).items() if p == gone]
        asked: list[Request] = [Forget(gone)]
        writer.requests = Operator(store, asked)
        writer.listen()
        writer.update(telling[half:])
        writer.link(None)
        after = identities_of_tracklets(store, writer.version)
        left = {tracklet.id for tracklet in stored_tracklets(store)}
    assert gone not in after.values() and not left & set(erased) and set(after) == left


@contextmanager
def halfway_through(tmp_path: Path) -> Iterator[tuple[Writer, list[Message]]]:
    """A writer that has heard and linked half of what all cameras tell, and the rest."""
    with open_store(tmp_path / "h.db", create=True, write=True) as store:
        writer, _ = writer_of(store)
        messages = everything(np.random.default_rng(0))
        half = len(messages) // 2
        hear(writer, messages[:half])
        yield writer, messages[half:]


def hear(writer: Writer, messages: list[Message]) -> None:
    for message in messages:
        writer.update([message])
        writer.link(min(writer.watermarks.values(), default=None))


def ask(writer: Writer, *asked: Request) -> list[Answer]:
    """What a writer answers, which takes over what was said."""
    writer.requests = operator = Operator(writer.store, list(asked))
    writer.listen()
    return operator.answers


def held(store: Store) -> dict[int, list[int]]:
    """Tracklets by person, those with most first."""
    found: dict[int, list[int]] = {}
    for tracklet, person in sorted(identities_of_tracklets(store, current_version(store) or 0).items()):
        found.setdefault(person, []).append(tracklet)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def test_after_an_undo_everything_goes_on_as_if_nothing_had_been_said(
    tmp_path: Path, in_turn: dict[tuple[str, int, int], int]
) -> None:
    with halfway_through(tmp_path) as (writer, rest):
        first, second, *_ = held(writer.store)
        ask(writer, Merge((first, second)))
        ask(writer, Undo(None))
        hear(writer, rest)
        assert partition(by_key(writer.store)) == partition(in_turn)


def test_a_split_that_comes_while_linking_pauses_holds(tmp_path: Path) -> None:
    with halfway_through(tmp_path) as (writer, rest):
        for message in rest:
            writer.update([message])
        writer.work = writer.linking(None)
        for _ in range(3):
            next(writer.work)
        person, mine = next(iter(held(writer.store).items()))
        (parted,) = ask(writer, Split(person, (mine[-1],)))
        writer.link(None)
        assert isinstance(parted, Parted)
        after = identities_of_tracklets(writer.store, writer.version)
        assert after[mine[0]] == person and after[mine[-1]] == parted.person
        assert not any(unlinked_tracklets(writer.store, None, writer.version))


def test_a_correction_costs_what_it_speaks_of_and_not_everybody(tmp_path: Path) -> None:
    with halfway_through(tmp_path) as (writer, _):
        matcher = writer.matcher
        first, second, *_ = held(writer.store)
        ask(writer, Merge((first, second)))
        assert writer.matcher is matcher is not None


def test_what_was_in_flight_of_an_erased_person_is_never_stored(tmp_path: Path) -> None:
    """A later part of the track comes after the erasure, and one more was stored and not linked yet."""
    with halfway_through(tmp_path) as (writer, rest):
        seen = next(t for t in stored_tracklets(writer.store) if t.key.track > 0)
        person = identities_of_tracklets(writer.store, writer.version)[seen.id]
        waiting, coming = (
            store_scene.tracklet(seen.key.recording, seen.key.track, part=n, start_s=500.0 + n, crops=2)
            for n in (7, 8)
        )
        writer.update([waiting])
        ask(writer, Forget(person))
        writer.update([coming])
        hear(writer, rest)
        mine = [t for t in stored_tracklets(writer.store) if t.key.track == seen.key.track]
        assert not [t for t in mine if t.key.recording == seen.key.recording]
        assert person not in held(writer.store)
        again = Writer(writer.store, writer.job, lambda message: None)
        again.update([coming])
        assert len([t for t in stored_tracklets(writer.store) if t.key.part == 8]) == 0, "also started over"


def test_a_claim_that_named_an_erased_person_as_the_next_best_can_still_be_written(tmp_path: Path) -> None:
    with halfway_through(tmp_path) as (writer, rest):
        for person in list(held(writer.store))[:2]:
            ask(writer, Forget(person))
        hear(writer, rest)
        assert not any(unlinked_tracklets(writer.store, None, writer.version))
