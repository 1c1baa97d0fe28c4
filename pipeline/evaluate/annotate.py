"""Truth files from a run and an operator's word, so that users can measure on their own cameras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from pipeline.atomic_files import replaced_folder
from pipeline.boxes import first_in_frame
from pipeline.errors import MendableError
from pipeline.evaluate.found_boxes import FoundBoxes, read_found
from pipeline.evaluate.labels import Mask
from pipeline.queries.export import ExportWriteError
from pipeline.store.audit import audit
from pipeline.store.corrections import constraints, corrections
from pipeline.store.database import Store
from pipeline.store.versions import current_version

Trust = Literal["confirmed", "everything"]
"""confirmed: only tracklets that an operator said belong together; the truth is partial."""


class NothingConfirmedError(MendableError, kind="not found"):
    """No operator said anything that truth could be made of."""


class Annotated(msgspec.Struct, frozen=True):
    """What was written."""

    cameras: dict[str, int]
    """Boxes by camera."""
    people: int
    unsure: int
    """Boxes marked as not to be counted."""


def annotate(store: Store, out: Path, *, trust: Trust = "confirmed") -> Annotated:
    """Write OUT/gt_CAMERA.txt for every camera: MOT text, frames from 1, ids shared by all cameras. Audited.

    Boxes are the run's own, so this truth measures linking and says nothing about people nobody detected.
    Tracklets of which an operator was not sure are marked 0 in column 7: they count neither way.

    Args:
        store: any open store; the newest identity version is the truth.
        out: a folder; files of the same name are replaced.
        trust: see `Trust`.

    Raises:
        NothingConfirmedError: nothing to write.
        ExportWriteError: OUT cannot be written.
    """
    confirmed = {tracklet for pair in constraints(store).must for tracklet in pair}
    answers = [c for c in corrections(store) if c.kind == "unsure" and not c.undone]
    unsure = {tracklet for answer in answers for tracklet in answer.sides[1]} - confirmed
    found = read_found(store)
    chosen = {name: part.where(trusted(part, confirmed | unsure, trust)) for name, part in found.items()}
    if not any(len(part.tracks) for part in chosen.values()):
        raise NothingConfirmedError("no link was confirmed yet: answer some with `review` first")
    audit(store, "export", str(out.resolve()), {"format": "truth", "version": current_version(store)})
    try:
        with replaced_folder(out) as folder:
            for name, part in chosen.items():
                (folder / f"gt_{name}.txt").write_text("".join(mot_lines(part, unsure)), encoding="ascii")
    except OSError as error:
        raise ExportWriteError(f"{out}: cannot be written: {error.strerror or error}") from error
    return Annotated(
        cameras={name: len(part.tracks) for name, part in chosen.items()},
        people=len({person for part in chosen.values() for person in part.identities.tolist()}),
        unsure=sum(int(np.isin(part.tracklets, list(unsure)).sum()) for part in chosen.values()),
    )


def trusted(found: FoundBoxes, spoken_of: set[int], trust: Trust) -> Mask:
    """(B,) whether a box is truth: the surest of somebody in its frame; if asked for, of those spoken of."""
    counts = found.identities > 0
    if trust != "everything":
        counts &= np.isin(found.tracklets, list(spoken_of))
    rows = np.flatnonzero(counts)
    keys = np.stack([found.tracks.frames[rows], found.identities[rows]], axis=1)
    counts[rows[~first_in_frame(keys)]] = False
    return counts


def mot_lines(found: FoundBoxes, unsure: set[int]) -> Sequence[str]:
    """`frame,id,left,top,width,height,counts,1,1` for each box."""
    counts = ~np.isin(found.tracklets, list(unsure))
    tracks = found.tracks
    rows = zip(tracks.frames, found.identities, tracks.boxes.tolist(), counts, strict=True)
    return [
        f"{frame + 1},{person},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{int(good)},1,1\n"
        for frame, person, (x1, y1, x2, y2), good in rows
    ]
