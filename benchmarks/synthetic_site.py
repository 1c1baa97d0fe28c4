"""A synthetic site through the real matcher: does it keep up, is it right, does memory stay flat?

    python benchmarks/synthetic_site.py [--people 2000] [--cameras 20] [--hours 24] [--tracklets N]
                                        [--identities 5000] [--json]

Looks are those of real tracklets (the training people of Market-1501 and CUHK03 with at least two crops in
one camera: some 1,480, embedded with the shipped weights and kept under work/) plus noise. Where more people
are asked for, the others are made of these, as far from them as real people are from their nearest stranger.
Everybody walks from camera to camera at their own pace.
`first` is what is said when a tracklet closes, `settled` what is left after the look-back. Few identities and
many hours (`--hours 720 --people 1000 --identities 100`) show whether forgetting holds memory down.
Exits 1 and names each figure that was missed: 10 tracklets a second of one core; settled pair precision 0.95;
resident memory after the second half at most 1.2 times that after the first.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from zlib import crc32

os.environ["OMP_NUM_THREADS"] = "1"  # as the match worker has; read when NumPy is imported

import msgspec
import numpy as np
import psutil
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared"))
sys.path.insert(0, str(ROOT))

from pipeline.config import MatcherConfig  # noqa: E402
from pipeline.constraints import Constraints  # noqa: E402
from pipeline.linking.gallery import FprGallery  # noqa: E402
from pipeline.linking.look_back import CROPS_RECALLED, LookBack  # noqa: E402
from pipeline.linking.match import Matcher  # noqa: E402
from pipeline.linking.site import Place, Site  # noqa: E402
from pipeline.messages import Embedding, TrackletKey  # noqa: E402
from pipeline.records import StoredCrop, StoredTracklet  # noqa: E402
from reid.data.datasets import Sample, load_dataset  # noqa: E402
from reid.sets.affinity import PairCalibration  # noqa: E402
from reid.sets.tracklets import Calibration  # noqa: E402

SETS = ("market1501/train", "cuhk03_pair1/train")
CROPS, LEAST_CROPS = 5, 2
"""Of a tracklet."""
STAY_S = 8.0
"""Median time in view of one camera."""
WALK_S = (10.0, 40.0)
"""Between neighbouring cameras at 1.4 m/s: 14 to 56 m."""
TWINS = frozenset(
    {f"market1501/train/{number}" for number in (224, 494, 616, 733)}
    | {f"cuhk03_pair1/train/{number}" for number in (97, 252, 376, 624, 634, 684, 719)}
)
"""The sets know each of them under another number too: the same clothes and bag, 0.01 to 0.19 between the
mean vectors (found among the nearest pairs, by looking)."""
STRANGE = 1.5
"""Length of what makes somebody else of a real person: 0.44 between the two, the median of real people to
their nearest stranger."""
NOISE = 0.25
"""Length of the noise beside a cell or vector of length 1: a new day, another angle."""


def main() -> int:
    """Run the site, print the figures, say what was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--cameras", type=int, default=20)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--tracklets", type=int, default=0, help="stop after so many")
    parser.add_argument("--identities", type=int, default=MatcherConfig().identities)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not SHARED.is_dir():
        print(f"SHARED_DATA: no folder {SHARED}", file=sys.stderr)
        return 2
    looks, calibration = real_looks(ROOT / "work")
    rng = np.random.default_rng(0)
    visits = timetable(arguments.people, arguments.cameras, arguments.hours, rng)
    visits = visits[: arguments.tracklets or len(visits)]
    settings = MatcherConfig(identities=arguments.identities)
    figures = drive(visits, looks, calibration, arguments.cameras, settings)
    missed = [name for name, good in check(figures).items() if not good]
    if arguments.json:
        print(json.dumps({**figures, "missed": missed}))
    else:
        for name, value in figures.items():
            print(f"{'MISSED' if name in missed else '':8}{name:26}{value:.4g}")
    return 1 if missed else 0


def real_looks(folder: Path) -> tuple[list[list[Embedding]], Calibration]:
    """Per real person the crops of one tracklet, embedded once; and the weights' calibration."""
    from reid.network.weights import fingerprint, read_notes

    weights = ROOT / "weights" / "fpr_small.safetensors"
    people = real_tracklets()
    names = "\n".join(crop.name for tracklet in people for crop in tracklet)
    cache = folder / f"site_looks-{fingerprint(weights)}-{crc32(names.encode()):08x}.npz"
    calibration = Calibration.from_dict(read_notes(weights).calibration)
    if not cache.is_file():
        from reid.embed import load_embedder

        embedder = load_embedder(weights)
        folder.mkdir(exist_ok=True)
        embedded = embedder.embed([crop.image for tracklet in people for crop in tracklet])
        partial = cache.with_stem(f".{cache.stem}")
        np.savez(
            partial,
            lengths=[len(tracklet) for tracklet in people],
            ends=np.cumsum([len(e.cells) for e in embedded]),
            cells=np.concatenate([e.cells for e in embedded]),
            foreground=np.concatenate([e.foreground for e in embedded]),
            pooled=np.stack([e.pooled for e in embedded]),
        )
        partial.replace(cache)
    stored = np.load(cache)
    cells, foreground = (np.split(stored[name], stored["ends"][:-1]) for name in ("cells", "foreground"))
    rows = (Embedding(*row) for row in zip(cells, foreground, stored["pooled"], strict=True))
    looks = [list(islice(rows, length)) for length in stored["lengths"].tolist()]
    order = np.random.default_rng(0).permutation(len(looks)).tolist()  # both data sets in any site
    return [looks[place] for place in order], calibration


def slopes_of_pairs() -> PairCalibration:
    """The slopes of pairs of the weights that ship."""
    from reid.network.weights import read_notes

    return PairCalibration.from_dict(read_notes(ROOT / "weights" / "fpr_small.safetensors").calibration)


def real_tracklets() -> list[list[Sample]]:
    """Two to five crops of everybody in the training sets, from the camera that has most."""
    seen: defaultdict[str, defaultdict[int, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for name in SETS:
        for sample in load_dataset(SHARED / "data", name):
            seen[sample.identity][sample.camera].append(sample)
    most = [max(seen[who].values(), key=len)[:CROPS] for who in sorted(seen) if who not in TWINS]
    return [crops for crops in most if len(crops) >= LEAST_CROPS]


Visit = tuple[float, float, int, int]
"""End, start (s), person, camera."""


def timetable(people: int, cameras: int, hours: float, rng: np.random.Generator) -> list[Visit]:
    """Everybody enters at some time and walks through neighbouring cameras of a ring; by end."""
    walk_s = rng.uniform(*WALK_S, cameras)
    visits = []
    for person in range(people):
        now, camera, pace = rng.uniform(0, hours * 3600), int(rng.integers(cameras)), rng.normal(1, 0.15)
        for _ in range(int(rng.integers(3, 15))):
            stay = float(rng.lognormal(np.log(STAY_S), 0.4))
            visits.append((now + stay, now, person, camera))
            now += stay + walk_s[camera] * max(pace, 0.5)
            camera = (camera + 1) % cameras
    return sorted(visits)


def drive(
    visits: list[Visit],
    looks: list[list[Embedding]],
    calibration: Calibration,
    cameras: int,
    settings: MatcherConfig,
) -> dict[str, float]:
    """Every visit through the matcher, one by one."""
    matcher = site_matcher(visits, looks, calibration, cameras, settings)
    first: list[int] = []
    settled: dict[int, int] = {}
    memory = [0.0, 0.0]
    spent_s = 0.0
    for number in range(len(visits)):
        probe = probe_of(number, visits[number], looks)
        started = time.process_time()
        said = {claim.tracklet: claim.identity for claim in matcher.update(probe)}
        spent_s += time.process_time() - started
        first.append(said[number])
        settled |= said
        memory[number >= len(visits) // 2] = psutil.Process().memory_info().rss / 1e6
    settled |= {claim.tracklet: claim.identity for claim in matcher.advance(None)}
    people = [visit[2] for visit in visits]
    return {
        "tracklets": len(visits),
        "tracklets a CPU second": len(visits) / spent_s,
        **scores("first", first, people),
        **scores("settled", [settled[number] for number in range(len(visits))], people),
        "identities": len(set(settled.values())),
        "people": len(set(people)),
        "remembered": len(matcher.matcher.known),
        "memory half way, MB": memory[0],
        "memory at the end, MB": memory[1],
    }


def scores(name: str, said: list[int], people: list[int]) -> dict[str, float]:
    """Pair precision and recall."""
    right, claimed, true = pairs(said, people)
    return {
        f"{name} pair precision": right / max(claimed, 1),
        f"{name} pair recall": right / max(true, 1),
    }


def site_matcher(
    visits: list[Visit],
    looks: list[list[Embedding]],
    calibration: Calibration,
    cameras: int,
    settings: MatcherConfig,
) -> LookBack:
    """The online matcher of the site; visits seen before are made again instead of read from a store."""
    numbers = count(1)
    places = {camera: Place(f"c{camera}", True) for camera in range(cameras)}
    gallery = FprGallery(settings.exemplars, calibration)
    matcher = Matcher(settings, places, gallery, lambda: next(numbers), part_ns=10 * 10**9, model="m")

    def recall(wanted: Sequence[int]) -> Iterator[StoredTracklet]:
        for number in sorted(wanted):
            whole = probe_of(number, visits[number], looks)
            yield msgspec.structs.replace(whole, crops=whole.crops[:CROPS_RECALLED])

    return LookBack(matcher, Site(places, Constraints(), settings, slopes_of_pairs(), "m"), recall)


def probe_of(number: int, visit: Visit, looks: list[list[Embedding]]) -> StoredTracklet:
    """A visit as a stored tracklet; person n is real person n, made another by a shift of their own."""
    end_s, start_s, person, camera = visit
    shift, rng = np.random.default_rng(person), np.random.default_rng((1, number))
    base = looks[person % len(looks)]
    strength = 0.0 if person < len(looks) else STRANGE
    own = shift.standard_normal(base[0].pooled.shape), shift.standard_normal(base[0].cells.shape[1])
    crops = tuple(StoredCrop(0, 0, 1.0, varied(one, own, strength, rng)) for one in base)
    key = TrackletKey(camera, number + 1, 0)
    return StoredTracklet(number, key, f"c{camera}", round(start_s * 1e9), round(end_s * 1e9), "m", crops)


def varied(
    one: Embedding,
    own: tuple[NDArray[np.float64], NDArray[np.float64]],
    strength: float,
    rng: np.random.Generator,
) -> Embedding:
    """A crop of a person on another occasion."""
    return Embedding(
        shaken(one.cells, own[1], strength, rng), one.foreground, shaken(one.pooled, own[0], strength, rng)
    )


def shaken(
    array: NDArray[np.float16], own: NDArray[np.float64], strength: float, rng: np.random.Generator
) -> NDArray[np.float16]:
    """Unit vectors, moved by what is the person's own and by noise."""
    size = np.sqrt(array.shape[-1])
    moved = array.astype(np.float64) + strength * own / size + NOISE * rng.standard_normal(array.shape) / size
    return np.asarray(moved / np.linalg.norm(moved, axis=-1, keepdims=True), np.float16)


def pairs(said: list[int], people: list[int]) -> tuple[int, int, int]:
    """Pairs of visits that are rightly said, said, and truly one person."""

    def within(groups: list[tuple[int, ...]]) -> int:
        sizes = np.unique(np.array(groups), axis=0, return_counts=True)[1]
        return int((sizes * (sizes - 1) // 2).sum())

    both = list(zip(said, people, strict=True))
    return within(both), within([(one,) for one in said]), within([(one,) for one in people])


def check(figures: dict[str, float]) -> dict[str, bool]:
    """Whether each figure is good enough."""
    return {
        "tracklets a CPU second": figures["tracklets a CPU second"] >= 10,
        "settled pair precision": figures["settled pair precision"] >= 0.95,
        "memory at the end, MB": figures["memory at the end, MB"] <= 1.2 * figures["memory half way, MB"],
    }


if __name__ == "__main__":
    sys.exit(main())
