"""The command that erases a person."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.options import Database, Json, confirmed, err, out


def forget(
    person: Annotated[str, typer.Argument(help="P7 or 7.")],
    db: Database,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Erase a person: rows, vectors and pictures, in every identity version. An audit entry stays.

    The recordings themselves are not touched: who reads them again (run --fresh) finds the person again.
    """
    from pipeline.cli.show_forget import show_forget

    if not yes and not confirmed(f"Erase {person} from {db} for ever?"):
        err.print("nothing was erased")
        raise typer.Exit(1)
    show_forget(db, person, out, err, json=json)
