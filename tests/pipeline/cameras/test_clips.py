"""A camera that is many clips: found, dated, put in order, read as one time line with holes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.cameras.clips import Found, find
from pipeline.cameras.frames import Frame, Source, SourceError
from pipeline.cameras.recordings import open_source, source_fingerprint
from pipeline.cameras.starts import with_starts
from pipeline.config import CameraConfig, camera_name, parse_config
from tests.video_files import LEVEL_STEP, counting_clip, picture, write_clip, write_pictures

MS = 1_000_000
EIGHT_NS = 1_769_842_800 * 10**9
"""2026-01-31 08:00 in Berlin."""


def camera(source: Path | list[Path], **settings: Any) -> CameraConfig:
    """As a configuration file gives it."""
    said = [str(one) for one in source] if isinstance(source, list) else str(source)
    tree = {"cameras": [{"name": "hall", "source": said, **settings}], "timezone": "Europe/Berlin"}
    return parse_config(tree).cameras[0]


def clip(path: Path, levels: range, *, fps: int = 10) -> Path:
    """A clip whose pictures tell their numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_clip(path, [picture(level) for level in levels], fps=fps)


def segments(folder: Path) -> Path:
    """Seconds 0, 1, 2 and 4 of a minute, ten frames each."""
    for number, second in enumerate((0, 1, 2, 4)):
        clip(folder / f"2026-01-31_08-00-{second:02}.mp4", range(number * 5, number * 5 + 10))
    return folder


def read(config: CameraConfig) -> tuple[Source, list[Frame]]:
    (dated,) = with_starts([config]).cameras
    with open_source(dated) as source:
        frames = list(source)
    return source, frames


def seconds(frames: list[Frame]) -> list[float]:
    """Since eight o'clock."""
    return [(frame.time_ns - EIGHT_NS) / 1e9 for frame in frames]


def level(frame: Frame) -> int:
    return round((float(frame.image[-20:, -20:].mean()) - 40) / LEVEL_STEP)


def test_a_folder_of_clips_is_one_time_line_with_holes(tmp_path: Path) -> None:
    source, frames = read(camera(segments(tmp_path / "hall")))
    assert [f.index for f in frames] == list(range(40))
    assert seconds(frames) == pytest.approx([i / 10 for i in range(30)] + [4 + i / 10 for i in range(10)])
    assert [level(f) for f in frames[:30:10]] == [0, 5, 10] and level(frames[30]) == 15
    assert source.shortfall is None and source.repairs.lines == () and source.notes == ()
    assert source.info.frames == 40


def test_nested_folders_a_list_and_a_pattern_give_the_same_frames(tmp_path: Path) -> None:
    flat = segments(tmp_path / "hall")
    nested = tmp_path / "nested"
    for path in sorted(flat.iterdir()):
        target = nested / "2026/01/31/08" / f"00.{path.stem[-2:]}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    files = sorted(flat.iterdir())
    kinds = [camera(nested), camera([files[2], files[0], files[3], files[1]]), camera(flat / "*.mp4")]
    kinds.append(camera([*files[:2], flat / "*-0[24].mp4"]))
    times = [seconds(read(kind)[1]) for kind in kinds]
    assert times == [seconds(read(camera(flat))[1])] * 4


def test_pictures_beside_clips_are_left_out_and_both_are_said(tmp_path: Path) -> None:
    write_pictures(tmp_path, [picture(0), picture(1)], suffix=".jpg")
    for number in range(3):
        counting_clip(tmp_path / f"clip_{number}.mp4", 5)
    (tmp_path / "notes.txt").write_text("left out")
    source, frames = read(camera(tmp_path))
    assert len(frames) == 15 and [f.time_ns for f in frames] == [i * 100 * MS for i in range(15)]
    said = "; ".join(source.notes)
    assert (
        "pictures beside clips: 2 (1.jpg, 2.jpg)" in said
        and "neither clip nor picture: 1 (notes.txt)" in said
    )
    assert "no times in the names (3 (clip_0.mp4, clip_1.mp4, clip_2.mp4))" in said


def test_clips_without_known_endings_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    counting_clip(tmp_path / "a.mp4", 3).rename(tmp_path / "a.rec")
    (tmp_path / "b.rec").write_bytes(b"something else")
    (tmp_path / ".hidden.mp4").write_bytes(b"")
    found = find(camera(tmp_path))
    assert [one.path.name for one in found.clips] == ["a.rec"] and "b.rec" in found.notes[0]


def test_a_camera_of_a_pattern_is_named_after_its_folder(tmp_path: Path) -> None:
    assert camera_name(str(tmp_path / "hall" / "*.mp4")) == camera_name(str(tmp_path / "hall")) == "hall"


def test_places_without_clips_say_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no clips and no pictures"):
        find(camera(tmp_path / "empty"))
    with pytest.raises(SourceError, match="no file fits this pattern"):
        find(camera(tmp_path / "*.mp4"))
    with pytest.raises(SourceError, match=r"name_time.*needs a date"):
        find(camera(segments(tmp_path / "hall"), name_time="%H-%M"))


def test_a_name_time_of_the_configuration_is_used_and_what_it_does_not_fit_is_left_out(
    tmp_path: Path,
) -> None:
    for minute in range(3):
        clip(tmp_path / f"at 08h{minute:02}, 31-1-26.mp4", range(2))
    counting_clip(tmp_path / "test.mp4", 2)
    source, frames = read(camera(tmp_path, name_time="%Hh%M, %d-%m-%y"))
    assert seconds(frames) == pytest.approx([0, 0.1, 60, 60.1, 120, 120.1])
    assert source.notes == ("left out, no time in their names: 1 (test.mp4); `name_time:` says another form",)


def test_a_recorder_in_another_zone_is_told_by_the_configuration(tmp_path: Path) -> None:
    (one,) = with_starts([camera(segments(tmp_path / "hall"), timezone="UTC")]).cameras
    assert one.start_ns == EIGHT_NS + 3600 * 10**9 and one.clock_known


def test_the_start_of_a_single_file_is_in_its_name_and_is_told(tmp_path: Path) -> None:
    path = clip(tmp_path / "2026-01-31_08-00-00.mp4", range(3))
    started = with_starts([camera(path)])
    assert started.cameras[0].start_ns == EIGHT_NS
    assert started.notes == ("hall: begins 2026-01-31 08:00:00+01:00 (Europe/Berlin), by its name",)


def test_a_start_in_the_configuration_is_that_of_the_first_clip(tmp_path: Path) -> None:
    _, frames = read(camera(segments(tmp_path / "hall"), start="2026-01-31T09:00:00+01:00"))
    assert seconds(frames)[0] == 3600 and seconds(frames)[-1] == pytest.approx(3604.9)


def test_what_a_container_says_of_its_making_is_offered_not_taken(tmp_path: Path) -> None:
    import av

    path = tmp_path / "GX010123.MP4"
    with av.open(str(counting_clip(tmp_path / "a.mp4", 3))) as source, av.open(str(path), "w") as target:
        target.metadata["creation_time"] = "2026-01-31T07:00:00Z"
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    started = with_starts([camera(path)])
    assert started.cameras[0].start is None and not started.cameras[0].clock_known
    assert "made 2026-01-31T07:00:00Z: `start: 2026-01-31T07:00:00Z` takes that" in started.notes[0]


def test_clips_that_overlap_show_each_moment_once(tmp_path: Path) -> None:
    clip(tmp_path / "20260131_080000.mp4", range(20), fps=5)
    clip(tmp_path / "20260131_080002.mp4", range(20), fps=5)
    source, frames = read(camera(tmp_path))
    assert seconds(frames) == pytest.approx([i / 5 for i in range(30)])
    assert source.repairs.lines == (
        "20260131_080002.mp4 begins 2.0 s before the clip before it ends: "
        "10 frames of the same view left out",
    )


def test_of_two_streams_of_one_moment_the_larger_is_read(tmp_path: Path) -> None:
    write_clip(tmp_path / "RecS02_20260131_080000_080001.mp4", [picture(i, 48, 32) for i in range(10)])
    write_clip(tmp_path / "RecM02_20260131_080000_080001.mp4", [picture(i, 192, 128) for i in range(10)])
    source, frames = read(camera(tmp_path))
    assert len(frames) == 10 and source.info.width == 192


def test_names_cut_to_whole_seconds_make_no_overlap(tmp_path: Path) -> None:
    for number in range(4):  # 1.9 s each, back to back: 0, 1.9, 3.8, 5.7
        clip(tmp_path / f"20260131_08000{number * 19 // 10}.mp4", range(19))
    source, frames = read(camera(tmp_path))
    steps = [b - a for a, b in pairwise(seconds(frames))]
    assert len(frames) == 76 and source.repairs.lines == () and max(steps) < 0.3 and min(steps) > 0.09


def test_what_cannot_be_read_among_good_clips_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    folder = segments(tmp_path / "hall")
    (folder / "2026-01-31_08-00-01.mp4").write_bytes(bytes(range(128, 256)))
    source, frames = read(camera(folder))
    assert len(frames) == 30 and seconds(frames)[10] == pytest.approx(2)
    assert source.shortfall is not None and "\n" not in source.shortfall
    assert source.shortfall.startswith(
        "1 of 4 clips are missing or cut: 2026-01-31_08-00-01.mp4: not a video"
    )


def test_a_clip_deleted_while_others_are_read_is_told(tmp_path: Path) -> None:
    folder = segments(tmp_path / "hall")
    with open_source(camera(folder)) as source:
        frames = iter(source)
        next(frames)
        (folder / "2026-01-31_08-00-02.mp4").unlink()
        assert len(list(frames)) == 29
    assert source.shortfall is not None and "2026-01-31_08-00-02.mp4: no such file" in source.shortfall


def test_a_folder_in_which_nothing_can_be_read_is_an_error(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.mp4").write_bytes(b"broken" * 9)
    with pytest.raises(SourceError, match=r"none of its 2 clips can be read: 0.mp4: "):
        open_source(camera(tmp_path))


def test_clips_of_another_size_are_fitted_into_the_first(tmp_path: Path) -> None:
    write_clip(tmp_path / "20260131_080000.mp4", [picture(0, 96, 64)])
    write_clip(tmp_path / "20260131_080005.mp4", [picture(0, 64, 64)])
    source, frames = read(camera(tmp_path))
    assert {f.image.shape for f in frames} == {(64, 96, 3)} and source.repairs.resized == 1


def test_clips_are_known_again_until_one_changes(tmp_path: Path) -> None:
    folder = segments(tmp_path / "hall")
    mark = source_fingerprint(camera(folder))
    assert mark == source_fingerprint(camera(folder)) == open_source(camera(folder)).info.fingerprint
    clip(folder / "2026-01-31_08-00-05.mp4", range(3))
    assert mark != source_fingerprint(camera(folder))


def test_more_clips_are_expected_to_hold_as_many_frames_a_byte(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for second in range(5):
        noise = [rng.integers(0, 255, (64, 96, 3), np.uint8) for _ in range(10)]
        write_clip(tmp_path / f"20260131_08000{second}.mp4", noise)
    with open_source(camera(tmp_path)) as source:
        assert source.info.frames == pytest.approx(50, abs=2) and source.info.duration_s == pytest.approx(
            5, abs=0.3
        )


def test_five_thousand_clips_are_found_dated_and_put_in_order_at_once(tmp_path: Path) -> None:
    for day in range(1, 11):
        folder = tmp_path / f"2026-01-{day:02}"
        folder.mkdir()
        for number in range(500):
            (folder / f"{number // 60:02}-{number % 60:02}-00.mp4").touch()
    found: Found = find(camera(tmp_path))
    assert len(found.clips) == 5000 and all(a.start_ns < b.start_ns for a, b in pairwise(found.clips))  # type: ignore[operator]


def test_hours_that_clocks_leave_out_or_repeat_are_told(tmp_path: Path) -> None:
    for name in ("20260329_013000", "20260329_023000", "20261025_023000"):
        counting_clip(tmp_path / f"{name}.mp4", 2)
    assert find(camera(tmp_path)).notes == (
        "named after an hour that clocks leave out, taken as if they did not: 1 (20260329_023000.mp4)",
        "named after an hour that clocks show twice, taken for the first: 1 (20261025_023000.mp4)",
    )
