"""Links the whole store again, as a new identity version, after tracklets came out of their order."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import count

import msgspec

from pipeline.config import Config
from pipeline.linking.enforce_corrections import enforced
from pipeline.linking.keep_numbers import keep_numbers
from pipeline.linking.open_matcher import open_matcher
from pipeline.records import Sighting
from pipeline.store.corrections import constraints
from pipeline.store.database import Store
from pipeline.store.identity_claims import add_version, identities_of_tracklets, new_identity
from pipeline.store.models import newest_model
from pipeline.store.tracklets import stored_tracklets
from pipeline.store.versions import current_version, is_late


def relink(store: Store, config: Config) -> int | None:
    """The new identity version, or None where the order was right and nothing had to change.

    Tracklets older than what was linked before them (a camera added later, a recording started over) were
    compared with a gallery that knew the future. Linked again from the first to the last, the identities do
    not depend on when each recording was read. People keep their numbers: a new identity takes the number of
    the old one it shares most tracklets with. What operators said holds.
    """
    current = current_version(store)
    if current is None or not is_late(store, current):
        return None
    numbers = count(1)
    matcher = open_matcher(store, config, newest_model(store), lambda: next(numbers))
    sightings: dict[int, Sighting] = {}
    for tracklet in stored_tracklets(store):
        sightings |= {s.tracklet: s for s in matcher.update(tracklet)}
    sightings |= {s.tracklet: s for s in matcher.advance(None)}
    said = enforced(
        {tracklet: s.identity for tracklet, s in sightings.items()},
        constraints(store),
        lambda: next(numbers),
    )
    sightings = {
        tracklet: msgspec.structs.replace(s, identity=said[tracklet]) for tracklet, s in sightings.items()
    }
    before = identities_of_tracklets(store, current)
    names = keep_numbers(said, before, partial(new_identity, store))
    note = "recordings were read out of their order"
    return add_version(store, "relink", note, [named(sighting, names) for sighting in sightings.values()])


def named(sighting: Sighting, names: Mapping[int, int]) -> Sighting:
    """The sighting with the numbers people know."""
    runner_up = names.get(sighting.runner_up) if sighting.runner_up is not None else None
    return msgspec.structs.replace(sighting, identity=names[sighting.identity], runner_up=runner_up)
