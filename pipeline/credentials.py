"""Credentials of cameras: looked up at the last moment, and kept out of every configuration that is kept."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import msgspec

from pipeline.config import CameraConfig, Config, ConfigError
from pipeline.urls import shown_url

OTHERS_MAY = 0o077
"""Permission bits of everybody but the owner."""


class CredentialsError(ConfigError):
    """Credentials that a camera refers to are not there; names the reference, never its value."""


def resolve(camera: CameraConfig, *, secrets: str | None = None) -> str:
    """The camera's source with its credentials, for the library that opens it and for nothing else.

    User name and password replace {username} and {password} in the source; where it has neither, they
    are put before the host.

    Args:
        camera: its references are looked up in the environment, then in `secrets`.
        secrets: file of NAME=value lines, mode 0600.

    Raises:
        CredentialsError: a reference leads nowhere, or other users may read `secrets`.
    """
    named = {**(read_secrets(Path(secrets)) if secrets else {}), **os.environ}
    source = look_up(camera, camera.url_env, named) if camera.url_env else camera.source
    username = quote(look_up(camera, camera.username_env, named), safe="")
    password = quote(look_up(camera, camera.password_env, named), safe="")
    if not username and not password:
        return source
    if "{username}" in source or "{password}" in source:
        return source.replace("{username}", username).replace("{password}", password)
    scheme, _, rest = source.partition("://")
    return f"{scheme}://{username}:{password}@{rest}"


def hide(config: Config) -> Config:
    """The configuration without inline credentials: a URL that holds some moves into our environment.

    Workers inherit the environment, so they can open the camera; their arguments, the database and every
    message have only what this returns.
    """
    return msgspec.structs.replace(config, cameras=tuple(hide_url(camera) for camera in config.cameras))


def hide_url(camera: CameraConfig) -> CameraConfig:
    """The camera with its URL made harmless, and a reference to the whole one."""
    harmless = shown_url(camera.source) if "://" in camera.source else camera.source
    if harmless == camera.source:
        return camera
    name = "FPR_URL_" + re.sub(r"\W", "_", camera.name).upper()
    os.environ[name] = camera.source
    return msgspec.structs.replace(camera, source=harmless, url_env=name)


def look_up(camera: CameraConfig, reference: str | None, named: Mapping[str, str]) -> str:
    """What a reference stands for; '' where there is no reference."""
    if reference is None:
        return ""
    if not named.get(reference):
        raise CredentialsError(f"camera {camera.name}: {reference} is not set, here or in the secrets file")
    return named[reference]


def read_secrets(path: Path) -> dict[str, str]:
    """Values by name in a file of NAME=value lines; '#' begins a comment line.

    Raises:
        CredentialsError: unreadable, a line of another form, or other users may read it.
    """
    try:
        mode = path.stat().st_mode & 0o777
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    if mode & OTHERS_MAY:
        raise CredentialsError(f"{path}: mode {mode:04o} lets others read it; chmod 600 {path}")
    return {
        name: value
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.strip().startswith("#")
        for name, value in [assignment(line, f"{path}: line {number}")]
    }


def assignment(line: str, where: str) -> tuple[str, str]:
    """Name and value of 'NAME=value'."""
    name, equals, value = line.partition("=")
    if not equals or not name.strip().isidentifier():
        raise CredentialsError(f"{where} is not NAME=value")
    return name.strip(), value.strip()
