"""What is known of a site before anybody is looked at: its cameras, what operators said, the settings."""

from __future__ import annotations

from functools import partial

from pipeline.config import MatcherConfig
from pipeline.linking.double_boxes import Doubles
from pipeline.linking.site import Place, Site
from pipeline.store.cameras import stored_cameras
from pipeline.store.corrections import constraints
from pipeline.store.database import Store
from pipeline.store.models import stored_calibration
from pipeline.store.recordings import live_recordings, recording_cameras
from pipeline.store.tracklets import stored_trajectories
from reid.sets.affinity import PairCalibration


def site_of(store: Store, settings: MatcherConfig, model: str) -> Site:
    """The site as the store knows it now."""
    calibration = PairCalibration.from_dict(stored_calibration(store, model))
    doubles = Doubles(partial(stored_trajectories, store))
    return Site(places(store), constraints(store), settings, calibration, model, doubles)


def places(store: Store, *, first_part_ns: int | None = None) -> dict[int, Place]:
    """Where every recording in the store was made; `first_part_ns` holds for the live ones."""
    live = live_recordings(store)
    cameras = {camera.id: camera for camera in stored_cameras(store)}
    return {
        recording: Place(
            cameras[c].name,
            cameras[c].clock_known,
            frozenset(cameras[c].overlaps),
            first_part_ns if recording in live else None,
        )
        for recording, c in recording_cameras(store).items()
    }
