"""Relays between a client and a server that do to the bytes what bad networks do; they need no privileges."""

from __future__ import annotations

import random
import re
import select
import socket
import struct
import threading
import time
from typing import Literal, Self

CHUNK_BYTES = 65536
POLL_S = 0.02
SENDER_REPORT = 200
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST
Fault = Literal["none", "hold", "garbage", "drop"]


class TcpRelay:
    """Passes the connections to its own port on to another one.

    Args:
        target: port on the loopback interface.
        port: its own; 0: any free one.
        seed: of the garbage.

    Attributes:
        fault: "hold": connections stay open and no byte passes; "garbage": what the server says is replaced
            by noise; "drop": parts of it are missing.
        delay_s: what the server says arrives so much later.
    """

    def __init__(self, target: int, *, port: int = 0, seed: int = 0) -> None:
        self.target = target
        self.fault: Fault = "none"
        self.delay_s = 0.0
        self.random = random.Random(seed)
        self.open = True
        self.connections: list[socket.socket] = []
        self.listener: socket.socket | None = None
        self.port = port
        self.accept()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False
        self.refuse()

    def accept(self) -> None:
        """Take connections (again)."""
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = int(self.listener.getsockname()[1])
        threading.Thread(target=self._serve, args=(self.listener,), daemon=True).start()

    def refuse(self) -> None:
        """Cut every connection and refuse new ones."""
        if self.listener is not None:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        self.cut()

    def cut(self) -> None:
        """Reset every connection; new ones are taken."""
        for connection in self.connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.close()
        self.connections = []

    def url(self, name: str) -> str:
        """A camera of the server, as seen through the relay."""
        return f"rtsp://127.0.0.1:{self.port}/{name}"

    def _serve(self, listener: socket.socket) -> None:
        """Take connections until the listener closes."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections.append(client)
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        """Connect a client with the server and pass on what each says until one of them ends."""
        try:
            while self.fault == "hold":
                time.sleep(POLL_S)
            server = socket.create_connection(("127.0.0.1", self.target))
            self.connections.append(server)
            pairs = {client: server, server: client}
            while True:
                if self.fault == "hold":
                    time.sleep(POLL_S)
                    continue
                for source in select.select(list(pairs), [], [], POLL_S)[0]:
                    data = source.recv(CHUNK_BYTES)
                    if not data:
                        raise ConnectionError("ended")
                    pairs[source].sendall(self.spoilt(data) if source is server else self.request(data))
        except (OSError, ValueError):
            pass
        finally:
            self._forget(client)
            if "server" in locals():
                self._forget(server)

    def _forget(self, connection: socket.socket) -> None:
        """Close a connection that has ended."""
        if connection in self.connections:
            self.connections.remove(connection)
        connection.close()

    def request(self, data: bytes) -> bytes:
        """What the server gets of what the client said."""
        return data

    def spoilt(self, data: bytes) -> bytes:
        """What the client gets of what the server said."""
        if self.delay_s:
            time.sleep(self.delay_s)
        if self.fault == "garbage":
            return self.random.randbytes(len(data))
        if self.fault == "drop":
            return data[: len(data) // 2]
        return data


class UdpRelay(TcpRelay):
    """A relay for RTSP over UDP: rewrites the ports in the dialogue and loses a share of the datagrams.

    Attributes:
        loss: share of the server's datagrams that never arrive.
        lost: how many did not.
        ahead_s: by so much the server's clock is ahead, as its reports (RTCP) tell it.
    """

    def __init__(self, target: int, *, loss: float = 0.1, seed: int = 0) -> None:
        self.loss, self.lost, self.ahead_s = loss, 0, 0.0
        self.sockets: list[socket.socket] = []
        self.ports: dict[str, tuple[int, int]] = {}
        super().__init__(target, seed=seed)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        for each in self.sockets:
            each.close()

    def request(self, data: bytes) -> bytes:
        """SETUP with our ports as the client's."""
        return re.sub(rb"client_port=(\d+)-(\d+)", self._as_client, data)

    def spoilt(self, data: bytes) -> bytes:
        """The answer with our ports as the server's and the client's own."""
        found = re.search(rb"server_port=(\d+)-(\d+)", data)
        if not found or not data.startswith(b"RTSP/"):
            return super().spoilt(data)
        self.ports["server"] = int(found[1]), int(found[2])
        ours = b"%d-%d" % tuple(s.getsockname()[1] for s in self.sockets[-2:])
        theirs = b"%d-%d" % self.ports["client"]
        data = re.sub(rb"server_port=\d+-\d+", b"server_port=" + ours, data)
        return re.sub(rb"client_port=\d+-\d+", b"client_port=" + theirs, data)

    def _as_client(self, found: re.Match[bytes]) -> bytes:
        """Two new sockets in place of the client's."""
        self.ports["client"] = int(found[1]), int(found[2])
        pair = even_pair()
        self.sockets += pair
        for which, each in enumerate(pair):
            threading.Thread(target=self._carry, args=(each, which), daemon=True).start()
        return b"client_port=%d-%d" % tuple(s.getsockname()[1] for s in pair)

    def _carry(self, ours: socket.socket, which: int) -> None:
        """Pass datagrams between client and server, losing some of the server's."""
        while self.open:
            try:
                data, (_, port) = ours.recvfrom(CHUNK_BYTES)
                if port == self.ports["client"][which]:
                    ours.sendto(data, ("127.0.0.1", self.ports["server"][which]))
                elif self.random.random() < self.loss:
                    self.lost += 1
                else:
                    told = ahead(data, self.ahead_s) if which else data
                    ours.sendto(told, ("127.0.0.1", self.ports["client"][which]))
            except ConnectionRefusedError:
                continue
            except OSError:
                return


def ahead(reports: bytes, seconds: float) -> bytes:
    """Reports of RTCP with the sender's clock moved forward, where they begin with it (RFC 3550, 6.4.1)."""
    if len(reports) < 16 or reports[1] != SENDER_REPORT:
        return reports
    (told,) = struct.unpack("!Q", reports[8:16])  # NTP: 2^-32 s
    return reports[:8] + struct.pack("!Q", (told + round(seconds * 2**32)) % 2**64) + reports[16:]


def even_pair() -> tuple[socket.socket, socket.socket]:
    """UDP sockets on an even port and the one after it, as RTP wants them."""
    while True:
        first, second = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        first.bind(("127.0.0.1", 0))
        port = first.getsockname()[1]
        try:
            if port % 2 == 0:
                second.bind(("127.0.0.1", port + 1))
                return first, second
        except OSError:
            pass
        first.close()
        second.close()
