"""TLS before a server that speaks none, as rtsps:// and https:// cameras have it; certificates for it."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path

from tests.rtsp.relay import TcpRelay


class TlsRelay(TcpRelay):
    """Takes TLS connections and passes what is inside on to a port without.

    Args:
        target: port on the loopback interface.
        certificate: file with key and certificate.
    """

    def __init__(self, target: int, certificate: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        super().__init__(target)

    def url(self, name: str) -> str:
        """A camera of the server, as seen through the relay."""
        return f"rtsps://127.0.0.1:{self.port}/{name}"

    def _join(self, client: socket.socket) -> None:
        """Shake hands, then pass on."""
        self.connections.remove(client)
        try:
            inside = self.context.wrap_socket(client, server_side=True)
        except OSError:  # the client does not trust us
            client.close()
            return
        self.connections.append(inside)
        super()._join(inside)


def certify(path: Path, *, address: str = "127.0.0.1") -> Path:
    """A new key and its self-signed certificate for an address, in one file."""
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-days", "2", "-subj", "/CN=camera", "-addext", f"subjectAltName=IP:{address}"]
    subprocess.run([*command, "-keyout", str(path), "-out", f"{path}.pem"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.pem").read_bytes())
    return path
