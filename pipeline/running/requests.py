"""What anybody wants changed: asked of the one writer, or done here where nobody writes.

While a run writes, its match worker listens at an address that the lock file names, in a folder that only
this user may enter. Requests are carried out one after another, in the order of arrival, between batches,
each in one transaction: all of it or nothing. One that contradicts an earlier one sees what that one did.

- A requester that goes away before its answer: the request is carried out all the same, once.
- A writer that dies half way: nothing of the request is kept, or all of it. The requester sends it again, to
  whoever is the writer then; where nobody answers any more it is told that it is unknown, and that
  `correct history` shows it.
- A run that begins or closes: whoever asks waits until it listens, or has let go of the database.
- The same request sent twice (it has a key) is carried out once; the second sender gets the same answer. The
  key is kept with what was done, in the same transaction, so that this holds whoever the writer is.
- What was made of an older identity version than the newest can ask to be refused (`seen`).
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import zmq

from pipeline.errors import Kind, MendableError
from pipeline.records import Sighting
from pipeline.running.channels import Context, open_context
from pipeline.store.audit import audit, noted
from pipeline.store.corrections import Correction, CorrectionKind, Said, merge, say, split, undo
from pipeline.store.database import Store
from pipeline.store.database_errors import StoreError
from pipeline.store.erasure import Erased, erase, purge
from pipeline.store.identity_claims import add_numbered_version
from pipeline.store.open_store import open_store
from pipeline.store.tracklets import missing_tracklets
from pipeline.store.versions import VersionKind, current_version
from pipeline.store.writer_lock import StoreInUseError

MOST_BYTES = 64 * 2**20
"""A request or answer of more is refused: a version of a million claims has fewer."""
PATIENCE_S = 120.0
"""How long an answer is waited for from a writer that lives."""
NEXT_LOOK_S = 0.25
"""Between two looks whether the writer still writes."""
BUSY_S = 10.0
"""How long a writer that does not listen is waited for: another command, a run that begins or closes."""
IPC = "ipc://"
REMEMBERED = 1000
"""Answers kept for those who ask again with the same key."""


class Merge(msgspec.Struct, frozen=True, tag=True):
    """File everybody under the first of these people."""

    people: tuple[int, ...]


class Split(msgspec.Struct, frozen=True, tag=True):
    """File these tracklets of a person under a new one."""

    person: int
    tracklets: tuple[int, ...]


class Undo(msgspec.Struct, frozen=True, tag=True):
    """Take back a correction; None: the last."""

    correction: int | None


class Say(msgspec.Struct, frozen=True, tag=True):
    """Keep an answer of a review; see `store.corrections.say`."""

    kind: CorrectionKind
    tracklets: tuple[int, ...]
    person: int
    filed: int
    note: str
    shown: int | None = None
    apart: bool = False
    sitting: int | None = None


class Forget(msgspec.Struct, frozen=True, tag=True):
    """Erase a person."""

    person: int


class Propose(msgspec.Struct, frozen=True, tag=True):
    """Make a new identity version of claims that were thought out elsewhere, from what `based_on` said."""

    kind: VersionKind
    note: str
    based_on: int | None
    sightings: tuple[Sighting, ...]
    """People below 0 are new: each gets a number."""


Request = Merge | Split | Undo | Say | Forget | Propose


class Merged(msgspec.Struct, frozen=True, tag=True):
    """People are one."""

    version: int


class Parted(msgspec.Struct, frozen=True, tag=True):
    """Tracklets are a person of their own."""

    person: int
    version: int


class Undone(msgspec.Struct, frozen=True, tag=True):
    """A correction was taken back."""

    correction: Correction
    version: int


class Answered(msgspec.Struct, frozen=True, tag=True):
    """An answer was kept."""

    said: Said


class Forgotten(msgspec.Struct, frozen=True, tag=True):
    """A person was erased."""

    erased: Erased
    left: str = ""
    """Why bytes of the person are still in the database's files; empty where none are."""


class Adopted(msgspec.Struct, frozen=True, tag=True):
    """A proposal is the newest identity version."""

    version: int
    numbers: dict[int, int]
    """The number of each new person, by the one that the proposal gave."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Nothing was changed."""

    kind: Kind
    text: str


Answer = Merged | Parted | Undone | Answered | Forgotten | Adopted | Refused


class Envelope(msgspec.Struct, frozen=True):
    """A request on its way."""

    key: str
    request: Request
    seen: int | None = None
    """The identity version it was made of: refused where another one is the newest by now. None: any."""


class RefusedRequest(MendableError):
    """The writer refused a request; its kind is the writer's."""


class NotFoundRequest(RefusedRequest, kind="not found"):
    """What a request names is not there."""


class WrongRequest(RefusedRequest, kind="wrong input"):
    """A request cannot be meant."""


class BusyWriter(RefusedRequest, kind="busy"):
    """The writer cannot do it now."""


class UnavailableWriter(RefusedRequest, kind="unavailable"):
    """The writer does not answer, or could not do it."""


class FullStore(RefusedRequest, kind="full"):
    """There is no room for it."""


BY_KIND: dict[Kind, type[RefusedRequest]] = {
    one.kind: one for one in (NotFoundRequest, WrongRequest, BusyWriter, UnavailableWriter, FullStore)
}


def carried_out(store: Store, request: Request, *, key: str = "", seen: int | None = None) -> Answer:
    """What a request changed; nothing where it is refused. One that has been done is only answered again.

    Args:
        store: opened for writing.
        request: what is wanted.
        key: names the request; empty: it is never sent twice.
        seen: see `Envelope`.
    """
    if key and (earlier := noted(store, "request", key)):
        answer: Answer = msgspec.convert(earlier, Answer, str_keys=True)
        return answer
    try:
        with store.writing():
            newest = current_version(store)
            if seen not in (None, newest):
                return Refused("busy", f"identity version {newest} was made meanwhile: look again")
            answer = done(store, request)
            if key and not isinstance(answer, Refused):
                audit(store, "request", key, msgspec.to_builtins(answer, str_keys=True))
    except MendableError as error:
        return Refused(error.kind, str(error))
    return purged(store, answer) if isinstance(answer, Forgotten) else answer


def purged(store: Store, forgotten: Forgotten) -> Forgotten:
    """The same, once no byte is left either; what is left, where that cannot be."""
    try:
        purge(store)
    except StoreError as error:
        return msgspec.structs.replace(forgotten, left=str(error))
    return forgotten


def done(store: Store, request: Request) -> Answer:
    """What a request changed, within the transaction that is open.

    Raises:
        MendableError: it cannot be done.
    """
    match request:
        case Merge():
            return Merged(merge(store, request.people))
        case Split():
            return Parted(split(store, request.person, request.tracklets), current_version(store) or 0)
        case Undo():
            return Undone(undo(store, request.correction), current_version(store) or 0)
        case Say():
            return Answered(say(store, **msgspec.structs.asdict(request)))
        case Forget():
            return Forgotten(erase(store, request.person))
        case Propose():
            return adopted(store, request)


def adopted(store: Store, proposal: Propose) -> Answer:
    """Make a proposal the newest version, unless there is a newer one than it was made from.

    An erasure makes no version; but what was thought out with the erased person must not count either.
    """
    newest = current_version(store)
    if newest != proposal.based_on:
        return Refused("busy", f"identity version {newest} was made meanwhile: try again")
    if missing_tracklets(store, [sighting.tracklet for sighting in proposal.sightings]):
        return Refused("busy", "somebody was erased meanwhile: try again")
    version, numbers = add_numbered_version(store, proposal.kind, proposal.note, proposal.sightings)
    return Adopted(version, numbers)


class Listener:
    """The writer's ear: requests in, answers out, one at a time."""

    def __init__(self, context: Context, address: str, store: Store) -> None:
        """Listen at an address."""
        self.store = store
        self.answers: OrderedDict[str, bytes] = OrderedDict()
        self.socket = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 1000)
        self.socket.setsockopt(zmq.MAXMSGSIZE, MOST_BYTES)
        self.socket.bind(address)

    def waits(self) -> bool:
        """Whether somebody has asked for something."""
        return bool(self.socket.poll(0, zmq.POLLIN))

    def attend(self) -> int:
        """Carry out what has been asked for; how many requests changed something."""
        changed = 0
        while self.waits():
            frames = self.socket.recv_multipart()
            if len(frames) != 3:  # not one of ours
                continue
            answer, new = self.answer(frames[2])
            changed += new
            self.socket.send_multipart([*frames[:2], answer])
        return changed

    def answer(self, data: bytes) -> tuple[bytes, bool]:
        """The answer to a request, and whether it changed something now."""
        try:
            asked = msgspec.msgpack.decode(data, type=Envelope)
        except msgspec.DecodeError as error:
            return msgspec.msgpack.encode(Refused("wrong input", f"not a request: {error}")), False
        if asked.key in self.answers:
            return self.answers[asked.key], False
        try:
            given = carried_out(self.store, asked.request, key=asked.key, seen=asked.seen)
        except Exception as error:  # of one request; the run, and everybody else's, goes on
            given = Refused("unavailable", f"could not be done: {error!r}")
        self.answers[asked.key] = msgspec.msgpack.encode(given)
        if len(self.answers) > REMEMBERED:
            self.answers.popitem(last=False)
        return self.answers[asked.key], not isinstance(given, Refused)

    def close(self) -> None:
        """Hand over the last answers, then close."""
        self.socket.close()


A = TypeVar("A", Merged, Parted, Undone, Answered, Forgotten, Adopted)


def ask(
    database: str,
    request: Request,
    expected: type[A],
    say: Callable[[str], None] = lambda text: None,
    *,
    seen: int | None = None,
) -> A:
    """The answer to a request: the running writer's, or, where nobody writes, our own.

    Args:
        database: SQLite file or URL.
        request: what is wanted.
        expected: the kind of answer that belongs to it.
        say: told once when an answer takes its time.
        seen: see `Envelope`.

    Raises:
        RefusedRequest: it was refused, or the writer does not answer.
        StoreInUseError: another command writes, or a run that does not listen to us, for longer than BUSY_S.
        StoreError: the database cannot be opened for another reason than that somebody writes to it.
    """
    key, began_s, told = secrets.token_hex(16), time.monotonic(), False
    while True:
        try:
            with open_store(database, write=True) as store:
                return accepted(carried_out(store, request, key=key, seen=seen), expected)
        except StoreInUseError as busy:
            address = busy.address if busy.address and private(busy.address) else None
            if address is None and time.monotonic() - began_s > BUSY_S:
                raise
            answer = sent(address, Envelope(key, request, seen)) if address else None
        if answer is not None:
            return accepted(answer, expected)
        if time.monotonic() - began_s > PATIENCE_S:
            raise UnavailableWriter(
                "the running program does not answer; `correct history` says whether it was done"
            )
        if not told and time.monotonic() - began_s > 1.0:
            say("waiting for the program that writes to the database")
            told = True
        time.sleep(NEXT_LOOK_S)


def accepted(answer: Answer, expected: type[A]) -> A:
    """The answer, where it is of the kind that was asked for.

    Raises:
        RefusedRequest: it is a refusal, or something else.
    """
    if isinstance(answer, Refused):
        raise BY_KIND[answer.kind](answer.text)
    if not isinstance(answer, expected):
        raise UnavailableWriter("the running program answered something else: is it of another version?")
    return answer


def sent(address: str, envelope: Envelope, *, wait_s: float = 5.0) -> Answer | None:
    """The writer's answer; None where nobody listens there, or none came in time."""
    with open_context() as context, context.socket(zmq.REQ) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.connect(address)
        if not socket.poll(round(1000 * NEXT_LOOK_S), zmq.POLLOUT):
            return None
        socket.send(msgspec.msgpack.encode(envelope))
        if not socket.poll(round(1000 * wait_s), zmq.POLLIN):
            return None
        try:
            answer: Answer = msgspec.msgpack.decode(socket.recv(), type=Answer)
        except msgspec.MsgspecError as error:
            text = "the running program answered something else: is it of another version?"
            raise UnavailableWriter(text) from error
        return answer


def private(address: str) -> bool:
    """Whether a socket lies in a folder of this user that nobody else may enter."""
    try:
        found = Path(address.removeprefix(IPC)).parent.lstat()
    except OSError:
        return False
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return address.startswith(IPC) and ours and not found.st_mode & 0o077


class Asking:
    """Keeps the answers of a review by asking the writer."""

    def __init__(self, database: str, say: Callable[[str], None]) -> None:
        self.database, self.waiting = database, say

    def say(self, **answer: Any) -> Said:
        """See `store.corrections.say`."""
        return ask(self.database, Say(**answer), Answered, self.waiting).said

    def undo(self, correction: int) -> int:
        """Take back an answer; the number of the newest identity version."""
        return ask(self.database, Undo(correction), Undone, self.waiting).version
