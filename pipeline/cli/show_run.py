"""What came of a run, and what each camera delivers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.text import Text

from pipeline.cli.table_lines import check_row, linked_text, recording_row, speed_text
from pipeline.cli.tables import plain_table, print_json, print_table
from pipeline.queries.people import people
from pipeline.queries.recordings import recordings
from pipeline.store.open_store import open_store

if TYPE_CHECKING:
    from pipeline.cameras.check import CameraCheck
    from pipeline.running.run import RunReport


def show_run(report: RunReport, database: str, out: Console, *, json: bool = False) -> None:
    """Print what came of a run: a line for each camera, and what it took.

    Raises:
        StoreError: the database cannot be read.
    """
    with open_store(database) as store:
        newest = {summary.camera: summary for summary in recordings(store)}
        found = people(store).people
    summaries = [newest[name] for name in sorted({*report.ended, *report.skipped} & newest.keys())]
    here = {summary.camera for summary in summaries}
    found = tuple(person for person in found if here.intersection(person.cameras))
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
