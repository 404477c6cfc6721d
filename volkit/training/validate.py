"""Validation: segment with what the network says, and score against the truth.

The kernels are those of the operations, on whole arrays, so a score here is the score there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Coord, Windows
from volkit.kernels.agglomerate import agglomerate_mean
from volkit.kernels.blend import weight_sums, window_weights
from volkit.kernels.contacts import contacts
from volkit.kernels.contingency import contingency
from volkit.kernels.label import label_components
from volkit.kernels.relabel import renamed
from volkit.kernels.scores import rand_scores
from volkit.kernels.seeds import SeedOptions, seed_mask
from volkit.kernels.watershed import flood
from volkit.training.config import Validation
from volkit.training.patches import Tissue

Floats = NDArray[np.float32]
Labels = NDArray[np.uint64]
Predict = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Scores:
    """How well a network's boundaries segment.

    Parameters
    ----------
    adapted_rand_error : float
        Mean over the volumes at ``threshold``; 0 is best.
    threshold : float
        Mean boundary at which agglomeration stopped, the best of those asked for.
    split, merge : float
        Rand scores at it, means over the volumes; 1 is best.
    pixel_error : float or None
        Share of voxels on the wrong side of the best threshold of the boundary map; None where
        it was not asked for.
    """

    adapted_rand_error: float
    threshold: float
    split: float
    merge: float
    pixel_error: float | None = None

    def told(self) -> str:
        """Say it in one line."""
        pixels = "" if self.pixel_error is None else f"pixel error {self.pixel_error:.4f}; "
        return (
            f"{pixels}adapted Rand error {self.adapted_rand_error:.4f} at threshold "
            f"{self.threshold:g} (split {self.split:.4f}, merge {self.merge:.4f})"
        )


def validated(predict: Predict, tissues: Sequence[Tissue], options: Validation) -> Scores:
    """Score a network on labelled volumes.

    Parameters
    ----------
    predict : callable
        Scaled windows (B, 1, z, y, x) to boundary probabilities of that shape.
    tissues : sequence of Tissue
        At least one.
    options : Validation
        Windows, thresholds, and what counts as one object.

    Returns
    -------
    Scores
        Truth 0 does not count.
    """
    maps = [dense(predict, each.scaled(each.box), options.window) for each in tissues]
    return judged_maps(maps, [each.labels.read(each.box) for each in tissues], options)


def judged_maps(
    maps: Sequence[Floats],
    truths: Sequence[NDArray[Any]],
    options: Validation,
    *,
    edges: Sequence[NDArray[np.bool_]] | None = None,
) -> Scores:
    """Score maps of boundary probability.

    Parameters
    ----------
    maps : sequence of ndarray of float32, shape (Z, Y, X)
        One for each volume.
    truths : sequence of ndarray of int, same shapes
        Labels; 0 does not count.
    options : Validation
        Thresholds, and what counts as one object.
    edges : sequence of ndarray of bool, same shapes, optional
        True boundaries, to count voxels on the wrong side of a threshold.

    Returns
    -------
    Scores
        Means over the volumes.
    """
    rows = [_scores(prob, truth, options) for prob, truth in zip(maps, truths, strict=True)]
    table = np.array(rows).mean(axis=0)
    best = int(np.argmin(table[:, 0]))
    error, split, merge = (float(v) for v in table[best])
    wrong = None
    if edges is not None:
        pairs = zip(maps, edges, strict=True)
        wrong = float(np.mean([pixel_error(prob, edge) for prob, edge in pairs]))
    return Scores(error, options.thresholds[best], split, merge, wrong)


def pixel_error(prob: Floats, edge: NDArray[np.bool_]) -> float:
    """Compute the least share of voxels on the wrong side of one of 1000 thresholds.

    Parameters
    ----------
    prob : ndarray of float32, shape (Z, Y, X)
        Boundary probability, 0 to 1.
    edge : ndarray of bool, same shape
        True boundaries.

    Returns
    -------
    float
        0 to 1.

    Examples
    --------
    >>> prob = np.array([[[0.1, 0.2, 0.3, 0.9]]], np.float32)
    >>> pixel_error(prob, np.array([[[False, True, False, True]]]))
    0.25
    """
    level = np.minimum((prob * 1000).astype(np.int64), 999)
    low, high = (np.bincount(level[edge == side], minlength=1000) for side in (False, True))
    # Below a threshold every boundary voxel is wrong, from it on every other voxel.
    missed = np.concatenate([[0], np.cumsum(high)])
    found = low.sum() - np.concatenate([[0], np.cumsum(low)])
    return float((missed + found).min() / prob.size)


def _scores(prob: Floats, truth: NDArray[Any], options: Validation) -> list[list[float]]:
    """Compute error, split and merge at every threshold."""
    if options.components:
        truth = components(truth)
    rows = []
    for labels in segmented(prob, options.thresholds):
        scores = rand_scores(contingency(truth, labels))
        rows.append([scores.adapted_rand_error, scores.split, scores.merge])
    return rows


def dense(predict: Predict, image: Floats, window: Coord) -> Floats:
    """Predict every voxel of an array from windows at half overlap.

    Parameters
    ----------
    predict : callable
        As in `validated`.
    image : ndarray of float32, shape (Z, Y, X)
        Scaled; mirrored at its faces.
    window : tuple of int
        Even on every axis.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
        Boundary probability.
    """
    domain = Box.from_shape(image.shape)
    z, y, x = (n // 2 for n in window)
    windows = Windows(domain, window, (z, y, x))
    last = windows.window((windows.counts[0] - 1, windows.counts[1] - 1, windows.counts[2] - 1))
    beyond = [(0, max(0, b - n)) for b, n in zip(last.stop, image.shape, strict=True)]
    padded = np.pad(image, beyond, mode="reflect")
    weights = window_weights(window, "gaussian")
    total = np.zeros(padded.shape, np.float32)
    for index in windows.touching(domain):
        part = windows.window(index).slices
        total[part] += weights * predict(padded[part][None, None])[0, 0]
    return np.clip(total[domain.slices] / weight_sums(windows, domain, "gaussian"), 0, 1)


def segmented(prob: Floats, thresholds: Sequence[float]) -> list[Labels]:
    """Segment a boundary map, once for every threshold of agglomeration.

    Parameters
    ----------
    prob : ndarray of float32, shape (Z, Y, X)
        Boundary probability.
    thresholds : sequence of float
        Mean boundary at which agglomeration stops.

    Returns
    -------
    list of ndarray of uint64, shape (Z, Y, X)
        Labels; every voxel has one.
    """
    fragments = flood(prob, label_components(seed_mask(prob, SeedOptions())))
    table = contacts(fragments, prob, Box.from_shape(prob.shape))
    edges = (table["u"], table["v"], table["boundary_sum"], table["count"])
    return [
        renamed(fragments, *agglomerate_mean(*edges, threshold=threshold))
        for threshold in thresholds
    ]


def components(truth: NDArray[np.integer]) -> Labels:
    """Give every connected part of an object an id of its own.

    Parameters
    ----------
    truth : ndarray of int, shape (Z, Y, X)
        Labels; 0 stays 0.

    Returns
    -------
    ndarray of uint64, shape (Z, Y, X)
        Face-connected components, 1 and up.

    Examples
    --------
    >>> components(np.array([[[5, 0, 5, 6]]])).tolist()
    [[[1, 0, 2, 3]]]
    """
    import cc3d

    _, small = np.unique(truth, return_inverse=True)
    offset = 0 if (truth == 0).any() else 1
    dense_ids = (small.reshape(truth.shape) + offset).astype(np.uint32)
    found = cc3d.connected_components(dense_ids, connectivity=6, out_dtype=np.uint32)
    return np.asarray(found, np.uint64)
