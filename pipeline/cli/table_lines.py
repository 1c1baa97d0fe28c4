"""One line of a table or a timeline for each record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from pipeline.cli.wording import certainty_text, count_text, end_text, gap_text, span_text, time_text
from pipeline.linking.cut_tracklets import track_text
from pipeline.queries.journey import Journey
from pipeline.queries.people import Person
from pipeline.queries.recordings import RecordingSummary
from pipeline.queries.tracks import Sighted
from pipeline.queries.visits import Visit

if TYPE_CHECKING:
    from pipeline.cameras.check import CameraCheck
    from pipeline.queries.find import Found
    from pipeline.running.run import RunReport

STATE_STYLES = {"ambiguous": "yellow", "failed": "red", "interrupted": "yellow", "short": "yellow"}


def person_row(person: Person) -> list[Text]:
    """A person's line; the certainty is the mean over the links."""
    certainty = Text("-" if person.probability is None else f"{person.probability:.0%}")
    if ambiguous := person.states.get("ambiguous", 0):
        certainty.append(f", {ambiguous} ambiguous", style="yellow")
    return [
        Text(f"P{person.person}", style="bold"),
        Text(", ".join(person.cameras)),
        Text(time_text(person.first_ns, clock_known=person.clock_known)),
        Text(end_text(person.first_ns, person.last_ns, clock_known=person.clock_known)),
        Text(span_text(person.seen_s), justify="right"),
        Text(str(person.tracklets), justify="right"),
        certainty,
    ]


def sighted_row(seen: Sighted) -> list[Text]:
    """A tracklet's line."""
    return [
        Text(seen.camera),
        Text(str(seen.recording), justify="right"),
        Text(f"t{seen.tracklet}"),
        Text(track_text(seen.track, seen.part)),
        Text(time_text(seen.start_ns, clock_known=seen.clock_known)),
        Text(end_text(seen.start_ns, seen.end_ns, clock_known=seen.clock_known)),
        Text(f"{seen.first_frame}-{seen.last_frame}"),
        Text(f"{seen.confidence:.2f}"),
        Text(f"P{seen.person}" if seen.person else "-", style="bold"),
        certainty_text([seen]),
    ]


def journey_title(went: Journey) -> Text:
    """The first line of a journey."""
    visits = count_text(len(went.visits), "visit")
    cameras = count_text(len({visit.camera for visit in went.visits}), "camera")
    clock = ", times in UTC" if any(visit.clock_known for visit in went.visits) else ""
    return Text.assemble((f"P{went.person}", "bold"), f": {visits}, {cameras}{clock}")


def visit_lines(visit: Visit) -> list[Text]:
    """One visit of a journey, after the time that lies before it."""
    lines = [] if visit.gap_s is None else [Text(f"  |  {gap_text(visit.gap_s)}", style="dim")]
    mark = ("?", "yellow") if visit.ambiguous else ("o", "green")
    start = time_text(visit.start_ns, clock_known=visit.clock_known)
    span = span_text((visit.end_ns - visit.start_ns) / 1e9)
    frames = f"frames {visit.first_frame}-{visit.last_frame}"
    line = Text.assemble("  ", mark, f"  {start}  ", (visit.camera, "bold cyan"), f"  {span}  {frames}  ")
    return [*lines, line.append_text(certainty_text(visit.links))]


def recording_row(summary: RecordingSummary, *, new: bool) -> list[Text]:
    """A recording's line; what its message says has no room in it."""
    numbers = (summary.frames, summary.detected, summary.tracklets, summary.people)
    return [
        Text(summary.camera),
        Text(summary.state, style=STATE_STYLES.get(summary.state, "green")),
        *(Text(str(number), justify="right") for number in numbers),
        Text("" if new else "read before"),
    ]


def linked_text(summaries: Sequence[RecordingSummary], people: int, across: int) -> str:
    """Who was seen in these recordings, and how many of the tracklets show somebody who was seen before."""
    tracklets, linked = sum(s.tracklets for s in summaries), sum(s.linked for s in summaries)
    who = f"{count_text(people, 'person', 'people')} seen by these cameras, {across} of them by several"
    return f"{who}; {linked} of {count_text(tracklets, 'tracklet')} linked to somebody seen before"


def speed_text(report: RunReport) -> str:
    """How long it took, and in which stages the processes worked, which they do side by side."""
    stages = ", ".join(f"{name} {span_text(s)}" for name, s in report.stage_s.items())
    took = f"{span_text(report.source_s)} of video in {span_text(report.wall_s)}"
    speed = f"{report.source_s / max(report.wall_s, 1e-9):.1f} x real time"
    return f"{took} ({speed}){'; work in all processes: ' if stages else ''}{stages}"


def check_row(check: CameraCheck) -> list[Text]:
    """A camera's line."""
    if check.problem is not None:
        return [Text(check.label or check.camera), *[Text("-")] * 5, Text(check.problem, style="red")]
    return [
        Text(check.label or check.camera),
        Text(f"{check.width} x {check.height}"),
        Text(f"{check.fps:g} fps" if check.fps else "-"),
        Text(length_text(check)),
        Text("known" if check.clock_known else "unknown"),
        Text(span_text(check.first_frame_s or 0.0)),
        Text("ok" if check.codec is None else f"ok, {check.codec}", style="green"),
    ]


def length_text(check: CameraCheck) -> str:
    """How long a camera's recording is; only a live camera tells its codec."""
    if check.duration_s is not None:
        return span_text(check.duration_s)
    return "unknown" if check.codec is None else "live"


def found_row(found: Found) -> list[Text]:
    """A person's line, among those a photograph may show."""
    return [
        Text(f"P{found.person}", style="bold"),
        Text(f"{found.probability:.0%}", justify="right"),
        Text(f"{found.distance:.3f}", justify="right"),
        Text(", ".join(found.cameras)),
        Text(time_text(found.first_ns, clock_known=found.clock_known)),
        Text(end_text(found.first_ns, found.last_ns, clock_known=found.clock_known)),
    ]
