"""What one process encodes another decodes; everything else is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.messages import (
    MAX_MESSAGE_BYTES,
    Crop,
    Embedding,
    MessageError,
    Progress,
    RecordingEnded,
    TrackletClosed,
    TrackletEmbedded,
    TrackletKey,
    Watermark,
    decode,
    encode,
)


def tracklet(boxes: int = 3, jpeg: bytes = b"\xff\xd8") -> TrackletClosed:
    crop = Crop(1, 40_000_000, np.array([1, 2, 3, 4], np.float32), 0.5, jpeg)
    return TrackletClosed(
        TrackletKey(7, 1, 0),
        "door",
        np.arange(boxes, dtype=np.int32),
        np.arange(boxes, dtype=np.int64) * 40_000_000,
        np.ones((boxes, 4), np.float32),
        np.ones(boxes, np.float32),
        (crop,),
    )


@given(
    cells=arrays(np.float16, (5, 3), elements=st.floats(-1, 1, width=16)),
    foreground=arrays(np.float16, 5, elements=st.floats(0, 1, width=16)),
)
def test_an_embedded_tracklet_survives_the_wire(cells: np.ndarray, foreground: np.ndarray) -> None:
    sent = TrackletEmbedded(tracklet(), "m", (Embedding(cells, foreground, cells[0]),))
    got = decode(encode(sent))
    assert isinstance(got, TrackletEmbedded)
    np.testing.assert_array_equal(got.embeddings[0].cells, cells)
    np.testing.assert_array_equal(got.tracklet.boxes, sent.tracklet.boxes)
    assert got.tracklet.key == sent.tracklet.key and got.tracklet.crops[0].jpeg == b"\xff\xd8"


@pytest.mark.parametrize(
    "message",
    [Watermark(1, 2), RecordingEnded(1, "short", 5, 3, 0.2, "cut"), Progress("a", 1, 2, None, 0, {"x": 0.5})],
)
def test_small_messages_survive_the_wire(message: Watermark) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=64))
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        decode(data)


def test_a_cut_message_is_refused() -> None:
    data = encode(tracklet())
    for length in range(0, len(data), 7):
        with pytest.raises(MessageError):
            decode(data[:length])


def test_a_message_over_the_limit_is_refused_before_it_is_sent() -> None:
    with pytest.raises(MessageError, match="limit"):
        encode(tracklet(jpeg=bytes(MAX_MESSAGE_BYTES)))


def test_an_array_of_objects_is_refused() -> None:
    broken = TrackletEmbedded(tracklet(), "m", (Embedding(*[np.array([None])] * 3),))
    with pytest.raises(MessageError, match="dtype"):
        encode(broken)
