"""Truth files: what is read, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.evaluate.labelled_box import TruthError
from pipeline.evaluate.truth import CameraTruth, read_truth

CVAT = """<annotations><version>1.1</version>
<track id="0" label="person">
  <box frame="0" outside="0" xtl="1" ytl="2" xbr="11" ybr="22"><attribute name="person">7</attribute></box>
  <box frame="1" outside="1" xtl="1" ytl="2" xbr="11" ybr="22"><attribute name="person">7</attribute></box>
</track>
<track id="3" label="person"><attribute name="person">9</attribute>
  <box frame="4" outside="0" xtl="5" ytl="2" xbr="11" ybr="22"/></track>
<track id="5" label="person">
  <box frame="6" outside="0" xtl="5" ytl="2" xbr="11" ybr="22"/></track>
</annotations>"""


def rows(truth: CameraTruth) -> list[tuple[int, int, list[float]]]:
    people = truth.people
    return list(zip(people.frames.tolist(), people.ids.tolist(), people.boxes.tolist(), strict=True))


def test_mot_text_counts_frames_from_one_and_boxes_by_width(tmp_path: Path) -> None:
    (tmp_path / "gt_hall.txt").write_text("1,7,1,2,10,20,1,1,0.5\n\n2,8,0,0,5,5,0,-1,-1\n")
    truth = read_truth(tmp_path, ["hall", "gate"])
    assert list(truth) == ["hall"]
    assert rows(truth["hall"]) == [(0, 7, [1, 2, 11, 22])]
    assert truth["hall"].ignored.frames.tolist() == [1]


def test_the_first_frame_may_be_zero(tmp_path: Path) -> None:
    (tmp_path / "hall.txt").write_text("0,7,1,2,10,20\n")
    assert rows(read_truth(tmp_path, ["hall"], first_frame=0)["hall"])[0][0] == 0
    with pytest.raises(TruthError, match=r"hall\.txt: has a frame 0: .*--first-frame 0"):
        read_truth(tmp_path, ["hall"])


def test_gt_txt_is_about_the_only_camera(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("1,7,1,2,10,20\n")
    (tmp_path / "gt_768x576.txt").write_text("1,7,1,2,10,20\n")
    assert list(read_truth(tmp_path, ["hall"])) == ["hall"]
    with pytest.raises(TruthError, match="no truth for hall, gate"):
        read_truth(tmp_path, ["hall", "gate"])


def test_the_motchallenge_folders_are_found(tmp_path: Path) -> None:
    (tmp_path / "hall" / "gt").mkdir(parents=True)
    (tmp_path / "hall" / "gt" / "gt.txt").write_text("1,7,1,2,10,20\n")
    assert list(read_truth(tmp_path, ["hall", "gate"])) == ["hall"]


def test_one_csv_may_hold_all_cameras(tmp_path: Path) -> None:
    text = "camera,frame,person,x1,y1,x2,y2\nhall,1,7,1,2,11,22\ngate,3,7,0,0,5,9\nattic,1,1,0,0,5,9\n"
    (tmp_path / "truth.csv").write_text(text)
    truth = read_truth(tmp_path, ["hall", "gate"])
    assert rows(truth["hall"]) == [(0, 7, [1, 2, 11, 22])]
    assert rows(truth["gate"]) == [(2, 7, [0, 0, 5, 9])]


def test_cvat_boxes_outside_are_none_and_attributes_name_the_person(tmp_path: Path) -> None:
    (tmp_path / "hall.xml").write_text(CVAT)
    assert rows(read_truth(tmp_path, ["hall"])["hall"]) == [
        (0, 7, [1, 2, 11, 22]),
        (4, 9, [5, 2, 11, 22]),
        (6, 5, [5, 2, 11, 22]),
    ]


def test_coco_takes_person_frame_and_camera_from_where_tools_put_them(tmp_path: Path) -> None:
    content = {
        "videos": [{"id": 1, "name": "hall.mp4"}],
        "images": [
            {"id": 10, "video_id": 1, "frame_id": 4, "file_name": "x.jpg"},
            {"id": 11, "file_name": "gate/frame_000012.jpg"},
        ],
        "annotations": [
            {"id": 1, "image_id": 10, "track_id": 7, "bbox": [1, 2, 10, 20]},
            {"id": 2, "image_id": 11, "attributes": {"track_id": 8}, "bbox": [0, 0, 5, 5]},
            {"id": 3, "image_id": 11, "track_id": 9, "bbox": [0, 0, 9, 9], "iscrowd": 1},
        ],
    }
    (tmp_path / "truth.json").write_text(json.dumps(content))
    truth = read_truth(tmp_path, ["hall", "gate"])
    assert rows(truth["hall"]) == [(3, 7, [1, 2, 11, 22])]
    assert rows(truth["gate"]) == [(11, 8, [0, 0, 5, 5])] and len(truth["gate"].ignored) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gt_hall.txt", "frame,id\n", "line 1: not frame,id,left"),
        ("gt_hall.txt", "1,7,1,2,3,4\n1,7,5,5,3,4\n", "person 7 twice in frame 0"),
        ("hall.csv", "frame,person,x1\n1,2,3\n", "line 2: no number under 'y1'"),
        ("hall.xml", "<annotations>", "not CVAT for video"),
        ("hall.xml", '<!DOCTYPE a [<!ENTITY b "c">]><a/>', "defines entities"),
        ("hall.json", "{}", "not COCO with track_id"),
        ("hall.json", '{"images": [], "annotations": [{"image_id": 1}]}', "not COCO with track_id"),
        ("other.txt", "1,7,1,2,3,4\n", "no truth for hall: name the files gt_CAMERA.txt"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(TruthError, match=message) as refused:
        read_truth(tmp_path, ["hall"])
    assert "\n" not in str(refused.value)
    with pytest.raises(TruthError, match="no such truth"):
        read_truth(tmp_path / "nowhere", ["hall"])
