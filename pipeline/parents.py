"""A process that serves another one, and ends with it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

import msgspec

PR_SET_PDEATHSIG = 1
STARTED = 19
"""Where /proc/PID/stat has the start time, counted behind the process's name."""


class Parent(msgspec.Struct, frozen=True):
    """The process that others serve: by number and start time, since numbers come again."""

    pid: int
    started_ticks: int | None
    """Since the machine was started; None where the system does not say."""


def this_process() -> Parent:
    """This process, for those who are to end with it."""
    return Parent(os.getpid(), started_ticks(os.getpid()))


def started_ticks(pid: int) -> int | None:
    """When a process was started, in clock ticks since the machine was; None where it is not known."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[STARTED])
    except (OSError, IndexError, ValueError):
        return None


def is_alive(parent: Parent) -> bool:
    """Whether a process still runs, and is not another one of the same number."""
    if parent.started_ticks is not None:
        return started_ticks(parent.pid) == parent.started_ticks
    try:
        os.kill(parent.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def minding(parent: Parent | None) -> Callable[[], bool]:
    """A question whether whom we serve is there; with nobody to serve (None) it always is."""
    return (lambda: True) if parent is None else (lambda: is_alive(parent))


def end_with(parent: Parent) -> None:
    """Have the kernel end this process when its parent dies, even inside a decoder (Linux).

    The parent may have died before the kernel was asked: nobody would tell us then, so it is looked for.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent.pid or not is_alive(parent):
        os._exit(1)
