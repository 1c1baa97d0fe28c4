"""A progress bar per camera while a run goes on, notices above them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from pipeline import messages

LEVEL_STYLE = {"info": "dim", "warning": "yellow", "error": "bold red"}
PLAIN_EVERY_S = 10.0
"""Where the output is not a terminal, a line per camera at the first frames and then this often."""


class TerminalListener:
    """Says on a terminal, or in plain lines, what a run does."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def notice(self, level: messages.Level, text: str) -> None:
        """Print one line."""
        self.console.print(text, style=LEVEL_STYLE[level], markup=False, highlight=False)

    def reading(self, cameras: Mapping[int, str]) -> RunDisplay:
        """Meanwhile each camera has a bar."""
        return RunDisplay(cameras, self.console)

    def busy(self, text: str) -> AbstractContextManager[object]:
        """Meanwhile something turns beside the text."""
        return self.console.status(text)


class RunDisplay:
    """Shows a run's reports on a terminal, or as plain lines where there is none."""

    def __init__(self, cameras: Mapping[int, str], console: Console) -> None:
        """`cameras`: names by recording."""
        self.cameras, self.console = dict(cameras), console
        self.started_s = time.monotonic()
        self.latest: dict[int, messages.Progress] = {}
        self.ended: dict[int, messages.RecordingEnded] = {}
        self.printed_s: float | None = None
        self.linking: TaskID | None = None
        self.bars = Progress(
            TextColumn("[bold]{task.fields[camera]:<14}"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[said]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self.tasks: dict[int, TaskID] = {
            recording: self.bars.add_task("", total=None, camera=name, said="", state="starting")
            for recording, name in self.cameras.items()
        }

    def __enter__(self) -> RunDisplay:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def __call__(self, report: messages.Message) -> None:
        """Show one report of a worker."""
        if isinstance(report, messages.Notice):
            TerminalListener(self.console).notice(report.level, report.text)
        elif isinstance(report, messages.RecordingEnded):
            self.ended[report.recording] = report
            self.bars.update(self.tasks[report.recording], state=report.state)
        elif isinstance(report, messages.Progress) and report.recording in self.tasks:
            self.latest[report.recording] = report
            self.show_camera(report)
        elif isinstance(report, messages.Progress) and report.worker == "match" and report.total:
            self.show_linking(report)

    def show_camera(self, report: messages.Progress) -> None:
        """Update a camera's bar, or print its line now and then."""
        elapsed_s = time.monotonic() - self.started_s
        fps = report.frames / max(elapsed_s, 1e-3)
        self.bars.update(
            self.tasks[report.recording],
            completed=report.frames,
            total=max(report.total, report.frames) if report.total else None,
            said=f"{report.frames:>7} frames  {fps:>6.1f} fps  {report.people:>4} tracks",
            state="" if report.recording not in self.ended else self.ended[report.recording].state,
        )
        if not self.console.is_terminal and report.frames and self.line_due():
            self.print_lines()

    def show_linking(self, report: messages.Progress) -> None:
        """Show how many of the stored tracklets are linked: cameras that are done wait for that."""
        if self.linking is None:
            self.linking = self.bars.add_task("", camera="linking", said="", state="")
        said = f"{report.frames:>7} of {report.total} tracklets"
        self.bars.update(self.linking, completed=report.frames, total=report.total, said=said)

    def line_due(self) -> bool:
        """Whether it is time for plain lines: at the first frames, then now and then."""
        now_s = time.monotonic()
        due = self.printed_s is None or now_s - self.printed_s > PLAIN_EVERY_S
        self.printed_s = now_s if due else self.printed_s
        return due

    def print_lines(self) -> None:
        """A plain line for each camera that is being read."""
        for recording, latest in self.latest.items():
            if recording in self.ended:
                continue
            of = f" of {latest.total}" if latest.total else ""
            self.console.print(
                f"{self.cameras[recording]}: {latest.frames}{of} frames, {latest.people} tracks"
            )
