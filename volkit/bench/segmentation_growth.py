"""Segmentation of growing volumes: time for a voxel, and memory of a worker."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from volkit.bench.growth import Work, growth_cases
from volkit.bench.harness import Case
from volkit.bench.tissue import noise
from volkit.engine.job import JobEngine
from volkit.engine.op import Op
from volkit.geometry import Block, Grid
from volkit.io.volume import Volume
from volkit.kernels.probability import probabilities
from volkit.ops.affinity_boundary import boundary_affinities
from volkit.ops.affinity_segmentation import AffinitySegmentationOptions, affinity_segment
from volkit.ops.affinity_watershed import NEAREST, AffinityOptions, affinity_watershed
from volkit.ops.components import connected_components
from volkit.ops.graph_holder import Held
from volkit.ops.mutex import mutex_agglomerate

_FOREGROUND = 140  # of 0 to 255: about a fifth of the voxels
_STEPS = (1, 4)  # voxels that near and far affinities span, along each axis


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases."""
    components, chain = ((64, 128), (64, 128)) if quick else ((256, 512, 1024), (256, 512))
    works: tuple[tuple[str, Work, tuple[int, ...]], ...] = (
        ("components", _components, components),
        ("affinities to labels", partial(_segments, held="whole"), chain),
        ("affinities to labels by boxes", partial(_segments, held="boxes"), chain),
        ("mutex watershed of basins by boxes", _cells, chain),
    )
    for what, work, sizes in works:
        yield from growth_cases(what, work, _grey, sizes=sizes, block=32 if quick else 128)


def _grey(size: int) -> NDArray[np.uint8]:
    return np.rint(noise(size, sigma=2) * 255).astype(np.uint8)


def _components(image: Volume, grid: Grid, engine: JobEngine) -> Any:
    return connected_components(
        image, threshold=_FOREGROUND, connectivity=6, grid=grid, engine=engine
    )


def _segments(image: Volume, grid: Grid, engine: JobEngine, *, held: Held) -> Any:
    how: dict[str, Any] = {"grid": grid, "engine": engine}
    options = AffinitySegmentationOptions(AffinityOptions(NEAREST, low=0.2))
    affinities = boundary_affinities(image, **how)
    return affinity_segment(affinities, options=options, held=held, **how).labels


def _cells(image: Volume, grid: Grid, engine: JobEngine) -> Any:
    how: dict[str, Any] = {"grid": grid, "engine": engine}
    spanning = Op(_span, dtype=np.float32, halo=(max(_STEPS),) * 3, channels=3 * len(_STEPS))
    affinities = engine.map(spanning, image, grid=grid, name="spans")
    fragments = affinity_watershed(
        boundary_affinities(image, **how), options=AffinityOptions(NEAREST, low=0.2), **how
    )
    offsets = [tuple(-step * (axis == n) for n in range(3)) for step in _STEPS for axis in range(3)]
    return mutex_agglomerate(fragments, affinities, offsets=offsets, held="boxes", **how)


def _span(block: Block, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Give 1 - the highest boundary from a voxel back to the one a step before, on every axis."""
    prob = probabilities(image)
    found = []
    for step in _STEPS:
        for axis in range(3):
            # A voxel lies at the end of its window: what is before the domain is no boundary.
            highest = maximum_filter1d(
                prob, step + 1, axis=axis, origin=step // 2, mode="constant", cval=0.0
            )
            found.append(1 - highest)
    return np.stack(found)
