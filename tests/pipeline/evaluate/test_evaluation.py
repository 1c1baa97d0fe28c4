"""The ruler on a small store: what counts, what does not, and the command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.evaluate.evaluation import Coverage, Evaluation, evaluate
from pipeline.evaluate.labelled_box import TruthError
from pipeline.evaluate.truth import read_truth
from pipeline.store.open_store import open_store
from tests.store_scene import fill

ROOT = Path(__file__).parents[3]
BOX = "10.5,20.5,40,100"
"""Within a pixel of every box of `store_scene`."""
STAYS = {"hall": {1: [(0, 25), (50, 75)], 2: [(25, 50)]}, "gate": {1: [(500, 525)], 3: [(750, 775)]}}
"""Frames of the store's people; P1 is also seen in hall from 1500 on, here without a label."""


def write_truth(folder: Path, stays: dict[str, dict[int, list[tuple[int, int]]]]) -> Path:
    folder.mkdir(exist_ok=True)
    for camera, people in stays.items():
        lines = [
            f"{frame + 1},{person},{BOX}\n"
            for person, spans in people.items()
            for first, end in spans
            for frame in range(first, end)
        ]
        (folder / f"gt_{camera}.txt").write_text("".join(lines))
    return folder


def measured(
    tmp_path: Path, stays: dict[str, dict[int, list[tuple[int, int]]]], coverage: Coverage
) -> Evaluation:
    truth = write_truth(tmp_path / "truth", stays)
    with open_store(fill(tmp_path / "a.db")) as store:
        return evaluate(store, read_truth(truth, ["hall", "gate"]), coverage=coverage)


def test_partial_truth_ignores_whom_nobody_labelled(tmp_path: Path) -> None:
    found = measured(tmp_path, STAYS, "partial")
    assert found.across.idf1 == 1
    assert (found.pairs.precision, found.pairs.recall) == (1, 1)
    assert not found.splits and not found.merges and not found.jumps


def test_complete_truth_counts_what_nobody_labelled_as_wrong(tmp_path: Path) -> None:
    found = measured(tmp_path, STAYS, "complete")
    true, boxes = 125, 150
    assert found.across.idf1 == pytest.approx(2 * true / (true + boxes))
    (hall,) = [camera for camera in found.cameras if camera.camera == "hall"]
    assert hall.tracks.mota == pytest.approx(1 - 25 / 75)


def test_a_wrong_link_is_a_merge_and_a_split_with_its_tracklets(tmp_path: Path) -> None:
    stays = {"hall": STAYS["hall"], "gate": {2: [(500, 525)], 3: [(750, 775)]}}
    found = measured(tmp_path, stays, "partial")
    (merge,), (split,) = found.merges, found.splits
    assert (merge.identity, list(merge.tracklets)) == (1, [1, 2])
    assert (split.person, list(split.tracklets)) == (2, [1, 2])
    assert (found.pairs.said, found.pairs.right) == (1, 0)
    assert found.idf1_perfect == 1 > found.across.idf1


def test_an_ambiguous_claim_is_counted_apart(tmp_path: Path) -> None:
    stays = {"hall": STAYS["hall"], "gate": {1: [(500, 525), (750, 775)]}}
    found = measured(tmp_path, stays, "partial")
    assert (found.pairs.true, found.pairs.said, found.pairs.right) == (2, 1, 1)
    assert found.ambiguous.decisions == 0  # nothing else of P3 is labelled: it can be neither right nor wrong


def test_a_track_that_merely_passes_a_labelled_person_shows_nobody(tmp_path: Path) -> None:
    behind = {"hall": {1: [(0, 25)], 2: [(25, 50)]}, "gate": {1: [(500, 525)], 2: [(750, 755)]}}
    truth = write_truth(tmp_path / "truth", behind)
    away = "".join(f"{frame + 1},2,200,20,40,100\n" for frame in range(755, 775))  # elsewhere in the picture
    (truth / "gt_gate.txt").write_text((truth / "gt_gate.txt").read_text() + away)
    with open_store(fill(tmp_path / "a.db")) as store:
        found = evaluate(store, read_truth(truth, ["hall", "gate"]), coverage="partial")
    assert not found.splits  # P3 overlaps person 2 in 5 of the 25 frames that have both


def test_ignored_boxes_count_neither_way(tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "truth", STAYS)
    ignored = "".join(f"{frame + 1},99,{BOX},0\n" for frame in range(1500, 1525))
    (truth / "gt_hall.txt").write_text((truth / "gt_hall.txt").read_text() + ignored)
    with open_store(fill(tmp_path / "a.db")) as store:
        assert evaluate(store, read_truth(truth, ["hall", "gate"])).across.idf1 == 1


def test_frames_outside_the_limits_do_not_count(tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "truth", STAYS)
    with open_store(fill(tmp_path / "a.db")) as store:
        found = evaluate(store, read_truth(truth, ["hall", "gate"]), frames=range(0, 775))
    assert found.across.idf1 == 1


def test_truth_of_other_cameras_is_refused(tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "truth", {"attic": STAYS["hall"]})
    with (
        open_store(fill(tmp_path / "a.db")) as store,
        pytest.raises(TruthError, match="there is: hall, gate"),
    ):
        evaluate(store, read_truth(truth, ["attic"]))


def test_the_command_prints_json_and_draws_pictures(tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "truth", {"hall": STAYS["hall"], "gate": {2: [(500, 525)]}})
    command = [
        sys.executable,
        str(ROOT / "run_pipeline.py"),
        "evaluate",
        "--db",
        str(fill(tmp_path / "a.db")),
    ]
    options = ["--truth", str(truth), "--partial", "--plots", str(tmp_path / "plots")]
    answer = subprocess.run([*command, *options, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout)["merges"][0]["identity"] == 1
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {
        "calibration.png",
        "merge_P1.jpg",
        "split_2.jpg",
    }
    shutil.rmtree(truth)
    refused = subprocess.run([*command, *options], capture_output=True, text=True)
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1


def test_real_truth_is_read(shared_data: Path) -> None:
    truth = read_truth(shared_data / "data/videos/nlpr_indoor", ["cam1", "cam3", "cam4"], first_frame=0)
    assert {name: len(camera.people) for name, camera in truth.items()} == {
        "cam1": 510,
        "cam3": 1179,
        "cam4": 959,
    }
