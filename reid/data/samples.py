"""One crop of one person, and what can be wrong with a data set."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


class DatasetMissing(FileNotFoundError):
    """A data set's archive or folder is not there."""


class DatasetChanged(ValueError):
    """A data set does not hold what its publication says, or a file name has no identity in it."""


class DatasetRefused(ValueError):
    """A data set that this project does not touch, or does not know."""


@dataclass(frozen=True)
class Sample:
    """One crop of one person; the picture is decoded when it is asked for."""

    name: str
    """`dataset/split/file`: unique over all data sets."""
    pid: int
    """Identity within its `dataset/split` namespace, see `identity`; 0 for Market-1501's distractors."""
    camera: int
    encoded: bytes
    """The image file as it was read: JPEG, PNG or TIFF."""

    @property
    def identity(self) -> str:
        """The person, unique over all data sets: `dataset/split/pid`."""
        return f"{self.name.rsplit('/', 1)[0]}/{self.pid}"

    @property
    def image(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB.

        Raises:
            DatasetChanged: the bytes are no image.
        """
        bgr = cv2.imdecode(np.frombuffer(self.encoded, np.uint8), cv2.IMREAD_COLOR) if self.encoded else None
        if bgr is None:
            raise DatasetChanged(f"{self.name}: not an image")
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
