"""A configuration is right, or refused with the key that is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import yaml

from pipeline.config import Config, ConfigError, config_for_sources, load_config, parse_config

ROOT = Path(__file__).parents[2]
CAMERA = {"name": "door", "source": "door.mp4"}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"detctor": {}}, "top level: unknown key 'detctor' (did you mean 'detector'?)"),
        ({"detector": {"sise_px": 64}}, "detector: unknown key 'sise_px' (did you mean 'size_px'?)"),
        (
            {"cameras": [{**CAMERA, "overlap": []}]},
            "cameras[0]: unknown key 'overlap' (did you mean 'overlaps'?)",
        ),
        ({"cameras": [{**CAMERA, "rotation": 45}]}, "cameras[0].rotation: 45 is not one of 0, 90, 180, 270"),
        ({"cameras": [{**CAMERA, "rotation": "90"}]}, "cameras[0].rotation: write one of 0, 90, 180, 270"),
        ({"cameras": [{**CAMERA, "transport": "tpc"}]}, "cameras[0].transport: 'tpc' is not one of tcp, udp"),
        ({"detector": {"fps": "min"}}, "detector.fps: 'min' is not one of a number, max"),
        ({"detector": {"fps": -1}}, "detector.fps: expected a number > 0"),
        ({"detector": {"size_px": 100}}, "detector.size_px: expected a whole number that's a multiple of 32"),
        (
            {"cameras": [{**CAMERA, "name": "front door"}]},
            "cameras[0].name: write letters, digits, . _ -, at",
        ),
        ({"cameras": [{**CAMERA, "name": ".."}]}, "cameras[0].name: write letters, digits"),
        (
            {"cameras": [{**CAMERA, "name": 3}]},
            "cameras[0].name: expected text, got a whole number: put",
        ),
        ({"cameras": [{"source": "door.mp4"}]}, "cameras[0]: 'name' is missing"),
        (
            {"cameras": [{**CAMERA, "start": "yesterday"}]},
            "cameras[0].start: write a date and a time, such as",
        ),
        (
            {"cameras": [{**CAMERA, "roi": [[0, 0], [640, 0], [640, 480]]}]},
            "cameras[0].roi[1][0]: write fractions of width and height, 0 to 1",
        ),
        ([CAMERA], "top level: write `cameras:` on top"),
        ({"cameras": ["door.mp4"]}, "cameras[0]: write a list, such as [{name:"),
        (
            {"cameras": [{**CAMERA, "overlaps": ["dor"]}]},
            "cameras.door.overlaps: no camera 'dor' (did you mean 'door'?)",
        ),
        (
            {"timezone": "Europe/Berlin", "cameras": [{**CAMERA, "start": "2026-03-29T02:30:00"}]},
            "cameras.door.start: 2026-03-29 02:30:00 does not exist in Europe/Berlin",
        ),
        (
            {"timezone": "Europe/Berlin", "cameras": [{**CAMERA, "start": "2026-10-25T02:30:00"}]},
            "cameras.door.start: 2026-10-25 02:30:00 happened twice in Europe/Berlin",
        ),
        ({"timezone": "Berlin"}, "timezone: no time zone 'Berlin': did you mean Europe/Berlin?"),
        ({"cameras": [CAMERA, CAMERA]}, "2 cameras are named 'door' (door.mp4, door.mp4): give each"),
        (
            {"cameras": [{**CAMERA, "roi": [[0, 0], [1, 1]]}]},
            "cameras.door.roi: a polygon needs at least 3 points",
        ),
    ],
)
def test_a_wrong_key_or_value_is_named(tree: object, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(tree)
    assert str(error.value).startswith(message)


def test_sources_are_relative_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("cameras: [{name: door, source: videos/door.mp4}]")
    assert load_config(path).cameras[0].source == str(tmp_path / "videos/door.mp4")


@pytest.mark.parametrize("text", ["cameras: [", "\x00", "cameras: 3"])
def test_a_broken_file_is_one_clear_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert "site.yaml" in str(error.value) and "\n" not in str(error.value)


def test_broken_yaml_is_found_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("cameras:\n  - name: a: b\n")
    with pytest.raises(ConfigError, match=r"site.yaml: not YAML: line 2: mapping values are not allowed"):
        load_config(path)


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none.yaml")


def test_bare_sources_are_named_after_their_stem_and_have_unknown_clocks() -> None:
    config = config_for_sources(["a/front door.mp4", "b/hall"])
    assert [c.name for c in config.cameras] == ["front-door", "hall"]
    assert not any(c.clock_known for c in config.cameras)


def test_two_bare_sources_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"a/cam.mp4, b/cam.mp4"):
        config_for_sources(["a/cam.mp4", "b/cam.mp4"])


def test_a_bare_source_is_never_named_by_dots_alone(tmp_path: Path) -> None:
    assert config_for_sources([str(tmp_path / "..mp4")]).cameras[0].name == "camera"


def test_the_default_file_holds_every_key_with_its_default() -> None:
    path = ROOT / "configs" / "default.yaml"
    written = yaml.safe_load(path.read_text())
    assert written == msgspec.json.decode(msgspec.json.encode(Config()))


def test_a_known_start_makes_the_clock_known() -> None:
    camera = parse_config({"cameras": [{**CAMERA, "start": "1970-01-01T00:00:02Z"}]}).cameras[0]
    assert camera.clock_known and camera.start_ns == 2_000_000_000


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([{"leaving": "cam", "entering": "hal", "typical_s": 9}], r"no camera 'hal' \(did you mean 'hall'"),
        ([{"leaving": "cam", "entering": "hall", "typical_s": 9}] * 2, "cam to hall is there twice"),
        ([{"leaving": "cam", "entering": "hall", "typical": 9}], "did you mean 'typical_s'"),
        ([{"leaving": "cam", "entering": "hall"}], "typical_s"),
    ],
)
def test_a_walking_time_that_cannot_be_meant_is_refused(entries: list[dict[str, object]], said: str) -> None:
    cameras = [CAMERA | {"name": name} for name in ("cam", "hall")]
    with pytest.raises(ConfigError, match=r"matcher.transit\[[01]\].*" + said):
        parse_config({"cameras": cameras, "matcher": {"transit": entries}})


def starts(tree: object) -> datetime | None:
    return parse_config(tree).cameras[0].start


def test_a_start_without_an_offset_is_what_the_sites_clocks_showed() -> None:
    for start, utc_hour in (("2026-01-31T08:00:00", 7), ("2026-01-31T08:00:00Z", 8)):
        tree = {"timezone": "Europe/Berlin", "cameras": [{**CAMERA, "start": start}]}
        assert starts(tree) == datetime(2026, 1, 31, utc_hour, tzinfo=UTC)


def test_a_site_that_names_no_zone_is_in_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    tree = {"cameras": [{**CAMERA, "start": "2026-01-31T08:00:00"}]}
    assert starts(tree) == datetime(2026, 1, 31, 13, tzinfo=UTC)
    assert parse_config(tree).timezone == config_for_sources(["a.mp4"]).timezone == "America/New_York"
