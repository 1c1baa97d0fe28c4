"""One recorded camera inside its worker: holes, damage and what is told of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.cameras.recordings import open_source
from pipeline.config import CameraConfig, Config
from pipeline.messages import Message, Notice, RecordingEnded, TrackletClosed
from pipeline.running.workers.camera import CameraJob, HostedCamera, host
from pipeline.tracking.detect import Detections, Detector, load_detector
from tests.video_files import counting_clip, picture, write_clip, write_pictures

BOX = np.array([[20, 10, 44, 58]], np.float32)


def recorded(camera: CameraConfig) -> tuple[list[TrackletClosed], RecordingEnded, list[str]]:
    """What a camera sends in whose every frame somebody stands still."""
    sent: list[Message] = []
    hosted = HostedCamera(CameraJob(camera, 1), Config(), sent.append, sent.append)
    if hosted.open():
        while not hosted.ended:
            if (frame := hosted.next_due()) is not None:
                hosted.take(frame, Detections(BOX, np.array([0.9], np.float32)))
    (ended,) = {id(one): one for one in sent if isinstance(one, RecordingEnded)}.values()
    tracklets = [one for one in sent if isinstance(one, TrackletClosed)]
    return tracklets, ended, [one.text for one in sent if isinstance(one, Notice)]


def folder_of(path: Path, seconds: Sequence[int]) -> CameraConfig:
    """A camera whose clips of one second begin at these."""
    path.mkdir()
    for second in seconds:
        write_clip(path / f"20260131_0800{second:02}.mp4", [picture(1)] * 25, fps=25)
    return CameraConfig(name="hall", source=str(path))


@pytest.mark.parametrize(
    ("seconds", "tracks"),
    [((0, 1, 2, 3), 1), ((0, 1, 3, 4), 1), ((0, 1, 4, 5), 1), ((0, 1, 6, 7), 2)],
    ids=["a cut", "a hole of one second", "a hole of two", "a hole longer than is bridged"],
)
def test_one_track_goes_on_over_cuts_and_short_holes(
    tmp_path: Path, seconds: tuple[int, ...], tracks: int
) -> None:
    tracklets, ended, _ = recorded(folder_of(tmp_path / "hall", seconds))
    assert len({one.key.track for one in tracklets}) == tracks
    assert (ended.state, ended.frames, ended.message) == ("done", 100, "")
    frames = np.concatenate([one.frames for one in tracklets]).tolist()
    assert len(set(frames)) == len(frames) >= 97  # one after the last that is detected may be nobody's


def test_pictures_taken_every_two_seconds_are_no_holes(tmp_path: Path) -> None:
    write_pictures(tmp_path / "hall", [picture(1)] * 6, suffix=".jpg")
    for number in range(1, 7):
        name = f"2026-01-31_08-00-{2 * number:02}.jpg"
        (tmp_path / "hall" / f"{number}.jpg").rename(tmp_path / "hall" / name)
    hosted = HostedCamera(
        CameraJob(CameraConfig(name="hall", source=str(tmp_path / "hall")), 1), Config(), print, print
    )
    assert hosted.open()
    while hosted.next_due() is not None:
        pass
    assert hosted.away_ns == 0 and hosted.read == 6


def test_repairs_and_what_is_left_out_are_told_once_and_end_in_the_recordings_row(tmp_path: Path) -> None:
    camera = folder_of(tmp_path / "hall", (0, 1, 2))
    (tmp_path / "hall" / "20260131_080001.mp4").write_bytes(bytes(range(128, 256)))
    write_pictures(tmp_path / "hall", [picture(0)])
    _, ended, told = recorded(camera)
    assert ended.state == "short" and ended.message.startswith("1 of 3 clips are missing or cut")
    assert told == [
        "hall: left out, pictures beside clips: 1 (1.png)",
        f"hall: {ended.message}",
    ]


def test_whatever_a_decoder_raises_is_damage_of_this_camera_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.cameras.video_file import VideoSource

    def broken(*_: object) -> None:
        raise RuntimeError("decoder gone mad")

    monkeypatch.setattr(VideoSource, "convert", broken)
    _, ended, told = recorded(CameraConfig(name="hall", source=str(counting_clip(tmp_path / "a.mp4", 3))))
    assert ended.state == "failed" and "decoder gone mad" in ended.message and len(told) == 1


def walked(source: Path, detector: Detector) -> list[TrackletClosed]:
    """The tracklets of a real recording."""
    sent: list[Message] = []
    start = datetime(2026, 1, 31, 8, tzinfo=UTC)
    camera = CameraConfig(name="hall", source=str(source), start=start, timezone="Etc/UTC")
    hosted = HostedCamera(CameraJob(camera, 1), Config(), sent.append, print)
    host([hosted], detector, lambda: False)
    return [one for one in sent if isinstance(one, TrackletClosed)]


def cut_at_key_frames(film: Path, folder: Path, seconds: int) -> Path:
    """The same packets in clips of so many seconds, named after their starts from eight o'clock on."""
    folder.mkdir()
    with av.open(str(film)) as source:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.pts is not None]
        base = packets[0].time_base
        for second in range(0, 60, seconds):
            here = [p for p in packets if second <= p.pts * base < second + seconds]
            if not here:
                return folder
            with av.open(str(folder / f"2026-01-31_08-00-{second:02}.mp4"), "w") as target:
                written = target.add_stream_from_template(stream)
                first = here[0].pts
                for packet in here:
                    packet.pts, packet.dts = packet.pts - first, packet.pts - first
                    packet.stream = written
                    target.mux(packet)
    return folder


def test_a_walk_in_five_clips_is_the_walk_in_one_film(shared_data: Path, tmp_path: Path) -> None:
    with av.open(str(shared_data / "data/videos/nlpr_indoor/cam3.mp4")) as source:
        frames = [
            f.to_ndarray(format="rgb24") for f, _ in zip(source.decode(video=0), range(750), strict=False)
        ]
    film = write_clip(tmp_path / "film.mp4", frames[125:625], fps=25, gop=100)
    clips = cut_at_key_frames(film, tmp_path / "hall", 4)
    assert len(list(clips.iterdir())) == 5
    detector = load_detector(Config().detector, threads=1)
    whole, cut = walked(film, detector), walked(clips, detector)
    assert len(whole) == len(cut) >= 3
    for one, other in zip(whole, cut, strict=True):
        assert one.key == other.key
        np.testing.assert_array_equal(one.frames, other.frames)
        np.testing.assert_array_equal(one.times_ns, other.times_ns)
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)


@pytest.mark.parametrize("aspect", [Fraction(2), Fraction(1, 2)])
def test_oblong_pixels_cost_no_boxes(shared_data: Path, tmp_path: Path, aspect: Fraction) -> None:
    with av.open(str(shared_data / "data/videos/pets09_s2l1_view1/video.mp4")) as source:
        frames = list(itertools.islice(source.decode(video=0), 100, 200, 4))
    wide, high = 720, 540
    stored = (wide // 2, high) if aspect == 2 else (wide, high // 2)
    square = write_clip(
        tmp_path / "square.mp4", [f.to_ndarray(format="rgb24", width=wide, height=high) for f in frames]
    )
    narrow = write_clip(
        tmp_path / "narrow.mp4",
        [f.to_ndarray(format="rgb24", width=stored[0], height=stored[1]) for f in frames],
    )
    said = f"{aspect.numerator}:{aspect.denominator}"
    counts = []
    detector = load_detector(Config().detector, threads=1)
    for path, pixels in ((square, None), (narrow, said)):
        with open_source(CameraConfig(name="yard", source=str(path), pixel_aspect=pixels)) as opened:
            found = detector.detect([frame.image for frame in opened])
        counts.append(sum(int((one.confidences >= 0.5).sum()) for one in found))
    assert counts[0] > 100 and abs(counts[1] / counts[0] - 1) <= 0.03
