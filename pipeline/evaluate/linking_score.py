"""Pieces of tracks, whom each really shows, and what linking them got right and wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from pipeline.evaluate.found_boxes import Claim, FoundBoxes
from pipeline.evaluate.labels import Labels, Numbers

MIXED_SHARE = 0.1
"""A piece that shows a second person in more than this share of its labelled boxes is listed as a jump."""


@dataclass(frozen=True)
class Piece:
    """What one track shows under one identity: the unit that is linked."""

    camera: str
    track: int
    identity: int
    tracklets: tuple[int, ...]
    """By number; parts of a long presence."""
    shows: Mapping[int, int] = field(default_factory=dict)
    """Boxes by person."""
    person: int | None = None
    """Who is in most of its labelled boxes, if that is in half of the frames which have both."""
    ambiguous: bool = False


class PairScore(msgspec.Struct, frozen=True):
    """Pairs of pieces of different cameras that are said to show one person."""

    said: int
    true: int
    right: int
    precision: float | None
    recall: float | None


class Split(msgspec.Struct, frozen=True):
    """A person filed under several identities."""

    person: int
    tracklets: dict[int, tuple[int, ...]]
    """By identity, the one that holds most first."""


class Merge(msgspec.Struct, frozen=True):
    """An identity that holds several people."""

    identity: int
    tracklets: dict[int, tuple[int, ...]]
    """By person, who has most first."""


class Jump(msgspec.Struct, frozen=True):
    """A track that went from one person to another."""

    camera: str
    track: int
    tracklets: tuple[int, ...]
    boxes: dict[int, int]
    """By person."""


class IdentityScore(msgspec.Struct, frozen=True):
    """Do identities hold one person each, and people one identity each."""

    identities: int
    """That hold labelled people."""
    people: int
    """Labelled people that were found at all."""
    purity: float | None
    """Share of labelled boxes that show the person who has most of their identity."""
    completeness: float | None
    """Share of labelled boxes that lie in the identity that has most of their person."""
    track_purity: float | None
    """Share of labelled boxes that show the person who has most of their track: no linking can mend less."""


def pieces(
    camera: str, found: FoundBoxes, truth: Labels, rows: Numbers, claims: Mapping[int, Claim]
) -> list[Piece]:
    """A camera's pieces, by track and identity.

    Args:
        camera: its name.
        found: (F) boxes.
        truth: (T) labelled boxes.
        rows: (F,) the row of the truth that each box shows, -1 for none.
        claims: by tracklet.
    """
    frames_of = {int(one): set(truth.frames[truth.ids == one].tolist()) for one in np.unique(truth.ids)}
    keys = np.stack([found.tracks.ids, found.identities], axis=1)
    unique, group = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(group, minlength=len(unique)))[:-1])
    result = []
    for (track, identity), mine in zip(unique.tolist(), parts, strict=True):
        shows = dict(Counter(truth.ids[rows[mine][rows[mine] >= 0]].tolist()).most_common())
        tracklets = tuple(np.unique(found.tracklets[mine]).tolist())
        person = person_of(shows, set(found.tracks.frames[mine].tolist()), frames_of)
        unsure = any(claims[t].state == "ambiguous" for t in tracklets if t in claims)
        result.append(Piece(camera, track, identity, tracklets, shows, person, unsure))
    return result


def person_of(shows: Mapping[int, int], frames: set[int], frames_of: Mapping[int, set[int]]) -> int | None:
    """Whom a piece shows: see `Piece.person`. Who merely passes behind is in too few of the frames."""
    if not shows:
        return None
    person = max(shows, key=lambda number: (shows[number], -number))
    return person if 2 * shows[person] >= len(frames & frames_of[person]) else None


def pair_score(found: Sequence[Piece]) -> PairScore:
    """Pairs across cameras; an ambiguous piece claims nothing, so it costs recall alone."""
    return pairs_said(found, [piece for piece in found if not piece.ambiguous])


def filed_pair_score(found: Sequence[Piece]) -> PairScore:
    """Pairs across cameras with ambiguous pieces taken as they are filed."""
    return pairs_said(found, found)


def pairs_said(found: Sequence[Piece], claiming: Sequence[Piece]) -> PairScore:
    """Pairs across cameras where only some of the pieces claim anything."""
    known = [piece for piece in found if piece.person is not None]
    sure = [piece for piece in claiming if piece.person is not None]
    true = pairs_across((piece.person, piece.camera) for piece in known)
    said = pairs_across((piece.identity, piece.camera) for piece in sure)
    right = pairs_across(((piece.identity, piece.person), piece.camera) for piece in sure)
    return PairScore(said, true, right, ratio(right, said), ratio(right, true))


def pairs_across(members: Iterable[tuple[object, str]]) -> int:
    """How many pairs of (group, camera) share a group but not a camera."""
    each = Counter(members)
    whole: Counter[object] = Counter()
    for (group, _), count in each.items():
        whole[group] += count
    return sum(n * (n - 1) // 2 for n in whole.values()) - sum(n * (n - 1) // 2 for n in each.values())


def ratio(part: float, whole: float) -> float | None:
    """None where there is nothing to divide by."""
    return part / whole if whole else None


def identity_score(found: Sequence[Piece]) -> IdentityScore:
    """Purity and completeness over labelled boxes."""
    shared: Counter[tuple[int, int]] = Counter()
    tracks: Counter[tuple[str, int, int]] = Counter()
    for piece in found:
        for person, boxes in piece.shows.items():
            shared[piece.identity, person] += boxes
            tracks[piece.camera, piece.track, person] += boxes
    total = sum(shared.values())
    return IdentityScore(
        identities=len({identity for identity, _ in shared}),
        people=len({person for _, person in shared}),
        purity=ratio(most((identity, n) for (identity, _), n in shared.items()), total),
        completeness=ratio(most((person, n) for (_, person), n in shared.items()), total),
        track_purity=ratio(most(((c, t), n) for (c, t, _), n in tracks.items()), total),
    )


def most(counts: Iterable[tuple[object, int]]) -> int:
    """The sum over groups of each group's largest count."""
    largest: dict[object, int] = defaultdict(int)
    for group, count in counts:
        largest[group] = max(largest[group], count)
    return sum(largest.values())


def splits(found: Sequence[Piece]) -> list[Split]:
    """People under several identities, by number."""
    grouped = groups((piece.person, piece.identity, piece) for piece in found if piece.person is not None)
    return [Split(person, parts) for person, parts in sorted(grouped.items()) if len(parts) > 1]


def merges(found: Sequence[Piece]) -> list[Merge]:
    """Identities with several people, by number."""
    grouped = groups((piece.identity, piece.person, piece) for piece in found if piece.person is not None)
    return [Merge(identity, parts) for identity, parts in sorted(grouped.items()) if len(parts) > 1]


def groups(rows: Iterator[tuple[int | None, int | None, Piece]]) -> dict[int, dict[int, tuple[int, ...]]]:
    """Tracklets by outer and inner number, the inner with most labelled boxes first."""
    held: dict[int, dict[int, list[Piece]]] = defaultdict(lambda: defaultdict(list))
    for outer, inner, piece in rows:
        if outer is not None and inner is not None:
            held[outer][inner].append(piece)
    return {
        outer: {
            inner: tuple(sorted(t for piece in inners[inner] for t in piece.tracklets))
            for inner in sorted(inners, key=lambda i: (-labelled(inners[i]), i))
        }
        for outer, inners in held.items()
    }


def labelled(found: Sequence[Piece]) -> int:
    """How many labelled boxes pieces have."""
    return sum(sum(piece.shows.values()) for piece in found)


def jumps(found: Sequence[Piece]) -> list[Jump]:
    """Pieces that show a second person for more than MIXED_SHARE."""
    result = []
    for piece in found:
        counts = sorted(piece.shows.values(), reverse=True)
        if len(counts) > 1 and counts[1] > MIXED_SHARE * sum(counts):
            result.append(Jump(piece.camera, piece.track, piece.tracklets, dict(piece.shows)))
    return result
