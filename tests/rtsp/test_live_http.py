"""Cameras that send JPEG after JPEG over HTTP: looked at once, and watched by a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cameras.check import CameraCheck, check_cameras
from pipeline.config import CameraConfig, Config, LiveConfig, WorkersConfig
from pipeline.demo.scene import Scene
from tests.pipeline.cameras.live.test_finite import Files, served
from tests.pipeline.running.test_live_run import SMALL, known, running
from tests.rtsp.mjpeg import MjpegServer
from tests.rtsp.server import Login
from tests.rtsp.tls import TlsRelay, certify
from tests.video_files import moving_scene, write_clip

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = [moving_scene(i, 320, 240) for i in range(25)]
    return write_clip(tmp_path_factory.mktemp("clips") / "cam.mp4", images, fps=25)


def look(url: str, **camera: object) -> CameraCheck:
    camera_config = CameraConfig(name="cam", source=url, **camera)  # type: ignore[arg-type]
    return check_cameras([camera_config], live=LiveConfig(connect_s=2, stall_s=2))[0]


def test_an_http_camera_tells_its_size_and_codec(clip: Path) -> None:
    with MjpegServer(clip) as server:
        seen = look(server.url())
        assert (seen.problem, seen.width, seen.height, seen.codec) == (None, 320, 240, "mjpeg")
        assert "404" in str(look(server.url() + "s").problem)


def test_an_http_camera_may_ask_for_a_password(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAM_USER", "me")
    monkeypatch.setenv("CAM_PASSWORD", "p@s.s%40ä/:?#")
    with MjpegServer(clip, login=Login("me", "p@s.s%40ä/:?#")) as server:
        assert look(server.url(), username_env="CAM_USER", password_env="CAM_PASSWORD").problem is None
        assert "401" in str(look(server.url()).problem)


def test_an_https_camera_must_have_a_certificate_that_is_trusted(clip: Path, tmp_path: Path) -> None:
    own = certify(tmp_path / "camera.pem")
    with MjpegServer(clip) as server, TlsRelay(server.port, own) as relay:
        url = f"https://127.0.0.1:{relay.port}/video"
        assert "not trusted (self-signed certificate)" in str(look(url).problem)
        assert look(url, tls_ca=str(own)).problem is None


def test_people_before_an_http_camera_are_known(scene: Scene, tmp_path: Path) -> None:
    with MjpegServer(scene.cameras[0].video) as server:
        camera = CameraConfig(name="door", source=server.url())
        config = Config(cameras=(camera,), detector=SMALL, workers=WorkersConfig(cameras=1, threads=1))
        with running(config, tmp_path) as run:
            run.until(lambda: known(run.database))
            code, said, _ = run.stop()
    assert code == 0 and "Traceback" not in said, said


def test_a_film_at_an_address_ends_the_run_in_words_and_is_not_watched_for_ever(
    clip: Path, tmp_path: Path
) -> None:
    with served(Files, clip.parent) as address:
        camera = CameraConfig(name="door", source=f"{address}/cam.mp4")
        config = Config(cameras=(camera,), detector=SMALL, workers=WorkersConfig(cameras=1, threads=1))
        with running(config, tmp_path) as run:
            _, said = run.process.communicate(timeout=240)
    assert run.process.returncode == 1 and "Traceback" not in said, said
    assert "door: this address holds a film" in said and known(run.database) == 0
