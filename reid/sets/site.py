"""Distances judged against what is usual at a site: what each camera of a gallery commonly shows.

Two cameras differ in light, height and colours, and a network that never saw the site takes that for a
difference of people: strangers of one camera are nearer than a person in two. What all crops of a camera have
in common says nothing about who is shown, so it is taken off. Measured: docs/lab/foreign_site.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.sets.fusion import FLAT, fpr_weight, standardized

PRIOR_CROPS = 5
"""A camera is believed by n / (n + this): the mean of a few crops is a few people, not a camera."""


def site_fused(
    pooled: tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]],
    fpr: NDArray[np.floating[Any]],
    cameras: tuple[Sequence[str], Sequence[str]],
    visible: tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]],
    hidden: NDArray[np.floating[Any]],
) -> NDArray[np.float32]:
    """How far each gallery picture is from each probe, against what is usual for the cameras: small = same.

    The weight of FPR is that of `reid.sets.fusion.fused`; gallery pictures of one camera alone, of which the
    probes are not, give what `fused` gives.

    Args:
        pooled: (Q, D) and (G, D) unit vectors of probes and gallery.
        fpr: (Q, G) distances.
        cameras: (Q,) and (G,) where each was seen.
        visible: (Q,) and (G,) mean foreground of each crop.
        hidden: (Q,) see `reid.sets.fusion.hidden_share`.

    Returns:
        (Q, G), comparable within a row only.
    """
    seen = compared_with_usual(visible, cameras)
    near = centred_cosine(pooled, cameras, seen)
    far = standardized(less_usual(fpr, cameras[1]))
    result: NDArray[np.float32] = standardized(near) + fpr_weight(hidden)[:, None] * far
    return result


def centred_cosine(
    pooled: tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]],
    cameras: tuple[Sequence[str], Sequence[str]],
    seen: NDArray[np.floating[Any]],
) -> NDArray[np.float32]:
    """(Q, G) cosine distances, as far as `seen` after each camera's mean is taken off both.

    A covered probe shows less of what its camera usually shows, so less of the camera is taken off. A probe
    of a camera that the gallery does not know keeps its plain cosine.

    Args:
        pooled: (Q, D) and (G, D) unit vectors.
        cameras: (Q,) and (G,) where each was seen.
        seen: (Q,) in 0..1, see `compared_with_usual`.
    """
    mine, theirs = (part.astype(np.float32) for part in pooled)
    plain = 1 - mine @ theirs.T
    means = camera_means(theirs, cameras[1])
    known = np.array([camera in means for camera in cameras[0]])
    offsets = [np.stack([means.get(c, np.zeros_like(theirs[0])) for c in names]) for names in cameras]
    centred = 1 - unit(mine - offsets[0]) @ unit(theirs - offsets[1]).T
    share = np.where(known, seen, 0)[:, None].astype(np.float32)
    result: NDArray[np.float32] = (1 - share) * plain + share * centred
    return result


def camera_means(vectors: NDArray[np.float32], cameras: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """The (D,) mean of each camera's (G, D) vectors, shrunk towards nothing where they are few."""
    names = np.array(cameras)
    counts = {str(name): int((names == name).sum()) for name in np.unique(names)}
    return {
        name: vectors[names == name].mean(0) * np.float32(count / (count + PRIOR_CROPS))
        for name, count in counts.items()
    }


def compared_with_usual(
    visible: tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]],
    cameras: tuple[Sequence[str], Sequence[str]],
) -> NDArray[np.float32]:
    """(Q,) how much of each probe is seen, by what its camera's crops in the gallery usually show: 0..1.

    Args:
        visible: (Q,) and (G,) mean foreground.
        cameras: (Q,) and (G,); a camera without crops in the gallery is judged by all of them.
    """
    names = np.array(cameras[1])
    usual = {camera: float(np.median(visible[1][names == camera])) for camera in set(cameras[1])}
    everyone = float(np.median(visible[1]))
    expected = np.array([usual.get(camera, everyone) for camera in cameras[0]])
    result: NDArray[np.float32] = np.clip(visible[0] / np.maximum(expected, FLAT), 0, 1).astype(np.float32)
    return result


def less_usual(distances: NDArray[np.floating[Any]], cameras: Sequence[str]) -> NDArray[np.float32]:
    """(Q, G) distances, less what is usual between each probe and each camera of the gallery.

    Args:
        distances: (Q, G).
        cameras: (G,) where each gallery picture was seen.
    """
    names, gaps = np.array(cameras), distances.astype(np.float32)
    middle = gaps.mean(1, keepdims=True)
    for camera in np.unique(names):
        here = names == camera
        believed = np.float32(here.sum() / (here.sum() + PRIOR_CROPS))
        gaps[:, here] -= believed * (gaps[:, here].mean(1, keepdims=True) - middle)
    return gaps


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The (N, D) vectors at length 1."""
    result: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), FLAT)
    return result
