"""Many clips of one camera as one source: one time line with holes, one count of frames."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace as with_changes
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from pipeline.cameras.clips import SHOWN, Clip
from pipeline.cameras.containers import fingerprint
from pipeline.cameras.frames import SECOND_NS, Frame, Image, Repairs, Source, SourceError
from pipeline.cameras.shapes import letterbox
from pipeline.cameras.source_clock import said_s
from pipeline.cameras.video_file import VideoSource
from pipeline.config import CameraConfig

ROUND_NS = SECOND_NS
"""Names say whole seconds: a clip that seems to begin this little before the last one ended follows it."""


class ClipSource(Source):
    """Clips read one after the other.

    Their frames have the times that the clips' names say, counted from the first one's; what lies before the
    end of the clip before is the same view again, and is left out.

    Args:
        camera: how its pictures and times are meant.
        clips: in order; all with a start or none.
        threads: for decoding; 0: as many as there are cores.
        notes: what to tell before reading.

    Raises:
        SourceError: none of them can be read.
    """

    def __init__(
        self, camera: CameraConfig, clips: Sequence[Clip], threads: int, notes: tuple[str, ...] = ()
    ) -> None:
        self.camera, self.clips, self.threads, self.notes = camera, clips, threads, notes
        self.repairs = Repairs()
        self.unread: list[str] = []
        self.begin_ns = camera.start_ns
        self.reached_ns = camera.start_ns  # end of what was read so far
        self.named_ns = -1  # beginning of the clip before, by its name
        self.index = self.bytes_read = 0
        self.bytes_all = sum(clip.size_bytes for clip in clips)
        self.at = 0
        self.open: VideoSource | None = None
        mark = clips_fingerprint(clips)
        self.open = self.open_next()
        if self.open is None:
            raise SourceError(f"{camera.place}: none of its {len(clips)} clips can be read: {self.unread[0]}")
        self.info = with_changes(self.open.info, fingerprint=mark, duration_s=None, frames=None)
        self.size = self.info.width, self.info.height
        self.estimate(self.open.info.frames or 0, self.clips[self.at].size_bytes)

    def __iter__(self) -> Iterator[Frame]:
        """The frames of all clips, once; `shortfall` is known after the last."""
        while self.open is not None:
            yield from self.frames_of(self.open, self.clips[self.at])
            self.close()
            self.bytes_read += self.clips[self.at].size_bytes
            self.estimate(self.index, self.bytes_read)
            self.at += 1
            self.open = self.open_next()
        self.shortfall = self.unread_words()

    def close(self) -> None:
        """Give back the clip that is open."""
        if self.open is not None:
            self.open.close()

    def open_next(self) -> VideoSource | None:
        """The next clip that can be read; None after the last."""
        while self.at < len(self.clips):
            clip = self.clips[self.at]
            try:
                undated = msgspec.structs.replace(self.camera, start=None)
                return VideoSource(undated, clip.path, self.threads, mark="")
            except SourceError as error:
                self.unread.append(str(error).removeprefix(f"{clip.path.parent}/"))
            except OSError as error:
                self.unread.append(f"{clip.path.name}: {(error.strerror or str(error)).lower()}")
            self.at += 1
        return None

    def frames_of(self, source: VideoSource, clip: Clip) -> Iterator[Frame]:
        """The frames of one clip with the camera's times and numbers."""
        begins_ns = self.begin_of(clip)
        same_view = 0
        ended_ns = self.reached_ns
        period_ns = round(SECOND_NS / source.info.fps)
        try:
            for frame in source:
                time_ns = begins_ns + frame.time_ns
                if time_ns < ended_ns:
                    same_view += 1
                    continue
                yield Frame(self.index, time_ns, partial(self.fitted, frame))
                self.index += 1
                self.reached_ns = time_ns + period_ns
        except SourceError as error:
            self.unread.append(str(error).removeprefix(f"{clip.path.parent}/"))
        if source.shortfall:
            self.unread.append(f"{clip.path.name} {source.shortfall}")
        if same_view:
            said = said_s(ended_ns - begins_ns)
            self.repairs.tell(
                f"{clip.path.name} begins {said} before the clip before it ends: "
                f"{same_view} frames of the same view left out"
            )
        self.repairs.add(source.repairs, clip.path.name)

    def begin_of(self, clip: Clip) -> int:
        """Source time of a clip's beginning."""
        if clip.start_ns is None:
            return self.reached_ns
        first_ns = self.clips[0].start_ns or 0
        named_ns = self.begin_ns + clip.start_ns - first_ns
        rounded = self.named_ns < named_ns < self.reached_ns <= named_ns + ROUND_NS
        self.named_ns = named_ns
        return self.reached_ns if rounded else named_ns

    def fitted(self, frame: Frame) -> Image:
        """A picture in the size of the first clip's."""
        image = frame.image
        if (image.shape[1], image.shape[0]) == self.size:
            return image
        self.repairs.resized += 1
        return np.asarray(letterbox(image, *self.size), np.uint8)

    def estimate(self, frames: int, size_bytes: int) -> None:
        """Expect as many frames a byte of what is left as of what is known."""
        total = round(frames * self.bytes_all / size_bytes) if size_bytes else None
        seconds = total / self.info.fps if total else None
        self.info = with_changes(self.info, frames=total, duration_s=seconds)

    def unread_words(self) -> str | None:
        """One line of what could not be read; None where all could."""
        if not self.unread:
            return None
        shown = "; ".join(self.unread[:SHOWN]) + ("; ..." if len(self.unread) > SHOWN else "")
        return f"{len(self.unread)} of {len(self.clips)} clips are missing or cut: {shown}"


def clips_fingerprint(clips: Sequence[Clip]) -> str:
    """sha256 of names and sizes, and of the ends of the first and the last clip."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(f"{clip.path.name}/{clip.size_bytes}/{clip.start_ns}\n".encode())
    for clip in (clips[0], clips[-1]):
        digest.update(ends_of(clip.path).encode())
    return digest.hexdigest()


def ends_of(path: Path) -> str:
    """A file's fingerprint; empty where it cannot be read, which is told when its turn comes."""
    try:
        return fingerprint(path)
    except OSError:
        return ""
