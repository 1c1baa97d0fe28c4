"""Why a live camera cannot be opened, in words for whoever has to mend it; they never hold a URL."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from urllib.parse import urlsplit

from av.error import (
    ArgumentError,
    ExitError,
    HTTPForbiddenError,
    HTTPNotFoundError,
    HTTPUnauthorizedError,
    InvalidDataError,
)

SILENT = "no answer in time: the camera, or the network before it, is silent"
WORDS: tuple[tuple[type[Exception], str], ...] = (
    (HTTPUnauthorizedError, "401: wrong user name or password, or none was given"),
    (HTTPForbiddenError, "403: this user may not watch the camera"),
    (HTTPNotFoundError, "404: the camera has no stream at this path"),
    (socket.gaierror, "its host name is not known"),
    (ConnectionRefusedError, "connection refused: nothing listens on its port"),
    (ConnectionResetError, "the connection was cut"),
    (BrokenPipeError, "the connection was cut"),
    (ExitError, SILENT),
    (TimeoutError, SILENT),
    (EOFError, "the stream ended"),
    (InvalidDataError, "what came is not a video stream"),
    (ArgumentError, "what came is not a video stream"),
    (PermissionError, "permission denied"),
    (FileNotFoundError, "there is no such device or file"),
)
PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
"""RFC 7826 section 4.2; RFC 9110 section 4.2."""
WITH_TLS = ("rtsps://", "https://")
TELLS_NOTHING = (InvalidDataError, ExitError)
OPTIONS = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"


def in_words(error: BaseException) -> str:
    """The error as words, without the URL that FFmpeg's own text would show."""
    for kind, words in WORDS:
        if isinstance(error, kind):
            return words
    text = getattr(error, "strerror", None) or type(error).__name__
    return str(text)[:1].lower() + str(text)[1:]


def why_unreachable(
    url: str, error: BaseException, *, timeout_s: float, trust: ssl.SSLContext | None = None
) -> str:
    """The error as words; where it tells nothing, the camera's port is asked once more what it is.

    Args:
        url: what could not be opened.
        error: what opening it raised.
        timeout_s: for connecting and for the answer, each.
        trust: what the certificate must stand up to where there is TLS; None: nothing.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return "its URL is not one"
    if host is None or port is None or not tells_nothing(error):
        return in_words(error)
    try:
        with socket.create_connection((host, port), timeout_s) as asked:
            if trust and (doubt := what_is_doubted(asked, host, trust)):
                return doubt
            return what_it_speaks(asked) if parts.scheme == "rtsp" else in_words(error)
    except TimeoutError:
        return "its host does not answer: switched off, or not in this network"
    except OSError as trouble:
        return in_words(trouble)


def tells_nothing(error: BaseException) -> bool:
    """Whether FFmpeg gives this error for an unknown host, a silent one and a wrong protocol alike."""
    return isinstance(error, TELLS_NOTHING) or getattr(error, "errno", None) == errno.EIO


def what_is_doubted(asked: socket.socket, host: str, trust: ssl.SSLContext) -> str | None:
    """What is wrong with the TLS at the other end of a connection; None: nothing."""
    try:
        trust.wrap_socket(asked, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        doubt = error.verify_message.rstrip(".")
        return f"its certificate is not trusted ({doubt}): give it as tls_ca, or set tls_verify: false"
    except OSError:
        return "what listens on its port does not speak TLS"
    return None


def what_it_speaks(asked: socket.socket) -> str:
    """What is at the other end of a connection that ought to be RTSP."""
    asked.sendall(OPTIONS)
    try:
        answer = asked.recv(64)
    except TimeoutError:
        return "it takes connections but says nothing"
    except OSError:
        answer = b""
    if answer.startswith(b"RTSP/"):
        return "it speaks RTSP, but sends no video that can be decoded"
    protocol = re.match(rb"[A-Za-z]+(?=[-/])", answer)
    says = f" (it speaks {protocol[0].decode()})" if protocol else ""
    return f"what listens on its port does not speak RTSP{says}"
