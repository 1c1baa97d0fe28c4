"""The nearest thing a user would pick: ultralytics `model.track` with ByteTrack, every frame, as MOT text."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("YOLO_OFFLINE", "1")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_VERBOSE", "false")


def main(weights: str, out: str, frames: int, videos: list[str]) -> None:
    """Track people in each video in turn; writes OUT/<video>.txt and prints seconds and frames as JSON."""
    from reid.network.torchvision_ops import ensure_torchvision_ops

    ensure_torchvision_ops()
    import torch
    from ultralytics import YOLO

    started = time.perf_counter()
    count = 0
    for video in videos:
        model = YOLO(weights)
        lines = []
        stream = model.track(
            video, imgsz=640, classes=[0], tracker="bytetrack.yaml", stream=True, verbose=False, device="cpu"
        )
        for number, result in enumerate(stream, start=1):
            torch.set_num_threads(len(os.sched_getaffinity(0)))
            if frames and number > frames:
                break
            count += 1
            for box in result.boxes if result.boxes is not None else []:
                if box.id is not None:
                    x1, y1, x2, y2 = box.xyxy[0].tolist()
                    size = f"{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}"
                    lines.append(f"{number},{int(box.id)},{size},{float(box.conf):.3f},-1,-1,-1")
        (Path(out) / f"{Path(video).stem}.txt").write_text("\n".join(lines) + "\n")
    print(json.dumps({"seconds": time.perf_counter() - started, "frames": count}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])
