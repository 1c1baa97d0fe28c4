"""One box that somebody labelled, and the word for truth that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import MendableError

PERSON = ("person", "id", "identity", "track_id")
"""Names that the column or attribute of the person may have; the first there is counts."""


class TruthError(MendableError, kind="wrong input"):
    """The truth cannot be read; the message names the file, the line and what is wrong."""


@dataclass(frozen=True)
class LabelledBox:
    """One labelled box."""

    camera: str | None
    """None: the file is about one camera."""
    frame: int
    person: int
    box: tuple[float, float, float, float]  # xyxy, px
    ignored: bool = False
    """Neither finding nor missing it counts."""
