"""Who may import whom: the architecture, as a test."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for folder in ("pipeline", "reid") for path in (ROOT / folder).rglob("*.py"))
TESTED = sorted((ROOT / "tests/pipeline").rglob("test_*.py"))


@dataclass(frozen=True)
class Room:
    """A folder of `pipeline`: whom it may import besides the hall and itself, and every file in it."""

    may_import: str
    files: str
    tested_elsewhere: str = ""
    """Files without tests of their own: what uses them is tested."""


ROOMS = {
    "hall": Room(
        "",
        """
        atomic_files boxes config config_words constraints credentials encoded_images errors messages parents
        records reid_weights shipped_files stored_config time_zones times urls
        """,
        """
        boxes config_words records
        """,
    ),
    "cameras": Room(
        "",
        """
        check clip_source clips containers exif fields frames live/backoff live/capture
        live/capture_messages live/capture_process
        live/clock live/connect_errors live/connection live/finite live/health live/reception live/ring live/session
        live/watchdog name_times photographs picture_folders recordings
        shapes source_clock starts video_file
        """,
        """
        clip_source containers exif live/backoff live/capture live/capture_messages live/capture_process
        live/connect_errors live/connection live/health live/ring live/session live/watchdog
        video_file
        """,
    ),
    "tracking": Room(
        "cameras",
        """
        camera_tracks detect letterbox smooth track tracklets training/average_precision
        training/person_samples training/train_detector yolo
        """,
        """
        camera_tracks
        """,
    ),
    "store": Room(
        "",
        """
        audit cameras corrections database database_errors erasure identity_claims location lookups migrate
        migrations/env migrations/versions/0001_first migrations/versions/0002_corrections
        migrations/versions/0003_recall models open_store recordings removal rows runs schema tracklet_rows
        tracklets versions writer_lock
        """,
        """
        audit cameras database location migrations/env migrations/versions/0001_first
        migrations/versions/0002_corrections migrations/versions/0003_recall removal rows schema
        tracklet_rows
        """,
    ),
    "linking": Room(
        "store",
        """
        cluster cut_tracklets double_boxes enforce_corrections follow_corrections gallery keep_numbers link_confidence look_back
        match open_matcher pausable_work recluster relink same_person_evidence site site_knowledge
        two_places_at_once walking_times
        """,
        """
        open_matcher relink same_person_evidence site
        """,
    ),
    "queries": Room(
        "cameras tracking store linking",
        """
        as_json boxes crops cursors export filters find journey people pictures/contact_sheets pictures/crops
        pictures/drawing pictures/people_in_frames pictures/render recall recordings review snapshot tracks
        visits
        """,
        """
        boxes pictures/contact_sheets pictures/crops pictures/drawing pictures/people_in_frames
        """,
    ),
    "running": Room(
        "cameras tracking store linking",
        """
        channels engine/engine engine/local prepare requests run shares status status_server supervise workers/camera workers/crop_shedding
        workers/detection_rates workers/live workers/live_camera workers/match workers/outbox workers/reid
        """,
        """
        engine/engine shares status_server workers/detection_rates workers/live workers/outbox
        workers/reid
        """,
    ),
    "evaluate": Room(
        "store queries",
        """
        annotate confidence cvat_and_coco evaluation found_boxes labelled_box labels linking_score mot_and_csv
        pictures tracking_score truth
        """,
        """
        cvat_and_coco labelled_box mot_and_csv pictures
        """,
    ),
    "demo": Room(
        "cameras tracking store linking queries running evaluate",
        """
        clothes colour demo film people picture room scene score stage
        """,
        """
        clothes colour demo film people picture room stage
        """,
    ),
    "cli": Room(
        "cameras tracking store linking queries running evaluate demo",
        """
        commands/ask commands/correct commands/export commands/forget commands/measure commands/run exit_codes
        field_words filters json_answers main options progress reference show show_corrections show_evaluation
        show_files show_forget show_found show_recluster show_run status_table table_lines tables
        train_detector wording
        """,
        """
        commands/ask commands/correct commands/export commands/forget commands/measure commands/run
        filters json_answers main options show_evaluation show_files show_forget show_found
        show_run status_table table_lines tables wording
        """,
    ),
}
"""Every file of `pipeline` and its room; the hall holds the words that everybody speaks."""

ONLY_IN = {
    "zmq": {"running/channels", "running/requests"},
    "multiprocessing": {"running/engine", "cameras/live"},
    "sqlalchemy": {"store", "queries"},
    "rich": {"cli", "demo"},
    "typer": {"cli"},
    "av": {"cameras", "queries/pictures", "demo/scene"},
    "ultralytics": {"tracking/yolo"},
    "openvino": {"tracking/yolo"},
    "trackeval": {"evaluate/tracking_score"},
    "reid_hota": {"evaluate/tracking_score"},
    "pandas": {"evaluate/tracking_score"},
    "pickle": set(),
}
"""Packages that only these rooms or files of `pipeline` may touch."""

LINKING_WITH_STORE = {"open_matcher", "recluster", "relink", "site_knowledge"}
"""The files of linking that may read and write the store; the others work on records."""

REID_ONLY_IN = {
    "openvino": {"reid.export", "reid.network.openvino_core"},
    "typer": {
        "reid.train",
        "reid.evaluate",
        "reid.calibrate",
        "reid.masks",
        "reid.export",
        "reid.progress",
        "reid.foreground",
        "reid.ablation",
        "reid.blend",
        "reid.pictures",
    },
    **{package: set() for package in ("pickle", "zmq", "ultralytics", "av", "sqlalchemy", "pandas")},
}

REID_ROOMS: dict[str, set[str]] = {
    "fpr": set(),
    "network": set(),
    "data": set(),
    "sets": {"fpr"},
    "scoring": {"fpr", "network", "data", "sets"},
    "training": {"fpr", "network", "data"},
}
"""The folders of `reid`, and which others each may use."""


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room_of(module: str) -> str:
    """The room of a dotted name below `pipeline`."""
    first = module.removeprefix("pipeline").lstrip(".").split(".")[0]
    return first if first in ROOMS else "hall"


def place(path: Path) -> str:
    """A file of `pipeline` as the table has it: room/file, or the bare name in the hall."""
    return path.relative_to(ROOT / "pipeline").with_suffix("").as_posix()


PIPELINE = [path for path in MODULES if path.is_relative_to(ROOT / "pipeline") and path.stem != "__init__"]
PLACES = {
    f"{room}/{name}" if room != "hall" else name for room in ROOMS for name in ROOMS[room].files.split()
}


def test_the_table_names_every_file() -> None:
    assert {place(path) for path in PIPELINE} == PLACES


@pytest.mark.parametrize("path", PIPELINE, ids=place)
def test_a_room_imports_only_the_rooms_it_may(path: Path) -> None:
    here = room_of(name_of(path))
    allowed = {"hall", here, *ROOMS[here].may_import.split()}
    ours = {name for name in imports_of(path) if name.startswith("pipeline.")}
    assert {room_of(name) for name in ours} <= allowed


def test_no_files_import_each_other_in_a_circle() -> None:
    """Not even within functions."""
    names = {name_of(path) for path in MODULES}
    graph = {name_of(path): imports_of(path) & names - {name_of(path)} for path in MODULES}
    TopologicalSorter(graph).prepare()


def test_linking_reads_and_writes_the_store_in_four_files() -> None:
    linking = [path for path in PIPELINE if room_of(name_of(path)) == "linking"]
    found = {path.stem for path in linking if any(room_of(name) == "store" for name in imports_of(path))}
    assert found == LINKING_WITH_STORE


def test_linking_loads_neither_a_database_nor_sockets() -> None:
    """In a process of its own, every file of linking but those four."""
    files = sorted(set(ROOMS["linking"].files.split()) - LINKING_WITH_STORE)
    modules = ", ".join(f"pipeline.linking.{name}" for name in files)
    told = f"import sys, {modules}; print({{'sqlalchemy', 'zmq'}} & sys.modules.keys() or 'neither')"
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "neither"


@pytest.mark.parametrize("path", PIPELINE, ids=place)
def test_a_package_is_imported_only_where_it_belongs(path: Path) -> None:
    for package, owners in ONLY_IN.items():
        if any(name == package or name.startswith(package + ".") for name in imports_of(path)):
            assert any(f"{place(path)}/".startswith(f"{owner}/") for owner in owners), package


@pytest.mark.parametrize("path", [path for path in MODULES if path not in PIPELINE], ids=name_of)
def test_a_module_of_reid_imports_only_what_it_may(path: Path) -> None:
    name, found = name_of(path), imports_of(path)
    for package, owners in REID_ONLY_IN.items():
        if any(f == package or f.startswith(package + ".") for f in found):
            assert name in owners, f"{name} imports {package}"
    if name.startswith("reid"):
        assert not any(f == "pipeline" or f.startswith("pipeline.") for f in found)


@pytest.mark.parametrize("room", REID_ROOMS)
def test_a_room_of_reid_uses_only_the_rooms_it_may(room: str) -> None:
    others = REID_ROOMS.keys() - REID_ROOMS[room] - {room}
    paths = list((ROOT / "reid" / room).glob("*.py"))
    assert len(paths) > 2
    for path in paths:
        rooms = {name.split(".")[1] for name in imports_of(path) if name.startswith("reid.")}
        assert not rooms & others, f"{path.name} uses {rooms & others}"


def test_tests_mirror_the_rooms() -> None:
    """Each file has tests where it has its own place, or is named as tested elsewhere; not both."""
    folder = ROOT / "tests/pipeline"
    own = {path.relative_to(folder).with_name(path.stem.removeprefix("test_")).as_posix() for path in TESTED}
    rooms = {
        name: {f"{name}/{f}" if name != "hall" else f for f in r.tested_elsewhere.split()}
        for name, r in ROOMS.items()
    }
    elsewhere = set[str]().union(*rooms.values())
    assert PLACES - own == elsewhere
    assert {name.rpartition("/")[0] for name in own} <= {name.rpartition("/")[0] for name in PLACES}


def floor_of(room: str) -> int:
    """How many rooms stand below a room, one on the other, itself counted."""
    return 1 + max(
        (
            floor_of(other)
            for other in ("hall", *ROOMS[room].may_import.split())
            if other != room and room != "hall"
        ),
        default=0,
    )


def test_the_house_has_at_most_nine_floors() -> None:
    assert max(map(floor_of, ROOMS)) <= 9


@pytest.mark.parametrize("room", ROOMS)
def test_within_a_room_files_stand_on_at_most_nine_floors(room: str) -> None:
    """And none stands on itself: there is no circle."""
    files = {name_of(path): imports_of(path) for path in PIPELINE if room_of(name_of(path)) == room}
    below = {
        name: {other for other in files if other in found and other != name} for name, found in files.items()
    }
    floors = 0
    while below:
        ground = {name for name, others in below.items() if not others}
        assert ground, f"these import each other in a circle: {sorted(below)}"
        below = {name: others - ground for name, others in below.items() if name not in ground}
        floors += 1
    assert floors <= 9
