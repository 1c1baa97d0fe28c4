"""`python -m reid.evaluate` from end to end, with the shipped weights, on made-up pictures."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from reid.evaluate import main
from reid.scoring.methods import METHODS

SHIPPED = Path(__file__).parents[2] / "weights/fpr_small.safetensors"
APP = typer.Typer()
APP.command()(main)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people in two cameras; one of them has a single picture, and one picture is a single pixel."""
    folder = tmp_path_factory.mktemp("people")
    for person in range(4):
        colours = np.random.default_rng(person).integers(0, 255, (4, 2, 3)).astype(np.uint8)
        picture = cv2.resize(colours, (64, 128), interpolation=cv2.INTER_NEAREST)
        for camera in (1, 2) if person else (1,):
            cv2.imwrite(str(folder / f"p{person}_{camera}.png"), picture[:, :: 3 - 2 * camera])
    cv2.imwrite(str(folder / "p9_1_tiny.png"), np.zeros((1, 1, 3), np.uint8))
    return folder


def evaluated(*options: str) -> Result:
    return CliRunner().invoke(APP, [*options, "--weights", str(SHIPPED)])


def folder_options(people: Path) -> list[str]:
    return ["--dataset", "folder", "--root", str(people), "--cache", str(people / ".cache")]


@pytest.fixture(scope="module")
def whole(people: Path) -> Result:
    return evaluated(
        "--dataset", "folder", "--root", str(people), "--cache", str(people / ".cache"), "--json"
    )


def test_the_json_is_as_documented(whole: Result, people: Path) -> None:
    found = json.loads(whole.stdout)
    assert (found["dataset"], found["queries"], found["gallery"]) == (people.name, 6, 8)
    assert [row["method"] for row in found["rows"]] == list(METHODS)
    assert all(
        {"rank1", "rank5", "rank10", "mAP", "mAP_trapezoid", "mINP"} <= set(row) for row in found["rows"]
    )


def test_the_same_command_gives_the_same_numbers_from_its_cache(whole: Result, people: Path) -> None:
    again = evaluated(
        "--dataset", "folder", "--root", str(people), "--cache", str(people / ".cache"), "--json"
    )
    assert again.stdout == whole.stdout


def test_a_sweep_has_a_row_for_each_ridge(whole: Result, people: Path) -> None:
    found = json.loads(evaluated(*folder_options(people), "--sweep", "beta", "--json").stdout)
    assert [row["beta"] for row in found["rows"]] == ["0.0001", "0.001", "0.01", "0.1", "1"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--dataset", "dukemtmc", "--root", "."), "withdrawn"),
        (("--dataset", "market1501", "--root", "nowhere"), "nowhere/market1501/query"),
        (("--dataset", "folder", "--root", "nowhere"), "no such folder"),
        (("--dataset", "heldout", "--root", ".", "--heldout-list", "nowhere.txt"), "no list of held-out"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(options: tuple[str, ...], reason: str) -> None:
    result = evaluated(*options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert reason in result.stderr


def test_several_weights_are_only_for_a_sweep(people: Path) -> None:
    result = evaluated("--dataset", "folder", "--root", str(people), "--weights", str(SHIPPED))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "2 weights files: several are only for --sweep" in result.stderr
