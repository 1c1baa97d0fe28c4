"""Blends trained weights with those the training began as: `python -m reid.blend --help`.

What a fine-tuning gains on its own sites it partly loses on others; between its first and last weights lie
ones that keep most of both (Wortsman et al., CVPR 2022, WiSE-FT).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from safetensors.torch import load_file

from reid.network.weights import WeightsError, differences, load_weights, read_notes, save_weights
from reid.progress import one_line_errors


def blend(start: Path, trained: Path, share: float, out: Path) -> None:
    """Write `share` of the trained weights and the rest of the first ones, with the trained one's notes.

    Raises:
        WeightsError: missing, or not the same network.
    """
    begun, notes = read_notes(start), read_notes(trained)
    first, last = load_file(start), load_file(trained)
    differing = differences(first, last)
    if begun.spec != notes.spec or differing:
        raise WeightsError(f"{start}: not the network of {trained}: {(differing or ['another spec'])[0]}")
    model = load_weights(trained)
    model.load_state_dict(
        {name: (1 - share) * first[name].float() + share * last[name].float() for name in last}
    )
    save_weights(out, model, recipe=notes.recipe | {"blend": share}, terms=notes.terms)


def main(
    start: Annotated[Path, typer.Option(help="What the training began as: of `reid.train --steps 0`.")],
    trained: Annotated[Path, typer.Option(help="What it ended as.")],
    out: Annotated[Path, typer.Option(help="The weights to write.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the trained weights.")] = 0.8,
) -> None:
    """Blends trained weights with those the training began as."""
    with one_line_errors():
        blend(start, trained, share, out)
    typer.echo(f"weights in {out}")


if __name__ == "__main__":
    typer.run(main)
