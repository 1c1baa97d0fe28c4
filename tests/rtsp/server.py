"""A real RTSP server of several cameras, in its own process, for tests and benchmarks of live sources."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote

import av

SYSTEM_PYTHON = "/usr/bin/python3"
PACKAGES = (
    "gstreamer1.0-rtsp gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base "
    "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
)
PROGRAM = Path(__file__).with_name("gst_server.py")
IMPORT = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


@cache
def missing_packages() -> str | None:
    """What to install for the server to run here; None: nothing."""
    try:
        subprocess.run([SYSTEM_PYTHON, "-c", IMPORT], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return f"needs apt-get install --no-install-recommends {PACKAGES}"
    return None


@dataclass(frozen=True)
class Login:
    """What the server asks for."""

    user: str
    password: str
    method: Literal["basic", "digest"] = "digest"


class RtspServer:
    """Cameras at rtsp://127.0.0.1:port/name, each playing a file in real time, over and over.

    Args:
        cameras: files by name; H.264, H.265 or MJPEG.
        port: 0: any free one.
        login: None: everybody may watch.
        loop: whether a file begins again after its end; if not, the stream ends there and does not come back.
    """

    def __init__(
        self, cameras: dict[str, Path], *, port: int = 0, login: Login | None = None, loop: bool = True
    ) -> None:
        self.cameras, self.login, self.loop = dict(cameras), login, loop
        self.port = port or free_port()
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start serving; returns when clients may connect."""
        mounts = {name: {**medium(path), "loop": self.loop} for name, path in self.cameras.items()}
        login = self.login and vars(self.login)
        self.process = subprocess.Popen(
            [SYSTEM_PYTHON, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._say({"port": self.port, "mounts": mounts, "login": login})

    def kill(self) -> None:
        """End the process at once, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def suspend(self) -> None:
        """The process hangs: connections stay open and nothing is answered."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """The process goes on."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def url(self, name: str) -> str:
        """Where a camera is, with the credentials it asks for."""
        user = (
            f"{quote(self.login.user, safe='')}:{quote(self.login.password, safe='')}@" if self.login else ""
        )
        return f"rtsp://{user}127.0.0.1:{self.port}/{name}"

    def swap(self, name: str, path: Path) -> None:
        """Play another file; where its codec differs, only new sessions get it."""
        self.cameras[name] = path
        self._command("swap", name=name, **medium(path))

    def behave(self, name: str, *, rate: float = 1.0, shift_s: float = 0.0, stuck: bool = False) -> None:
        """Set a camera's pace, and what is wrong with its time stamps."""
        self._command("behave", name=name, rate=rate, shift_s=shift_s, stuck=stuck)

    def change_password(self, password: str) -> None:
        """Ask for another password from now on."""
        assert self.login is not None
        self._command("ask_for", user=self.login.user, password=password, method=self.login.method)

    def remove(self, name: str) -> None:
        """Take a camera away: its path is not found any more."""
        self._command("remove", name=name)

    def add(self, name: str, path: Path) -> None:
        """A further camera."""
        self.cameras[name] = path
        self._command("add", name=name, loop=self.loop, **medium(path))

    def kick(self) -> None:
        """Close every connection."""
        self._command("kick")

    def sent(self, name: str) -> int:
        """How many frames a camera has sent so far, over all its sessions."""
        return int(self._command("sent", name=name))

    def _command(self, command: str, **arguments: Any) -> Any:
        """Have the server do something; its answer."""
        return self._say([command, arguments])

    def _say(self, words: Any) -> Any:
        """Write a line of JSON and read one."""
        assert self.process is not None and self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "the server ended"}')
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer.get("result")


def medium(path: Path) -> dict[str, str]:
    """A file as the server needs it."""
    with av.open(str(path)) as container:
        return {"path": str(path), "codec": container.streams.video[0].codec_context.name}


def free_port() -> int:
    """A port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
