"""The matcher of a run, with what the store knows of the site; it knows nobody yet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pipeline.config import Config
from pipeline.linking.gallery import FprGallery
from pipeline.linking.look_back import CROPS_RECALLED, LookBack
from pipeline.linking.match import Matcher
from pipeline.linking.site_knowledge import places, site_of, stored_judgement
from pipeline.store.database import Store
from pipeline.store.tracklets import stored_tracklets


def open_matcher(store: Store, config: Config, model: str, new_identity: Callable[[], int]) -> LookBack:
    """A matcher that knows nobody yet, for the recordings in the store.

    Raises:
        UnusableWeightsError: the model was never calibrated.
    """
    matcher = Matcher(
        config.matcher,
        places(store, first_part_ns=round(config.live.first_part_s * 1e9)),
        FprGallery(config.matcher.exemplars, stored_judgement(store, model).links),
        new_identity,
        part_ns=round(config.tracklets.part_s * 1e9),
        model=model,
    )
    recall = partial(stored_tracklets, store, crops=CROPS_RECALLED)
    return LookBack(matcher, site_of(store, config.matcher, model), recall)
