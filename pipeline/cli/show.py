"""What the store says, for people at a terminal and, as JSON, for programs: one function for each command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.progress import Progress, TaskID
from rich.table import Table
from rich.text import Text

from pipeline.cli.table_lines import (
    check_row,
    found_row,
    journey_title,
    linked_text,
    person_row,
    recording_row,
    sighted_row,
    speed_text,
    visit_lines,
)
from pipeline.cli.wording import count_text, time_text
from pipeline.queries.export import ExportFormat, export, target
from pipeline.queries.journey import journey
from pipeline.queries.people import parse_person, people, recordings, tracks
from pipeline.store.erasure import forget
from pipeline.store.open_store import open_store
from pipeline.store.runs import site_zone
from pipeline.store.versions import versions
from pipeline.times import parse_span, wall_clock, with_utc

if TYPE_CHECKING:
    from pipeline.cameras.check import CameraCheck
    from pipeline.queries.find import Found
    from pipeline.running.run import RunReport

NO_CLOCK = "times count from the start of each recording: the order across cameras is not known"
MAX_COLUMNS = 1000


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


def show_people(database: str, out: Console, *, version: int | None = None, json: bool = False) -> int:
    """Print everybody in the database; how many that are.

    Raises:
        StoreError: the database cannot be read.
    """
    with open_store(database) as store:
        found = people(store, version=version)
    if json:
        print_json(out, {"people": found})
        return len(found)
    table = plain_table(
        "person", "cameras", "first seen (UTC)", "last seen", "in view", "tracklets", "certainty"
    )
    for person in found:
        table.add_row(*person_row(person))
    print_table(out, table, empty="nobody was found")
    return len(found)


def show_tracks(
    database: str,
    out: Console,
    *,
    camera: str | None = None,
    since: str | None = None,
    until: str | None = None,
    version: int | None = None,
    json: bool = False,
) -> int:
    """Print every tracklet of a camera (None: of all) in view between two times; how many that are.

    The times are as `times.parse_span` reads them.

    Raises:
        UnknownCameraError, TimeSyntaxError, StoreError: see there.
    """
    with open_store(database) as store:
        from_ns, to_ns = parse_span(since, until, wall_clock(site_zone(store)))
        found = tracks(store, camera=camera, version=version, from_ns=from_ns, to_ns=to_ns)
    if json:
        print_json(out, {"tracks": found})
        return len(found)
    several = len({seen.recording for seen in found}) > len({seen.camera for seen in found})
    columns = ("tracklet", "track", "from (UTC)", "to", "frames", "conf.", "person", "certainty")
    table = plain_table("camera", *(["recording"] if several else []), *columns)
    for seen in found:
        place, number, *rest = sighted_row(seen)
        table.add_row(place, *([number] if several else []), *rest)
    print_table(out, table, empty="nobody was in view")
    return len(found)


def show_journey(
    database: str, person: str, out: Console, *, version: int | None = None, json: bool = False
) -> None:
    """Print where a person went; the question is audited.

    Raises:
        UnknownPersonError, StoreError: see there.
    """
    with open_store(database) as store:
        went = journey(store, parse_person(person), version=version)
    if json:
        print_json(out, went)
        return
    out.print(journey_title(went))
    for visit in went.visits:
        for line in visit_lines(visit):
            out.print(line)
    if not all(visit.clock_known for visit in went.visits):
        out.print(Text(NO_CLOCK, style="dim"))


def show_export(
    database: str,
    place: Path,
    format: ExportFormat,
    out: Console,
    *,
    version: int | None = None,
    overwrite: bool = False,
) -> None:
    """Export the database and print how much was written.

    Raises:
        ExportExistsError, ExportWriteError, StoreError: see there.
    """
    with open_store(database) as store:
        rows = export(store, place, format, version=version, overwrite=overwrite)
    out.print(Text(f"{target(place, format)}: {count_text(rows, 'row')}"))


def show_forget(database: str, person: str, out: Console, *, json: bool = False) -> None:
    """Erase a person and print what went.

    Raises:
        UnknownPersonError, ErasureIncompleteError, StoreError: see there.
    """
    with open_store(database, write=True) as store:
        erased = forget(store, parse_person(person))
    if json:
        print_json(out, erased)
        return
    tracklets, pictures = count_text(erased.tracklets, "tracklet"), count_text(erased.crops, "picture")
    boxes = count_text(erased.boxes, "box", "boxes")
    out.print(Text(f"P{erased.person} is erased: {tracklets}, {pictures}, {boxes}"))
    out.print(Text("the recordings still show them: read again, they are found again"))
    for path in erased.exports:
        out.print(Text(f"made before, and may still name the person: {path}", style="yellow"))


def show_run(report: RunReport, database: str, out: Console, *, json: bool = False) -> None:
    """Print what came of a run: a line for each camera, and what it took.

    Raises:
        StoreError: the database cannot be read.
    """
    with open_store(database) as store:
        newest = {summary.camera: summary for summary in recordings(store)}
        found = people(store)
    summaries = [newest[name] for name in sorted({*report.ended, *report.skipped} & newest.keys())]
    here = {summary.camera for summary in summaries}
    found = [person for person in found if here.intersection(person.cameras)]
    across = sum(len(person.cameras) > 1 for person in found)
    if json:
        totals = {"people": len(found), "people_in_several_cameras": across, "recordings": summaries}
        print_json(out, {**msgspec.to_builtins(totals), **msgspec.to_builtins(report)})
        return
    table = plain_table("camera", "state", "frames", "detected", "tracklets", "people", "")
    for summary in summaries:
        table.add_row(*recording_row(summary, new=summary.camera in report.ended))
    for name in sorted(report.failed):
        table.add_row(Text(name), Text("failed", style="red"))
    print_table(out, table, empty="nothing was read")
    said = {s.camera: s.message for s in summaries if s.message and s.camera in report.ended}
    for name, message in sorted({**said, **report.failed}.items()):
        out.print(Text(f"{name}: {message}", style="red" if name in report.failed else "yellow"))
    out.print(Text(linked_text(summaries, len(found), across)))
    if report.source_s:
        out.print(Text(speed_text(report)))


def show_checks(checks: Sequence[CameraCheck], out: Console, *, json: bool = False) -> None:
    """Print what every camera delivers, or why it does not."""
    if json:
        print_json(out, {"cameras": checks})
        return
    table = plain_table("camera", "size", "rate", "length", "clock", "first frame", "")
    for check in checks:
        table.add_row(*check_row(check))
    print_table(out, table, empty="no cameras")
    for check in checks:
        for note in check.notes:
            out.print(f"{check.camera}: {note}", style="dim", markup=False, highlight=False)


def show_found(found: Sequence[Found], out: Console, *, json: bool = False) -> None:
    """Print the people a photograph may show, most likely first."""
    if json:
        print_json(out, {"found": found})
        return
    table = plain_table("person", "probability", "distance", "cameras", "first seen (UTC)", "last seen")
    for candidate in found:
        table.add_row(*found_row(candidate))
    print_table(out, table, empty="nobody in the database is like the person in the picture")


def show_render(
    database: str,
    target: Path,
    console: Console,
    *,
    cameras: Sequence[str] | None = None,
    people: Sequence[str] | None = None,
    version: int | None = None,
) -> int:
    """Draw videos and sheets, telling how far it is; the exit code: 1 where something could not be drawn.

    Raises:
        UnknownCameraError, UnknownPersonError, RenderError, StoreError: see there.
    """
    from pipeline.queries.pictures.render import render

    chosen = None if people is None else [parse_person(person) for person in people]
    with open_store(database) as store, bars_on(console) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(camera: str, done: int, total: int | None) -> None:
            task = tasks.get(camera)
            if task is None:
                task = tasks[camera] = bars.add_task(camera)
            bars.update(task, completed=done, total=total)

        drawn = render(store, target, cameras=cameras, people=chosen, version=version, progress=tell)
    for path in (*drawn.videos, *drawn.sheets):
        console.print(Text(str(path)))
    for person in drawn.unpictured:
        console.print(Text(f"P{person}: no picture was kept"))
    for problem in drawn.problems:
        console.print(Text(problem, style="red"))
    return 1 if drawn.problems else 0


def bars_on(console: Console) -> Progress:
    """Progress bars that leave nothing behind, and none where there is no terminal."""
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def plain_table(*columns: str) -> Table:
    """A table without frames; `fitted` says how wide it is."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def print_table(out: Console, table: Table, *, empty: str) -> None:
    """Print a table, or what an empty one means."""
    if not table.row_count:
        out.print(Text(empty))
        return
    out.print(fitted(table, out), crop=False, soft_wrap=False)


def fitted(table: Table, out: Console) -> Table:
    """The table as wide as its cells, so that none is cut; on a terminal that is narrower they are folded."""
    wide = out.options.update(max_width=MAX_COLUMNS)
    table.width = Measurement.get(out, wide, table).maximum
    if not out.is_terminal or table.width <= out.width:
        return table
    table.width, table.padding = out.width, (0, 0, 0, 0)
    sizes = [
        [Measurement.get(out, wide, cell) for cell in (column.header, *column.cells)]
        for column in table.columns
    ]
    most = [max(size.maximum for size in column) for column in sizes]
    words = [max(size.minimum for size in column) for column in sizes]
    widths = folded_widths(most, words, room=out.width - len(sizes) + 1)
    for column, width in zip(table.columns, widths, strict=True):
        column.no_wrap, column.overflow, column.width = False, "fold", width
    return table


def folded_widths(most: Sequence[int], words: Sequence[int], *, room: int) -> list[int]:
    """Widths of columns that fill a room: which could fold most gives first, and words are cut last.

    Args:
        most: characters of the longest cell of each column.
        words: characters of the longest word of each.
        room: characters for all of them; less than one for each is not reached.
    """
    widths = list(most)
    for least in (words, [1] * len(widths)):
        while sum(widths) > room:
            spare = [width - floor for width, floor in zip(widths, least, strict=True)]
            if max(spare) <= 0:
                break
            widths[spare.index(max(spare))] -= 1
    return widths


def print_json(out: Console, value: Any) -> None:
    """Print a record as JSON, unstyled and unwrapped, with an ISO time beside every time."""
    text = msgspec.json.format(msgspec.json.encode(with_utc(value)), indent=2).decode()
    out.print(Text(text), soft_wrap=True)
