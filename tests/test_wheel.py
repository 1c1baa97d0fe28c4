"""The wheel as people install it: outside the repository, not as root, into folders that are read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import pipeline

ROOT = Path(__file__).parents[1]
NOBODY = 65534
STRANGER = "raise SystemExit('a stranger was imported: ' + __file__)\n"
"""What a module of our name in somebody else's folder does when it is imported."""

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Installed:
    """A virtual environment that holds the wheel, and the user who may read it but not write to it."""

    bin: Path
    user: int | None

    def call(
        self, *words: str, folder: Path, program: str = "across-cameras", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """What a program of the environment says in a folder, without a home and without a compiler."""
        return subprocess.run(
            [self.bin / program, *words],
            cwd=folder,
            env={"PATH": "", "HOME": "/nonexistent", **environment},
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
            capture_output=True,
            text=True,
            timeout=600,
        )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built here from the source tree, without the network."""
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


def build(source: Path, folder: Path) -> Path:
    """The wheel of a source tree, or of an archive of one, in a folder."""
    words = ["wheel", str(source), "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "-q", *words], check=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def world() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own are for one user."""
    folder = Path(tempfile.mkdtemp(prefix="across-cameras-wheel-"))
    folder.chmod(0o755)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def installed(wheel: Path, world: Path) -> Installed:
    """The wheel in an environment of its own; its dependencies are those of the tests, none is installed."""
    user = NOBODY if os.geteuid() == 0 else None
    python = interpreter(user)
    if python is None:
        python, user = sys.executable, None
    subprocess.run([python, "-m", "venv", "--without-pip", world / "env"], check=True)
    site = next((world / "env/lib").iterdir()) / "site-packages"
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "-q", "--python", str(world / "env/bin/python")]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True)
    subprocess.run(["chmod", "-R", "a-w", world / "env"], check=True)
    return Installed(world / "env/bin", user)


def interpreter(user: int | None) -> str | None:
    """A Python of this version that the user may run, with the packages of the tests; None: there is none."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    importing = f"import sys; sys.path.append({sysconfig.get_path('purelib')!r}); import numpy"
    for python in (getattr(sys, "_base_executable", sys.executable), f"/usr/bin/python{version}"):
        try:
            subprocess.run([python, "-c", importing], user=user, group=user, check=True, cwd="/")
        except (OSError, subprocess.CalledProcessError):
            continue
        return str(python)
    return None


@pytest.fixture
def folder(world: Path, installed: Installed) -> Iterator[Path]:
    """An empty folder of the user's own."""
    path = Path(tempfile.mkdtemp(dir=world))
    if installed.user is not None:
        os.chown(path, installed.user, installed.user)
    yield path
    shutil.rmtree(path)


def write_strangers(folder: Path, *more: str) -> Path:
    """A folder with modules called as ours are, and more."""
    (folder / "reid").mkdir(parents=True)
    for module in ("pipeline", "reid/__init__", *more):
        (folder / f"{module}.py").write_text(STRANGER)
    return folder


def files_below(folder: str) -> set[str]:
    """Everything in a folder of the repository that is no product of running or building."""
    paths = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file())
    return {p.as_posix() for p in paths if "__pycache__" not in p.parts and p.suffix != ".so"}


def test_the_wheel_holds_the_packages_the_weights_and_the_configurations_and_nothing_else(
    wheel: Path,
) -> None:
    shipped = {f"pipeline/shipped/{path}" for path in files_below("weights") | files_below("configs")}
    held = set(zipfile.ZipFile(wheel).namelist())
    about = {
        name for name in held if name.startswith(f"fpr_across_cameras-{pipeline.__version__}.dist-info/")
    }
    assert held - about == files_below("pipeline") | files_below("reid") | {"across_cameras.py"} | shipped
    assert {"pipeline/py.typed", "reid/py.typed", "reid/fpr/vnni.c"} < held
    assert {Path(name).name for name in about} >= {"METADATA", "entry_points.txt", "LICENSE"}


def test_the_source_archive_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    archive = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path / "archive")]
    subprocess.run(archive, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (made,) = (tmp_path / "archive").iterdir()
    again = zipfile.ZipFile(build(made, tmp_path / "wheel")).namelist()
    assert set(again) == set(zipfile.ZipFile(wheel).namelist())


def test_the_installed_command_has_the_version_and_the_configurations(
    installed: Installed, folder: Path
) -> None:
    assert installed.call("--version", folder=folder).stdout == f"{pipeline.__version__}\n"
    configuration = installed.call("config", "rtsp", folder=folder)
    assert configuration.stdout == (ROOT / "configs/rtsp.yaml").read_text()


def test_the_demo_runs_in_a_folder_with_modules_called_as_ours(installed: Installed, folder: Path) -> None:
    """No home, no compiler, nothing to write to but this folder: still every worker finds its code."""
    write_strangers(folder, "across_cameras", "random")  # Python starts its workers with `random`
    path = write_strangers(folder / "path")
    done = installed.call("demo", folder=folder, PYTHONPATH=str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stranger" not in done.stdout + done.stderr and "Traceback" not in done.stderr
    assert (folder / "out/demo/demo.png").stat().st_uid == (installed.user or os.geteuid())


@pytest.mark.parametrize("path", ["{folder}", ":/usr/share"], ids=["named", "left empty"])
def test_a_search_path_that_leads_to_modules_called_as_ours_leads_nowhere(
    installed: Installed, folder: Path, path: str
) -> None:
    write_strangers(folder)
    done = installed.call("check", "none.mp4", folder=folder, PYTHONPATH=path.format(folder=folder))
    assert "none.mp4" in done.stdout + done.stderr and "stranger" not in done.stdout + done.stderr


def test_the_fpr_distance_works_read_only_and_without_a_compiler(installed: Installed, folder: Path) -> None:
    code = (
        "import numpy as np; from reid.fpr.distance import best_storage, distance, prepare\n"
        "cells = np.eye(4, 16, dtype=np.float32)\n"
        "print(best_storage(), distance([(cells, np.ones(4))], prepare([cells], storage='int8')).shape)\n"
    )
    done = installed.call("-c", code, folder=folder, program="python")
    assert done.stdout == "float32 (1, 1)\n", done.stderr
    assert done.stderr.count("\n") <= 1 and "Traceback" not in done.stderr
