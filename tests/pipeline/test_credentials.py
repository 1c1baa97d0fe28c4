"""Credentials reach the camera and nothing else, whatever characters they are made of."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from pipeline.config import CameraConfig, Config, config_for_sources
from pipeline.credentials import CredentialsError, hide, resolve
from pipeline.urls import redact

NASTY = ["p.w.d", "p@ss@word", "p%40ss", "pä→ßword", "a/b?c#d", "sp ace", "co:lon"]


def asking(source: str = "rtsp://host:554/cam") -> CameraConfig:
    return CameraConfig(name="hall", source=source, username_env="CAM_USER", password_env="CAM_PASSWORD")


@pytest.mark.parametrize("password", NASTY)
def test_a_password_arrives_as_it_is(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAM_USER", "operator")
    monkeypatch.setenv("CAM_PASSWORD", password)
    url = resolve(asking())
    parts = urlsplit(url)
    assert (parts.hostname, parts.port, parts.path) == ("host", 554, "/cam")
    assert unquote(parts.password or "") == password and parts.username == "operator"


@pytest.mark.parametrize("password", NASTY)
def test_no_form_of_a_password_is_left_in_a_message(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAM_USER", "operator")
    monkeypatch.setenv("CAM_PASSWORD", password)
    url = resolve(asking("rtsp://host/cam?user={username}&password={password}"))
    for text in (f"cannot open {url}", f"401 for operator:{password}", f"[{url}]: '{password}'"):
        told = redact(text, resolve(asking()), url)
        assert password not in told and "operator" not in told and url not in told


def test_credentials_in_a_url_move_into_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FPR_URL_CAM", "")
    source = "rtsp://me:p%40ss@host/cam"
    hidden = hide(config_for_sources([source, "hall.mp4"]))
    assert [c.source for c in hidden.cameras] == ["rtsp://host/cam", "hall.mp4"]
    assert resolve(hidden.cameras[0]) == source
    assert hide(hidden) == hidden


def test_a_reference_is_looked_up_in_the_secrets_file(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.write_text("# cameras\nHALL_URL = rtsp://me:a=b@host/cam\n\n")
    secrets.chmod(0o600)
    camera = CameraConfig(name="hall", url_env="HALL_URL")
    assert resolve(camera, secrets=str(secrets)) == "rtsp://me:a=b@host/cam"


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        ("HALL_URL=x", 0o640, "mode 0640 lets others read it"),
        ("HALL_URL=x", 0o604, "mode 0604"),
        ("OTHER=x", 0o600, "camera hall: HALL_URL is not set"),
        ("secret words", 0o600, "line 1 is not NAME=value"),
    ],
)
def test_secrets_that_cannot_be_used_are_refused(tmp_path: Path, text: str, mode: int, message: str) -> None:
    secrets = tmp_path / "secrets"
    secrets.write_text(text)
    secrets.chmod(mode)
    with pytest.raises(CredentialsError, match=message) as error:
        resolve(CameraConfig(name="hall", url_env="HALL_URL"), secrets=str(secrets))
    assert "secret words" not in str(error.value)


def test_a_source_without_credentials_is_itself() -> None:
    config = Config(cameras=(CameraConfig(name="hall", source="rtsp://host/cam"),))
    assert hide(config) == config and resolve(config.cameras[0]) == "rtsp://host/cam"
