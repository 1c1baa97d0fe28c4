"""Corrections at a terminal: merge, split, undo, their history, reviews and truth files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from pipeline.cli.filters import ANYTHING, Typed, meant
from pipeline.cli.tables import plain_table, print_json, print_table
from pipeline.cli.wording import count_text, time_text
from pipeline.evaluate.annotate import Trust, annotate
from pipeline.queries.people import parse_person
from pipeline.queries.review import KEYS, Reply, Review
from pipeline.running.requests import Asking, Merge, Merged, Parted, Split, Undo, Undone, ask
from pipeline.store.corrections import Correction, CorrectionError, corrections
from pipeline.store.open_store import open_store

PROMPT = "s same, d different, n not sure, u undo, q quit: "


def show_merge(database: str, people: Sequence[str], out: Console, err: Console) -> None:
    """File people under the first of them.

    Raises:
        CorrectionError, UnknownPersonError, StoreError: see there.
    """
    numbers = [parse_person(person) for person in people]
    done = ask(database, Merge(tuple(numbers)), Merged, waiting(err))
    merged = ", ".join(f"P{number}" for number in numbers[1:])
    out.print(Text(f"{merged}: now P{numbers[0]} (identity version {done.version})"))


def show_split(database: str, person: str, tracklets: Sequence[str], out: Console, err: Console) -> None:
    """File some tracklets of a person under a new one.

    Raises:
        CorrectionError, UnknownPersonError, StoreError: see there.
    """
    pieces = tuple(parse_tracklet(text) for text in tracklets)
    done = ask(database, Split(parse_person(person), pieces), Parted, waiting(err))
    out.print(Text(f"{' '.join(tracklets)}: now P{done.person} (identity version {done.version})"))


def show_undo(database: str, correction: int | None, out: Console, err: Console) -> None:
    """Take back a correction; None for the last.

    Raises:
        CorrectionError, StoreError: see there.
    """
    done = ask(database, Undo(correction), Undone, waiting(err))
    last = done.correction
    out.print(Text(f"undone: {last.kind} {last.correction}, {last.note}"))


def show_corrections(database: str, out: Console, *, json: bool = False) -> None:
    """Print the history of corrections.

    Raises:
        StoreError: the database cannot be read.
    """
    with open_store(database) as store:
        found = corrections(store)
    if json:
        print_json(out, {"corrections": found})
        return
    table = plain_table("number", "time (UTC)", "what", "", "version", "")
    for one in found:
        table.add_row(*correction_row(one))
    print_table(out, table, empty="nothing was corrected")


def correction_row(one: Correction) -> Sequence[str]:
    """A correction in one line."""
    state = "undone" if one.undone else f"undoes {one.undoes}" if one.undoes else "void" if one.void else ""
    return (
        str(one.correction),
        time_text(one.time_ns, clock_known=True),
        one.kind,
        one.note,
        str(one.version or ""),
        state,
    )


def show_review(
    database: str,
    pictures: Path,
    out: Console,
    err: Console,
    *,
    typed: Typed = ANYTHING,
    limit: int | None = None,
    below: float = 0.0,
    json: bool = False,
) -> None:
    """Ask about every uncertain link, and print what it came to.

    Raises:
        RenderError, StoreError: see there.
    """

    def put(text: str, picture: Path) -> Reply:
        err.print(Text(f"{text}  {picture}"))
        while True:
            try:
                typed = err.input(PROMPT).strip().lower()[:1]
            except (EOFError, KeyboardInterrupt):
                return "quit"
            if typed in KEYS:
                return KEYS[typed]

    with open_store(database) as store:
        review = Review(store, pictures, put, Asking(database, waiting(err)))
        done = review.go_through(below, meant(store, typed), limit)
    if json:
        print_json(out, done)
        return
    version = f" (identity version {done.version})" if done.version else ""
    said = f"{done.same} same, {done.different} different, {done.unsure} not sure"
    out.print(Text(f"{said}{version}; {count_text(done.open, 'link')} left to review"))


def show_annotate(database: str, target: Path, trust: Trust, out: Console, *, json: bool = False) -> None:
    """Write truth files and print what they hold.

    Raises:
        NothingConfirmedError, ExportWriteError, StoreError: see there.
    """
    with open_store(database) as store:
        written = annotate(store, target, trust=trust)
    if json:
        print_json(out, written)
        return
    boxes = count_text(sum(written.cameras.values()), "box", "boxes")
    people = count_text(written.people, "person", "people")
    out.print(Text(f"{target}: {boxes} of {people} in {count_text(len(written.cameras), 'camera')}"))
    if trust == "confirmed":
        out.print(Text(f"partial truth: across-cameras evaluate --db DB --truth {target} --partial"))


def waiting(err: Console) -> Callable[[str], None]:
    """Says that an answer takes its time."""
    return lambda text: err.print(Text(text, style="yellow"))


def parse_tracklet(text: str) -> int:
    """The number in 't12' or '12'.

    Raises:
        CorrectionError: not a tracklet's number.
    """
    match = re.fullmatch(r"\s*t?(\d{1,18})\s*", text, re.IGNORECASE)
    if not match:
        raise CorrectionError(f"{text!r} is not a tracklet: give a number such as t12 (see `query tracks`)")
    return int(match.group(1))
