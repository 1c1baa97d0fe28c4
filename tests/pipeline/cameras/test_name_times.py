"""Names of common recorders, and the times in them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PurePath
from zoneinfo import ZoneInfo

import pytest

from pipeline.cameras.name_times import NameTimes

BERLIN = ZoneInfo("Europe/Berlin")
EIGHT = datetime(2026, 1, 31, 8, 0, 4, tzinfo=BERLIN)


def time_in(name: str, template: str | None = None) -> datetime | None:
    found = NameTimes(template, BERLIN).of(PurePath(name))
    return datetime.fromtimestamp(found.time_ns / 1e9, UTC) if found else None


@pytest.mark.parametrize(
    "name",
    [
        "hall/2026-01-31_08-00-04.mp4",
        "hall/2026/01/31/08/00.04.mp4",
        "Front_00_20260131080004.mp4",
        "RecM01_20260131_080004_080104_6732828_ABCDE.mp4",
        "RecS02_20260131_080004_080104_0_ABC.mp4",
        "ch01_20260131080004.mp4",
        "192.168.1.64_01_20260131080004000_TIMING.mp4",
        "NVR_ch1_main_20260131080004_20260131081004.dav",
        "2026-01-31/001/dav/08/08.00.04-08.10.00[M][0@0][0].dav",
        "axis-ACCC8E012345/20260131/08/20260131_080004_8A2B_ACCC8E012345/20260131_080004_9F.mkv",
        "Front Door 1-31-2026, 8.00.04am.mp4",
        "Front Door - 01-31-2026, 08.00.04.mp4",
        "Cam1.20260131_080004.mp4",
        "Cam1/20260131AM/Cam1-20260131-080004-1769842804.mp4",
        "01-20260131080004.mkv",
        "Camera1/2026-01-31/08-00-04.mp4",
        "MDalarm_20260131-080004.mkv",
        "2026-01-31_08-00-04-front.mp4",
        "20260131_080004_NF.mp4",
        "2026_0131_080004_001.MP4",
        "260131_080004_001_FH.MP4",
        "REC_2026_01_31_08_00_04_F.MP4",
        "events/1/26/01/31/08/00/04/00001-capture.jpg",
        "2026Y01M31D08H/E100M04S60.mp4",
        "2026-01-31 08.00.04.mp4",
        "31.01.2026 08.00.04.mp4",
        "20260131T070004Z.mp4",
        "2026-01-31T08:00:04+01:00.mp4",
        "2026-01-31T08-00-04+0100.mp4",
        "recordings/2026-01-31/07/hall/00.04.mp4",
        "hall-1769842804.mp4",
        "1769842804000.mp4",
        "20140509/20260131-080004-001004_192.168.1.11-CH2.mp4",
    ],
)
def test_names_of_common_recorders_give_their_start(name: str) -> None:
    assert time_in(name) == EIGHT


def test_fractions_of_a_second_are_kept_and_minutes_alone_begin_at_their_first_second() -> None:
    assert time_in("192.168.1.64_01_20260131080004250_TIMING.jpg") == EIGHT.replace(microsecond=250_000)
    assert time_in("hall-1769842804.25-ab.jpg") == EIGHT.replace(microsecond=250_000)
    assert time_in("record/20260131/08/00.mp4") == EIGHT.replace(second=0)


@pytest.mark.parametrize(
    "name",
    [
        "GX010123.MP4",
        "hall.mp4",
        "clip_0.mp4",
        "2026-01-31/frame_000123.jpg",
        "2026-13-31_08-00-04.mp4",
        "2026-01-31_25-00-04.mp4",
        "IMG_1234567.jpg",
        "0001.png",
        "1080p_25fps.mp4",
        "2026-01-31/hall.mp4",
    ],
)
def test_other_numbers_are_no_time(name: str) -> None:
    assert time_in(name) is None


def test_a_template_says_another_form_with_or_without_folders() -> None:
    assert time_in("x31-01-26@08h00m04.mp4", "%d-%m-%y@%Hh%Mm%S") == EIGHT
    assert time_in("31_01_2026/hall/080004.mp4", "%d_%m_%Y/hall/%H%M%S") == EIGHT
    assert time_in("b/1_31_2026 8_00_04 AM.mp4", "%m_%d_%Y %I_%M_%S %p") == EIGHT
    assert time_in("2026-01-31_08-00-04.mp4", "%Y%m%d_%H%M%S") is None


@pytest.mark.parametrize(("template", "said"), [("%Y-%q", "%q is not one of"), ("%H-%M-%S", "needs a date")])
def test_a_template_that_cannot_be_meant_is_refused(template: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NameTimes(template)


def test_the_hour_that_is_left_out_in_spring_is_noticed() -> None:
    names = NameTimes(zone=BERLIN)
    missing, there = (
        names.of(PurePath("2026-03-29_02-30-00.mp4")),
        names.of(PurePath("2026-03-29_03-30-00.mp4")),
    )
    assert missing and there and not missing.exists and there.exists and missing.once


def test_the_hour_that_is_repeated_in_autumn_is_noticed_and_taken_for_the_first() -> None:
    names = NameTimes(zone=BERLIN)
    twice, before = names.of(PurePath("20261025_023000.mp4")), names.of(PurePath("20261025_013000.mp4"))
    assert twice and before and not twice.once and before.once and twice.exists
    assert twice.time_ns - before.time_ns == 3600 * 10**9
    told = names.of(PurePath("20261025T023000+0100.mp4"))
    assert told and told.once and told.time_ns == twice.time_ns + 3600 * 10**9
