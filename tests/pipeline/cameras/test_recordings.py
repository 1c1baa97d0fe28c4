"""Recordings of every kind and state, opened as frames."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from pipeline.cameras.recordings import Frame, Grid, Source, SourceError, open_source, source_fingerprint
from pipeline.config import CameraConfig
from tests.video_files import LEVEL_STEP, counting_clip, cut, picture, write_clip, write_pictures

CONTAINERS = ("clip.mp4", "clip.mkv", "clip.ts", "clip.avi", "clip.mov", "clip.flv")
MS = 1_000_000


def camera(source: Path, **settings: Any) -> CameraConfig:
    return CameraConfig(name="door", source=str(source), **settings)


def read(source: Path, **settings: Any) -> tuple[Source, list[Frame]]:
    with open_source(camera(source, **settings)) as opened:
        return opened, list(opened)


def order(frames: list[Frame]) -> list[int]:
    """Which pictures the frames show, by the grey level of their lower right corner."""
    return [round((float(f.image[-20:, -20:].mean()) - 40) / LEVEL_STEP) for f in frames]


def noise(count: int, width: int = 96, height: int = 64) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Pictures that compress badly, so that bytes are spread evenly over a file."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (height, width, 3), np.uint8) for _ in range(count)]


def error_of(source: Path) -> str:
    with pytest.raises(SourceError) as caught, open_source(camera(source)) as opened:
        list(opened)
    message = str(caught.value)
    assert str(source) in message and "\n" not in message
    return message


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_all_frames_in_order_with_their_times(tmp_path: Path, name: str) -> None:
    source, frames = read(counting_clip(tmp_path / name, 12))
    assert [f.index for f in frames] == list(range(12)) == order(frames)
    assert [f.time_ns for f in frames] == [i * 100 * MS for i in range(12)]
    assert (source.info.width, source.info.height, source.info.fps) == (96, 64, 10)
    assert source.info.frames == 12 and source.info.duration_s == pytest.approx(1.2, abs=0.01)
    assert source.shortfall is None and str(source.repairs) == ""


def test_frames_are_rgb_with_the_files_colours(tmp_path: Path) -> None:
    _, frames = read(counting_clip(tmp_path / "clip.mp4", 2))
    assert frames[0].image.dtype == np.uint8 and frames[0].image.flags.c_contiguous
    np.testing.assert_allclose(frames[0].image[8, 8], (230, 20, 20), atol=6)
    assert frames[0].image is frames[0].image


def test_a_known_start_moves_every_time(tmp_path: Path) -> None:
    start = datetime(2026, 1, 31, 8, tzinfo=UTC)
    _, frames = read(counting_clip(tmp_path / "clip.mp4", 3), start=start)
    assert frames[2].time_ns == int(start.timestamp()) * 1000 * MS + 200 * MS


def test_times_follow_the_files_time_stamps_not_the_frame_count(tmp_path: Path) -> None:
    pts = [7, 17, 27, 80, 90]
    _, frames = read(write_clip(tmp_path / "clip.mkv", [picture(i) for i in range(5)], pts=pts))
    assert [f.time_ns for f in frames] == [0, 100 * MS, 200 * MS, 730 * MS, 830 * MS]


def test_fps_of_the_camera_overrides_the_time_stamps(tmp_path: Path) -> None:
    source, frames = read(counting_clip(tmp_path / "clip.mp4", 5), fps=29.97)
    assert [f.time_ns for f in frames] == [i * 100_000_000_000 // 2997 for i in range(5)]
    assert source.info.fps == 29.97 and source.info.duration_s == pytest.approx(5 / 29.97)


def test_a_raw_stream_without_time_stamps_is_timed_by_its_rate(tmp_path: Path) -> None:
    _, frames = read(counting_clip(tmp_path / "clip.h264", 5))
    assert [f.time_ns for f in frames] == [i * 100 * MS for i in range(5)]


def test_more_threads_give_the_same_frames(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", noise(12))
    with open_source(camera(path), threads=2) as many, open_source(camera(path)) as one:
        for a, b in zip(many, one, strict=True):
            assert a.time_ns == b.time_ns and np.array_equal(a.image, b.image)


@pytest.mark.parametrize(
    ("clockwise", "corner"), [(0, (8, 8)), (90, (8, -8)), (180, (-8, -8)), (270, (-8, 8))]
)
@pytest.mark.parametrize("by_file", [True, False])
def test_rotation_by_file_or_camera_turns_the_picture_upright(
    tmp_path: Path, clockwise: int, corner: tuple[int, int], by_file: bool
) -> None:
    turned = (360 - clockwise) % 360 if by_file else 0
    path = write_clip(tmp_path / "clip.mp4", [picture(0)], rotation=turned)
    source, (frame,) = read(path, rotation=0 if by_file else clockwise)
    assert frame.image.shape == ((64, 96, 3) if clockwise % 180 == 0 else (96, 64, 3))
    assert (source.info.height, source.info.width) == frame.image.shape[:2]
    assert frame.image[corner][0] > 200 and frame.image[corner][1] < 60


@pytest.mark.parametrize(
    ("size", "name", "codec", "pix_fmt"),
    [
        ((321, 241), "odd.avi", "mjpeg", "yuvj420p"),
        ((321, 241), "odd.mkv", "ffv1", "yuv420p"),
        ((97, 65), "odd.mp4", "libx264", "yuv444p"),
        ((48, 160), "portrait.mp4", "libx264", "yuv420p"),
        ((96, 64), "grey.mkv", "ffv1", "gray"),
        ((96, 64), "deep.mkv", "ffv1", "yuv420p10le"),
        ((7680, 4320), "8k.avi", "mjpeg", "yuvj420p"),
    ],
)
def test_unusual_pictures_come_out_whole(
    tmp_path: Path, size: tuple[int, int], name: str, codec: str, pix_fmt: str
) -> None:
    expected = picture(3, *size)
    _, (frame,) = read(write_clip(tmp_path / name, [expected], codec=codec, pix_fmt=pix_fmt))
    assert frame.image.shape == expected.shape
    grey = expected[:, -1].astype(int)
    assert np.abs(frame.image[:, -1].astype(int) - grey).mean() < 6
    assert np.abs(frame.image[-1].astype(int) - expected[-1]).mean() < 6


def test_a_change_of_resolution_is_fitted_into_the_first_size(tmp_path: Path) -> None:
    joined = tmp_path / "joined.ts"
    small = counting_clip(tmp_path / "a.ts", 5, width=96, height=64)
    large = counting_clip(tmp_path / "b.ts", 5, width=160, height=160)
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    source, frames = read(joined)
    assert {f.image.shape for f in frames} == {(64, 96, 3)}
    assert source.repairs.resized == 5 == len(frames) - 5
    assert set(np.diff([f.time_ns for f in frames])) == {100 * MS}


@pytest.mark.parametrize("name", ["cut.mkv", "cut.flv", "cut.avi"])
def test_a_file_cut_in_half_is_reported_with_both_lengths(tmp_path: Path, name: str) -> None:
    whole = write_clip(tmp_path / f"whole-{name}", noise(40))
    source, frames = read(cut(whole, tmp_path / name, keep=0.5))
    assert 18 <= len(frames) <= 21
    assert source.shortfall is not None and "of 4.0 s declared by the container" in source.shortfall


def test_a_cut_mp4_with_its_index_in_front_is_reported(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", noise(40), options={"movflags": "faststart"})
    source, _ = read(cut(whole, tmp_path / "cut.mp4", keep=0.5))
    assert source.shortfall == "ends at 1.9 s of 4.0 s declared by the container"


@pytest.mark.parametrize(("name", "evidence"), [("cut.ts", "transport packet"), ("cut.mp4", "mp4 box")])
def test_a_cut_file_that_declares_no_length_is_told_by_its_bytes(
    tmp_path: Path, name: str, evidence: str
) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"} if name == "cut.mp4" else None
    whole = write_clip(tmp_path / f"whole-{name}", noise(40), options=options)
    source, _ = read(cut(whole, tmp_path / name, keep=0.4997))
    assert source.shortfall is not None and evidence in source.shortfall
    assert read(whole)[0].shortfall is None


def test_sound_longer_than_the_pictures_is_no_shortfall(tmp_path: Path) -> None:
    for name in ("clip.mp4", "clip.mkv"):
        source, frames = read(write_clip(tmp_path / name, [picture(i) for i in range(5)], audio_s=4))
        assert (len(frames), source.shortfall, source.info.duration_s) == (5, None, 0.5)


def packets_of(path: Path) -> list[tuple[int, bytes]]:
    """Where in the file each packet begins, and its bytes."""
    with av.open(str(path)) as container:
        return [(packet.pos or 0, bytes(packet)) for packet in container.demux(video=0) if packet.size]


def test_corrupt_packets_are_skipped_and_counted(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", noise(20))
    data = bytearray(path.read_bytes())
    for start, packet in packets_of(path)[6:9]:
        data[start : start + len(packet)] = b"\xff" * len(packet)
    path.write_bytes(data)
    source, frames = read(path)
    assert len(frames) == 17 and frames[-1].time_ns == 1900 * MS
    assert str(source.repairs) == "undecodable packets skipped: 3"
    assert source.shortfall is None


def test_a_video_whose_every_packet_is_corrupt_is_an_error(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", noise(5))
    data = path.read_bytes()
    for _, packet in packets_of(path):
        data = data.replace(packet, b"\xff" * len(packet))
    path.write_bytes(data)
    assert "no frame can be decoded" in error_of(path)


def test_each_unusable_file_says_why(tmp_path: Path) -> None:
    empty, text, note = tmp_path / "empty.mp4", tmp_path / "text.mp4", tmp_path / "note.txt"
    empty.write_bytes(b"")
    text.write_text("not a video, überhaupt nicht\n" * 200, encoding="utf-8")
    note.write_text("ffmpeg would draw this\n" * 20)
    noisy = tmp_path / "noise.mp4"
    noisy.write_bytes(np.random.default_rng(0).bytes(5000))
    unfinished = cut(write_clip(tmp_path / "whole.mp4", noise(20)), tmp_path / "unfinished.mp4", keep=0.5)
    assert "no such file" in error_of(tmp_path / "missing.mp4")
    assert "empty (0 bytes)" in error_of(empty)
    assert "text file" in error_of(text) and "text file" in error_of(note)
    assert "known container" in error_of(noisy)
    noisy.write_bytes(b"\0\0\0\1ftyp" + b"\xff" * 8)
    assert "moov" in error_of(noisy)
    assert "moov" in error_of(unfinished)
    assert "neither a file nor a folder" in error_of(Path(os.devnull))


def test_a_file_with_only_sound_has_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert "no video stream in this file (it holds audio)" in error_of(path)


def test_a_container_without_a_frame_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "none.mp4"
    with av.open(str(path), "w") as container:
        container.add_stream("mpeg4", rate=10)
        container.start_encoding()
    assert "no video stream in this file (it holds nothing)" in error_of(path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="changes the user to lose permissions")
def test_what_the_user_may_not_read_is_named(tmp_path: Path) -> None:
    clip = counting_clip(tmp_path / "clip.mp4", 1)
    folder = write_pictures(tmp_path / "pictures", [picture(0)])
    clip.chmod(0)
    folder.chmod(0)
    for parent in (tmp_path, *tmp_path.parents[:3]):
        if parent.name.startswith(("pytest", "test_")):
            parent.chmod(0o755)
    os.seteuid(65534)
    try:
        assert "permission denied" in error_of(clip)
        assert "permission denied" in error_of(folder)
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("opener", [open_source, source_fingerprint])
def test_live_sources_are_refused_without_showing_the_address(
    opener: Callable[[CameraConfig], object],
) -> None:
    with pytest.raises(SourceError, match=r"camera gate: live \(rtsp://\): there is no recording") as caught:
        opener(CameraConfig(name="gate", source="rtsp://admin:secret@10.0.0.1/1"))
    assert "secret" not in str(caught.value) and "10.0.0.1" not in str(caught.value)


def test_a_name_that_looks_like_a_protocol_is_still_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting_clip(tmp_path / "plain.mp4", 2).rename(tmp_path / "concat:a|b %d.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(read(Path("concat:a|b %d.mp4"))[1]) == 2


def test_a_renamed_copy_has_the_same_fingerprint_and_another_recording_has_not(tmp_path: Path) -> None:
    first = counting_clip(tmp_path / "a.mp4", 5)
    copy = tmp_path / "b.mp4"
    copy.write_bytes(first.read_bytes())
    other = write_clip(tmp_path / "c.mp4", noise(5))
    marks = [read(path)[0].info.fingerprint for path in (first, copy, other)]
    assert marks[0] == marks[1] != marks[2]
    assert source_fingerprint(camera(first)) == marks[0]


def with_b_frames(path: Path, frames: int = 20) -> Path:
    """A film whose frames are stored in another order than they are shown in."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 96, 64, "yuv420p", 10
        stream.options = {"bf": "3", "b-adapt": "0"}
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["clip.avi", "clip.mp4", "clip.ts", "clip.mkv"])
def test_frames_stored_out_of_order_are_shown_in_order_at_their_times(tmp_path: Path, name: str) -> None:
    source, frames = read(with_b_frames(tmp_path / name))
    assert order(frames) == list(range(20)) and source.repairs.time_stamps == 0
    np.testing.assert_allclose([f.time_ns / MS for f in frames], [i * 100 for i in range(20)], atol=1)


def transport_stream(path: Path, pictures: range, *, begins: int = 0) -> Path:
    """A transport stream whose clock begins at so many units of 90 kHz, with a key frame every ten."""
    raw = path.with_suffix(".raw.ts")
    write_clip(raw, [picture(i) for i in pictures], gop=10)
    with (
        av.open(str(raw)) as source,
        av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        first = None
        for packet in source.demux(video=0):
            if packet.pts is None or packet.dts is None:
                continue
            first = packet.pts if first is None else first
            packet.pts, packet.dts = packet.pts - first + begins, packet.dts - first + begins
            packet.stream = stream
            target.mux(packet)
    raw.unlink()
    return path


def test_a_transport_stream_that_restarts_goes_on_where_it_ended(tmp_path: Path) -> None:
    late = transport_stream(tmp_path / "late.ts", range(20), begins=5000 * 90000)
    early = transport_stream(tmp_path / "early.ts", range(20))
    (tmp_path / "hall.ts").write_bytes(late.read_bytes() + early.read_bytes())
    source, frames = read(tmp_path / "hall.ts")
    assert [f.time_ns for f in frames] == [i * 100 * MS for i in range(40)]
    assert str(source.repairs) == (
        "the clock of the recording starts anew: times go on where they ended (at 1.9 s)"
    )
    assert source.shortfall is None


def test_a_transport_stream_whose_clock_runs_over_goes_on(tmp_path: Path) -> None:
    source, frames = read(transport_stream(tmp_path / "hall.ts", range(40), begins=2**33 - 90000))
    assert [round(f.time_ns / MS) for f in frames] == [i * 100 for i in range(40)]
    assert "ran over its last bit" in str(source.repairs)


def test_a_start_without_key_frame_is_counted_and_the_times_are_kept(tmp_path: Path) -> None:
    whole = transport_stream(tmp_path / "whole.ts", range(30)).read_bytes()
    packets = [whole[at : at + 188] for at in range(0, len(whole), 188)]
    starts = [n for n, p in enumerate(packets) if p[1] & 0x40 and (p[1] & 0x1F) << 8 | p[2] == 0x100]
    (tmp_path / "hall.ts").write_bytes(b"".join(packets[: starts[0]] + packets[starts[4] :]))
    source, frames = read(tmp_path / "hall.ts")
    assert [round(f.time_ns / MS) for f in frames] == [600 + i * 100 for i in range(20)]
    assert order(frames)[0] == 10 and str(source.repairs) == "frames before the first key frame left out: 6"


def test_stamps_in_whole_seconds_are_spread_and_sampled_on_the_grid(tmp_path: Path) -> None:
    path = tmp_path / "coarse.mkv"
    whole = write_clip(tmp_path / "fine.mkv", [picture(i % 20) for i in range(75)], fps=25)
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.pts is None:
                continue
            packet.pts = packet.dts = packet.pts // 1000 * 1000
            packet.stream = stream
            target.mux(packet)
    opened, frames = read(path)
    assert [round(f.time_ns / MS) for f in frames] == [i * 40 for i in range(75)]
    grid = Grid(12.5)
    assert [grid.due(f.time_ns) for f in frames] == [i % 2 == 0 for i in range(75)]
    assert opened.repairs.time_stamps == 72


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n", "playlist"),
        ("list.mp4", "#EXTM3U\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n", "playlist"),
        ("list.ffconcat", "ffconcat version 1.0\nfile secret.mp4\n", "playlist"),
        ("list.mkv", "ffconcat version 1.0\nfile secret.mp4\n", "playlist"),
        ("list.mpd", '<?xml version="1.0"?><MPD><BaseURL>secret.mp4</BaseURL></MPD>', "playlist"),
        ("list.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n", "playlist"),
    ],
)
def test_a_recording_never_makes_the_program_read_other_files(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    counting_clip(tmp_path / "secret.mp4", 3)
    (tmp_path / name).write_text(text)
    assert said in error_of(tmp_path / name)


def test_a_picture_is_no_recording_even_where_its_name_is_a_pattern_of_others(tmp_path: Path) -> None:
    write_pictures(tmp_path, [picture(i) for i in range(3)])
    for name in ("1.png", "img%d.png"):
        (tmp_path / name).write_bytes((tmp_path / "1.png").read_bytes())
        assert "this is a picture, not a recording: give the folder" in error_of(tmp_path / name)


@pytest.mark.parametrize("name", ["a.ts", "a.mkv"])
def test_a_stream_that_appears_in_the_middle_of_a_file_does_no_harm(tmp_path: Path, name: str) -> None:
    silent = write_clip(tmp_path / f"silent-{name}", noise(60, 320, 240))
    loud = write_clip(tmp_path / f"loud-{name}", noise(60, 320, 240), audio_s=6)
    (tmp_path / name).write_bytes(silent.read_bytes() + loud.read_bytes())
    _, frames = read(tmp_path / name)
    assert len(frames) >= 60 and np.all(np.diff([f.time_ns for f in frames]) > 0)
