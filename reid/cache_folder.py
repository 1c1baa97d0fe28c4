"""Where a user's machine keeps what can be made again: compiled code, downloaded networks."""

from __future__ import annotations

import os
import stat
import tempfile
from functools import cache
from pathlib import Path

NAME = "across-cameras"


def cache_folder() -> Path | None:
    """The user's own cache folder, made where it is missing; None where none can be kept.

    `$XDG_CACHE_HOME/across-cameras`, else `~/.cache/across-cameras`. Code is loaded from it, so a folder that
    belongs to somebody else (`sudo` with the home of another), or that others may write to, is not used.
    """
    folder = wanted_folder()
    if folder is None:
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError:
        return None
    ours = found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return folder if ours and os.access(folder, os.W_OK) else None


@cache
def cache_or_temporary() -> Path:
    """The cache folder; for a user who has none, a new folder of this process that nobody else may enter."""
    return cache_folder() or Path(tempfile.mkdtemp(prefix=f"{NAME}-"))


def wanted_folder() -> Path | None:
    """Where it would lie; None for a user without a home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if Path(base).is_absolute():  # the specification: a relative path is to be ignored
        return Path(base) / NAME
    try:
        return Path.home() / ".cache" / NAME
    except RuntimeError:
        return None
