"""Re-clustering from a terminal, beside whoever changes something meanwhile."""

from __future__ import annotations

import pytest

from pipeline.cli.show_recluster import TRIES, newest
from pipeline.linking.recluster import Reclustered
from pipeline.running.requests import BusyWriter

DONE = Reclustered(2, 0, 0, 0, (), {})


def test_it_is_thought_out_again_where_somebody_was_corrected_meanwhile() -> None:
    outcomes: list[Reclustered | Exception] = [BusyWriter("version 2 was made meanwhile"), DONE]

    def thinking() -> Reclustered:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert newest(thinking) is DONE and not outcomes


def test_where_that_happens_every_time_it_is_said_so() -> None:
    tried = []

    def thinking() -> Reclustered:
        tried.append(1)
        raise BusyWriter("version 2 was made meanwhile")

    with pytest.raises(BusyWriter, match="made meanwhile"):
        newest(thinking)
    assert len(tried) == TRIES
