"""Match worker: the one writer; stores tracklets as they come and links them in event-time order."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

import msgspec

from pipeline.config import Config
from pipeline.errors import MendableError
from pipeline.linking.cut_tracklets import cut_at_jumps
from pipeline.linking.follow_corrections import follow, forget_rivals, people_named
from pipeline.linking.look_back import MOST_RECENT, LookBack
from pipeline.linking.open_matcher import open_matcher
from pipeline.linking.pausable_work import advanced
from pipeline.messages import (
    Message,
    MessageError,
    ModelReady,
    Notice,
    Progress,
    RecordingEnded,
    RecordingStarted,
    TrackletEmbedded,
    Watermark,
)
from pipeline.parents import minding
from pipeline.running.channels import (
    EMBEDDED,
    POLL_MS,
    PROGRESS,
    Link,
    Receiver,
    Sender,
    open_context,
)
from pipeline.running.requests import Listener
from pipeline.store.corrections import constraints, last_correction, people_spoken_of
from pipeline.store.database import Store
from pipeline.store.erasure import erased_tracks
from pipeline.store.identity_claims import (
    add_sightings,
    linked_up_to,
    load_gallery,
    missing_people,
    new_identity,
    unlinked_tracklets,
)
from pipeline.store.models import keep_calibration
from pipeline.store.open_store import open_store
from pipeline.store.recordings import end_recording, note_frame_size
from pipeline.store.tracklets import add_tracklets
from pipeline.store.versions import current_version, made_anew, mark_late

BATCH = 64
"""Messages stored in one transaction; a tracklet with its crops is some 100 KB, of a recording 300."""
PROGRESS_S = 0.5
TURN_S = 0.05
"""Linking or thinking goes on for so long before messages are looked for again."""
REST_MS = 20
"""Thinking about a look back rests for so long after each turn: the cameras' frames come first."""
LOOKS_S, LINKS_S = 2.0, 5.0
"""So long after the last camera of a run that is stopped, looks back are given up, and linking too."""


class MatchJob(msgspec.Struct, frozen=True):
    """What the match worker is started with."""

    link: Link
    recordings: tuple[int, ...]
    """It ends when all of these have."""
    config: Config
    database: str
    version: int
    ready: ModelReady | None = None
    """The model in use, where the matcher is started over."""


def main(job: bytes, stopped: Callable[[], bool]) -> None:
    """Run the match worker until every recording has ended and every tracklet is linked.

    Args:
        job: an encoded `MatchJob`.
        stopped: whether the run is being stopped; asked many times a second.
    """
    work = msgspec.msgpack.decode(job, type=MatchJob)
    context = open_context()
    alive = minding(work.link.parent)
    receiver = Receiver(context, work.link, EMBEDDED)
    progress = Sender(context, work.link, PROGRESS, alive)
    try:
        with open_store(work.database, write=True, lock_held=True) as store:
            listener = Listener(context, work.link.requests, store)
            try:
                Writer(store, work, progress.send, listener).serve(receiver, alive, stopped)
            finally:
                listener.close()
    except MendableError as error:
        progress.send(Notice("error", str(error)))
        sys.exit(1)
    finally:
        receiver.close()
        progress.close()
        context.term()


class Requests(Protocol):
    """What others want changed."""

    def waits(self) -> bool:
        """Whether anybody has asked for something."""

    def attend(self) -> int:
        """Carry it out; how many requests changed something."""


class Writer:
    """Stores what comes, and links what no camera can precede any more."""

    def __init__(
        self,
        store: Store,
        job: MatchJob,
        report: Callable[[Message], None],
        requests: Requests | None = None,
    ) -> None:
        """Nobody is known but those the store knows; `requests` are what others want changed."""
        self.requests = requests
        self.version = max(job.version, current_version(store) or 0)
        """The identity version that sightings go to: an operator's word makes a new one."""
        self.store, self.job, self.report = store, job, report
        self.watermarks = dict.fromkeys(job.recordings, -1)
        """Recordings still running: no tracklet of theirs will end before this time."""
        self.linked_ns = self.newest_ns = -1
        self.all_linked = 0
        """Every tracklet up to this number is linked: not looked at again."""
        self.late = False
        self.linked = self.stored = 0
        self.seconds: dict[str, float] = {"store": 0.0, "match": 0.0}
        self.model = ""
        """Of which embeddings come; none before the ReID worker has said so."""
        self.matcher: LookBack | None = None
        """None: it is still to be made."""
        self.work: Iterator[None] | None = None
        """Linking that was begun and goes on."""
        self.halfway = False
        """Whether the matcher knows claims that the store does not."""
        self.correction = last_correction(store)
        """The matcher knows what operators said up to this one."""
        self.erased = erased_tracks(store, job.recordings)
        """Tracks of people who were erased while they were in view: nothing more of them is kept."""
        self.thinks = False
        """Whether a look back is being thought about meanwhile."""
        self.update([job.ready] if job.ready else [])

    def serve(self, receiver: Receiver, alive: Callable[[], bool], stopped: Callable[[], bool]) -> None:
        """Store and link until all recordings have ended; what comes is stored before linking goes on."""
        reported_s = 0.0
        while self.watermarks and alive():
            self.update(receiver.receive_batch(BATCH, self.refuse, wait_ms=self.wait_ms()))
            self.listen()
            self.link_on()
            if time.monotonic() - reported_s > PROGRESS_S:
                reported_s = time.monotonic()
                self.tell()
        self.close(alive, stopped)
        self.tell()

    def close(self, alive: Callable[[], bool], stopped: Callable[[], bool]) -> None:
        """Link what is left; of a run that is being stopped, what can be linked within seconds."""
        began_s = time.monotonic()
        linked = False
        while not linked and alive():
            self.listen()
            to_the_end = self.work is None
            linked = self.link_on() and to_the_end
            waited_s = time.monotonic() - began_s if stopped() else 0.0
            if waited_s > LINKS_S and not linked:
                self.report(Notice("warning", "stopped before all was linked: `recluster` does the rest"))
                return
            if waited_s > LOOKS_S and self.matcher:
                self.matcher.looks = False

    def listen(self) -> None:
        """Carry out what others want changed, and know who is who as the store does from then on."""
        if not self.requests or not self.requests.waits():
            return
        started = time.perf_counter()
        self.come_to_rest()
        if self.requests.attend():
            self.erased = erased_tracks(self.store, self.job.recordings)
            self.follow()
        self.seconds["asked"] = self.seconds.get("asked", 0.0) + time.perf_counter() - started

    def come_to_rest(self) -> None:
        """Go on with linking to where matcher and store say the same, and leave it there."""
        while self.work and self.halfway and not advanced(self.work, 0):
            pass
        self.work, self.halfway, self.thinks = None, False, False

    def follow(self) -> None:
        """Let the matcher know what was changed in the store: of whom corrections speak, and who is gone.

        A version that was thought out anew may move anybody: then everybody is read again, in steps like any
        linking.
        """
        earlier, self.version = self.version, current_version(self.store) or self.version
        people = people_spoken_of(self.store, self.correction)
        self.correction, anew = last_correction(self.store), made_anew(self.store, after=earlier)
        if anew:
            self.matcher, self.all_linked, self.late = None, 0, False
        if self.matcher is None:
            return
        gone = missing_people(self.store, people_named(self.matcher))
        held = load_gallery(self.store, self.version, newest=MOST_RECENT, people=people)
        forget_rivals(self.matcher, gone)
        follow(self.matcher, people | gone, held, constraints(self.store))

    def wait_ms(self) -> int:
        """How long messages may be waited for before linking, or thinking, goes on."""
        if self.work:
            return 0
        return REST_MS if self.thinks else POLL_MS

    def update(self, messages: list[Message]) -> None:
        """Store a batch of messages; tracklets first, in one transaction."""
        started = time.perf_counter()
        tracklets = [m for m in messages if isinstance(m, TrackletEmbedded)]
        if tracklets:
            self.keep(tracklets)
        for message in messages:
            if isinstance(message, Watermark) and message.recording in self.watermarks:
                self.watermarks[message.recording] = message.time_ns
            elif isinstance(message, ModelReady):
                keep_calibration(self.store, message.model, message.calibration)
                if message.model != self.model:
                    self.model, self.matcher, self.work, self.halfway = message.model, None, None, False
            elif isinstance(message, RecordingStarted):
                note_frame_size(
                    self.store, message.recording, width=message.width, height=message.height, fps=message.fps
                )
            elif isinstance(message, RecordingEnded):
                self.watermarks.pop(message.recording, None)
                end_recording(
                    self.store,
                    message.recording,
                    state=message.state,
                    frames=message.frames,
                    detected=message.detected,
                    message=message.message,
                )
        self.seconds["store"] += time.perf_counter() - started

    def keep(self, tracklets: list[TrackletEmbedded]) -> None:
        """Store tracklets, those that show two people in pieces; nothing of tracks that were erased."""
        keys = [(item.tracklet.key.recording, item.tracklet.key.track) for item in tracklets]
        tracklets = [item for item, key in zip(tracklets, keys, strict=True) if key not in self.erased]
        cut = [cut_at_jumps(tracklet) for tracklet in tracklets]
        closed_ns = {
            piece.tracklet.key: int(tracklet.tracklet.times_ns[-1])
            for tracklet, found in zip(tracklets, cut, strict=True)
            for piece in found[:-1]
        }
        add_tracklets(self.store, [piece for found in cut for piece in found], closed_ns)
        self.stored += sum(map(len, cut))

    def link(self, until_ns: int | None) -> None:
        """Link every stored tracklet that ended before `until_ns`; all of them for None."""
        for _ in self.linking(until_ns):
            pass

    def link_on(self) -> bool:
        """Link for a moment; whether all that no camera can precede is linked."""
        started = time.perf_counter()
        self.work = self.work or self.linking(min(self.watermarks.values(), default=None))
        if advanced(self.work, TURN_S):
            self.work = None
            look = self.matcher.open if self.matcher else None
            self.thinks = look is not None and not advanced(look.thinking, TURN_S)
        self.seconds["match"] += time.perf_counter() - started
        return self.work is None

    def linking(self, until_ns: int | None) -> Iterator[None]:
        """`link`, with pauses in which more may be stored.

        A pause changes no answer: what comes meanwhile ended later, or its camera broke its word. Where it
        is given up, what is not linked is linked by the next one.
        """
        if self.model and self.matcher is None:
            yield from self.restoring()
        if self.matcher is None or (until_ns is not None and until_ns <= self.linked_ns):
            return
        last_ns = None if until_ns is None else until_ns - 1
        for tracklet in unlinked_tracklets(self.store, last_ns, self.version, after=self.all_linked):
            self.halfway = True
            claims = yield from self.matcher.updating(tracklet)
            self.mind_order(tracklet.due_ns)
            add_sightings(self.store, self.version, claims)
            self.halfway = False
            self.linked += 1
            yield
        self.halfway = True
        if corrected := (yield from self.matcher.advancing(until_ns)):
            add_sightings(self.store, self.version, corrected)
        self.halfway = False
        self.linked_ns = self.linked_ns if until_ns is None else until_ns
        self.all_linked = linked_up_to(self.store, self.version, after=self.all_linked)

    def restoring(self) -> Iterator[None]:
        """Make the matcher for the model, with everybody this model has seen before.

        Of who was seen more often the latest MOST_RECENT tracklets: all that may still be corrected is there.
        """
        matcher = open_matcher(self.store, self.job.config, self.model, partial(new_identity, self.store))
        for known in load_gallery(self.store, self.version, newest=MOST_RECENT):
            matcher.restore(known.tracklet, known.sighting)
            self.newest_ns = max(self.newest_ns, known.tracklet.due_ns)
            yield
        self.matcher = matcher

    def mind_order(self, due_ns: int) -> None:
        """Note the first tracklet older than one linked before: the run ends with linking all again."""
        if due_ns < self.newest_ns and not self.late:
            self.late = True
            mark_late(self.store, self.version)
        self.newest_ns = max(self.newest_ns, due_ns)

    def refuse(self, error: MessageError) -> None:
        """Report a message that is not one of ours."""
        self.report(Notice("error", f"match: a message was refused: {error}"))

    def tell(self) -> None:
        """Report progress."""
        self.report(Progress("match", 0, self.linked, self.stored, 0, dict(self.seconds)))
