"""The typed configuration tree: read once, frozen, unknown keys refused with their path."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from fractions import Fraction as Ratio
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta

from pipeline.config_words import explain, nearest, yaml_problem
from pipeline.errors import MendableError
from pipeline.time_zones import ClockTimeError, TimeZoneError, from_the_clock, zone_named
from pipeline.urls import plain_name, redact

Positive = Annotated[float, Meta(gt=0)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
Crops = Annotated[int, Meta(ge=1, le=32)]
Name = Annotated[str, Meta(pattern=r"^(?!\.+\Z)[\w.-]{1,64}\Z")]
Aspect = Annotated[str, Meta(pattern=r"^[1-9]\d{0,3}[:/][1-9]\d{0,3}\Z")]


DEVICES = "/dev/video"
SCHEMES = ("rtsp", "rtsps", "http", "https")
"""Of live sources; anything else a library might open is refused."""


class ConfigError(MendableError, ValueError, kind="wrong input"):
    """The configuration cannot be used; the message names the key and the valid ones."""


class CameraConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One camera: where its frames come from and what is known about it."""

    name: Name
    """What the camera is called everywhere."""
    label: Annotated[str, Meta(max_length=80)] = ""
    """What people call it, such as Front door; left out: its name."""
    source: str = ""
    """Video file, folder of clips or pictures, pattern such as hall/*.mp4, or URL; may hold {username} and
    {password}. In a configuration file also a list of files, folders and patterns."""
    clips: tuple[str, ...] = ()
    """Where a `source` that is a list is kept."""
    url_env: str | None = None
    """Instead of `source`: the environment variable, or name in `secrets`, that holds the URL."""
    username_env: str | None = None
    """The same for the user name that a live camera asks for."""
    password_env: str | None = None
    """The same for its password."""
    start: datetime | None = None
    """When the recording begins, by the site's clocks or with a UTC offset. None: its clock is unknown."""
    clock: Literal["known", "unknown"] | None = None
    """Left out: known when `start` is given."""
    name_time: str | None = None
    """How the names of clips or pictures say when they begin, such as "%Y-%m-%d_%H-%M-%S"; `/` parts folders.
    Left out: as common recorders do."""
    timezone: str | None = None
    """Of times in names that name none, for a recorder that is set to another zone than the site's."""
    fps: Positive | None = None
    """Overrides the file's time stamps: frame i is at i / fps seconds."""
    detection_fps: Positive | Literal["max"] | None = None
    """Overrides `detector.fps` for this camera."""
    transport: Literal["tcp", "udp"] = "tcp"
    """How RTSP brings its packets."""
    poll_s: Annotated[float, Meta(ge=0.04, le=3600)] | None = None
    """The address gives one picture at a time: it is fetched this often."""
    decode: Literal["auto", "cpu", "cuda", "qsv"] = "cpu"
    """What decodes a live stream; auto: CUDA where it works, else the CPU. cuda and qsv are untried."""
    tls_verify: bool = True
    """Whether an rtsps:// or https:// camera must have a certificate that is trusted."""
    tls_ca: str | None = None
    """File of certificates that are trusted, such as the camera's own; left out: the system's."""
    realtime: bool = False
    """A file is replayed at the speed it was recorded at, as if it were a live camera."""
    rotation: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise, on top of what the file itself asks for."""
    pixel_aspect: Aspect | None = None
    """Width to height of a stored pixel, such as "16:11", where a recorder does not say it, or wrongly."""
    roi: tuple[tuple[Fraction, Fraction], ...] | None = None
    """Polygon in fractions of width and height; a person counts when the feet are inside."""
    overlaps: tuple[Name, ...] = ()
    """Cameras that see some of the same ground, where one person may be seen twice at once."""

    @property
    def live(self) -> bool:
        """Whether the source is watched as it happens, rather than read as fast as it can be."""
        return self.realtime or bool(self.url_env) or "://" in self.source or self.source.startswith(DEVICES)

    @property
    def clock_known(self) -> bool:
        """Whether times of this camera can be compared with other cameras'."""
        return self.clock == "known" if self.clock else self.live or self.start is not None

    @property
    def place(self) -> str:
        """Where its pictures come from, in words for people; a URL's are in `redact`."""
        return self.source or ", ".join(self.clips[:3]) + (", ..." if len(self.clips) > 3 else "")

    @property
    def pixel_shape(self) -> Ratio | None:
        """Width to height of a stored pixel, where the configuration says it."""
        return Ratio(self.pixel_aspect.replace(":", "/")) if self.pixel_aspect else None

    @property
    def start_ns(self) -> int:
        """Time of the first frame in UTC epoch nanoseconds; 0 where it is unknown."""
        return 0 if self.start is None else round(self.start.timestamp() * 1e6) * 1000


class DetectorConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Frames to person boxes."""

    weights: str = "weights/person_detector.onnx"
    """The network that finds people: ONNX."""
    size_px: Annotated[int, Meta(ge=32, multiple_of=32)] = 512
    """The longer side of the frame as the network sees it."""
    fps: Positive | Literal["max"] = 12.5
    """Frames a second that are detected; those between are interpolated."""
    confidence: Fraction = 0.1
    """Boxes below this never reach the tracker."""
    iou: Fraction = 0.7
    """Non-maximum suppression drops a box that overlaps a better one by more than this."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network runs; auto: on a GPU where there is one."""


class TrackerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Boxes to tracks, per camera."""

    high_confidence: Fraction = 0.5
    """Boxes above it are matched first and may start a track."""
    match_iou: Fraction = 0.2
    """Least overlap of a box with a track's prediction, first stage."""
    match_iou_low: Fraction = 0.5
    """The same for boxes of low confidence, second stage."""
    lost_s: Positive = 1.2
    """A track unseen for longer ends."""
    confirm_hits: Count = 2
    """Detections in a row before a track counts."""


class TrackletConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Tracks to closed tracklets with their best crops."""

    part_s: Positive = 10.0
    """A longer presence is cut into parts of this length, in source time."""
    crops: Crops = 16
    """Best crops kept of each part; on live cameras `live.crops` where that is fewer."""
    crop_height_px: Annotated[int, Meta(ge=64)] = 384
    """Higher crops are scaled down to this before they are stored."""
    min_duration_s: Annotated[float, Meta(ge=0)] = 0.4
    """Shorter tracks are noise and are dropped."""
    min_confidence: Fraction = 0.5
    """A track whose best box is below it is dropped."""
    min_height_px: Annotated[int, Meta(ge=1)] = 24
    """Crops of boxes smaller than this are not embedded."""


class ReidConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Crops to pyramid cells, foreground and pooled vectors."""

    weights: str = "weights/fpr_small.safetensors"
    """The network that tells people apart."""
    backbone: str | None = None
    """ONNX or OpenVINO file of a foreign network, for weights that are only a head."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network runs; auto: on a GPU where there is one."""
    runtime: Literal["auto", "openvino-bf16"] = "auto"
    """auto: float32 by OpenVINO on a CPU. openvino-bf16: half the time where the CPU has units for it."""


class TransitConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long people take from one camera to another; what is seen is learnt on top."""

    leaving: Name
    """The camera that was left."""
    entering: Name
    """The camera where they appear next; the same one for who comes back."""
    typical_s: float
    """Usual time between the two; negative where both see a person for a while."""
    spread_s: Positive | None = None
    """One standard deviation; left out: a quarter of the time, at least 1 s."""


class MatcherConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Tracklets to identities."""

    link_probability: Fraction = 0.5
    """A tracklet joins the most likely identity from this calibrated probability on."""
    margin: Annotated[float, Meta(ge=0)] = 0.1
    """A runner-up nearer than this in probability makes the link ambiguous."""
    shortlist: Count = 12
    """Identities recalled by pooled vector that the FPR distance decides among."""
    clock_tolerance_s: Annotated[float, Meta(ge=0)] = 1.0
    """Two cameras' known clocks may differ by this much."""
    exemplars: Annotated[int, Meta(ge=1, le=64)] = 8
    """Crops an identity keeps in the gallery."""
    identities: Count = 5000
    """Identities compared with; beyond it who was seen long ago and seldom is forgotten, not erased."""
    look_back_s: Positive = 120.0
    """A link is provisional, and may be corrected, for so long after its tracklet closed."""
    transit: tuple[TransitConfig, ...] = ()
    """Walking times that are known; others are learnt."""


class LiveConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Cameras that are watched as it happens."""

    fps: Positive | Literal["max"] = 5.0
    """Frames a second that are detected, in place of `detector.fps`; fewer when the machine is short."""
    connect_s: Positive = 5.0
    """A camera that has not answered by then is tried again."""
    stall_s: Positive = 5.0
    """A camera without a new frame for so long is connected anew."""
    frozen_s: Positive = 10.0
    """The same picture for so long means that the camera hangs."""
    backoff_s: Positive = 0.5
    """Longest wait before the first new try; it doubles with each one, and chance picks a time below it."""
    backoff_cap_s: Positive = 30.0
    """It grows no longer than this."""
    bridge_s: Annotated[float, Meta(ge=0)] = 3.0
    """Someone in view before and after a loss of the picture this long or shorter is one track."""
    first_part_s: Positive = 0.8
    """The first part of a presence ends after this, so that newcomers are known soon."""
    crops: Crops = 5
    """Best crops kept of each part: fewer than of recordings, so that the ReID worker keeps up."""


class WorkersConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many processes do the work."""

    cameras: Annotated[int, Meta(ge=0)] = 0
    """Camera worker processes; 0: one per camera, at most two per core."""
    threads: Annotated[int, Meta(ge=0)] = 0
    """Compute threads of each camera worker; 0: the cores shared out evenly."""


class StatusConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a live run tells how it is."""

    port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    """Serves /health and /metrics on 127.0.0.1; 0: any free port; null: not served."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything a run needs to know."""

    cameras: tuple[CameraConfig, ...] = ()
    timezone: str | None = None
    """The site's, such as Europe/Berlin; left out: this machine's. Its clocks say times without an offset."""
    database: str | None = None
    """SQLite file, or an SQLAlchemy URL."""
    secrets: str | None = None
    """File of NAME=value lines with mode 0600, for names that are not in the environment."""
    detector: DetectorConfig = DetectorConfig()
    tracker: TrackerConfig = TrackerConfig()
    tracklets: TrackletConfig = TrackletConfig()
    reid: ReidConfig = ReidConfig()
    matcher: MatcherConfig = MatcherConfig()
    live: LiveConfig = LiveConfig()
    workers: WorkersConfig = WorkersConfig()
    status: StatusConfig = StatusConfig()


def load_config(path: Path) -> Config:
    """The configuration in a YAML file; relative sources are relative to the file.

    Raises:
        ConfigError: unreadable, not YAML, an unknown key, a value out of range, a camera named twice.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {yaml_problem(error)}") from error
    try:
        config = parse_config(tree)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    cameras = tuple(
        msgspec.structs.replace(
            camera,
            source=resolve_source(camera.source, path.parent),
            clips=tuple(resolve_source(clip, path.parent) for clip in camera.clips),
            tls_ca=camera.tls_ca and resolve_source(camera.tls_ca, path.parent),
        )
        for camera in config.cameras
    )
    secrets = config.secrets and resolve_source(config.secrets, path.parent)
    return msgspec.structs.replace(config, cameras=cameras, secrets=secrets)


def parse_config(tree: Any) -> Config:
    """The configuration from parsed YAML.

    Raises:
        ConfigError: see `load_config`.
    """
    try:
        config = msgspec.convert(with_clips(tree or {}), Config)
    except msgspec.ValidationError as error:
        raise ConfigError(explain(str(error), Config)) from error
    config = placed_in_time(config)
    check_names(config.cameras, "give each a name of its own")
    check_cameras(config.cameras)
    check_transit(config)
    return config


def placed_in_time(config: Config) -> Config:
    """The configuration with its time zone by name, and every start as the moment it stands for.

    Raises:
        ConfigError: no such zone, or a start that its clocks skipped or showed twice.
    """
    try:
        zone = zone_named(config.timezone)
    except TimeZoneError as error:
        raise ConfigError(f"timezone: {error}") from error
    cameras = []
    for camera in config.cameras:
        try:
            start = camera.start and from_the_clock(camera.start, zone)
        except ClockTimeError as error:
            raise ConfigError(f"cameras.{camera.name}.start: {error}") from error
        try:
            own = zone_named(camera.timezone) if camera.timezone else zone
        except TimeZoneError as error:
            raise ConfigError(f"cameras.{camera.name}.timezone: {error}") from error
        cameras.append(msgspec.structs.replace(camera, start=start, timezone=own.key))
    return msgspec.structs.replace(config, timezone=zone.key, cameras=tuple(cameras))


def with_clips(tree: Any) -> Any:
    """Parsed YAML in which a camera's `source` that is a list is its `clips`."""
    cameras = tree.get("cameras") if isinstance(tree, dict) else None
    if not isinstance(cameras, list):
        return tree
    return tree | {"cameras": [listed(camera) for camera in cameras]}


def listed(camera: Any) -> Any:
    """One camera of parsed YAML, see `with_clips`."""
    source = camera.get("source") if isinstance(camera, dict) else None
    if not isinstance(source, list):
        return camera
    return {key: value for key, value in camera.items() if key != "source"} | {"clips": source}


def config_for_sources(sources: list[str]) -> Config:
    """A configuration for bare sources: each camera is named after its file or folder.

    Raises:
        ConfigError: two sources share a name.
    """
    cameras = tuple(CameraConfig(name=camera_name(source), source=source) for source in sources)
    check_names(cameras, "name them in a configuration file")
    check_cameras(cameras)
    return placed_in_time(Config(cameras=cameras))


def replayed(config: Config) -> Config:
    """The configuration with every file replayed as if it were a live camera."""
    cameras = tuple(c if c.live else msgspec.structs.replace(c, realtime=True) for c in config.cameras)
    return msgspec.structs.replace(config, cameras=cameras)


def camera_name(source: str) -> str:
    """A camera's name from its source: its file, folder, or what is no secret of a URL; other signs: -."""
    stem = plain_name(source) if "://" in source else Path(without_pattern(source)).resolve().stem
    name = re.sub(r"[^\w.-]", "-", stem)[:64]
    return name if name.strip(".") else "camera"


def without_pattern(source: str) -> str:
    """The folder that a pattern looks in; any other source as it is."""
    return re.split(r"[^/\\]*[*?\[]", source)[0] if is_pattern(source) else source


def is_pattern(source: str) -> bool:
    """Whether a source stands for all files that fit it, rather than for one of this name."""
    return any(mark in source for mark in "*?[") and "://" not in source and not Path(source).exists()


def resolve_source(source: str, folder: Path) -> str:
    """A source relative to the configuration file's folder, made independent of it."""
    whole = not source or "://" in source or Path(source).is_absolute()
    return source if whole else str(folder / source)


def check_names(cameras: tuple[CameraConfig, ...], advice: str) -> None:
    """Refuse names used twice, saying what to do about it."""
    names = [camera.name for camera in cameras]
    for name in names:
        if names.count(name) > 1:
            sources = [redact(c.source) or str(c.url_env) for c in cameras if c.name == name]
            raise ConfigError(f"{len(sources)} cameras are named {name!r} ({', '.join(sources)}): {advice}")


def check_cameras(cameras: tuple[CameraConfig, ...]) -> None:
    """Refuse overlaps with unknown cameras and sources that cannot be meant."""
    names = [camera.name for camera in cameras]
    for camera in cameras:
        for other in camera.overlaps:
            if other not in names:
                raise ConfigError(
                    f"cameras.{camera.name}.overlaps: no camera {other!r}{nearest(other, names)}"
                )
        if bool(camera.source) + bool(camera.url_env) + bool(camera.clips) != 1:
            raise ConfigError(f"cameras.{camera.name}: needs either source or url_env")
        if any("://" in clip for clip in camera.clips):
            raise ConfigError(f"cameras.{camera.name}.source: a list is of files and folders, not of URLs")
        scheme = camera.source.partition("://")[0]
        if "://" in camera.source and scheme not in SCHEMES:
            raise ConfigError(f"cameras.{camera.name}.source: {scheme}:// is not one of {', '.join(SCHEMES)}")
        if camera.poll_s is not None and (not camera.source.startswith("http") and not camera.url_env):
            raise ConfigError(
                f"cameras.{camera.name}.poll_s: is for an http:// or https:// address of a picture"
            )
        if camera.roi is not None and len(camera.roi) < 3:
            raise ConfigError(f"cameras.{camera.name}.roi: a polygon needs at least 3 points")


def check_transit(config: Config) -> None:
    """Refuse walking times of cameras that are not there, and two of one walk."""
    names = [camera.name for camera in config.cameras]
    hops = [(entry.leaving, entry.entering) for entry in config.matcher.transit]
    for place, hop in enumerate(hops):
        if hop in hops[:place]:
            raise ConfigError(f"matcher.transit[{place}]: {hop[0]} to {hop[1]} is there twice")
        for name in hop:
            if name not in names:
                raise ConfigError(f"matcher.transit[{place}]: no camera {name!r}{nearest(name, names)}")


def utc(time_ns: int) -> datetime:
    """An epoch time as an aware datetime."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC)
