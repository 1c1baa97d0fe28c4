"""The 8-bit kernel in C, built at set-up or at its first use; where it cannot be, float32 does the same."""

from __future__ import annotations

import ctypes
import hashlib
import logging
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

from reid.cache_folder import cache_folder
from reid.fpr.forms import Quantised

SOURCE = Path(__file__).with_name("vnni.c")
PANEL = 64
"""Probe cells the kernel takes at once."""
FLAGS = ("avx512f", "avx512bw", "avx512_vnni")

log = logging.getLogger(__name__)


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
    """The kernel, built now where it was not yet; None where this machine does not run it or cannot build it.

    That it cannot be built is said once: nothing is wrong, but a compiler would make the search faster.
    """
    if not has_instructions():
        return None
    try:
        return Kernel(built() or build())
    except (BuildError, OSError) as error:
        log.warning("fast FPR kernel not built, float32 is used: %s", error)
        return None


def has_instructions() -> bool:
    """Whether this machine has AVX-512 VNNI."""
    listed = Path("/proc/cpuinfo")
    flags = listed.read_text().split() if listed.is_file() else []
    return all(flag in flags for flag in FLAGS)


def built() -> Path | None:
    """The library of exactly this source, where it was built: beside it, or in the user's cache."""
    return next((path for folder in folders() if (path := folder / library_name()).is_file()), None)


def folders() -> list[Path]:
    """Where the library may lie, best first."""
    cache = cache_folder()
    return [SOURCE.parent, *([] if cache is None else [cache])]


def library_name() -> str:
    """File name of the library of exactly this source."""
    return f"libfpr_vnni-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]}.so"


def build() -> Path:
    """Compile the kernel: beside its source, or into the user's cache where the package is read-only.

    Raises:
        BuildError: another kind of machine, no compiler, it refuses, or nowhere to put the library.
    """
    if platform.machine() != "x86_64" or sys.platform != "linux":
        raise BuildError(f"the kernel is for Linux on x86-64, this is {sys.platform} on {platform.machine()}")
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise BuildError("no C compiler (cc, gcc, clang)")
    folder = next((folder for folder in folders() if os.access(folder, os.W_OK)), None)
    if folder is None:
        raise BuildError(f"neither {SOURCE.parent} nor a cache folder of this user can be written to")
    path = folder / library_name()
    compile_to(path, compiler)
    return path


def compile_to(path: Path, compiler: str) -> None:
    """Run the compiler; the library appears whole, also where several processes build it at once.

    Raises:
        BuildError: the compiler refuses, or cannot be run.
    """
    partial = path.with_suffix(f".{os.getpid()}")
    command = [compiler, "-O3", "-shared", "-fPIC", "-o", str(partial), str(SOURCE)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise BuildError(f"{compiler}: {error.strerror}") from error
    if done.returncode != 0:
        reason = done.stderr.strip() or f"ended with exit code {done.returncode}"
        raise BuildError(f"{compiler}: {reason.splitlines()[0]}")
    partial.replace(path)


def main() -> None:
    """Build, or say in one line why not; the product works without it."""
    try:
        sys.stdout.write(f"built {build().name}\n")
    except BuildError as error:
        sys.stdout.write(f"fast FPR kernel not built, float32 is used: {error}\n")


if __name__ == "__main__":
    main()
