"""What is kept of each network."""

from __future__ import annotations

from pipeline.store.database import Store
from pipeline.store.models import keep_calibration, stored_calibration
from pipeline.store.tracklets import add_tracklets
from tests.store_scene import recording, tracklet


def test_a_models_calibration_is_kept_before_and_after_its_first_tracklet(store: Store) -> None:
    assert stored_calibration(store, "fpr-test") is None
    keep_calibration(store, "fpr-test", {"a": 1.5})
    add_tracklets(store, [tracklet(recording(store, "hall"), 1)])
    assert stored_calibration(store, "fpr-test") == {"a": 1.5}
    keep_calibration(store, "fpr-test", None)
    assert stored_calibration(store, "fpr-test") is None
