"""OpenVINO's one core in this process, and no word to its makers."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any, cast

modules = cast("dict[str, Any]", sys.modules)
modules.setdefault("openvino_telemetry", None)
"""Not to be found: `import openvino` would send "events" by it over the network, in processes it never
waits for. Whoever imports OpenVINO imports this module first."""


@cache
def openvino_core() -> Any:
    """The core that every network here is compiled by; it lives as long as the process.

    A core sets the alternate signal stack of its thread and unmaps it when it ends. Where a second core was
    made meanwhile, the stack that one restores is gone: the next Ctrl-C is a segmentation fault
    (OpenVINO 2025 and 2026, `CPUSpecialSetup`).
    """
    import openvino

    return openvino.Core()
