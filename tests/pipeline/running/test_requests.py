"""The one writer is asked by others, and does what they ask once, whole, in their order."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import zmq

from pipeline.queries.people import people
from pipeline.records import Sighting
from pipeline.running import requests
from pipeline.running.channels import open_context
from pipeline.running.requests import (
    Adopted,
    BusyWriter,
    Envelope,
    Forget,
    Forgotten,
    Listener,
    Merge,
    Merged,
    NotFoundRequest,
    Parted,
    Propose,
    RefusedRequest,
    Split,
    UnavailableWriter,
    Undo,
    Undone,
    WrongRequest,
    ask,
    sent,
)
from pipeline.store.corrections import corrections
from pipeline.store.database import Store
from pipeline.store.identity_claims import identities_of_tracklets
from pipeline.store.open_store import open_store
from pipeline.store.versions import current_version
from pipeline.store.writer_lock import StoreInUseError
from tests.store_scene import fill


@pytest.fixture
def database(tmp_path: Path) -> str:
    """P1 is tracklets 1, 4, 6 and one more, P2 one, P3 tracklet 5."""
    return str(fill(tmp_path / "a.db"))


@contextmanager
def listening(database: str, folder: Path) -> Iterator[Listener]:
    """A run, as far as others see it: it holds the lock, and a worker of it listens."""
    address = f"ipc://{folder}/requests"
    over, up = threading.Event(), threading.Event()
    heard: list[Listener] = []

    def worker() -> None:
        with open_context() as context, open_store(database, write=True, lock_held=True) as store:
            listener = Listener(context, address, store)
            heard.append(listener)
            up.set()
            while not over.is_set():
                listener.attend()
                time.sleep(0.01)
            listener.close()

    with open_store(database, write=True) as supervisor:
        assert supervisor.lock
        supervisor.lock.announce(address)
        thread = threading.Thread(target=worker)
        thread.start()
        up.wait(10)
        yield heard[0]
        over.set()
        thread.join()


def who(database: str) -> list[int]:
    with open_store(database) as store:
        return [person.person for person in people(store).people]


def test_where_nobody_writes_the_command_is_the_writer(database: str) -> None:
    assert ask(database, Merge((1, 3)), Merged).version == 2
    assert who(database) == [1, 2]


def test_a_running_writer_does_the_same_and_gives_the_same_answers(database: str, tmp_path: Path) -> None:
    with listening(database, tmp_path):
        assert ask(database, Merge((1, 3)), Merged).version == 2
        assert who(database) == [1, 2]
        undone = ask(database, Undo(None), Undone)
        assert (undone.correction.kind, undone.version) == ("merge", 3)
        parted = ask(database, Split(1, (1,)), Parted)
        assert parted.version == 4 and parted.person > 3
        assert ask(database, Forget(2), Forgotten).erased.tracklets == 1
    assert who(database) == [parted.person, 1, 3]
    with open_store(database) as store:
        assert [one.kind for one in corrections(store)] == ["merge", "undo", "split"]


def test_what_cannot_be_done_is_refused_in_the_writers_words_and_kind(database: str, tmp_path: Path) -> None:
    for refused in (Merge((1, 99)), Forget(99), Split(99, (1,))):
        with pytest.raises(NotFoundRequest, match="no person P99"):
            ask(database, refused, Merged)
        with listening(database, tmp_path), pytest.raises(NotFoundRequest, match="no person P99"):
            ask(database, refused, Merged)
    with listening(database, tmp_path), pytest.raises(RefusedRequest, match="two people or more"):
        ask(database, Merge((1, 1)), Merged)


def test_the_second_of_two_that_contradict_sees_what_the_first_did(database: str, tmp_path: Path) -> None:
    with listening(database, tmp_path):
        ask(database, Merge((1, 3)), Merged)
        with pytest.raises(NotFoundRequest, match="no person P3"):
            ask(database, Merge((3, 1)), Merged)


def test_two_at_once_are_carried_out_one_after_the_other(database: str, tmp_path: Path) -> None:
    versions: list[int] = []
    with listening(database, tmp_path):
        asking = [
            threading.Thread(target=lambda p=pair: versions.append(ask(database, Merge(p), Merged).version))
            for pair in ((1, 2), (1, 3))
        ]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join(20)
    assert sorted(versions) == [2, 3] and who(database) == [1]


def test_what_is_sent_twice_is_done_once(database: str, tmp_path: Path) -> None:
    with listening(database, tmp_path):
        answers = [sent(f"ipc://{tmp_path}/requests", Envelope("key", Merge((1, 3)))) for _ in range(2)]
    assert answers == [Merged(2), Merged(2)]
    with open_store(database) as store:
        assert len(corrections(store)) == 1


def test_who_goes_away_before_the_answer_is_served_all_the_same(database: str, tmp_path: Path) -> None:
    with listening(database, tmp_path) as listener:
        with open_context() as context, context.socket(zmq.REQ) as socket:
            socket.connect(f"ipc://{tmp_path}/requests")
            socket.send(msgspec.msgpack.encode(Envelope("key", Merge((1, 3)))))
            socket.close(linger=1000)
        until_s = time.monotonic() + 10
        while not listener.answers and time.monotonic() < until_s:
            time.sleep(0.01)
        assert ask(database, Undo(None), Undone).correction.kind == "merge"  # the writer lives on


@pytest.mark.parametrize("data", [b"", b"hello", b"\x81\xa3key\xa1k", bytes(2000)])
def test_what_is_no_request_is_refused_and_the_writer_lives_on(
    database: str, tmp_path: Path, data: bytes
) -> None:
    with listening(database, tmp_path):
        with open_context() as context, context.socket(zmq.REQ) as socket:
            socket.linger = 0
            socket.connect(f"ipc://{tmp_path}/requests")
            socket.send(data)
            assert socket.poll(5000) and b"not a request" in socket.recv()
        assert ask(database, Merge((1, 3)), Merged).version == 2


def test_a_writer_that_is_not_there_any_more_is_not_waited_for(database: str, tmp_path: Path) -> None:
    Path(f"{database}.lock").write_text(f"999999\nrequests-1 ipc://{tmp_path}/gone\n")  # it died
    began_s = time.monotonic()
    assert ask(database, Merge((1, 3)), Merged).version == 2
    assert time.monotonic() - began_s < 5


def test_while_a_run_closes_the_requester_waits_until_he_may_do_it_himself(
    database: str, tmp_path: Path
) -> None:
    closing = open_store(database, write=True)
    assert closing.lock
    closing.lock.announce(f"ipc://{tmp_path}/gone")
    threading.Timer(2.0, closing.close).start()
    said: list[str] = []
    assert ask(database, Merge((1, 3)), Merged, said.append).version == 2
    assert said == ["waiting for the program that writes to the database"]


def test_a_writer_that_never_answers_is_given_up(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "PATIENCE_S", 0.5)
    with open_store(database, write=True) as silent:
        assert silent.lock
        silent.lock.announce(f"ipc://{tmp_path}/gone")
        with pytest.raises(UnavailableWriter, match="does not answer"):
            ask(database, Merge((1, 3)), Merged)


def test_a_writer_that_does_not_listen_is_said_to_be_busy(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BUSY_S", 0.5)
    with open_store(database, write=True), pytest.raises(StoreInUseError, match="in use by process"):
        ask(database, Merge((1, 3)), Merged)


def test_a_writer_of_another_version_is_said_to_be_busy(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BUSY_S", 0.5)
    with open_store(database, write=True):
        Path(f"{database}.lock").write_text(f"{os.getpid()}\nrequests-9 ipc://{tmp_path}/new\n")
        with pytest.raises(StoreInUseError, match="in use by process"):
            ask(database, Merge((1, 3)), Merged)


def test_of_a_request_that_breaks_half_way_nothing_is_kept(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space")

    with open_store(database, write=True) as store:
        before = held(store)
        monkeypatch.setattr("pipeline.store.corrections.put_all", full)
        with pytest.raises(OSError, match="no space"):
            requests.carried_out(store, Merge((1, 2, 3)))
        assert held(store) == before and current_version(store) == 1 and not corrections(store)


def held(store: Store) -> dict[int, int]:
    return identities_of_tracklets(store, current_version(store) or 0)


def test_a_proposal_gives_new_people_numbers_of_their_own(database: str, tmp_path: Path) -> None:
    sightings = (Sighting(1, 1, "new"), Sighting(2, -1, "new", runner_up=-2), Sighting(3, -2, "new"))
    with listening(database, tmp_path):
        adopted = ask(database, Propose("recluster", "test", 1, sightings), Adopted)
    assert adopted.version == 2 and set(adopted.numbers) == {-1, -2} and min(adopted.numbers.values()) > 3
    with open_store(database) as store:
        assert held(store) == {1: 1, 2: adopted.numbers[-1], 3: adopted.numbers[-2]}


def test_a_proposal_made_from_an_older_version_is_refused(database: str, tmp_path: Path) -> None:
    with listening(database, tmp_path):
        ask(database, Merge((1, 3)), Merged)
        with pytest.raises(BusyWriter, match="version 2 was made meanwhile"):
            ask(database, Propose("recluster", "test", 1, ()), Adopted)


def test_an_answer_of_another_kind_is_no_answer(database: str) -> None:
    with pytest.raises(UnavailableWriter, match="something else"):
        ask(database, Merge((1, 3)), Forgotten)


def test_every_kind_of_trouble_has_a_refusal_of_its_kind() -> None:
    assert {kind: one.kind for kind, one in requests.BY_KIND.items()} == {k: k for k in requests.BY_KIND}
    assert WrongRequest.kind == "wrong input"


def test_a_command_that_writes_for_a_moment_is_waited_for(database: str) -> None:
    other = open_store(database, write=True)
    threading.Timer(1.0, other.close).start()
    assert ask(database, Merge((1, 3)), Merged).version == 2


def test_what_a_dead_writer_had_done_is_not_done_again_by_the_next(database: str) -> None:
    """It died before it answered: an `undo` that is sent again must not undo another one."""
    with open_store(database, write=True) as store:
        for pair in ((1, 3), (1, 2)):
            requests.carried_out(store, Merge(pair))
        first = requests.carried_out(store, Undo(None), key="k")
    with open_store(database, write=True) as store:
        assert requests.carried_out(store, Undo(None), key="k") == first
        assert [one.kind for one in corrections(store)] == ["merge", "merge", "undo"]


@pytest.mark.parametrize(
    "wanted", [Merge((1, 3)), Split(1, (1,)), Forget(2), Propose("recluster", "", 1, ())]
)
def test_every_answer_is_known_again_as_it_was(database: str, wanted: requests.Request) -> None:
    with open_store(database, write=True) as store:
        assert requests.carried_out(store, wanted, key="k") == requests.carried_out(store, wanted, key="k")


def test_what_was_made_of_an_older_version_is_refused_where_it_says_so(database: str, tmp_path: Path) -> None:
    with listening(database, tmp_path):
        ask(database, Merge((1, 3)), Merged, seen=1)
        with pytest.raises(BusyWriter, match="version 2 was made meanwhile"):
            ask(database, Merge((1, 2)), Merged, seen=1)
    with pytest.raises(BusyWriter, match="version 2 was made meanwhile"):
        ask(database, Merge((1, 2)), Merged, seen=1)


def test_a_proposal_that_speaks_of_somebody_erased_since_is_refused(database: str) -> None:
    ask(database, Forget(3), Forgotten)
    with pytest.raises(BusyWriter, match="erased meanwhile"):
        ask(database, Propose("recluster", "", 1, (Sighting(5, 3, "new"),)), Adopted)


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o703])
def test_nothing_is_asked_of_a_socket_that_others_could_have_put_there(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    monkeypatch.setattr(requests, "BUSY_S", 0.5)
    open_to_others = tmp_path / "sockets"
    open_to_others.mkdir()
    with listening(database, open_to_others):
        open_to_others.chmod(mode)
        with pytest.raises(StoreInUseError, match="in use by process"):
            ask(database, Merge((1, 3)), Merged)
    assert who(database) == [1, 2, 3]


def test_nothing_is_asked_of_whom_another_users_lock_file_names(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BUSY_S", 0.5)
    with listening(database, tmp_path):
        mine = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
        with pytest.raises(StoreInUseError):
            ask(database, Merge((1, 3)), Merged)
        monkeypatch.undo()


def test_an_erasure_whose_bytes_a_reader_keeps_is_said_to_be_so(database: str, tmp_path: Path) -> None:
    with listening(database, tmp_path), open_store(database) as reader, reader.reading() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM crops").scalar()
        forgotten = ask(database, Forget(2), Forgotten)
    assert forgotten.erased.person == 2 and "another program is reading" in forgotten.left
    assert who(database) == [1, 3]
