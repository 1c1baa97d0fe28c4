"""Truth in lines of numbers: MOT text and CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.evaluate.labelled_box import PERSON, LabelledBox, TruthError

CORNERS = (("x1", "y1", "x2", "y2"), ("x", "y", "w", "h"), ("left", "top", "width", "height"))


def read_mot(path: Path) -> Iterator[LabelledBox]:
    """`frame,id,left,top,width,height[,counts[,...]]`; counts = 0 means ignored (MOT Challenge)."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = [float(value) for value in line.split(",")]
            frame, person, left, top, width, height = values[:6]
        except ValueError:
            raise TruthError(f"{path}, line {number}: not frame,id,left,top,width,height") from None
        box = (left, top, left + width, top + height)
        yield LabelledBox(None, int(frame), int(person), box, ignored=values[6:7] == [0.0])


def read_csv(path: Path) -> Iterator[LabelledBox]:
    """A header naming frame, person (or id) and x1,y1,x2,y2 or x,y,w,h; also camera and ignored."""
    with path.open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            try:
                box = csv_box(row)
                person, frame = int(first_of(row, PERSON)), int(row["frame"])
            except (KeyError, ValueError, TypeError) as error:
                raise TruthError(f"{path}, line {number}: no number under {error}") from None
            ignored = row.get("ignored") in ("1", "true", "True")
            yield LabelledBox(row.get("camera"), frame, person, box, ignored)


def csv_box(row: Mapping[str, str]) -> tuple[float, float, float, float]:
    """The box of a row as xyxy."""
    names = next((names for names in CORNERS if names[0] in row), CORNERS[0])
    a, b, c, d = (float(row[name]) for name in names)
    return (a, b, c, d) if names is CORNERS[0] else (a, b, a + c, b + d)


def first_of(row: Mapping[str, str], names: Sequence[str]) -> str:
    """The first of these entries that is there.

    Raises:
        KeyError: none is.
    """
    for name in names:
        if row.get(name):
            return row[name]
    raise KeyError(names[0])
