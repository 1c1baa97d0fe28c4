"""What the store says about a site."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import MatcherConfig
from pipeline.linking.site import Place
from pipeline.linking.site_knowledge import places, site_of
from pipeline.store.cameras import add_camera
from pipeline.store.corrections import split
from pipeline.store.database import Store
from pipeline.store.models import keep_calibration
from pipeline.store.open_store import open_store
from pipeline.store.recordings import start_recording
from pipeline.store.runs import begin_run
from pipeline.store.tracklets import stored_tracklets
from reid.sets.tracklets import Calibration
from tests.store_scene import MODEL, fill, recording


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "b.db", create=True, write=True)


def test_only_live_recordings_have_a_shorter_first_part(store: Store) -> None:
    with store:
        recorded = recording(store, "gate")
        run = begin_run(store, command="run", config={}, software="test")
        camera = add_camera(store, "hall", clock_known=True, overlaps=["gate"])
        live = start_recording(store, run=run, camera=camera, source="x", fingerprint=None, start_ns=0)
        assert places(store, first_part_ns=5) == {
            recorded: Place("gate", True),
            live: Place("hall", True, frozenset({"gate"}), 5),
        }


CALIBRATION = {
    **Calibration(-4.0, -8.0, -4.0, 0.0, 0.0, 4.0, 1.0, 0.6).as_dict(),
    "pairs": {"cosine": -20.0, "fpr": -20.0, "intercept": 3.5, "stranger_cosine": 0.9, "stranger_fpr": 0.3},
}


def test_a_site_knows_what_operators_said_and_where_everybody_was(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        keep_calibration(store, MODEL, CALIBRATION)
        first, *others = (t for t in stored_tracklets(store) if t.camera == "hall" and t.key.track != 2)
        split(store, 1, [first.id])
        site = site_of(store, MatcherConfig(), MODEL)
        pair = (min(first.id, others[-1].id), max(first.id, others[-1].id))
        assert pair in site.said.cannot and site.model == MODEL
        assert site.calibration.intercept == 3.5
        (meeting,) = site.doubles.meetings([(1, 1)]).values()
        assert meeting is not None and meeting.together == meeting.frames == 25
        assert {site.clock_of(tracklet) for tracklet in (first, *others)} == {0}
