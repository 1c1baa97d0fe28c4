"""ReID worker: owns the accelerator; turns the crops of closed tracklets into embeddings."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.config import ReidConfig
from pipeline.encoded_images import decode_image
from pipeline.messages import (
    Embedding,
    Message,
    MessageError,
    ModelReady,
    Notice,
    Progress,
    RecordingEnded,
    TrackletClosed,
    TrackletEmbedded,
)
from pipeline.parents import minding
from pipeline.reid_weights import UnusableWeightsError, embedder_of
from pipeline.running.channels import (
    EMBEDDED,
    PROGRESS,
    TRACKLETS,
    Link,
    Receiver,
    Sender,
    clock_of,
    open_context,
)
from pipeline.running.workers.crop_shedding import Haste
from reid.embed import CropEmbedding, Embedder

GPU_BATCH = 32
"""Messages taken together on an accelerator; one at a time on a CPU, which gains nothing from more."""
PROGRESS_S = 0.5


class ReidJob(msgspec.Struct, frozen=True):
    """What the ReID worker is started with."""

    link: Link
    recordings: tuple[int, ...]
    """It ends when all of these have."""
    live: tuple[int, ...]
    """Those that are watched live: nobody can read them again."""
    config: ReidConfig


def main(job: bytes, stopped: Callable[[], bool]) -> None:
    """Run the ReID worker until every recording has ended.

    Args:
        job: an encoded `ReidJob`.
        stopped: whether the run is being stopped.
    """
    work = msgspec.msgpack.decode(job, type=ReidJob)
    context = open_context()
    alive = minding(work.link.parent)
    receiver = Receiver(context, work.link, TRACKLETS)
    sender = Sender(context, work.link, EMBEDDED, alive)
    progress = Sender(context, work.link, PROGRESS, alive)
    try:
        embedder = embedder_of(work.config)
        progress.send(Notice("info", embedder.terms))
        ready = ModelReady(embedder.model_id, embedder.calibration)
        sender.send(ready)
        progress.send(ready)
        haste = Haste(stopped, clock_of(work.link), frozenset(work.live))
        serve(embedder, receiver, sender.send, progress.send, set(work.recordings), alive, haste)
    except UnusableWeightsError as error:
        progress.send(Notice("error", str(error)))
        sys.exit(1)
    finally:
        receiver.close()
        sender.close()
        progress.close()
        context.term()


def serve(
    embedder: Embedder,
    receiver: Receiver,
    send: Callable[[Message], None],
    report: Callable[[Message], None],
    running: set[int],
    alive: Callable[[], bool],
    haste: Haste,
) -> None:
    """Embed and pass on, in the order of arrival, until no recording is `running`."""

    def refuse(error: MessageError) -> None:
        report(Notice("error", f"reid: a message was refused: {error}"))

    seconds: defaultdict[str, float] = defaultdict(float)
    batch = GPU_BATCH if embedder.device == "cuda" else 1
    done, reported_s = 0, 0.0
    while running and alive():
        messages = [haste.lightened(message) for message in receiver.receive_batch(batch, refuse)]
        started = time.perf_counter()
        outgoing = embed_messages(embedder, messages, report)
        seconds["embed"] += time.perf_counter() - started
        for message in outgoing:
            send(message)
            if isinstance(message, RecordingEnded):
                running.discard(message.recording)
        done += sum(isinstance(m, TrackletEmbedded) for m in outgoing)
        if time.monotonic() - reported_s > PROGRESS_S or not running:
            reported_s = time.monotonic()
            report(Progress("reid", 0, done, None, 0, dict(seconds), dict(haste.left_out)))


def embed_messages(
    embedder: Embedder, messages: list[Message], report: Callable[[Message], None]
) -> list[Message]:
    """The messages in their order, each closed tracklet with its embeddings."""
    tracklets = [m for m in messages if isinstance(m, TrackletClosed)]
    try:
        pictures = [decode_jpeg(crop.jpeg) for tracklet in tracklets for crop in tracklet.crops]
        embeddings = iter(embedder.embed(pictures) if pictures else [])
        embedded = {
            id(t): TrackletEmbedded(
                t, embedder.model_id, tuple(message_of(next(embeddings)) for _ in t.crops)
            )
            for t in tracklets
        }
    except (RuntimeError, ValueError) as error:
        report(Notice("error", f"reid: {len(tracklets)} tracklet(s) not embedded: {error!r}"))
        embedded = {id(t): TrackletEmbedded(t, embedder.model_id, ()) for t in tracklets}
    return [embedded.get(id(m), m) for m in messages]


def message_of(embedding: CropEmbedding) -> Embedding:
    """The network's answer for one crop as a message."""
    return Embedding(embedding.cells, embedding.foreground, embedding.pooled)


def decode_jpeg(jpeg: bytes) -> NDArray[np.uint8]:
    """The picture (H, W, 3) uint8 RGB in JPEG (or PNG) bytes.

    Raises:
        ValueError: not a picture.
    """
    image = decode_image(jpeg)
    if image is None:
        raise ValueError(f"not a picture ({len(jpeg)} bytes)")
    return image
