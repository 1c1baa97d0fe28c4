"""Truth as annotation tools write it: CVAT for video (XML) and COCO (JSON)."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.evaluate.labelled_box import PERSON, LabelledBox, TruthError

COCO_PERSON = ("track_id", "person", "instance_id")
"""Keys of an annotation, or of its attributes, that may name the person; its `id` names the box."""
LARGEST_BYTES = 1 << 30
"""Larger files are no annotations."""


def read_cvat(path: Path) -> Iterator[LabelledBox]:
    """CVAT for video 1.1: each `<track>` is a person, by an attribute `person` (or `id`), else by its own id.

    A box marked `outside` is none; the attribute `ignored` = true takes one out. Frames count from 0.

    Raises:
        TruthError: not such a file.
    """
    text = read_text(path)
    if "<!ENTITY" in text:
        raise TruthError(f"{path}: defines entities: not CVAT's")
    try:
        tracks = ElementTree.fromstring(text).iter("track")
        for track in tracks:
            for box in track.iter("box"):
                if box.get("outside") != "1":
                    yield cvat_label(track, box)
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise TruthError(f"{path}: not CVAT for video: {error}") from None


def cvat_label(track: ElementTree.Element, box: ElementTree.Element) -> LabelledBox:
    """One box of a track."""
    attributes = (*track.findall("attribute"), *box.findall("attribute"))  # immutable, then mutable ones
    values = {attribute.get("name", ""): attribute.text or "" for attribute in attributes}
    person = next((values[name] for name in PERSON if values.get(name)), track.attrib["id"])
    x1, y1, x2, y2 = (float(box.attrib[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
    ignored = values.get("ignored", "").lower() in ("true", "1")
    return LabelledBox(None, int(box.attrib["frame"]), int(person), (x1, y1, x2, y2), ignored)


def read_coco(path: Path) -> Iterator[LabelledBox]:
    """COCO: the person is `track_id` (or `attributes.track_id`), the frame `frame_id` or in the file's name.

    The camera is the name of the image's video (`video_id`), else the folder in `file_name`, else the file's.
    `iscrowd` = 1 does not count.

    Raises:
        TruthError: not such a file, or an annotation without a person.
    """
    try:
        content = json.loads(read_text(path))
        videos = {video["id"]: Path(video["name"]).stem for video in content.get("videos", [])}
        images = {image["id"]: image for image in content["images"]}
        for annotation in content["annotations"]:
            yield coco_label(annotation, images[annotation["image_id"]], videos)
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise TruthError(f"{path}: not COCO with track_id: {error!r}") from None


def coco_label(
    annotation: Mapping[str, Any], image: Mapping[str, Any], videos: Mapping[Any, str]
) -> LabelledBox:
    """One annotation."""
    values = {**annotation.get("attributes", {}), **annotation}
    person = values[next(name for name in COCO_PERSON if name in values)]
    left, top, width, height = map(float, annotation["bbox"])
    name = Path(image["file_name"])
    camera = videos.get(image.get("video_id")) or (name.parent.name or None)
    box = (left, top, left + width, top + height)
    return LabelledBox(camera, coco_frame(image, name), int(person), box, bool(annotation.get("iscrowd")))


def coco_frame(image: Mapping[str, Any], name: Path) -> int:
    """The frame's number: `frame_id`, `frame_index`, or the last number in the file's name."""
    for key in ("frame_id", "frame_index"):
        if key in image:
            return int(image[key])
    digits = re.findall(r"\d+", name.stem)
    if not digits:
        raise ValueError(f"{name}: no frame number")
    return int(digits[-1])


def read_text(path: Path) -> str:
    """The file's text, where it is not absurdly large."""
    if path.stat().st_size > LARGEST_BYTES:
        raise TruthError(f"{path}: larger than {LARGEST_BYTES >> 20} MB")
    return path.read_text(encoding="utf-8")
