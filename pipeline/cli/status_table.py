"""A live run's status for people at a terminal, redrawn each second, and as JSON for programs."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.cli.tables import fitted, plain_table, print_json, print_table
from pipeline.cli.wording import span_text
from pipeline.messages import CameraHealth
from pipeline.running.status import DEAD_NS, CameraStatus, Status, StatusError, read_status
from pipeline.store.database import now_ns

STATE_STYLE = {
    "live": "green",
    "connecting": "yellow",
    "stalled": "yellow",
    "reconnecting": "red",
    "frozen": "red",
    "stopped": "dim",
}
COLUMNS = (
    "camera",
    "state",
    "for",
    "fps in",
    "detected",
    "dropped",
    "latency p50",
    "p95",
    "reconnects",
    "last error",
)
REDRAW_S = 1.0


def show_status(database: str, out: Console, *, json: bool = False) -> None:
    """Print how the database's live run is: once, or on a terminal until it ends or Ctrl-C.

    Raises:
        StatusError: no live run goes on.
    """
    status = read_status(database)
    if json:
        print_json(out, status)
    elif out.is_terminal:
        follow(database, status, out)
    else:
        print_table(out, status_table(status, now_ns()), empty="no camera has reported yet")


def follow(
    database: str, status: Status, out: Console, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Redraw the table until the run ends."""
    with Live(fitted(status_table(status, now_ns()), out), console=out, auto_refresh=False) as live:
        while True:
            try:
                live.update(fitted(status_table(read_status(database), now_ns()), out), refresh=True)
                sleep(REDRAW_S)
            except (StatusError, KeyboardInterrupt):
                return


def status_table(status: Status, at_ns: int) -> Table:
    """One line a camera, as of `at_ns`."""
    table = plain_table(*COLUMNS)
    for camera in status.cameras:
        table.add_row(*camera_row(camera, at_ns))
    if at_ns - status.written_ns > DEAD_NS:
        table.caption = f"nothing was written for {span_text((at_ns - status.written_ns) / 1e9)}: is it dead?"
    return table


def camera_row(camera: CameraStatus, at_ns: int) -> list[Text]:
    """A camera's line."""
    health = camera.health
    state, style = health.state, STATE_STYLE[health.state]
    silent_ns = at_ns - camera.heard_ns
    words = f"no report for {span_text(silent_ns / 1e9)}" if silent_ns > DEAD_NS else state
    return [
        Text(health.camera, style="bold"),
        Text(words, style="red" if silent_ns > DEAD_NS else style),
        Text(span_text(max(0, at_ns - health.since_ns) / 1e9)),
        Text(f"{health.fps_in:.1f}", justify="right"),
        Text(f"{health.fps_detected:.1f}", justify="right"),
        Text(dropped_text(health)),
        Text(milliseconds(health.latency_p50_s), justify="right"),
        Text(milliseconds(health.latency_p95_s), justify="right"),
        Text(str(health.reconnects), justify="right"),
        Text(health.last_error),
    ]


def dropped_text(health: CameraHealth) -> str:
    """How many frames were not detected, and where and why."""
    return ", ".join(f"{count} {where}" for where, count in sorted(health.dropped.items())) or "0"


def milliseconds(value_s: float | None) -> str:
    """A latency, '-' where there is none."""
    return "-" if value_s is None else f"{value_s * 1000:.0f} ms"
