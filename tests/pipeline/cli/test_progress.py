"""What a run says while it goes on, where its output is no terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipeline.cli import progress
from pipeline.cli.progress import RunDisplay
from pipeline.messages import Progress


def told(frames: list[int]) -> list[str]:
    """The lines printed while one camera reports these numbers of frames."""
    console = Console(file=io.StringIO(), width=200)
    with RunDisplay({1: "hall"}, console) as display:
        for count in frames:
            display(Progress("hall", 1, count, 100, 2, {}))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_the_first_frames_are_told_at_once_and_the_next_after_a_while() -> None:
    assert told([0, 3, 4, 5]) == ["hall: 3 of 100 frames, 2 tracks"]


def test_every_report_is_told_where_the_while_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", -1.0)
    assert len(told([0, 3, 4])) == 2


def test_linking_goes_on_in_a_line_of_its_own() -> None:
    with RunDisplay({1: "hall"}, Console(file=io.StringIO())) as display:
        display(Progress("match", 0, 3, 7, 0, {"match": 1.0}))
        assert display.linking is not None
        task = next(task for task in display.bars.tasks if task.id == display.linking)
    assert (task.completed, task.total) == (3, 7)
