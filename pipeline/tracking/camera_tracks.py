"""One camera's detected frames to closed tracklets: region of interest, tracker, tracklet builder."""

from __future__ import annotations

from pipeline.cameras.frames import Image
from pipeline.config import CameraConfig, Config
from pipeline.messages import TrackletClosed
from pipeline.tracking.detect import Detections
from pipeline.tracking.track import Tracker, colours_of
from pipeline.tracking.tracklets import TrackletBuilder


class CameraTracks:
    """Everybody who is in view of one camera.

    Args:
        camera: name, region of interest.
        recording: its row in the store.
        config: the run's configuration.
        first_part_s: see `TrackletBuilder`.
        first_track: number of the first track.
    """

    def __init__(
        self,
        camera: CameraConfig,
        recording: int,
        config: Config,
        *,
        first_part_s: float | None = None,
        first_track: int = 1,
    ) -> None:
        self.camera = camera
        self.tracker = Tracker(config.tracker)
        self.tracker.next_number = first_track
        self.builder = TrackletBuilder(camera.name, recording, config.tracklets, first_part_s=first_part_s)
        self.people = 0
        """Tracks so far."""
        self.going_on: set[int] = set()

    def update(
        self, frame: int, time_ns: int, image: Image, detections: Detections, *, away_ns: int = 0
    ) -> list[TrackletClosed]:
        """The tracklets that one more detected frame closes.

        Args:
            frame: its number.
            time_ns: source time.
            image: (H, W, 3) RGB.
            detections: boxes in pixels.
            away_ns: time without a picture so far, which is none to the tracker.
        """
        kept = inside(detections, self.camera.roi, image.shape)
        colours = colours_of(image, kept.boxes)
        tracked = self.tracker.update(kept.boxes, kept.confidences, time_ns - away_ns, colours)
        seen = {observation.track for observation in tracked.observations}
        self.people += len(seen - self.going_on)
        self.going_on = (self.going_on | seen) - set(tracked.ended)
        return self.builder.add(frame, time_ns, image, tracked.observations, tracked.ended)


def inside(
    detections: Detections, roi: tuple[tuple[float, float], ...] | None, shape: tuple[int, ...]
) -> Detections:
    """The detections whose feet (middle of the lower edge) are in the region of interest.

    Args:
        detections: boxes in pixels.
        roi: polygon in fractions of width and height, or None for the whole picture.
        shape: (height, width, ...) of the frame.
    """
    if roi is None:
        return detections
    height, width = shape[:2]
    feet = [((x1 + x2) / 2 / width, y2 / height) for x1, _, x2, y2 in detections.boxes.tolist()]
    keep = [in_polygon(x, y, roi) for x, y in feet]
    return Detections(detections.boxes[keep], detections.confidences[keep])


def in_polygon(x: float, y: float, polygon: tuple[tuple[float, float], ...]) -> bool:
    """Whether a point is inside a polygon (even-odd rule; a point on the lower frame edge counts)."""
    y = min(y, 1 - 1e-6)
    crossings = 0
    for (x1, y1), (x2, y2) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            crossings += 1
    return crossings % 2 == 1
