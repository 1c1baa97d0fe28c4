"""Person masks: found, kept, read back, looked at."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from reid.data.samples import Sample
from reid.masks import MaskMissing, contact_sheet, main, mask_path, read_mask, write_mask
from reid.network.segment import Placement, Segmenter, SegmenterError, on_canvas, overlap, person_mask

PNG = cv2.imencode(".png", np.full((64, 32, 3), 200, np.uint8))[1].tobytes()
SAMPLES = [Sample(f"made/train/{i}_1.jpg", i, 1, PNG) for i in range(3)]
BODY = np.zeros((64, 32), np.bool_)
BODY[8:60, 8:24] = True


def test_a_mask_is_read_as_it_was_written_under_the_samples_name(tmp_path: Path) -> None:
    write_mask(tmp_path, SAMPLES[1], BODY)
    assert mask_path(tmp_path, SAMPLES[1]) == tmp_path / "made/train/1_1.png"
    np.testing.assert_array_equal(read_mask(tmp_path, SAMPLES[1]), BODY)


def test_a_missing_mask_names_the_crop_and_the_command(tmp_path: Path) -> None:
    with pytest.raises(MaskMissing, match=r"no mask of made/train/0_1\.jpg; compute it with .*reid\.masks"):
        read_mask(tmp_path, SAMPLES[0])


def test_a_damaged_mask_counts_as_missing(tmp_path: Path) -> None:
    write_mask(tmp_path, SAMPLES[0], BODY)
    mask_path(tmp_path, SAMPLES[0]).write_bytes(b"half a file")
    with pytest.raises(MaskMissing):
        read_mask(tmp_path, SAMPLES[0])


def test_the_sheet_darkens_what_is_not_the_person_and_frames_the_empty(tmp_path: Path) -> None:
    for sample, mask in zip(SAMPLES, (BODY, BODY, np.zeros_like(BODY)), strict=True):
        write_mask(tmp_path, sample, mask)
    sheet = contact_sheet(SAMPLES, tmp_path)
    assert sheet.shape == (128, 16 * 64, 3)
    assert sheet[60, 32].tolist() == [200] * 3
    assert sheet[2, 2].tolist() == [50] * 3
    assert sheet[0, 128].tolist() == [255, 0, 0]


def test_a_crop_keeps_its_aspect_and_gets_surroundings() -> None:
    canvas, placement = on_canvas(np.full((128, 64, 3), 9, np.uint8))
    assert canvas.shape == (480, 256, 3)
    assert (placement.height, placement.width) == (320, 160)
    assert canvas[placement.top, placement.left].tolist() == [9] * 3
    assert canvas[0, 0].tolist() == [114] * 3


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (700, 2)])
def test_crops_of_any_size_have_a_place(size: tuple[int, int]) -> None:
    canvas, placement = on_canvas(np.zeros((*size, 3), np.uint8))
    assert all(side % 32 == 0 for side in canvas.shape[:2])
    assert placement.height >= 1 and placement.width >= 1


def answer(boxes: list[list[float]], confidence: list[float]) -> torch.Tensor:
    """The network's (4 + 1 + 32, A) rows; every mask is prototype 0."""
    rows = torch.zeros(37, len(boxes))
    rows[:4], rows[4], rows[5] = torch.tensor(boxes).T, torch.tensor(confidence), 1
    return rows


def test_the_mask_is_the_person_that_fills_the_crop() -> None:
    prototypes = torch.ones(32, 40, 40)
    placement = Placement(top=40, left=60, height=80, width=40)
    beside, whole = [20.0, 20.0, 20.0, 20.0], [80.0, 90.0, 20.0, 60.0]
    mask = person_mask(answer([beside, whole], [0.9, 0.6]), prototypes, placement, (80, 40))
    assert mask.sum() == 20 * 60
    assert mask[20:80, 10:30].all()


def test_nobody_found_is_an_empty_mask() -> None:
    placement = Placement(top=0, left=0, height=80, width=40)
    mask = person_mask(answer([[20.0, 40.0, 40.0, 80.0]], [0.05]), torch.ones(32, 40, 40), placement, (7, 5))
    assert mask.shape == (7, 5) and not mask.any()


def test_overlap_is_one_for_the_crop_itself_and_zero_beside_it() -> None:
    placement = Placement(top=10, left=20, height=30, width=40)
    boxes = torch.tensor([[20.0, 10.0, 60.0, 40.0], [60.0, 10.0, 100.0, 40.0]]).T
    assert overlap(boxes, placement).tolist() == [1, 0]


def test_what_is_no_segmentation_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SegmenterError, match="no such file"):
        Segmenter(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(SegmenterError, match="not an ultralytics checkpoint"):
        Segmenter(tmp_path / "text.pt")


def test_a_real_person_is_found(shared_data: Path) -> None:
    from reid.data.datasets import load_dataset

    network = shared_data / "weights/yolov8n-seg.pt"
    if not network.is_file():
        pytest.skip("SHARED_DATA: no yolov8n-seg.pt")
    sample = load_dataset(shared_data / "data", "partial_reid/whole")[0]
    mask = Segmenter(network).mask(sample.image)
    assert mask.shape == sample.image.shape[:2]
    assert 0.15 < mask.mean() < 0.9


def test_the_command_says_in_one_line_what_it_cannot_load(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(main)
    (tmp_path / "p1_1.png").write_bytes(PNG)
    options = ["--dataset", f"folder:{tmp_path}", "--network", "none.pt", "--out", str(tmp_path / "masks")]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: none.pt: no such file") and result.stderr.count("\n") == 1
