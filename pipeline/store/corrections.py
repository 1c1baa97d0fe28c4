"""An operator's word on who is who: merge, split, answers and undo, as events with history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, func, insert, literal, select, update

from pipeline.constraints import Constraints, Relation, Statement, consistent
from pipeline.store.audit import audit
from pipeline.store.database import Store
from pipeline.store.database_errors import StoreError
from pipeline.store.identity_claims import new_identity
from pipeline.store.lookups import check_person
from pipeline.store.rows import insert_rows, new_row, pages
from pipeline.store.schema import CorrectionMember, CorrectionRow, IdentityVersion, SightingRow
from pipeline.store.versions import current_version

CorrectionKind = Literal["merge", "split", "same", "different", "unsure", "undo"]
RELATIONS: dict[str, Relation] = {
    "merge": "same",
    "same": "same",
    "split": "different",
    "different": "different",
}
"""What each kind says of its two sides; the others say nothing."""


class CorrectionError(StoreError):
    """The correction cannot be made; the message says why."""


class Correction(msgspec.Struct, frozen=True):
    """One thing an operator said."""

    correction: int
    time_ns: int
    kind: CorrectionKind
    note: str
    version: int | None
    """The identity version it was carried out in."""
    undoes: int | None
    undone: bool
    """A later `undo` took it back."""
    sides: tuple[tuple[int, ...], tuple[int, ...]]
    """Tracklets: the two groups it speaks of."""

    @property
    def void(self) -> bool:
        """Whether what it spoke of has been erased or read again, so that it says nothing any more."""
        return self.kind in RELATIONS and not all(self.sides)


class Move(msgspec.Struct, frozen=True):
    """A tracklet that a correction speaks of, and what becomes of it."""

    tracklet: int
    side: int
    """1: those that are moved; 0: those they are compared with."""
    before: int
    after: int


def merge(store: Store, people: Sequence[int]) -> int:
    """File everybody under the first of `people`; number of the newest identity version.

    Raises:
        CorrectionError: fewer than two different people.
        UnknownPersonError: nobody of this number.
    """
    first, *others = dict.fromkeys(people)
    if not others:
        raise CorrectionError(f"P{first}: name two people or more to merge")
    for person in (first, *others):
        check_person(store, person)
    with store.writing():
        version = corrected_version(store, f"merge {names([first, *others])}")
        for other in others:
            kept = [Move(t, 0, first, first) for t in tracklets_of(store, version, first)]
            moved = [Move(t, 1, other, first) for t in tracklets_of(store, version, other)]
            keep_correction(store, version, "merge", f"P{other} is P{first}", [*kept, *moved])
    return version


def split(store: Store, person: int, tracklets: Iterable[int]) -> int:
    """Number of the new person that these tracklets of a person are filed under from now on.

    Raises:
        CorrectionError: not the person's tracklets, all of them, or none.
        UnknownPersonError: nobody of this number.
    """
    check_person(store, person)
    chosen = sorted(set(tracklets))
    held = tracklets_of(store, current(store), person)
    if not chosen or not set(chosen) < set(held):
        text = " ".join(f"t{tracklet}" for tracklet in held)
        raise CorrectionError(f"P{person} is {text}: name some of them, not all")
    with store.writing():
        version = corrected_version(store, f"split P{person}")
        apart = new_identity(store)
        moves = [Move(t, int(t in chosen), person, apart if t in chosen else person) for t in held]
        keep_correction(store, version, "split", f"P{apart} is not P{person}", moves)
    return apart


def undo(store: Store, correction: int | None = None) -> Correction:
    """The correction that was taken back: what it moved is where it was, unless it has moved on since.

    Args:
        store: opened for writing.
        correction: None for the last that counts.

    Raises:
        CorrectionError: there is none to undo, or it was undone.
    """
    standing = [c for c in corrections(store) if c.kind != "undo" and not c.undone]
    wanted = [c for c in standing if correction in (None, c.correction)]
    if not wanted:
        which = "no correction" if correction is None else f"no correction {correction} that still counts"
        raise CorrectionError(f"{which}: nothing to undo")
    last = wanted[-1]
    moves = moved_back(store, last.correction)
    note = f"not any more: {last.note}"
    with store.writing() as connection:
        version = corrected_version(store, f"undo {last.correction}")
        insert_correction(connection, store.clock(), version, "undo", note, moves, last.correction)
        for move in moves:
            put(connection, version, move, claim_before(connection, last.version or version, move))
        audit(store, "undo", note, {"version": version, "correction": last.correction})
    return last


class Said(msgspec.Struct, frozen=True):
    """An answer that was kept."""

    correction: int
    version: int
    """The identity version it was carried out in."""
    person: int
    """Under whom the tracklets are filed now."""


def say(
    store: Store,
    *,
    kind: CorrectionKind,
    tracklets: Sequence[int],
    person: int,
    filed: int,
    note: str,
    shown: int | None = None,
    apart: bool = False,
    sitting: int | None = None,
) -> Said:
    """Keep an answer of a review: these tracklets are, are not, or may be this person.

    Args:
        store: opened for writing.
        kind: same, different or unsure.
        tracklets: those in question.
        person: whom they were compared with.
        filed: under whom they are filed.
        note: the answer in words.
        shown: it speaks of so many of the person's tracklets, those that were shown; None for all.
        apart: file them under a new person; otherwise `same` files them under `person`.
        sitting: the version that holds the sitting's answers; a new one where it is not the newest any more.

    Raises:
        CorrectionError: the tracklets are not filed under `filed` any more.
        UnknownPersonError: nobody of this number.
    """
    with store.writing():
        check_person(store, person)
        if not set(tracklets) <= set(tracklets_of(store, current(store), filed)):
            text = " ".join(f"t{tracklet}" for tracklet in tracklets)
            raise CorrectionError(f"{text}: filed under another person meanwhile: look again")
        version = sitting if sitting == current(store) else None
        version = version or corrected_version(store, "review")
        others = [t for t in tracklets_of(store, version, person) if t not in tracklets]
        after = new_identity(store) if apart else person if kind == "same" else filed
        moves = [Move(t, 0, person, person) for t in others[:shown]]
        moves += [Move(t, 1, filed, after) for t in tracklets]
        return Said(keep_correction(store, version, kind, note, moves), version, after)


def moved_back(store: Store, correction: int) -> list[Move]:
    """What undoing a correction moves; an identity that is gone stays gone."""
    member = CorrectionMember
    query = select(member.tracklet, member.side, member.after, member.before)
    with store.reading() as connection:
        rows = connection.execute(query.where(member.correction == correction, member.side == 1))
        return [Move(t, side, a, b) for t, side, a, b in rows if a is not None and b is not None]


def corrections(store: Store) -> list[Correction]:
    """The history, oldest first."""
    member = CorrectionMember
    with store.reading() as connection:
        rows = connection.execute(select(CorrectionRow.__table__).order_by(CorrectionRow.id)).all()
        sides: dict[int, tuple[list[int], list[int]]] = {row.id: ([], []) for row in rows}
        for row in connection.execute(select(member.correction, member.tracklet, member.side)):
            sides[row.correction][row.side].append(row.tracklet)
    undone = {row.undoes for row in rows}
    return [
        Correction(
            correction=row.id,
            time_ns=row.time_ns,
            kind=row.kind,
            note=row.note,
            version=row.version,
            undoes=row.undoes,
            undone=row.id in undone,
            sides=(tuple(sorted(sides[row.id][0])), tuple(sorted(sides[row.id][1]))),
        )
        for row in rows
    ]


def last_correction(store: Store) -> int:
    """Number of the latest correction; 0 where there is none."""
    with store.reading() as connection:
        return connection.scalar(select(func.max(CorrectionRow.id))) or 0


def people_spoken_of(store: Store, after: int) -> set[int]:
    """Everybody whom corrections later than this one moved tracklets from or to."""
    member = CorrectionMember
    query = select(member.before, member.after).where(member.correction > after).distinct()
    with store.reading() as connection:
        return {person for row in connection.execute(query) for person in row if person is not None}


def constraints(store: Store) -> Constraints:
    """What linking must respect: every correction that counts; of contradicting ones the newer."""
    said = [c for c in corrections(store) if c.kind in RELATIONS and not (c.undone or c.void)]
    return consistent(Statement(RELATIONS[c.kind], c.sides) for c in reversed(said))


def current(store: Store) -> int:
    """The newest identity version.

    Raises:
        CorrectionError: there is none.
    """
    version = current_version(store)
    if version is None:
        raise CorrectionError(f"{store.location.name}: nobody has been identified yet")
    return version


def tracklets_of(store: Store, version: int, person: int) -> list[int]:
    """A person's tracklets, by number."""
    mine = (SightingRow.version == version) & (SightingRow.identity == person)
    with store.reading() as connection:
        return sorted(connection.scalars(select(SightingRow.tracklet).where(mine)))


def corrected_version(store: Store, note: str) -> int:
    """Number of a new identity version that says what the current one says."""
    earlier = current(store)
    table = SightingRow.__table__
    columns = [column for column in table.columns if column.name != "version"]
    with store.writing() as connection:
        late = connection.scalar(select(IdentityVersion.late).where(IdentityVersion.id == earlier))
        row = {"created_ns": store.clock(), "kind": "correction", "note": note, "late": bool(late)}
        version = new_row(connection, IdentityVersion, **row)
        copy = select(literal(version), *columns).where(table.c.version == earlier)
        connection.execute(insert(SightingRow).from_select(["version", *(c.name for c in columns)], copy))
    return version


def keep_correction(
    store: Store, version: int, kind: CorrectionKind, note: str, moves: Sequence[Move]
) -> int:
    """Number of a new correction, kept and carried out in one transaction."""
    with store.writing() as connection:
        number = insert_correction(connection, store.clock(), version, kind, note, moves)
        if kind != "unsure":
            put_all(connection, version, moves, kind, number)
        audit(store, kind, note, {"version": version, "correction": number})
    return number


def insert_correction(
    connection: Connection,
    time_ns: int,
    version: int,
    kind: CorrectionKind,
    note: str,
    moves: Sequence[Move],
    undoes: int | None = None,
) -> int:
    """Number of a new correction."""
    row = {"time_ns": time_ns, "kind": kind, "version": version, "undoes": undoes, "note": note}
    number = new_row(connection, CorrectionRow, **row)
    members = [{"correction": number, **msgspec.structs.asdict(move)} for move in moves]
    insert_rows(connection, CorrectionMember, members)
    return number


def put_all(
    connection: Connection, version: int, moves: Sequence[Move], kind: CorrectionKind, number: int
) -> None:
    """Change the sightings of side 1, many at once: somebody seen for weeks has thousands."""
    groups: dict[tuple[int, int], list[Move]] = {}
    for move in moves:
        if move.side == 1:
            groups.setdefault((move.before, move.after), []).append(move)
    for (before, _), group in groups.items():
        values = settled(group[0], kind, number)
        for page in pages([move.tracklet for move in group]):
            here = (SightingRow.version == version) & SightingRow.tracklet.in_(page)
            here &= SightingRow.identity == before
            connection.execute(update(SightingRow).where(here).values(values))


def put(connection: Connection, version: int, move: Move, values: dict[str, Any]) -> None:
    """Change the sighting of a tracklet of side 1; one that is elsewhere by now stays there."""
    if move.side == 1:
        here = (SightingRow.version == version) & (SightingRow.tracklet == move.tracklet)
        here &= SightingRow.identity == move.before
        connection.execute(update(SightingRow).where(here).values(values))


def settled(move: Move, kind: CorrectionKind, number: int) -> dict[str, Any]:
    """A sighting's columns after a correction: an operator's word leaves no doubt and no runner-up."""
    apart = kind in ("different", "split")
    return {
        "identity": move.after,
        "state": "new" if apart else "linked",
        "distance": None,
        "probability": None if apart else 1.0,
        "runner_up": None,
        "runner_up_distance": None,
        "runner_up_probability": None,
        "evidence": {"correction": number},
    }


def claim_before(connection: Connection, version: int, move: Move) -> dict[str, Any]:
    """A sighting's columns as they were before `version`; a bare claim where that is gone."""
    table = SightingRow.__table__
    mine = (table.c.tracklet == move.tracklet) & (table.c.version < version)
    query = select(table).where(mine, table.c.identity == move.after).order_by(table.c.version.desc())
    row = connection.execute(query.limit(1)).mappings().first()
    kept = {} if row is None else {k: v for k, v in row.items() if k not in ("version", "tracklet")}
    return {"identity": move.after, "state": "linked", **kept}


def names(people: Iterable[int]) -> str:
    """P3, P7."""
    return ", ".join(f"P{person}" for person in people)
