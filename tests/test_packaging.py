"""What is said about this program in several files is the same in all of them."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pipeline

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RANGES = [Requirement(line) for line in PROJECT["dependencies"]]
PINS = {
    canonicalize_name(pin.name): pin
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
    for pin in [Requirement(line)]
}


def names_in(file: str) -> list[str]:
    """The packages that a requirements file names, in its order."""
    lines = (ROOT / file).read_text().splitlines()
    return [line for line in lines if line and line[0] not in "#-"]


def pinned(requirement: Requirement) -> str:
    """The one version that constraints.txt allows of a requirement."""
    (pin,) = PINS[canonicalize_name(requirement.name)].specifier
    assert pin.operator == "=="
    return pin.version


def brought_along(wanted: list[Requirement]) -> set[str]:
    """Every installed package that the wanted ones need here, themselves too; torch chooses CUDA's."""
    found: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        one = wanted.pop()
        key = (canonicalize_name(one.name), frozenset(one.extras))
        if key not in found and not one.name.startswith(("nvidia-c", "nvidia-n", "cuda-", "triton")):
            found.add(key)
            needs = map(Requirement, distribution(one.name).requires or ())
            extras = [{"extra": extra} for extra in one.extras or {""}]
            wanted += [n for n in needs if n.marker is None or any(map(n.marker.evaluate, extras))]
    return {name for name, _ in found}


@pytest.mark.parametrize("requirement", RANGES, ids=str)
def test_a_range_holds_the_version_that_was_tried_and_ends_somewhere(requirement: Requirement) -> None:
    assert requirement.specifier.contains(pinned(requirement))
    grows_old = requirement.name == "tzdata"  # clocks change by law: the newest is always right
    assert {one.operator for one in requirement.specifier} == ({">="} if grows_old else {">=", "<"})


def test_the_optional_ranges_hold_the_versions_that_were_tried() -> None:
    for line in PROJECT["optional-dependencies"]["postgres"]:
        assert Requirement(line).specifier.contains(pinned(Requirement(line)))


def test_a_set_up_installs_what_the_package_needs_in_the_tried_versions() -> None:
    assert names_in("requirements.txt") == [requirement.name for requirement in RANGES]
    for file in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / file).read_text()
        assert "-c constraints.txt" in text or "-r requirements.txt" in text


def test_whatever_is_brought_along_is_pinned_to_what_is_installed_here() -> None:
    wanted = [*RANGES, *map(Requirement, names_in("requirements-dev.txt"))]
    installed = {name: distribution(name).version.partition("+")[0] for name in brought_along(wanted)}
    assert {name: pinned(Requirement(name)) for name in installed} == installed


def test_the_version_is_one() -> None:
    assert "version" not in PROJECT and "version" in PROJECT["dynamic"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    released = re.findall(r"^## \[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert citation["version"] == released[0] == pipeline.__version__


def test_the_changelog_has_what_is_unreleased_on_top_and_its_four_kinds() -> None:
    headings = re.findall(r"^(##+) \[?([^\] \n]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == ("##", "Unreleased")
    assert {name for level, name in headings if level == "###"} <= {"Added", "Changed", "Fixed", "Removed"}


def test_every_python_that_is_promised_is_tested_by_ci() -> None:
    promised = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if "Python :: 3." in c]
    assert promised[0] == PROJECT["requires-python"].removeprefix(">=")
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert jobs["tests"]["strategy"]["matrix"]["python"] == promised
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in promised


def test_actions_are_pinned_to_a_commit() -> None:
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        for used in re.findall(r"uses: (\S+)", path.read_text()):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used), f"{path.name}: {used}"
