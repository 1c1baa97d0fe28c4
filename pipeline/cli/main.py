"""The command line: every command is one call."""

from __future__ import annotations

import logging
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from rich.console import Console

from pipeline.cli.exit_codes import WRONG_USAGE, exit_code
from pipeline.config import Config, config_for_sources, load_config, replayed
from pipeline.errors import MendableError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Where did this person go across my cameras? Recordings in, one identity per person out.",
    epilog="Exit codes: 0 all done, 1 some source failed or nothing found, 2 wrong usage, 130 interrupted.",
)
query = typer.Typer(no_args_is_help=True, help="Ask the database: people, tracks, journey.")
app.add_typer(query, name="query")
correct = typer.Typer(no_args_is_help=True, help="Say who is who: merge, split, undo, history.")
app.add_typer(correct, name="correct")
WIDTH = None if sys.stdout.isatty() else 140
"""Of tables and notices; a pipe has no width of its own."""
out = Console(soft_wrap=True, width=WIDTH)
err = Console(stderr=True, soft_wrap=True, width=WIDTH)

Database = Annotated[str, typer.Option("--db", help="SQLite file, or postgresql:// URL.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Out = Annotated[Path, typer.Option("--out", help="Where the result goes.")]
Version = Annotated[
    int | None, typer.Option(help="Identity version (see `query versions`); the newest if left out.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


@app.command()
def run(
    sources: Annotated[
        list[str],
        typer.Argument(help="Videos, folders of numbered frames, camera URLs, or one .yaml configuration."),
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

    Example: run_pipeline.py run entrance.mp4 hall.mp4 --db out.db
    """
    from pipeline.cli.show import show_run
    from pipeline.running.run import run as run_recordings

    config = read_config(sources)
    config = replayed(config) if realtime else config
    database = db or config.database
    if not database:
        fail("say where the result goes: --db out.db")
    if not config.cameras:
        fail("no cameras: give video files, or list them under `cameras` in the configuration")
    report = run_recordings(config, database, fresh=fresh, command=shlex.join(sys.argv), console=err)
    show_run(report, database, out, json=json)
    raise typer.Exit(report.exit_code)


@app.command()
def check(
    config: Annotated[list[str], typer.Argument(help="One .yaml configuration, or bare sources.")],
    json: Json = False,
) -> None:
    """Say whether every camera of a configuration can be read, and what it delivers."""
    from pipeline.cameras.check import check_cameras
    from pipeline.cli.show import show_checks
    from pipeline.credentials import hide

    site = hide(read_config(config))
    checks = check_cameras(site.cameras, live=site.live, secrets=site.secrets)
    show_checks(checks, out, json=json)
    raise typer.Exit(1 if any(c.problem for c in checks) else 0)


@app.command()
def status(db: Database, json: Json = False) -> None:
    """How a live run is, camera by camera: state, rates, drops, latency, last error."""
    from pipeline.cli.status_table import show_status

    show_status(db, out, json=json)


@query.command()
def people(db: Database, version: Version = None, json: Json = False) -> None:
    """Everybody in the database: cameras, first and last seen, how certain."""
    from pipeline.cli.show import show_people

    found = show_people(db, out, version=version, json=json)
    raise typer.Exit(0 if found else 1)


@query.command()
def tracks(
    db: Database,
    camera: Annotated[str | None, typer.Option(help="Only this camera.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="2026-01-31T08:00:00Z, 2026-01-31 (0:00 UTC), or seconds.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="The same.")] = None,
    version: Version = None,
    json: Json = False,
) -> None:
    """Every tracklet in view between two times."""
    from pipeline.cli.show import show_tracks

    found = show_tracks(db, out, camera=camera, since=since, until=until, version=version, json=json)
    raise typer.Exit(0 if found else 1)


@query.command()
def journey(
    person: Annotated[str, typer.Argument(help="P7 or 7.")],
    db: Database,
    version: Version = None,
    json: Json = False,
) -> None:
    """Where one person went: camera visits in order, gaps between them, how certain each is."""
    from pipeline.cli.show import show_journey

    show_journey(db, person, out, version=version, json=json)


@query.command(name="versions")
def query_versions(db: Database, json: Json = False) -> None:
    """Every identity version: by whom it was made, and when."""
    from pipeline.cli.show import show_versions

    show_versions(db, out, json=json)


@app.command()
def find(
    db: Database,
    image: Annotated[Path, typer.Option("--image", help="A photograph of the person.")],
    top: Annotated[int, typer.Option(min=1, help="How many people to list.")] = 5,
    json: Json = False,
) -> None:
    """From a photograph to the people in the database it may show, most likely first. Audited."""
    from pipeline.cli.show import show_found
    from pipeline.queries.find import find_people

    found = find_people(db, image, Config(), top=top, say=lambda text: err.print(text, style="yellow"))
    show_found(found, out, json=json)
    raise typer.Exit(0 if found else 1)


@app.command()
def export(
    db: Database,
    out_path: Out,
    format: Annotated[Literal["mot", "csv", "json", "parquet"], typer.Option("--format")] = "csv",
    version: Version = None,
    overwrite: Overwrite = False,
) -> None:
    """Write tracks for other programs. mot: OUT/CAMERA.txt; others: OUT/tracks.csv, or OUT where so named.

    mot, csv and parquet have one row for each person and frame; a box interpolated between two detections has
    confidence 0. json has one entry for each tracklet and no boxes.
    """
    from pipeline.cli.show import show_export

    show_export(db, out_path, format, out, version=version, overwrite=overwrite)


@app.command()
def render(
    db: Database,
    out_path: Out,
    camera: Annotated[list[str] | None, typer.Option(help="Only these cameras; may be repeated.")] = None,
    person: Annotated[list[str] | None, typer.Option(help="Only these people; may be repeated.")] = None,
    version: Version = None,
) -> None:
    """Draw what was found: an annotated video per camera, a contact sheet per person."""
    from pipeline.cli.show import show_render

    raise typer.Exit(show_render(db, out_path, err, cameras=camera, people=person, version=version))


@app.command()
def forget(
    person: Annotated[str, typer.Argument(help="P7 or 7.")],
    db: Database,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Erase a person: rows, vectors and pictures, in every identity version. An audit entry stays.

    The recordings themselves are not touched: who reads them again (run --fresh) finds the person again.
    """
    from pipeline.cli.show import show_forget

    if not yes and not confirmed(f"Erase {person} from {db} for ever?"):
        err.print("nothing was erased")
        raise typer.Exit(1)
    show_forget(db, person, out, json=json)


@app.command()
def evaluate(
    db: Database,
    truth: Annotated[
        Path, typer.Option("--truth", help="Folder with gt_<camera>.txt (MOT), .csv, .xml or .json.")
    ],
    partial: Annotated[
        bool, typer.Option("--partial", help="Only some people are labelled: ignore what matches no label.")
    ] = False,
    first_frame: Annotated[
        int, typer.Option(min=0, max=1, help="Number the truth gives the first frame: 1, or 0.")
    ] = 1,
    frames: Annotated[str | None, typer.Option(help="Only these frames of the truth, such as 1-320.")] = None,
    version: Version = None,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for a calibration plot and pictures of every wrong link.")
    ] = None,
    json: Json = False,
) -> None:
    """Measure tracks and identities against labelled truth: MOTA, IDF1, HOTA, every wrong link."""
    from pipeline.cli.show_evaluation import show_evaluation

    show_evaluation(
        db,
        truth,
        out,
        coverage="partial" if partial else "complete",
        first_frame=first_frame,
        frames=frames,
        version=version,
        plots=plots,
        json=json,
    )


@app.command()
def recluster(
    db: Database,
    config: Annotated[Path | None, typer.Option(help="A .yaml configuration; its `matcher` counts.")] = None,
    json: Json = False,
) -> None:
    """Compare everything with everything: better identities, as a new version, each change explained."""
    from pipeline.cli.show_recluster import show_recluster

    settings = load_config(config) if config else Config()
    show_recluster(db, settings.matcher, out, json=json)


@app.command()
def review(
    db: Database,
    pictures: Annotated[
        Path, typer.Option("--pictures", help="Folder for the side-by-side pictures.")
    ] = Path("out/review"),
    below: Annotated[
        float, typer.Option(min=0, max=1, help="Also ask about links stated to be less probable than this.")
    ] = 0.0,
    json: Json = False,
) -> None:
    """Ask about every ambiguous link: same, different or not sure. Answers survive re-clustering; audited."""
    from pipeline.cli.show_corrections import show_review

    show_review(db, pictures, out, err, below=below, json=json)


@app.command()
def annotate(
    db: Database,
    out_path: Out,
    trust: Annotated[
        Literal["confirmed", "everything"], typer.Option(help="Which links are taken for true.")
    ] = "confirmed",
    json: Json = False,
) -> None:
    """Write truth files (gt_<camera>.txt) from what an operator confirmed, to measure with `evaluate`."""
    from pipeline.cli.show_corrections import show_annotate

    show_annotate(db, out_path, trust, out, json=json)


@correct.command()
def merge(
    people: Annotated[list[str], typer.Argument(help="P3 P7: all become the first.")], db: Database
) -> None:
    """Say that people are one."""
    from pipeline.cli.show_corrections import show_merge

    show_merge(db, people, out, err)


@correct.command()
def split(
    person: Annotated[str, typer.Argument(help="P3")],
    tracklets: Annotated[list[str], typer.Argument(help="t12 t15: they become a new person.")],
    db: Database,
) -> None:
    """Say that some tracklets of a person show somebody else."""
    from pipeline.cli.show_corrections import show_split

    show_split(db, person, tracklets, out, err)


@correct.command()
def undo(
    db: Database,
    correction: Annotated[int | None, typer.Argument(help="Its number; the last if left out.")] = None,
) -> None:
    """Take back a correction or an answer of a review."""
    from pipeline.cli.show_corrections import show_undo

    show_undo(db, correction, out, err)


@correct.command()
def history(db: Database, json: Json = False) -> None:
    """Everything that was corrected, answered and undone."""
    from pipeline.cli.show_corrections import show_corrections

    show_corrections(db, out, json=json)


@app.command()
def demo(
    out_path: Annotated[Path, typer.Option("--out", help="Folder for the scene and its results.")] = Path(
        "out/demo"
    ),
) -> None:
    """The whole pipeline on a two-camera scene with known truth, made on the spot: truth against found."""
    from pipeline.demo.demo import run_demo

    try:
        out_path.mkdir(parents=True, exist_ok=True)
        code = run_demo(out_path, console=out)
    except OSError as error:
        fail(f"{error.filename or out_path}: {error.strerror or error}")
    raise typer.Exit(code)


def read_config(sources: list[str]) -> Config:
    """The configuration that the arguments of `run` mean."""
    if any(source.endswith((".yaml", ".yml")) for source in sources):
        if len(sources) > 1:
            fail("give either one configuration file or sources, not both")
        return load_config(Path(sources[0]))
    return config_for_sources(sources)


def confirmed(question: str) -> bool:
    """Whether somebody at the keyboard says yes; no answer is a no."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        err.print()
        return False


def fail(message: str) -> NoReturn:
    """End with one line and exit code 2."""
    err.print(message, style="bold red", markup=False, highlight=False)
    raise typer.Exit(WRONG_USAGE)


def main() -> None:
    """Run a command; an error the user can mend is one line."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        app()
    except MendableError as error:
        err.print(str(error), style="bold red", markup=False, highlight=False)
        sys.exit(exit_code(error))
