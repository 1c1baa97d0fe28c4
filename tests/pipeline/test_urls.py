"""Nothing of a URL that may be a secret is shown, whatever characters it is made of."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.urls import plain_name, redact, redact_all, redact_words, shown_url

SECRET = "hunter2x"


@pytest.mark.parametrize(
    "url",
    [
        f"rtsp://me:{SECRET}@host:554/cam",
        f"rtsp://me:{SECRET} b@host/cam",
        f"rtsp://me:a{SECRET}'b@host/cam",
        f'rtsp://me:a"{SECRET}@host/cam',
        f"rtsp://me:12/{SECRET}@host/cam",
        f"rtsp://me:12?{SECRET}@host/cam",
        f"rtsp://{SECRET}@host/cam",
        f"http://host/video?mail=a@{SECRET}",
        f"http://host/video?x=1&key={SECRET}",
        f"http://host/video;token={SECRET}",
        f"http://host/video#token={SECRET}",
        f"http://host/key={SECRET}",
        f"http://host/{SECRET}/video",
        f"rtsp://host/user=admin_password={SECRET}_channel=1.sdp",
        f"https://host/hls/{SECRET}.m3u8",
        f"rtsp://host/live//{SECRET}",
    ],
)
def test_a_secret_is_not_shown_wherever_it_stands(url: str) -> None:
    assert SECRET not in shown_url(url)
    assert SECRET not in plain_name(url)
    told = [redact(f"[in#0] cannot open {url}: refused"), *redact_words(["run", url, f"--x={url}"])]
    told += [str(redact_all({"cameras": [{"source": url}]}))]
    assert not [text for text in told if SECRET in text]


@pytest.mark.parametrize("tail", ["?key=SECRET&a=1", "key=SECRET", "SECRET/x"])
def test_a_secret_of_a_known_url_is_cut_out_of_any_text(tail: str) -> None:
    url = f"http://me:pw@host/{tail.replace('SECRET', SECRET)}"
    assert redact(f"401 for '{SECRET}'", url) == "401 for '...'"


@given(
    st.text(st.characters(exclude_categories=("C",)), min_size=8, max_size=12),
    st.sampled_from("/?#;:@&= '\""),
)
def test_a_password_is_not_shown_whatever_it_is_made_of(secret: str, mark: str) -> None:
    word = f"{SECRET}{secret}"
    for url in (f"rtsp://me:{mark}{word}@host:554/cam", f"rtsp://me:{word}{mark}@host:554/cam"):
        assert SECRET not in shown_url(url) + redact(f"see {url}, please") + str(redact_all([url]))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://me:pw@10.0.0.7:554/Streaming/Channels/101", "rtsp://10.0.0.7:554/Streaming/Channels/101"),
        ("rtsp://cam.local/h264Preview_01_main", "rtsp://cam.local/h264Preview_01_main"),
        ("rtsp://cam/axis-media/media.amp?videocodec=h264", "rtsp://cam/axis-media/...?..."),
        ("rtsp://[fe80::1]:554/live/ch00_0", "rtsp://[fe80::1]:554/live/ch00_0"),
        ("rtsp://host", "rtsp://host"),
        ("rtsp://me:p@ss@host:554/cam", "rtsp://host:554/cam"),
        ("http://", "http://..."),
    ],
)
def test_host_port_and_plain_words_of_the_path_stay(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("see rtsp://me:pw@host/cam, please", "see rtsp://host/cam, please"),
        ("(rtsp://host/cam) and rtsp://other/cam.", "(rtsp://host/cam) and rtsp://other/cam."),
        ("rtsp://me:p@ss@host/cam, a@b.c", "rtsp://..."),
        ("videos/hall.mp4, a@b.c", "videos/hall.mp4, a@b.c"),
        ("live (rtsp://): none", "live (rtsp://...): none"),
        ("first\nrtsp://a:b@host/cam\nlast a@b", "first\nrtsp://host/cam\nlast a@b"),
    ],
)
def test_the_rest_of_a_text_stays(text: str, told: str) -> None:
    assert redact(text) == told


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("rtsp://10.0.0.7/cam2", "cam2"),
        ("rtsp://10.0.0.7/Streaming/Channels/101", "10.0.0.7"),
        ("rtsp://door.local/" + SECRET, "door.local"),
    ],
)
def test_a_name_comes_from_the_host_or_from_a_plain_word(url: str, name: str) -> None:
    assert plain_name(url) == name


def test_a_configuration_keeps_all_that_is_not_a_url() -> None:
    config = {
        "timezone": "Europe/Berlin",
        "cameras": [{"name": "a@b", "roi": [[0, 0.5]], "source": "hall.mp4"}],
    }
    assert msgspec.json.encode(redact_all(config)) == msgspec.json.encode(config)
