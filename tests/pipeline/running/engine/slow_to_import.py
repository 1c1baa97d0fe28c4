"""A worker's module that says when it is loaded."""

from __future__ import annotations

import os
from pathlib import Path

Path(os.environ["LOADED"]).touch()


def main(job: bytes) -> None:
    """Never called."""
