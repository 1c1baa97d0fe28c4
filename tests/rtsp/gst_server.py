"""Plays video files as live RTSP cameras; run by server.py with the system's python3 and apt's GStreamer.

The first line on stdin is the set-up as JSON, each further line a command; each gets a line of JSON back.
A file's packets are sent as they are, not re-encoded, at the pace of their time stamps.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402, F401

CAPS = {
    "h264": "video/x-h264,stream-format=byte-stream,alignment=au",
    "hevc": "video/x-h265,stream-format=byte-stream,alignment=au",
    "mjpeg": "image/jpeg",
}
PARSERS = {
    "h264": "h264parse config-interval=-1",
    "hevc": "h265parse config-interval=-1",
    "mjpeg": "jpegparse",
}
PAYLOADERS = {
    "h264": "rtph264pay",
    "hevc": "rtph265pay",
    "mjpeg": "rtpjpegpay",
}
ROLE = "viewer"
PERIOD_NS = 40_000_000
"""Of a frame that tells no duration."""


class Packets:
    """The packets of a file in decode order, with times from its beginning."""

    def __init__(self, path: str, codec: str) -> None:
        self.pipe = Gst.parse_launch(
            f'filesrc location="{path}" ! parsebin ! {PARSERS[codec]} ! {CAPS[codec]} '
            "! appsink name=sink sync=false max-buffers=30"
        )
        self.sink = self.pipe.get_by_name("sink")
        self.pipe.set_state(Gst.State.PLAYING)

    def next(self) -> tuple[Gst.Buffer, int, int] | None:
        """A packet with its presentation and decoding time, ns; None at the end."""
        sample = self.sink.emit("try-pull-sample", 5 * Gst.SECOND)
        if sample is None:
            return None
        buffer, segment = sample.get_buffer().copy_deep(), sample.get_segment()
        pts, dts = (segment.to_running_time_full(Gst.Format.TIME, t) for t in (buffer.pts, buffer.dts))
        dts = dts if buffer.dts != Gst.CLOCK_TIME_NONE else pts
        return buffer, pts[0] * pts[1], dts[0] * dts[1]  # sign * value

    def close(self) -> None:
        self.pipe.set_state(Gst.State.NULL)


class Mount(GstRtspServer.RTSPMediaFactory):
    """One camera: what it plays, and how it misbehaves."""

    def __init__(self, path: str, codec: str, loop: bool) -> None:
        super().__init__()
        self.path, self.codec, self.loop = path, codec, loop
        self.rate = 1.0
        self.shift_ns = 0
        self.stuck = False
        self.sent = 0
        self.over = False
        """A file that is not looped has been sent to its end: nothing more comes, whoever asks."""
        self.pipeline: Gst.Element | None = None
        self.swapped = threading.Event()
        self.set_shared(True)
        self.set_latency(0)

    def do_create_element(self, _url: Any) -> Gst.Element | None:
        if self.over:
            return None
        return Gst.parse_launch(
            f"( appsrc name=src is-live=true format=time block=true max-buffers=60 caps={CAPS[self.codec]} "
            f"! {PARSERS[self.codec]} ! {PAYLOADERS[self.codec]} name=pay0 pt=96 )"
        )

    def do_configure(self, media: GstRtspServer.RTSPMedia) -> None:
        ended = threading.Event()
        media.connect("unprepared", lambda _media: ended.set())
        self.pipeline = media.get_element().get_parent()
        source = media.get_element().get_child_by_name("src")
        threading.Thread(target=self.play, args=(source, ended), daemon=True).start()

    def send_at_once(self) -> None:
        """Have the running session send packets as they come, whatever their time stamps say."""
        if self.pipeline is not None:
            sinks = self.pipeline.iterate_sinks()
            while (found := sinks.next())[0] == Gst.IteratorResult.OK:
                found[1].set_property("sync", False)

    def play(self, source: Gst.Element, ended: threading.Event) -> None:
        """Send the file, over and over where it is looped, each packet when it is due."""
        begins_ns: int | None = None
        due_ns, now_ns, shown_ns = 0, 0, 0
        while not ended.is_set():
            self.swapped.clear()
            packets = Packets(self.path, self.codec)
            last_dts: int | None = None
            base_ns = due_ns
            while not ended.is_set() and not self.swapped.is_set() and (packet := packets.next()):
                buffer, pts, dts = packet
                due_ns += PERIOD_NS if last_dts is None else round((dts - last_dts) / self.rate)
                pts_ns = due_ns + round((pts - dts) / self.rate)
                last_dts = dts
                clock_ns = time.monotonic_ns()
                if begins_ns is None:
                    begins_ns, now_ns = clock_ns - due_ns, running_ns(source) - due_ns
                if (wait := begins_ns + due_ns - clock_ns) > 0 and ended.wait(wait / 1e9):
                    break
                if not self.stuck:
                    shown_ns = now_ns + pts_ns + self.shift_ns
                buffer.pts = max(0, shown_ns)
                buffer.dts = min(buffer.pts, max(0, now_ns + due_ns + self.shift_ns))
                self.sent += 1
                if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                    ended.set()
            packets.close()
            if base_ns == due_ns or not (self.loop or self.swapped.is_set()):
                self.over = not ended.is_set()
                source.emit("end-of-stream")
                return


def running_ns(element: Gst.Element) -> int:
    """The running time of an element's pipeline now; 0 before it plays."""
    clock = element.get_clock()
    return clock.get_time() - element.get_base_time() if clock else 0


class Server:
    """The RTSP server and what the commands do to it."""

    def __init__(self, port: int, mounts: dict[str, dict[str, Any]], login: dict[str, str] | None) -> None:
        self.rtsp = GstRtspServer.RTSPServer()
        self.rtsp.set_service(str(port))
        self.rtsp.set_address("127.0.0.1")
        self.login = login
        self.mounts: dict[str, Mount] = {}
        if login:
            self.ask_for(**login)
        for name, mount in mounts.items():
            self.add(name, **mount)

    def ask_for(self, user: str, password: str, method: str) -> None:
        """Let only this user in from now on."""
        auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", ROLE)
        if method == "digest":
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(user, password, token)
        else:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        self.rtsp.set_auth(auth)

    def add(self, name: str, path: str, codec: str, loop: bool = True) -> None:
        """A new camera at /name."""
        mount = self.mounts[name] = Mount(path, codec, loop)
        if self.login:
            roles = GstRtspServer.RTSPPermissions()
            for permission in ("media.factory.access", "media.factory.construct"):
                roles.add_permission_for_role(ROLE, permission, True)
            mount.set_permissions(roles)
        self.rtsp.get_mount_points().add_factory(f"/{name}", mount)

    def remove(self, name: str) -> None:
        """No camera at /name any more."""
        self.rtsp.get_mount_points().remove_factory(f"/{name}")
        del self.mounts[name]

    def swap(self, name: str, path: str, codec: str) -> None:
        """Another file: at once in the running session where the codec is the same, else for new sessions."""
        mount = self.mounts[name]
        if codec == mount.codec:
            mount.path = path
            mount.swapped.set()
        else:
            self.remove(name)
            self.add(name, path, codec)

    def behave(self, name: str, rate: float = 1.0, shift_s: float = 0.0, stuck: bool = False) -> None:
        """Change a camera's pace and time stamps."""
        mount = self.mounts[name]
        mount.send_at_once()
        mount.rate, mount.shift_ns, mount.stuck = rate, round(shift_s * 1e9), stuck

    def kick(self) -> None:
        """Close every connection."""
        self.rtsp.client_filter(lambda _server, _client: GstRtspServer.RTSPFilterResult.REMOVE)

    def sent(self, name: str) -> int:
        """How many frames a camera has sent, over all sessions."""
        return self.mounts[name].sent


def main() -> None:
    """Serve until stdin ends."""
    Gst.init(None)
    server = Server(**json.loads(sys.stdin.readline()))
    if not server.rtsp.attach(None):
        answer({"error": "the port is taken"})
        return
    answer({"ready": True})
    loop = GLib.MainLoop()
    threading.Thread(target=obey, args=(server, loop), daemon=True).start()
    loop.run()


def obey(server: Server, loop: GLib.MainLoop) -> None:
    """Carry out the commands on stdin, in the main loop's thread."""
    for line in sys.stdin:
        done = threading.Event()

        def carry_out(line: str = line, done: threading.Event = done) -> bool:
            name, arguments = json.loads(line)
            try:
                answer({"result": getattr(server, name)(**arguments)})
            except Exception as error:
                answer({"error": repr(error)})
            done.set()
            return False

        GLib.idle_add(carry_out)
        done.wait()
    loop.quit()


def answer(words: dict[str, Any]) -> None:
    """Write one line of JSON."""
    print(json.dumps(words), flush=True)


main()
