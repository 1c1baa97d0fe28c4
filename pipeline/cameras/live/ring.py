"""Pictures shared between a capture process and its camera worker; no name of them can be left behind."""

from __future__ import annotations

import mmap
import os
import tempfile

import numpy as np
from numpy.typing import NDArray

SLOTS = 6
"""One that is detected, four that wait (0.8 s at 5 Hz), one that is written."""


def shared_memory(size_bytes: int) -> int:
    """File descriptor of so much memory; the system frees it with the last process that has it open."""
    descriptor = os.memfd_create("frames") if hasattr(os, "memfd_create") else unlinked_file()
    os.truncate(descriptor, size_bytes)
    return descriptor


def unlinked_file() -> int:
    """Descriptor of a file that nobody else can open."""
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Ring:
    """`SLOTS` pictures of one size; who may touch which is agreed by messages.

    Args:
        descriptor: from `shared_memory`, of at least `Ring.size_bytes`; closed here, the memory stays mapped.
        width: of a picture, px.
        height: of a picture, px.
    """

    def __init__(self, descriptor: int, width: int, height: int) -> None:
        try:
            memory = mmap.mmap(descriptor, self.size_bytes(width, height))
        finally:
            os.close(descriptor)
        self.pictures: NDArray[np.uint8] = np.frombuffer(memory, np.uint8).reshape(SLOTS, height, width, 3)

    @staticmethod
    def size_bytes(width: int, height: int) -> int:
        """Memory for all slots."""
        return SLOTS * width * height * 3
