"""What is known of a site before anybody is looked at: its cameras, what operators said, the settings."""

from __future__ import annotations

from functools import partial

from pipeline.config import MatcherConfig
from pipeline.linking.double_boxes import Doubles
from pipeline.linking.site import Place, Site
from pipeline.reid_weights import Judgement, calibrating, judgement_of, newer_notes
from pipeline.store.cameras import stored_cameras
from pipeline.store.corrections import constraints
from pipeline.store.database import Store
from pipeline.store.models import stored_calibration
from pipeline.store.recordings import live_recordings, recording_cameras
from pipeline.store.runs import last_config
from pipeline.store.tracklets import stored_trajectories
from pipeline.stored_config import networks_of
from reid.sets.affinity import PairCalibration

NOBODY_COMPARED = PairCalibration(cosine=0.0, fpr=0.0, intercept=0.0, stranger_cosine=1.0, stranger_fpr=1.0)
"""Where nothing was ever embedded."""


def site_of(store: Store, settings: MatcherConfig, model: str) -> Site:
    """The site as the store knows it now.

    Raises:
        UnusableWeightsError: the model was never calibrated.
    """
    calibration = stored_judgement(store, model).pairs if model else NOBODY_COMPARED
    doubles = Doubles(partial(stored_trajectories, store))
    return Site(places(store), constraints(store), settings, calibration, model, doubles)


def stored_judgement(store: Store, model: str) -> Judgement:
    """What distances between a model's embeddings mean, as its weights said when they were last in use.

    Databases that were made before weights carried slopes of pairs ask the file of the weights.

    Raises:
        UnusableWeightsError: nothing says so.
    """
    notes, name = stored_calibration(store, model), store.location.name
    if notes and "pairs" in notes:
        return judgement_of(notes, name, "python -m reid.calibrate")
    settings = networks_of(last_config(store), name).reid
    return judgement_of(newer_notes(settings, model) or notes, f"{name} ({model})", calibrating(settings))


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
