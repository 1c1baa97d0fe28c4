"""Every message between processes, and how it is encoded: msgpack with raw arrays, never pickle."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

MAX_MESSAGE_BYTES = 64 << 20
"""A tracklet of an hour at 60 fps with 32 crops stays far below it."""
ARRAY_CODE = 1
RecordingState = Literal["done", "short", "failed", "interrupted"]
"""How a recording ended; `short`: before the length its container declares."""
CameraState = Literal["connecting", "live", "stalled", "frozen", "reconnecting", "stopped"]
"""How a live camera is."""
ARRAY_DTYPES = ("uint8", "int8", "int32", "int64", "float16", "float32")


Level = Literal["info", "warning", "error"]
"""Of a notice."""


class TrackletKey(msgspec.Struct, frozen=True, order=True):
    """What names a tracklet for ever: sent twice, it is still one."""

    recording: int
    """Row of the recording in the store."""
    track: int
    """1-based number of the track in its recording, in order of appearance."""
    part: int
    """0-based number of the part of a long presence."""


class Crop(msgspec.Struct, frozen=True):
    """One picture of a person."""

    frame: int
    time_ns: int
    bbox: NDArray[np.float32]  # (4,) xyxy, px of the upright frame
    quality: float
    jpeg: bytes


class Embedding(msgspec.Struct, frozen=True):
    """What the FPR network says about one crop."""

    cells: NDArray[np.float16]  # (N, C), each of unit length; (0, C) where the store left them out
    foreground: NDArray[np.float16]  # (N,) probability that a cell shows the person
    pooled: NDArray[np.float16]  # (D,) of unit length


class ModelReady(msgspec.Struct, frozen=True, tag=True):
    """ReID worker -> matcher, and -> supervisor: the weights whose embeddings will follow."""

    model: str
    calibration: dict[str, Any] | None
    """What turns this model's distances into probabilities; None: it was never calibrated."""


class TrackletClosed(msgspec.Struct, frozen=True, tag=True):
    """camera worker -> ReID worker: one part of one person's presence in one camera."""

    key: TrackletKey
    camera: str
    frames: NDArray[np.int32]  # (T,) 0-based frame numbers, ascending
    times_ns: NDArray[np.int64]  # (T,) source time
    boxes: NDArray[np.float32]  # (T, 4) xyxy, px
    confidences: NDArray[np.float32]  # (T,) 0 where interpolated
    crops: tuple[Crop, ...]
    closed_s: float | None = None
    """Of a live camera: when it was closed, by the clock that its run's workers share. None: it may wait."""


class TrackletEmbedded(msgspec.Struct, frozen=True, tag=True):
    """ReID worker -> matcher: the tracklet with one embedding for each crop."""

    tracklet: TrackletClosed
    model: str
    embeddings: tuple[Embedding, ...]


class Watermark(msgspec.Struct, frozen=True, tag=True):
    """camera worker -> ReID worker -> matcher: no tracklet of this recording will end before `time_ns`."""

    recording: int
    time_ns: int


class RecordingEnded(msgspec.Struct, frozen=True, tag=True):
    """camera worker -> ReID worker -> matcher, and -> supervisor: no more will come of this recording."""

    recording: int
    state: RecordingState
    frames: int
    detected: int
    duration_s: float = 0.0
    """From the first frame to the last, in source time."""
    message: str = ""


class RecordingStarted(msgspec.Struct, frozen=True, tag=True):
    """camera worker -> ReID worker -> matcher: the source could be opened."""

    recording: int
    width: int
    height: int
    fps: float


class Notice(msgspec.Struct, frozen=True, tag=True):
    """any worker -> supervisor: one line for the person at the terminal."""

    level: Level
    text: str


class Progress(msgspec.Struct, frozen=True, tag=True):
    """any worker -> supervisor: how far it is; may be lost."""

    worker: str
    recording: int
    """0: the worker serves all recordings."""
    frames: int
    total: int | None
    people: int
    stage_s: dict[str, float]
    """Seconds spent so far in each stage, for this recording or worker."""
    left_out: dict[int, int] = {}
    """By recording: crops of live cameras that were not embedded so far, for want of time."""


class CameraHealth(msgspec.Struct, frozen=True, tag=True):
    """camera worker -> supervisor, once a second: how a live camera is; may be lost. Names no URL."""

    camera: str
    recording: int
    state: CameraState
    since_ns: int
    """When it got into this state, UTC."""
    frames_in: int = 0
    """Frames that arrived since the run began."""
    frames_detected: int = 0
    dropped: dict[str, int] = {}
    """Frames not detected, by 'stage:reason'."""
    fps_in: float = 0.0
    fps_detected: float = 0.0
    latency_p50_s: float | None = None
    """From a frame's arrival to the end of its detection and tracking; None: nothing detected of late."""
    latency_p95_s: float | None = None
    reconnects: int = 0
    last_error: str = ""
    clock_offset_s: float | None = None
    """The sender's clock minus ours; None: the stream does not tell."""
    clock_uncertainty_s: float | None = None


class Goodbye(msgspec.Struct, frozen=True, tag=True):
    """Sender -> receiver of a channel that blocks: nothing follows. Answered by the channel itself."""

    answer: Annotated[int, msgspec.Meta(ge=0)]
    """Names the socket where the sender waits for the answer."""


Message = (
    ModelReady
    | TrackletClosed
    | TrackletEmbedded
    | Watermark
    | RecordingStarted
    | RecordingEnded
    | Progress
    | Notice
    | CameraHealth
    | Goodbye
)


class MessageError(ValueError):
    """Bytes that are not one of our messages."""


def encode(message: Message) -> bytes:
    """A message as bytes.

    Raises:
        MessageError: larger than MAX_MESSAGE_BYTES.
    """
    data = msgspec.msgpack.encode(message, enc_hook=pack_array)
    if len(data) > MAX_MESSAGE_BYTES:
        raise MessageError(f"message of {len(data)} bytes, limit {MAX_MESSAGE_BYTES}")
    return data


def decode(data: bytes | memoryview) -> Message:
    """The message in `data`; arrays are read-only views of it.

    Raises:
        MessageError: not one of our messages, or larger than MAX_MESSAGE_BYTES.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise MessageError(f"message of {len(data)} bytes, limit {MAX_MESSAGE_BYTES}")
    try:
        return DECODER.decode(data)
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise MessageError(f"not a message: {error}") from error


def pack_array(value: Any) -> Any:
    """An array as a msgpack extension: dtype, shape, bytes."""
    if not isinstance(value, np.ndarray):
        raise NotImplementedError(f"cannot encode {type(value).__name__}")
    if value.dtype.name not in ARRAY_DTYPES:
        raise MessageError(f"dtype {value.dtype} not in {ARRAY_DTYPES}")
    header = (value.dtype.name, value.shape, np.ascontiguousarray(value).tobytes())
    return msgspec.msgpack.Ext(ARRAY_CODE, msgspec.msgpack.encode(header))


def unpack_array(code: int, data: memoryview) -> NDArray[Any]:
    """The array that `pack_array` wrote."""
    if code != ARRAY_CODE:
        raise MessageError(f"extension {code}")
    dtype, shape, raw = msgspec.msgpack.decode(data, type=tuple[str, tuple[int, ...], bytes])
    if dtype not in ARRAY_DTYPES or any(n < 0 for n in shape):
        raise MessageError(f"array of {dtype} {shape}")
    return np.frombuffer(raw, dtype).reshape(shape)


def keep_array(kind: type, value: Any) -> Any:
    """Accept an array where the type says array."""
    if isinstance(value, np.ndarray):
        return value
    raise ValueError(f"expected an array, got {type(value).__name__}")


DECODER: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(
    Message, ext_hook=unpack_array, dec_hook=keep_array
)
