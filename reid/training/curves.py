"""The log of a training run: a CSV file, and its curves as a picture."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

LOG = "log.csv"
PICTURE = "curves.png"
STEPS = "steps"
"""Key under which the steps are counted beside the terms of the loss."""


def append_row(path: Path, step: int, elapsed_s: float, totals: Counter[str]) -> dict[str, float]:
    """Write the means of what was summed since the last row, which is then forgotten; returns them."""
    count = totals.pop(STEPS)
    row = {name: round(total / count, 4) for name, total in totals.items()}
    totals.clear()
    fresh = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.writer(stream)
        if fresh:
            writer.writerow(["step", "elapsed_s", *row])
        writer.writerow([step, round(elapsed_s, 1), *row.values()])
    return row


def cut_log(path: Path, step: int) -> None:
    """Drop the rows after `step`, which a run that was killed will write again; 0: all of them."""
    if not path.exists():
        return
    with path.open(newline="") as stream:
        header, *rows = list(csv.reader(stream)) or [[]]
    kept = [row for row in rows if int(row[0]) <= step]
    path.unlink()
    if kept:
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *kept])


def draw_curves(log: Path, picture: Path) -> None:
    """Draw each column of a log against the step, one panel each."""
    from matplotlib.figure import Figure  # here: half a second that only a written log is worth

    with log.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = [name for name in rows[0] if name not in ("step", "elapsed_s")]
    steps = [int(row["step"]) for row in rows]
    figure = Figure(figsize=(8, 1.8 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for panel, name in zip(panels, names, strict=True):
        panel.plot(steps, [float(row[name]) for row in rows], marker=".")
        panel.set_title(name.replace("_", " "), loc="left", fontsize=9)
    panels[-1].set_xlabel("step")
    figure.savefig(picture, dpi=100)
