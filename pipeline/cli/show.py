"""What the database answers, for people at a terminal and, as JSON, for programs."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from pipeline.cli.filters import ANYTHING, Typed, meant
from pipeline.cli.table_lines import journey_title, person_row, sighted_row, visit_lines
from pipeline.cli.tables import plain_table, print_json, print_table
from pipeline.cli.wording import time_text
from pipeline.queries.journey import journey
from pipeline.queries.people import parse_person, people
from pipeline.queries.tracks import tracks
from pipeline.store.open_store import open_store
from pipeline.store.versions import versions

NO_CLOCK = "times count from the start of each recording: the order across cameras is not known"


def show_versions(database: str, out: Console, *, json: bool = False) -> None:
    """Print every identity version.

    Raises:
        StoreError: the database cannot be read.
    """
    with open_store(database) as store:
        found = versions(store)
    if json:
        print_json(out, {"versions": found})
        return
    table = plain_table("version", "made (UTC)", "by", "people", "tracklets", "")
    for one in found:
        made = time_text(one.created_ns, clock_known=True)
        table.add_row(str(one.version), made, one.kind, str(one.people), str(one.tracklets), one.note)
    print_table(out, table, empty="nobody has been identified yet")


def show_people(
    database: str,
    out: Console,
    *,
    typed: Typed = ANYTHING,
    version: int | None = None,
    limit: int | None = None,
    after: str | None = None,
    json: bool = False,
) -> int:
    """Print who was seen; how many that are.

    Raises:
        UnknownCameraError, UnknownPersonError, TimeSyntaxError, CursorError, StoreError: see there.
    """
    with open_store(database) as store:
        found = people(store, meant(store, typed), version=version, limit=limit, after=after)
    if json:
        print_json(out, found)
        return len(found.people)
    table = plain_table(
        "person", "cameras", "first seen (UTC)", "last seen", "in view", "tracklets", "certainty"
    )
    for person in found.people:
        table.add_row(*person_row(person))
    print_table(out, table, empty="nobody was found")
    print_next(out, found.next)
    return len(found.people)


def show_tracks(
    database: str,
    out: Console,
    *,
    typed: Typed = ANYTHING,
    version: int | None = None,
    limit: int | None = None,
    after: str | None = None,
    json: bool = False,
) -> int:
    """Print the tracklets in view; how many that are.

    Raises:
        UnknownCameraError, UnknownPersonError, TimeSyntaxError, CursorError, StoreError: see there.
    """
    with open_store(database) as store:
        found = tracks(store, meant(store, typed), version=version, limit=limit, after=after)
    if json:
        print_json(out, found)
        return len(found.tracks)
    several = len({one.recording for one in found.tracks}) > len({one.camera for one in found.tracks})
    columns = ("tracklet", "track", "from (UTC)", "to", "frames", "conf.", "person", "certainty")
    table = plain_table("camera", *(["recording"] if several else []), *columns)
    for seen in found.tracks:
        place, number, *rest = sighted_row(seen)
        table.add_row(place, *([number] if several else []), *rest)
    print_table(out, table, empty="nobody was in view")
    print_next(out, found.next)
    return len(found.tracks)


def show_journey(
    database: str,
    person: str,
    out: Console,
    *,
    typed: Typed = ANYTHING,
    version: int | None = None,
    limit: int | None = None,
    after: str | None = None,
    json: bool = False,
) -> int:
    """Print where a person went, how many visits that are; the question is audited.

    Raises:
        UnknownCameraError, UnknownPersonError, TimeSyntaxError, CursorError, StoreError: see there.
    """
    with open_store(database) as store:
        filters = meant(store, typed)
        went = journey(store, parse_person(person), filters, version=version, limit=limit, after=after)
    if json:
        print_json(out, went)
        return len(went.visits)
    if not went.visits:
        out.print(Text(f"P{went.person} was not in view"))
        return 0
    out.print(journey_title(went))
    for visit in went.visits:
        for line in visit_lines(visit):
            out.print(line)
    if not all(visit.clock_known for visit in went.visits):
        out.print(Text(NO_CLOCK, style="dim"))
    print_next(out, went.next)
    return len(went.visits)


def print_next(out: Console, cursor: str | None) -> None:
    """Say how the page that follows is asked for, where there is one."""
    if cursor:
        out.print(Text(f"there is more: --after {cursor}", style="dim"))
