"""What people and programs see of the store."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.cameras.check import CameraCheck
from pipeline.cli.filters import Typed
from pipeline.cli.show import show_journey, show_people, show_tracks
from pipeline.cli.show_files import show_export
from pipeline.cli.show_forget import show_forget
from pipeline.cli.show_found import show_found
from pipeline.cli.show_run import show_checks, show_run
from pipeline.cli.wording import end_text, span_text, time_text
from pipeline.linking.cut_tracklets import cut_off
from pipeline.messages import RecordingEnded, TrackletKey
from pipeline.queries.find import Found, Likely, Meant
from pipeline.running.run import RunReport
from pipeline.store.open_store import open_store
from pipeline.store.tracklets import add_tracklets
from tests.store_scene import EIGHT_NS, fill, recording, tracklet


def shown(show: Callable[..., object], *arguments: Any, **options: Any) -> str:
    """What a command prints on a terminal of 160 columns; the console comes last."""
    out = Console(file=io.StringIO(), width=160)
    show(*arguments, out, **options)
    printed = out.file
    assert isinstance(printed, io.StringIO)
    return printed.getvalue()


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(fill(tmp_path / "a.db"))


def line_with(text: str, word: str) -> str:
    return next(line for line in text.splitlines() if word in line)


def test_people_are_one_line_each(database: str) -> None:
    text = shown(show_people, database)
    assert "hall, gate" in line_with(text, "P1") and "86%" in line_with(text, "P1")
    assert re.search(r"hall +2026-01-31 08:00:01.0 +08:00:02.0 +1.0 s +1 +-", line_with(text, "P2"))
    assert "1 ambiguous" in line_with(text, "P3")


def test_a_journey_reads_as_a_timeline(database: str) -> None:
    lines = [line.strip() for line in shown(show_journey, database, "P1").splitlines()]
    assert lines[0] == "P1: 3 visits, 2 cameras, times in UTC"
    assert lines[1].startswith("o  2026-01-31 08:00:00.0  hall  3.0 s  frames 0-74")
    assert lines[2] == "|  17.0 s out of view"
    assert lines[3].startswith("o  2026-01-31 08:00:20.0  gate  1.0 s") and lines[3].endswith("90%")
    assert len(lines) == 6


def test_an_ambiguous_visit_says_who_else_it_could_be(database: str) -> None:
    assert "or P1 45%" in line_with(shown(show_journey, database, "3"), "gate")


def test_without_clocks_a_journey_says_what_its_times_mean(tmp_path: Path) -> None:
    text = shown(show_journey, str(fill(tmp_path / "a.db", clock_known=False)), "1")
    assert "+20.0 s  gate" in text and "order across cameras is not known" in text


def test_tracks_are_those_of_the_camera_and_the_times_asked_for(database: str) -> None:
    typed = Typed(["hall"], None, "2026-01-31T08:00:02Z", "2026-01-31T08:00:30Z")
    text = shown(show_tracks, database, typed=typed)
    assert re.search(r"hall +t2 +1\.1 ", line_with(text, "hall")) and "99%" in line_with(text, "hall")
    assert "recording" not in text
    assert text.count("hall") == 1


def test_tracks_of_a_camera_with_several_recordings_say_which(database: str) -> None:
    with open_store(database, write=True) as store:
        second = recording(store, "hall", fingerprint="other")
        piece = cut_off(TrackletKey(second, 14, 0), 0)
        add_tracklets(store, [tracklet(second, piece.track)])
    text = shown(show_tracks, database)
    assert re.search(r"hall +3 +t7 +14a ", line_with(text, "14a"))
    assert re.search(r"hall +1 +t2 +1\.1 ", line_with(text, "t2"))


def test_an_empty_answer_says_so(database: str) -> None:
    assert shown(show_tracks, database, typed=Typed(since="2030-01-01T00:00:00Z")) == "nobody was in view\n"


def test_json_is_one_document_however_long_its_lines(database: str) -> None:
    people = json.loads(shown(show_people, database, json=True))["people"]
    assert (people[0]["person"], people[0]["first_utc"]) == (1, "2026-01-31T08:00:00.000000+00:00")
    assert len(json.loads(shown(show_tracks, database, json=True))["tracks"]) == 6
    visits = json.loads(shown(show_journey, database, "1", json=True))["visits"]
    assert [visit["camera"] for visit in visits] == ["hall", "gate", "hall"]
    assert visits[0]["links"][1]["probability"] == 0.99


def test_an_export_says_how_much_was_written(database: str, tmp_path: Path) -> None:
    assert shown(show_export, database, tmp_path / "a.csv", "csv").endswith("a.csv: 150 rows\n")


def test_forgetting_says_what_went_and_which_exports_remain(database: str, tmp_path: Path) -> None:
    shown(show_export, database, tmp_path / "a.csv", "csv")
    text = shown(lambda db, person, out: show_forget(db, person, out, out), database, "P1")
    assert text.startswith("P1 is erased: 4 tracklets, 8 pictures, 100 boxes\n")
    assert "may still name the person" in text


def run_report(**changes: Any) -> RunReport:
    ended = {"hall": RecordingEnded(1, "done", 2000, 1000)}
    took: dict[str, Any] = {"wall_s": 8.0, "source_s": 80.0, "stage_s": {"detect": 5.0}}
    return RunReport(**took, ended=ended, skipped=("gate",), **changes)


def test_a_run_ends_with_a_line_for_each_camera_and_what_it_took(database: str) -> None:
    text = shown(show_run, run_report(failed={"yard": "no such file"}), database)
    assert "2000" in line_with(text, "hall") and "done" in line_with(text, "hall")
    assert "read before" in line_with(text, "gate")
    assert "failed" in line_with(text, "yard") and "no such file" not in line_with(text, "yard")
    assert "\nyard: no such file\n" in text
    assert "3 people seen by these cameras, 1 of them by several" in text
    assert "; 4 of 6 tracklets linked to somebody seen before" in text
    took = "1 min 20 s of video in 8.0 s (10.0 x real time); work in all processes: detect 5.0 s"
    assert took in text


def test_the_end_of_a_run_is_json_too(database: str) -> None:
    document = json.loads(shown(show_run, run_report(), database, json=True))
    assert (document["people"], document["people_in_several_cameras"], document["wall_s"]) == (3, 1, 8.0)
    assert [summary["camera"] for summary in document["recordings"]] == ["gate", "hall"]


@pytest.mark.parametrize("width", [80, 60])
def test_a_table_is_folded_into_a_narrow_terminal(database: str, width: int) -> None:
    narrow = io.StringIO()
    out = Console(file=narrow, width=width, soft_wrap=True, force_terminal=True, color_system=None)
    show_tracks(database, out)
    lines = narrow.getvalue().splitlines()
    assert max(map(len, lines)) <= width and "…" not in narrow.getvalue()
    assert sum("2026-01-31" in line for line in lines) == (6 if width == 80 else 0)


def test_a_narrow_pipe_cuts_nothing(database: str) -> None:
    narrow = io.StringIO()
    show_people(database, Console(file=narrow, width=40, soft_wrap=True))
    assert "2026-01-31 08:00:01.0   08:00:02.0" in line_with(narrow.getvalue(), "P2")


def test_a_check_says_what_each_camera_delivers_or_why_not() -> None:
    good = CameraCheck("hall", "hall.mp4", None, 640, 480, None, 25.0, 80.0, 0.1, True)
    text = shown(show_checks, [good, CameraCheck("yard", "yard.mp4", "yard.mp4: no such file")])
    assert "640 x 480" in line_with(text, "hall") and "1 min 20 s" in line_with(text, "hall")
    assert "yard.mp4: no such file" in line_with(text, "yard")


def test_a_recording_of_unknown_length_is_not_called_live_and_people_read_its_label() -> None:
    raw = CameraCheck(
        "hall", "hall.h264", None, 640, 480, None, 25.0, label="Front door", notes=("left out: a.jpg",)
    )
    live = CameraCheck("gate", "rtsp://10.0.0.1", None, 640, 480, "h264", 25.0)
    text = shown(show_checks, [raw, live])
    assert "unknown" in line_with(text, "Front door") and "live" not in line_with(text, "Front door")
    assert "live" in line_with(text, "gate") and "hall: left out: a.jpg" in text


def likely(*found: Found) -> Likely:
    return Likely(found, 1, Meant(1, None))


def test_a_found_person_is_a_line_with_the_probability() -> None:
    text = shown(show_found, likely(Found(7, 0.83, 0.21, ("hall", "gate"), EIGHT_NS, EIGHT_NS + 10**9, True)))
    assert re.search(r"P7 +83% +0.210 +hall, gate +2026-01-31 08:00:00.0 +08:00:01.0", text)
    assert shown(show_found, likely()).startswith("nobody in the database is like")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (3599.7, "1 h 00 min"), (7380, "2 h 03 min")],
)
def test_a_duration_never_shows_sixty(seconds: float, text: str) -> None:
    assert span_text(seconds) == text


def test_a_time_is_rounded_to_the_tenth_of_a_second() -> None:
    assert time_text(EIGHT_NS + 59_960_000_000, clock_known=True) == "2026-01-31 08:01:00.0"


def test_an_end_shows_its_date_only_on_another_day() -> None:
    assert end_text(EIGHT_NS, EIGHT_NS + 10**9, clock_known=True) == "08:00:01.0"
    assert end_text(EIGHT_NS, EIGHT_NS + 86_400 * 10**9, clock_known=True) == "2026-02-01 08:00:00.0"
