"""How right grouping is on simulated sites of people held out of training: what its constants are chosen on.

    python benchmarks/heldout_sites.py [--weights FILE] [--pairs=-20,-20,-7 ...] [--json]
    python benchmarks/heldout_sites.py --returning 0.2 [--absence 2] [--json]

33 sites of 8 to 24 people of one data set. The looks are the held-out people's crops, up to 5 of a person and
camera, half of the tracklets covered by 25 or 50%; the walks are made up: everybody passes the data set's
cameras in a ring, at a pace of their own. Pairs of tracklets that are grouped and right, over all sites of a
data set, with clocks known and unknown. --pairs: slope of the cosine gap, of the FPR gap, intercept of the
log-odds, several to compare; left out: what the weights say.

--returning: sites of 8 people up to all of a data set, a day for each, clocks known; so large a share of them
goes home in the middle of the round and comes back on some day for the rest. --absence: what every absence
costs, instead of what `pipeline.linking.cluster.absence` says. Needs SHARED_DATA (default ../shared).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared"))
sys.path.insert(0, str(ROOT))

from pipeline.config import MatcherConfig  # noqa: E402
from pipeline.constraints import Constraints  # noqa: E402
from pipeline.linking import cluster  # noqa: E402
from pipeline.linking.same_person_evidence import gather_evidence  # noqa: E402
from pipeline.linking.site import Place, Site  # noqa: E402
from pipeline.linking.walking_times import Transit  # noqa: E402
from pipeline.messages import Embedding, TrackletKey  # noqa: E402
from pipeline.records import StoredCrop, StoredTracklet  # noqa: E402
from reid.calibrate import Tracklet, embed_tracklets, heldout_tracklets  # noqa: E402
from reid.data.datasets import HELDOUT_LIST, load_heldout, read_heldout  # noqa: E402
from reid.embed import load_embedder  # noqa: E402
from reid.network.weights import read_notes  # noqa: E402
from reid.sets.affinity import FprPairs, PairCalibration  # noqa: E402

WEIGHTS = ROOT / "weights/fpr_small.safetensors"
SIZES = ((8, 5), (14, 4), (24, 2))
"""People of a site, and so many such sites of each data set."""
RETURNING_SIZES = ((8, 6), (14, 6), (24, 4), (48, 2), (1000, 1))
"""The same where people come back: at last everybody."""
MINUTES_A_PERSON = 0.6
DAY_S = 86_400.0
WALK_S = (8.0, 40.0)
"""From one camera to the next."""
STAY_S = 8.0
"""In a camera, the median."""
LINKED = 0.5
MODEL = "held out"


@dataclass(frozen=True)
class Visit:
    """A tracklet of somebody at a made-up time."""

    end_s: float
    start_s: float
    row: int
    """In the list of all tracklets."""


@dataclass(frozen=True)
class Counts:
    """Pairs of tracklets."""

    right: int
    said: int
    true: int


@dataclass(frozen=True)
class Row:
    """One setting on one data set."""

    pairs: str
    source: str
    clocks: str
    precision: float
    recall: float
    f1: float
    people: int | None = None
    """Of each site; None: of several sizes."""


@dataclass(frozen=True)
class Ring:
    """The held-out people of a data set and their walks from camera to camera."""

    tracklets: Sequence[Tracklet]
    rows: Sequence[int]
    """Of `tracklets`, those of this data set."""

    @property
    def count(self) -> int:
        """People of the data set."""
        return len({self.tracklets[row].person for row in self.rows})

    def visits(
        self, count: int, rng: np.random.Generator, *, span_s: float, returning: float = 0.0
    ) -> list[Visit]:
        """Of `count` people within so long, of whom a share comes back; in the order of their ends."""
        owners = {row: self.tracklets[row].person for row in self.rows}
        cameras = sorted({self.tracklets[row].camera for row in self.rows})
        walks = dict(zip(cameras, rng.uniform(*WALK_S, len(cameras)), strict=True))
        found: list[Visit] = []
        for person in rng.permutation(sorted(set(owners.values())))[:count].tolist():
            mine = [row for row in self.rows if owners[row] == person]
            found += self.round(mine, walks, rng, span_s, returning)
        return sorted(found, key=lambda visit: (visit.end_s, visit.row))

    def round(
        self,
        mine: Sequence[int],
        walks: dict[int, float],
        rng: np.random.Generator,
        span_s: float,
        returning: float,
    ) -> Iterator[Visit]:
        """One person's round through all cameras, from one of them on; half of it later where they return."""
        cameras, now = list(walks), rng.uniform(0, span_s)
        first, pace = int(rng.integers(len(cameras))), max(0.5, rng.normal(1, 0.15))
        cameras = [*cameras[first:], *cameras[:first]]
        passed = [camera for camera in cameras if any(self.tracklets[row].camera == camera for row in mine)]
        comes_back = returning > 0 and rng.random() < returning
        for camera in cameras:
            if comes_back and camera == passed[len(passed) // 2]:
                now = rng.uniform(0, span_s)
            for row in (row for row in mine if self.tracklets[row].camera == camera):
                end = now + float(rng.lognormal(np.log(STAY_S), 0.4))
                yield Visit(end, now, row)
                now = end
            now += walks[camera] * pace


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--pairs", action="append", type=three_numbers, metavar="COSINE,FPR,INTERCEPT")
    parser.add_argument("--returning", type=float, metavar="SHARE", help="of people who come back")
    parser.add_argument("--absence", type=float, metavar="LOG_ODDS", help="what each absence costs")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not SHARED.is_dir():
        print(f"SHARED_DATA: no folder {SHARED}", file=sys.stderr)
        return 2
    own = PairCalibration.from_dict(read_notes(arguments.weights).calibration)
    settings = [changed(own, pairs) for pairs in arguments.pairs] if arguments.pairs else [own]
    if arguments.absence is not None:
        cluster.absence = lambda people: arguments.absence
    tracklets = embedded(arguments.weights)
    if arguments.returning is None:
        rows = list(measured(tracklets, settings))
    else:
        rows = list(measured_returning(tracklets, settings, arguments.returning))
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows]))
        return 0
    for row in rows:
        print(
            f"{row.pairs:18}{row.source:14} {row.people or '':4} clocks {row.clocks:8}"
            f"precision {row.precision:.3f}  recall {row.recall:.3f}  F1 {row.f1:.3f}"
        )
    return 0


def three_numbers(text: str) -> tuple[float, float, float]:
    """Slopes and intercept as they are typed."""
    cosine, fpr, intercept = (float(number) for number in text.split(","))
    return cosine, fpr, intercept


def changed(own: PairCalibration, pairs: tuple[float, float, float]) -> PairCalibration:
    """The calibration with other slopes and intercept."""
    return replace(own, cosine=pairs[0], fpr=pairs[1], intercept=pairs[2])


def embedded(weights: Path) -> list[Tracklet]:
    """The held-out people's tracklets, as `reid.calibrate` takes them."""
    samples = load_heldout(SHARED / "data", read_heldout(ROOT / HELDOUT_LIST))
    return embed_tracklets(load_embedder(weights), heldout_tracklets(samples, np.random.default_rng(0)))


def measured(tracklets: Sequence[Tracklet], settings: Sequence[PairCalibration]) -> Iterator[Row]:
    """Every setting on every data set, clocks known and not."""
    for source in sorted({tracklet.source for tracklet in tracklets}):
        ring = Ring(tracklets, [row for row, t in enumerate(tracklets) if t.source == source])
        visits = [
            ring.visits(count, np.random.default_rng((count, seed)), span_s=60 * MINUTES_A_PERSON * count)
            for count, sites in SIZES
            for seed in range(sites)
        ]
        kept = [FprPairs() for _ in visits]
        for setting in settings:
            for known in (True, False):
                counts = [
                    grouped(tracklets, site, setting, pairs, clocks_known=known)
                    for site, pairs in zip(visits, kept, strict=True)
                ]
                yield row_of(counts, setting, source, clocks="known" if known else "unknown")


def measured_returning(
    tracklets: Sequence[Tracklet], settings: Sequence[PairCalibration], share: float
) -> Iterator[Row]:
    """Every setting and size of site on every data set, a share of the people coming back on another day."""
    for source in sorted({tracklet.source for tracklet in tracklets}):
        ring = Ring(tracklets, [row for row, t in enumerate(tracklets) if t.source == source])
        for size, sites in RETURNING_SIZES:
            count = min(size, ring.count)
            visits = [
                ring.visits(
                    count, np.random.default_rng((count, seed)), span_s=DAY_S * count, returning=share
                )
                for seed in range(sites)
            ]
            for setting in settings:
                counts = [grouped(tracklets, site, setting, FprPairs(), clocks_known=True) for site in visits]
                yield replace(row_of(counts, setting, source, clocks="known"), people=count)


def grouped(
    tracklets: Sequence[Tracklet],
    visits: Sequence[Visit],
    setting: PairCalibration,
    pairs: FprPairs,
    *,
    clocks_known: bool,
) -> Counts:
    """What grouping the tracklets of one site gives."""
    stored = [as_stored(visit, tracklets[visit.row]) for visit in visits]
    cameras = {tracklets[visit.row].camera for visit in visits}
    site = Site(
        {camera: Place(f"c{camera}", clocks_known) for camera in cameras},
        Constraints(),
        MatcherConfig(clock_tolerance_s=1.0),
        setting,
        MODEL,
    )
    groups = cluster.grouped_into_people(gather_evidence(stored, site, pairs=pairs), LINKED, Transit()).groups
    said = np.empty(len(visits), np.int64)
    for number, members in enumerate(groups):
        said[members] = number
    return counts_of(said, np.array([tracklets[visit.row].person for visit in visits]))


def as_stored(visit: Visit, tracklet: Tracklet) -> StoredTracklet:
    """A tracklet as the store would hold it; its number is its row."""
    crops = tuple(
        StoredCrop(0, 0, 1.0, Embedding(crop.cells, crop.foreground, crop.pooled)) for crop in tracklet.crops
    )
    times = (round(visit.start_s * 1e9), round(visit.end_s * 1e9))
    key = TrackletKey(tracklet.camera, visit.row + 1, 0)
    return StoredTracklet(visit.row, key, f"c{tracklet.camera}", *times, MODEL, crops)


def counts_of(said: NDArray[np.int64], true: NDArray[np.int64]) -> Counts:
    """Pairs that are said to be one person, that are, and both."""
    upper = np.triu_indices(len(said), 1)
    together, same = ((numbers[:, None] == numbers)[upper] for numbers in (said, true))
    return Counts(int((together & same).sum()), int(together.sum()), int(same.sum()))


def row_of(counts: Sequence[Counts], setting: PairCalibration, source: str, *, clocks: str) -> Row:
    """All sites of a data set together."""
    right, said, true = (sum(getattr(c, name) for c in counts) for name in ("right", "said", "true"))
    name = f"{setting.cosine:g},{setting.fpr:g},{setting.intercept:g}"
    return Row(
        name,
        source.partition("/")[0],
        clocks,
        right / max(said, 1),
        right / max(true, 1),
        2 * right / max(said + true, 1),
    )


if __name__ == "__main__":
    sys.exit(main())
