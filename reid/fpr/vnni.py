"""The 8-bit kernel in C: `python -m reid.fpr.vnni` builds it at set-up; without it float32 does the same."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.fpr.forms import Quantised

SOURCE = Path(__file__).with_name("vnni.c")
PANEL = 64
"""Probe cells the kernel takes at once."""
FLAGS = ("avx512f", "avx512bw", "avx512_vnni")


class BuildError(Exception):
    """The kernel cannot be built here; the message says why."""


class Kernel:
    """The compiled kernel. It holds no lock: several threads may call it."""

    def __init__(self, library: Path) -> None:
        """Load it.

        Raises:
            OSError: not a library of this machine.
        """
        self.call = ctypes.CDLL(str(library)).fpr_lengths
        self.call.restype = None

    def lengths(
        self,
        images: Quantised,
        cells: NDArray[np.uint8],
        parts: NDArray[np.float32],
        whole: NDArray[np.float32],
        squares: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """(B, N) lengths, see vnni.c for the layouts."""
        lengths = np.empty((len(images.basis), len(whole)), np.float32)
        stored = (images.basis, images.offsets, images.scales, images.triangle)
        arrays = [np.ascontiguousarray(array) for array in (*stored, cells, parts, whole, squares)]
        sizes = (*images.basis.shape, images.triangle.shape[1], len(cells))
        self.call(*(pointer(array) for array in (*arrays, lengths)), *map(ctypes.c_int, sizes))
        return lengths


def pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    """Where the array begins."""
    return ctypes.c_void_p(array.ctypes.data)


@cache
def load_kernel() -> Kernel | None:
    """The kernel where it was built and this machine runs it."""
    path = library_path()
    return Kernel(path) if path.is_file() and has_instructions() else None


def has_instructions() -> bool:
    """Whether this machine has AVX-512 VNNI."""
    listed = Path("/proc/cpuinfo")
    flags = listed.read_text().split() if listed.is_file() else []
    return all(flag in flags for flag in FLAGS)


def library_path() -> Path:
    """Where the kernel of exactly this source lies once it is built."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    return SOURCE.with_name(f"libfpr_vnni-{digest}.so")


def build() -> Path:
    """Compile the kernel.

    Raises:
        BuildError: another kind of machine, no compiler, or it refuses.
    """
    if platform.machine() != "x86_64" or sys.platform != "linux":
        raise BuildError(f"the kernel is for Linux on x86-64, this is {sys.platform} on {platform.machine()}")
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise BuildError("no C compiler (cc, gcc, clang)")
    path = library_path()
    partial = path.with_suffix(f".{os.getpid()}")
    command = [compiler, "-O3", "-shared", "-fPIC", "-o", str(partial), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise BuildError(f"{compiler}: {done.stderr.strip().splitlines()[0]}")
    partial.replace(path)
    return path


def main() -> None:
    """Build, or say in one line why not; the product works without it."""
    try:
        sys.stdout.write(f"built {build().name}\n")
    except BuildError as error:
        sys.stdout.write(f"fast FPR kernel not built, float32 is used: {error}\n")


if __name__ == "__main__":
    main()
