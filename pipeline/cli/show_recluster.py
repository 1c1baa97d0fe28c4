"""The `recluster` command: carries it out and says what changed, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.text import Text

from pipeline.cli.tables import print_json
from pipeline.cli.wording import count_text
from pipeline.config import MatcherConfig
from pipeline.linking.recluster import Change, Reclustered, recluster
from pipeline.records import Sighting
from pipeline.running.requests import Adopted, BusyWriter, Propose, ask
from pipeline.store.open_store import open_store

TRIES = 3


def show_recluster(database: str, settings: MatcherConfig, out: Console, *, json: bool = False) -> None:
    """Recluster a store and print every change.

    Raises:
        StoreError, TooManyTracklets: see there.
    """

    def adopt(note: str, based_on: int | None, sightings: Sequence[Sighting]) -> tuple[int, dict[int, int]]:
        adopted = ask(database, Propose("recluster", note, based_on, tuple(sightings)), Adopted)
        return adopted.version, adopted.numbers

    with open_store(database) as store:
        done = newest(lambda: recluster(store, settings, adopt=adopt))
    if json:
        print_json(out, done)
        return
    for change in done.changes:
        out.print(Text(sentence(change)))
    for hop, walks in done.transit.items():
        low, high = walks.quarters_s
        out.print(
            Text(f"{hop}: {walks.median_s:.0f} s, half of {walks.walks} between {low:.0f} and {high:.0f}")
        )
    people, before = count_text(done.identities, "identity", "identities"), done.identities_before
    out.print(
        Text(f"identity version {done.version}: {people} for {done.tracklets} tracklets, were {before}")
    )


def newest(thinking: Callable[[], Reclustered]) -> Reclustered:
    """What was thought out and adopted; thought out again where somebody was corrected or erased meanwhile.

    Raises:
        BusyWriter: time after time.
    """
    for _ in range(TRIES - 1):
        try:
            return thinking()
        except BusyWriter:
            continue
    return thinking()


def sentence(change: Change) -> str:
    """One change in one line."""
    who, others = f"P{change.identity}", ", ".join(f"P{other}" for other in change.others)
    rows = " ".join(f"t{tracklet}" for tracklet in change.tracklets)
    chance = "" if change.probability is None else f", the same person by looks: {change.probability:.2f}"
    if change.kind == "split":
        return f"split: {rows} of {who} now {others} ({change.reason}{chance})"
    return f"merged: {rows} of {others} now {who} ({change.reason}{chance})"
