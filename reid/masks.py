"""Person masks of crops, computed once and kept as PNGs: `python -m reid.masks --help`. Training only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from reid.data.datasets import load_dataset
from reid.data.samples import Sample
from reid.progress import one_line_errors, watch

SHEET_COLUMNS, SHEET_ROWS = 16, 6
SHEET_PX = (128, 64)
"""Height and width of a crop on the contact sheet."""
SHADE = 0.25
"""Brightness of what is not the person, on the sheet."""
Mask = NDArray[np.bool_]  # (H, W), true where the person is
Image = NDArray[np.uint8]  # (H, W, 3) RGB


class MaskMissing(FileNotFoundError):
    """A crop's mask was not computed, or is damaged."""


def mask_path(folder: Path, sample: Sample) -> Path:
    """Where a sample's mask lies: its name under `folder`, as .png."""
    return folder / PurePosixPath(sample.name).with_suffix(".png")


def read_mask(folder: Path, sample: Sample) -> Mask:
    """(H, W) where the crop's person is, of the crop's own size; nowhere, if nobody was found.

    Raises:
        MaskMissing: not computed yet, or no picture.
    """
    path = mask_path(folder, sample)
    read = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    if read is None:
        raise MaskMissing(f"{path}: no mask of {sample.name}; compute it with `python -m reid.masks`")
    return np.asarray(read, np.uint8) > 127


def write_mask(folder: Path, sample: Sample, mask: Mask) -> None:
    """Keep a mask, in one step; black and white."""
    path = mask_path(folder, sample)
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(".png", mask.astype(np.uint8) * 255)
    partial = path.with_suffix(".partial")
    partial.write_bytes(encoded.tobytes())
    partial.replace(path)


def contact_sheet(samples: Sequence[Sample], folder: Path) -> Image:
    """Crops spread evenly over the samples, with all but the person darkened; red frames: nobody found.

    Raises:
        MaskMissing: one of them has no mask.
    """
    count = min(len(samples), SHEET_COLUMNS * SHEET_ROWS)
    chosen = [samples[i * len(samples) // count] for i in range(count)]
    tiles = [tile(sample.image, read_mask(folder, sample)) for sample in chosen]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % SHEET_COLUMNS)
    rows = [np.hstack(tiles[i : i + SHEET_COLUMNS]) for i in range(0, len(tiles), SHEET_COLUMNS)]
    return np.asarray(np.vstack(rows), np.uint8)


def tile(crop: Image, mask: Mask) -> Image:
    """One crop of the sheet."""
    shaded = np.where(mask[..., None], crop, (crop * SHADE).astype(np.uint8))
    small = np.asarray(cv2.resize(shaded, SHEET_PX[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    if not mask.any():
        cv2.rectangle(small, (0, 0), (SHEET_PX[1] - 1, SHEET_PX[0] - 1), (255, 0, 0), 2)
    return small


def main(
    dataset: Annotated[str, typer.Option(help="Such as market1501/train, or folder:PATH.")],
    network: Annotated[Path, typer.Option(help="ultralytics segmentation network, yolov8n-seg.pt.")],
    out: Annotated[Path, typer.Option(help="Folder for the masks.")],
    root: Annotated[Path, typer.Option(help="Folder that holds the data sets.")] = Path("."),
    sheet: Annotated[Path | None, typer.Option(help="Contact sheet to look at (.png).")] = None,
    most: Annotated[int | None, typer.Option(min=1, help="Only so many crops, spread evenly.")] = None,
) -> None:
    """Computes the person masks of a data set's crops; what is there already is kept."""
    from reid.network.segment import Segmenter  # here: reading masks needs no torch

    with one_line_errors():
        samples = load_dataset(root, dataset)
        if most is not None and most < len(samples):
            samples = [samples[i * len(samples) // most] for i in range(most)]
        waiting = [sample for sample in samples if not mask_path(out, sample).is_file()]
        segmenter = Segmenter(network)
        for sample in watch(waiting, "masks"):
            write_mask(out, sample, segmenter.mask(sample.image))
        empty = sum(not read_mask(out, sample).any() for sample in samples)
        typer.echo(f"{len(samples)} masks in {out}, {len(waiting)} of them new, {empty} without a person")
    if sheet is not None:
        sheet.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(sheet), contact_sheet(samples, out)[..., ::-1])


if __name__ == "__main__":
    typer.run(main)
