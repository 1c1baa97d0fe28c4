"""Walks an operator through uncertain links: pictures side by side, same, different or not sure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from pipeline.queries.filters import EVERYTHING, Filters
from pipeline.queries.pictures.contact_sheets import RenderError, save_picture
from pipeline.queries.pictures.crops import tracklet_portraits
from pipeline.queries.pictures.drawing import colour_of, contact_sheet
from pipeline.queries.tracks import Sighted, tracks
from pipeline.store.audit import audit
from pipeline.store.corrections import CorrectionKind, Said, corrections, current, tracklets_of
from pipeline.store.database import Store

Reply = Literal["same", "different", "unsure", "undo", "quit"]
KEYS: dict[str, Reply] = {"s": "same", "d": "different", "n": "unsure", "u": "undo", "q": "quit"}
SHOWN = 6
"""Tracklets of the other person put beside the one in question; an answer `same` speaks of these alone."""


class Question(msgspec.Struct, frozen=True):
    """Is the person of these tracklets (parts of one track) really who the program says?"""

    tracklets: tuple[int, ...]
    camera: str
    start_ns: int
    clock_known: bool
    person: int
    """Under whom they are filed."""
    probability: float | None
    runner_up: int | None
    runner_up_probability: float | None

    @property
    def doubt(self) -> float:
        """The smaller, the less the program knows which of two it is."""
        return abs((self.probability or 0.0) - (self.runner_up_probability or 0.0))


class Reviewed(msgspec.Struct, frozen=True):
    """What a review came to."""

    asked: int
    same: int
    different: int
    unsure: int
    open: int
    """Questions left."""
    version: int | None
    """The identity version that holds the answers; None where nothing was answered."""


def questions(store: Store, filters: Filters = EVERYTHING, *, below: float = 0.0) -> list[Question]:
    """Links to review in the newest version, the most doubtful first: ambiguous ones nobody has settled.

    Nothing is asked of tracklets that can be compared with nobody: all of one person's, without a runner-up.

    Args:
        store: any open store.
        filters: only links of tracklets that match.
        below: also those linked with a stated probability below it.
    """
    parts: dict[tuple[int, int, int], list[Sighted]] = {}
    held: defaultdict[int, set[int]] = defaultdict(set)
    for seen in tracks(store).tracks:
        if seen.person is not None:
            held[seen.person].add(seen.tracklet)
            parts.setdefault((seen.recording, seen.track, seen.person), []).append(seen)
    passed = {c.sides[1] for c in corrections(store) if c.kind == "unsure" and not c.undone}
    found = [question(group) for group in parts.values() if any(doubtful(seen, below) for seen in group)]
    found = [q for q in found if held[q.person] - set(q.tracklets) or held.get(q.runner_up or 0)]
    if filters != EVERYTHING:
        there = {seen.tracklet for seen in tracks(store, filters).tracks}
        found = [q for q in found if there.intersection(q.tracklets)]
    return sorted((q for q in found if q.tracklets not in passed), key=lambda q: (q.doubt, q.tracklets))


def doubtful(seen: Sighted, below: float) -> bool:
    """Whether a link is ambiguous, or stated to be less probable than `below`."""
    stated = 1.0 if seen.probability is None else seen.probability
    return seen.state == "ambiguous" or (seen.state == "linked" and stated < below)


def question(parts: Sequence[Sighted]) -> Question:
    """The question about the parts of one track under one identity."""
    first = min(parts, key=lambda seen: (seen.start_ns, seen.part))
    return Question(
        tracklets=tuple(sorted(seen.tracklet for seen in parts)),
        camera=first.camera,
        start_ns=first.start_ns,
        clock_known=first.clock_known,
        person=first.person or 0,
        probability=first.probability,
        runner_up=first.runner_up,
        runner_up_probability=first.runner_up_probability,
    )


class Keeper(Protocol):
    """Who keeps the answers of a review: the writer, wherever it is."""

    def say(
        self,
        *,
        kind: CorrectionKind,
        tracklets: tuple[int, ...],
        person: int,
        filed: int,
        note: str,
        shown: int | None,
        apart: bool,
        sitting: int | None,
    ) -> Said:
        """See `store.corrections.say`."""

    def undo(self, correction: int) -> int:
        """Take back an answer; the number of the newest identity version."""


class Review:
    """One sitting: answers are kept one by one, all in one new identity version."""

    def __init__(
        self, store: Store, pictures: Path, ask: Callable[[str, Path], Reply], keeper: Keeper
    ) -> None:
        """Nothing is asked or written yet.

        Args:
            store: any open store.
            pictures: folder for the pictures, made if missing.
            ask: shows a question and a picture, and gives the reply.
            keeper: keeps answers, wherever the writer is.
        """
        self.store, self.pictures, self.ask, self.keeper = store, pictures, ask, keeper
        self.version: int | None = None
        self.said: list[tuple[CorrectionKind, int]] = []
        """This sitting's answers, with their numbers among all corrections."""

    def go_through(
        self, below: float = 0.0, filters: Filters = EVERYTHING, limit: int | None = None
    ) -> Reviewed:
        """Ask until nothing is left, or `limit` was asked, or the operator quits.

        Raises:
            RenderError: a picture cannot be written.
        """
        audit(self.store, "export", str(self.pictures.resolve()), {"format": "review"})
        asked = 0
        while (waiting := questions(self.store, filters, below=below)) and asked != limit:
            reply = self.put(waiting[0])
            if reply == "quit":
                break
            asked += reply != "undo"
        kinds = [kind for kind, _ in self.said]
        counts = {kind: kinds.count(kind) for kind in ("same", "different", "unsure")}
        left = len(questions(self.store, filters, below=below))
        return Reviewed(asked=asked, open=left, version=self.version, **counts)

    def put(self, one: Question) -> Reply:
        """Ask whether it is the person it is filed under, if more is held of that one; then the runner-up."""
        alone = not self.others(one, one.person)
        reply = "different" if alone else self.ask_about(one, one.person, one.probability)
        if reply == "different":
            elsewhere = one if alone else msgspec.structs.replace(one, person=self.parted(one))
            second = one.runner_up
            if second is not None and self.others(elsewhere, second):
                reply = self.ask_about(elsewhere, second, one.runner_up_probability)
                if reply == "different":
                    self.keep("different", elsewhere, second)
        return reply

    def ask_about(self, one: Question, person: int, probability: float | None) -> Reply:
        """Ask about one person, and keep the answer; `different` is kept by the caller."""
        stated = "" if probability is None else f" ({probability:.0%})"
        text = f"{one.camera} {' '.join(f't{t}' for t in one.tracklets)}: is this P{person}{stated}?"
        reply = self.ask(text, self.draw(one, person))
        if reply == "same":
            self.keep("same", one, person)
        elif reply == "unsure":
            self.keep("unsure", one, person)
        elif reply == "undo":
            self.take_back()
        return reply

    def parted(self, one: Question) -> int:
        """The new person that tracklets are filed under which are not who they were said to be."""
        return self.keep("different", one, one.person, apart=True)

    def keep(self, kind: CorrectionKind, one: Question, person: int, *, apart: bool = False) -> int:
        """Keep an answer about the tracklets of a question and a person; under whom they are filed now."""
        verb = {"same": "is", "different": "is not", "unsure": "may be"}[kind]
        said = self.keeper.say(
            kind=kind,
            tracklets=one.tracklets,
            person=person,
            filed=one.person,
            note=f"{one.camera} {' '.join(f't{t}' for t in one.tracklets)} {verb} P{person}",
            shown=SHOWN if kind == "same" else None,
            apart=apart,
            sitting=self.version,
        )
        self.version = said.version
        self.said.append((kind, said.correction))
        return said.person

    def take_back(self) -> None:
        """Undo this sitting's last answer, if there is one; others may have said something since."""
        if self.said:
            _, correction = self.said.pop()
            self.version = self.keeper.undo(correction)

    def others(self, one: Question, person: int) -> list[int]:
        """A person's tracklets that are not in question."""
        held = tracklets_of(self.store, current(self.store), person)
        return [tracklet for tracklet in held if tracklet not in one.tracklets]

    def draw(self, one: Question, person: int) -> Path:
        """The picture: who is in question above whom it may be."""
        groups = [
            (f"in question: {one.camera}", tracklet_portraits(self.store, one.tracklets, crops=5)),
            (f"P{person}", tracklet_portraits(self.store, self.others(one, person)[:SHOWN])),
        ]
        try:
            self.pictures.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RenderError(f"{self.pictures}: cannot be made: {error.strerror}") from error
        path = self.pictures / f"t{one.tracklets[0]}_P{person}.jpg"
        save_picture(path, contact_sheet(f"Is this P{person}?", groups, colour_of(person)))
        return path
