"""URLs of cameras as they may be shown: host, port, and of the path only words that hold no secret."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

WORDS = (
    "av|avc|axis|bin|cam|camera|cgi|ch|chan|channel|channels|defaultprimary|defaultsecondary|h264|h265|hevc|hls|"
    "image|index|jpeg|jpg|live|m3u8|main|media|mjpeg|mjpg|mp4|mpeg4|onvif|preview|profile|rtsp|sdp|snap|snapshot|"
    "stream|streaming|sub|track|trackid|ts|unicast|video|videomain|videosub"
)
PLAIN = re.compile(rf"(?:(?:{WORDS})|\d{{1,4}}|[._-])+", re.IGNORECASE)
"""A part of a path that makers of cameras use as it is. Anything else may be a key, a token or a password."""
AUTHORITY = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?")
SHORTEST_SECRET = 3
"""A shorter user name or password is not looked for in texts: it would hit half the words."""
CUT = "..."


def shown_url(url: str) -> str:
    """A URL as it may be shown: no user, no password, no query; path parts that may hold a secret as '...'.

    Args:
        url: one whole URL, whatever characters are in it.
    """
    scheme, _, rest = url.partition("://")
    authority, _, _ = cut_at(rest, "/?#")
    place = rest[len(authority) :]
    host = authority.rpartition("@")[2]
    if not AUTHORITY.fullmatch(host) or "@" in place:  # where the password ends cannot be known
        return f"{scheme}://{CUT}"
    path, mark, _ = cut_at(place, "?#;")
    parts = [part if not part or PLAIN.fullmatch(part) else CUT for part in path.split("/")]
    return f"{scheme}://{host}{'/'.join(parts)}{mark and mark + CUT}"


def cut_at(text: str, marks: str) -> tuple[str, str, str]:
    """The text before the first of some characters, that character, and the text behind it."""
    found = re.search(f"[{re.escape(marks)}]", text)
    return (text, "", "") if found is None else (text[: found.start()], found[0], text[found.end() :])


def plain_name(url: str) -> str:
    """What a camera may be called after its URL: the last plain word of the path, else the host."""
    shown = urlsplit(shown_url(url))
    last = shown.path.rstrip("/").rpartition("/")[2]
    return last if last and CUT not in last and re.search("[a-zA-Z]", last) else shown.hostname or ""


def redact(text: str, *urls: str) -> str:
    """The text with every URL in it as `shown_url` has it.

    Where a URL ends in a text cannot be known: a password may hold blanks and quotes. Of a line with an @
    behind a URL's scheme, all up to the last @ is taken for its user and password; too much is cut rather
    than too little.

    Args:
        text: a message, an error.
        urls: resolved sources; whatever they hold as user, password or query is cut out wherever it stands.
    """
    for secret in sorted({s for url in urls for s in secrets_in(url)}, key=len, reverse=True):
        text = text.replace(secret, CUT)
    return "\n".join(redact_line(line) for line in text.split("\n"))


def redact_line(line: str) -> str:
    """See `redact`."""
    starts = [found.start() for found in re.finditer(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://", line)]
    if not starts:
        return line
    ends = [*starts[1:], len(line)]
    return line[: starts[0]] + "".join(redact_first(line[a:b]) for a, b in zip(starts, ends, strict=True))


def redact_first(text: str) -> str:
    """A text that begins with a URL and has no other, with the URL as it may be shown."""
    scheme, _, rest = text.partition("://")
    _, _, behind = rest.rpartition("@")
    token, _, _ = cut_at(behind, " \t\"'<>`,)")
    url = rest[: len(rest) - len(behind) + len(token)].rstrip(".:!")
    return shown_url(f"{scheme}://{url}") + rest[len(url) :]


def redact_all(value: object) -> object:
    """A JSON value in which every text that holds a URL is as it may be shown; a URL is taken for whole."""
    if isinstance(value, str):
        return shown_url(value) if re.match(r"[a-zA-Z][\w+.-]*://", value) else redact(value)
    if isinstance(value, dict):
        return {key: redact_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_all(item) for item in value]
    return value


def redact_words(words: Iterable[str]) -> list[str]:
    """A command line's words, each a text of its own."""
    return [str(redact_all(word)) for word in words]


def secrets_in(url: str) -> set[str]:
    """User, password, query, fragment and doubtful path parts of a URL, as they stand there and decoded."""
    rest = url.partition("://")[2]
    user_info, _, place = rest.rpartition("@")
    found = {user_info, *user_info.split(":", 1)}
    path, _, behind = cut_at(place.partition("/")[2], "?#;")
    found |= {part for part in path.split("/") if not PLAIN.fullmatch(part)}
    found |= {piece for part in (*found, behind) for piece in re.split(r"[&;#?=/]", part)}
    found |= {unquote(secret) for secret in found}
    return {secret for secret in found if len(secret) >= SHORTEST_SECRET}
