"""Commands about cameras: read or watch them, check them, see how a live run is."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from pipeline.cli.options import Database, Json, err, fail, out
from pipeline.config import Config, config_for_sources, load_config, replayed
from pipeline.shipped_files import shipped_folder
from pipeline.urls import redact_words


def run(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Videos, folders of clips or pictures, patterns, camera URLs, or one .yaml configuration."
        ),
    ],
    db: Annotated[str, typer.Option("--db", help="SQLite file (made if missing) or postgresql:// URL.")] = "",
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Read again: replace all that the database holds of these cameras."),
    ] = False,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Replay files as if they were live cameras.")
    ] = False,
    json: Json = False,
) -> None:
    """Read recordings or watch live cameras: detect, track and link everyone in them into a database.

    Live cameras (rtsp, rtsps, http, https; /dev/video0 is untested) are watched until Ctrl-C.

    Example: across-cameras run entrance.mp4 hall.mp4 --db out.db
    """
    from pipeline.cli.progress import TerminalListener
    from pipeline.cli.show_run import show_run
    from pipeline.running.run import run as run_recordings

    config = read_config(sources)
    config = replayed(config) if realtime else dated(config)
    database = db or config.database
    if not database:
        fail("say where the result goes: --db out.db")
    said = shlex.join(redact_words(sys.argv))
    report = run_recordings(
        config,
        database,
        fresh=fresh,
        command=said,
        listener=TerminalListener(err),
    )
    show_run(report, database, out, json=json)
    raise typer.Exit(report.exit_code)


def check(
    config: Annotated[list[str], typer.Argument(help="One .yaml configuration, or bare sources.")],
    json: Json = False,
) -> None:
    """Say whether every camera of a configuration can be read, and what it delivers."""
    from pipeline.cameras.check import check_cameras
    from pipeline.cli.show_run import show_checks
    from pipeline.credentials import hide

    site = hide(dated(read_config(config)))
    checks = check_cameras(site.cameras, live=site.live, secrets=site.secrets)
    show_checks(checks, out, json=json)
    raise typer.Exit(1 if any(c.problem for c in checks) else 0)


def status(db: Database, json: Json = False) -> None:
    """How a live run is, camera by camera: state, rates, drops, latency, last error."""
    from pipeline.cli.status_table import show_status

    show_status(db, out, json=json)


def config(
    name: Annotated[
        Literal["default", "rtsp"],
        typer.Argument(help="default: every key and what it means; rtsp: live cameras."),
    ] = "default",
) -> None:
    """Print a configuration to start from.

    Example: across-cameras config rtsp > site.yaml
    """
    typer.echo((shipped_folder() / "configs" / f"{name}.yaml").read_text(encoding="utf-8"), nl=False)


def read_config(sources: list[str]) -> Config:
    """The configuration that the arguments of `run` mean."""
    if any(source.endswith((".yaml", ".yml")) for source in sources):
        if len(sources) > 1:
            fail("give either one configuration file or sources, not both")
        config = load_config(Path(sources[0]))
        if not config.cameras:
            fail(f"{sources[0]}: no cameras: list them under `cameras`")
        return config
    return config_for_sources(sources)


def dated(config: Config) -> Config:
    """The configuration with the starts that names of files say; each is told."""
    from pipeline.cameras.starts import with_starts

    started = with_starts(config.cameras)
    for note in started.notes:
        err.print(note, style="dim", markup=False, highlight=False)
    return msgspec.structs.replace(config, cameras=started.cameras)
