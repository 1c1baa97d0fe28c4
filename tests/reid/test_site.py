"""What is usual at a site is taken off: means of cameras, and the usual FPR distance to each of them."""

from __future__ import annotations

import numpy as np
import pytest

from reid.sets.fusion import fused
from reid.sets.site import (
    camera_means,
    centred_cosine,
    compared_with_usual,
    less_usual,
    site_fused,
    unit,
)

PEOPLE = 200


def two_cameras() -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """People's vectors in two cameras, each of which adds a direction of its own to everybody."""
    rng = np.random.default_rng(0)
    people = rng.normal(0, 1, (PEOPLE, 16)).astype(np.float32)
    light = rng.normal(0, 2, (2, 16)).astype(np.float32)
    noise = rng.normal(0, 0.3, (2, PEOPLE, 16)).astype(np.float32)
    seen = [unit(people + light[camera] + noise[camera]) for camera in (0, 1)]
    names = ["hall"] * PEOPLE + ["yard"] * PEOPLE
    return seen[0], np.concatenate(seen), ["hall"] * PEOPLE, names


def found(distances: np.ndarray) -> float:
    """Share of the probes whose nearest other picture is the same person in the other camera."""
    others = distances + np.eye(PEOPLE, 2 * PEOPLE) * 9
    return float((others.argmin(1) == np.arange(PEOPLE) + PEOPLE).mean())


def test_people_are_found_across_cameras_in_other_light() -> None:
    probes, gallery, hall, names = two_cameras()
    everything = np.ones(PEOPLE)
    plain = 1 - probes @ gallery.T
    centred = centred_cosine((probes, gallery), (hall, names), everything)
    assert found(plain) < 0.2
    assert found(centred) > 0.8


def test_a_probe_of_an_unknown_camera_keeps_its_plain_cosine() -> None:
    probes, gallery, _, names = two_cameras()
    distances = centred_cosine((probes, gallery), (["roof"] * PEOPLE, names), np.ones(PEOPLE))
    assert distances == pytest.approx(1 - probes @ gallery.T, abs=1e-6)


def test_nothing_is_taken_off_a_probe_that_shows_nothing_of_what_is_usual() -> None:
    probes, gallery, hall, names = two_cameras()
    distances = centred_cosine((probes, gallery), (hall, names), np.zeros(PEOPLE))
    assert distances == pytest.approx(1 - probes @ gallery.T, abs=1e-6)


def test_the_mean_of_one_crop_is_hardly_believed() -> None:
    means = camera_means(np.ones((21, 2), np.float32), ["hall"] * 20 + ["yard"])
    assert means["hall"] == pytest.approx([0.8, 0.8])
    assert means["yard"] == pytest.approx([1 / 6, 1 / 6])


def test_what_is_seen_is_judged_by_what_the_camera_usually_shows() -> None:
    gallery, names = np.array([0.4, 0.4, 0.4, 0.8, 0.8, 0.8]), ["hall"] * 3 + ["yard"] * 3
    seen = compared_with_usual(
        (np.array([0.2, 0.4, 0.4, 0.6]), gallery), (["hall", "hall", "yard", "?"], names)
    )
    assert seen == pytest.approx([0.5, 1, 0.5, 1])


def test_a_camera_that_is_far_from_a_probe_as_a_whole_is_no_further_than_another() -> None:
    names = ["hall"] * 400 + ["yard"] * 400
    distances = np.repeat([[0.3, 0.6]], 400, 1) + np.tile(np.linspace(0, 0.1, 400), 2)
    gaps = less_usual(distances, names)
    assert gaps[:, :400] == pytest.approx(gaps[:, 400:], abs=0.02)
    assert gaps.mean() == pytest.approx(distances.mean())


def test_one_camera_alone_that_the_probes_are_not_of_gives_the_plain_fusion() -> None:
    rng = np.random.default_rng(1)
    probes, gallery = (unit(rng.normal(0, 1, (n, 8)).astype(np.float32)) for n in (5, 30))
    fpr, hidden = rng.random((5, 30)), np.full(5, 0.4, np.float32)
    both = site_fused(
        (probes, gallery), fpr, (["gate"] * 5, ["hall"] * 30), (np.ones(5), np.ones(30)), hidden
    )
    assert both == pytest.approx(fused(1 - probes @ gallery.T, fpr, hidden), abs=1e-4)
