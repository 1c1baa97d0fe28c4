"""What a command's exit code says: the one place where kinds of errors become numbers."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.errors import Kind, MendableError

DONE = 0
FAILED = 1
"""Some source failed, the outside world did not do its part, or nothing was found."""
WRONG_USAGE = 2
"""Another command line is needed."""
INTERRUPTED = 130

EXIT_CODES: Mapping[Kind, int] = {
    "not found": WRONG_USAGE,
    "wrong input": WRONG_USAGE,
    "busy": WRONG_USAGE,
    "unavailable": FAILED,
    "full": FAILED,
}


def exit_code(error: MendableError) -> int:
    """The exit code of a command that ended with this error."""
    return EXIT_CODES[error.kind]
