"""Files that are complete or not there: written beside their place, flushed to the disk, then renamed.

They are their owner's alone (0600, folders 0700): what this program writes shows people.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OWNERS_FILE = 0o600
OWNERS_FOLDER = 0o700


def write_whole(out: Path, content: bytes) -> None:
    """Write a file; whoever reads it meanwhile, or after a power cut, has the old one or the new one.

    Raises:
        OSError: it cannot be written; what was there still is.
    """
    with replaced_file(out) as part:
        part.write_bytes(content)


@contextmanager
def replaced_file(out: Path) -> Iterator[Path]:
    """An empty file to write beside OUT, which takes OUT's place once it is complete.

    Raises:
        OSError: it cannot be written; what was there still is.
    """
    with swapped_file(out) as part:
        yield part
        flush(part)
    flush(out.parent)


@contextmanager
def swapped_file(out: Path) -> Iterator[Path]:
    """The same for what is soon written anew: nobody reads half of it, but a power cut may lose it.

    Raises:
        OSError: it cannot be written; what was there still is.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    part = beside(out)
    part.unlink(missing_ok=True)
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, OWNERS_FILE))
        yield part
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def replaced_folder(out: Path) -> Iterator[Path]:
    """A folder to write beside OUT, which takes OUT's place, or whose files take their places in it.

    Raises:
        OSError: it cannot be written; files of OUT that were not replaced yet are as they were.
    """
    part = beside(out)
    part.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(OWNERS_FOLDER)
    try:
        yield part
        for file in part.iterdir():
            file.chmod(OWNERS_FILE)
            flush(file)
        if out.exists() and any(out.iterdir()):
            for file in part.iterdir():
                file.replace(out / file.name)
            flush(out)
        else:
            part.replace(out)
        flush(out.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def beside(out: Path) -> Path:
    """The hidden name that a file has until it is complete; two processes do not share one."""
    return out.with_name(f".{out.name}.part{os.getpid()}")


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk: a rename alone may come there first."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
