"""Where a page ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.queries.cursors import CursorError, PeopleCursor, TracksCursor, cut, read, written

NUMBERS = st.integers(-(2**63), 2**63 - 1)


@given(NUMBERS, NUMBERS, st.text(max_size=64), NUMBERS, NUMBERS, NUMBERS)
def test_a_cursor_reads_back_as_it_was_written(
    version: int, start_ns: int, camera: str, track: int, part: int, tracklet: int
) -> None:
    cursor = TracksCursor(version, start_ns, camera, track, part, tracklet)
    text = written(cursor)
    assert read(text, TracksCursor) == cursor
    assert text.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("text", ["", "7", "P7", "a b", "é", written(TracksCursor(1, 0, "hall", 1, 0, 1))])
def test_what_is_no_cursor_of_this_question_is_refused(text: str) -> None:
    with pytest.raises(CursorError, match="give the `next` of the page before"):
        read(text, PeopleCursor)


def test_a_page_holds_at_least_one() -> None:
    assert cut([1, 2, 3], 2) == [1, 2] and cut([1], None) == [1]
    with pytest.raises(ValueError, match="limit = 0, at least 1"):
        cut([1], 0)
