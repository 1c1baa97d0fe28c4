"""When the recordings of a configuration begin, where it does not say: by the names of their files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.cameras.clips import find, name_times
from pipeline.cameras.containers import open_container
from pipeline.cameras.frames import SourceError
from pipeline.cameras.picture_folders import times_of
from pipeline.cameras.recordings import single_file
from pipeline.config import CameraConfig
from pipeline.time_zones import EPOCH, on_the_clock, zone_label, zone_named


class Begin(NamedTuple):
    """When a recording begins by its names, and its first file."""

    time_ns: int | None
    """UTC epoch; None where the names do not say it."""
    first: Path


class Started(NamedTuple):
    """Cameras with their starts, and what to tell of them."""

    cameras: tuple[CameraConfig, ...]
    notes: tuple[str, ...]
    """One line for each start that was found or is offered."""


def with_starts(cameras: Sequence[CameraConfig]) -> Started:
    """The cameras, each recording with the start that its files' names say.

    A camera that has a start keeps it. What a container says of its own making is only offered: many
    recorders write local time for UTC, or the time of a copy.
    """
    started, notes = [], []
    for camera in cameras:
        found, note = with_start(camera) if needs_start(camera) else (camera, "")
        started.append(found)
        notes += [f"{camera.name}: {note}"] if note else []
    return Started(tuple(started), tuple(notes))


def needs_start(camera: CameraConfig) -> bool:
    """Whether a camera is a recording of unknown start."""
    return not camera.live and camera.start is None


def with_start(camera: CameraConfig) -> tuple[CameraConfig, str]:
    """The camera with its start, if its names say one, and one line about that."""
    try:
        begin = begin_by_names(camera)
    except SourceError:
        return camera, ""  # it is told when the camera is opened
    if begin.time_ns is None:
        made = made_at(begin.first)
        offer = f"{begin.first.name} says that it was made {made}: `start: {made}` takes that" if made else ""
        return camera, offer
    zone = zone_named(camera.timezone)
    shown = on_the_clock(begin.time_ns, zone).isoformat(sep=" ", timespec="seconds")
    start = EPOCH + timedelta(microseconds=begin.time_ns // 1000)
    return msgspec.structs.replace(camera, start=start), f"begins {shown} ({zone_label(zone)}), by its name"


def begin_by_names(camera: CameraConfig) -> Begin:
    """When a recording begins by the names of its files.

    Raises:
        SourceError: it cannot be found.
    """
    if (path := single_file(camera)) is not None:
        named = name_times(camera).of(path.absolute())
        return Begin(named.time_ns if named else None, path)
    found = find(camera)
    if found.clips:
        return Begin(found.clips[0].start_ns, found.clips[0].path)
    times = None if camera.fps else times_of(camera, found.pictures)
    return Begin(min(times) if times else None, found.pictures[0])


def made_at(path: Path) -> str | None:
    """When a container says that it was made, as an ISO time in UTC; None where it does not."""
    try:
        with open_container(path) as container:
            said = datetime.fromisoformat(container.metadata["creation_time"])
    except (SourceError, OSError, KeyError, ValueError):
        return None
    return said.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if said.tzinfo and said.year > 1990 else None
