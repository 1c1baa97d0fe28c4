"""The `forget` command: carries it out and says what went."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from pipeline.cli.show_corrections import waiting
from pipeline.cli.tables import print_json
from pipeline.cli.wording import count_text
from pipeline.queries.people import parse_person
from pipeline.running.requests import Forget, Forgotten, ask
from pipeline.store.erasure import ErasureIncompleteError


def show_forget(database: str, person: str, out: Console, err: Console, *, json: bool = False) -> None:
    """Erase a person and print what went.

    Raises:
        UnknownPersonError, ErasureIncompleteError, StoreError: see there.
    """
    done = ask(database, Forget(parse_person(person)), Forgotten, waiting(err))
    erased = done.erased
    if done.left:
        raise ErasureIncompleteError(done.left)
    if json:
        print_json(out, erased)
        return
    tracklets, pictures = count_text(erased.tracklets, "tracklet"), count_text(erased.crops, "picture")
    boxes = count_text(erased.boxes, "box", "boxes")
    out.print(Text(f"P{erased.person} is erased: {tracklets}, {pictures}, {boxes}"))
    out.print(Text("the recordings still show them: read again, they are found again"))
    for path in erased.exports:
        out.print(Text(f"made before, and may still name the person: {path}", style="yellow"))
