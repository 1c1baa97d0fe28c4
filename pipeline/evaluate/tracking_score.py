"""MOTA, IDF1 and HOTA of boxes with ids against labelled ones, in one camera or across cameras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from reid_hota import HOTAConfig, HOTAReIDEvaluator
from trackeval.metrics import CLEAR, HOTA, Identity

from pipeline.boxes import iou_matrix
from pipeline.evaluate.labels import Labels, Numbers, common_frames

Pair = tuple[Labels, Labels]
"""Truth and what was found in one camera."""
ALPHAS = np.arange(0.05, 0.99, 0.05)
"""Overlaps that HOTA is averaged over (Luiten et al. 2021)."""


class TrackingScore(msgspec.Struct, frozen=True):
    """How well ids follow people in one camera."""

    people: int
    ids: int
    true_boxes: int
    boxes: int
    recall: float
    """Share of labelled boxes that were found (IoU 0.5)."""
    precision: float
    """Share of found boxes that are labelled."""
    mota: float
    idf1: float
    hota: float
    detection_accuracy: float
    """DetA of HOTA."""
    association_accuracy: float
    """AssA of HOTA."""
    switches: int
    fragments: int


class AcrossScore(msgspec.Struct, frozen=True):
    """How well ids follow people through all cameras: one id counts for one person."""

    idf1: float
    id_precision: float
    id_recall: float
    hota: float
    """As trackeval has it: in each frame an id may match whoever fits best."""
    association_accuracy: float
    reid_hota: float
    """As reid-hota has it: an id stands for one person in all frames of all cameras, or is wrong."""


def tracking_score(truth: Labels, found: Labels) -> TrackingScore:
    """MOTA, IDF1 and HOTA of one camera, as trackeval computes them."""
    data = sequence([(truth, found)])
    clear = CLEAR({"PRINT_CONFIG": False}).eval_sequence(data)
    identity = Identity({"PRINT_CONFIG": False}).eval_sequence(data)
    hota = HOTA().eval_sequence(data)
    return TrackingScore(
        people=data["num_gt_ids"],
        ids=data["num_tracker_ids"],
        true_boxes=len(truth),
        boxes=len(found),
        recall=float(clear["CLR_TP"] / max(1, len(truth))),
        precision=float(clear["CLR_TP"] / max(1, len(found))),
        mota=float(clear["MOTA"]),
        idf1=float(identity["IDF1"]),
        hota=float(np.mean(hota["HOTA"])),
        detection_accuracy=float(np.mean(hota["DetA"])),
        association_accuracy=float(np.mean(hota["AssA"])),
        switches=int(clear["IDSW"]),
        fragments=int(clear["Frag"]),
    )


def across_score(cameras: Sequence[Pair]) -> AcrossScore:
    """IDF1 and HOTA over all cameras, whose frames are taken as one long recording with shared ids."""
    data = sequence(cameras)
    identity = Identity({"PRINT_CONFIG": False}).eval_sequence(data)
    hota = HOTA().eval_sequence(data)
    return AcrossScore(
        idf1=float(identity["IDF1"]),
        id_precision=float(identity["IDP"]),
        id_recall=float(identity["IDR"]),
        hota=float(np.mean(hota["HOTA"])),
        association_accuracy=float(np.mean(hota["AssA"])),
        reid_hota=reid_hota(cameras),
    )


def reid_hota(cameras: Sequence[Pair]) -> float:
    """HOTA with one assignment of ids to people for all cameras; 0 where nobody is labelled or found."""
    if not all(sum(map(len, part)) for part in zip(*cameras, strict=True)):
        return 0.0
    config = HOTAConfig(
        iou_thresholds=ALPHAS, reference_contains_dense_annotations=True, suppress_print_statements=True
    )
    evaluator = HOTAReIDEvaluator(config=config)
    evaluator.evaluate(
        {str(number): table(truth) for number, (truth, _) in enumerate(cameras)},
        {str(number): table(found) for number, (_, found) in enumerate(cameras)},
    )
    return float(np.mean(evaluator.get_global_hota_data()["HOTA"]))


def table(labels: Labels) -> pd.DataFrame:
    """Labels in reid-hota's form."""
    corners = dict(zip(("x1", "y1", "x2", "y2"), labels.boxes.T, strict=True))
    return pd.DataFrame({"frame": labels.frames, "id": labels.ids, **corners, "object_type": 1})


def across_idf1(cameras: Sequence[Pair]) -> float:
    """IDF1 over all cameras alone."""
    return float(Identity({"PRINT_CONFIG": False}).eval_sequence(sequence(cameras))["IDF1"])


def sequence(cameras: Sequence[Pair]) -> dict[str, Any]:
    """The cameras' frames one after another, in trackeval's form; ids are numbered from 0."""
    people, persons = numbered([truth for truth, _ in cameras])
    ids, tracks = numbered([found for _, found in cameras])
    steps = [
        (true[t], mine[f], iou_matrix(truth.boxes[t], found.boxes[f]))
        for (truth, found), true, mine in zip(cameras, people, ids, strict=True)
        for t, f in common_frames(truth, found)
    ]
    return {
        "num_timesteps": len(steps),
        "num_gt_ids": persons,
        "num_tracker_ids": tracks,
        "num_gt_dets": sum(len(truth) for truth, _ in cameras),
        "num_tracker_dets": sum(len(found) for _, found in cameras),
        "gt_ids": [step[0] for step in steps],
        "tracker_ids": [step[1] for step in steps],
        "similarity_scores": [step[2] for step in steps],
    }


def numbered(parts: Sequence[Labels]) -> tuple[list[Numbers], int]:
    """The ids of each part as numbers from 0 that all parts share, and how many there are."""
    known, numbers = np.unique(np.concatenate([part.ids for part in parts]), return_inverse=True)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return np.split(numbers.astype(np.int64), ends), len(known)
