"""The whole pipeline on a two-camera scene with known truth, made on the spot, and how well it did."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.atomic_files import write_whole
from pipeline.cameras.frames import Image
from pipeline.config import CameraConfig, Config
from pipeline.demo.colour import link_by_colour, with_histograms
from pipeline.demo.picture import FoundTracklet, Result, draw_demo, figures
from pipeline.demo.scene import SECONDS, Scene, make_scene
from pipeline.demo.score import PersonScore, Score, judged, people_shown, refiled, score
from pipeline.encoded_images import decode_image, encode_png
from pipeline.evaluate.evaluation import Judged
from pipeline.evaluate.found_boxes import read_found
from pipeline.linking.site_knowledge import places
from pipeline.queries.crops import crop_jpeg
from pipeline.records import StoredTracklet
from pipeline.running.run import RunListener, run
from pipeline.store.database import Store
from pipeline.store.identity_claims import identities_of_tracklets
from pipeline.store.open_store import open_store
from pipeline.store.tracklets import stored_tracklets, stored_trajectories
from pipeline.store.versions import current_version

COLOUR_THRESHOLDS = tuple(np.linspace(0.05, 0.95, 46).round(3).tolist())
"""Every distance the control may link up to; the best for it is taken with the truth in hand."""
OURS = "This system"
CONTROL = "Colour histograms, best threshold"


def run_demo(
    out: Path, *, console: Console, listener: RunListener, seed: int = 0, seconds: float = SECONDS
) -> int:
    """Make the scene, run the pipeline, compare with the truth, write demo.png and demo.json; the exit code.

    The truth stays out of the pipeline: it gets two recordings with their start times. The control links
    the same tracklets with the same rules by the colours of the same crops.

    Args:
        out: folder for the scene, the database and the picture; an earlier demo in it is replaced.
        console: where everything is printed.
        listener: told what the run does.
        seed: of the scene.
        seconds: length of each recording.

    Raises:
        PhotographError, StoreError, WorkerDied: see `demo.people`, `database`, `processes`.
    """
    started = time.monotonic()
    with console.status("making two recordings with known truth"):
        scene = make_scene(out / "scene", seed=seed, seconds=seconds)
    made = time.monotonic()
    config, database = demo_config(scene), out / "demo.db"
    for earlier in out.glob("demo.db*"):
        earlier.unlink()
    report = run(config, str(database), fresh=True, command="demo", listener=listener)
    if report.exit_code:
        return report.exit_code
    done = time.monotonic()
    with open_store(database) as store:
        stored = list(stored_tracklets(store))
        crops = read_crops(store, stored)
        tracklets = found_tracklets(store, stored)
        boxes = judged(scene, read_found(store))
        control = colour_result(store, scene, config, boxes, stored, crops)
    results = [Result(OURS, score(scene, boxes)), control]
    best = {tracklet.id: crops[tracklet.crops[0].id] for tracklet in stored if tracklet.crops}
    write_whole(out / "demo.json", msgspec.json.format(msgspec.json.encode([summary(r) for r in results])))
    write_whole(out / "demo.png", encode_png(draw_demo(scene, tracklets, best, people_shown(boxes), results)))
    console.print(people_table(results[0].score))
    console.print(results_table(results))
    spent = (
        f"scene {made - started:.0f} s, pipeline {done - made:.0f} s, scoring {time.monotonic() - done:.0f} s"
    )
    console.print(f"{out / 'demo.png'} shows it all ({spent}). The database is {database}.", highlight=False)
    return 0


def summary(result: Result) -> dict[str, str | int | float]:
    """The numbers of one way of linking, for programs."""
    score = result.score
    return {
        "linked_by": result.name,
        "people": len(score.people),
        "whole_journeys": score.whole_journeys,
        "links_said": score.links.said,
        "links_right": score.links.right,
        "links_true": score.links.true,
        "idf1": score.idf1,
        "merges": score.merges,
        "identities": score.identities,
    }


def demo_config(scene: Scene) -> Config:
    """The defaults, for the scene's recordings."""
    return Config(
        cameras=tuple(
            CameraConfig(name=camera.name, source=str(camera.video), start=camera.start)
            for camera in scene.cameras
        )
    )


def read_crops(store: Store, tracklets: Sequence[StoredTracklet]) -> dict[int, Image]:
    """Every crop's picture, RGB, by number."""
    encoded = {crop.id: crop_jpeg(store, crop.id) for tracklet in tracklets for crop in tracklet.crops}
    decoded = {crop: decode_image(jpeg) for crop, jpeg in encoded.items()}
    return {crop: image for crop, image in decoded.items() if image is not None}


def found_tracklets(store: Store, stored: Sequence[StoredTracklet]) -> list[FoundTracklet]:
    """Every tracklet with its boxes and the identity of the newest version."""
    identities = identities_of_tracklets(store, current_version(store) or 0)
    seen = stored_trajectories(store, [tracklet.id for tracklet in stored])
    return [
        FoundTracklet(
            tracklet.id,
            tracklet.camera,
            identities[tracklet.id],
            seen[tracklet.id].frames.astype(np.int32),
            seen[tracklet.id].boxes.astype(np.float32),
        )
        for tracklet in stored
    ]


def colour_result(
    store: Store,
    scene: Scene,
    config: Config,
    boxes: Sequence[Judged],
    stored: Sequence[StoredTracklet],
    crops: Mapping[int, Image],
) -> Result:
    """What the control reaches at the threshold that suits it best."""
    coloured = [with_histograms(tracklet, crops) for tracklet in stored]
    where = places(store)
    tried = []
    for threshold in COLOUR_THRESHOLDS:
        claims = link_by_colour(coloured, where, config, threshold)
        tried.append(score(scene, refiled(boxes, claims)))
    return Result(CONTROL, max(tried, key=lambda s: (s.idf1, s.whole_journeys)))


def people_table(ours: Score) -> Table:
    """Truth against found, person by person."""
    table = Table(
        "person", "went", "found as", "journey found", "boxes right", "", title="Truth against found"
    )
    for person in ours.people:
        found = "-" if person.identity is None else f"P{person.identity}"
        journeys = (" > ".join(person.visits), " > ".join(person.found))
        style = "green" if person.whole else "yellow"
        table.add_row(
            str(person.person),
            journeys[0],
            found,
            journeys[1],
            f"{person.purity:.0%}",
            verdict(person),
            style=style,
        )
    return table


def verdict(person: PersonScore) -> str:
    """What is wrong with a journey, in words."""
    if person.whole:
        return "right"
    if person.identity is None:
        return "missed"
    faults = []
    if person.splits:
        faults.append(f"also found under {person.splits} other identit{'y' if person.splits == 1 else 'ies'}")
    if person.strangers:
        faults.append(f"{person.strangers} track{'s' if person.strangers > 1 else ''} of somebody else")
    return ", ".join(faults) or "a visit is missing"


def results_table(results: Sequence[Result]) -> Table:
    """The score of each way of linking."""
    heads = ("whole journeys", "links right", "links found", "IDF1 across cameras", "merged", "identities")
    table = Table("linked by", *heads, title="Score")
    for result in results:
        table.add_row(result.name, *figures(result.score))
    return table
