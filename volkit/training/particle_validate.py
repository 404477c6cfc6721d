"""Validation of heat maps: blend windows, find peaks, search thresholds, count F."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Coord
from volkit.geometry.windows import Windows
from volkit.kernels.blend import Weighting, weight_sums, window_weights
from volkit.kernels.matching import hit_curve
from volkit.kernels.particle_coordinates import ParticleCoordinates
from volkit.kernels.peaks import peaks
from volkit.training.particle_config import PickValidation
from volkit.training.particle_crops import Tomogram
from volkit.training.particle_options import ParticleKind
from volkit.training.threshold_search import PickScores, best_thresholds

Floats = NDArray[np.float32]
Predict = Callable[[Floats], Floats]

_BATCH = 8  # windows that go through the network together


def validated(
    predict: Predict,
    tomograms: Sequence[Tomogram],
    kinds: Sequence[ParticleKind],
    options: PickValidation,
    *,
    window: Coord,
    target_offset: float = 0.5,
) -> PickScores:
    """Score a network on labelled tomograms.

    Parameters
    ----------
    predict : callable
        Scaled windows (B, 1, z, y, x) to heat maps (B, C, z, y, x).
    tomograms : sequence of Tomogram
        At least one; hits and misses are added up over them.
    kinds : sequence of ParticleKind
        Channels; answers within half of the radius count.
    options : PickValidation
        Windows, thresholds and beta.
    window : tuple of int
        What the network sees, (z, y, x).
    target_offset : float
        Between centres and voxels, as the targets had it.

    Returns
    -------
    PickScores
    """
    total = np.zeros((len(kinds), len(options.thresholds), 3), np.int64)
    limits = np.array(options.thresholds)
    for tomogram in tomograms:
        maps = blended(
            predict, tomogram.image, window, stride=options.stride, weights=options.weights
        )
        coordinates = ParticleCoordinates.of(tomogram.scale, target_offset=target_offset)
        for number, kind in enumerate(kinds):
            voxels, scores = peaks(maps[number], radius=options.reach, threshold=limits.min())
            truth = tomogram.points.of(number)
            hits, kept = hit_curve(
                coordinates.decode(voxels),
                scores,
                truth,
                radius=kind.radius_nm / 2,
                thresholds=limits,
            )
            total[number] += np.stack([hits, kept - hits, len(truth) - hits], axis=1)
    weights = [kind.weight for kind in kinds]
    return best_thresholds(total, options.thresholds, weights, beta=options.beta)


def blended(
    predict: Predict,
    image: Floats,
    window: Coord,
    *,
    stride: Coord | None = None,
    weights: Weighting = "pyramid",
) -> Floats:
    """Predict a whole tomogram from overlapping windows.

    Parameters
    ----------
    predict : callable
        As in `validated`.
    image : ndarray of float32, shape (Z, Y, X)
        Scaled; beyond its far faces windows see zeros, its mean.
    window, stride : tuple of int
        Windows and the distance between them; None is half a window.
    weights : str
        Of a window's voxels, see `volkit.kernels.blend`.

    Returns
    -------
    ndarray of float32, shape (C, Z, Y, X)
        Weighted means.
    """
    domain = Box.from_shape(image.shape)
    step = stride or tuple(max(1, n // 2) for n in window)
    windows = Windows(domain, window, (step[0], step[1], step[2]))
    last = windows.window((windows.counts[0] - 1, windows.counts[1] - 1, windows.counts[2] - 1))
    beyond = [(0, max(0, b - n)) for b, n in zip(last.stop, image.shape, strict=True)]
    padded = np.pad(image, beyond)
    factors = window_weights(window, weights)
    boxes = [windows.window(index) for index in windows.touching(domain)]
    total: Floats | None = None
    for first in range(0, len(boxes), _BATCH):
        group = boxes[first : first + _BATCH]
        answers = predict(np.stack([padded[box.slices] for box in group])[:, None])
        if total is None:
            total = np.zeros((answers.shape[1], *padded.shape), np.float32)
        for box, answer in zip(group, answers, strict=True):
            total[(slice(None), *box.slices)] += factors * answer
    inside = (
        np.zeros((0, *image.shape), np.float32)
        if total is None
        else (total[(slice(None), *domain.slices)])
    )
    done: Floats = np.divide(inside, weight_sums(windows, domain, weights), dtype=np.float32)
    return done
