"""OpenVINO's one core in this process."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def openvino_core() -> Any:
    """The core that every network here is compiled by; it lives as long as the process.

    A core sets the alternate signal stack of its thread and unmaps it when it ends. Where a second core was
    made meanwhile, the stack that one restores is gone: the next Ctrl-C is a segmentation fault
    (OpenVINO 2025, `CPUSpecialSetup`).
    """
    import openvino

    return openvino.Core()
