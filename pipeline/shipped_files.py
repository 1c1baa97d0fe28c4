"""Where the files lie that ship with this program: `weights/` and `configs/`."""

from __future__ import annotations

from pathlib import Path


def shipped(path: str) -> Path:
    """A file as given, or, where there is none, the one of that name that ships with this program.

    Args:
        path: such as `weights/fpr_small.safetensors`. Where neither is there it comes back as it was given,
            so that the message about it names what was asked for.
    """
    ours = shipped_folder() / path
    return ours if ours.is_file() and not Path(path).is_file() else Path(path)


def shipped_folder() -> Path:
    """The folder that holds `weights/` and `configs/`: the installed package's, else the source tree."""
    package = Path(__file__).resolve().parent
    installed = package / "shipped"
    return installed if installed.is_dir() else package.parent
