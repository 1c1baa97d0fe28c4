"""How a live run is, right now: kept by the supervisor, written beside the database, read by `status`."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from pipeline.atomic_files import swapped_file
from pipeline.errors import MendableError
from pipeline.messages import CameraHealth
from pipeline.running.workers.crop_shedding import LEFT_OUT
from pipeline.store.database import now_ns
from pipeline.store.location import locate
from pipeline.urls import redact

WRITE_NS = 1_000_000_000
"""The file is written at most this often."""
DEAD_NS = 10 * WRITE_NS
"""A run, or a camera, that was not heard of for so long hangs or is dead."""


class StatusError(MendableError):
    """There is no status to show; the message says why."""


class CameraStatus(msgspec.Struct, frozen=True):
    """One camera's last report."""

    health: CameraHealth
    heard_ns: int
    """When it reported, UTC."""


class Status(msgspec.Struct, frozen=True):
    """A run's cameras and processes at one moment."""

    pid: int
    """Of the supervisor."""
    started_ns: int
    written_ns: int
    processes: dict[str, int] = {}
    """Process ids of the workers by name."""
    cameras: tuple[CameraStatus, ...] = ()
    """In order of name."""


class StatusBoard:
    """The supervisor's picture of a live run; a context manager that takes the file away at the end.

    Args:
        database: whose run this is.
        clock: UTC, ns.

    Attributes:
        processes: process ids by name; set it whenever a worker starts.
        left_out: by recording, crops that the ReID worker left out; set it whenever it tells.
    """

    def __init__(self, database: str, *, clock: Callable[[], int] = now_ns) -> None:
        self.path, self.clock = status_path(database), clock
        self.started_ns, self.written_ns = clock(), 0
        self.processes: dict[str, int] = {}
        self.cameras: dict[str, CameraStatus] = {}
        self.left_out: dict[int, int] = {}

    def __enter__(self) -> StatusBoard:
        return self

    def __exit__(self, *_: object) -> None:
        self.path.unlink(missing_ok=True)

    def update(self, health: CameraHealth) -> None:
        """Take a camera's report; a reader of the file sees it within a second or so."""
        left_out = self.left_out.get(health.recording, 0)
        dropped = health.dropped | ({LEFT_OUT: left_out} if left_out else {})
        error = redact(health.last_error)
        harmless = msgspec.structs.replace(health, last_error=error, dropped=dropped)
        self.cameras[health.camera] = CameraStatus(harmless, self.clock())
        if self.clock() - self.written_ns >= WRITE_NS:
            self.write()

    def status(self) -> Status:
        """Everything that is known now."""
        cameras = sorted(self.cameras.copy().values(), key=lambda camera: camera.health.camera)
        return Status(os.getpid(), self.started_ns, self.clock(), dict(self.processes), tuple(cameras))

    def write(self) -> None:
        """Replace the file, so that a reader never sees half of one."""
        self.written_ns = self.clock()
        with swapped_file(self.path) as part:
            part.write_bytes(msgspec.json.encode(self.status()))


def status_path(database: str) -> Path:
    """The status file of a database's run: beside an SQLite file, else in the folder for temporary files."""
    location = locate(database)
    if location.path is not None:
        return location.path.with_name(f"{location.path.name}.status.json")
    name = hashlib.sha256(location.name.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"fpr-{os.getuid()}-{name}.status.json"


def read_status(database: str) -> Status:
    """What the database's live run wrote last.

    Raises:
        StatusError: no live run goes on, or its file cannot be read.
    """
    path = status_path(database)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Status)
    except FileNotFoundError as error:
        where = locate(database)
        missing = where.path is not None and not where.path.exists()
        reason = ": no such database, check the path" if missing else ""
        raise StatusError(f"no live run goes on with {where.name}{reason}") from error
    except (OSError, msgspec.MsgspecError) as error:
        raise StatusError(f"{path}: {getattr(error, 'strerror', None) or 'not a status file'}") from error
