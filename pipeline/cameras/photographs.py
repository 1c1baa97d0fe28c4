"""Photographs that people hand in: read with limits, and decoded in a process of its own that may break."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray

from pipeline.errors import MendableError

Image = NDArray[np.uint8]  # (H, W, 3) RGB

MOST_BYTES = 64 * 2**20
MOST_PIXELS = 100_000_000
"""A picture of more is refused by what its first bytes say of it, before any pixel is decoded."""
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "MPO")
"""What is decoded; nothing that may refer to other files or run as a program, such as SVG or EPS."""
MEMORY_BYTES = 2 * 2**30
CPU_S = 20
WAIT_S = 30.0
LONGEST_PX = 4096
"""A longer picture is scaled down to this: people in it are large enough for any network."""
REFUSED = 3
"""The decoding process's exit code when its last word says why."""


class PhotographError(MendableError, kind="wrong input"):
    """The photograph cannot be used; the message says why."""


def read_photograph(path: Path) -> Image:
    """(H, W, 3) uint8 RGB of a picture file, upright, at most LONGEST_PX long.

    Raises:
        PhotographError: no regular file, too large, or nothing that can be decoded within limits.
    """
    try:
        return decode_photograph(read_bytes(path))
    except PhotographError as error:
        raise PhotographError(f"{path}: {error}") from None


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file of at most MOST_BYTES; nothing that could be waited for without end.

    Raises:
        PhotographError: see `read_photograph`.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PhotographError("not a file: give a picture")
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise PhotographError("no such file") from None
    except (OSError, ValueError) as error:
        raise PhotographError(getattr(error, "strerror", None) or "cannot be read") from None
    if len(data) > MOST_BYTES:
        raise PhotographError(f"more than {MOST_BYTES // 2**20} MB: scale it down")
    return data


def decode_photograph(data: bytes) -> Image:
    """(H, W, 3) uint8 RGB of an encoded picture, decoded by another process under limits of memory and time.

    Raises:
        PhotographError: see `read_photograph`.
    """
    command = [sys.executable, "-P", "-c", f"import runpy; runpy.run_path({__file__!r}, run_name='decode')"]
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=WAIT_S, cwd="/", env=environment()
        )
    except subprocess.TimeoutExpired:
        raise PhotographError("decoding it took too long: save it anew as JPEG") from None
    if done.returncode == REFUSED:
        raise PhotographError(done.stderr.decode(errors="replace").strip().splitlines()[-1])
    size = np.frombuffer(done.stdout[:8], np.uint32)
    if done.returncode or len(size) < 2 or len(done.stdout) != 8 + int(size[0]) * int(size[1]) * 3:
        raise PhotographError("not a picture that can be read")
    return np.frombuffer(done.stdout, np.uint8, offset=8).reshape(int(size[0]), int(size[1]), 3)


def environment() -> dict[str, str]:
    """What the decoding process is told: where packages lie, and no secret of ours."""
    return {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}


def main() -> int:
    """Decode what comes in and put out its height and width (uint32) and pixels; the exit code."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        image = decoded(sys.stdin.buffer.read(MOST_BYTES + 1))
    except MemoryError:
        return refuse("needs too much memory: scale it down")
    except PhotographError as error:
        return refuse(str(error))
    except Exception:  # whatever a damaged picture makes of a decoder
        return refuse("not a picture that can be read")
    sys.stdout.buffer.write(np.asarray(image.shape[:2], np.uint32).tobytes() + image.tobytes())
    return 0


def refuse(reason: str) -> int:
    """Say why, as the last line."""
    print(reason, file=sys.stderr)
    return REFUSED


def decoded(data: bytes) -> Image:
    """See `decode_photograph`; in this process."""
    PIL.Image.MAX_IMAGE_PIXELS = None  # ours is asked for below, in our words
    with PIL.Image.open(BytesIO(data), formats=FORMATS) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            raise PhotographError(f"{picture.width} x {picture.height} pixels: scale it down")
        picture.draft("RGB", (LONGEST_PX, LONGEST_PX))
        picture.load()
        upright = PIL.ImageOps.exif_transpose(picture)
        upright.thumbnail((LONGEST_PX, LONGEST_PX))
        if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
            white = PIL.Image.new("RGBA", upright.size, "white")
            upright = PIL.Image.alpha_composite(white, upright.convert("RGBA"))
        if upright.mode.startswith("I;16") or upright.mode in ("I", "F"):
            upright = eight_bits(upright)
        return np.asarray(upright.convert("RGB"), np.uint8)


def eight_bits(picture: PIL.Image.Image) -> PIL.Image.Image:
    """A picture of 16 or more bits with its values spread over 8."""
    values = np.asarray(picture, np.float32)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return PIL.Image.fromarray(np.uint8((values - low) * (255.0 / max(high - low, 1.0))))


if __name__ == "decode":
    sys.exit(main())
