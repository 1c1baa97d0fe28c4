"""Who is who across cameras: this program, online and offline, beside what a user would build today.

    python benchmarks/linking.py [--json] [--nlpr DB --pets DB]

Online means: the identity of each tracklet as it was known so many seconds of video after it closed; at 0 s
the first answer, from 5 s on that of the look-back (`pipeline/linking/look_back.py`), which may correct
it for 120 s.
The stored tracklets go through the online matcher again, in the order of a run, on which alone it depends.

Peers: yolo11n at 640 px on every frame, ultralytics' ByteTrack and BoT-SORT as they come, the mean vector of
each track by person-reidentification-retail-0277 or osnet_x0_25_msmt17, average-linkage clustering by cosine
distance, its threshold the best one for them on this very clip. Their tracks are kept under work/peers.

Needs SHARED_DATA (default ../shared). nlpr_indoor is the development clip, with partial truth (frame n is
label n, from 0) and synchronised cameras; pets09 is verification only, frames 1-320. --nlpr and --pets take
databases of an earlier run. Exits 1 and names each figure that was missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from pipeline.config import Config  # noqa: E402
from pipeline.evaluate.evaluation import Evaluation, Judged, evaluate, judge, measure  # noqa: E402
from pipeline.evaluate.found_boxes import FoundBoxes, read_found  # noqa: E402
from pipeline.evaluate.labels import labels  # noqa: E402
from pipeline.evaluate.tracking_score import across_idf1  # noqa: E402
from pipeline.evaluate.truth import CameraTruth, read_truth  # noqa: E402
from pipeline.linking.look_back import EVERY_NS  # noqa: E402
from pipeline.linking.open_matcher import open_matcher  # noqa: E402
from pipeline.records import Sighting  # noqa: E402
from pipeline.store.cameras import stored_cameras  # noqa: E402
from pipeline.store.database import Store  # noqa: E402
from pipeline.store.identity_claims import add_sightings, new_identity  # noqa: E402
from pipeline.store.models import newest_model  # noqa: E402
from pipeline.store.open_store import open_store  # noqa: E402
from pipeline.store.tracklets import stored_tracklets  # noqa: E402
from pipeline.store.versions import new_version, versions  # noqa: E402

SHARED = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared"))
NLPR = SHARED / "data/videos/nlpr_indoor"
PETS = SHARED / "data/videos/pets09_s2l1_view1"
CAMERAS = ("cam1", "cam3", "cam4")
PETS_FRAMES = range(320)
"""Of which the truth is complete."""
PEER_CACHE = ROOT / "work/peers"
THRESHOLDS = np.arange(0.1, 0.9, 0.01)
ONLINE_S = (0, 5, 10, 30, 60, 120)
"""Of which the one at `PROMISED_S` must reach what is demanded online."""
PROMISED_S = 10
START = "2026-01-31T08:00:00Z"
"""Any day will do: the clip's cameras are synchronised, and a user would say so."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    idf1: float
    hota: float
    precision: float | None
    """Of pairs across cameras, ambiguous links as filed: the peers know no other."""
    recall: float | None
    sure_precision: float | None
    """The same where ambiguous links claim nothing."""
    sure_recall: float | None
    perfect: float
    detection_recall: float
    boxes: int
    threshold: float | None = None


@dataclass(frozen=True)
class PetsRow:
    """The same for one camera with complete truth."""

    name: str
    hota: float
    idf1: float
    mota: float
    switches: int


def main() -> int:
    """Measure all, print the table, say what was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--nlpr", type=Path, help="database of an earlier run over nlpr_indoor")
    parser.add_argument("--pets", type=Path, help="database of an earlier run over pets09")
    arguments = parser.parse_args()
    if not SHARED.is_dir():
        print(f"SHARED_DATA: no folder {SHARED}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        nlpr = arguments.nlpr or run_nlpr(Path(folder))
        pets = arguments.pets or run_pets(Path(folder))
        rows = [*ours(nlpr), *peers()]
        pets_rows = [our_pets(pets), *peer_pets()]
    missed = [name for name, good, _ in check(rows, pets_rows) if not good]
    if arguments.json:
        tables = {"nlpr_indoor": [asdict(r) for r in rows], "pets09": [asdict(r) for r in pets_rows]}
        print(json.dumps({**tables, "missed": missed}))
    else:
        show(rows, pets_rows)
    return 1 if missed else 0


def run_nlpr(folder: Path) -> Path:
    """A fresh database of the three cameras, linked online and then offline."""
    cameras = [{"name": name, "source": str(NLPR / f"{name}.mp4"), "start": START} for name in CAMERAS]
    config = folder / "nlpr.yaml"
    config.write_text(json.dumps({"cameras": cameras}))
    database = folder / "nlpr.db"
    pipeline("run", str(config), "--db", str(database), "--json")
    if "recluster" not in {version.kind for version in stored_versions(database)}:
        pipeline("recluster", "--db", str(database), "--json")
    return database


def run_pets(folder: Path) -> Path:
    """A fresh database of pets09."""
    database = folder / "pets.db"
    pipeline("run", str(PETS / "video.mp4"), "--db", str(database), "--json")
    return database


def pipeline(*arguments: str) -> None:
    """Run a command of this program."""
    subprocess.run([sys.executable, str(ROOT / "run_pipeline.py"), *arguments], check=True, stdout=sys.stderr)


def stored_versions(database: Path) -> list[Any]:
    """The identity versions of a database."""
    with open_store(database) as store:
        return versions(store)


def ours(database: Path) -> Iterator[Row]:
    """What is known online, sooner and later, and what the newest offline version says."""
    newest = {version.kind: version.version for version in stored_versions(database)}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        shutil.copy(database, copy)
        with open_store(copy, write=True) as store:
            boxes = sum(len(part.tracks) for part in read_found(store).values())
            told = {f"online, {s} s": known_after(said, s) for said in [replayed(store)] for s in ONLINE_S}
            numbers = {name: stored(store, claims) for name, claims in told.items()}
            for name, number in [*numbers.items(), ("offline", newest["recluster"])]:
                measured = evaluate(store, nlpr_truth(), coverage="partial", version=number)
                yield row(f"this program, {name}", measured, boxes)


Told = dict[int, list[tuple[int, Sighting]]]
"""By tracklet, what was said of it: when (event time since it closed, ns), and what."""


def replayed(store: Store) -> Told:
    """All that the online matcher says while these tracklets close one after the other."""
    matcher = open_matcher(store, Config(), newest_model(store), partial(new_identity, store))
    told: Told = {}
    closed_ns: dict[int, int] = {}
    for tracklet in stored_tracklets(store):
        closed_ns[tracklet.id] = now_ns = tracklet.due_ns
        for claim in matcher.update(tracklet):
            told.setdefault(claim.tracklet, []).append((now_ns - closed_ns[claim.tracklet], claim))
    for claim in matcher.advance(None):
        told[claim.tracklet].append((now_ns + EVERY_NS - closed_ns[claim.tracklet], claim))
    return told


def known_after(told: Told, seconds: int) -> list[Sighting]:
    """The last claim about each tracklet within so many seconds after it closed."""
    return [[claim for after_ns, claim in said if after_ns <= seconds * 1e9][-1] for said in told.values()]


def stored(store: Store, claims: list[Sighting]) -> int:
    """A new identity version with these claims."""
    version = new_version(store, "online")
    add_sightings(store, version, claims)
    return version


def nlpr_truth() -> dict[str, CameraTruth]:
    """The labels of nlpr_indoor."""
    return read_truth(NLPR, CAMERAS, first_frame=0)


def row(name: str, measured: Evaluation, boxes: int, threshold: float | None = None) -> Row:
    """A line of the table."""
    true = sum(camera.tracks.true_boxes for camera in measured.cameras)
    seen = sum(camera.tracks.true_boxes * camera.tracks.recall for camera in measured.cameras)
    return Row(
        name=name,
        idf1=measured.across.idf1,
        hota=measured.across.hota,
        precision=measured.pairs_as_filed.precision,
        recall=measured.pairs_as_filed.recall,
        sure_precision=measured.pairs.precision,
        sure_recall=measured.pairs.recall,
        perfect=measured.idf1_perfect,
        detection_recall=seen / true,
        boxes=boxes,
        threshold=threshold,
    )


def peers() -> Iterator[Row]:
    """Each tracker with each embedder, at the threshold that suits it best."""
    truth = nlpr_truth()
    for tracker in ("bytetrack", "botsort"):
        tracks = {name: peer_tracks(name, NLPR / f"{name}.mp4", 0) for name in CAMERAS}
        boxes = sum(len(part[tracker]) for part in tracks.values())
        for embedder in ("retail-0277", "osnet_x0_25_msmt17"):
            found = {name: peer_found(part, tracker) for name, part in tracks.items()}
            judged = [judge(name, found[name], truth[name], "partial", None) for name in CAMERAS]
            vectors = track_vectors(tracks, tracker, embedder)
            threshold = best_threshold(judged, vectors)
            measured = measure(identified(judged, vectors, threshold), {}, "partial", (), 0)
            yield row(f"{tracker} + {embedder}", measured, boxes, threshold)


def peer_tracks(name: str, video: Path, frames: int) -> dict[str, NDArray[Any]]:
    """The peers' tracks and vectors of one video, made on first use."""
    path = PEER_CACHE / f"{name}.npz"
    if not path.is_file():
        command = [sys.executable, str(ROOT / "benchmarks/peer_tracks.py"), str(path), str(video)]
        subprocess.run([*command, "--frames", str(frames)], check=True, stdout=sys.stderr)
    return dict(np.load(path))


def peer_found(tracks: dict[str, NDArray[Any]], tracker: str) -> FoundBoxes:
    """A peer's tracks in the ruler's form; nobody is identified yet."""
    rows = tracks[tracker]
    boxes = labels(rows[:, 0].astype(int).tolist(), rows[:, 1].astype(int).tolist(), rows[:, 2:6].tolist())
    return FoundBoxes(boxes, -boxes.ids, boxes.ids)


def track_vectors(
    tracks: dict[str, dict[str, NDArray[Any]]], tracker: str, embedder: str
) -> dict[tuple[str, int], NDArray[np.float64]]:
    """The mean vector (C,) of every track that has any, by camera and track."""
    vectors: dict[tuple[str, int], list[NDArray[np.float64]]] = {}
    for camera, part in tracks.items():
        by_detection = dict(zip(part["detections"].tolist(), part[embedder], strict=True))
        for _, track, *_, detection in part[tracker].tolist():
            if int(detection) in by_detection:
                vectors.setdefault((camera, int(track)), []).append(by_detection[int(detection)])
    return {key: np.mean(found, axis=0) for key, found in vectors.items()}


def best_threshold(judged: list[Judged], vectors: dict[tuple[str, int], NDArray[np.float64]]) -> float:
    """The cut of the clustering with the highest IDF1 across cameras on this clip."""

    def idf1(threshold: float) -> float:
        found = identified(judged, vectors, threshold)
        return across_idf1([(one.truth, one.people) for one in found])

    return float(max(THRESHOLDS, key=idf1))


def identified(
    judged: list[Judged], vectors: dict[tuple[str, int], NDArray[np.float64]], threshold: float
) -> list[Judged]:
    """The tracks under the identities of average linkage; a track without a vector is a person of its own."""
    keys = sorted(vectors)
    tree = linkage(np.stack([vectors[key] for key in keys]), method="average", metric="cosine")
    cluster = dict(zip(keys, fcluster(tree, threshold, criterion="distance").tolist(), strict=True))
    loose = -1
    result = []
    for one in judged:
        names = {}
        for track in np.unique(one.found.tracks.ids).tolist():
            names[track] = cluster.get((one.camera, track), loose)
            loose -= (one.camera, track) not in cluster
        ids = np.array([names[track] for track in one.found.tracks.ids.tolist()], np.int64)
        found = FoundBoxes(one.found.tracks, ids, one.found.tracklets)
        result.append(Judged(one.camera, one.truth, found, one.rows, one.counts))
    return result


def our_pets(database: Path) -> PetsRow:
    """This program's tracks on pets09."""
    with open_store(database) as store:
        (camera,) = [one.name for one in stored_cameras(store)]
        truth = {camera: read_truth(PETS / "gt.txt", [camera])[camera]}
        measured = evaluate(store, truth, frames=PETS_FRAMES)
    return pets_row("this program", measured)


def peer_pets() -> Iterator[PetsRow]:
    """The peers' tracks on pets09."""
    tracks = peer_tracks(PETS.name, PETS / "video.mp4", len(PETS_FRAMES))
    truth = read_truth(PETS / "gt.txt", ["video"])["video"]
    for tracker in ("bytetrack", "botsort"):
        judged = [judge("video", peer_found(tracks, tracker), truth, "complete", PETS_FRAMES)]
        yield pets_row(tracker, measure(judged, {}, "complete", (), 0))


def pets_row(name: str, measured: Evaluation) -> PetsRow:
    """A line of the second table."""
    tracks = measured.cameras[0].tracks
    return PetsRow(name, tracks.hota, tracks.idf1, tracks.mota, tracks.switches)


def check(rows: list[Row], pets: list[PetsRow]) -> list[tuple[str, bool, str]]:
    """Each demand: name, whether it is met, and in words."""
    found = {one.name: one for one in rows}
    online, offline = found[f"this program, online, {PROMISED_S} s"], found["this program, offline"]
    boxes = online.boxes / max(1, found["bytetrack + retail-0277"].boxes)
    return [
        at_least("MTMC IDF1 offline", offline.idf1, 0.92),
        at_least(f"MTMC IDF1 {PROMISED_S} s", online.idf1, 0.88),
        at_least("pair precision", offline.precision, 0.95),
        at_least("pair recall", offline.recall, 0.85),
        at_least("detection recall", online.detection_recall, 0.95),
        ("boxes", boxes <= 1.15, f"{boxes:.2f}x the peer's (<= 1.15x)"),
        at_least("pets09 HOTA", pets[0].hota, 0.62),
        at_least("pets09 IDF1", pets[0].idf1, 0.80),
    ]


def at_least(name: str, value: float | None, least: float) -> tuple[str, bool, str]:
    """A figure that should reach a least value."""
    return name, value is not None and value >= least, f"{number(value)} (>= {least})"


def show(rows: list[Row], pets: list[PetsRow]) -> None:
    """Print the tables and the demands."""
    print(f"{'nlpr_indoor':<32}   IDF1   HOTA  pairs P, R    sure P, R     perfect  det R  boxes  threshold")
    for r in rows:
        filed, sure = (r.precision, r.recall), (r.sure_precision, r.sure_recall)
        pairs = "  ".join(f"{number(p)}, {number(q)}" for p, q in (filed, sure))
        figures = f"{r.idf1:.3f}  {r.hota:.3f}  {pairs}    {r.perfect:.3f}"
        print(f"{r.name:<32}  {figures}  {r.detection_recall:.3f}  {r.boxes:5d}  {number(r.threshold)}")
    print(f"\n{'pets09, frames 1-320':<32}   HOTA   IDF1   MOTA  switches")
    for p in pets:
        print(f"{p.name:<32}  {p.hota:.3f}  {p.idf1:.3f}  {p.mota:.3f}  {p.switches:8d}")
    print()
    for name, good, text in check(rows, pets):
        print(f"{'ok    ' if good else 'MISSED'} {name:<18} {text}")


def number(value: float | None) -> str:
    """Three decimals, or a dash."""
    return "  -  " if value is None else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
