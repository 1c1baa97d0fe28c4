"""A site of three live cameras, and everything that can go wrong with one of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from live_site import LiveRun, camera_clip, rate_of

from pipeline.demo.scene import make_scene
from tests.rtsp.relay import TcpRelay, UdpRelay
from tests.rtsp.server import Login, RtspServer

DETECTION_FPS = 5
PASSWORD = "p@s.s%40ä:/"
IDENTITIES = 20
LOOK_BACK_S = 300.0
"""So that both galleries are full after some minutes: growing up to their limits is no leak."""
BACKOFF_CAP_S = 4.0
"""The default is 30 s; the faults follow each other too soon for the wait to be reset."""


@dataclass
class Site:
    """The run and everything that a fault can be done to."""

    run: LiveRun
    healthy: RtspServer
    faulty: RtspServer
    relay: TcpRelay
    loss: UdpRelay
    clips: dict[str, Path]
    patience: float = 1.0
    """Time limits are longer by this, on a machine that is busy with other things."""

    def fps(self, camera: str) -> float:
        """Frames a second that a camera sends when all is well."""
        return rate_of(self.clips["healthy" if camera == "healthy" else "normal"])

    def jump_back(self) -> None:
        """The faulty camera's time stamps go an hour back."""
        self.faulty.behave("cam", shift_s=3600)
        time.sleep(1)
        self.faulty.behave("cam")

    def put(self, clip: str) -> None:
        """Have the faulty camera play another clip in its running session."""
        self.faulty.swap("cam", self.clips[clip])

    def restart(self) -> None:
        """Kill the faulty camera's server and start it again."""
        self.faulty.kill()
        self.faulty.start()

    def put_anew(self, clip: str) -> None:
        """The same, with its sessions closed: what a camera does whose codec is changed."""
        self.put(clip)
        self.faulty.kick()

    def lock_out(self, password: str) -> None:
        """Change the faulty camera's password and close its sessions."""
        self.faulty.change_password(password)
        self.faulty.kick()

    def take_away(self) -> None:
        """The faulty camera's path is gone, and its sessions with it."""
        self.faulty.remove("cam")
        self.faulty.kick()

    def silence(self) -> None:
        """Connections are cut, and new ones get no answer."""
        self.relay.fault = "hold"
        self.relay.cut()

    def spoil(self, fault: Any) -> None:
        """What the relay does to the bytes."""
        self.relay.fault = fault

    def kill_matcher(self) -> None:
        """As the kernel does it when memory is short."""
        os.kill(self.run.status()["processes"]["match"], signal.SIGKILL)


Act = Callable[[Site], object]


@dataclass(frozen=True)
class Fault:
    """One row of the matrix."""

    name: str
    inject: Act
    repair: Act
    told_as: tuple[str, ...] = ()
    """States of which the status must show one; none: the camera must stay live throughout."""
    told_s: float = 8.0
    """Within this."""
    back_s: float = 15.0
    """Once repaired, detection must go on within this."""
    camera: str = "faulty"
    rate: float = 1.0
    """The camera sends so many times its frames."""


LOST = ("stalled", "reconnecting", "connecting")
FAULTS = (
    Fault("server killed", lambda s: s.faulty.kill(), lambda s: s.faulty.start(), LOST),
    Fault("server stopped (SIGSTOP)", lambda s: s.faulty.suspend(), lambda s: s.faulty.resume(), LOST),
    Fault("server restarted", lambda s: s.restart(), lambda s: None, LOST),
    Fault("port refused", lambda s: s.relay.refuse(), lambda s: s.relay.accept(), LOST),
    Fault("accepted but silent", lambda s: s.silence(), lambda s: s.spoil("none"), LOST),
    Fault("half-open", lambda s: s.spoil("hold"), lambda s: s.spoil("none"), LOST),
    Fault("wrong password", lambda s: s.lock_out("other"), lambda s: s.lock_out(PASSWORD), LOST),
    Fault("404 mount", lambda s: s.take_away(), lambda s: s.faulty.add("cam", s.clips["normal"]), LOST),
    Fault("codec change", lambda s: s.put_anew("hevc"), lambda s: s.put_anew("normal"), LOST),
    Fault("resolution change", lambda s: s.put("small"), lambda s: s.put("normal")),
    Fault("frozen picture", lambda s: s.put("still"), lambda s: s.put("normal"), ("frozen",), told_s=16),
    Fault("garbage bytes", lambda s: s.spoil("garbage"), lambda s: s.spoil("none"), LOST),
    Fault("parts of the bytes missing", lambda s: s.spoil("drop"), lambda s: s.spoil("none"), LOST),
    Fault("time stamps jump back", lambda s: s.jump_back(), lambda s: None),
    Fault("time stamps jump forward", lambda s: s.faulty.behave("cam", shift_s=3600), lambda s: None),
    Fault(
        "time stamps stuck",
        lambda s: s.faulty.behave("cam", stuck=True),
        lambda s: s.faulty.behave("cam"),
    ),
    Fault("2x rate", lambda s: s.faulty.behave("cam", rate=2), lambda s: s.faulty.behave("cam"), rate=2),
    Fault(
        "0.1x rate",
        lambda s: s.faulty.behave("cam", rate=0.1),
        lambda s: s.faulty.behave("cam"),
        rate=0.1,
    ),
    Fault(
        "10% of datagrams lost",
        lambda s: setattr(s.loss, "loss", 0.1),
        lambda s: setattr(s.loss, "loss", 0.0),
        camera="udp",
    ),
)
MATCHER = "matcher killed"


@contextmanager
def open_site(folder: Path, patience: float = 1.0) -> Iterator[Site]:
    """The cameras and a run that watches them, all live.

    `healthy` has its own server; `faulty` is behind a relay and asks for a password; `udp` sends datagrams.
    """
    clips = make_clips(folder)
    login = Login("operator", PASSWORD)
    with (
        RtspServer({"cam": clips["healthy"]}) as healthy,
        RtspServer({"cam": clips["normal"]}, login=login) as faulty,
        RtspServer({"cam": clips["normal"]}) as third,
        TcpRelay(faulty.port) as relay,
        UdpRelay(third.port, loss=0.0) as loss,
    ):
        references = {"username_env": "CAM_USER", "password_env": "CAM_PASSWORD"}
        cameras = [
            {"name": "healthy", "source": healthy.url("cam")},
            {"name": "faulty", "source": relay.url("cam"), **references},
            {"name": "udp", "source": loss.url("cam"), "transport": "udp"},
        ]
        live = {"fps": DETECTION_FPS, "backoff_cap_s": BACKOFF_CAP_S}
        settings = {"live": live, "matcher": {"identities": IDENTITIES, "look_back_s": LOOK_BACK_S}}
        secrets = {"CAM_USER": login.user, "CAM_PASSWORD": PASSWORD}
        with LiveRun(cameras, folder, settings=settings, environment=secrets) as run:
            run.wait_live(patience)
            yield Site(run, healthy, faulty, relay, loss, clips, patience)


def make_clips(folder: Path) -> dict[str, Path]:
    """What the cameras show: the demo's two rooms, and the second one in other shapes."""
    hall, aisle = (camera.video for camera in make_scene(folder / "scene", seconds=8).cameras)
    small = {"height_px": 272}
    return {
        "healthy": camera_clip(hall, folder / "healthy.mp4"),
        "normal": camera_clip(aisle, folder / "normal.mp4"),
        "hevc": camera_clip(aisle, folder / "hevc.mp4", codec="libx265", **small),
        "small": camera_clip(aisle, folder / "small.mp4", **small),
        "still": camera_clip(aisle, folder / "still.mp4", still=True),
    }
