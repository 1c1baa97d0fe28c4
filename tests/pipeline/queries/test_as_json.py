"""Records as JSON."""

from __future__ import annotations

import json

from pipeline.queries.as_json import as_json, with_utc
from tests.store_scene import EIGHT_NS


def test_every_time_in_json_has_its_iso_time_where_the_clock_is_known() -> None:
    record = {"clock_known": False, "start_ns": 5, "links": [{"clock_known": True, "end_ns": EIGHT_NS}]}
    joined = with_utc(record)
    assert joined["start_utc"] is None
    assert joined["links"][0]["end_utc"] == "2026-01-31T08:00:00.000000+00:00"


def test_records_and_values_by_key_are_one_document() -> None:
    assert json.loads(as_json({"seen": ({"start_ns": EIGHT_NS},), 7: "seven"})) == {
        "seen": [{"start_ns": EIGHT_NS, "start_utc": "2026-01-31T08:00:00.000000+00:00"}],
        "7": "seven",
    }
