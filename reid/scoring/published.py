"""Published results to stand beside ours; quoted, not measured here."""

from __future__ import annotations

from dataclasses import dataclass

MARKET_ONLY = "trained on Market-1501 only"


@dataclass(frozen=True)
class Published:
    """A result as its publication states it, in percent; mAP None where none is stated."""

    dataset: str
    method: str
    rank1: float
    mAP: float | None
    note: str = MARKET_ONLY


PARTIAL, ILIDS, OCCLUDED, MARKET = "partial_reid", "partial_ilids", "occluded_reid", "market1501"
SPLIT_238 = f"{MARKET_ONLY}; on the paper's 238/238 split, which is not public"
DSR_LATER = f"{MARKET_ONLY}; the author's later DSR code, fusion weight chosen on the test set"
POSE = f"{MARKET_ONLY}; pose network at test time"
HUMAN = "pretrained on millions of people"
PLAIN_0277 = "one global vector, trained on more than Market-1501; measured here, plain resize"
PLAIN_OSNET = "trained on MSMT17; measured here, plain resize"
RESULTS = (
    Published(OCCLUDED, "FPR's baseline", 42.1, 37.2),
    Published(OCCLUDED, "PCB'18", 41.3, 38.9),
    Published(OCCLUDED, "DSR'18", 72.8, 62.8),
    Published(OCCLUDED, "FPR'19", 78.3, 68.0),
    Published(OCCLUDED, "DSR in fast-reid", 81.6, 70.9, DSR_LATER),
    Published(OCCLUDED, "HOReID'20", 80.3, 70.2, POSE),
    Published(OCCLUDED, "PAT'21", 81.6, 72.1),
    Published(OCCLUDED, "FED'22", 86.3, 79.3),
    Published(OCCLUDED, "FPC'24", 86.3, 84.6),
    Published(OCCLUDED, "KPR'24", 85.4, 79.1, f"{MARKET_ONLY}; keypoint prompts at test time"),
    Published(PARTIAL, "FPR's baseline", 53.3, 50.2),
    Published(PARTIAL, "PCB'18", 56.3, 54.7),
    Published(PARTIAL, "DSR'18", 73.7, 68.1),
    Published(PARTIAL, "FPR'19", 81.0, 76.6),
    Published(PARTIAL, "DSR in fast-reid", 82.7, 76.8, DSR_LATER),
    Published(PARTIAL, "HOReID'20", 85.3, None, POSE),
    Published(PARTIAL, "PAT'21", 88.0, None),
    Published(PARTIAL, "FED'22", 83.1, 80.5),
    Published(PARTIAL, "FPC'24", 86.3, 86.5),
    Published(PARTIAL, "KPR'24", 90.0, 86.0, f"{MARKET_ONLY}; keypoint prompts at test time"),
    Published(PARTIAL, "retail-0277", 92.3, 89.2, PLAIN_0277),
    Published(f"{PARTIAL}, occluded queries", "retail-0277", 91.7, 90.3, PLAIN_0277),
    Published(PARTIAL, "OSNet x0.25 (MSMT17)", 73.7, 71.6, PLAIN_OSNET),
    Published(f"{PARTIAL}, occluded queries", "OSNet x0.25 (MSMT17)", 51.7, 54.5, PLAIN_OSNET),
    Published(ILIDS, "FPR's baseline", 52.9, 43.5, SPLIT_238),
    Published(ILIDS, "PCB'18", 46.8, 40.2, SPLIT_238),
    Published(ILIDS, "DSR'18", 64.3, 58.1, SPLIT_238),
    Published(ILIDS, "DSR'18", 58.8, None, f"{MARKET_ONLY}; 119/119"),
    Published(ILIDS, "FPR'19", 68.1, 61.8, SPLIT_238),
    Published(ILIDS, "DSR in fast-reid", 73.1, 79.8, DSR_LATER),
    Published(ILIDS, "HOReID'20", 72.6, None, POSE),
    Published(ILIDS, "PAT'21", 76.5, None),
    Published(MARKET, "FPR's baseline", 94.1, 84.6),
    Published(MARKET, "PCB'18", 92.3, 77.4),
    Published(MARKET, "DSR'18", 94.7, 85.8),
    Published(MARKET, "FPR'19", 95.4, 86.6),
    Published(MARKET, "HOReID'20", 94.2, 84.9, POSE),
    Published(MARKET, "PAT'21", 95.4, 88.0),
    Published(MARKET, "FED'22", 95.0, 86.3),
    Published(MARKET, "KPR'24", 95.9, 89.6, f"{MARKET_ONLY}; keypoint prompts at test time"),
    Published(MARKET, "SOLIDER'23", 96.9, 93.9, HUMAN),
    Published(MARKET, "PersonViT'24", 97.6, 95.0, HUMAN),
    Published(MARKET, "OSNet x1.0", 93.6, 81.0, "trained from scratch, no ImageNet"),
    Published(MARKET, "retail-0277", 96.2, 87.7, PLAIN_0277),
    Published("cuhk03_np", "FPR'19", 76.1, None, "trained on CUHK03"),
)


def published(dataset: str) -> list[Published]:
    """What is known of a data set, by the name of its benchmark (`partial_reid, occluded queries`)."""
    name = dataset.removesuffix(", partial queries").partition(" (")[0]
    return [result for result in RESULTS if result.dataset == name]
