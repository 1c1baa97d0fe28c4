"""Pictures: tiles, frames, heat, curves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from reid.data.samples import Sample
from reid.pictures import RIGHT, TILE, WRONG, app, fitted, grid_of, heat, ranked_row
from reid.scoring.benchmarks import Benchmark
from reid.sets.baselines import CellGrid


@dataclass(frozen=True)
class Crop:
    cells: NDArray[np.float32]
    foreground: NDArray[np.float32]
    pooled: NDArray[np.float32]


def sample(person: int, camera: int) -> Sample:
    png = cv2.imencode(".png", np.full((64, 32, 3), 200, np.uint8))[1].tobytes()
    return Sample(f"made/test/{person}_{camera}.png", person, camera, png)


def test_a_wide_crop_keeps_its_aspect() -> None:
    tile = fitted(np.zeros((10, 20, 3), np.uint8))
    assert tile.shape == (*TILE, 3)
    assert (tile[:, 0, 0] == 0).sum() == TILE[1] // 2


def test_heat_is_red_where_the_person_is_and_blue_elsewhere() -> None:
    foreground = np.zeros(70, np.float32)
    foreground[:16] = 1
    picture = heat(
        np.full((64, 32, 3), 128, np.uint8), Crop(np.zeros((70, 1)), foreground, np.ones(1)), CellGrid()
    )
    red, blue = picture[2, 16, 0], picture[2, 16, 2]
    assert red > blue
    assert picture[-3, 16, 2] > picture[-3, 16, 0]


def test_right_and_wrong_pictures_have_their_frames_and_the_own_camera_is_left_out() -> None:
    gallery = [sample(1, 1), sample(2, 2), sample(1, 2)]
    row = ranked_row(Benchmark("made", [sample(1, 1)], gallery), 0, np.array([0.0, 0.1, 0.2]))
    assert [tuple(tile[0, 0]) for tile in row[1:]] == [WRONG, RIGHT]


def test_short_rows_are_filled() -> None:
    tile = np.zeros((4, 3, 3), np.uint8)
    assert grid_of([[tile, tile], [tile]]).shape == (2 * 8, 2 * 7, 3)


def test_curves_are_drawn_from_a_sweeps_json(tmp_path: Path) -> None:
    rows = [{"beta": v, "covered": c, "rank1": 50, "mAP": 40} for v in ("0.01", "0.1") for c in (0, 50)]
    (tmp_path / "beta.json").write_text(json.dumps({"dataset": "made", "sweep": "beta", "rows": rows}))
    result = CliRunner().invoke(
        app, ["curves", str(tmp_path / "beta.json"), "--out", str(tmp_path / "c.png")]
    )
    assert result.exit_code == 0
    assert cv2.imread(str(tmp_path / "c.png")) is not None


@pytest.mark.parametrize("text", ["", "[]", '{"rows": []}', '{"sweep": "beta", "rows": [{"beta": "1"}]}'])
def test_what_is_no_sweep_is_one_line_with_its_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(text)
    options = ["curves", str(tmp_path / "other.json"), "--out", str(tmp_path / "c.png")]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 2 and "other.json: not what" in result.stderr


def test_a_folder_without_crops_is_one_line(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "weights/fpr_small.safetensors"
    options = ["maps", "--weights", str(shipped), "--images", str(tmp_path), "--out", str(tmp_path / "m.png")]
    result = CliRunner().invoke(app, options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
